"""What a call's snapshot tells of its line: codec, telephone-event, INFO as a door, and how strictly it is treated."""

import pytest

from dtmf_shield.call.events import LegLine
from dtmf_shield.model.stream import Codec, Strictness
from tests.unit.call.call_house import AGENT, CALLER, CallHouse, sdp

RELAY = "application/dtmf-relay"


def talking(caller="0 101", agent="0 101"):
    house = CallHouse()
    house.caller.call(body=sdp(CALLER.host, formats=caller))
    house.run()
    house.agent.answer(200, sdp(AGENT.host, 5000, formats=agent))
    house.run()
    return house


def lines(house):
    call = house.core.snapshots()[0]
    return call.line_caller, call.line_agent


def test_a_call_that_rings_has_no_line_yet():
    house = CallHouse()
    house.caller.call(body=sdp(CALLER.host))
    house.run()

    assert lines(house) == (LegLine(), LegLine())


@pytest.mark.parametrize(
    ("caller", "agent", "shown"),
    [
        ("0 101", "0 101", (LegLine(Codec.PCMU, True), LegLine(Codec.PCMU, True))),
        ("8", "8 101", (LegLine(Codec.PCMA, False), LegLine(Codec.PCMA, True))),
        ("9 101", "8", (LegLine(Codec.G722, True), LegLine(Codec.PCMA, False))),
    ],
)
def test_each_leg_tells_its_codec_and_whether_events_were_agreed_on(caller, agent, shown):
    assert lines(talking(caller, agent)) == shown


def test_a_caller_who_is_alone_has_one_line():
    house = CallHouse()
    house.dial_alone()

    caller, agent = lines(house)

    assert caller.codec is not None
    assert agent == LegLine()


def test_info_that_brought_keys_is_a_door_and_stays_one_after_a_crash():
    house = talking()
    house.caller.send("INFO", b"Signal=7", RELAY)
    house.agent.send("INFO", b"", "text/plain")
    house.run()
    before = lines(house)

    house.crash()

    assert [line.info for line in before] == [True, False]
    assert lines(house) == before


def test_info_that_nobody_could_take_is_no_door():
    house = talking()
    house.capture.up = False
    house.caller.send("INFO", b"Signal=7", RELAY)
    house.run()

    assert lines(house)[0].info is False


def test_strictness_is_shown_as_media_was_told_it():
    house = talking()
    call_id = house.core.snapshots()[0].call_id
    strict = (Strictness(withheld=True, unrecorded=True), Strictness(unrecorded=True))
    house.core._ctx.calls[call_id].strictness = strict

    assert house.core.snapshot(call_id).strictness == strict
