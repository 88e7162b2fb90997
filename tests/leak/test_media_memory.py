"""The memory of the media process after a card was keyed: nothing but the slot ever held it, in any known form.

The slot, not yet emptied by cde, is the positive control in the same process and the same scan.
"""

from __future__ import annotations

import time

import pytest

from dtmf_shield.model.messages import CloseCall
from dtmf_shield.model.stream import ShieldMode
from tests.leak.memory_scanner import scan
from tests.unit.media.test_media_process import Phone, Service, chord, key_tones

CANARY = "6011000990139424"
"""A published test number with few repeated digits."""
KEYS_FORGOTTEN_S = 2.5
"""Keys are kept for joining doors, and presses for their late packets, no longer than that."""


@pytest.fixture
def service():
    running = Service()
    running.wait_ready()
    yield running
    running.close()


def key_in_band(caller: Phone, agent: Phone) -> None:
    caller.say(key_tones(CANARY, press=480, pause=480), agent)


def key_by_events(caller: Phone, agent: Phone) -> None:
    caller.say(chord(800), agent)
    caller.press(CANARY)


def key_by_both(caller: Phone, agent: Phone) -> None:
    """Each key in-band and by an event of the same onset."""
    for key in CANARY:
        start = caller.timestamp
        tones = key_tones(key, press=480, pause=480)[480:]
        caller.say(tones[:160], agent)
        caller.send(bytes(["0123456789*#ABCD".index(key), 10, 0, 160]), 101, start)
        caller.say(tones[160:], agent)
        caller.send(bytes(["0123456789*#ABCD".index(key), 0x8A, 0, 200]), 101, start)


def test_card_numbers_lie_in_their_slots_and_nowhere_else(service):
    """One process, every door and mode, a hang-up in between, keys of an agent; two scans, as each takes a while."""
    for row, door in enumerate((key_in_band, key_by_events, key_by_both)):
        mode = ShieldMode.GUARD if door is key_by_both else ShieldMode.CAPTURE
        call_id, caller, agent = service.open(row, mode)
        service.arm(call_id, row, slot=row)
        door(caller, agent)
        assert service.keys(len(CANARY), slot=row) == CANARY.encode()
        if row == 0:
            service.tell(CloseCall(call_id, row))
    agent.say(key_tones(CANARY[:8], press=480, pause=480), caller)
    agent.press(CANARY[8:])
    time.sleep(KEYS_FORGOTTEN_S)  # what media may remember for joining two doors is over

    during = scan(service.process.pid, CANARY)
    service.slots.wipe()
    after = scan(service.process.pid, CANARY)

    assert len([finding for finding in during if finding.form == "ascii"]) == 3
    assert {"dtmf-shield-slots" in finding.mapping for finding in during} == {True}
    assert after == []
