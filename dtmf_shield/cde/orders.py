"""Orders without a caller: capture, refund, void, charge once more by a stored token. Asked twice, done once.

The question whether an order may be sent and its intent are one step of the ledger, so that two refunds at once cannot
both see the same money left.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from dtmf_shield.base.clock import Clock
from dtmf_shield.base.log import get_logger
from dtmf_shield.cde.delivery import Gateway
from dtmf_shield.cde.gateways.base import GatewayResultKind
from dtmf_shield.cde.operations import Operations
from dtmf_shield.cde.order_rules import BY_TOKEN, Done, OrderRefusal, Wanted, refusal
from dtmf_shield.cde.reconciler import Reconciler
from dtmf_shield.model.ids import CaptureId
from dtmf_shield.model.messages import OrderPayment, PaymentChanged
from dtmf_shield.model.payment import OperationKind, OperationState
from dtmf_shield.store.operation_rows import TAKEN_BACK, NewOperation, OperationRow

SEND_TIME_MAX_S: Final = 20.0
"""Sends of one order begin within this; what is unknown then is reconciled."""

_log = get_logger("payments")


class Orders:
    """Takes orders of control."""

    def __init__(
        self,
        operations: Operations,
        reconciler: Reconciler,
        clock: Clock,
        tell: Callable[[PaymentChanged], None],
    ) -> None:
        self._operations, self._reconciler, self._clock, self._tell = operations, reconciler, clock, tell

    async def order(self, message: OrderPayment) -> None:
        """Do what is ordered, once; every state is told by PaymentChanged."""
        try:
            taken = self._take(message)
        except sqlite3.Error as error:
            _log.error("ledger_write_failed", operation_id=message.operation_id, error=type(error).__name__)
            taken = OrderRefusal.LEDGER
        if isinstance(taken, OrderRefusal):
            self._refuse(message, taken)
            return
        row, is_new = taken
        if not is_new:
            self._operations.tell(row, OperationState(row.state), row.decline_code)
            return
        self._operations.tell(row, OperationState.INTENT)
        until_s = self._clock.now_s() + SEND_TIME_MAX_S
        result = await self._operations.deliver(row, sends_until_s=until_s)
        if result.kind is GatewayResultKind.UNKNOWN:
            self._reconciler.watch(message.operation_id)

    def refuse(self, message: OrderPayment) -> None:
        """Answer one order too many at once."""
        self._refuse(message, OrderRefusal.BUSY)

    def _take(self, message: OrderPayment) -> tuple[OperationRow, bool] | OrderRefusal:
        """Return the order's row and whether it is new, or why there is none. Raises sqlite3.Error."""
        ledger = self._operations.ledger
        with ledger.one_step():
            known = ledger.operation(message.operation_id)
            if known is not None:
                return known, False
            parent = ledger.operation(message.parent_id)
            if parent is None:
                return OrderRefusal.NO_SUCH_OPERATION
            refused = self._refusal(message, parent)
            if refused is not None:
                return refused
            row = ledger.intend(self._new(message, parent))
            return (row, True) if row is not None else OrderRefusal.LEDGER

    def _refusal(self, message: OrderPayment, parent: OperationRow) -> OrderRefusal | None:
        gateway = self._operations.gateways.get(parent.gateway)
        if gateway is None:
            return OrderRefusal.GATEWAY_GONE
        ledger = self._operations.ledger
        by_token = message.kind in BY_TOKEN
        others = (
            ledger.of_capture(CaptureId(parent.capture_id))
            if by_token
            else ledger.children(message.parent_id)
        )
        wanted = Wanted(message.kind, message.amount_minor, message.currency)
        has_token = by_token and bool(ledger.token(parent))
        refused = refusal(wanted, replace(_done(parent), has_token=has_token), [_done(row) for row in others])
        if refused is None and not _can(gateway, message.kind, OperationKind(parent.kind)):
            return OrderRefusal.GATEWAY_CANNOT
        return refused

    def _new(self, message: OrderPayment, parent: OperationRow) -> NewOperation:
        is_void = message.kind is OperationKind.VOID
        amount_minor = parent.amount_minor if is_void else message.amount_minor
        currency = parent.currency if is_void else message.currency
        keys = self._operations.ledger.keys
        return NewOperation(
            operation_id=message.operation_id,
            parent_id=message.parent_id,
            capture_id=parent.capture_id,
            kind=message.kind,
            idem_key=keys.of_order(message.operation_id, message.kind, amount_minor, currency),
            gateway=parent.gateway,
            amount_minor=amount_minor,
            currency=currency,
            reference=message.reference or parent.reference,
        )

    def _refuse(self, message: OrderPayment, why: OrderRefusal) -> None:
        _log.warning("payment_order_refused", operation_id=message.operation_id, why=why.value)
        self._tell(
            PaymentChanged(
                operation_id=message.operation_id,
                kind=message.kind,
                state=OperationState.FAILED_BEFORE_SEND,
                parent_id=message.parent_id,
                amount_minor=message.amount_minor,
                currency=message.currency,
                code=why.value,
            )
        )


def _done(row: OperationRow) -> Done:
    return Done(
        OperationKind(row.kind),
        OperationState(row.state),
        row.amount_minor,
        row.currency,
        taken_back=row.decline_code == TAKEN_BACK,
    )


def _can(gateway: Gateway, kind: OperationKind, parent: OperationKind) -> bool:
    capabilities = gateway.connector.capabilities
    if kind in BY_TOKEN:
        return kind in capabilities.by_token
    if kind is OperationKind.VOID:
        return parent in capabilities.voids
    return kind in capabilities.operations
