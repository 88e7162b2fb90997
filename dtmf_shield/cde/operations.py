"""Operations from intent to outcome: the row, the order made from it, its delivery, its settlement, what control hears.

An order is made from the ledger's row alone (but for a card), so that a re-send after a restart is the same bytes. Who
asks for an operation, and what is done about an unknown one, is not known here.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from dtmf_shield.base.clock import Clock
from dtmf_shield.base.errors import InvariantError
from dtmf_shield.base.log import get_logger
from dtmf_shield.cde.delivery import Delivery, Gateway, Limits
from dtmf_shield.cde.gateways.base import (
    CardInSlot,
    GatewayResult,
    GatewayResultKind,
    Order,
    OrderImpossibleError,
)
from dtmf_shield.cde.ledger import STATES, Ledger
from dtmf_shield.cde.retry import SENDS_MAX
from dtmf_shield.model.ids import CaptureId, OperationId
from dtmf_shield.model.messages import PaymentChanged
from dtmf_shield.model.payment import MOVES_MONEY, OperationKind, OperationState
from dtmf_shield.store.operation_rows import OPEN_STATES, NewOperation, OperationRow

CHANGES_KEPT: Final = 256
"""Latest states of operations, told again to a control that has just started."""
NOT_WRITTEN: Final = GatewayResult(GatewayResultKind.REFUSED, code="ledger")
_BY_TOKEN: Final = frozenset({OperationKind.VERIFY, OperationKind.AUTHORIZE, OperationKind.CHARGE})
_BY_REFERENCE: Final = frozenset({OperationKind.CAPTURE, OperationKind.REFUND, OperationKind.VOID})

_log = get_logger("payments")


class _NotSendableError(Exception):
    """An operation cannot be put into bytes: nothing of it has left."""


class Operations:
    """All operations of one process."""

    def __init__(
        self,
        gateways: Sequence[Gateway],
        ledger: Ledger,
        delivery: Delivery,
        clock: Clock,
        tell: Callable[[PaymentChanged], None],
    ) -> None:
        """``gateways``: primary first. ``tell``: to control, which may be away."""
        self.gateways: Mapping[str, Gateway] = {gateway.name: gateway for gateway in gateways}
        self.ledger = ledger
        self._delivery, self._clock, self._tell = delivery, clock, tell
        self._changes: OrderedDict[str, PaymentChanged] = OrderedDict()

    def intend(self, new: NewOperation) -> OperationRow | None:
        """Put an intent on disk and tell it. None: it is not there, and nothing may be sent."""
        row = self.ledger.intend(new)
        if row is not None:
            self.tell(row, OperationState.INTENT)
        return row

    async def deliver(
        self,
        row: OperationRow,
        *,
        sends_until_s: float,
        card: CardInSlot | None = None,
        in_doubt: bool = False,
        sends_max: int = SENDS_MAX,
        wanted: Callable[[], bool] = lambda: True,
    ) -> GatewayResult:
        """Send an intended (or, ``in_doubt``, an unknown) operation, settle its row, tell. Returns how it ended.

        ``wanted``: as ``Delivery.deliver`` asks it before it sends again.

        One that cannot be sent (its gateway is gone, its token or reference is missing) ends as failed before send, or
        stays unknown. Whatever breaks on the way, the row does not stay an intent.
        """
        result = GatewayResult(GatewayResultKind.UNKNOWN, code="broken")
        try:
            gateway, order = self._sendable(row, card)
            limits = Limits(sends_until_s, self._clock.wall_s() - row.sent_at, in_doubt, sends_max)
            result = await self._delivery.deliver(
                gateway,
                order,
                limits,
                before_again=lambda: self.ledger.count_attempt(row),
                wanted=wanted,
            )
        except _NotSendableError as error:
            _log.error("payment_not_sendable", operation_id=row.operation_id, error=str(error))
            kind = GatewayResultKind.UNKNOWN if in_doubt else GatewayResultKind.FAILED_BEFORE_SEND
            result = GatewayResult(kind, code="not_sendable")
        finally:
            self.settle(row, result)
        return result

    def _sendable(self, row: OperationRow, card: CardInSlot | None) -> tuple[Gateway, Order]:
        gateway = self.gateways.get(row.gateway)
        if gateway is None:
            raise _NotSendableError(f"gateway {row.gateway} is not configured")
        try:
            order = self.order(row, card)
            with contextlib.suppress(OrderImpossibleError):  # whose code is told by the delivery
                gateway.connector.request(order)
        except (InvariantError, sqlite3.Error) as error:
            raise _NotSendableError(str(error)) from error
        return gateway, order

    def settle(self, row: OperationRow, result: GatewayResult) -> None:
        """Write and tell an outcome, unless a person was faster."""
        if not self.ledger.settle(row, result):
            _log.error(
                "payment_settled_before",
                operation_id=row.operation_id,
                answer=result.kind.value,
                code=result.code,
            )
            return
        if STATES[result.kind] is not OperationState.UNKNOWN or row.state != OperationState.UNKNOWN.value:
            self.tell(row, STATES[result.kind], result.code)

    def order(self, row: OperationRow, card: CardInSlot | None = None) -> Order:
        """Make the order of a row: the same each time. Raises InvariantError where something of it is missing."""
        kind, parent = OperationKind(row.kind), self._parent(row)
        order = Order(
            kind=kind,
            key=row.idem_key,
            card=card,
            amount_minor=row.amount_minor,
            currency=row.currency,
            reference=row.reference,
            customer=self.ledger.keys.customer(CaptureId(row.capture_id)),
        )
        if kind in _BY_TOKEN and parent is not None:
            order = replace(order, token=self.ledger.token(parent))
        if kind in _BY_REFERENCE and parent is not None:
            order = replace(order, gateway_reference=self.reference(parent), of=OperationKind(parent.kind))
        if order.card is None and not order.token and not order.gateway_reference:
            raise InvariantError(f"operation {row.operation_id}: no card, token or reference to send it with")
        return order

    def reference(self, row: OperationRow) -> str:
        """Return the gateway's name of an operation; of its parent where the gateway names both the same."""
        if row.gw_ref or not row.parent_id or row.kind not in _BY_REFERENCE:
            return row.gw_ref
        parent = self._parent(row)
        return parent.gw_ref if parent is not None else ""

    def tell(self, row: OperationRow, state: OperationState, code: str = "") -> None:
        """Tell control a state, and keep it for a control that comes back."""
        change = self._keep(row, state, code)
        self._tell(change)
        if OperationKind(row.kind) in MOVES_MONEY:
            # One canonical line a change of money.
            _log.info(
                "payment_changed",
                operation_id=row.operation_id,
                kind=row.kind,
                state=state.value,
                code=code,
                gateway=row.gateway,
                amount_minor=row.amount_minor,
                currency=row.currency,
                test=row.test,
            )

    def keep_settled(self, capture_ids: Iterable[CaptureId]) -> None:
        """Keep how the money of these captures was settled for the control that comes: who settled it may have died
        before it was told. Raises sqlite3.Error.
        """
        for capture_id in capture_ids:
            self._keep_rows(self.ledger.of_capture(capture_id))

    def keep_settled_at_leaving(self) -> None:
        """Keep what was settled while the service was being stopped: control leaves before cde. What it was told all
        the same is no news to it: operation, state and code are those of before.
        """
        self._keep_rows(self.ledger.settled_at_leaving())

    def _keep_rows(self, rows: Iterable[OperationRow]) -> None:
        for row in rows:
            if row.kind in MOVES_MONEY and row.state not in OPEN_STATES:
                self._keep(row, OperationState(row.state), row.decline_code)

    def _keep(self, row: OperationRow, state: OperationState, code: str) -> PaymentChanged:
        change = PaymentChanged(
            operation_id=OperationId(row.operation_id),
            kind=OperationKind(row.kind),
            state=state,
            parent_id=OperationId(row.parent_id),
            capture_id=CaptureId(row.capture_id),
            amount_minor=row.amount_minor,
            currency=row.currency,
            gateway=row.gateway,
            code=code,
            test=row.test,
        )
        self._changes[row.operation_id] = change
        self._changes.move_to_end(row.operation_id)
        if len(self._changes) > CHANGES_KEPT:
            self._changes.popitem(last=False)
        return change

    def tell_again(self) -> None:
        """Tell a fresh control the latest states."""
        for change in self._changes.values():
            self._tell(change)

    def _parent(self, row: OperationRow) -> OperationRow | None:
        return self.ledger.operation(OperationId(row.parent_id)) if row.parent_id else None
