"""Captures within calls: mask first, then listen; INFO bodies; the tail; crashes of each process."""

import pytest

from dtmf_shield.call.errors import (
    CallNotTalking,
    CaptureOver,
    CaptureRunning,
    CaptureSending,
    FieldUnknown,
    FlowUnknown,
)
from dtmf_shield.call.settings import Route
from dtmf_shield.model.capture import CaptureOutcome, CaptureProgress, CaptureResult, CaptureState
from dtmf_shield.model.ids import LegRole, Token
from dtmf_shield.model.messages import (
    CancelCapture,
    CaptureArmed,
    CollectField,
    StarCodeKeyed,
    StartCapture,
    SubmitCapture,
)
from dtmf_shield.model.stream import ShieldMode
from tests.unit.call.call_house import AGENT, CALLER, FLOW, CallHouse, sdp

FIELDS = ("pan", "expiry", "cvv")


def kinds(house):
    return [type(message) for message in house.capture.sent]


def arm(house):
    call_id = house.talk()
    capture_id = house.core.start_capture(house.now_s, call_id, FLOW, "order")
    house.confirm_shield(call_id, ShieldMode.CAPTURE)
    house.core.capture_message(house.now_s, CaptureArmed(capture_id))
    return call_id, capture_id


def progress(house, capture_id, count, state=CaptureState.HELD):
    message = CaptureProgress(capture_id=capture_id, state=state, accepted=FIELDS[:count])
    house.core.capture_message(house.now_s, message)


def end(house, capture_id, result=CaptureResult.TOKEN):
    outcome = CaptureOutcome(capture_id=capture_id, result=result, token=Token("tok_test"))
    house.core.capture_message(house.now_s, outcome)


def test_cde_listens_only_after_media_masks_the_caller():
    house = CallHouse()
    call_id = house.talk()
    house.core.start_capture(house.now_s, call_id, FLOW)

    assert house.media.shields == {"caller": "capture", "agent": "capture"}
    assert house.capture.sent == []
    house.confirm_shield(call_id, ShieldMode.GUARD)
    assert house.capture.sent == []
    house.confirm_shield(call_id, ShieldMode.CAPTURE)
    assert kinds(house) == [StartCapture]


def test_a_capture_goes_field_by_field_to_its_token_and_its_tail():
    house = CallHouse()
    call_id, capture_id = arm(house)
    for count in (1, 2, 3):
        progress(house, capture_id, count)

    assert kinds(house) == [StartCapture, CollectField, CollectField, CollectField, SubmitCapture]
    assert [m.field for m in house.capture.sent[1:4]] == list(FIELDS)
    assert house.capture.sent[4].reference == "order"
    with pytest.raises(CaptureSending):
        house.core.cancel_capture(house.now_s, capture_id)
    end(house, capture_id)
    assert house.core.snapshot(call_id).capture.state is CaptureState.DONE
    house.run(2.9)
    assert house.media.shields["caller"] == "capture"
    house.run(0.2)
    assert house.media.shields == {"caller": "guard", "agent": "guard"}
    with pytest.raises(CaptureOver):
        house.core.cancel_capture(house.now_s, capture_id)


def test_a_field_is_collected_again_when_asked_for():
    house = CallHouse()
    _, capture_id = arm(house)
    progress(house, capture_id, 1)

    house.core.request_field(house.now_s, capture_id, "pan")

    assert house.capture.sent[-1].field == "pan"
    progress(house, capture_id, 0, CaptureState.WAITING)
    progress(house, capture_id, 1)
    assert house.capture.sent[-1].field == "expiry"
    with pytest.raises(FieldUnknown):
        house.core.request_field(house.now_s, capture_id, "other")


def test_what_cannot_start_is_refused_by_its_name():
    house = CallHouse()
    house.caller.call(body=sdp(CALLER.host))
    house.run()
    with pytest.raises(CallNotTalking):
        house.core.start_capture(house.now_s, house.core.snapshots()[0].call_id, FLOW)
    house.agent.answer(200, sdp(AGENT.host))
    house.run()
    call_id = house.core.snapshots()[0].call_id
    with pytest.raises(FlowUnknown):
        house.core.start_capture(house.now_s, call_id, "nothing")
    house.core.start_capture(house.now_s, call_id, FLOW)

    with pytest.raises(CaptureRunning):
        house.core.start_capture(house.now_s, call_id, FLOW)


def test_the_agents_star_code_starts_the_default_flow_and_the_callers_nothing():
    house = CallHouse()
    call_id = house.talk()

    house.core.star_code_keyed(house.now_s, StarCodeKeyed(call_id, LegRole.CALLER, 0))
    assert house.core.snapshot(call_id).capture is None
    for _ in range(2):
        house.core.star_code_keyed(house.now_s, StarCodeKeyed(call_id, LegRole.AGENT, 0))

    assert house.core.snapshot(call_id).capture.flow_id == FLOW


def test_a_route_engages_its_flow_upon_answer():
    house = CallHouse(routes=(Route("44*", "desk", FLOW),))

    call_id = house.talk()

    assert house.core.snapshot(call_id).capture.flow_id == FLOW
    assert house.media.shields["caller"] == "capture"


def test_cancel_and_hang_up_reach_cde():
    house = CallHouse()
    _, capture_id = arm(house)
    house.core.cancel_capture(house.now_s, capture_id)
    assert house.capture.sent[-1] == CancelCapture(capture_id=capture_id)

    other = CallHouse()
    _, capture_id = arm(other)
    other.caller.send("BYE")
    other.run()

    assert other.capture.sent[-1] == CancelCapture(capture_id=capture_id, result=CaptureResult.CALLER_GONE)


def test_a_capture_that_nobody_arms_is_interrupted_and_masked_for_the_tail():
    house = CallHouse()
    call_id = house.talk()
    house.core.start_capture(house.now_s, call_id, FLOW)

    house.run(5.1)

    assert house.core.snapshot(call_id).capture.outcome.result is CaptureResult.INTERRUPTED
    assert house.media.shields["caller"] == "capture"
    house.run(3.1)
    assert house.media.shields["caller"] == "guard"


@pytest.mark.parametrize("kind", ["application/dtmf-relay", "application/dtmf"])
@pytest.mark.parametrize("side", ["caller", "agent"])
def test_info_keys_go_to_cde_alone_and_are_wiped_here(kind, side):
    house = CallHouse()
    house.talk()
    before = len(house.net.sent)

    getattr(house, side).send("INFO", b"Signal=7\r\nDuration=160\r\n", kind)
    house.run()

    assert house.capture.infos == [(side, b"Signal=7\r\nDuration=160\r\n")]
    assert getattr(house, side).statuses("INFO") == [200]
    assert len(house.net.sent) == before + 2


def test_info_is_415_where_the_trunk_shuts_the_door_or_the_type_is_another():
    shut = CallHouse(accept_info=False)
    shut.talk()
    shut.caller.send("INFO", b"Signal=7", "application/dtmf-relay")
    shut.run()
    other = CallHouse()
    other.talk()
    other.caller.send("INFO", b"x", "text/plain")
    other.caller.send("INFO", b"x", "application/dtmf", headers=[("Info-Package", "dtmf")])
    other.run()

    assert (shut.caller.statuses("INFO"), shut.capture.infos) == ([415], [])
    assert (other.caller.statuses("INFO"), other.capture.infos) == ([415, 469], [])
    assert "INFO" not in shut.agent.methods() + other.agent.methods()


def test_a_full_mailbox_is_503():
    house = CallHouse()
    house.talk()
    house.capture.up = False

    house.caller.send("INFO", b"Signal=7", "application/dtmf-relay")
    house.run()

    assert house.caller.statuses("INFO") == [503]


def test_after_a_crash_of_control_both_dialogs_go_on():
    house = CallHouse()
    house.talk()

    assert house.crash() == 1
    house.caller.send("OPTIONS")
    house.agent.direction = "recvonly"
    house.caller.send("INVITE", sdp(CALLER.host, direction="sendonly", version=2))
    house.run()
    house.agent.send("INFO", b"Signal=*", "application/dtmf-relay")
    house.run()
    house.agent.send("BYE")
    house.run()

    assert house.caller.statuses("OPTIONS") == [200]
    assert house.agent.methods() == ["INVITE", "INVITE"]
    assert b"a=sendonly" in house.agent.requests[-1].body
    assert house.agent.statuses() == [200, 200]
    assert house.caller.methods() == ["BYE"]
    house.run(140)
    assert set(house.core.table_sizes()) == {0}
    assert house.store.records == {}


def test_a_record_holds_no_sdp_text_and_packs_to_json():
    import msgspec

    house = CallHouse()
    house.talk()

    [record] = house.store.records.values()
    packed = msgspec.json.encode(record)

    assert b"v=0" not in packed
    assert b"secret\\r" not in packed
    assert msgspec.json.decode(packed, type=type(record)) == record


def test_a_crash_of_control_in_a_capture_keeps_the_mask_and_finds_its_place():
    house = CallHouse()
    call_id, capture_id = arm(house)
    progress(house, capture_id, 1)

    house.crash()
    assert house.media.shields == {"caller": "capture", "agent": "capture"}
    progress(house, capture_id, 2)

    assert house.core.snapshot(call_id).capture.capture_id == capture_id
    assert (house.capture.sent[-1].capture_id, house.capture.sent[-1].field) == (capture_id, "cvv")


def test_a_call_that_rang_when_control_died_is_forgotten():
    house = CallHouse()
    house.caller.call(body=sdp(CALLER.host))
    house.run()

    assert house.crash() == 0


def test_a_crash_of_media_opens_the_row_again_masked_before_any_stream():
    house = CallHouse()
    call_id, _ = arm(house)
    house.media.log.clear()

    house.core.media_restarted(house.now_s)

    assert house.media.log[0] == ("open", 0)
    assert house.media.log[1:3] == [("shield", "caller", "capture"), ("shield", "agent", "capture")]
    assert house.media.log[3:] == [("stream", "caller"), ("stream", "agent")]
    assert house.core.snapshot(call_id).capture.outcome.result is CaptureResult.INTERRUPTED


def test_a_crash_of_media_outside_a_capture_comes_back_under_guard():
    house = CallHouse()
    house.talk()
    house.media.log.clear()

    house.core.media_restarted(house.now_s)

    assert ("shield", "caller", "guard") in house.media.log


def test_a_crash_of_cde_interrupts_and_keeps_the_mask():
    house = CallHouse()
    call_id, _ = arm(house)

    house.core.cde_restarted(house.now_s)

    assert house.core.snapshot(call_id).capture.outcome.result is CaptureResult.INTERRUPTED
    assert house.media.shields["caller"] == "capture"
