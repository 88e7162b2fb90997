"""Captures counted for reports out of what control is told: times, attempts, refusals, steps; twice told is once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dtmf_shield.call.events import CallPhase, CallSnapshot, CaptureSnapshot
from dtmf_shield.model.capture import (
    CaptureOutcome,
    CaptureProgress,
    CaptureResult,
    CaptureState,
    FieldKind,
    FieldSpec,
    RejectReason,
)
from dtmf_shield.model.ids import CallId, CaptureId
from dtmf_shield.model.messages import FieldGivenUp
from dtmf_shield.model.report import FieldTally
from dtmf_shield.model.stream import ShieldMode
from dtmf_shield.service.control.capture_tally import SECONDS_MAX, CaptureTallies

CAP = CaptureId("cap1")
SPEC = SimpleNamespace(
    fields=(
        FieldSpec(name="pan", kind=FieldKind.CARD_NUMBER),
        FieldSpec(name="cvv", kind=FieldKind.SECURITY_CODE),
    )
)
FLOW = SimpleNamespace(capture_spec=lambda: SPEC)


def call(capture_id: str = "cap1", step: str = "ask_card", **changed) -> CallSnapshot:
    """Return a call with a capture."""
    capture = CaptureSnapshot(
        capture_id=CaptureId(capture_id),
        flow_id="card",
        state=CaptureState.WAITING,
        step=step,
        flow=FLOW,  # type: ignore[arg-type]  # a double
        **changed,
    )
    mode = ShieldMode.CAPTURE
    return CallSnapshot(CallId("c1"), 0, "t", "ann", "1", "••12", CallPhase.TALKING, 0.0, mode, mode, capture)


def progress(field: str = "pan", **said) -> CaptureProgress:
    return CaptureProgress(**{"capture_id": CAP, "state": CaptureState.KEYING, "field": field, **said})


@pytest.fixture
def tallies() -> CaptureTallies:
    tallies = CaptureTallies()
    tallies.changed(call(), 1_000.9)
    return tallies


def end(tallies: CaptureTallies, result: CaptureResult = CaptureResult.APPROVED, **facts):
    return tallies.ended(CaptureOutcome(capture_id=CAP, result=result, **facts))


def test_a_begin_is_told_once_in_whole_seconds():
    tallies = CaptureTallies()

    begins = [tallies.changed(call(), 1_000.9), tallies.changed(call(step="ask_code"), 1_007.0)]

    assert (begins[0].capture_id, begins[0].began_s, begins[0].flow, begins[0].agent) == (
        CAP,
        1_000,
        "card",
        "ann",
    )
    assert begins[1] is None


def test_a_field_takes_from_asked_to_accepted_with_its_refusals(tallies):
    tallies.progressed(progress(), 10.0)
    tallies.progressed(progress(count=7), 13.0)
    tallies.progressed(progress(attempt=2, reason=RejectReason.LUHN), 20.0)
    tallies.progressed(progress(attempt=2, reason=RejectReason.LUHN), 20.3)
    tallies.progressed(progress(attempt=2, count=16), 24.0)
    tallies.progressed(progress(attempt=3, reason=RejectReason.LUHN), 25.0)
    tallies.progressed(progress(attempt=3, accepted=("pan",)), 31.4)
    tallies.progressed(progress("cvv", accepted=("pan",)), 32.0)

    assert end(tallies).fields == (
        FieldTally("pan", FieldKind.CARD_NUMBER, 3, 21, ((RejectReason.LUHN, 2),)),
        FieldTally("cvv", FieldKind.SECURITY_CODE, 1, None),
    )


def test_a_field_asked_again_adds_its_rounds_and_not_the_time_between(tallies):
    tallies.progressed(progress(), 0.0)
    tallies.progressed(progress(accepted=("pan",)), 10.0)
    tallies.progressed(progress("cvv", accepted=("pan",)), 10.0)
    tallies.progressed(progress(), 60.0)
    tallies.progressed(progress(accepted=("pan",)), 65.0)

    pan, cvv = end(tallies).fields

    assert (pan.attempts, pan.seconds) == (2, 15)
    assert (cvv.attempts, cvv.seconds) == (1, None)


def test_an_open_field_reset_counts_the_same_refusal_once_more(tallies):
    tallies.progressed(progress(attempt=2, reason=RejectReason.LUHN), 1.0)
    tallies.progressed(progress(attempt=1), 2.0)
    tallies.progressed(progress(attempt=2, reason=RejectReason.LUHN), 3.0)

    (pan,) = end(tallies).fields

    assert (pan.attempts, pan.rejects) == (3, ((RejectReason.LUHN, 2),))


def test_the_last_refusal_is_one_too(tallies):
    tallies.progressed(progress(), 0.0)
    tallies.progressed(progress(attempt=2, reason=RejectReason.TIMEOUT), 8.0)
    tallies.given_up(FieldGivenUp(CAP, "pan", RejectReason.TIMEOUT))
    tallies.progressed(progress("", reason=RejectReason.TIMEOUT, state=CaptureState.HELD), 16.0)

    (pan,) = end(tallies, CaptureResult.ATTEMPTS_USED).fields

    assert (pan.attempts, pan.seconds, pan.rejects) == (2, None, ((RejectReason.TIMEOUT, 2),))


def test_a_field_keyed_ahead_took_no_time(tallies):
    tallies.progressed(progress("cvv", accepted=("pan",)), 5.0)

    assert end(tallies).fields[0] == FieldTally("pan", FieldKind.CARD_NUMBER, 1, 0)


def test_time_is_bounded(tallies):
    tallies.progressed(progress(), 0.0)
    tallies.progressed(progress(accepted=("pan",)), 1e9)

    assert end(tallies).fields[0].seconds == SECONDS_MAX


def test_the_end_knows_the_last_step_while_the_call_was_there(tallies):
    tallies.changed(call(step="ask_code"), 1_010.0)
    tallies.changed(call(step=""), 1_011.0)

    ended = end(tallies, CaptureResult.CALLER_GONE, brand="visa", test=True)

    assert (ended.step, ended.brand, ended.test) == ("ask_code", "visa", True)


def test_what_is_not_known_changes_nothing_and_an_end_is_told_all_the_same():
    tallies = CaptureTallies()
    tallies.progressed(progress(), 0.0)
    tallies.given_up(FieldGivenUp(CAP, "pan", RejectReason.LUHN))

    ended = end(tallies, CaptureResult.UNKNOWN)

    assert (ended.result, ended.step, ended.fields) == (CaptureResult.UNKNOWN, "", ())
    assert not tallies.runs(CAP)


def test_a_field_that_the_flow_has_not_is_passed_over(tallies):
    tallies.progressed(progress("secret", accepted=("other",)), 0.0)
    tallies.given_up(FieldGivenUp(CAP, "other", RejectReason.LUHN))

    assert end(tallies).fields == ()


def test_over_the_limit_the_oldest_is_forgotten():
    tallies = CaptureTallies(running_max=2)
    for name in ("a", "b", "c"):
        tallies.changed(call(name), 0.0)

    assert [tallies.runs(CaptureId(name)) for name in ("a", "b", "c")] == [False, True, True]


def test_a_call_whose_capture_has_ended_begins_nothing():
    tallies = CaptureTallies()
    over = CaptureOutcome(capture_id=CAP, result=CaptureResult.TOKEN)

    assert tallies.changed(call(outcome=over), 0.0) is None
    assert not tallies.runs(CAP)
