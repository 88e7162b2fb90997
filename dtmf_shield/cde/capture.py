"""The capture machine: fields keyed one by one into one slot, checked, held and handed to the gateway.

Its states and inputs are the table in capture_table.py. Keys live in the slot and nowhere else: this file handles one
code at a time and otherwise counts. It reads no clock and does no I/O: it takes ``now_s``, changes the slot, and tells
by ``take_change`` that there is news.
"""

from __future__ import annotations

import enum
from typing import Final

from dtmf_shield.account_data import slots
from dtmf_shield.base.errors import InvariantError
from dtmf_shield.cde import card
from dtmf_shield.cde.capture_table import AT_GATEWAY, ENDED, FIELD_OPEN, TAKING_KEYS, TRANSITIONS, Input
from dtmf_shield.cde.card import Brand, IinTable
from dtmf_shield.cde.doors import Door, KeyJoiner
from dtmf_shield.cde.fields import Field, Plan, Rules, card_in_slot, lay_out
from dtmf_shield.cde.gateways.base import CardInSlot, GatewayResult
from dtmf_shield.cde.results import GOOD, result_of
from dtmf_shield.cde.type_ahead import TypeAhead
from dtmf_shield.model.capture import (
    CaptureOutcome,
    CaptureProgress,
    CaptureResult,
    CaptureSpec,
    CaptureState,
    FieldKind,
    KeyedValue,
    RejectReason,
    ResetKeys,
    SubmitKey,
    UndoKey,
)
from dtmf_shield.model.field_rules import fault_of_fields
from dtmf_shield.model.ids import NO_OPERATION, NO_TOKEN, CaptureId, OperationId, Token
from dtmf_shield.model.payment import OperationKind

LAST4: Final = 4
_MONEY: Final = frozenset({OperationKind.AUTHORIZE, OperationKind.CHARGE})
SENDING_S_MAX: Final = 60.0
"""Digits are held no longer at the gateway: connect, answer, one more try and a second gateway take 40 s at most."""
_HEARING_KEYS: Final = TAKING_KEYS | {CaptureState.PAUSED}
_RESUMING: Final = {
    CaptureState.HELD: Input.RESUME_HELD,
    CaptureState.WAITING: Input.RESUME_WAITING,
    CaptureState.KEYING: Input.RESUME_KEYING,
}
_STAR: Final = ord("*")
_HASH: Final = ord("#")
_NO_KEY: Final = 0
_DIGITS: Final = frozenset(b"0123456789")
_ZEROS: Final = bytes(slots.SLOT_BYTES)
_UNDO_CODES: Final = {UndoKey.STAR: _STAR, UndoKey.HASH: _HASH, UndoKey.NONE: _NO_KEY}
_SUBMIT_CODES: Final = {SubmitKey.STAR: _STAR, SubmitKey.HASH: _HASH, SubmitKey.NONE: _NO_KEY}


class Change(enum.IntEnum):
    """Whether there is news for control. LATER may be batched; NOW is an edge that must not be lost."""

    NONE = 0
    LATER = 1
    NOW = 2


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
        self._undo_code, self._submit_code = _UNDO_CODES[spec.undo], _SUBMIT_CODES[spec.submit]
        if self._undo_code and self._undo_code == self._submit_code:
            raise InvariantError("one key cannot both undo and submit")
        self.capture_id, self.state, self.outcome = capture_id, CaptureState.IDLE, _NO_OUTCOME
        self._spec, self._page, self._test = spec, page, test
        self._rules = Rules(table, today)
        self._fields = lay_out(spec.fields, page)
        self._joiner = KeyJoiner(page[slots.UNPAIRED_KEYS_AT :][: slots.UNPAIRED_KEYS_MAX])
        self._ahead = TypeAhead(page[slots.WAITING_KEYS_AT :][: slots.WAITING_KEYS_MAX])
        self._total_s = now_s + spec.total_timeout_ms / 1000
        self._silence_s: float | None = None
        self._field: Field | None = None
        self._accepted: list[str] = []
        self._values: dict[str, KeyedValue] = {}
        self._brand: Brand | None = None
        self._shown_brand = self._last4 = ""
        self._length, self._usual, self._attempt = 0, 0, 1
        self._reason: RejectReason | None = None
        self._undo_before = self._swallow_submit = self._enough_keys = False
        self._stopped: CaptureResult | None = None
        self._moves_money = False
        self._resume_to, self._paused_s = Input.RESUME_HELD, 0.0
        self._change = Change.NONE

    # --- what control asks ------------------------------------------------------------------------------

    def armed(self) -> None:
        """Media writes into the slot from now on."""
        self._move(Input.ARMED)

    def collect(self, name: str, now_s: float) -> None:
        """Ask for a field, the first time or again; then keys typed ahead serve it. In a pause it resumes."""
        field = self._fields.get(name)
        if field is None:
            raise InvariantError("no such field in this capture")
        again = field is self._field or field.accepted
        was_paused = self.state is CaptureState.PAUSED
        self._move(Input.COLLECT)
        if was_paused:
            self._end_pause(now_s)
        if self._field is not None and not self._field.accepted:
            self._forget_field(self._field)  # half keyed, and nobody waits for the rest
        self._forget_field(field)
        if field.kind is FieldKind.CARD_NUMBER:
            # PCI DSS 3.3.1: a code belongs to the card it was keyed for.
            self._forget_security_code()
        if again or self._ahead.full:
            self._flush_ahead()
        self._field, self._attempt, self._reason = field, 1, None
        self._expect_first_key(now_s)
        self._serve_ahead(now_s)

    @property
    def fields_missing(self) -> int:
        """How many fields are not accepted yet."""
        return len(self._fields) - len(self._accepted)

    def pause(self, now_s: float) -> None:
        """Drop keys and stop the timers; what was keyed so far stays."""
        before = self.state
        self._move(Input.PAUSE)
        self._resume_to = _RESUMING[before]
        self._paused_s = now_s

    def resume(self, now_s: float) -> None:
        """Go on where the pause began: the timers have as long to run as they had."""
        self._move(self._resume_to)
        self._end_pause(now_s)

    def submit(self, now_s: float, operation: OperationKind = OperationKind.TOKENIZE) -> CardInSlot:
        """Hand the card over. Media must be sealed first. Raises InvariantError where a field is missing."""
        if len(self._accepted) != len(self._fields):
            raise InvariantError("a field is missing")
        self._move(Input.SUBMIT)
        self._moves_money = operation in _MONEY
        self._silence_s = None
        self._total_s = now_s + SENDING_S_MAX
        self._flush_ahead()
        return card_in_slot(self._fields, self._page)

    def stop(self, result: CaptureResult) -> None:
        """Cancelled, caller gone, timed out, interrupted. At the gateway, its answer still ends the capture."""
        self._move(Input.STOP)
        if self.state in AT_GATEWAY:
            self._stopped = self._stopped or result
        else:
            self._end(CaptureOutcome(capture_id=self.capture_id, result=result, test=self._test))

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

    def _outcome_of_card(
        self,
        result: CaptureResult,
        *,
        token: Token = NO_TOKEN,
        gateway_code: str = "",
        operation_id: OperationId = NO_OPERATION,
    ) -> CaptureOutcome:
        return CaptureOutcome(
            capture_id=self.capture_id,
            result=result,
            token=token,
            brand=self._shown_brand,
            last4=self._last4,
            gateway_code=gateway_code,
            operation_id=operation_id,
            test=self._test,
        )

    # --- what the caller keys ---------------------------------------------------------------------------

    def take_media_keys(self, head: int, overrun: bool, now_s: float) -> None:
        """Take the keys media wrote up to ``head`` (mod 64) out of the slot's ring."""
        tail = self._page[slots.TAIL_AT] % slots.RING_KEYS
        while tail != head % slots.RING_KEYS:
            code = self._page[slots.RING_AT + tail]
            self._page[slots.RING_AT + tail] = 0
            tail = (tail + 1) % slots.RING_KEYS
            self._page[slots.TAIL_AT] = tail
            self._arrive(code, Door.MEDIA, now_s)
        if overrun and self.state in FIELD_OPEN:
            self._refuse(RejectReason.FORMAT, now_s)
        elif overrun:
            self._flush_ahead()

    def take_info_key(self, code: int, held_s: float, now_s: float) -> None:
        """Take one key that came by SIP INFO, held for ``held_s`` before it was sent (0: not told)."""
        self._arrive(code, Door.INFO, now_s, held_s)

    # --- time -------------------------------------------------------------------------------------------

    @property
    def next_timer_s(self) -> float | None:
        """When ``handle_timer`` has something to do, None: never."""
        if self.state in ENDED:
            return None
        return min((time_s for time_s in self._timers_s() if time_s is not None), default=None)

    def _timers_s(self) -> tuple[float | None, ...]:
        joiner_s = self._joiner.next_timer_s
        if self.state is CaptureState.PAUSED:
            return joiner_s, self._paused_s + self._spec.pause_timeout_ms / 1000
        if self.state in (CaptureState.PAYING, CaptureState.SETTLING):
            return (joiner_s,)  # how long the gateway is waited for, the engine knows
        return joiner_s, self._silence_s, self._total_s

    def handle_timer(self, now_s: float) -> None:
        """Do what is due."""
        self._joiner.forget(now_s)
        if self.state in ENDED or not any(due_s is not None and due_s <= now_s for due_s in self._timers_s()):
            return
        if self.state is CaptureState.SENDING:
            self.settling()
        elif self.state is CaptureState.PAUSED or now_s >= self._total_s:
            self.stop(CaptureResult.TIMED_OUT)
        elif self.state is CaptureState.KEYING and self._enough_keys:
            self._check(now_s, by_key=False)
        else:
            self._refuse(RejectReason.TIMEOUT, now_s)

    # --- news -------------------------------------------------------------------------------------------

    def take_change(self) -> Change:
        """Return whether there is news, and forget it."""
        change, self._change = self._change, Change.NONE
        return change

    def progress(self) -> CaptureProgress:
        """Return what the agent's page may show now."""
        field = self._field
        held_card = (
            field is not None
            and field.kind is FieldKind.CARD_NUMBER
            and self.state in (CaptureState.HELD, CaptureState.PAUSED)
        )
        return CaptureProgress(
            capture_id=self.capture_id,
            state=self.state,
            field=field.spec.name if field is not None else "",
            count=field.count_shown if field is not None else 0,
            length=self._length,
            usual=self._usual,
            brand=self._shown_brand,
            last4=self._last4 if held_card else "",
            attempt=self._attempt,
            reason=self._reason,
            accepted=tuple(self._accepted),
            values=tuple(self._values.values()),
        )

    def expiry_month_year(self) -> tuple[int, int]:
        """Return (month, two-digit year) of the accepted expiry, (0, 0) without one. PCI DSS lets it be kept."""
        expiry = self._of_kind(FieldKind.EXPIRY)
        if expiry is None or not expiry.accepted:
            return 0, 0
        return card.digits_value(expiry.view, 0, 2), card.digits_value(expiry.view, 4, 2)

    @property
    def accepted_brand(self) -> str:
        """Name of the accepted card's brand."""
        return self._brand.name if self._brand is not None else ""

    @property
    def last4(self) -> str:
        """Last four digits of the accepted card."""
        return self._last4

    # --- within -----------------------------------------------------------------------------------------

    def _move(self, by: Input) -> None:
        target = TRANSITIONS.get((self.state, by))
        if target is None:
            raise InvariantError(f"capture {self.capture_id}: {by.value} in state {self.state.value}")
        edge = target is not self.state and (self.state, target) != (
            CaptureState.WAITING,
            CaptureState.KEYING,
        )
        self._note(Change.NOW if edge or by in (Input.REFUSED, Input.COLLECT) else Change.LATER)
        self.state = target

    def _note(self, change: Change) -> None:
        self._change = max(self._change, change)

    def _arrive(self, code: int, door: Door, now_s: float, held_s: float = 0.0) -> None:
        if self.state not in _HEARING_KEYS or not code or not self._joiner.is_new(code, door, now_s, held_s):
            return
        if self.state is CaptureState.PAUSED:
            # Dropped; its arrival by the other door is not to count after the pause.
            self._joiner.wipe()
            return
        swallow, self._swallow_submit = self._swallow_submit, False
        if swallow and code == self._submit_code:
            return
        if self.state is CaptureState.HELD:
            self._ahead.put(code)
        else:
            self._press(code, now_s)

    def _serve_ahead(self, now_s: float) -> None:
        while len(self._ahead) and self.state in FIELD_OPEN:
            self._press(self._ahead.take(), now_s)
        if self._swallow_submit and len(self._ahead):
            # An auto-submit on the way; its own submit key may stand in front of the rest.
            self._swallow_submit = False
            if self._ahead.first == self._submit_code:
                self._ahead.take()
        self._ahead.close_up()

    def _flush_ahead(self) -> None:
        self._ahead.flush()
        self._joiner.wipe()

    def _press(self, code: int, now_s: float) -> None:
        undo_before, self._undo_before = self._undo_before, code == self._undo_code
        if code == self._undo_code:
            if self.state is CaptureState.KEYING:
                self._undo(whole=undo_before and self._spec.reset is ResetKeys.DOUBLE, now_s=now_s)
        elif code == self._submit_code:
            if self.state is CaptureState.KEYING or self._open_field().spec.optional:
                self._check(now_s, by_key=True)
            else:
                self._refuse(RejectReason.TOO_SHORT, now_s)
        elif code in _DIGITS:
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
        self._joiner.wipe()
        self._note(Change.LATER)
        if field.count == 0:
            self._move(Input.EMPTIED)
            self._expect_first_key(now_s)
        else:
            self._after_change(now_s)

    def _after_change(self, now_s: float) -> None:
        field = self._open_field()
        plan = self._rules.plan(field, self._brand)
        self._length, self._usual = plan.certain_length, plan.usual
        if field.kind is FieldKind.CARD_NUMBER:
            self._shown_brand = plan.brand
        if field.count >= plan.lengths[-1]:
            self._check(now_s, by_key=False)
            return
        self._enough_keys = field.count >= plan.lengths[0]
        self._silence_s = now_s + self._silence_ms(plan) / 1000

    def _silence_ms(self, plan: Plan) -> int:
        """Return the silence that submits the field, or, with too few keys, refuses it."""
        if plan.settled:
            return self._spec.settle_timeout_ms
        return self._spec.inter_digit_timeout_ms if self._enough_keys else self._spec.first_digit_timeout_ms

    def _expect_first_key(self, now_s: float) -> None:
        plan = self._rules.plan(self._open_field(), self._brand)
        self._length, self._usual = plan.certain_length, plan.usual
        self._shown_brand = self.accepted_brand
        self._undo_before = False
        self._silence_s = now_s + self._spec.first_digit_timeout_ms / 1000

    def _check(self, now_s: float, *, by_key: bool) -> None:
        self._swallow_submit = not by_key
        field = self._open_field()
        reason = self._rules.fault(field, self._brand)
        if reason is not None:
            self._refuse(reason, now_s)
            return
        self._silence_s = None
        self._reason = None
        self._move(Input.ACCEPTED)
        self._accept(field)

    def _accept(self, field: Field) -> None:
        """Keep what an acceptance tells."""
        field.accept(self._page, self._rules.today[0] // 100)
        self._accepted.append(field.spec.name)
        if field.kind is FieldKind.CARD_NUMBER:
            self._know_card(field)
        if field.count and not field.spec.sensitive:
            value = str(field.view[: field.count], "ascii")  # not sensitive, and too short for a card number
            self._values[field.spec.name] = KeyedValue(field.spec.name, value)

    def _know_card(self, field: Field) -> None:
        found = self._rules.brand(field)
        if isinstance(found, RejectReason):
            raise InvariantError("a card number was accepted and has no brand")
        self._brand, self._shown_brand = found, found.name
        self._last4 = str(field.view[field.count - LAST4 : field.count], "ascii")
        code = self._of_kind(FieldKind.SECURITY_CODE)
        if code is not None and code.count not in (0, found.code_length):
            self._forget_field(code)

    def _refuse(self, reason: RejectReason, now_s: float) -> None:
        self._forget_field(self._open_field())
        self._flush_ahead()
        self._reason = reason
        if self._attempt >= self._spec.attempts:
            timed_out = reason is RejectReason.TIMEOUT
            self.stop(CaptureResult.TIMED_OUT if timed_out else CaptureResult.ATTEMPTS_USED)
            return
        self._attempt += 1
        self._move(Input.REFUSED)
        self._expect_first_key(now_s)

    def _open_field(self) -> Field:
        if self._field is None or self.state not in FIELD_OPEN:
            raise InvariantError(f"capture {self.capture_id}: no field is open")
        return self._field

    def _of_kind(self, kind: FieldKind) -> Field | None:
        return next((field for field in self._fields.values() if field.kind is kind), None)

    def _forget_security_code(self) -> None:
        code = self._of_kind(FieldKind.SECURITY_CODE)
        if code is not None:
            self._forget_field(code)

    def _forget_field(self, field: Field) -> None:
        if field.count:
            self._joiner.wipe()
        field.wipe(self._page)
        if field.spec.name in self._accepted:
            self._accepted.remove(field.spec.name)
        self._values.pop(field.spec.name, None)
        if field.kind is FieldKind.CARD_NUMBER:
            self._brand, self._shown_brand, self._last4 = None, "", ""

    def _end_pause(self, now_s: float) -> None:
        paused_s = now_s - self._paused_s
        self._total_s += paused_s
        if self._silence_s is not None:
            self._silence_s += paused_s

    def _end(self, outcome: CaptureOutcome) -> None:
        self._wipe()
        self.outcome = outcome
        self._note(Change.NOW)

    def _wipe(self) -> None:
        # Generation, state and head stay until the slot is given back: media still looks at them. The joiner's cells
        # go with the rest.
        self._page[slots.RING_AT :] = _ZEROS[slots.RING_AT :]
        for field in self._fields.values():
            field.wipe(self._page)
        self._ahead.flush()
        self._silence_s = None

    def __repr__(self) -> str:
        return f"<Capture {self.capture_id} {self.state.value}>"


_NO_OUTCOME: Final = CaptureOutcome(capture_id=CaptureId(""), result=CaptureResult.INTERRUPTED)
