"""From the gateway sections to what cde is told: files checked before a start, names resolved, TEST kept apart."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dtmf_shield.base.config import Config, GatewaySection
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.model.gateway import GatewaySettings
from dtmf_shield.model.messages import GatewayResolved
from dtmf_shield.service import gateway_names as naming
from dtmf_shield.service.dev_certificates import ensure_dev_certificates
from dtmf_shield.service.gateway_names import GatewayNames, addresses_of
from dtmf_shield.service.gateway_settings import configured_settings, findings, is_test
from tests.unit.cde.authority import Authority


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Return a directory where a gateway's files are in order."""
    Authority(tmp_path, "ca")
    (tmp_path / "credentials").write_text("user:password\n")
    (tmp_path / "credentials").chmod(0o600)
    return tmp_path


def section(**changes: Any) -> GatewaySection:
    given = {
        "kind": "generic",
        "address": "192.0.2.30:443",
        "ca_file": "ca.pem",
        "credentials_file": "credentials",
    }
    return GatewaySection(**{**given, **changes})


def config(**changes: Any) -> Config:
    return Config(gateway=section(**changes))


def test_files_in_order_give_no_finding_and_settings_name_them(base: Path) -> None:
    assert findings(config(), base) == []
    (settings,) = configured_settings(config(parameters={"merchant": "shop"}), base)

    assert settings == GatewaySettings(
        name="generic",
        template="generic",
        host="192.0.2.30",
        addresses=("192.0.2.30",),
        port=443,
        server_name="192.0.2.30",
        ca_file=str(base / "ca.pem"),
        credentials_file=str(base / "credentials"),
        path="/pay",
        idempotency="none",
        parameters=(("merchant", "shop"),),
    )


def test_shipped_connector_says_path_and_idempotency_itself(base: Path) -> None:
    (settings,) = configured_settings(config(kind="stripe", server_name="api.example"), base)

    assert (settings.path, settings.idempotency, settings.server_name) == ("", "", "api.example")


def test_own_template_is_a_file_beside_the_configuration(base: Path) -> None:
    own = config(kind="our-bank.toml")

    assert [finding.split(":")[0] for finding in findings(own, base)] == ["gateway.kind"]
    (base / "our-bank.toml").write_text("")
    assert findings(own, base) == []
    assert configured_settings(own, base)[0].template == str(base / "our-bank.toml")
    assert configured_settings(own, base)[0].name == "our-bank"


def test_fallback_follows_the_primary_and_is_checked_alike(base: Path) -> None:
    both = Config(
        gateway=section(),
        fallback_gateway=section(kind="stripe", credentials_file="none", address="[2001:db8::1]:443"),
    )

    assert [settings.name for settings in configured_settings(both, base)] == ["generic", "stripe"]
    assert configured_settings(both, base)[1].addresses == ("2001:db8::1",)
    assert [finding.split(":")[0] for finding in findings(both, base)] == [
        "fallback_gateway.credentials_file"
    ]


@pytest.mark.parametrize(
    "fallback",
    [
        {"kind": "generic"},
        {"kind": "stripe", "name": "generic"},
        {"kind": "stripe", "test": True},
        {"kind": "embedded"},
    ],
)
def test_fallback_that_does_not_go_with_the_primary_is_refused(fallback: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="allowed"):
        Config(gateway=section(), fallback_gateway=section(**fallback))


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "paypal"},
        {"address": "192.0.2.30"},
        {"address": "192.0.2.300:443"},
        {"address": "pay.example.com:0"},
        {"address": "pay.example.com:65536"},
        {"address": "pay_example:443"},
        {"address": "2001:db8::1:443"},
        {"server_name": "*.example.com"},
        {"path": "pay"},
        {"pins": ["A" * 43 + "="]},
        {"pins": ["A" * 43 + "="] * 2},
        {"pins": ["no base64", "A" * 43 + "="]},
        {"pins": ["A" * 40, "B" * 40]},
        {"client_certificate_file": "c.pem"},
        {"client_key_file": "c.key"},
        {"parameters": {"Merchant": "x"}},
        {"parameters": {"merchant": "x" * 201}},
        {"idempotency": "always"},
    ],
)
def test_values_that_cannot_be_meant_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"gateway|Gateway"):
        config(**changes)


def test_two_pins_are_one_and_its_backup() -> None:
    pins = ["A" * 43 + "=", "B" * 42 + "A="]

    assert config(pins=pins).gateway.pins == pins


# --- files ----------------------------------------------------------------------------------------------------


def test_authority_of_the_test_gateway_is_refused_of_a_live_one_and_taken_of_a_sandbox(base: Path) -> None:
    dev = ensure_dev_certificates(base)

    (finding,) = findings(config(ca_file=str(dev.ca_file)), base)

    assert "TEST gateway" in finding
    assert findings(config(ca_file=str(dev.ca_file), test=True), base) == []


def test_sandbox_and_embedded_are_test_and_nothing_else_is() -> None:
    assert [is_test(each) for each in (Config(), config(test=True), config())] == [True, True, False]


def test_our_certificate_must_have_its_own_key_that_nobody_else_reads(base: Path) -> None:
    authority = Authority(base, "clients")
    ours, other = authority.leaf(client=True), authority.leaf(client=True)
    for leaf in (ours, other):
        leaf.key_file.chmod(0o600)
    pair = {"client_certificate_file": str(ours.certificate_file), "client_key_file": str(ours.key_file)}

    assert findings(config(**pair), base) == []
    (wrong,) = findings(config(**{**pair, "client_key_file": str(other.key_file)}), base)
    assert "does not belong" in wrong
    ours.key_file.chmod(0o640)
    (open_,) = findings(config(**pair), base)
    assert "chmod 600" in open_
    missing = findings(config(client_certificate_file="no.pem", client_key_file="no.key"), base)
    assert [finding.split(":")[0] for finding in missing] == [
        "gateway.client_certificate_file",
        "gateway.client_key_file",
    ]


def test_credentials_without_a_first_line_are_found(base: Path) -> None:
    (base / "credentials").write_text("\nuser:password\n")

    (finding,) = findings(config(), base)

    assert "first line is empty" in finding


# --- names ----------------------------------------------------------------------------------------------------


def found(*literals: str) -> list[Any]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (literal, 443)) for literal in literals]


def test_name_leads_to_its_addresses_each_once_and_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    literals = [f"192.0.2.{i % 12}" for i in range(20)] + ["fe80::1%eth0"]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found(*literals))

    assert addresses_of("pay.example", 443) == tuple(f"192.0.2.{i}" for i in range(8))


def test_name_that_cannot_be_resolved_stops_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    with pytest.raises(OperatorError, match=r"pay\.example cannot be resolved"):
        addresses_of("pay.example", 443)


def watched(monkeypatch: pytest.MonkeyPatch, gateway: GatewaySettings, answer: Any) -> list[GatewayResolved]:
    """Look the names up once, where the resolver gives ``answer`` or raises it."""
    told: list[GatewayResolved] = []

    def resolve(*_: object, **__: object) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    asyncio.run(GatewayNames(lambda: [gateway], told.append).look_up())
    return told


GATEWAY = GatewaySettings(
    name="generic",
    template="generic",
    host="pay.example",
    addresses=("192.0.2.1", "192.0.2.2"),
    port=443,
    server_name="pay.example",
    ca_file="",
    credentials_file="",
)


def test_gateway_that_moved_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = watched(monkeypatch, GATEWAY, found("192.0.2.9"))

    assert told == [GatewayResolved(gateway="generic", addresses=("192.0.2.9",))]


@pytest.mark.parametrize(
    "answer", [found("192.0.2.2", "192.0.2.1"), [], socket.gaierror(-3, "try again"), TimeoutError()]
)
def test_same_addresses_and_failures_change_nothing(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    assert watched(monkeypatch, GATEWAY, answer) == []


def test_literal_is_never_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    literal = replace(GATEWAY, host="192.0.2.1")

    assert watched(monkeypatch, literal, AssertionError("asked")) == []


def test_names_are_looked_up_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "RESOLVE_INTERVAL_S", 0.01)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found("192.0.2.9"))
    told: list[GatewayResolved] = []

    async def scenario() -> None:
        task = asyncio.create_task(GatewayNames(lambda: [GATEWAY], told.append).watch())
        async with asyncio.timeout(5):
            while len(told) < 2:
                await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(scenario())
