"""When a key ends on the caller's wire, as bench.web sees it: by each door at the packet that ends it, once a key."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bench import web
from dtmf_shield.phone.door import Door
from dtmf_shield.phone.stream import END_PACKETS, PhoneStream

KEY_MS, KEY_PACKETS = 100, 5


class Wire:
    """A transport that counts."""

    def __init__(self):
        self.sent = 0

    def sendto(self, data, address=None):
        self.sent += 1

    def info(self, *given):
        self.sent += 1


@pytest.fixture
def caller():
    wire = Wire()
    stream = PhoneStream(ssrc=1, sequence=0, timestamp=0)
    stream.event_payload_type = 101
    return SimpleNamespace(call=SimpleNamespace(_rtp=wire, _phone=wire, stream=stream))


def ends_of(caller, door, press):
    """Return after how many packets each of two keys had ended."""
    call, ends = caller.call, []
    with web.watched_key_ups(caller, door) as ups:
        for _ in range(2):
            press(call.stream)
            for tick in range(12):
                call._rtp.sendto(call.stream.next_packet(tick / 50))
                ends += [call._rtp.sent] * (len(ups) - len(ends))
    return ends


def test_a_tone_ends_with_its_last_packet(caller):
    ends = ends_of(caller, Door.INBAND, lambda stream: stream.press_as_tone("5", KEY_MS))

    assert ends == [KEY_PACKETS, 12 + KEY_PACKETS]


def test_an_event_ends_with_its_first_packet_that_says_so(caller):
    ends = ends_of(caller, Door.RFC4733, lambda stream: stream.press_as_event("5", KEY_MS))

    assert END_PACKETS == 3
    assert ends == [KEY_PACKETS, 12 + KEY_PACKETS]


def test_an_info_is_a_key_as_a_whole_and_nobody_watches_afterwards(caller):
    with web.watched_key_ups(caller, Door.INFO) as ups:
        caller.call._phone.info("body")
    caller.call._phone.info("body")

    assert (len(ups), caller.call._phone.sent) == (1, 2)
