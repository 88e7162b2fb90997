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
from dtmf_shield.cde.gateways.base import CardInSlot, GatewayResult, GatewayResultKind
from dtmf_shield.model.capture import (
    CaptureOutcome,
    CaptureProgress,
    CaptureResult,
    CaptureSpec,
    CaptureState,
    FieldKind,
    FieldSpec,
    RejectReason,
    UndoKey,
)
from dtmf_shield.model.ids import NO_OPERATION, NO_TOKEN, CaptureId, OperationId, Token
from dtmf_shield.model.payment import OperationKind

EXPIRY_LENGTH: Final = 4
EXPIRY_LONG_LENGTH: Final = 6
SECURITY_CODE_LENGTHS: Final = (3, 4)
LAST4: Final = 4


_PLACES: Final = {
    FieldKind.CARD_NUMBER: (slots.CARD_NUMBER_AT, card.CARD_NUMBER_LENGTH_MAX),
    FieldKind.EXPIRY: (slots.EXPIRY_AT, EXPIRY_LONG_LENGTH),
    FieldKind.SECURITY_CODE: (slots.SECURITY_CODE_AT, max(SECURITY_CODE_LENGTHS)),
}
"""Where a field lies in the slot and how many keys it can have."""
_RESULTS: Final = {
    GatewayResultKind.DECLINED: CaptureResult.DECLINED,
    GatewayResultKind.ACTION_REQUIRED: CaptureResult.ACTION_REQUIRED,
    GatewayResultKind.REFUSED: CaptureResult.REFUSED,
    GatewayResultKind.BUSY: CaptureResult.GATEWAY_UNREACHABLE,
    GatewayResultKind.FAILED_BEFORE_SEND: CaptureResult.GATEWAY_UNREACHABLE,
    GatewayResultKind.NOT_FOUND: CaptureResult.UNKNOWN,
    GatewayResultKind.UNKNOWN: CaptureResult.UNKNOWN,
}
_GOOD: Final = frozenset({CaptureResult.TOKEN, CaptureResult.APPROVED})
_MONEY: Final = frozenset({OperationKind.AUTHORIZE, OperationKind.CHARGE})
SENDING_S_MAX: Final = 60.0
"""Digits are held no longer at the gateway: connect, answer, one more try and a second gateway take 40 s at most."""
_STAR: Final = ord("*")
_HASH: Final = ord("#")
_DIGITS: Final = frozenset(b"0123456789")
_ZEROS: Final = bytes(slots.SLOT_BYTES)


class Change(enum.IntEnum):
    """Whether there is news for control. LATER may be batched; NOW is an edge that must not be lost."""

    NONE = 0
    LATER = 1
    NOW = 2


class _Plan:
    """What the keys so far allow.

    ``length`` 0: not certain. ``auto``: submit now. After ``silence_ms``: submit where ``enough``, else refuse.
    """

    __slots__ = ("auto", "enough", "length", "silence_ms")

    def __init__(self, length: int, auto: bool, enough: bool, silence_ms: int) -> None:
        self.length, self.auto, self.enough, self.silence_ms = length, auto, enough, silence_ms


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
        kinds = [field.kind for field in spec.fields]
        if not 0 < len(kinds) <= 3 or len(set(kinds)) != len(kinds):
            raise InvariantError("a capture has one to three fields, each kind once")
        self.capture_id, self.state, self.outcome = capture_id, CaptureState.IDLE, _NO_OUTCOME
        self._spec, self._page, self._table, self._today, self._test = spec, page, table, today, test
        self._joiner = KeyJoiner(page[slots.UNPAIRED_KEYS_AT :][: slots.UNPAIRED_KEYS_MAX])
        self._total_s = now_s + spec.total_timeout_ms / 1000
        self._silence_s: float | None = None
        self._field: FieldSpec | None = None
        self._counts = dict.fromkeys(FieldKind, 0)
        self._accepted: list[str] = []
        self._brand: Brand | None = None
        self._shown_brand = self._last4 = ""
        self._length, self._attempt = 0, 1
        self._reason: RejectReason | None = None
        self._waiting_from = self._waiting_to = 0
        self._star_before = self._swallow_hash = self._enough_keys = False
        self._stopped: CaptureResult | None = None
        self._moves_money = False
        self._resume_to, self._paused_s = Input.RESUME_HELD, 0.0
        self._change = Change.NONE

    # --- what control asks ------------------------------------------------------------------------------

    def armed(self) -> None:
        """Media writes into the slot from now on."""
        self._move(Input.ARMED)

    def collect(self, name: str, now_s: float) -> None:
        """Ask for a field, the first time or again; then keys typed ahead serve it."""
        field = next((field for field in self._spec.fields if field.name == name), None)
        if field is None:
            raise InvariantError("no such field in this capture")
        again = field is self._field or name in self._accepted
        was_paused = self.state is CaptureState.PAUSED
        self._move(Input.COLLECT)
        if was_paused:
            self._end_pause(now_s)
        self._forget_field(field)
        if field.kind is FieldKind.CARD_NUMBER:
            # PCI DSS 3.3.1: a code belongs to the card it was keyed for.
            self._forget_kind(FieldKind.SECURITY_CODE)
        if again or self._waiting_to >= slots.WAITING_KEYS_MAX:
            self._flush_waiting()
        self._field, self._attempt, self._reason = field, 1, None
        self._expect_first_key(now_s)
        self._serve_waiting(now_s)

    def pause(self, now_s: float) -> None:
        """Drop keys and stop the timers; what was keyed so far stays."""
        if self.state not in TAKING_KEYS:
            self._move(Input.PAUSE)  # refused, nothing changed
        self._resume_to = {
            CaptureState.HELD: Input.RESUME_HELD,
            CaptureState.WAITING: Input.RESUME_WAITING,
            CaptureState.KEYING: Input.RESUME_KEYING,
        }[self.state]
        self._move(Input.PAUSE)
        self._paused_s = now_s

    def resume(self, now_s: float) -> None:
        """Go on where the pause began: the timers have as long to run as they had."""
        self._move(self._resume_to)
        self._end_pause(now_s)

    def submit(self, now_s: float, operation: OperationKind = OperationKind.TOKENIZE) -> CardInSlot:
        """Hand the card over. Media must be sealed first. Raises InvariantError where a field is missing."""
        if len(self._accepted) != len(self._spec.fields):
            raise InvariantError("a field is missing")
        self._move(Input.SUBMIT)
        self._moves_money = operation in _MONEY
        self._silence_s = None
        self._total_s = now_s + SENDING_S_MAX
        self._flush_waiting()
        return CardInSlot(
            slot=self._page,
            number_length=self._counts[FieldKind.CARD_NUMBER],
            expiry_length=self._counts[FieldKind.EXPIRY],
            security_code_length=self._counts[FieldKind.SECURITY_CODE],
        )

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
        result = self._result(answer)
        self._move(Input.APPROVED if result in _GOOD else Input.NOT_APPROVED)
        self._end(
            self._outcome_of_card(
                result,
                token=Token(answer.token) if result in _GOOD else NO_TOKEN,
                gateway_code=answer.code,
                operation_id=operation_id,
            )
        )

    def _result(self, answer: GatewayResult) -> CaptureResult:
        """Say how a capture ends that may have been stopped meanwhile: the truth about money wins."""
        if answer.kind is GatewayResultKind.APPROVED:
            if answer.voided:
                return self._stopped or CaptureResult.CANCELLED
            if self._moves_money:
                return CaptureResult.APPROVED
            return self._stopped or CaptureResult.TOKEN
        result = _RESULTS[answer.kind]
        if result is CaptureResult.UNKNOWN and self._moves_money:
            return result
        return self._stopped or result

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
            self._flush_waiting()

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
        kind = field.kind if field is not None else None
        return CaptureProgress(
            capture_id=self.capture_id,
            state=self.state,
            field=field.name if field is not None else "",
            count=self._counts[kind] if kind is not None else 0,
            length=self._length,
            brand=self._shown_brand,
            last4=self._last4 if kind is FieldKind.CARD_NUMBER and self.state is CaptureState.HELD else "",
            attempt=self._attempt,
            reason=self._reason,
            accepted=tuple(self._accepted),
        )

    def expiry_month_year(self) -> tuple[int, int]:
        """Return (month, two-digit year) of the accepted expiry, (0, 0) without one. PCI DSS lets it be kept."""
        if self._counts[FieldKind.EXPIRY] != EXPIRY_LONG_LENGTH:
            return 0, 0
        expiry = self._page[slots.EXPIRY_AT :]
        return card.digits_value(expiry, 0, 2), card.digits_value(expiry, 4, 2)

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
        if self.state not in TAKING_KEYS or not code or not self._joiner.is_new(code, door, now_s, held_s):
            return
        swallow, self._swallow_hash = self._swallow_hash, False
        if swallow and code == _HASH:
            return
        if self.state is not CaptureState.HELD:
            self._press(code, now_s)
        elif self._waiting_to < slots.WAITING_KEYS_MAX:
            self._page[slots.WAITING_KEYS_AT + self._waiting_to] = code
            self._waiting_to += 1

    def _serve_waiting(self, now_s: float) -> None:
        while self._waiting_from < self._waiting_to and self.state in FIELD_OPEN:
            place = slots.WAITING_KEYS_AT + self._waiting_from
            code = self._page[place]
            self._page[place] = 0
            self._waiting_from += 1
            self._press(code, now_s)
        if self._swallow_hash and self._waiting_from < self._waiting_to:
            # An auto-submit on the way; its own `#` may stand in front of the rest.
            self._swallow_hash = False
            self._waiting_from += self._page[slots.WAITING_KEYS_AT + self._waiting_from] == _HASH
        self._close_up_waiting()

    def _close_up_waiting(self) -> None:
        """Move what still waits to the front, so that the next field's keys find room."""
        kept = self._waiting_to - self._waiting_from
        for index in range(kept):
            source = slots.WAITING_KEYS_AT + self._waiting_from + index
            self._page[slots.WAITING_KEYS_AT + index] = self._page[source]
        self._zero(slots.WAITING_KEYS_AT + kept, slots.WAITING_KEYS_MAX - kept)
        self._waiting_from, self._waiting_to = 0, kept

    def _flush_waiting(self) -> None:
        self._zero(slots.WAITING_KEYS_AT, slots.WAITING_KEYS_MAX)
        self._waiting_from = self._waiting_to = 0
        self._joiner.wipe()

    def _press(self, code: int, now_s: float) -> None:
        star_before, self._star_before = self._star_before, code == _STAR
        if code == _STAR:
            if self._spec.undo is UndoKey.STAR and self.state is CaptureState.KEYING:
                self._undo(whole=star_before, now_s=now_s)
        elif code == _HASH:
            if self.state is CaptureState.KEYING:
                self._check(now_s, by_key=True)
            else:
                self._refuse(RejectReason.TOO_SHORT, now_s)
        elif code in _DIGITS:
            self._append(code, now_s)

    def _append(self, code: int, now_s: float) -> None:
        kind = self._open_field().kind
        place, capacity = _PLACES[kind]
        if self._counts[kind] >= capacity:
            raise InvariantError("a full field was not submitted")
        self._page[place + self._counts[kind]] = code
        self._counts[kind] += 1
        self._reason = None
        self._move(Input.DIGIT)
        self._after_change(now_s)

    def _undo(self, *, whole: bool, now_s: float) -> None:
        kind = self._open_field().kind
        place, _ = _PLACES[kind]
        self._counts[kind] -= self._counts[kind] if whole else 1
        self._zero(place + self._counts[kind], _PLACES[kind][1] - self._counts[kind])
        self._joiner.wipe()
        self._note(Change.LATER)
        if self._counts[kind] == 0:
            self._move(Input.EMPTIED)
            self._expect_first_key(now_s)
        else:
            self._after_change(now_s)

    def _after_change(self, now_s: float) -> None:
        plan = self._plan()
        self._length = plan.length
        if plan.auto:
            self._check(now_s, by_key=False)
        else:
            self._silence_s = now_s + plan.silence_ms / 1000
            self._enough_keys = plan.enough

    def _expect_first_key(self, now_s: float) -> None:
        self._length = 0
        self._shown_brand = self.accepted_brand
        self._star_before = False
        self._silence_s = now_s + self._spec.first_digit_timeout_ms / 1000

    def _plan(self) -> _Plan:
        kind = self._open_field().kind
        count = self._counts[kind]
        if kind is FieldKind.CARD_NUMBER:
            return self._plan_card_number(count)
        if kind is FieldKind.EXPIRY:
            # A year of "20" has passed: two more digits will come.
            year_at = slots.EXPIRY_AT + 2
            long = (
                count >= EXPIRY_LENGTH
                and self._page[year_at] == ord("2")
                and self._page[year_at + 1] == ord("0")
            )
            length = EXPIRY_LONG_LENGTH if long else EXPIRY_LENGTH
            return self._plan_by_lengths(count, (length,), settled=False)
        lengths = (self._brand.code_length,) if self._brand is not None else SECURITY_CODE_LENGTHS
        return self._plan_by_lengths(count, lengths, settled=count in lengths)

    def _plan_card_number(self, count: int) -> _Plan:
        number = self._page[slots.CARD_NUMBER_AT :]
        brands = self._table.candidates(number, count, self._open_field().brands)
        self._shown_brand = brands[0].name if len(brands) == 1 else ""
        if not brands:
            shortest, longest = card.CARD_NUMBER_LENGTH_MIN, card.CARD_NUMBER_LENGTH_MAX
            return self._plan_by_lengths(count, tuple(range(shortest, longest + 1)), settled=False)
        lengths = sorted({length for brand in brands for length in brand.lengths})
        settled = any(count in brand.lengths and count >= brand.usual for brand in brands)
        settled = settled and card.luhn_valid(number, count)
        return self._plan_by_lengths(count, tuple(lengths), settled=settled)

    def _plan_by_lengths(self, count: int, lengths: tuple[int, ...], *, settled: bool) -> _Plan:
        if settled:
            silence_ms = self._spec.settle_timeout_ms
        elif count >= lengths[0]:
            silence_ms = self._spec.inter_digit_timeout_ms
        else:
            silence_ms = self._spec.first_digit_timeout_ms
        certain = lengths[0] if len(lengths) == 1 else 0
        return _Plan(certain, count >= lengths[-1], count >= lengths[0], silence_ms)

    def _check(self, now_s: float, *, by_key: bool) -> None:
        self._swallow_hash = not by_key
        field = self._open_field()
        reason = self._fault(field)
        if reason is not None:
            self._refuse(reason, now_s)
            return
        self._silence_s = None
        self._reason = None
        self._move(Input.ACCEPTED)
        self._accepted.append(field.name)

    def _fault(self, field: FieldSpec) -> RejectReason | None:
        """Check the open field; keep what its acceptance tells."""
        count = self._counts[field.kind]
        if field.kind is FieldKind.SECURITY_CODE:
            lengths = (self._brand.code_length,) if self._brand is not None else SECURITY_CODE_LENGTHS
            return None if count in lengths else RejectReason.TOO_SHORT
        if field.kind is FieldKind.EXPIRY:
            return self._fault_of_expiry(count)
        number = self._page[slots.CARD_NUMBER_AT :]
        found = card.check_card_number(self._table, number, count, field.brands)
        if isinstance(found, RejectReason):
            return found
        self._brand, self._shown_brand = found, found.name
        self._last4 = str(number[count - LAST4 : count], "ascii")
        if self._counts[FieldKind.SECURITY_CODE] not in (0, found.code_length):
            self._forget_kind(FieldKind.SECURITY_CODE)
        return None

    def _fault_of_expiry(self, count: int) -> RejectReason | None:
        expiry = self._page[slots.EXPIRY_AT :][: slots.EXPIRY_BYTES]
        reason = card.check_expiry(expiry, count, self._today)
        if reason is None and count == EXPIRY_LENGTH:
            # Kept as MMYYYY: gateways want the year short or long.
            expiry[4], expiry[5] = expiry[2], expiry[3]
            century = self._today[0] // 100
            expiry[2], expiry[3] = ord("0") + century // 10, ord("0") + century % 10
            self._counts[FieldKind.EXPIRY] = EXPIRY_LONG_LENGTH
        return reason

    def _refuse(self, reason: RejectReason, now_s: float) -> None:
        self._forget_field(self._open_field())
        self._flush_waiting()
        self._reason = reason
        if self._attempt >= self._spec.attempts:
            timed_out = reason is RejectReason.TIMEOUT
            self.stop(CaptureResult.TIMED_OUT if timed_out else CaptureResult.ATTEMPTS_USED)
            return
        self._attempt += 1
        self._move(Input.REFUSED)
        self._expect_first_key(now_s)

    def _open_field(self) -> FieldSpec:
        if self._field is None or self.state not in FIELD_OPEN:
            raise InvariantError(f"capture {self.capture_id}: no field is open")
        return self._field

    def _forget_kind(self, kind: FieldKind) -> None:
        field = next((field for field in self._spec.fields if field.kind is kind), None)
        if field is not None:
            self._forget_field(field)

    def _forget_field(self, field: FieldSpec) -> None:
        place, capacity = _PLACES[field.kind]
        self._zero(place, capacity)
        if self._counts[field.kind]:
            self._joiner.wipe()
        self._counts[field.kind] = 0
        if field.name in self._accepted:
            self._accepted.remove(field.name)
        if field.kind is FieldKind.CARD_NUMBER:
            self._brand, self._shown_brand, self._last4 = None, "", ""

    def _zero(self, start: int, length: int) -> None:
        self._page[start : start + length] = _ZEROS[:length]

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
        self._zero(slots.RING_AT, slots.SLOT_BYTES - slots.RING_AT)
        self._counts = dict.fromkeys(FieldKind, 0)
        self._waiting_from = self._waiting_to = 0
        self._silence_s = None

    def __repr__(self) -> str:
        return f"<Capture {self.capture_id} {self.state.value}>"


_NO_OUTCOME: Final = CaptureOutcome(capture_id=CaptureId(""), result=CaptureResult.INTERRUPTED)
