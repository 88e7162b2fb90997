"""Sockets are bound once, on even ports for RTP, and a busy one is named."""

import socket

import pytest

from dtmf_shield.base.config import ApiSection, Config, MediaSection, SipSection
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.service.sockets import SO_TIMESTAMPNS, bind_all


def config(**changed):
    sections = {
        "sip": SipSection(listen=["127.0.0.1:0", "[::1]:0"]),
        "api": ApiSection(listen="127.0.0.1:0"),
        "media": MediaSection(calls_max=3, address_v6="::1"),
    }
    return Config(**{**sections, **changed})


def test_every_row_has_four_sockets_on_even_ports():
    held = bind_all(config())
    try:
        assert len(held.sip) == 2
        assert sorted(held.rtp) == list(range(12))
        for row in held.ports:
            found = (row.caller_port, row.caller_port_v6, row.agent_port, row.agent_port_v6)
            bound = tuple(held.rtp[4 * row.row + at].getsockname()[1] for at in range(4))
            assert found == bound
            assert not any(port % 2 for port in found)
        assert all(sock.getsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS) for sock in held.rtp.values())
    finally:
        held.close()


def test_without_an_ipv6_address_there_are_no_ipv6_sockets():
    held = bind_all(config(media=MediaSection(calls_max=1)))
    try:
        assert sorted(held.rtp) == [0, 2]
        assert held.ports[0].caller_port_v6 == 0
    finally:
        held.close()


@pytest.mark.parametrize("key", ["sip.listen", "api.listen"])
def test_a_busy_port_is_named_with_its_key(key):
    kind = socket.SOCK_DGRAM if key == "sip.listen" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        port = other.getsockname()[1]
        listen = f"127.0.0.1:{port}"
        changed = (
            {"sip": SipSection(listen=[listen])}
            if key == "sip.listen"
            else {"api": ApiSection(listen=listen)}
        )

        with pytest.raises(OperatorError, match=f"{key}.*:{port} is in use"):
            bind_all(config(**changed))


def busy_even_port():
    """A socket on an even port; odd ones are given back."""
    while True:
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        other.bind(("127.0.0.1", 0))
        if other.getsockname()[1] % 2 == 0:
            return other
        other.close()


def test_a_range_that_others_use_up_names_its_ports():
    with busy_even_port() as other:
        first = other.getsockname()[1]
        media = MediaSection(port_min=first, port_max=first + 3, calls_max=1)

        with pytest.raises(OperatorError, match=rf"port_min.*{first}"):
            bind_all(config(media=media))


def test_an_address_of_another_machine_is_named():
    with pytest.raises(OperatorError, match=r"192\.0\.2\.1 is not an address of this machine"):
        bind_all(config(sip=SipSection(listen=["192.0.2.1:5060"])))
