"""Flows reload without dropping a call: a capture runs the version it began with, the next one begins with the new."""

from dataclasses import replace

from dtmf_shield.flow.engine.compiler import fingerprint
from dtmf_shield.flow.loader import load_flow
from dtmf_shield.model.capture import CaptureOutcome, CaptureProgress, CaptureResult, CaptureState
from dtmf_shield.model.messages import CancelCapture, CaptureArmed, CollectField, StartCapture, SubmitCapture
from dtmf_shield.model.stream import ShieldMode
from tests.unit.call.call_house import FLOW, FLOW_FILE, CallHouse

TEXT = FLOW_FILE.read_text("utf-8")
OLD = load_flow(TEXT, file="old")
# Another name for a field: a message of one version says at once that it is not of the other.
NEW = load_flow(TEXT.replace("cvv", "code"), file="new")


def armed(house, call_id):
    capture_id = house.core.start_capture(house.now_s, call_id, FLOW)
    house.confirm_shield(call_id, ShieldMode.CAPTURE)
    house.core.capture_message(house.now_s, CaptureArmed(capture_id))
    return capture_id


def hold(house, capture_id, *accepted):
    progress = CaptureProgress(capture_id=capture_id, state=CaptureState.HELD, accepted=accepted)
    house.core.capture_message(house.now_s, progress)


def reload(house, flows):
    house.core.flows_changed(flows)
    house.settings = replace(house.settings, flows=flows)


def outcome(capture_id):
    return CaptureOutcome(capture_id=capture_id, result=CaptureResult.TOKEN)


def last(house):
    return house.capture.sent[-1]


def asked(house):
    question = last(house)
    assert isinstance(question, CollectField)
    return question.capture_id, question.field


def test_a_capture_that_runs_keeps_its_flow_and_the_next_has_the_new_one():
    house = CallHouse()
    call_id = house.talk()
    first = armed(house, call_id)

    reload(house, {FLOW: NEW})
    hold(house, first, "pan")
    hold(house, first, "pan", "expiry")
    assert asked(house) == (first, "cvv")
    hold(house, first, "pan", "expiry", "cvv")
    assert isinstance(last(house), SubmitCapture)
    house.core.capture_message(house.now_s, outcome(first))
    second = armed(house, call_id)

    specs = [message.spec for message in house.capture.sent if isinstance(message, StartCapture)]
    assert [[field.name for field in spec.fields] for spec in specs] == [
        ["pan", "expiry", "cvv"],
        ["pan", "expiry", "code"],
    ]
    assert house.core.snapshot(call_id).capture.capture_id == second
    assert house.core.snapshot(call_id).capture.flow is NEW


def test_a_capture_whose_flow_is_gone_goes_on_and_shows_its_own():
    house = CallHouse()
    call_id = house.talk()
    capture_id = armed(house, call_id)

    reload(house, {})
    hold(house, capture_id, "pan")

    assert asked(house) == (capture_id, "expiry")
    assert house.core.snapshot(call_id).capture.flow == OLD
    assert house.core.snapshot(call_id).capture.flow_fingerprint == fingerprint(OLD)


def test_a_control_that_died_after_a_reload_takes_the_capture_up_with_its_own_version():
    house = CallHouse()
    capture_id = armed(house, house.talk())
    reload(house, {FLOW: NEW})
    house.capture.sent.clear()

    house.crash(versions={fingerprint(OLD): OLD})
    hold(house, capture_id, "pan", "expiry")

    assert len(house.capture.sent) == 1
    assert asked(house) == (capture_id, "cvv")


def test_a_capture_whose_version_nobody_has_any_more_is_ended_rather_than_run_by_another():
    house = CallHouse()
    capture_id = armed(house, house.talk())
    reload(house, {FLOW: NEW})
    house.capture.sent.clear()

    house.crash()

    assert house.capture.sent == [CancelCapture(capture_id, CaptureResult.INTERRUPTED)]
    assert house.media.shields == {"caller": "capture", "agent": "capture"}
