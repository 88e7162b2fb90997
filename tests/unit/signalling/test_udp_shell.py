"""The UDP shell over loopback: it answers, wipes its buffer, and logs a flood in one line without a body."""

import asyncio
import ipaddress
import socket

import pytest

from dtmf_shield.base.system_clock import SystemClock
from dtmf_shield.call.core import CallCore
from dtmf_shield.call.settings import CallSettings, Trunk
from dtmf_shield.signalling import udp
from dtmf_shield.sip.events import Address
from tests.spec.sip_network import token_source
from tests.spec.torture_messages import message
from tests.unit.call.call_house import FakeCapture, FakeMedia, FakeStore

HOSTS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


class Lines:
    def __init__(self):
        self.lines = []

    def warning(self, event, **fields):
        self.lines.append((event, fields))


async def exchange(family, datagrams, answers):
    loop = asyncio.get_running_loop()
    ours, theirs = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
    for sock in (ours, theirs):
        sock.bind((HOSTS[family], 0))
        sock.setblocking(False)
    trunk = Trunk("loopback", (ipaddress.ip_network(HOSTS[family]),))
    core = CallCore(
        settings=CallSettings((trunk,), {}, ()),
        local=[Address(*ours.getsockname()[:2])],
        media=FakeMedia(),
        capture=FakeCapture(),
        store=FakeStore(),
        tokens=token_source("s"),
    )
    shell = udp.UdpShell(core, [ours], SystemClock(), lambda: None)
    shell.attach(loop)
    try:
        for datagram in datagrams:
            theirs.sendto(datagram, ours.getsockname())
        return [await asyncio.wait_for(loop.sock_recv(theirs, 65_535), 5) for _ in range(answers)], shell
    finally:
        shell.close()
        theirs.close()


@pytest.mark.parametrize("family", HOSTS)
def test_options_is_answered_over_both_families(family):
    data = message(
        "OPTIONS",
        Via=f"SIP/2.0/UDP {'[::1]' if family == socket.AF_INET6 else '127.0.0.1'};rport;branch=z9hG4bKo",
    )

    [answer], _ = asyncio.run(exchange(family, [data], 1))

    assert answer.startswith(b"SIP/2.0 200 OK\r\n")
    assert b"rport=" in answer


def test_the_receive_buffer_does_not_keep_a_body():
    info = message(
        "INFO", Via="SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKi", body="Signal=7", Content_Type="application/dtmf",
        To="<sip:agent@127.0.0.1>;tag=none",
    )  # fmt: skip

    [answer], shell = asyncio.run(exchange(socket.AF_INET, [info], 1))

    assert answer.startswith(b"SIP/2.0 481")
    assert b"Signal" not in shell._buffer


def test_a_flood_of_refusals_is_one_line_without_a_body(monkeypatch):
    lines = Lines()
    monkeypatch.setattr(udp, "_log", lines)
    bad = message(Via="SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKb", To='"open <sip:4242424242424242@x>')

    answers, _ = asyncio.run(exchange(socket.AF_INET, [bad] * 20, 20))

    assert all(answer.startswith(b"SIP/2.0 400") for answer in answers)
    [(event, fields)] = lines.lines
    assert event == "sip_refused"
    assert fields == {"source": "127.0.0.1", "reason": "open quote", "status": 400, "more": 0}
