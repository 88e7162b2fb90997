"""Where play phones may be: beside the TEST gateway, on this machine alone. Anywhere else they are not there at all."""

from __future__ import annotations

import asyncio

import pytest

from dtmf_shield.base.config import (
    AgentSection,
    Config,
    GatewaySection,
    MediaSection,
    RouteSection,
    SipSection,
    TrunkSection,
)
from dtmf_shield.base.config_api import ApiSection
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.service import start
from dtmf_shield.service.play import demo_mode
from dtmf_shield.service.play.settings import Dialled, agents_of, dialled_of, origins_of, read_settings

OUTSIDE = {
    "gateway.kind": {"gateway": GatewaySection.model_construct(kind="stripe")},
    "sip.listen": {"sip": SipSection(listen=["192.0.2.1:5060"])},
    "api.listen": {"api": ApiSection().model_copy(update={"listen": "192.0.2.1:8080"})},
    "api: found a public": {
        "api": ApiSection(public_url="https://pay.example.com", behind_proxy=["127.0.0.1/32"])
    },
    "media.address": {"media": MediaSection(address="192.0.2.1")},
    "trunks.networks": {"trunks": [TrunkSection(name="carrier", networks=["127.0.0.1/32", "0.0.0.0/0"])]},
    "agents.address": {"agents": [AgentSection(name="agent", address="192.0.2.1:5060")]},
}


def test_defaults_are_demo_mode():
    assert demo_mode.findings(Config()) == []


@pytest.mark.parametrize("key", OUTSIDE)
def test_each_thing_that_leads_out_forbids_play_phones_and_is_named(key):
    found = demo_mode.findings(Config().model_copy(update=OUTSIDE[key]))

    assert found != []
    assert all(one.startswith(key) for one in found)


def test_service_that_is_told_to_play_outside_demo_mode_does_not_start(tmp_path):
    config = Config().model_copy(update=OUTSIDE["agents.address"])

    with pytest.raises(OperatorError, match=r"--play: agents\.address"):
        asyncio.run(start.serve(config, tmp_path, state_directory=tmp_path / "state", play=True))

    assert not (tmp_path / "state").exists()


def test_each_route_is_a_number_to_dial():
    routes = [
        RouteSection(dialled="self", flow="card-payment-self-service"),
        RouteSection(dialled="desk-*", agent="agent"),
        RouteSection(dialled="self", agent="agent"),
        RouteSection(dialled="*", agent="agent"),
    ]

    assert dialled_of(Config(routes=routes)) == (
        Dialled("self", "card-payment-self-service"),
        Dialled("desk-"),
        Dialled("pay"),
    )


def test_agents_addresses_come_once_and_origins_are_as_browsers_write_them():
    agents = [AgentSection(name=name, address="127.0.0.1:5070") for name in ("a", "b")]

    assert agents_of(Config(agents=agents, routes=[RouteSection(dialled="*", agent="a")])) == (
        ("127.0.0.1", 5070),
    )
    assert origins_of("127.0.0.1", 8080) == ("http://127.0.0.1:8080", "http://localhost:8080")
    assert origins_of("::1", 8080)[0] == "http://[::1]:8080"


def test_process_started_by_hand_says_who_starts_it():
    with pytest.raises(OperatorError, match="started by the service"):
        read_settings(b"\n")
