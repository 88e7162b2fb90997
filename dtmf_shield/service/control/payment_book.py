"""Payments as the API sees them: the ledger read, orders passed on to cde, and what became of them.

cde decides and sends; its first word on an order (on its way, or refused) is waited for, so that a refusal is an answer
and not an event. An order that no word came of is sent again when cde is back: the same id is done once.
"""

from __future__ import annotations

import asyncio
import datetime
import re
import sqlite3
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from dtmf_shield.api.ports import payments as port
from dtmf_shield.api.views import PaymentNews, PaymentPage, PaymentView
from dtmf_shield.model.ids import CaptureId, OperationId
from dtmf_shield.model.messages import OrderPayment, PaymentChanged
from dtmf_shield.model.payment import MOVES_MONEY, OperationKind, OperationState
from dtmf_shield.store.payment_rows import PaymentRow, PaymentRows

FIRST_WORD_S: Final = 2.0
"""cde answers an order within milliseconds, before it sends anything. After it the order is told as on its way."""
NEWS_KEPT_MAX: Final = 4_096
"""Operations whose last news is remembered: told again by a cde that comes back, it is no news."""
ORDERS_KEPT_MAX: Final = 1_024
_STANDS: Final = frozenset({OperationState.INTENT, OperationState.UNKNOWN, OperationState.APPROVED})
_WORD: Final = re.compile(r"[a-z_]{1,40}")
_LAST4: Final = re.compile(r"[0-9]{4}")


class PaymentBook:
    """Implements ``api.ports.PaymentDesk``. ``send`` is False where cde is away."""

    def __init__(
        self,
        rows: PaymentRows,
        send: Callable[[OrderPayment], bool],
        token_reference: Callable[[CaptureId], str | None],
        ordered: Callable[[port.PaymentOrder, int], None],
    ) -> None:
        """``ordered``: told of each order before it is sent, with its amount, for the audit log."""
        self._rows, self._send, self._token_reference, self._ordered = rows, send, token_reference, ordered
        self._listeners: list[port.PaymentListener] = []
        self._news: OrderedDict[OperationId, PaymentNews] = OrderedDict()
        self._waiting: OrderedDict[OperationId, tuple[OrderPayment, asyncio.Event]] = OrderedDict()

    # --- what the API asks ---------------------------------------------------------------------------

    def page(self, query: port.PaymentQuery) -> PaymentPage:
        """Return the newest that fit."""
        try:
            rows = self._rows.page(
                [kind.value for kind in query.kinds],
                reference=query.reference,
                state=query.state.value if query.state else "",
                from_s=query.from_s,
                until_s=query.until_s,
                before=query.before,
                rows=query.rows + 1,
            )
        except sqlite3.Error:
            raise port.LedgerBusy from None
        shown, more = rows[: query.rows], len(rows) > query.rows
        return PaymentPage(
            payments=tuple(map(self._view, shown)), next_cursor=str(shown[-1].place) if more else None
        )

    def payment(self, operation_id: OperationId) -> PaymentView:
        """Return one, of the ledger, or an order that has not come there."""
        row = self._row(operation_id)
        if row is not None:
            return self._view(row)
        news, waiting = self._news.get(operation_id), self._waiting.get(operation_id)
        if news is not None:
            return PaymentView(**dict(news))
        if waiting is not None:
            return _on_its_way(waiting[0])
        raise port.PaymentNotFound

    async def order(self, order: port.PaymentOrder) -> PaymentView:
        """Have it done; return it as soon as it is on its way."""
        message = await asyncio.to_thread(self._message, order)
        if isinstance(message, PaymentView):
            return message
        word = self._waiting.setdefault(order.id, (message, asyncio.Event()))[1]
        while len(self._waiting) > ORDERS_KEPT_MAX:
            self._waiting.popitem(last=False)
        self._ordered(order, message.amount_minor)
        if not self._send(message):
            self._waiting.pop(order.id, None)
            raise port.PaymentsAway
        try:
            async with asyncio.timeout(FIRST_WORD_S):
                await word.wait()
        except TimeoutError:
            return _on_its_way(message)
        view = await asyncio.to_thread(self.payment, order.id)
        if view.sent_at is None and view.state is OperationState.FAILED_BEFORE_SEND:
            raise port.PaymentRefused([view.code or "refused"])
        return view

    def subscribe(self, listener: port.PaymentListener) -> None:
        """Tell ``listener`` of every change."""
        self._listeners.append(listener)

    # --- what the process tells ----------------------------------------------------------------------

    def changed(self, change: PaymentChanged) -> None:
        """An operation has a new state."""
        if change.kind not in MOVES_MONEY:
            return
        news = _news(change)
        waiting = self._waiting.pop(change.operation_id, None)
        if self._news.get(change.operation_id) != news:
            self._news[change.operation_id] = news
            self._news.move_to_end(change.operation_id)
            while len(self._news) > NEWS_KEPT_MAX:
                self._news.popitem(last=False)
            for listener in self._listeners:
                listener(news)
        if waiting is not None:
            waiting[1].set()

    def cde_joined(self) -> None:
        """A fresh cde is there: what it was not told, or died over, is ordered again."""
        for message, _ in list(self._waiting.values()):
            self._send(message)

    # --- the ledger ----------------------------------------------------------------------------------

    def _row(self, operation_id: str) -> PaymentRow | None:
        try:
            return self._rows.by_id(operation_id)
        except sqlite3.Error:
            raise port.LedgerBusy from None

    def _message(self, order: port.PaymentOrder) -> OrderPayment | PaymentView:
        """Return what cde is told, or the order as it stands where the ledger has it already."""
        known = self._row(order.id)
        if known is not None:
            if order.amount_minor not in (None, known.amount_minor):
                raise port.OrderDiffers
            return self._view(known)
        parent = self._row(order.parent)
        if parent is None:
            raise port.PaymentNotFound
        is_void = order.kind is OperationKind.VOID
        amount_minor = 0 if is_void else order.amount_minor or self._left(parent)
        currency = "" if is_void else parent.currency
        return OrderPayment(order.id, order.parent, order.kind, amount_minor, currency)

    def _left(self, parent: PaymentRow) -> int:
        try:
            children = self._rows.children(parent.operation_id)
        except sqlite3.Error:
            raise port.LedgerBusy from None
        refunds = [row for row in children if row.kind == OperationKind.REFUND.value and row.state in _STANDS]
        return max(parent.amount_minor - sum(row.amount_minor for row in refunds), 0)

    def _view(self, row: PaymentRow) -> PaymentView:
        return PaymentView(
            id=row.operation_id,
            kind=OperationKind(row.kind),
            state=OperationState(row.state),
            code=_word(row.code),
            parent=row.parent_id or None,
            capture=row.capture_id,
            amount_minor=row.amount_minor,
            currency=row.currency or None,
            gateway=row.gateway,
            test=bool(row.test),
            call=row.call_id,
            flow=row.flow,
            agent=row.agent,
            reference=row.reference,
            brand=_word(row.brand),
            last4=row.last4 if _LAST4.fullmatch(row.last4) else None,
            token_reference=self._token_reference(CaptureId(row.capture_id)),
            sent_at=_moment(row.sent_at),
            settled_at=_moment(row.settled_at) if row.settled_at else None,
            attempts=row.attempts,
        )


def _news(change: PaymentChanged) -> PaymentNews:
    return PaymentNews(
        id=change.operation_id,
        kind=change.kind,
        state=change.state,
        code=_word(change.code),
        parent=change.parent_id or None,
        capture=change.capture_id or None,
        amount_minor=change.amount_minor,
        currency=change.currency or None,
        gateway=change.gateway,
        test=change.test,
    )


def _on_its_way(message: OrderPayment) -> PaymentView:
    return PaymentView(
        id=message.operation_id,
        kind=message.kind,
        state=OperationState.INTENT,
        parent=message.parent_id,
        amount_minor=message.amount_minor,
        currency=message.currency or None,
    )


def _word(text: str) -> str | None:
    return text if _WORD.fullmatch(text) else None


def _moment(wall_s: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(wall_s, datetime.UTC)
