"""Calls without an agent: answered and shielded by us from the first packet, re-offers answered, nobody forgotten."""

from pathlib import Path

import pytest

from dtmf_shield.call.errors import CallNotTalking, FlowUnknown
from dtmf_shield.call.events import CallAnswered, CallEnded, CallPhase, CallStarted
from dtmf_shield.call.settings import Route
from dtmf_shield.flow.loader import load_flow
from dtmf_shield.model.capture import CaptureProgress, CaptureResult, CaptureState, RejectReason
from dtmf_shield.model.ids import Token
from dtmf_shield.model.messages import (
    CancelCapture,
    CaptureArmed,
    CaptureOutcome,
    CollectField,
    FieldGivenUp,
    StartCapture,
    SubmitCapture,
)
from dtmf_shield.model.stream import Codec, Direction, ShieldMode
from tests.unit.call.call_house import ALONE, CALLER, FLOW, CallHouse, drained, ended, sdp

SIX = sdp("2001:db8::1").replace(b"IP4", b"IP6")


def listening(house, call_id):
    """Let media and cde take the flow up; returns the capture's id."""
    capture_id = house.core.snapshot(call_id).capture.capture_id
    house.confirm_shield(call_id, ShieldMode.CAPTURE)
    house.core.capture_message(house.now_s, CaptureArmed(capture_id))
    house.run()
    return capture_id


def outcome(house, capture_id, result):
    message = CaptureOutcome(capture_id=capture_id, result=result, token=Token("tok_test"))
    house.core.capture_message(house.now_s, message)


def test_a_caller_is_answered_at_once_and_nobody_is_called():
    house = CallHouse()
    house.dial_alone()

    [view] = house.core.snapshots()
    assert house.caller.statuses() == [200]
    assert house.caller.dialog is not None
    assert (view.phase, view.agent_name, view.dialled) == (CallPhase.TALKING, "", "8000")
    assert house.agent.methods() == house.help.methods() == []
    assert [type(event) for event in house.events[:2]] == [CallStarted, CallAnswered]
    house.caller.send("BYE")
    house.run()

    assert ended(house) == [(0, "caller_bye")]
    assert house.media.log[-1] == ("close", 0)
    assert drained(house)


def test_the_caller_is_shielded_for_capture_before_the_first_packet_can_be_heard():
    house = CallHouse()
    house.dial_alone()

    first_stream = house.media.log.index(("stream", "caller"))
    assert house.media.log.index(("shield", "caller", "capture")) < first_stream
    assert not [entry for entry in house.media.log if entry[-1] == "guard"]
    assert ("stream", "agent") not in house.media.log


def test_the_answer_holds_the_callers_first_codec_that_we_take():
    house = CallHouse(codecs=(Codec.PCMU, Codec.PCMA))

    house.dial_alone(sdp(CALLER.host, formats="9 8 0 101"))

    stream = house.media.streams["caller"]
    assert (stream.codec, stream.remote_host, stream.remote_port) == (Codec.PCMA, CALLER.host, 4000)
    assert stream.telephone_event_payload_type == 101
    assert b"RTP/AVP 8 101" in house.caller.responses[-1].body


def test_the_flow_begins_with_the_answer_and_names_no_agent():
    house = CallHouse()
    call_id = house.dial_alone()

    listening(house, call_id)

    [start, collect] = house.capture.sent
    assert isinstance(start, StartCapture)
    assert (start.flow, start.agent) == (ALONE, "")
    assert isinstance(collect, CollectField)
    assert collect.field == "pan"


def test_without_an_offer_ours_is_in_the_2xx_and_the_flow_waits_for_the_answer_in_the_ack():
    house = CallHouse()
    house.caller.ack_body = sdp(CALLER.host, formats="8 101")
    house.caller.auto_ack = False
    house.caller.call(user="8000")
    house.run()

    assert b"m=audio" in house.caller.responses[-1].body
    assert house.media.streams == {}
    assert house.core.snapshots()[0].capture is None
    house.caller.auto_ack = True
    house.run(1)  # the 2xx comes again

    assert house.media.streams["caller"].codec is Codec.PCMA
    assert house.core.snapshots()[0].capture.flow_id == ALONE
    house.caller.send("BYE")
    assert drained(house)


@pytest.mark.parametrize("body", [b"", sdp(CALLER.host, formats="18")])
def test_an_ack_without_a_usable_answer_ends_the_call(body):
    house = CallHouse()
    house.caller.ack_body = body
    house.caller.call(user="8000")
    house.run()

    assert house.caller.methods() == ["BYE"]
    assert ended(house) == [(0, "no_answer")]
    assert drained(house)


def test_an_ack_that_never_comes_ends_the_call():
    house = CallHouse()
    house.caller.auto_ack = False
    listening(house, house.dial_alone())

    house.run(40)

    assert ended(house) == [(0, "no_ack")]
    assert drained(house)


@pytest.mark.parametrize(
    ("body", "status"), [(sdp(CALLER.host, formats="18"), 488), (b"v=0\r\nnonsense", 400), (SIX, 488)]
)
def test_an_offer_that_we_cannot_answer_is_refused(body, status):
    house = CallHouse()

    house.caller.call(user="8000", body=body)
    house.run()

    assert house.caller.statuses()[-1] == status
    assert house.media.log == []
    assert drained(house)


def test_limits_hold_without_an_agent_too():
    house = CallHouse(calls_max=0)
    house.caller.call(user="8000", body=sdp(CALLER.host))
    house.run()
    full = CallHouse(rows=0)
    full.caller.call(user="8000", body=sdp(CALLER.host))
    full.run()

    assert house.caller.statuses() == full.caller.statuses() == [503]
    assert house.caller.responses[0].headers.get("Retry-After")


def test_a_route_whose_flow_is_gone_is_404():
    house = CallHouse(routes=(Route("80*", None, "gone"),))

    house.caller.call(user="8000", body=sdp(CALLER.host))
    house.run()

    assert house.caller.statuses() == [404]


def test_cancel_that_crosses_our_2xx_changes_nothing():
    house = CallHouse()
    house.caller.call(user="8000", body=sdp(CALLER.host))
    house.caller.endpoint.cancel(house.now_s, house.caller.transaction)
    house.run()

    assert house.caller.statuses("INVITE") == [200]
    assert len(house.core.snapshots()) == 1
    house.caller.send("BYE")
    house.run()
    assert drained(house)


# --- re-offers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_hold_and_resume_are_answered_here(method):
    house = CallHouse()
    house.dial_alone()

    house.caller.send(method, sdp(CALLER.host, direction="sendonly", version=2))
    house.run()

    assert b"a=recvonly" in house.caller.responses[-1].body
    assert house.media.streams["caller"].direction is Direction.RECVONLY
    assert house.core.snapshots()[0].phase is CallPhase.HELD
    house.caller.send(method, sdp(CALLER.host, version=3))
    house.run()

    assert house.caller.statuses(method)[-1] == 200
    assert house.core.snapshots()[0].phase is CallPhase.TALKING
    house.caller.send("BYE")
    assert drained(house)


def test_a_re_offer_may_move_the_address_and_keeps_the_codec():
    house = CallHouse()
    house.dial_alone()

    house.caller.send("INVITE", sdp(CALLER.host, port=4800, formats="0 8 101", version=2))
    house.run()

    stream = house.media.streams["caller"]
    assert (stream.codec, stream.remote_port) == (Codec.PCMA, 4800)


def test_a_re_invite_without_an_offer_gets_ours_and_its_ack_the_answer():
    house = CallHouse()
    house.dial_alone()
    house.caller.ack_body = sdp(CALLER.host, port=4900, version=2)

    house.caller.send("INVITE")
    house.run()

    assert house.caller.responses[-1].body.count(b"m=audio") == 1
    assert house.media.streams["caller"].remote_port == 4900
    assert len(house.core.snapshots()) == 1


def test_a_re_offer_without_a_codec_of_ours_is_refused_and_the_call_goes_on():
    house = CallHouse()
    house.dial_alone()

    house.caller.send("INVITE", sdp(CALLER.host, formats="18", version=2))
    house.caller.auto_ack = True
    house.run()

    assert house.caller.statuses()[-1] == 488
    house.caller.send("INVITE", sdp(CALLER.host, version=3))
    house.run()
    assert house.caller.statuses()[-1] == 200


def test_an_offer_that_crosses_one_without_ack_gets_491():
    house = CallHouse()
    house.dial_alone()
    house.caller.auto_ack = False
    house.caller.send("INVITE", sdp(CALLER.host, version=2))
    house.run()

    house.caller.send("UPDATE", sdp(CALLER.host, version=3))
    house.run()

    assert house.caller.statuses("UPDATE") == [491]
    house.caller.auto_ack = True
    house.run(1)
    house.caller.send("BYE")
    assert drained(house)


def test_an_empty_update_options_and_info_are_answered():
    house = CallHouse()
    house.dial_alone()

    house.caller.send("UPDATE")
    house.caller.send("OPTIONS")
    house.caller.send("INFO", b"Signal=5\r\n", "application/dtmf-relay")
    house.run()

    assert house.caller.statuses()[-3:] == [200, 200, 200]
    assert [role for role, _ in house.capture.infos] == ["caller"]


# --- the flow and the call ----------------------------------------------------------------------------------


def test_bye_of_the_caller_ends_the_capture():
    house = CallHouse()
    capture_id = listening(house, house.dial_alone())

    house.caller.send("BYE")
    house.run()

    assert house.capture.sent[-1] == CancelCapture(capture_id, CaptureResult.CALLER_GONE)
    assert drained(house)


def test_an_agents_flow_cannot_begin_without_an_agent_nor_the_other_way_round():
    alone, with_agent = CallHouse(), CallHouse()
    call_id, talking = alone.dial_alone(), with_agent.talk()
    alone.core._ctx.calls[call_id].engagement = None

    with pytest.raises(CallNotTalking):
        alone.core.start_capture(alone.now_s, call_id, FLOW)
    with pytest.raises(FlowUnknown):
        with_agent.core.start_capture(with_agent.now_s, talking, ALONE)


def test_a_flow_that_ends_well_hangs_up():
    house = CallHouse()
    capture_id = listening(house, house.dial_alone())
    for count in (1, 2, 3):
        accepted = ("pan", "expiry", "cvv")[:count]
        progress = CaptureProgress(capture_id=capture_id, state=CaptureState.HELD, accepted=accepted)
        house.core.capture_message(house.now_s, progress)
    assert isinstance(house.capture.sent[-1], SubmitCapture)

    outcome(house, capture_id, CaptureResult.TOKEN)
    house.run()

    assert house.caller.methods() == ["BYE"]
    assert house.help.methods() == []
    assert ended(house) == [(0, "flow_over")]
    assert drained(house)


def test_a_flow_that_gives_up_and_hangs_up_says_why_and_not_that_the_caller_has_left():
    text = Path(__file__).with_name(f"{ALONE}.yaml").read_text("utf-8")
    hangs_up = text.replace("result: failed, to: queue, target: help", "result: failed, to: hangup")
    house = CallHouse()
    house.core.flows_changed({ALONE: load_flow(hangs_up, file="flow")})
    capture_id = listening(house, house.dial_alone())

    house.core.capture_message(house.now_s, FieldGivenUp(capture_id, "pan", RejectReason.LUHN))
    house.run()

    (end,) = [event for event in house.events if isinstance(event, CallEnded)]
    assert (end.reason, end.capture.result) == ("flow_over", CaptureResult.ATTEMPTS_USED)


def test_a_flow_that_cannot_begin_hangs_up_after_the_ack():
    house = CallHouse(routes=(Route("80*", None, FLOW),))  # check refuses such a route

    house.caller.call(user="8000", body=sdp(CALLER.host))
    house.run()

    assert house.caller.methods() == ["BYE"]
    assert ended(house) == [(0, "flow_over")]
    assert drained(house)


# --- crashes ------------------------------------------------------------------------------------------------


def test_control_comes_back_to_a_caller_alone():
    house = CallHouse()
    call_id = house.dial_alone()
    capture_id = listening(house, call_id)

    assert house.crash() == 1

    [view] = house.core.snapshots()
    assert (view.call_id, view.agent_name, view.capture.capture_id) == (call_id, "", capture_id)
    assert house.media.shields["caller"] == "capture"
    house.caller.send("INVITE", sdp(CALLER.host, direction="sendonly", version=2))
    house.run()
    assert house.caller.statuses()[-1] == 200
    house.caller.send("BYE")
    house.run()
    assert ended(house) == [(0, "caller_bye")]
    assert drained(house)


def test_an_agent_of_that_name_removed_from_the_configuration_forgets_the_call():
    house = CallHouse()
    house.talk()
    house.settings.agents.pop("desk")

    assert house.crash() == 0
    assert house.store.records == {}


def test_media_that_died_is_told_of_a_caller_alone():
    house = CallHouse()
    house.dial_alone()
    house.media.log.clear()

    house.core.media_joined(house.now_s)

    assert house.media.log[:3] == [
        ("open", 0),
        ("shield", "caller", "capture"),
        ("shield", "agent", "capture"),
    ]
    assert ("stream", "caller") in house.media.log
