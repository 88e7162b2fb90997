"""What happens between a submitted capture and its outcome: which operations are sent, in what order, at which gateway.

Tokenise, wipe the digits, then authorise or charge by token: a lost tokenise answer costs nothing, and money moves
without card data. Where a gateway charges cards only, the card is held to the outcome (``direct``). The fallback
gateway is used only where the one before certainly did nothing and the digits are still held; an order that names its
gateway is sent to no other. Each operation's row says where it was begun, and all that follows it goes there.
"""

from __future__ import annotations

import enum
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from dtmf_shield.base.clock import Clock
from dtmf_shield.base.log import get_logger
from dtmf_shield.cde.delivery import STOPPED, Gateway
from dtmf_shield.cde.gateways.base import (
    EXCHANGE_TIME_MAX_S,
    Capabilities,
    CardInSlot,
    GatewayResult,
    GatewayResultKind,
    SlotField,
)
from dtmf_shield.cde.operations import NOT_WRITTEN, Operations
from dtmf_shield.cde.reconciler import Reconciler
from dtmf_shield.cde.submission import Submission
from dtmf_shield.cde.take_back import TakeBack
from dtmf_shield.cde.velocity import COUNTERS_MAX, Rule, Subject, Velocity
from dtmf_shield.model.capture import CaptureResult
from dtmf_shield.model.ids import NO_OPERATION, CallId, CaptureId, OperationId
from dtmf_shield.model.messages import VelocityStopped
from dtmf_shield.model.payment import OperationKind, OperationState
from dtmf_shield.store.operation_rows import NewOperation, OperationRow

PAYMENT_TIME_MAX_S: Final = 40.0
"""From the submitted capture to what the caller is told; what is unknown then is settled without him."""
CARD_SENDS_S_MAX: Final = 20.0
"""A request with the card begins no later after the submission; with connecting and answer it ends by 33 s, well inside
the 60 s after which captures wipe the digits whatever happens."""
DIRECT_SENDS_S_MAX: Final = 10.0
"""The same where the card itself is charged: its security code is held to the outcome."""

_MONEY: Final = frozenset({OperationKind.AUTHORIZE, OperationKind.CHARGE})
_CERTAINLY_NOTHING: Final = frozenset({GatewayResultKind.FAILED_BEFORE_SEND, GatewayResultKind.BUSY})
_CANNOT: Final = GatewayResult(GatewayResultKind.REFUSED, code="gateway_cannot")
_UNKNOWN_GATEWAY: Final = GatewayResult(GatewayResultKind.FAILED_BEFORE_SEND, code="gateway_unknown")
_BROKEN: Final = GatewayResult(GatewayResultKind.UNKNOWN, code="broken")
_TOKEN_LOST: Final = GatewayResult(GatewayResultKind.FAILED_BEFORE_SEND, code="token_lost")

_log = get_logger("payments")


class OnHangUp(enum.StrEnum):
    """What becomes of money when the caller hung up before he was told of it."""

    VOID = "void"
    KEEP = "keep"


class CapturesPort(Protocol):
    """Running captures, as far as payments move them."""

    def tokenized(self, capture_id: CaptureId, now_s: float) -> None:
        """The card is a token: wipe."""

    def settling(self, capture_id: CaptureId, now_s: float) -> None:
        """No believable answer: wipe, and wait."""

    def velocity_stopped(self, capture_id: CaptureId, now_s: float) -> None:
        """Stopped by a rule: the end."""

    def gateway_answered(
        self, capture_id: CaptureId, result: GatewayResult, now_s: float, operation_id: OperationId
    ) -> None:
        """The end at the gateway."""


@dataclass(slots=True)
class _Payment:
    """One capture at the gateway."""

    submission: Submission
    begun_s: float
    operation_id: OperationId = NO_OPERATION
    """Of the last operation: what the capture's outcome names."""
    stopped: bool = False
    caller_gone: bool = False
    digits_held: bool = True
    money_asked_for: bool = False
    """An intent to authorise or charge is, or may be, on disk, and not known to have done nothing."""

    @property
    def capture_id(self) -> CaptureId:
        """Its capture."""
        return self.submission.capture_id

    @property
    def until_s(self) -> float:
        """When the caller is told at the latest."""
        return self.begun_s + PAYMENT_TIME_MAX_S

    def result_if_cut_off(self) -> GatewayResult:
        """How it ends where it is broken off now: without an intent for money none was moved, and none will be."""
        asks_for_money = self.submission.order.operation in _MONEY
        return _TOKEN_LOST if asks_for_money and not self.money_asked_for else _BROKEN

    def is_wanted(self) -> bool:
        """Whether nobody has stopped it."""
        return not self.stopped


class Payments:
    """The captures of one process that are at a gateway."""

    def __init__(
        self,
        gateways: Sequence[Gateway],
        operations: Operations,
        reconciler: Reconciler,
        take_back: TakeBack,
        velocity: Velocity,
        captures: CapturesPort,
        clock: Clock,
        *,
        on_hang_up: OnHangUp,
        tell: Callable[[VelocityStopped], None],
    ) -> None:
        """``gateways``: primary first, then the fallback."""
        self._gateways, self._operations, self._reconciler = tuple(gateways), operations, reconciler
        self._take_back, self._velocity, self._captures = take_back, velocity, captures
        self._clock, self._on_hang_up, self._tell = clock, on_hang_up, tell
        self._running: dict[CaptureId, _Payment] = {}
        self._forgetting_told = False
        self._prepared: dict[CaptureId, OperationRow] = {}

    # --- told by captures ---------------------------------------------------------------------------------

    def prepare(self, capture_id: CaptureId, call_id: CallId) -> None:
        """Write the intent of the tokenisation while the last field is keyed, so that no disk is waited for later."""
        gateway = self._gateways[0]
        if capture_id not in self._prepared and gateway.connector.capabilities.tokenizes:
            row = self._operations.ledger.intend(self._new_token(gateway, capture_id, call_id, ""))
            if row is not None:
                self._prepared[capture_id] = row

    def ended(self, capture_id: CaptureId) -> None:
        """Settle what was prepared for a capture that ended without being sent."""
        row = self._prepared.pop(capture_id, None)
        if row is not None:
            unsent = GatewayResult(GatewayResultKind.FAILED_BEFORE_SEND, code="not_sent")
            self._operations.ledger.settle(row, unsent)

    def stopped(self, capture_id: CaptureId, *, caller_gone: bool) -> None:
        """A stop came for a capture at the gateway: no money is asked for any more; what was is perhaps unwanted."""
        payment = self._running.get(capture_id)
        if payment is None:
            return
        payment.stopped = True
        payment.caller_gone = payment.caller_gone or caller_gone
        if payment.caller_gone and self._on_hang_up is OnHangUp.VOID:
            # On disk before anything else: it must outlive this process.
            self._operations.ledger.unwanted(capture_id)

    # --- one payment --------------------------------------------------------------------------------------

    async def pay(self, submission: Submission) -> None:
        """Do what a submitted capture asks for and tell its outcome. Never raises for what a peer or network does."""
        payment = _Payment(submission, self._clock.now_s())
        subject = self._velocity.subject(
            caller=submission.caller,
            agent=submission.agent,
            flow=submission.flow,
            number=submission.card.part(SlotField.NUMBER),
        )
        rule = self._velocity.begin(subject, payment.begun_s)
        if self._velocity.forgotten and not self._forgetting_told:
            self._forgetting_told = True
            _log.warning("velocity_counters_full", counters=COUNTERS_MAX)
        if rule is not None:
            self._stop(payment, rule)
            return
        self._running[payment.capture_id] = payment
        answered: GatewayResult | None = None
        try:
            answered = await self._at_gateways(payment)
        finally:
            result = answered or payment.result_if_cut_off()
            del self._running[payment.capture_id]
            self._end_attempt(subject, result)
            self._captures.gateway_answered(
                payment.capture_id, result, self._clock.now_s(), payment.operation_id
            )

    def _stop(self, payment: _Payment, rule: Rule) -> None:
        _log.warning("velocity_stopped", capture_id=payment.capture_id, rule=rule.name, per=rule.per.value)
        self._tell(VelocityStopped(payment.capture_id, rule.name))
        self._captures.velocity_stopped(payment.capture_id, self._clock.now_s())

    def _end_attempt(self, subject: Subject, result: GatewayResult) -> None:
        declined = result.kind is GatewayResultKind.DECLINED
        self._velocity.end(subject, self._clock.now_s(), declined=declined)

    def _asked(self, payment: _Payment) -> tuple[Gateway, ...]:
        """Return the gateways that may get this payment, in order: all, or the one its order names, and no other."""
        name = payment.submission.order.gateway
        return self._gateways if not name else tuple(each for each in self._gateways if each.name == name)

    async def _at_gateways(self, payment: _Payment) -> GatewayResult:
        gateways = self._asked(payment)
        if not gateways:
            # It has left the configuration since the flow began. Nothing is sent, and to nobody else.
            _log.error(
                "gateway_unknown", capture_id=payment.capture_id, operation=payment.submission.order.operation
            )
            return _UNKNOWN_GATEWAY
        if gateways[0] is not self._gateways[0]:
            self.ended(payment.capture_id)  # the intent that lies ready is for the primary
        result: GatewayResult | None = None
        for gateway in gateways:
            if payment.stopped:
                return STOPPED
            if result is not None and self._clock.now_s() >= _card_sends_until_s(gateway, payment):
                break
            result = await self._at(gateway, payment)
            nothing_done = result.kind in _CERTAINLY_NOTHING and result not in (_TOKEN_LOST, STOPPED)
            if not nothing_done or not payment.digits_held:
                break
        return result or _CANNOT

    async def _at(self, gateway: Gateway, payment: _Payment) -> GatewayResult:
        kind, capabilities = payment.submission.order.operation, gateway.connector.capabilities
        if kind is OperationKind.TOKENIZE:
            return (await self._tokenize(gateway, payment))[1] if capabilities.tokenizes else _CANNOT
        if _by_token(payment, capabilities):
            return await self._by_token(gateway, payment)
        if kind in capabilities.by_card:
            return await self._direct(gateway, payment)
        return _CANNOT

    async def _tokenize(
        self, gateway: Gateway, payment: _Payment
    ) -> tuple[OperationRow | None, GatewayResult]:
        submission = payment.submission
        row = self._prepared.get(payment.capture_id)
        if row is not None and row.gateway == gateway.name:
            del self._prepared[payment.capture_id]
            self._operations.tell(row, OperationState.INTENT)
        else:
            row = self._operations.intend(
                self._new_token(gateway, payment.capture_id, submission.call_id, submission.order.reference)
            )
        if row is None:
            return None, NOT_WRITTEN
        payment.operation_id = OperationId(row.operation_id)
        # The prepared row knows no reference; the order's is the same in every send of this one delivery.
        row = replace(row, reference=submission.order.reference)
        result = await self._operations.deliver(
            row,
            sends_until_s=_card_sends_until_s(gateway, payment),
            card=submission.card,
            wanted=payment.is_wanted,
        )
        self._operations.ledger.note_expiry(payment.capture_id, submission.expiry)
        return row, result

    async def _by_token(self, gateway: Gateway, payment: _Payment) -> GatewayResult:
        tokenized, result = await self._tokenize(gateway, payment)
        if result.kind is GatewayResultKind.UNKNOWN:
            # No money was asked for and none will be: another try is safe, and "unknown" would forbid it.
            return _TOKEN_LOST if payment.submission.order.operation in _MONEY else result
        if tokenized is None or result.kind is not GatewayResultKind.APPROVED:
            return result
        if payment.stopped:
            return STOPPED
        payment.digits_held = False
        self._captures.tokenized(payment.capture_id, self._clock.now_s())
        new = self._new_money(gateway, payment, OperationId(tokenized.operation_id))
        outcome = await self._money(payment, new, sends_until_s=payment.until_s - EXCHANGE_TIME_MAX_S)
        return replace(outcome, token=outcome.token or result.token)

    async def _direct(self, gateway: Gateway, payment: _Payment) -> GatewayResult:
        new = self._new_money(gateway, payment, NO_OPERATION)
        self._operations.ledger.note_expiry(payment.capture_id, payment.submission.expiry)
        return await self._money(
            payment,
            new,
            sends_until_s=_card_sends_until_s(gateway, payment),
            card=payment.submission.card,
        )

    async def _money(
        self,
        payment: _Payment,
        new: NewOperation,
        *,
        sends_until_s: float,
        card: CardInSlot | None = None,
    ) -> GatewayResult:
        payment.money_asked_for = new.kind in _MONEY
        row = self._operations.intend(new)
        if row is None:
            return NOT_WRITTEN
        payment.operation_id = OperationId(new.operation_id)
        result = await self._operations.deliver(
            row, sends_until_s=sends_until_s, card=card, wanted=payment.is_wanted
        )
        if result.kind in _CERTAINLY_NOTHING:
            payment.money_asked_for = False
        if result.kind is GatewayResultKind.UNKNOWN and new.kind in _MONEY:
            payment.digits_held = False
            self._captures.settling(payment.capture_id, self._clock.now_s())
            # The reconciler takes back what it finds approved and unwanted.
            result = await self._reconciler.settled(payment.operation_id, payment.until_s)
        if self._is_unwanted(payment, new.kind, result):
            return await self._taken_back(payment, result)
        return result

    def _is_unwanted(self, payment: _Payment, kind: str, result: GatewayResult) -> bool:
        stands = result.kind is GatewayResultKind.APPROVED and not result.voided
        return stands and kind in _MONEY and payment.caller_gone and self._on_hang_up is OnHangUp.VOID

    async def _taken_back(self, payment: _Payment, result: GatewayResult) -> GatewayResult:
        """Void, or refund; ``voided`` only where that is certain, UNKNOWN where it may come yet."""
        try:
            row = self._operations.ledger.operation(payment.operation_id)
            end = await self._take_back.take_back(row) if row is not None else CaptureResult.UNKNOWN
        except sqlite3.Error as error:
            _log.error("ledger_write_failed", capture_id=payment.capture_id, error=type(error).__name__)
            end = CaptureResult.UNKNOWN
        if end is CaptureResult.UNKNOWN:
            return replace(result, kind=GatewayResultKind.UNKNOWN)
        return replace(result, voided=end is CaptureResult.CANCELLED)

    def _new_token(
        self, gateway: Gateway, capture_id: CaptureId, call_id: CallId, reference: str
    ) -> NewOperation:
        keys = self._operations.ledger.keys
        key = keys.of_capture(call_id, capture_id, OperationKind.TOKENIZE, gateway.name)
        return NewOperation(
            operation_id=keys.operation_id(key),
            capture_id=capture_id,
            kind=OperationKind.TOKENIZE,
            idem_key=key,
            gateway=gateway.name,
            reference=reference,
        )

    def _new_money(self, gateway: Gateway, payment: _Payment, parent_id: OperationId) -> NewOperation:
        order, keys = payment.submission.order, self._operations.ledger.keys
        key = keys.of_capture(
            payment.submission.call_id,
            payment.capture_id,
            order.operation,
            gateway.name,
            amount_minor=order.amount_minor,
            currency=order.currency,
        )
        return NewOperation(
            operation_id=keys.operation_id(key),
            parent_id=parent_id,
            capture_id=payment.capture_id,
            kind=order.operation,
            idem_key=key,
            gateway=gateway.name,
            amount_minor=order.amount_minor,
            currency=order.currency,
            reference=order.reference,
        )


def _card_sends_until_s(gateway: Gateway, payment: _Payment) -> float:
    """Until when a request with the card may begin at ``gateway``."""
    kind, capabilities = payment.submission.order.operation, gateway.connector.capabilities
    tokenized = kind is OperationKind.TOKENIZE or _by_token(payment, capabilities)
    return payment.begun_s + (CARD_SENDS_S_MAX if tokenized else DIRECT_SENDS_S_MAX)


def _by_token(payment: _Payment, capabilities: Capabilities) -> bool:
    """Whether a token is asked for first. There is none of a person: what was keyed goes with the question itself."""
    submission = payment.submission
    kind = submission.order.operation
    return capabilities.tokenizes and kind in capabilities.by_token and submission.card.pays
