"""The capture machine: fields keyed one by one into one slot, checked, held and handed to the gateway; menus between.

Its states and inputs are the table in capture_table.py. Keys live in the slot and nowhere else: this file handles one
code at a time and otherwise counts. It reads no clock and does no I/O: it takes ``now_s``, changes the slot, and tells
by ``take_change`` that there is news.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from dtmf_shield.account_data import slots
from dtmf_shield.base.errors import InvariantError
from dtmf_shield.cde.capture_news import CaptureMessage, Change
from dtmf_shield.cde.capture_table import (
    ASKING,
    AT_GATEWAY,
    ENDED,
    FIELD_OPEN,
    TAKING_KEYS,
    TRANSITIONS,
    Input,
)
from dtmf_shield.cde.card import IinTable
from dtmf_shield.cde.doors import Door, KeyJoiner, keys_up_to
from dtmf_shield.cde.fields import Field, Plan, Rules
from dtmf_shield.cde.gateways.base import CardInSlot, GatewayResult
from dtmf_shield.cde.held import HeldFields
from dtmf_shield.cde.key_rhythm import CELLS, KeyRhythm
from dtmf_shield.cde.menu import Menu
from dtmf_shield.cde.patience import DIGITS, KEYPAD, NO_KEY, StepKeys, patience_of, step_keys
from dtmf_shield.cde.results import GOOD, result_of
from dtmf_shield.cde.step_clock import StepClock
from dtmf_shield.cde.type_ahead import TypeAhead
from dtmf_shield.model.capture import (
    CaptureOutcome,
    CaptureProgress,
    CaptureResult,
    CaptureSpec,
    CaptureState,
    ChoiceFault,
    ControlKey,
    FieldKind,
    Hint,
    Patience,
    RejectReason,
)
from dtmf_shield.model.field_rules import fault_of_fields
from dtmf_shield.model.ids import NO_OPERATION, NO_TOKEN, CaptureId, OperationId, Token
from dtmf_shield.model.messages import ChoiceMade, ChoiceRefused, ControlKeyed, FieldGivenUp, KeysHinted
from dtmf_shield.model.payment import OperationKind

_MONEY: Final = frozenset({OperationKind.AUTHORIZE, OperationKind.CHARGE})
SENDING_S_MAX: Final = 60.0
"""Digits are held no longer at the gateway: connect, answer, one more try and a second gateway take 40 s at most."""
_HEARING_KEYS: Final = TAKING_KEYS | {CaptureState.PAUSED}
_RESUMING: Final = {
    CaptureState.HELD: Input.RESUME_HELD,
    CaptureState.WAITING: Input.RESUME_WAITING,
    CaptureState.KEYING: Input.RESUME_KEYING,
    CaptureState.CHOOSING: Input.RESUME_CHOOSING,
}
_RESUMING_UNTOUCHED: Final = frozenset({Input.RESUME_WAITING, Input.RESUME_CHOOSING})
_UNTOUCHED: Final = frozenset({CaptureState.WAITING, CaptureState.CHOOSING})
"""A field or menu is open and has no key yet."""
_SHOWING_LAST4: Final = frozenset(
    {CaptureState.IDLE, CaptureState.HELD, CaptureState.CHOOSING, CaptureState.PAUSED}
)
REPEAT_REST_S: Final = 2.0
"""Two stars in a row, or one that has just emptied a field, ask for the prompt once."""
SWALLOW_S_MAX: Final = 3.0
"""Later than this the submit key skips a field that may be skipped; it is no left-over of the entry before."""
_ZEROS: Final = bytes(slots.SLOT_BYTES)


class Capture:
    """One capture in one slot. Raises InvariantError for an input its state does not take, and changes nothing."""

    def __init__(
        self,
        capture_id: CaptureId,
        spec: CaptureSpec,
        page: memoryview,
        table: IinTable,
        *,
        now_s: float,
        today: tuple[int, int],
        test: bool = False,
    ) -> None:
        """``page``: the slot. ``today``: (year, month) at UTC-12. Raises InvariantError for a spec beyond limits."""
        if fault := fault_of_fields(spec.fields):
            raise InvariantError(fault)
        self._patience = patience_of(spec)
        self._keys = step_keys(self._patience)
        self.capture_id, self.state, self.outcome = capture_id, CaptureState.IDLE, _NO_OUTCOME
        self._spec, self._page, self._test = spec, page, test
        self._rules = Rules(table, today)
        self.held = HeldFields(spec.fields, page, self._rules)
        self._joiner = KeyJoiner(page[slots.UNPAIRED_KEYS_AT :][: slots.UNPAIRED_KEYS_MAX])
        self._ahead = TypeAhead(page[slots.WAITING_KEYS_AT :][: slots.WAITING_KEYS_MAX])
        self._rhythm = KeyRhythm(page[slots.LAST_KEY_AT :][:CELLS])
        self._total_s = now_s + spec.total_timeout_ms / 1000
        self._clock = StepClock()
        self._field: Field | None = None
        self._menu: Menu | None = None
        self._shown_brand = ""
        self._length, self._usual, self._attempt = 0, 0, 1
        self._reason: RejectReason | None = None
        self._undo_before = self._enough_keys = False
        self._swallow = NO_KEY
        """The submit key of an entry that has submitted itself: it may still come, once."""
        self._swallow_until_s = self._repeat_rests_s = now_s
        self._messages: list[CaptureMessage] = []
        self._hinted: set[Hint] = set()
        self._stopped: CaptureResult | None = None
        self._moves_money = False
        self._resume_to, self._paused_s = Input.RESUME_HELD, 0.0
        self._change = Change.NONE

    # --- what control asks ------------------------------------------------------------------------------

    def armed(self) -> None:
        """Media writes into the slot from now on."""
        self._move(Input.ARMED)

    def collect(self, name: str, now_s: float, patience: Patience | None = None, attempt: int = 1) -> None:
        """Ask for a field, the first time or again; then keys typed ahead serve it. In a pause it resumes.

        ``patience`` None: as the specification has it. Raises InvariantError for a field or patience that cannot be.
        """
        field = self.held.named(name)
        patience = patience or patience_of(self._spec)
        keys = step_keys(patience)
        again = field is self._field or field.accepted
        self._begin_step(Input.COLLECT, patience, keys, now_s)
        self._forget_field(field)
        if field.kind is FieldKind.CARD_NUMBER:
            # PCI DSS 3.3.1: a code belongs to the card it was keyed for.
            self._forget_security_code()
        if again:
            self._flush_ahead()
        self._field, self._attempt, self._reason = field, attempt, None
        self._expect_first_key(now_s)
        self._serve_ahead(now_s)

    def ask_choice(self, keys: tuple[str, ...], patience: Patience, now_s: float) -> None:
        """Open a menu; what was half keyed into a field is wiped. In a pause it resumes.

        Keys typed ahead serve it where ``patience`` keeps them. Raises InvariantError for what is no menu.
        """
        menu, codes = Menu(keys), step_keys(patience)
        self._begin_step(Input.MENU, patience, codes, now_s)
        self._menu, self._attempt, self._reason = menu, 1, None
        self._clock.expect_first_key(patience, now_s)
        self._serve_ahead(now_s)

    def stop_asking(self) -> None:
        """Close the open field or menu; what was half keyed is wiped. A pause stays one."""
        self._close(Input.CLOSED)
        self._reason, self._resume_to = None, Input.RESUME_HELD

    def prompt_said(self, over: bool, now_s: float) -> None:
        """A prompt begins or is over: the silence before the first key counts from its end."""
        if self.state is CaptureState.PAUSED:
            now_s = self._paused_s
            untouched = self._resume_to in _RESUMING_UNTOUCHED
        else:
            untouched = self.state in _UNTOUCHED
        self._clock.prompt_said(over, now_s)
        if untouched:
            self._clock.expect_first_key(self._patience, now_s)

    def _begin_step(self, by: Input, patience: Patience, keys: StepKeys, now_s: float) -> None:
        was_paused = self.state is CaptureState.PAUSED
        self._move(by)
        if was_paused:
            self._end_pause(now_s)
        self._leave_field()
        self._menu, self._patience, self._keys = None, patience, keys
        if patience.type_ahead == "drop" or self._ahead.full:
            self._flush_ahead()
        self._hinted.clear()
        self._rhythm.begin()
        self._clock.begin(patience, now_s)

    def wait_on(self, name: str, patience: Patience, attempt: int, now_s: float) -> None:
        """Go on with other patience for a field that is asked for: it loses no key and wins no time for the step.

        Nothing changes where it crossed what was asked for since. Raises InvariantError for what cannot be.
        """
        keys = step_keys(patience)
        if self.held.named(name) is not self._field or self._menu is not None:
            return
        self._patience, self._keys = patience, keys
        # Control may have asked before it heard of a refusal: that attempt stays used.
        self._attempt = max(self._attempt, attempt)
        if self.state is CaptureState.WAITING:
            self._move(Input.COLLECT)
            self._clock.expect_first_key(patience, now_s)
        elif self.state is CaptureState.PAUSED and self._resume_to is Input.RESUME_WAITING:
            self._clock.expect_first_key(patience, self._paused_s)
        elif self.state is CaptureState.KEYING:
            self._after_change(now_s)

    @property
    def nearly_whole(self) -> bool:
        """Whether the one needed field that is missing, if any, is being keyed."""
        open_one = self._field is not None and self._field.needed and not self._field.accepted
        return self.held.anything_needed and self.held.missing_count == open_one

    def pause(self, now_s: float) -> None:
        """Drop keys and stop the timers; what was keyed so far stays."""
        before = self.state
        self._move(Input.PAUSE)
        self._resume_to = _RESUMING[before]
        self._paused_s = now_s
        self._rhythm.break_off()

    def resume(self, now_s: float) -> None:
        """Go on where the pause began: the timers have as long to run as they had."""
        self._move(self._resume_to)
        self._end_pause(now_s)

    def submit(self, now_s: float, operation: OperationKind = OperationKind.TOKENIZE) -> CardInSlot:
        """Hand the card over. Media must be sealed first. Raises InvariantError where a needed field is missing."""
        if self.held.missing_count or not self.held.accepted:
            raise InvariantError("a field is missing")
        self._move(Input.SUBMIT)
        self._moves_money = operation in _MONEY
        self._menu = None
        self._clock.close()
        self._total_s = now_s + SENDING_S_MAX
        self._flush_ahead()
        return self.held.card_in_slot()

    def stop(self, result: CaptureResult, *, keeps: bool = False) -> HeldFields | None:
        """Cancelled, caller gone, timed out, interrupted. At the gateway, its answer still ends the capture.

        ``keeps``: what is accepted stays in the slot and is returned, None where nothing is. The caller wipes it.
        """
        self._move(Input.STOP)
        if self.state in AT_GATEWAY:
            self._stopped = self._stopped or result
            return None
        kept = self.held if keeps and self.held.accepted else None
        self._end(CaptureOutcome(capture_id=self.capture_id, result=result, test=self._test), kept)
        return kept

    def take_over(self, earlier: HeldFields) -> None:
        """Lay in, before it is armed, what an earlier capture of this call has accepted and this one takes too."""
        if self.state is not CaptureState.IDLE:
            raise InvariantError("fields are taken over before anything is keyed")
        self.held.take_over(earlier)
        card = self.held.of_kind(FieldKind.CARD_NUMBER)
        if card is not None and card.accepted:
            # The one last shown, so that its last four digits are told.
            self._field, self._shown_brand = card, self.accepted_brand

    # --- what the payment engine tells -------------------------------------------------------------------

    def tokenized(self) -> None:
        """The gateway has the card as a token and money is about to move: no digit is needed any more."""
        self._move(Input.TOKENIZED)
        self._wipe()

    def settling(self) -> None:
        """There was no believable answer; the gateway is asked what it did. No digit is needed for that."""
        self._move(Input.SETTLING)
        self._wipe()

    def velocity_stopped(self) -> None:
        """A rule against card testing stopped it; nothing was sent."""
        self._move(Input.VELOCITY)
        self._end(self._outcome_of_card(CaptureResult.VELOCITY))

    def settle(self, answer: GatewayResult, operation_id: OperationId = NO_OPERATION) -> None:
        """Take the end at the gateway: the last answer, which says what became of money where some was asked for."""
        result = result_of(answer, self._stopped, moves_money=self._moves_money)
        self._move(Input.APPROVED if result in GOOD else Input.NOT_APPROVED)
        self._end(
            self._outcome_of_card(
                result,
                token=Token(answer.token) if result in GOOD else NO_TOKEN,
                gateway_code=answer.code,
                operation_id=operation_id,
            )
        )

    def _outcome_of_card(self, result: CaptureResult, **of_gateway: Any) -> CaptureOutcome:
        told = CaptureOutcome(capture_id=self.capture_id, result=result, test=self._test, **of_gateway)
        return replace(told, brand=self._shown_brand, last4=self.held.last4)

    # --- what the caller keys ---------------------------------------------------------------------------

    def take_media_keys(
        self,
        head: int,
        overrun: bool,
        now_s: float,
        heard_s: float | None = None,
        tell: Callable[[], None] | None = None,
    ) -> None:
        """Take the keys media wrote up to ``head`` (mod 64) out of the slot's ring.

        ``heard_s``: when media had the last of them, None: just now. ``tell``: called behind each key.
        """
        heard_s = now_s if heard_s is None else min(heard_s, now_s)
        for code, more in keys_up_to(head, self._page):
            self._arrive(code, Door.MEDIA, now_s, 0.0, heard_s)
            if more:
                self._rhythm.break_off()  # nobody knows how long after it the next was pressed
            if tell is not None:
                tell()
        if overrun and self.state in FIELD_OPEN:
            self._refuse(RejectReason.FORMAT, now_s)
        elif overrun:
            self._flush_ahead()

    def take_info_key(self, code: int, held_s: float, now_s: float) -> None:
        """Take one key that came by SIP INFO, held for ``held_s`` before it was sent (0: not told)."""
        self._arrive(code, Door.INFO, now_s, held_s, now_s)

    # --- time -------------------------------------------------------------------------------------------

    @property
    def next_timer_s(self) -> float | None:
        """When ``handle_timer`` has something to do, None: never."""
        if self.state in ENDED:
            return None
        times_s = (self._joiner.next_timer_s, *self._timers_s())
        return min((time_s for time_s in times_s if time_s is not None), default=None)

    def _timers_s(self) -> tuple[float | None, ...]:
        if self.state is CaptureState.PAUSED:
            return (self._paused_s + self._spec.pause_timeout_ms / 1000,)
        if self.state in (CaptureState.PAYING, CaptureState.SETTLING):
            return ()  # how long the gateway is waited for, the engine knows
        return self._clock.silence_s, self._clock.ends_s, self._total_s

    def handle_timer(self, now_s: float) -> None:
        """Do what is due."""
        self._joiner.forget(now_s)
        if self.state in ENDED or not any(due_s is not None and due_s <= now_s for due_s in self._timers_s()):
            return
        if self.state is CaptureState.SENDING:
            self.settling()
        elif self.state is CaptureState.PAUSED or now_s >= self._total_s:
            self.stop(CaptureResult.TIMED_OUT)
        elif self.state is CaptureState.CHOOSING:
            self._not_chosen(ChoiceFault.TIMEOUT)
        elif self._clock.ends_s is not None and now_s >= self._clock.ends_s:
            self._give_up(self._open_field(), RejectReason.TIMEOUT)
        elif self._agent_key_alone:
            self._call_agent()
        elif self.state is CaptureState.KEYING and self._enough_keys:
            self._check(now_s, by_key=False)
        else:
            self._refuse(RejectReason.TIMEOUT, now_s)

    # --- news -------------------------------------------------------------------------------------------

    def take_change(self) -> Change:
        """Return whether there is news, and forget it."""
        change, self._change = self._change, Change.NONE
        return change

    def take_messages(self) -> tuple[CaptureMessage, ...]:
        """Return what is to be told beside the progress, in order and after it, and forget it."""
        messages, self._messages = tuple(self._messages), []
        return messages

    def progress(self) -> CaptureProgress:
        """Return what the agent's page may show now."""
        field = self._field
        held_card = field is not None and field.kind is FieldKind.CARD_NUMBER and self.state in _SHOWING_LAST4
        return CaptureProgress(
            capture_id=self.capture_id,
            state=self.state,
            field=field.spec.name if field is not None else "",
            count=field.count_shown if field is not None else 0,
            length=self._length,
            usual=self._usual,
            brand=self._shown_brand,
            last4=self.held.last4 if held_card else "",
            attempt=self._attempt,
            reason=self._reason,
            accepted=tuple(self.held.accepted),
            values=tuple(self.held.values.values()),
        )

    @property
    def accepted_brand(self) -> str:
        """Name of the accepted card's brand."""
        return self.held.brand_name

    # --- within -----------------------------------------------------------------------------------------

    def _move(self, by: Input) -> None:
        target = TRANSITIONS.get((self.state, by))
        if target is None:
            raise InvariantError(f"capture {self.capture_id}: {by.value} in state {self.state.value}")
        edge = target is not self.state and (self.state, target) != (
            CaptureState.WAITING,
            CaptureState.KEYING,
        )
        told = edge or by in (Input.REFUSED, Input.COLLECT, Input.MENU)
        self._note(Change.NOW if told else Change.LATER)
        self.state = target

    def _note(self, change: Change) -> None:
        self._change = max(self._change, change)

    def _arrive(self, code: int, door: Door, now_s: float, held_s: float, heard_s: float) -> None:
        if self.state not in _HEARING_KEYS or not code or not self._joiner.is_new(code, door, now_s, held_s):
            return
        if self.state is CaptureState.PAUSED:
            # Dropped; its arrival by the other door is not to count after the pause.
            self._wipe_traces()
            return
        counts = self._rhythm.counts(code, heard_s, self._patience.debounce_ms / 1000)
        if self._rhythm.doubled:
            self._hint(Hint.DUPLICATE_KEYS)
        if not counts:
            return
        swallow, self._swallow = self._swallow, NO_KEY
        if code == swallow and not (self._may_be_skipped and now_s > self._swallow_until_s):
            return
        if self.state is CaptureState.HELD:
            self._ahead.put(code)
        else:
            self._take(code, now_s)

    @property
    def _may_be_skipped(self) -> bool:
        """Whether the submit key alone answers the open field."""
        return self.state is CaptureState.WAITING and self._open_field().spec.optional

    def _take(self, code: int, now_s: float) -> None:
        if self.state is CaptureState.CHOOSING:
            self._choose(code, now_s)
        else:
            self._press(code, now_s)

    def _serve_ahead(self, now_s: float) -> None:
        while len(self._ahead) and self.state in ASKING:
            self._take(self._ahead.take(), now_s)
        if self._swallow and len(self._ahead):
            # An entry on the way has submitted itself; its own submit key may stand in front of the rest.
            if self._ahead.first == self._swallow:
                self._ahead.take()
            self._swallow = NO_KEY
        self._ahead.close_up()

    def _hint(self, hint: Hint) -> None:
        if hint not in self._hinted:
            self._hinted.add(hint)
            self._messages.append(KeysHinted(self.capture_id, hint))

    def _wipe_traces(self) -> None:
        """Zero what is kept of keys to know their second arrival by; that one is still known by its time."""
        self._joiner.wipe()
        self._rhythm.wipe()

    def _flush_ahead(self) -> None:
        self._ahead.flush()
        self._wipe_traces()

    def _choose(self, code: int, now_s: float) -> None:
        if self._menu is None:
            raise InvariantError(f"capture {self.capture_id}: no menu is open")
        if code not in KEYPAD:
            return
        ordinal = self._menu.ordinal(code)
        if ordinal is not None:
            self._wipe_traces()
            self._close(Input.CHOSEN)
            self._swallow = self._keys.submit
            self._messages.append(ChoiceMade(self.capture_id, ordinal))
        elif code == self._keys.repeat:
            self._ask_repeat(now_s)
        elif code == self._keys.agent:
            self._call_agent()
        else:
            self._not_chosen(ChoiceFault.WRONG_KEY)

    def _not_chosen(self, reason: ChoiceFault) -> None:
        self._flush_ahead()
        self._close(Input.NOT_CHOSEN)
        if reason is ChoiceFault.WRONG_KEY:
            self._swallow = self._keys.submit
        self._messages.append(ChoiceRefused(self.capture_id, reason))

    def _ask_repeat(self, now_s: float) -> None:
        """The prompt is asked for again: the silence before the first key begins anew."""
        self._clock.expect_first_key(self._patience, now_s)
        if now_s >= self._repeat_rests_s:
            self._messages.append(ControlKeyed(self.capture_id, ControlKey.REPEAT))
        self._repeat_rests_s = now_s + REPEAT_REST_S

    @property
    def _agent_key_alone(self) -> bool:
        """Whether the key to an agent is all that the open field holds: it may be that, or the first of a date."""
        if self.state is not CaptureState.KEYING or not self._keys.agent:
            return False
        return self._open_field().holds_only(self._keys.agent)

    def _call_agent(self) -> None:
        self._wipe_traces()
        self._close(Input.AGENT_KEY)
        self._messages.append(ControlKeyed(self.capture_id, ControlKey.AGENT))

    def _press(self, code: int, now_s: float) -> None:
        undo_before, self._undo_before = self._undo_before, code == self._keys.undo
        if code == self._keys.repeat and self.state is CaptureState.WAITING:
            self._ask_repeat(now_s)
        elif code == self._keys.undo:
            if self.state is CaptureState.KEYING:
                self._undo(whole=undo_before and self._keys.resets, now_s=now_s)
        elif code == self._keys.submit:
            self._submit_entry(now_s)
        elif code in DIGITS:
            self._append(code, now_s)

    def _submit_entry(self, now_s: float) -> None:
        if self._agent_key_alone:
            self._call_agent()
        elif self.state is CaptureState.KEYING or self._open_field().spec.optional:
            self._check(now_s, by_key=True)
        else:
            self._refuse(RejectReason.TOO_SHORT, now_s)

    def _append(self, code: int, now_s: float) -> None:
        if self.state is CaptureState.KEYING:
            self._rhythm.paused(self._clock.share_waited(now_s))
            if self._rhythm.slow:
                self._hint(Hint.SLOW_KEYS)
        self._open_field().append(code)
        self._reason = None
        self._move(Input.DIGIT)
        self._after_change(now_s)

    def _undo(self, *, whole: bool, now_s: float) -> None:
        field = self._open_field()
        if whole:
            field.wipe(self._page)
        else:
            field.remove_last()
        # The rhythm holds the undo key, or one typed ahead since: zeroed, it would take the next digit for a bounce.
        self._joiner.wipe()
        self._note(Change.LATER)
        if field.count == 0:
            self._move(Input.EMPTIED)
            self._expect_first_key(now_s)
            self._repeat_rests_s = now_s + REPEAT_REST_S
        else:
            self._after_change(now_s)

    def _after_change(self, now_s: float) -> None:
        field = self._open_field()
        plan = self._rules.plan(field, self.held.brand)
        self._length, self._usual = plan.certain_length, plan.usual
        if field.kind is FieldKind.CARD_NUMBER:
            self._shown_brand = plan.brand
        if self._agent_key_alone:
            self._clock.expect_next_key(self._patience.inter_digit_timeout_ms, now_s)
            return
        if field.count >= plan.lengths[-1]:
            self._check(now_s, by_key=False)
            return
        self._enough_keys = field.count >= plan.lengths[0]
        self._clock.expect_next_key(self._silence_ms(plan), now_s)

    def _silence_ms(self, plan: Plan) -> int:
        """Return the silence that submits the field, or, with too few keys, refuses it."""
        patience = self._patience
        if plan.settled:
            return patience.settle_timeout_ms
        return patience.inter_digit_timeout_ms if self._enough_keys else patience.first_digit_timeout_ms

    def _expect_first_key(self, now_s: float) -> None:
        plan = self._rules.plan(self._open_field(), self.held.brand)
        self._length, self._usual = plan.certain_length, plan.usual
        self._shown_brand = self.accepted_brand
        self._undo_before = False
        self._clock.expect_first_key(self._patience, now_s)

    def _check(self, now_s: float, *, by_key: bool) -> None:
        self._swallow = NO_KEY if by_key else self._keys.submit
        self._swallow_until_s = now_s + SWALLOW_S_MAX
        field = self._open_field()
        reason = self._rules.fault(field, self.held.brand)
        if reason is not None:
            self._refuse(reason, now_s)
            return
        self._clock.close()
        self._reason = None
        self._move(Input.ACCEPTED)
        self._accept(field)

    def _accept(self, field: Field) -> None:
        self.held.accept(field)
        brand = self.held.brand
        if field.kind is FieldKind.CARD_NUMBER and brand is not None:
            self._shown_brand = brand.name
            code = self.held.of_kind(FieldKind.SECURITY_CODE)
            if code is not None and code.count not in (0, brand.code_length):
                self._forget_field(code)

    def _refuse(self, reason: RejectReason, now_s: float) -> None:
        field = self._open_field()
        if self._attempt >= self._patience.attempts:
            self._give_up(field, reason)
            return
        self._forget_field(field)
        self._flush_ahead()
        self._reason = reason
        self._attempt += 1
        self._move(Input.REFUSED)
        self._expect_first_key(now_s)

    def _give_up(self, field: Field, reason: RejectReason) -> None:
        """Attempts or time are used up. What goes on then is the flow's to say; everything else stays held."""
        self._flush_ahead()
        self._close(Input.GIVEN_UP)
        self._reason = reason
        self._messages.append(FieldGivenUp(self.capture_id, field.spec.name, reason))

    def _close(self, by: Input) -> None:
        """Nothing is asked for any more; what was half keyed is wiped."""
        self._move(by)
        self._leave_field()
        self._menu = None
        self._clock.close()

    def _leave_field(self) -> None:
        """Nobody waits for the rest of a half keyed field. One that is accepted stays, and stays the one last shown."""
        if self._field is None or self._field.accepted:
            return
        self._forget_field(self._field)
        self._field, self._length, self._usual = None, 0, 0
        self._shown_brand = self.accepted_brand

    def _open_field(self) -> Field:
        if self._field is None or self.state not in FIELD_OPEN:
            raise InvariantError(f"capture {self.capture_id}: no field is open")
        return self._field

    def _forget_security_code(self) -> None:
        code = self.held.of_kind(FieldKind.SECURITY_CODE)
        if code is not None:
            self._forget_field(code)

    def _forget_field(self, field: Field) -> None:
        if field.count:
            self._wipe_traces()
        self.held.forget(field)
        if field.kind is FieldKind.CARD_NUMBER:
            self._shown_brand = ""

    def _end_pause(self, now_s: float) -> None:
        paused_s = now_s - self._paused_s
        self._total_s += paused_s
        self._repeat_rests_s += paused_s
        self._swallow_until_s += paused_s
        self._clock.shift(paused_s)

    def _end(self, outcome: CaptureOutcome, kept: HeldFields | None = None) -> None:
        self._wipe(kept)
        self.outcome = outcome
        self._note(Change.NOW)

    def _wipe(self, kept: HeldFields | None = None) -> None:
        # Generation, state and head stay until the slot is given back: media still looks at them. The joiner's cells
        # go with the rest.
        if kept is not None:
            kept.keep_accepted()
        else:
            self._page[slots.RING_AT :] = _ZEROS[slots.RING_AT :]
            self.held.wipe()
        self._ahead.flush()
        self._rhythm.break_off()
        self._menu = None
        self._clock.close()

    def __repr__(self) -> str:
        return f"<Capture {self.capture_id} {self.state.value}>"


_NO_OUTCOME: Final = CaptureOutcome(capture_id=CaptureId(""), result=CaptureResult.INTERRUPTED)
