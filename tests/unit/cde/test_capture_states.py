"""The capture's states: the table walked whole, its drawing, the gateway's part, the pause, and a random walk.

Wherever a walk leads: what a state does not take changes nothing, the mask stays on while a caller may key, digits are
in the slot and nowhere else, and no digit outlives a token, a look-up or the end.
"""

from __future__ import annotations

import gc
import itertools
import re
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from dtmf_shield.account_data import slots
from dtmf_shield.base.errors import InvariantError
from dtmf_shield.cde.capture import SENDING_S_MAX, Capture
from dtmf_shield.cde.capture_table import ASKING, ENDED, MASKING, TRANSITIONS, Input, mermaid, text_table
from dtmf_shield.cde.card import Brand, IinTable
from dtmf_shield.cde.gateways.base import GatewayResult, GatewayResultKind
from dtmf_shield.cde.results import result_of
from dtmf_shield.model.capture import CaptureResult, CaptureSpec, CaptureState, Hint, Patience, RejectReason
from dtmf_shield.model.ids import OperationId
from dtmf_shield.model.messages import ChoiceMade
from dtmf_shield.model.payment import OperationKind
from tests.unit.cde.capture_line import (
    APPROVED,
    CODE,
    EXPIRY,
    FIELDS,
    OPTIONS,
    PAN,
    PATIENCE,
    VISA,
    Line,
    at_gateway,
    held_card,
    in_state,
)

DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "capture.md"
NO_DIGIT_STATES = ENDED | {CaptureState.IDLE, CaptureState.PAYING, CaptureState.SETTLING}
AT_GATEWAY = (CaptureState.SENDING, CaptureState.PAYING, CaptureState.SETTLING)
DECLINED = GatewayResult(GatewayResultKind.DECLINED, code="card_declined")
UNKNOWN = GatewayResult(GatewayResultKind.UNKNOWN)
PATIENCES = (
    PATIENCE,
    replace(PATIENCE, attempts=1, agent="0", total_timeout_ms=20_000),
    replace(PATIENCE, type_ahead="drop", debounce_ms=120, undo="none", submit="star", repeat="none"),
)
NOT_SEARCHED = (bytearray, memoryview, type, IinTable, Brand, CaptureSpec)
"""The slot itself, and what holds numbers that were never keyed."""


# --- the table --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "by"), list(itertools.product(CaptureState, Input)))
def test_every_state_and_input_follows_the_table_or_changes_nothing(state: CaptureState, by: Input) -> None:
    line = in_state(state)
    assert line.state is state
    before = bytes(line.slot)

    target = TRANSITIONS.get((state, by))

    if target is None:
        with pytest.raises(InvariantError):
            line.capture._move(by)
        assert line.state is state
        assert bytes(line.slot) == before
    else:
        line.capture._move(by)
        assert line.state is target


def test_nothing_leaves_an_ended_state_and_every_state_can_be_reached() -> None:
    assert not any(state in ENDED for state, _ in TRANSITIONS)
    assert set(TRANSITIONS.values()) | {CaptureState.IDLE} == set(CaptureState)


def test_mask_is_on_in_all_states_but_the_first_and_the_last() -> None:
    assert set(CaptureState) - {CaptureState.IDLE, CaptureState.DONE, CaptureState.FAILED} == MASKING


def test_every_state_that_masks_can_be_stopped() -> None:
    assert all((state, Input.STOP) in TRANSITIONS for state in MASKING)


def test_document_draws_the_table() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")

    assert f"```mermaid\n{mermaid()}```\n" in text, (
        "put capture_table.mermaid() into docs/reference/capture.md"
    )
    assert text_table() in text, "put capture_table.text_table() into docs/reference/capture.md"


def test_document_has_every_hint_once() -> None:
    hints = DOCUMENT.read_text(encoding="utf-8").partition("\n## Hints\n")[2].partition("\n## ")[0]

    assert re.findall(r"^\| `(\w+)` \|", hints, re.MULTILINE) == list(Hint)


# --- at the gateway ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("begin", ["tokenized", "settling"])
def test_digits_are_wiped_before_money_moves_and_before_a_look_up(begin: str) -> None:
    line = held_card()
    line.capture.submit(line.now_s, OperationKind.CHARGE)
    assert not line.empty()

    getattr(line.capture, begin)()

    assert line.empty()
    line.capture.settle(APPROVED)
    assert (line.capture.outcome.brand, line.capture.outcome.last4) == ("visa", "4242")


@pytest.mark.parametrize("state", AT_GATEWAY)
def test_approved_money_says_so_with_its_operation(state: CaptureState) -> None:
    line = at_gateway(state, OperationKind.CHARGE)

    line.capture.settle(APPROVED, OperationId("op-1"))

    outcome = line.capture.outcome
    assert (line.state, outcome.result, outcome.token) == (CaptureState.DONE, CaptureResult.APPROVED, "tok_1")
    assert (outcome.operation_id, outcome.brand, outcome.last4) == ("op-1", "visa", "4242")
    assert line.empty()


@pytest.mark.parametrize("operation", [OperationKind.TOKENIZE, OperationKind.VERIFY])
def test_token_alone_is_no_payment(operation: OperationKind) -> None:
    line = at_gateway(CaptureState.SENDING, operation)
    line.capture.settle(APPROVED)
    assert (line.state, line.capture.outcome.result) == (CaptureState.DONE, CaptureResult.TOKEN)


KIND_RESULTS = {
    GatewayResultKind.DECLINED: CaptureResult.DECLINED,
    GatewayResultKind.ACTION_REQUIRED: CaptureResult.ACTION_REQUIRED,
    GatewayResultKind.REFUSED: CaptureResult.REFUSED,
    GatewayResultKind.BUSY: CaptureResult.GATEWAY_UNREACHABLE,
    GatewayResultKind.FAILED_BEFORE_SEND: CaptureResult.GATEWAY_UNREACHABLE,
    GatewayResultKind.NOT_FOUND: CaptureResult.UNKNOWN,
    GatewayResultKind.UNKNOWN: CaptureResult.UNKNOWN,
}


@pytest.mark.parametrize("kind", list(GatewayResultKind))
@pytest.mark.parametrize("state", AT_GATEWAY)
def test_every_answer_ends_the_capture_and_only_approval_hands_out_a_token(
    state: CaptureState, kind: GatewayResultKind
) -> None:
    line = at_gateway(state, OperationKind.TOKENIZE)

    line.capture.settle(GatewayResult(kind, token="tok_1", code="word"))

    outcome = line.capture.outcome
    assert outcome.result is KIND_RESULTS.get(kind, CaptureResult.TOKEN)
    assert (line.state is CaptureState.DONE) == bool(outcome.token) == (kind is GatewayResultKind.APPROVED)
    assert outcome.gateway_code == "word"
    assert line.empty()


@pytest.mark.parametrize(
    ("answer", "money", "result"),
    [
        (APPROVED, False, CaptureResult.CALLER_GONE),
        (DECLINED, False, CaptureResult.CALLER_GONE),
        (UNKNOWN, False, CaptureResult.CALLER_GONE),
        (APPROVED, True, CaptureResult.APPROVED),
        (
            GatewayResult(GatewayResultKind.APPROVED, token="tok_1", voided=True),
            True,
            CaptureResult.CALLER_GONE,
        ),
        (DECLINED, True, CaptureResult.CALLER_GONE),
        (UNKNOWN, True, CaptureResult.UNKNOWN),
    ],
)
def test_truth_about_money_wins_over_a_stop_and_else_the_stop_says_the_end(
    answer: GatewayResult, money: bool, result: CaptureResult
) -> None:
    line = at_gateway(CaptureState.SENDING, OperationKind.CHARGE if money else OperationKind.TOKENIZE)
    line.capture.stop(CaptureResult.CALLER_GONE)
    assert line.state is CaptureState.SENDING

    line.capture.settle(answer)

    assert line.capture.outcome.result is result
    assert bool(line.capture.outcome.token) == (result is CaptureResult.APPROVED)
    assert (line.state is CaptureState.DONE) == (result is CaptureResult.APPROVED)


def test_money_taken_back_without_a_stop_is_no_approval() -> None:
    voided = GatewayResult(GatewayResultKind.APPROVED, voided=True)
    assert result_of(voided, None, moves_money=True) is CaptureResult.CANCELLED


def test_rule_against_card_testing_ends_it_with_its_own_word() -> None:
    line = at_gateway(CaptureState.SENDING, OperationKind.CHARGE)

    line.capture.velocity_stopped()

    assert (line.state, line.capture.outcome.result) == (CaptureState.FAILED, CaptureResult.VELOCITY)
    assert line.empty()


def test_digits_do_not_wait_for_a_gateway_for_ever() -> None:
    line = at_gateway(CaptureState.SENDING, OperationKind.CHARGE)

    line.wait(SENDING_S_MAX - 0.1)
    assert line.state is CaptureState.SENDING
    line.wait(0.2)

    assert line.state is CaptureState.SETTLING
    assert line.empty()
    assert line.capture.next_timer_s is None
    line.capture.settle(APPROVED)
    assert line.capture.outcome.result is CaptureResult.APPROVED


# --- the pause --------------------------------------------------------------------------------------------


def test_pause_drops_keys_and_keeps_what_was_keyed() -> None:
    line = Line().armed().collect(PAN).key(VISA[:8])
    line.capture.pause(line.now_s)
    line.key("999#*")
    assert (line.state, line.number()) == (CaptureState.PAUSED, VISA[:8].encode())
    assert bytes(line.slot[slots.RING_AT :][: slots.RING_KEYS]) == bytes(slots.RING_KEYS)

    line.capture.resume(line.now_s)
    line.key(VISA[8:] + "#")

    assert (line.state, line.capture.progress().last4) == (CaptureState.HELD, "4242")


def test_key_of_the_pause_does_not_count_by_its_late_info_after_it() -> None:
    line = Line().armed().collect(PAN).key("42")
    line.capture.pause(line.now_s)
    line.key("9")
    line.capture.resume(line.now_s)

    line.capture.take_info_key(ord("9"), 0.0, line.now_s + 0.5)

    assert line.number() == b"42"


@pytest.mark.parametrize(
    "state", [CaptureState.HELD, CaptureState.WAITING, CaptureState.KEYING, CaptureState.CHOOSING]
)
def test_resume_leads_back_where_the_pause_began(state: CaptureState) -> None:
    line = in_state(state)
    line.capture.pause(line.now_s)
    line.capture.resume(line.now_s)
    assert line.state is state


def test_timers_stand_still_in_a_pause() -> None:
    spec = CaptureSpec(fields=FIELDS, first_digit_timeout_ms=20_000, total_timeout_ms=60_000)
    line = Line(spec).armed().collect(PAN).wait(15)
    line.capture.pause(line.now_s)
    line.wait(100)
    line.capture.resume(line.now_s)

    line.wait(4.9)
    assert line.reason is None
    line.wait(0.2)
    assert line.reason is RejectReason.TIMEOUT
    line.key("4").wait(100)
    assert line.capture.outcome.result is CaptureResult.TIMED_OUT


def test_pause_itself_has_an_end() -> None:
    line = Line(CaptureSpec(fields=FIELDS, pause_timeout_ms=90_000)).armed().collect(PAN).key("4242")
    line.capture.pause(line.now_s)

    line.wait(89.9)
    assert line.state is CaptureState.PAUSED
    line.wait(0.2)

    assert line.capture.outcome.result is CaptureResult.TIMED_OUT
    assert line.empty()


def test_field_asked_for_in_a_pause_ends_the_pause() -> None:
    line = in_state(CaptureState.PAUSED)
    line.wait(50).collect(EXPIRY)
    assert line.state is CaptureState.WAITING
    line.wait(19)
    assert line.reason is None


# --- the walk ---------------------------------------------------------------------------------------------


def digits_reachable(root: object, keyed: str) -> list[str]:
    """Find texts and bytes, reachable from ``root`` without the slot, that hold five of the keyed digits in a row."""
    runs = {keyed[start : start + 5] for start in range(len(keyed) - 4)} - {
        digit * 5 for digit in "0123456789"
    }
    seen: set[int] = set()
    todo: list[object] = [root]
    found: list[str] = []
    while todo:
        each = todo.pop()
        if id(each) in seen or isinstance(each, NOT_SEARCHED):
            continue
        seen.add(id(each))
        text = (
            each.decode("latin-1")
            if isinstance(each, bytes)
            else str(each)
            if isinstance(each, (str, int))
            else ""
        )
        found += [text for run in runs if run in text]
        if isinstance(each, (list, tuple)) and len(each) > 4:
            row = re.sub(r"\D", "", "".join(str(item) for item in each if isinstance(item, (str, int))))
            found += [row for run in runs if run in row]
        if type(each).__module__.startswith(("dtmf_shield.cde", "dtmf_shield.model", "builtins")):
            todo += [other for other in gc.get_referents(each) if not callable(other)]
    return found


def test_search_for_digits_would_find_them() -> None:
    line = Line().armed().collect(PAN).key("48151623")
    assert digits_reachable(line.capture, "48151623") == []

    line.capture.held.accepted.append("48151623")
    assert digits_reachable(line.capture, "48151623") != []


class Walk(RuleBasedStateMachine):
    """Any input in any state. Each public call either keeps to the table or changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.line = Line(CaptureSpec(fields=FIELDS, total_timeout_ms=900_000, attempts=5))
        self.keyed = ""
        self.was_armed = False
        self.searched: CaptureState | None = None
        self.menu_seen = False

    def attempt(self, method: str, *arguments: object) -> None:
        capture: Capture = self.line.capture
        before, slot = capture.state, bytes(self.line.slot)
        try:
            getattr(capture, method)(*arguments)
        except InvariantError:
            assert capture.state is before
            assert bytes(self.line.slot) == slot
        else:
            assert before not in ENDED

    @rule()
    def armed(self) -> None:
        self.attempt("armed")
        self.was_armed = True

    @rule(
        name=st.sampled_from([PAN, EXPIRY, CODE, "no such field"]),
        patience=st.sampled_from([None, *PATIENCES]),
        attempt=st.integers(1, 3),
    )
    def collect(self, name: str, patience: Patience | None, attempt: int) -> None:
        self.attempt("collect", name, self.line.now_s, patience, attempt)

    @rule(
        keys=st.sampled_from([OPTIONS, ("0", "9"), ("1",), (), ("#",)]), patience=st.sampled_from(PATIENCES)
    )
    def menu(self, keys: tuple[str, ...], patience: Patience) -> None:
        self.attempt("ask_choice", keys, patience, self.line.now_s)
        self.menu_seen = True

    @rule()
    def stop_asking(self) -> None:
        self.attempt("stop_asking")

    @rule(over=st.booleans())
    def prompt(self, over: bool) -> None:
        self.line.prompt(over=over)

    @rule(
        keys=st.sampled_from([VISA, VISA + "#", "5555555555554444", "378282246310005", "1230", "123", "1234"])
    )
    def key_whole(self, keys: str) -> None:
        self.key(keys)

    @rule()
    def key_card(self) -> None:
        for name, keys in ((PAN, VISA + "#"), (EXPIRY, "1230"), (CODE, "123")):
            self.attempt("collect", name, self.line.now_s)
            self.key(keys)

    @rule(keys=st.text("0123456789*#A", min_size=1, max_size=5))
    def key(self, keys: str) -> None:
        self.keyed += keys
        self.line.key(keys)

    @rule(code=st.sampled_from(list(b"0123456789*#")))
    def info(self, code: int) -> None:
        self.line.capture.take_info_key(code, 0.0, self.line.now_s)

    @rule()
    def overrun(self) -> None:
        self.line.capture.take_media_keys(self.line.head, True, self.line.now_s)

    @rule(keys=st.sampled_from(["44", "112233445566", "**", "00", "1#"]))
    def key_fast(self, keys: str) -> None:
        self.keyed += keys
        self.line.key(keys, gap_s=0.03)

    @rule(seconds=st.sampled_from([0.5, 3.0, 7.0, 25.0, 130.0]))
    def wait(self, seconds: float) -> None:
        self.line.wait(seconds)

    @rule(operation=st.sampled_from([OperationKind.TOKENIZE, OperationKind.CHARGE]))
    def submit(self, operation: OperationKind) -> None:
        self.attempt("submit", self.line.now_s, operation)

    @rule()
    def pause(self) -> None:
        self.attempt("pause", self.line.now_s)

    @rule()
    def resume(self) -> None:
        self.attempt("resume", self.line.now_s)

    @rule()
    def tokenized(self) -> None:
        self.attempt("tokenized")

    @rule()
    def settling(self) -> None:
        self.attempt("settling")

    @rule()
    def velocity(self) -> None:
        self.attempt("velocity_stopped")

    @rule(kind=st.sampled_from(list(GatewayResultKind)), voided=st.booleans())
    def settle(self, kind: GatewayResultKind, voided: bool) -> None:
        self.attempt("settle", GatewayResult(kind, token="tok_1", voided=voided))

    @rule(result=st.sampled_from([CaptureResult.CANCELLED, CaptureResult.CALLER_GONE]))
    def stop(self, result: CaptureResult) -> None:
        self.attempt("stop", result)

    @invariant()
    def mask_is_on_until_the_end(self) -> None:
        state = self.line.state
        assert (state in MASKING) == (self.was_armed and state not in ENDED)

    @invariant()
    def no_digit_where_none_is_needed(self) -> None:
        if self.line.state in NO_DIGIT_STATES:
            assert self.line.empty()

    @invariant()
    def only_a_choice_that_was_open_is_told(self) -> None:
        for each in self.line.told():
            if isinstance(each, ChoiceMade):
                assert 0 <= each.ordinal < len(OPTIONS)
                assert self.menu_seen

    @invariant()
    def something_will_happen_while_something_is_asked_for(self) -> None:
        if self.line.state in ASKING:
            assert self.line.capture.next_timer_s is not None
            assert self.line.capture.next_timer_s <= self.line.now_s + 180

    @invariant()
    def nothing_is_half_keyed_beside_a_menu(self) -> None:
        told = self.line.capture.progress()
        if self.line.state is CaptureState.CHOOSING:
            assert not told.count or told.field in told.accepted

    @invariant()
    def slot_holds_what_is_counted(self) -> None:
        progress = self.line.capture.progress()
        if progress.field == PAN and self.line.state in MASKING - NO_DIGIT_STATES:
            assert len(self.line.number()) == progress.count

    @invariant()
    def digits_are_in_the_slot_only(self) -> None:
        told = repr(self.line.capture) + repr(self.line.capture.progress()) + repr(self.line.capture.outcome)
        told += repr(self.line.capture._messages)
        assert re.search(r"[0-9]{5}", told) is None
        digits = re.sub(r"\D", "", self.keyed)
        if len(digits) >= 5 and self.line.state is not self.searched:
            self.searched = self.line.state
            assert digits_reachable(self.line.capture.__dict__, digits) == []


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
