"""Patience of a step: its attempts, times and keys; the lone agent key; the repeat key; prompts; hints."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from dtmf_shield.account_data import slots
from dtmf_shield.base.errors import InvariantError
from dtmf_shield.cde.capture import REPEAT_REST_S
from dtmf_shield.cde.key_rhythm import DOUBLED_MIN
from dtmf_shield.cde.patience import DEBOUNCE_MS_MAX, patience_of, step_keys
from dtmf_shield.cde.step_clock import PROMPT_S_MAX
from dtmf_shield.model.capture import (
    CaptureResult,
    CaptureSpec,
    CaptureState,
    ChoiceFault,
    ControlKey,
    FieldKind,
    FieldSpec,
    Hint,
    Patience,
    RejectReason,
)
from dtmf_shield.model.ids import CaptureId
from dtmf_shield.model.messages import ChoiceRefused, ControlKeyed, FieldGivenUp, KeysHinted
from tests.unit.cde.capture_line import (
    CODE,
    EXPIRY,
    FIELDS,
    MASTERCARD,
    PAN,
    PATIENCE,
    VISA,
    Line,
    held_card,
)

ID = CaptureId("c1")
SLOW = replace(
    PATIENCE, first_digit_timeout_ms=40_000, inter_digit_timeout_ms=12_000, settle_timeout_ms=4_000
)
WAY_OUT = replace(PATIENCE, agent="0")
REPEAT, AGENT = ControlKeyed(ID, ControlKey.REPEAT), ControlKeyed(ID, ControlKey.AGENT)
DOUBLED, TOO_SLOW = KeysHinted(ID, Hint.DUPLICATE_KEYS), KeysHinted(ID, Hint.SLOW_KEYS)


def given_up(field: str, reason: RejectReason) -> FieldGivenUp:
    return FieldGivenUp(ID, field, reason)


# --- each step its own ------------------------------------------------------------------------------------


def test_step_without_patience_has_the_capture_s() -> None:
    spec = CaptureSpec(fields=FIELDS, attempts=2, first_digit_timeout_ms=5_000)
    line = Line(spec).armed().collect(EXPIRY, SLOW).key("1230").collect(PAN).wait(5)
    assert line.reason is RejectReason.TIMEOUT
    assert line.wait(5).told() == [given_up(PAN, RejectReason.TIMEOUT)]


def test_step_has_its_own_attempts() -> None:
    line = Line().armed().collect(PAN, replace(PATIENCE, attempts=1)).key("5555555555554445")
    assert line.told() == [given_up(PAN, RejectReason.LUHN)]
    assert line.state is CaptureState.HELD


def test_step_has_its_own_times() -> None:
    hasty = replace(
        PATIENCE, first_digit_timeout_ms=3_000, inter_digit_timeout_ms=1_000, settle_timeout_ms=300
    )
    line = Line().armed().collect(PAN, hasty).wait(3)
    assert line.reason is RejectReason.TIMEOUT
    assert line.key(VISA).wait(0.3).state is CaptureState.HELD
    assert line.collect(CODE, hasty).wait(2.9).reason is None


def test_step_has_its_own_keys() -> None:
    keys = replace(PATIENCE, submit="star", undo="hash", repeat="none")
    line = Line().armed().collect(PAN, keys).key(VISA + "1#*")
    assert (line.state, line.capture.progress().last4) == (CaptureState.HELD, "4242")
    assert line.collect(CODE, PATIENCE).key("12*").capture.progress().count == 1


def test_attempt_goes_on_where_control_says() -> None:
    line = Line().armed().collect(PAN, PATIENCE, attempt=3)
    assert line.capture.progress().attempt == 3
    assert line.key("5555555555554445").told() == [given_up(PAN, RejectReason.LUHN)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"submit": "pound"},
        {"undo": "1"},
        {"repeat": "hush"},
        {"agent": "star"},
        {"agent": "10"},
        {"reset": "triple"},
        {"submit": "star", "undo": "star", "repeat": "none"},
        {"submit": "star", "undo": "none"},
        {"attempts": 0},
        {"first_digit_timeout_ms": 0},
        {"total_timeout_ms": -1},
        {"debounce_ms": -1},
        {"debounce_ms": DEBOUNCE_MS_MAX + 1},
    ],
)
def test_patience_that_no_flow_can_have_is_refused_and_changes_nothing(wrong: dict[str, object]) -> None:
    line = Line().armed().collect(PAN).key("42")
    with pytest.raises(InvariantError):
        line.collect(EXPIRY, replace(PATIENCE, **wrong))
    assert (line.state, line.number()) == (CaptureState.KEYING, b"42")


def test_patience_of_a_specification_is_a_step_s() -> None:
    keys = step_keys(patience_of(CaptureSpec(fields=FIELDS)))
    assert (keys.submit, keys.undo, keys.repeat, keys.agent) == (ord("#"), ord("*"), 0, 0)


# --- total times ------------------------------------------------------------------------------------------


def test_total_time_of_a_step_counts_all_its_attempts_and_keys_do_not_stretch_it() -> None:
    line = Line().armed().collect(EXPIRY).key("1230").collect(PAN, replace(PATIENCE, total_timeout_ms=25_000))
    line.wait(20)
    assert line.capture.progress().attempt == 2
    line.wait(4).key("42").wait(0.5)
    assert line.told() == []

    line.wait(0.1)
    assert line.told() == [given_up(PAN, RejectReason.TIMEOUT)]
    assert (line.state, line.number(), line.unpaired()) == (CaptureState.HELD, b"", b"")
    assert line.capture.progress().accepted == (EXPIRY,)


def test_total_time_of_a_step_begins_anew_with_the_next() -> None:
    short = replace(PATIENCE, total_timeout_ms=10_000)
    line = Line().armed().collect(EXPIRY, short).wait(8).key("1230", gap_s=0.1).collect(CODE, short).wait(9.9)
    assert line.told() == []


def test_total_time_of_a_step_stands_still_in_a_pause() -> None:
    line = Line().armed().collect(PAN, replace(PATIENCE, total_timeout_ms=10_000)).wait(6)
    line.capture.pause(line.now_s)
    line.wait(100)
    line.capture.resume(line.now_s)
    assert line.wait(3.9).told() == []
    assert line.wait(0.2).told() == [given_up(PAN, RejectReason.TIMEOUT)]


def test_only_the_total_time_of_the_whole_capture_ends_it() -> None:
    line = Line(CaptureSpec(fields=FIELDS, total_timeout_ms=130_000)).armed().collect(PAN, PATIENCE)
    line.wait(60)
    assert line.told() == [given_up(PAN, RejectReason.TIMEOUT)]
    assert line.wait(69.9).state is CaptureState.HELD
    line.wait(0.1)
    assert (line.state, line.capture.outcome.result) == (CaptureState.FAILED, CaptureResult.TIMED_OUT)


def test_field_given_up_can_be_asked_for_again() -> None:
    line = Line().armed().collect(PAN, PATIENCE).wait(60).collect(PAN, PATIENCE)
    assert line.capture.progress().attempt == 1
    assert line.key(MASTERCARD).capture.progress().accepted == (PAN,)


def test_progress_of_a_field_given_up_shows_no_field() -> None:
    line = Line().armed().collect(PAN, replace(PATIENCE, attempts=1)).key("4242#")
    told = line.capture.progress()
    assert (told.state, told.field, told.count, told.brand) == (CaptureState.HELD, "", 0, "")


# --- other patience for the open field --------------------------------------------------------------------


def test_open_empty_field_asked_again_with_other_patience_only_waits_longer() -> None:
    line = Line().armed().collect(PAN, PATIENCE).wait(15).calm(PAN, SLOW)
    assert line.wait(39.9).reason is None
    assert line.wait(0.1).reason is RejectReason.TIMEOUT


def test_key_that_came_before_the_other_patience_is_not_lost() -> None:
    line = Line().armed().collect(PAN, PATIENCE).wait(20)
    assert line.capture.progress().attempt == 2
    line.key("42").calm(PAN, SLOW, attempt=2)

    assert (line.state, line.number()) == (CaptureState.KEYING, b"42")
    assert line.wait(39.9).number() == b"42"
    assert line.wait(0.2).capture.progress().attempt == 3


@pytest.mark.parametrize("attempt", [1, 2])
def test_half_keyed_field_asked_again_with_other_patience_keeps_its_keys(attempt: int) -> None:
    line = Line().armed().collect(PAN, PATIENCE).key("42").calm(PAN, SLOW, attempt)

    assert (line.state, line.number()) == (CaptureState.KEYING, b"42")
    line.wait(6.5).key("4242")
    assert (line.reason, line.number()) == (None, b"424242")
    assert line.wait(39.9).reason is None
    assert line.wait(0.1).reason is RejectReason.TIMEOUT


def test_other_patience_that_crossed_a_refusal_gives_no_attempt_back() -> None:
    line = Line().armed().collect(PAN, PATIENCE).key("5555555555554445").key("5")
    line.calm(PAN, SLOW, attempt=1)
    assert (line.number(), line.capture.progress().attempt) == (b"5", 2)

    line.calm(PAN, SLOW, attempt=2)
    assert (line.number(), line.capture.progress().attempt) == (b"5", 2)


def test_entry_that_was_quicker_than_the_other_patience_stays_accepted() -> None:
    line = Line().armed().collect(EXPIRY, PATIENCE).wait(20).key("1230").calm(EXPIRY, SLOW, attempt=2)
    assert (line.state, line.capture.progress().accepted) == (CaptureState.HELD, (EXPIRY,))


def test_entry_accepted_in_the_instant_of_the_hint_stays_accepted() -> None:
    line = Line().armed().collect(PAN, PATIENCE).key(MASTERCARD).calm(PAN, SLOW)
    assert (line.state, line.number()) == (CaptureState.HELD, MASTERCARD.encode())


@pytest.mark.parametrize("keys", ["", "42"])
def test_field_that_is_paused_keeps_its_keys_and_its_pause(keys: str) -> None:
    line = Line().armed().collect(PAN, PATIENCE).key(keys)
    line.capture.pause(line.now_s)
    line.calm(PAN, SLOW)
    assert (line.state, line.number()) == (CaptureState.PAUSED, keys.encode())

    line.capture.resume(line.now_s)
    assert line.key("4").wait(39.9).reason is None
    assert line.wait(0.2).reason is RejectReason.TIMEOUT


def test_field_that_is_paused_and_empty_is_waited_for_more_patiently_after_the_pause() -> None:
    line = Line().armed().collect(PAN, PATIENCE)
    line.capture.pause(line.now_s)
    line.calm(PAN, SLOW).wait(60).capture.resume(line.now_s)
    assert line.wait(39.9).reason is None
    assert line.wait(0.2).reason is RejectReason.TIMEOUT


def test_other_patience_that_crossed_another_question_changes_nothing() -> None:
    menu = Line().armed().collect(CODE, PATIENCE).key("123").menu().calm(CODE, SLOW)
    assert menu.wait(20).told() == [ChoiceRefused(ID, ChoiceFault.TIMEOUT)]

    other = Line().armed().collect(EXPIRY, PATIENCE).key("1230").collect(PAN, PATIENCE).calm(EXPIRY, SLOW)
    assert other.wait(20).reason is RejectReason.TIMEOUT
    assert other.capture.progress().accepted == (EXPIRY,)


@pytest.mark.parametrize("keys", ["", "42"])
def test_total_time_runs_on_through_other_patience_of_the_first_attempt(keys: str) -> None:
    line = Line().armed().collect(PAN, replace(PATIENCE, total_timeout_ms=30_000)).wait(15).key(keys)
    line.calm(PAN, replace(SLOW, total_timeout_ms=30_000))
    left_s = 15 - 0.2 * len(keys)
    assert line.wait(left_s - 0.1).told() == []
    assert line.wait(0.2).told() == [given_up(PAN, RejectReason.TIMEOUT)]


def test_total_time_runs_on_through_other_patience_and_begins_anew_with_another_visit() -> None:
    line = Line().armed().collect(PAN, PATIENCE).wait(20).calm(PAN, SLOW, attempt=2).wait(39.9)
    assert line.capture.progress().attempt == 2
    assert line.wait(60.2).told() == [given_up(PAN, RejectReason.TIMEOUT)]

    anew = Line().armed().collect(PAN, SLOW).wait(15).collect(PAN, SLOW)
    assert anew.wait(119.9).told() == []
    assert anew.wait(0.1).told() == [given_up(PAN, RejectReason.TIMEOUT)]


def test_half_keyed_field_asked_again_by_the_agent_is_wiped() -> None:
    line = Line().armed().collect(PAN, PATIENCE).key("42").collect(PAN, PATIENCE)
    assert (line.state, line.number()) == (CaptureState.WAITING, b"")


# --- type-ahead -------------------------------------------------------------------------------------------


def test_step_may_drop_what_was_keyed_before_it() -> None:
    line = Line().armed().key("1230").collect(EXPIRY, replace(PATIENCE, type_ahead="drop"))
    assert (line.state, line.capture.progress().count) == (CaptureState.WAITING, 0)
    assert bytes(line.slot[slots.WAITING_KEYS_AT :][:4]) == bytes(4)
    assert line.key("1130").capture.progress().accepted == (EXPIRY,)


# --- the key to an agent ----------------------------------------------------------------------------------


def test_lone_agent_key_and_submit_lead_to_an_agent() -> None:
    line = Line().armed().collect(EXPIRY, WAY_OUT).key("0")
    assert line.told() == []
    line.key("#")
    assert line.told() == [AGENT]
    assert (line.state, line.capture.progress().field, line.unpaired()) == (CaptureState.HELD, "", b"")
    assert bytes(line.slot[slots.EXPIRY_AT :][:8]) == bytes(8)


def test_lone_agent_key_and_silence_lead_to_an_agent() -> None:
    line = Line().armed().collect(PAN, WAY_OUT).key("0").wait(5.9)
    assert line.told() == []
    assert line.wait(0.1).told() == [AGENT]
    assert line.state is CaptureState.HELD


def test_date_that_begins_with_the_agent_key_stays_typable() -> None:
    line = Line().armed().collect(EXPIRY, WAY_OUT).key("0127")
    assert (line.told(), line.capture.progress().accepted) == ([], (EXPIRY,))
    assert line.capture.held.expiry_month_year() == (1, 27)


def test_date_keyed_slowly_after_the_agent_key_stays_typable_within_the_silence() -> None:
    line = Line().armed().collect(EXPIRY, WAY_OUT).key("0").wait(5.5).key("127")
    assert (line.told(), line.capture.progress().accepted) == ([], (EXPIRY,))


@pytest.mark.parametrize("keys", ["00#", "10#", "4#"])
def test_agent_key_that_is_not_alone_is_a_digit(keys: str) -> None:
    line = Line().armed().collect(EXPIRY, WAY_OUT).key(keys)
    assert (line.told(), line.reason) == ([], RejectReason.TOO_SHORT)


def test_agent_key_taken_back_is_none() -> None:
    line = Line().armed().collect(EXPIRY, WAY_OUT).key("0*#")
    assert (line.told(), line.reason) == ([], RejectReason.TOO_SHORT)


def test_agent_key_of_a_field_of_one_digit_waits_for_silence() -> None:
    digits = FieldSpec(name="level", kind=FieldKind.DIGITS, length_min=1, length_max=1)
    line = Line(CaptureSpec(fields=(digits,))).armed().collect("level", WAY_OUT).key("0")
    assert line.state is CaptureState.KEYING
    assert line.wait(6).told() == [AGENT]


def test_agent_key_is_a_digit_where_the_step_has_none() -> None:
    line = Line().armed().collect(EXPIRY, PATIENCE).key("0#")
    assert (line.told(), line.reason) == ([], RejectReason.TOO_SHORT)


def test_agent_key_typed_ahead_leads_to_an_agent_after_the_silence() -> None:
    line = Line().armed().key("0").collect(EXPIRY, WAY_OUT)
    assert line.told() == []
    assert line.wait(6).told() == [AGENT]


def test_what_was_held_stays_held_for_the_agent() -> None:
    line = Line().armed().collect(PAN, WAY_OUT).key(MASTERCARD).collect(EXPIRY, WAY_OUT).key("0#")
    assert line.told() == [AGENT]
    assert line.capture.progress().accepted == (PAN,)


# --- the repeat key ---------------------------------------------------------------------------------------


def test_star_before_the_first_digit_asks_for_the_prompt_and_takes_nothing_back() -> None:
    line = Line().armed().collect(PAN, PATIENCE).wait(15).key("*")
    assert (line.told(), line.state) == ([REPEAT], CaptureState.WAITING)
    assert line.wait(19.9).reason is None


def test_star_after_a_digit_takes_it_back_and_does_not_repeat() -> None:
    line = Line().armed().collect(PAN, PATIENCE).key("42*")
    assert (line.told(), line.number()) == ([], b"4")


def test_second_star_of_a_reset_is_no_repeat_of_its_own() -> None:
    line = Line().armed().collect(PAN, PATIENCE).key("4**")
    assert (line.told(), line.state) == ([], CaptureState.WAITING)
    assert line.wait(REPEAT_REST_S).key("*").told() == [REPEAT]


def test_star_before_the_first_digit_does_nothing_where_nothing_repeats() -> None:
    line = Line().armed().collect(PAN, replace(PATIENCE, repeat="none")).key("*")
    assert (line.told(), line.state) == ([], CaptureState.WAITING)


# --- stop asking ------------------------------------------------------------------------------------------


def test_stop_asking_wipes_what_was_half_keyed_and_keeps_what_is_held() -> None:
    line = Line().armed().collect(EXPIRY).key("1230").collect(PAN).key("4242")
    line.capture.stop_asking()
    told = line.capture.progress()
    assert (told.state, told.field, told.count, told.accepted) == (CaptureState.HELD, "", 0, (EXPIRY,))
    assert (line.number(), line.unpaired(), line.told()) == (b"", b"", [])
    assert line.wait(60).told() == []


def test_stop_asking_with_nothing_open_changes_nothing() -> None:
    line = Line().armed().collect(PAN).key(MASTERCARD)
    before = line.capture.progress()
    line.capture.stop_asking()
    assert line.capture.progress() == before


def test_stop_asking_in_a_pause_leaves_nothing_to_go_on_with() -> None:
    line = Line().armed().collect(PAN).key("4242")
    line.capture.pause(line.now_s)
    line.capture.stop_asking()
    assert (line.state, line.number()) == (CaptureState.PAUSED, b"")
    line.capture.resume(line.now_s)
    assert (line.state, line.wait(60).told()) == (CaptureState.HELD, [])


def test_stop_asking_at_the_gateway_is_refused() -> None:
    line = held_card()
    line.capture.submit(line.now_s)
    with pytest.raises(InvariantError):
        line.capture.stop_asking()
    assert line.state is CaptureState.SENDING


# --- prompts ----------------------------------------------------------------------------------------------


def test_silence_before_the_first_key_stands_still_while_a_prompt_is_said() -> None:
    line = Line().armed().collect(PAN, PATIENCE).wait(15).prompt(over=False).wait(40)
    assert line.reason is None
    line.prompt(over=True).wait(19.9)
    assert line.reason is None
    assert line.wait(0.1).reason is RejectReason.TIMEOUT


def test_prompt_that_began_before_the_field_holds_it_up_too() -> None:
    line = Line().armed().prompt(over=False).wait(2).collect(PAN, PATIENCE).wait(30)
    assert line.reason is None
    assert line.prompt(over=True).wait(20).reason is RejectReason.TIMEOUT


def test_prompt_that_nobody_says_is_over_has_a_limit() -> None:
    patient = replace(PATIENCE, total_timeout_ms=300_000)
    line = Line().armed().collect(PAN, patient).prompt(over=False).wait(PROMPT_S_MAX + 19.9)
    assert line.reason is None
    assert line.wait(0.1).reason is RejectReason.TIMEOUT


def test_total_time_of_the_step_runs_while_a_prompt_is_said() -> None:
    line = Line().armed().collect(PAN, replace(PATIENCE, total_timeout_ms=10_000)).prompt(over=False)
    assert line.wait(10).told() == [given_up(PAN, RejectReason.TIMEOUT)]


def test_keys_during_a_prompt_count_and_their_silence_runs() -> None:
    line = Line().armed().collect(PAN, PATIENCE).prompt(over=False).key(VISA)
    assert line.prompt(over=False).prompt(over=True).state is CaptureState.KEYING
    assert line.wait(2).state is CaptureState.HELD


def test_prompt_after_a_refusal_holds_up_the_next_entry() -> None:
    line = Line().armed().collect(PAN, PATIENCE).key("5555555555554445").prompt(over=False).wait(30)
    assert line.capture.progress().attempt == 2
    assert line.prompt(over=True).wait(20).capture.progress().attempt == 3


@pytest.mark.parametrize("over", [True, False])
def test_prompt_said_in_a_pause_counts_from_its_end(over: bool) -> None:
    line = Line().armed().collect(PAN, PATIENCE).prompt(over=False).wait(10)
    line.capture.pause(line.now_s)
    line.wait(30)
    if over:
        line.prompt(over=True).wait(30)
    line.capture.resume(line.now_s)
    if not over:
        line.prompt(over=True)
    assert line.wait(19.9).reason is None
    assert line.wait(0.2).reason is RejectReason.TIMEOUT


@pytest.mark.parametrize("over", [True, False])
def test_prompt_at_the_gateway_and_after_the_end_means_nothing(over: bool) -> None:
    line = held_card()
    line.capture.submit(line.now_s)
    assert line.prompt(over=over).state is CaptureState.SENDING
    line.capture.settling()
    assert line.prompt(over=over).capture.next_timer_s in (None, line.capture._joiner.next_timer_s)
    stopped = Line().armed()
    stopped.capture.stop(CaptureResult.CANCELLED)
    assert stopped.prompt(over=over).capture.next_timer_s is None


# --- debounce ---------------------------------------------------------------------------------------------


def debounced(ms: int = 120) -> Patience:
    return replace(PATIENCE, debounce_ms=ms)


def test_same_key_within_the_debounce_counts_once_and_other_keys_do_not_mind() -> None:
    line = Line().armed().collect(PAN, debounced())
    for key in "4242":
        line.key(key, gap_s=0.25).key(key, gap_s=0.05)
    assert line.number() == b"4242"
    assert Line().armed().collect(PAN, debounced()).key("4242", gap_s=0.05).number() == b"4242"


def test_honest_equal_keys_pass_the_debounce() -> None:
    assert Line().armed().collect(PAN, debounced()).key("1111", gap_s=0.2).number() == b"1111"


@pytest.mark.parametrize("undone", ["4*", "42*", "42**"])
def test_digit_right_after_an_undo_is_no_bounce_of_it(undone: str) -> None:
    line = Line().armed().collect(PAN, debounced()).key(undone)
    before = line.number()
    assert line.key("9", gap_s=0.05).number() == before + b"9"


def test_undo_that_bounces_takes_back_one_digit() -> None:
    line = Line().armed().collect(PAN, debounced()).key("424*").key("*", gap_s=0.05)
    assert line.number() == b"42"
    assert bytes(line.slot[slots.LAST_KEY_AT :][:1]) == b"*"  # the undo key, no digit


def test_without_debounce_both_count() -> None:
    assert Line().armed().collect(PAN, PATIENCE).key("44", gap_s=0.02).number() == b"44"


def test_bounce_of_the_key_that_submitted_is_no_key_of_the_next_field() -> None:
    line = Line().armed().collect(PAN, debounced()).key(MASTERCARD[:-1]).key("4").key("4", gap_s=0.05)
    assert line.collect(CODE, debounced()).state is CaptureState.WAITING


def test_bounce_of_a_refused_entry_does_not_begin_the_next_though_its_code_is_wiped() -> None:
    line = Line().armed().collect(PAN, debounced()).key("5555555555554445")
    assert line.slot[slots.LAST_KEY_AT] == 0
    line.key("5", gap_s=0.05)
    assert (line.state, line.number()) == (CaptureState.WAITING, b"")
    assert line.key("5", gap_s=0.3).number() == b"5"


def test_equal_keys_that_are_read_late_are_judged_by_when_media_had_them() -> None:
    line = Line().armed().collect(PAN, debounced())
    line.now_s += 1.0
    for ago_s in (0.6, 0.35):
        line.write("1").read(line.now_s - ago_s)
    assert line.number() == b"11"

    for ago_s in (0.1, 0.05):
        line.write("2").read(line.now_s - ago_s)
    assert line.number() == b"112"


def test_equal_keys_of_one_message_have_no_times_and_all_count() -> None:
    line = Line().armed().collect(PAN, debounced()).write("1122").read()
    assert line.number() == b"1122"
    assert line.key("2", gap_s=0.05).number() == b"1122"


# --- hints ------------------------------------------------------------------------------------------------


def twice(line: Line, keys: str, between_s: float = 0.3, double_s: float = 0.06) -> Line:
    for key in keys:
        line.key(key, gap_s=between_s).key(key, gap_s=double_s)
    return line


@pytest.mark.parametrize("debounce_ms", [0, 120])
def test_keys_that_come_twice_are_hinted_once_a_field(debounce_ms: int) -> None:
    line = twice(Line().armed().collect(PAN, debounced(debounce_ms)), "4271"[:DOUBLED_MIN])
    assert line.told() == []
    assert twice(line, "834").told() == [DOUBLED]
    assert twice(line.collect(PAN, debounced(debounce_ms)), "4271").told() == [DOUBLED]


@pytest.mark.parametrize("number", ["1111111111111111", "4242424242424242", "4111111111111111", MASTERCARD])
@pytest.mark.parametrize("gap_s", [0.18, 0.2, 0.5])
def test_honest_keys_are_never_called_double(number: str, gap_s: float) -> None:
    assert DOUBLED not in Line().armed().collect(PAN, PATIENCE).key(number, gap_s=gap_s).told()


def test_keys_a_stalled_line_hands_over_at_once_are_not_called_double() -> None:
    line = Line().armed().collect(PAN, PATIENCE)
    for burst in ("1111", "11111", "111", "1111"):
        line.key(burst[0], gap_s=1.2).key(burst[1:], gap_s=0.0)
    assert DOUBLED not in line.told()


def test_number_of_many_equal_pairs_in_single_bursts_of_two_is_not_called_double_among_honest_keys() -> None:
    line = Line().armed().collect(PAN, PATIENCE)
    for burst in ("1", "1", "11", "1", "1", "11", "1", "1", "11", "1"):
        line.key(burst[0], gap_s=0.4).key(burst[1:], gap_s=0.0)
    assert DOUBLED not in line.told()


def test_stars_pressed_twice_on_purpose_are_not_called_double() -> None:
    line = Line().armed().collect(PAN, PATIENCE)
    for _ in range(6):
        line.key("4", gap_s=0.5).key("*", gap_s=0.5).key("*", gap_s=0.1)
    assert DOUBLED not in line.told()


def test_pauses_near_the_patience_are_hinted_once_a_field() -> None:
    line = Line().armed().collect(PAN, PATIENCE).key("4").key("2", gap_s=16)
    assert line.told() == []
    assert line.key("4", gap_s=16).key("2", gap_s=16).told() == [TOO_SLOW]
    assert line.collect(PAN, SLOW).key("4242", gap_s=16).told() == []


def test_one_look_at_the_card_is_not_slow() -> None:
    line = Line().armed().collect(PAN, PATIENCE).key("4242").key("4", gap_s=19).key("24242", gap_s=3)
    assert TOO_SLOW not in line.told()


def test_hint_of_slow_keys_counts_no_pause_of_the_agent() -> None:
    line = Line().armed().collect(PAN, PATIENCE).key("4")
    for key in "242":
        line.capture.pause(line.now_s)
        line.wait(60)
        line.capture.resume(line.now_s)
        line.key(key)
    assert line.told() == []
