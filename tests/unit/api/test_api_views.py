"""Capture messages become views: counts, masks, brands and words; never a key."""

from __future__ import annotations

import re

import pytest
from api_desk import FIELDS, TEST_PAN, a_call, a_capture
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from pydantic import ValidationError

from dtmf_shield.api.views import (
    CaptureView,
    FieldState,
    FieldView,
    capture_after_outcome,
    capture_after_progress,
    mask,
    new_capture,
    token_reference,
)
from dtmf_shield.model.capture import (
    CaptureOutcome,
    CaptureProgress,
    CaptureResult,
    CaptureState,
    FieldKind,
    FieldSpec,
    KeyedValue,
    RejectReason,
)
from dtmf_shield.model.ids import CallId, CaptureId, OperationId, Token
from dtmf_shield.model.payment import Money

CAP = CaptureId("cap1")


def progress(state: CaptureState, field: str, **more: object) -> CaptureProgress:
    return CaptureProgress(capture_id=CAP, state=state, field=field, **more)


def after(*messages: CaptureProgress) -> CaptureView:
    view = a_capture()
    for message in messages:
        view = capture_after_progress(view, message)
    return view


PAN_HELD = progress(
    CaptureState.HELD, "pan", count=16, length=16, brand="visa", last4="4242", accepted=("pan",)
)


@pytest.mark.parametrize(
    ("kind", "count", "of", "brand", "drawn"),
    [
        (FieldKind.CARD_NUMBER, 12, None, "visa", "•••• •••• ••••"),
        (FieldKind.CARD_NUMBER, 15, 15, "amex", "•••• •••••• •••••"),
        (FieldKind.CARD_NUMBER, 3, 16, "mastercard", "•••○ ○○○○ ○○○○ ○○○○"),
        (FieldKind.CARD_NUMBER, 19, None, None, "•••• •••• •••• •••• •••"),
        (FieldKind.CARD_NUMBER, 0, None, None, ""),
        (FieldKind.CARD_NUMBER, -3, None, None, ""),
        (FieldKind.CARD_NUMBER, 40, None, "amex", "•••• •••••• ••••• ••••"),
        (FieldKind.EXPIRY, 1, 4, None, "•○/○○"),
        (FieldKind.EXPIRY, 4, 4, None, "••/••"),
        (FieldKind.SECURITY_CODE, 2, 3, None, "••○"),
    ],
)
def test_a_mask_draws_keys_and_those_to_come(
    kind: FieldKind, count: int, of: int | None, brand: str | None, drawn: str
) -> None:
    assert mask(kind, count, of, brand) == drawn


def test_a_new_capture_has_every_field_idle_in_order() -> None:
    view = a_capture()

    assert [field.field for field in view.fields] == [spec.name for spec in FIELDS]
    assert {field.state for field in view.fields} == {FieldState.IDLE}


def test_keying_shows_count_and_brand_of_the_current_field_only() -> None:
    pan, expiry, _ = after(progress(CaptureState.KEYING, "pan", count=12, brand="visa")).fields

    assert (pan.state, pan.count, pan.of, pan.masked) == (FieldState.KEYING, 12, None, "•••• •••• ••••")
    assert (pan.brand, pan.last4) == ("visa", None)
    assert expiry.state is FieldState.IDLE


def test_last4_stays_with_the_card_number_while_later_fields_are_keyed() -> None:
    view = after(
        PAN_HELD, progress(CaptureState.KEYING, "cvv", count=2, length=3, brand="visa", accepted=("pan",))
    )

    pan, expiry, cvv = view.fields
    assert (pan.state, pan.last4, pan.brand) == (FieldState.VALID, "4242", "visa")
    assert expiry.state is FieldState.IDLE
    assert (cvv.masked, cvv.brand, cvv.last4, cvv.of) == ("••○", None, None, 3)
    assert view.current == "cvv"


def test_last4_is_left_out_before_acceptance_and_for_other_fields() -> None:
    early = after(progress(CaptureState.KEYING, "pan", count=16, last4="4242"))
    code = after(progress(CaptureState.HELD, "cvv", count=4, last4="4242", accepted=("cvv",)))

    assert [field.last4 for field in (*early.fields, *code.fields)] == [None] * 6


def test_a_field_that_cde_no_longer_holds_starts_over() -> None:
    view = after(PAN_HELD, progress(CaptureState.WAITING, "expiry"))

    assert view.fields[0] == FieldView(field="pan", kind=FieldKind.CARD_NUMBER, label="Card number")


@pytest.mark.parametrize("reason", list(RejectReason))
def test_a_refused_entry_shows_its_reason_until_keys_come(reason: RejectReason) -> None:
    refused = after(progress(CaptureState.WAITING, "pan", reason=reason)).fields[0]
    again = after(progress(CaptureState.KEYING, "pan", count=1, reason=reason)).fields[0]

    expected = FieldState.TIMEOUT if reason is RejectReason.TIMEOUT else FieldState.INVALID
    assert (refused.state, refused.reason) == (expected, reason)
    assert (again.state, again.reason) == (FieldState.KEYING, None)


def test_messages_for_another_capture_or_after_the_end_change_nothing() -> None:
    over = capture_after_outcome(a_capture(), CaptureOutcome(capture_id=CAP, result=CaptureResult.CANCELLED))
    other = CaptureOutcome(capture_id=CaptureId("cap2"), result=CaptureResult.TOKEN)

    assert capture_after_progress(over, PAN_HELD) == over
    assert capture_after_outcome(over, CaptureOutcome(capture_id=CAP, result=CaptureResult.TOKEN)) == over
    assert capture_after_outcome(a_capture(), other) == a_capture()


@pytest.mark.parametrize(
    ("earlier", "told", "shown"),
    [
        (CaptureResult.CALLER_GONE, CaptureResult.APPROVED, CaptureResult.APPROVED),
        (CaptureResult.CALLER_GONE, CaptureResult.UNKNOWN, CaptureResult.UNKNOWN),
        (CaptureResult.UNKNOWN, CaptureResult.DECLINED, CaptureResult.DECLINED),
        (CaptureResult.INTERRUPTED, CaptureResult.TOKEN, CaptureResult.TOKEN),
        (CaptureResult.APPROVED, CaptureResult.UNKNOWN, CaptureResult.APPROVED),
        (CaptureResult.CANCELLED, CaptureResult.TIMED_OUT, CaptureResult.CANCELLED),
    ],
)
def test_a_guess_and_what_was_said_before_money_moved_are_replaced(
    earlier: CaptureResult, told: CaptureResult, shown: CaptureResult
) -> None:
    view = a_capture()
    for result in (earlier, told):
        view = capture_after_outcome(view, CaptureOutcome(capture_id=CAP, result=result))

    assert view.outcome is not None
    assert view.outcome.result is shown


def test_an_approved_payment_shows_its_operation_and_what_was_asked() -> None:
    view = new_capture(
        capture_id=CAP,
        call_id=CallId("c1"),
        flow_id="card-charge",
        fields=(FieldSpec(name="pan", kind=FieldKind.CARD_NUMBER),),
        amount=Money(1050, "EUR"),
    )
    outcome = CaptureOutcome(
        capture_id=CAP, result=CaptureResult.APPROVED, token=Token("tok_1"), operation_id=OperationId("op-17")
    )

    shown = capture_after_outcome(view, outcome)

    assert (shown.amount_minor, shown.currency, shown.state) == (1050, "EUR", CaptureState.DONE)
    assert shown.outcome is not None
    assert shown.outcome.operation_id == "op-17"
    strange = capture_after_outcome(view, replace(outcome, operation_id=OperationId("no such form")))
    assert strange.outcome is not None
    assert strange.outcome.operation_id is None


@pytest.mark.parametrize("state", [CaptureState.SENDING, CaptureState.PAYING, CaptureState.SETTLING])
def test_a_held_card_stays_valid_while_it_is_at_the_gateway(state: CaptureState) -> None:
    view = after(PAN_HELD, progress(state, "pan", accepted=("pan",)))
    assert (view.state, view.fields[0].state) == (state, FieldState.VALID)


def test_a_pause_shows_what_was_keyed() -> None:
    view = after(progress(CaptureState.PAUSED, "pan", count=8, usual=16))
    assert (view.state, view.fields[0].state) == (CaptureState.PAUSED, FieldState.KEYING)
    assert (view.fields[0].count, view.fields[0].of, view.fields[0].of_usual) == (8, None, 16)


def test_a_value_is_shown_only_of_an_accepted_field_that_told_one() -> None:
    told = {"values": (KeyedValue("expiry", "0042"), KeyedValue("cvv", "4" * 12))}
    early = after(progress(CaptureState.KEYING, "expiry", count=4, **told))
    held = after(progress(CaptureState.HELD, "expiry", count=4, accepted=("expiry", "cvv"), **told))

    assert [field.value for field in early.fields] == [None, None, None]
    assert [field.value for field in held.fields] == [None, "0042", None]


def test_a_flow_names_its_fields_itself() -> None:
    spec = FieldSpec(name="policy", kind=FieldKind.DIGITS)
    view = new_capture(
        capture_id=CAP, call_id=CallId("c1"), flow_id="x", fields=(spec,), labels={"policy": "Policy number"}
    )
    assert view.fields[0].label == "Policy number"


def test_an_outcome_shows_a_short_token_brand_last4_and_the_test_mark() -> None:
    outcome = CaptureOutcome(
        capture_id=CAP,
        result=CaptureResult.TOKEN,
        token=Token("tok_8f2b6c1d9f3a"),
        brand="visa",
        last4="4242",
        test=True,
    )

    shown = capture_after_outcome(a_capture(), outcome)

    assert shown.state is CaptureState.DONE
    assert shown.outcome is not None
    assert (shown.outcome.token_reference, shown.outcome.last4, shown.outcome.test) == (
        "tok_…9f3a",
        "4242",
        True,
    )


GOOD = (CaptureResult.TOKEN, CaptureResult.APPROVED)


@pytest.mark.parametrize("result", [result for result in CaptureResult if result not in GOOD])
def test_every_other_result_ends_as_failed(result: CaptureResult) -> None:
    shown = capture_after_outcome(a_capture(), CaptureOutcome(capture_id=CAP, result=result))

    assert shown.state is CaptureState.FAILED


def test_a_token_that_looks_like_a_card_shows_its_last_four_only() -> None:
    assert token_reference(Token(TEST_PAN)) == "…4242"
    assert token_reference(Token("")) is None


@pytest.mark.parametrize("shown", ["••12", "••", "anonymous"])
def test_a_caller_is_shown_by_two_digits_at_most(shown: str) -> None:
    assert a_call(caller_masked=shown).caller_masked == shown


def test_a_dialled_card_number_is_not_shown() -> None:
    assert a_call(dialled=TEST_PAN).dialled == "••••"
    assert a_call().started_at.microsecond == 0


@pytest.mark.parametrize(
    "wrong", [{"masked": "4242"}, {"last4": "42424"}, {"brand": "visa4242"}, {"field": "4242"}]
)
def test_no_field_view_can_be_made_with_a_digit_outside_last4(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        FieldView(**{"field": "pan", "kind": FieldKind.CARD_NUMBER, "label": "Card number", **wrong})


@given(
    state=st.sampled_from(CaptureState),
    field=st.sampled_from(["pan", "expiry", "cvv", "", TEST_PAN]),
    count=st.integers(-2, 30),
    length=st.integers(-2, 30),
    words=st.sampled_from(["", "visa", TEST_PAN, "Visa!"]),
    last4=st.sampled_from(["", "4242", TEST_PAN]),
    reason=st.none() | st.sampled_from(RejectReason),
    accepted=st.lists(st.sampled_from(["pan", "expiry", TEST_PAN])),
)
def test_whatever_a_message_says_no_view_of_it_holds_more_than_four_digits(
    state: CaptureState,
    field: str,
    count: int,
    length: int,
    words: str,
    last4: str,
    reason: RejectReason | None,
    accepted: list[str],
) -> None:
    message = progress(
        state,
        field,
        count=count,
        length=length,
        brand=words,
        last4=last4,
        reason=reason,
        accepted=tuple(accepted),
    )
    end = CaptureOutcome(
        capture_id=CAP,
        result=CaptureResult.TOKEN,
        token=Token(TEST_PAN),
        brand=words,
        last4=last4,
        gateway_code=words,
    )

    view = capture_after_outcome(after(PAN_HELD, message), end)

    CaptureView.model_validate(view.model_dump())
    assert not re.search(r"[0-9]{5}", view.model_dump_json())


def test_a_reference_that_may_be_a_card_number_is_not_shown() -> None:
    def shown(reference: str) -> str:
        return new_capture(
            capture_id=CaptureId("cap1"),
            call_id=CallId("c1"),
            flow_id="card-payment",
            fields=(),
            reference=reference,
        ).reference

    assert shown("88-1932") == "88-1932"
    assert shown(TEST_PAN) == "••••"


def test_a_label_of_the_flow_stays_its_own_through_progress_and_end() -> None:
    named = new_capture(
        capture_id=CAP, call_id=CallId("c1"), flow_id="f", fields=FIELDS, labels={"cvv": "Prüfziffer"}
    )

    keyed = capture_after_progress(named, progress(CaptureState.KEYING, "cvv", count=1))
    ended = capture_after_outcome(keyed, CaptureOutcome(capture_id=CAP, result=CaptureResult.CANCELLED))

    for view in (named, keyed, ended):
        assert [(field.label, field.named) for field in view.fields] == [
            ("Card number", False),
            ("Expiry date", False),
            ("Prüfziffer", True),
        ]
