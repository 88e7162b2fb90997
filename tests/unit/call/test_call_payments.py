"""Payments through a call: the amount and its way, whom attempts count for, pauses, and the truth about money."""

import pytest

from dtmf_shield.call.caller_name import caller_name
from dtmf_shield.call.errors import (
    AmountNeeded,
    AmountNotTaken,
    CaptureOver,
    CaptureSending,
    CaptureUnavailable,
    CaptureUnknown,
)
from dtmf_shield.call.settings import Route
from dtmf_shield.model.capture import CaptureOutcome, CaptureProgress, CaptureResult, CaptureState
from dtmf_shield.model.ids import CaptureId, Token
from dtmf_shield.model.messages import (
    CancelCapture,
    CaptureArmed,
    CollectField,
    PauseCapture,
    ResumeCapture,
    StartCapture,
    SubmitCapture,
)
from dtmf_shield.model.payment import Money, OperationKind
from dtmf_shield.model.stream import ShieldMode
from tests.unit.call.call_house import CHARGE, FLOW, CallHouse

FIELDS = ("pan", "expiry", "cvv")
PRICE = Money(1050, "EUR")


def arm(flow=CHARGE, amount=PRICE, **options):
    house = CallHouse(**options)
    call_id = house.talk()
    capture_id = house.core.start_capture(house.now_s, call_id, flow, "order", amount)
    house.confirm_shield(call_id, ShieldMode.CAPTURE)
    house.core.capture_message(house.now_s, CaptureArmed(capture_id))
    return house, call_id, capture_id


def tell(house, capture_id, state, accepted=(), **more):
    message = CaptureProgress(capture_id=capture_id, state=state, accepted=accepted, **more)
    house.core.capture_message(house.now_s, message)


def hold_all(house, capture_id):
    for count in range(1, len(FIELDS) + 1):
        tell(house, capture_id, CaptureState.HELD, FIELDS[:count])


def end(house, capture_id, result):
    outcome = CaptureOutcome(capture_id=capture_id, result=result, token=Token("tok_1"))
    house.core.capture_message(house.now_s, outcome)


def asked_last(house):
    last = house.capture.sent[-1]
    return last.field if isinstance(last, CollectField) else last


def test_the_amount_and_the_operation_reach_cde():
    house, call_id, capture_id = arm()
    hold_all(house, capture_id)

    assert house.capture.sent[-1] == SubmitCapture(capture_id, "order", OperationKind.CHARGE, 1050, "EUR")
    assert house.core.snapshot(call_id).capture.amount == PRICE


def test_a_token_is_asked_for_without_an_amount():
    house, _, capture_id = arm(FLOW, Money())
    hold_all(house, capture_id)
    assert house.capture.sent[-1] == SubmitCapture(capture_id, "order", OperationKind.TOKENIZE)


def test_an_amount_is_needed_or_refused_before_anything_is_masked():
    house = CallHouse()
    call_id = house.talk()
    before = list(house.media.log)

    with pytest.raises(AmountNeeded):
        house.core.start_capture(house.now_s, call_id, CHARGE)
    with pytest.raises(AmountNotTaken):
        house.core.start_capture(house.now_s, call_id, FLOW, "", PRICE)

    assert house.media.log == before
    assert house.core.snapshot(call_id).capture is None


def test_a_refused_start_leaves_the_last_capture_where_it_was():
    house, call_id, capture_id = arm()
    house.core.cancel_capture(house.now_s, capture_id)

    with pytest.raises(AmountNeeded):
        house.core.start_capture(house.now_s, call_id, CHARGE)

    with pytest.raises(CaptureOver):
        house.core.cancel_capture(house.now_s, capture_id)


def test_a_route_to_a_flow_that_needs_an_amount_still_connects_the_call():
    house = CallHouse(routes=(Route("44*", "desk", CHARGE),))
    call_id = house.talk()
    assert house.core.snapshot(call_id).capture is None


def test_attempts_count_for_flow_agent_and_a_name_that_is_not_the_number():
    house, _, _ = arm(caller_key=b"key")

    (start,) = [message for message in house.capture.sent if isinstance(message, StartCapture)]

    assert (start.flow, start.agent) == (CHARGE, "desk")
    assert start.caller == caller_name(b"key", "+441234567890")
    assert len(start.caller) == 32
    assert "1234567890" not in start.caller


def test_a_callers_name_is_his_alone_and_of_one_service_alone():
    assert caller_name(b"key", "+44123") == caller_name(b"key", "+44123")
    assert caller_name(b"key", "+44123") != caller_name(b"key", "+44124")
    assert caller_name(b"key", "+44123") != caller_name(b"other", "+44123")
    assert [caller_name(b"key", ""), caller_name(b"key", "Anonymous"), caller_name(b"", "+44123")] == [
        "",
        "",
        "",
    ]


@pytest.mark.parametrize("state", [CaptureState.SENDING, CaptureState.PAYING, CaptureState.SETTLING])
def test_control_that_comes_back_leaves_a_payment_alone_and_remembers_its_amount(state):
    house, call_id, capture_id = arm()
    house.crash()
    house.capture.sent.clear()

    tell(house, capture_id, state, FIELDS)

    assert house.capture.sent == []
    with pytest.raises(CaptureSending):
        house.core.cancel_capture(house.now_s, capture_id)
    assert house.core.snapshot(call_id).capture.amount == PRICE


def test_control_that_comes_back_before_the_end_still_charges_the_amount():
    house, _, capture_id = arm()
    house.crash()
    tell(house, capture_id, CaptureState.HELD, FIELDS)
    assert house.capture.sent[-1] == SubmitCapture(capture_id, "order", OperationKind.CHARGE, 1050, "EUR")


def test_approved_money_replaces_what_was_said_meanwhile_and_nothing_replaces_it():
    house, call_id, capture_id = arm()
    house.core.cancel_capture(house.now_s, capture_id)

    end(house, capture_id, CaptureResult.APPROVED)
    end(house, capture_id, CaptureResult.UNKNOWN)

    shown = house.core.snapshot(call_id).capture
    assert (shown.outcome.result, shown.state) == (CaptureResult.APPROVED, CaptureState.DONE)


def test_a_field_that_another_made_worthless_is_asked_for_again():
    house, _, capture_id = arm()
    house.core.request_field(house.now_s, capture_id, "cvv")
    tell(house, capture_id, CaptureState.HELD, ("cvv",))
    house.core.request_field(house.now_s, capture_id, "pan")
    tell(house, capture_id, CaptureState.HELD, ("pan",))
    tell(house, capture_id, CaptureState.HELD, ("pan", "expiry"))
    assert asked_last(house) == "cvv"


# --- the pause --------------------------------------------------------------------------------------------


def test_pause_and_resume_reach_cde_once_each_and_the_mask_stays():
    house, _, capture_id = arm()
    for _ in range(2):
        house.core.pause_capture(house.now_s, capture_id)
    assert house.media.shields == {"caller": "capture", "agent": "capture"}
    for _ in range(2):
        house.core.resume_capture(house.now_s, capture_id)

    assert house.capture.sent[-2:] == [PauseCapture(capture_id), ResumeCapture(capture_id)]
    assert sum(isinstance(message, (PauseCapture, ResumeCapture)) for message in house.capture.sent) == 2


def test_what_the_flow_wants_waits_for_the_end_of_the_pause():
    house, _, capture_id = arm()
    house.core.pause_capture(house.now_s, capture_id)
    tell(house, capture_id, CaptureState.HELD, ("pan",))  # accepted as the pause began
    tell(house, capture_id, CaptureState.PAUSED, ("pan",))
    assert house.capture.sent[-1] == PauseCapture(capture_id)

    house.core.resume_capture(house.now_s, capture_id)

    assert house.capture.sent[-2] == ResumeCapture(capture_id)
    assert asked_last(house) == "expiry"


def test_a_field_asked_for_ends_the_pause():
    house, _, capture_id = arm()
    house.core.pause_capture(house.now_s, capture_id)
    house.core.request_field(house.now_s, capture_id, "expiry")
    house.core.resume_capture(house.now_s, capture_id)

    assert asked_last(house) == "expiry"


def test_cancel_works_in_a_pause():
    house, _, capture_id = arm()
    house.core.pause_capture(house.now_s, capture_id)
    house.core.cancel_capture(house.now_s, capture_id)
    assert house.capture.sent[-1] == CancelCapture(capture_id)


@pytest.mark.parametrize(
    ("open_field", "accepted", "asked"), [("pan", (), []), ("pan", ("pan",), ["expiry"]), ("", (), ["pan"])]
)
def test_control_that_comes_back_in_a_pause_goes_on_where_it_was(open_field, accepted, asked):
    house, _, capture_id = arm()
    house.core.pause_capture(house.now_s, capture_id)
    house.crash()
    house.capture.sent.clear()
    tell(house, capture_id, CaptureState.PAUSED, accepted, field=open_field)
    assert house.capture.sent == []

    house.core.resume_capture(house.now_s, capture_id)

    assert house.capture.sent[0] == ResumeCapture(capture_id)
    assert [message.field for message in house.capture.sent[1:]] == asked


def test_no_pause_before_keys_count_nor_at_the_gateway_nor_of_nothing():
    house = CallHouse()
    call_id = house.talk()
    capture_id = house.core.start_capture(house.now_s, call_id, CHARGE, "", PRICE)
    with pytest.raises(CaptureUnavailable):
        house.core.pause_capture(house.now_s, capture_id)
    with pytest.raises(CaptureUnknown):
        house.core.pause_capture(house.now_s, CaptureId("other"))

    house, _, capture_id = arm()
    hold_all(house, capture_id)
    with pytest.raises(CaptureSending):
        house.core.pause_capture(house.now_s, capture_id)


@pytest.mark.parametrize("step", ["pause_capture", "resume_capture"])
def test_cde_that_is_away_interrupts(step):
    house, call_id, capture_id = arm()
    if step == "resume_capture":
        house.core.pause_capture(house.now_s, capture_id)
    house.capture.up = False

    getattr(house.core, step)(house.now_s, capture_id)

    assert house.core.snapshot(call_id).capture.outcome.result is CaptureResult.INTERRUPTED
