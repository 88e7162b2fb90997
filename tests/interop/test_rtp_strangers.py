"""RTP from a source that was not agreed: dropped and counted, nothing sent to it, no key of it taken.

Every port of the service is sprayed from 127.0.0.66 while a capture waits for keys: telephone events with correct
form, loud tones, and the four-byte RTCP packet of AST-2017-008.
"""

from __future__ import annotations

import json
import socket
import struct
from pathlib import Path

import numpy as np
import pytest

from tests.interop.callers import Material
from tests.interop.conftest import Exchange
from tests.interop.ears import NOTHING, heard_by_all
from tests.interop.key_audio import EVENT_KEYS, EVENT_PAYLOAD_TYPE
from tests.interop.running_service import wait_until
from tests.interop.sipp import Scenario, SippCaller
from tests.vectors.dtmf_signal import Recipe, tone_pair

pytestmark = pytest.mark.interop

STRANGER = "127.0.0.66"
ROUNDS = 25


def spray(ports: set[int], sock: socket.socket) -> int:
    """Send to every port; return how many RTP packets one port got."""
    tone = tone_pair("5", 160, Recipe(), np.random.default_rng(1))
    loud = np.clip(np.abs(tone) / 256, 0, 127).astype(np.uint8).tobytes()
    for number in range(ROUNDS):
        header = struct.pack("!BBHII", 0x80, 0, 100 + number, 160 * number, 0xBAD)
        event = struct.pack("!BBHII", 0x80, EVENT_PAYLOAD_TYPE | 0x80, 100 + number, 160 * number, 0xBAD)
        key = struct.pack("!BBH", EVENT_KEYS.index("5"), 0x80 | 10, 640)
        for port in ports:
            for packet in (header + loud, event + key, b"\x80\xc9\x00\x00"):
                sock.sendto(packet, ("127.0.0.1", port))
    return 3 * ROUNDS


def test_packets_of_a_stranger_are_dropped_and_counted(
    exchange: Exchange, material: Material, work: Path
) -> None:
    service = exchange.service
    scenario = Scenario().invite().answered().stream(material.speech_ulaw, loops=-1).wait_for_go().bye()
    caller = SippCaller(work, scenario, service.sip, dialled="talking")
    try:
        agent = exchange.agents["talking"].incoming()
        call_id = service.call_to("talking")["id"]
        service.start_capture(call_id)
        service.wait_for_field(call_id, "pan", "waiting")
        ports = service.udp_ports() - {service.sip[1]}
        assert len(ports) >= 64, "two legs of 32 rows"

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind((STRANGER, 0))
            stranger.setblocking(False)
            each = spray(ports, stranger)
            heard = len(agent.packets)
            wait_until(lambda: len(agent.packets) > heard + 25, "the call goes on")
            with pytest.raises(BlockingIOError):
                stranger.recv(2_048)

        capture = service.capture(call_id)
        caller.go()
        caller.finish()
        exchange.agents["talking"].wait_for_end(agent)
    finally:
        caller.stop()

    assert capture is not None
    assert [field["count"] for field in capture["fields"]] == [0, 0, 0]
    assert agent.call.events_received == []
    assert heard_by_all(agent.call.heard, work) == NOTHING
    line = wait_until(lambda: statistics_of(service.log(), call_id), "the call's statistics")
    assert line["caller_bad_source"] >= each
    assert line["agent_bad_source"] >= each


def statistics_of(log: str, call_id: str) -> dict[str, int] | None:
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return next(
        (line for line in lines if line["event"] == "call_media" and line.get("call_id") == call_id), None
    )
