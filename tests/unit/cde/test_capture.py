"""The capture machine: keys of callers as they come. Its states are test_capture_states.py's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtmf_shield.account_data import slots
from dtmf_shield.base.errors import InvariantError
from dtmf_shield.cde.capture import SWALLOW_S_MAX
from dtmf_shield.cde.capture_news import Change
from dtmf_shield.cde.capture_table import ENDED
from dtmf_shield.cde.doors import HELD_S_MAX, PAIR_WINDOW_S
from dtmf_shield.cde.gateways.base import GatewayResult, GatewayResultKind, SlotField
from dtmf_shield.model.capture import (
    CaptureResult,
    CaptureSpec,
    CaptureState,
    FieldKind,
    FieldSpec,
    RejectReason,
    ResetKeys,
    SubmitKey,
    UndoKey,
)
from dtmf_shield.model.ids import CaptureId
from dtmf_shield.model.messages import FieldGivenUp
from tests.unit.cde.capture_line import (
    AMEX,
    CODE,
    EXPIRY,
    FIELDS,
    MASTERCARD,
    PAN,
    VISA,
    Line,
    held_card,
    in_state,
)

# --- whole captures ---------------------------------------------------------------------------------------


def test_whole_card_is_held_and_its_slot_wiped_after_the_token() -> None:
    line = held_card()
    card = line.capture.submit(line.now_s)
    assert bytes(card.part(SlotField.NUMBER)).decode() == VISA
    assert bytes(card.part(SlotField.EXPIRY_MONTH)) == b"12"
    assert bytes(card.part(SlotField.EXPIRY_YEAR)) == b"30"
    assert bytes(card.part(SlotField.EXPIRY_YEAR_LONG)) == b"2030"
    assert bytes(card.part(SlotField.POSTAL_CODE)) == b""
    assert bytes(card.part(SlotField.SECURITY_CODE)) == b"123"

    line.capture.settle(GatewayResult(GatewayResultKind.APPROVED, token="tok_1"))

    outcome = line.capture.outcome
    assert (outcome.result, outcome.token, outcome.brand, outcome.last4) == (
        CaptureResult.TOKEN,
        "tok_1",
        "visa",
        "4242",
    )
    assert line.empty()


@pytest.mark.parametrize("missing", [PAN, EXPIRY, CODE])
def test_submit_with_a_field_of_the_card_missing_is_refused(missing: str) -> None:
    line = Line().armed()
    for name, keys in ((PAN, MASTERCARD), (EXPIRY, "1230"), (CODE, "123#")):
        if name != missing:
            line.collect(name).key(keys)

    with pytest.raises(InvariantError):
        line.capture.submit(line.now_s)
    assert line.state is CaptureState.HELD


def test_fields_that_are_of_no_card_and_optional_ones_may_be_left_out() -> None:
    spec = CaptureSpec(
        fields=(
            FIELDS[0],
            FIELDS[1],
            FieldSpec(name=CODE, kind=FieldKind.SECURITY_CODE, optional=True),
            FieldSpec(name="zip", kind=FieldKind.POSTAL_CODE),
            FieldSpec(name="born", kind=FieldKind.DATE_OF_BIRTH),
            FieldSpec(name="policy", kind=FieldKind.DIGITS, length_min=4),
        )
    )
    line = Line(spec).armed().collect(PAN).key(MASTERCARD).collect(EXPIRY).key("1230")

    card = line.capture.submit(line.now_s)

    assert bytes(card.part(SlotField.NUMBER)).decode() == MASTERCARD
    assert bytes(card.part(SlotField.SECURITY_CODE)) == bytes(card.part(SlotField.POSTAL_CODE)) == b""


@pytest.mark.parametrize("kind", [FieldKind.BANK_ACCOUNT, FieldKind.ROUTING_NUMBER])
def test_submit_with_a_field_of_the_account_missing_is_refused(kind: FieldKind) -> None:
    policy = FieldSpec(name="policy", kind=FieldKind.DIGITS, length_min=4, length_max=4)
    line = Line(CaptureSpec(fields=(FieldSpec(name="account", kind=kind), policy))).armed()
    with pytest.raises(InvariantError):
        line.collect("policy").key("1234").capture.submit(line.now_s)


def test_submit_of_nothing_at_all_is_refused() -> None:
    line = Line(CaptureSpec(fields=(FieldSpec(name="zip", kind=FieldKind.POSTAL_CODE),))).armed()
    with pytest.raises(InvariantError):
        line.capture.submit(line.now_s)


# --- submission -------------------------------------------------------------------------------------------


def test_certain_length_submits_itself() -> None:
    line = Line().armed().collect(PAN).key(MASTERCARD)
    assert line.state is CaptureState.HELD
    assert line.capture.progress().last4 == "4444"


def test_amex_has_fifteen_digits_and_a_code_of_four() -> None:
    assert held_card(AMEX, "1234").capture.accepted_brand == "amex"


def test_visa_of_sixteen_waits_for_hash_or_the_settle_time() -> None:
    line = Line().armed().collect(PAN).key(VISA)
    assert line.state.value == "keying"

    line.wait(1.9)
    assert line.state.value == "keying"
    line.wait(0.2)
    assert line.state is CaptureState.HELD


def test_visa_narrowed_by_a_longer_number_is_not_cut_short() -> None:
    line = Line().armed().collect(PAN).key("424242424242424242", gap_s=0.5)
    assert line.state is CaptureState.KEYING
    assert line.capture.progress().count == 18


def test_hash_submits() -> None:
    assert Line().armed().collect(PAN).key(VISA + "#").state is CaptureState.HELD


def test_wrong_check_digit_of_certain_length_asks_again_at_once() -> None:
    line = Line().armed().collect(PAN).key("5555555555554445")
    assert (line.state, line.reason) == (CaptureState.WAITING, RejectReason.LUHN)
    assert line.capture.progress().attempt == 2
    assert line.number() == b""


def test_one_hash_right_after_auto_submit_is_swallowed() -> None:
    line = Line().armed().collect(PAN).key(MASTERCARD + "#").collect(EXPIRY)
    assert (line.state, line.reason) == (CaptureState.WAITING, None)

    line.key("#")
    assert line.reason is RejectReason.TOO_SHORT


@pytest.mark.parametrize(("after_s", "skipped"), [(1.0, False), (SWALLOW_S_MAX + 0.1, True)])
def test_late_hash_skips_an_optional_field_instead_of_being_swallowed(after_s: float, skipped: bool) -> None:
    code = FieldSpec(name=CODE, kind=FieldKind.SECURITY_CODE, optional=True)
    line = Line(CaptureSpec(fields=(FIELDS[0], code))).armed().collect(PAN).key(MASTERCARD).collect(CODE)
    line.wait(after_s).key("#", gap_s=0)
    assert line.capture.progress().accepted == ((PAN, CODE) if skipped else (PAN,))


def test_hash_after_an_auto_refusal_is_swallowed_too() -> None:
    line = Line().armed().collect(PAN).key("5555555555554445#")
    assert line.reason is RejectReason.LUHN
    assert line.capture.progress().attempt == 2


def test_expiry_with_four_year_digits_is_understood() -> None:
    line = Line().armed().collect(EXPIRY).key("12203")
    assert line.state.value == "keying"

    line.key("0")
    assert line.state is CaptureState.HELD
    assert line.capture.held.expiry_month_year() == (12, 30)


def test_lengths_a_merchant_takes_make_a_number_certain_again() -> None:
    spec = CaptureSpec(fields=(FieldSpec(name=PAN, kind=FieldKind.CARD_NUMBER, lengths=(15, 16)),))
    line = Line(spec).armed().collect(PAN).key(VISA)
    assert line.state is CaptureState.HELD

    narrow = Line(CaptureSpec(fields=(FieldSpec(name=PAN, kind=FieldKind.CARD_NUMBER, lengths=(15,)),)))
    narrow.armed().collect(PAN).key(VISA + "#")
    assert narrow.reason is RejectReason.BRAND


def test_position_is_told_with_the_usual_length_before_the_length_is_certain() -> None:
    line = Line().armed().collect(PAN).key(VISA[:12])
    told = line.capture.progress()
    assert (told.count, told.usual, told.length) == (12, 16, 0)

    told = Line().armed().collect(PAN).key(AMEX[:4]).capture.progress()
    assert (told.count, told.usual, told.length) == (4, 15, 15)


def test_field_half_keyed_is_wiped_when_another_is_asked_for() -> None:
    line = Line().armed().collect(PAN).key("4242").collect(EXPIRY)
    assert line.number() == b""
    assert line.unpaired() == b""


# --- undo -------------------------------------------------------------------------------------------------


def test_star_removes_the_last_digit() -> None:
    line = Line().armed().collect(PAN).key("555*")
    assert line.number() == b"55"
    assert line.capture.progress().count == 2


def test_two_stars_in_a_row_empty_the_field() -> None:
    line = Line().armed().collect(PAN).key("5555**")
    assert line.number() == b""
    assert (line.state, line.capture.progress().attempt) == (CaptureState.WAITING, 1)


def test_two_stars_apart_remove_two_digits() -> None:
    assert Line().armed().collect(PAN).key("5555*4*").number() == b"555"


def test_star_may_be_switched_off() -> None:
    line = Line(CaptureSpec(fields=FIELDS, undo=UndoKey.NONE)).armed().collect(PAN).key("55**")
    assert line.number() == b"55"


def test_two_stars_may_be_two_single_ones() -> None:
    line = Line(CaptureSpec(fields=FIELDS, reset=ResetKeys.NONE)).armed().collect(PAN).key("5555**")
    assert line.number() == b"55"


def test_hash_may_undo_and_star_submit() -> None:
    spec = CaptureSpec(fields=FIELDS, undo=UndoKey.HASH, submit=SubmitKey.STAR)
    line = Line(spec).armed().collect(PAN).key(VISA + "1#*")
    assert (line.state, line.capture.progress().last4) == (CaptureState.HELD, "4242")


def test_without_a_submit_key_hash_is_no_key_at_all() -> None:
    line = Line(CaptureSpec(fields=FIELDS, submit=SubmitKey.NONE)).armed().collect(PAN).key(VISA + "#")
    assert (line.state, line.capture.progress().count) == (CaptureState.KEYING, 16)


def test_submit_key_after_auto_submit_is_swallowed_whichever_it_is() -> None:
    spec = CaptureSpec(fields=FIELDS, undo=UndoKey.NONE, submit=SubmitKey.STAR)
    line = Line(spec).armed().collect(PAN).key(MASTERCARD + "*").collect(EXPIRY)
    assert (line.state, line.reason) == (CaptureState.WAITING, None)


def test_one_key_cannot_undo_and_submit() -> None:
    with pytest.raises(InvariantError):
        Line(CaptureSpec(fields=FIELDS, undo=UndoKey.HASH))


def test_star_on_an_empty_field_does_nothing() -> None:
    line = Line().armed().collect(PAN).key("***")
    assert (line.state, line.reason) == (CaptureState.WAITING, None)


# --- time -------------------------------------------------------------------------------------------------


def test_first_key_that_never_comes_costs_an_attempt() -> None:
    line = Line().armed().collect(PAN).wait(20.1)
    assert (line.reason, line.capture.progress().attempt) == (RejectReason.TIMEOUT, 2)


def test_three_timeouts_give_the_field_up_and_the_capture_goes_on() -> None:
    line = Line().armed().collect(PAN).wait(61)
    assert line.told() == [FieldGivenUp(CaptureId("c1"), PAN, RejectReason.TIMEOUT)]
    assert (line.state, line.capture.progress().field) == (CaptureState.HELD, "")

    line.collect(EXPIRY).key("1230")
    assert line.capture.progress().accepted == (EXPIRY,)


def test_timer_of_keys_waiting_for_their_other_door_is_no_silence_of_the_caller() -> None:
    line = Line(CaptureSpec(fields=FIELDS, first_digit_timeout_ms=7_600)).armed().collect(PAN).key("4*")
    line.capture.handle_timer(line.now_s + PAIR_WINDOW_S + HELD_S_MAX)
    assert (line.state, line.reason) == (CaptureState.WAITING, None)

    line.wait(7.6)
    assert line.reason is RejectReason.TIMEOUT


def test_pause_below_the_shortest_length_may_be_long() -> None:
    line = Line().armed().collect(PAN).key("42424242").wait(15)
    assert line.state is CaptureState.KEYING


def test_silence_after_enough_keys_submits_however_short_the_first_key_timeout_is() -> None:
    spec = CaptureSpec(fields=FIELDS, first_digit_timeout_ms=6_000, inter_digit_timeout_ms=6_000)
    too_few = Line(spec).armed().collect(PAN).key("42424242").wait(6.1)
    enough = Line(spec).armed().collect(PAN).key("4242424242424241").wait(6.1)

    assert too_few.reason is RejectReason.TIMEOUT
    assert enough.reason is RejectReason.LUHN


def test_silence_from_the_shortest_length_on_submits() -> None:
    line = Line().armed().collect(PAN).key("4242424242424241").wait(6.1)
    assert (line.state, line.reason) == (CaptureState.WAITING, RejectReason.LUHN)


def test_total_time_ends_the_capture_whatever_it_does() -> None:
    line = Line(CaptureSpec(fields=FIELDS, total_timeout_ms=10_000)).armed().collect(PAN).key("4").wait(10)
    assert line.capture.outcome.result is CaptureResult.TIMED_OUT
    assert line.empty()


def test_attempts_used_up_give_the_field_up_and_keep_the_others() -> None:
    line = Line().armed().collect(EXPIRY).key("1230").collect(PAN)
    for _ in range(3):
        assert line.told() == []
        line.key("5555555555554445")
    assert line.told() == [FieldGivenUp(CaptureId("c1"), PAN, RejectReason.LUHN)]
    assert (line.state, line.capture.progress().accepted) == (CaptureState.HELD, (EXPIRY,))
    assert (line.number(), line.unpaired()) == (b"", b"")


# --- type-ahead, redo, cancel -----------------------------------------------------------------------------


def test_keys_typed_ahead_serve_the_next_fields() -> None:
    line = Line().armed().key(MASTERCARD + "#1230123")
    line.collect(PAN).collect(EXPIRY).collect(CODE)
    assert line.capture.progress().accepted == (PAN, EXPIRY, CODE)


def test_failed_check_flushes_what_was_typed_ahead() -> None:
    line = Line().armed().key("5555555555554445" + "1230").collect(PAN)
    assert (line.reason, line.capture.progress().count) == (RejectReason.LUHN, 0)


def test_more_keys_ahead_than_fit_are_all_dropped() -> None:
    line = Line().armed().key("1" * 70, gap_s=0.5).collect(PAN)
    assert (line.state, line.capture.progress().count) == (CaptureState.WAITING, 0)


def test_field_asked_again_is_wiped_and_a_new_number_wipes_the_code() -> None:
    line = held_card().collect(PAN)
    assert line.capture.progress().accepted == (EXPIRY,)
    assert line.number() == b""
    assert bytes(line.slot[slots.SECURITY_CODE_AT : slots.SECURITY_CODE_AT + 8]) == bytes(8)


@pytest.mark.parametrize("wipe", ["asked again", "refused", "undone", "ahead, then asked again"])
def test_digits_kept_for_joining_doors_go_with_their_field(wipe: str) -> None:
    line = Line().armed()
    if wipe != "ahead, then asked again":
        line.collect(PAN)
    line.key("42424242", gap_s=0.1)
    assert line.unpaired() == b"42424242"

    if wipe == "undone":
        line.key("**")
    elif wipe == "refused":
        line.key("#")
    else:
        line.collect(PAN).collect(PAN)

    assert line.number() == b""
    assert line.unpaired() == b""


def test_digits_kept_for_joining_doors_go_with_a_code_wiped_by_a_number_and_with_keys_ahead_overrun() -> None:
    code = Line().armed().collect(CODE).key("1234")
    ahead = Line().armed().key("4242")
    assert (code.unpaired(), ahead.unpaired()) == (b"1234", b"4242")

    code.collect(PAN)
    ahead.capture.take_media_keys(ahead.head, True, ahead.now_s)

    assert (code.unpaired(), ahead.unpaired()) == (b"", b"")


def test_late_info_of_the_wiped_entry_does_not_begin_the_next() -> None:
    line = Line().armed().collect(PAN).key("42", gap_s=0.1).collect(PAN)

    for code in b"42":
        line.capture.take_info_key(code, 0.0, line.now_s + 1.0)
    assert (line.state, line.number()) == (CaptureState.WAITING, b"")

    line.key("5", gap_s=1.2)
    line.capture.take_info_key(ord("5"), 0.0, line.now_s + 0.1)
    assert line.number() == b"5"


@pytest.mark.parametrize(
    "state", [CaptureState.IDLE, CaptureState.HELD, CaptureState.WAITING, CaptureState.KEYING]
)
def test_cancel_wipes_and_ends(state: CaptureState) -> None:
    line = in_state(state)
    line.capture.stop(CaptureResult.CANCELLED)
    assert line.capture.outcome.result is CaptureResult.CANCELLED
    assert line.empty()


def test_keys_while_sending_are_dropped() -> None:
    line = held_card()
    card = line.capture.submit(line.now_s)
    line.key("999")
    assert bytes(card.part(SlotField.NUMBER)).decode() == VISA
    assert bytes(line.slot[slots.RING_AT : slots.RING_AT + slots.RING_KEYS]) == bytes(slots.RING_KEYS)


def test_overrun_restarts_the_field() -> None:
    line = Line().armed().collect(PAN).key("4242")
    line.capture.take_media_keys(line.head, True, line.now_s)
    assert (line.reason, line.number()) == (RejectReason.FORMAT, b"")


# --- what is told -----------------------------------------------------------------------------------------


def test_brand_is_told_once_it_is_certain_and_last4_once_accepted() -> None:
    line = Line().armed().collect(PAN).key("4")
    assert line.capture.progress().brand == ""
    line.key(VISA[1:])
    assert (line.capture.progress().brand, line.capture.progress().last4) == ("visa", "")
    line.key("#")
    assert line.capture.progress().last4 == "4242"


def test_counts_may_be_batched_but_edges_are_told_at_once() -> None:
    line = Line().armed().collect(PAN)
    line.capture.take_change()

    line.key("5")
    assert line.capture.take_change() is Change.LATER
    line.key(MASTERCARD[1:])
    assert line.capture.take_change() is Change.NOW
    assert line.capture.take_change() is Change.NONE


def test_capture_shows_no_key() -> None:
    line = Line().armed().collect(PAN).key("42424")
    assert "42424" not in repr(line.capture)
    assert "42424" not in repr(line.capture.progress())


@pytest.mark.parametrize(
    "fields", [(), FIELDS[:1] * 2, (FIELDS[0], FieldSpec(name="other", kind=FIELDS[0].kind))]
)
def test_spec_without_fields_or_with_one_twice_is_refused(fields: tuple[FieldSpec, ...]) -> None:
    with pytest.raises(InvariantError):
        Line(CaptureSpec(fields=fields))


@given(
    st.lists(
        st.one_of(
            st.text("0123456789*#A", min_size=1, max_size=6),
            st.sampled_from([PAN, EXPIRY, CODE]),
            st.floats(0.1, 30),
        ),
        max_size=60,
    )
)
def test_any_keys_at_any_time_keep_the_slot_within_its_fields_and_end_wiped(
    script: list[str | float],
) -> None:
    line = Line().armed()
    for step in script:
        if line.state in ENDED:
            break
        if isinstance(step, float):
            line.wait(step)
        elif step in (PAN, EXPIRY, CODE):
            line.collect(step)
        else:
            line.key(step)
    if line.state not in ENDED:
        line.capture.stop(CaptureResult.CANCELLED)
    assert line.empty()
