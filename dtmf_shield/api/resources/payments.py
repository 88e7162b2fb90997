"""Payments: what the ledger has of them, and refund, capture and void by order."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import Field

from dtmf_shield.api.access import Context, OncePerKey, asker, once
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.ports.payments import PAGE_ROWS_MAX, PaymentOrder, PaymentQuery
from dtmf_shield.api.problem import documented
from dtmf_shield.api.resources.bodies import Day, Identifier, Name, NoMembers, RequestBody
from dtmf_shield.api.views import PaymentPage, PaymentView
from dtmf_shield.api.views.words import Cursor
from dtmf_shield.model.ids import OperationId
from dtmf_shield.model.payment import AMOUNT_MINOR_MAX, MOVES_MONEY, OperationKind, OperationState

PAGE_ROWS: Final = 50
_DAY: Final = datetime.timedelta(days=1)
router = APIRouter(prefix="/v1/payments", responses=documented(403))
Reader = Annotated[Principal, Depends(asker(Role.SUPERVISOR))]
Orderer = Annotated[OncePerKey, Depends(once(Role.SUPERVISOR))]


class AmountRequest(RequestBody):
    """``amount_minor`` none: all that is left of the payment. The currency is the payment's."""

    amount_minor: Annotated[int, Field(strict=True, ge=1, le=AMOUNT_MINOR_MAX)] | None = None


@router.get("")
async def list_payments(
    asker: Reader,
    context: Context,
    reference: Annotated[Name | None, Query(description="The merchant's own, whole.")] = None,
    day: Annotated[Day | None, Query(description="Sent on this day, UTC.")] = None,
    outcome: Annotated[OperationState | None, Query(description="In this state.")] = None,
    kind: Annotated[OperationKind | None, Query(description="None: what moves money.")] = None,
    cursor: Annotated[Cursor | None, Query(description="next_cursor of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX)] = PAGE_ROWS,
) -> PaymentPage:
    """List payments and what was done with them, newest first."""
    from_s, until_s = _day(day)
    query = PaymentQuery(
        kinds=MOVES_MONEY if kind is None else frozenset({kind}),
        reference=reference or "",
        state=outcome,
        from_s=from_s,
        until_s=until_s,
        before=None if cursor is None else int(cursor),
        rows=limit,
    )
    return await asyncio.to_thread(context.backing.payments.page, query)


@router.get("/{operation_id}", responses=documented(404))
async def get_payment(asker: Reader, context: Context, operation_id: Identifier) -> PaymentView:
    """Show one operation: a payment, or what was done with one."""
    return await asyncio.to_thread(context.backing.payments.payment, OperationId(operation_id))


_ANSWERS: Final = documented(403, 404, 409, 413)


@router.post("/{operation_id}/refund", status_code=202, response_model=PaymentView, responses=_ANSWERS)
async def refund_payment(operation_id: Identifier, wanted: AmountRequest, once: Orderer) -> Response:
    """Give money back, all that is left or a part. How it ends is told by the event ``payment`` and by GET."""
    return await _order(once, operation_id, OperationKind.REFUND, wanted.amount_minor)


@router.post("/{operation_id}/capture", status_code=202, response_model=PaymentView, responses=_ANSWERS)
async def capture_payment(operation_id: Identifier, wanted: AmountRequest, once: Orderer) -> Response:
    """Take what an authorization holds, all or a part, once. How it ends is told as for a refund."""
    return await _order(once, operation_id, OperationKind.CAPTURE, wanted.amount_minor)


@router.post("/{operation_id}/void", status_code=202, response_model=PaymentView, responses=_ANSWERS)
async def void_payment(operation_id: Identifier, _wanted: NoMembers, once: Orderer) -> Response:
    """Undo an authorization or a charge before it is booked. How it ends is told as for a refund."""
    return await _order(once, operation_id, OperationKind.VOID, None)


async def _order(once: OncePerKey, parent: str, kind: OperationKind, amount_minor: int | None) -> Response:
    order = PaymentOrder(
        id=order_id(once.principal.name, once.key, parent, kind),
        parent=OperationId(parent),
        kind=kind,
        amount_minor=amount_minor,
        by=once.principal.name,
    )
    return await once.answer_later(202, lambda: once.context.backing.payments.order(order))


def order_id(principal: str, key: str, parent: str, kind: OperationKind) -> OperationId:
    """Return the name of an order: the same request with the same key names the same order, after a restart too.

    Letters alone: no run of digits is in it.
    """
    whole = "\0".join(("dtmf-shield order v1", principal, key, parent, kind.value)).encode()
    digest = hashlib.sha256(whole).hexdigest()[:32]
    return OperationId("o-" + digest.translate(str.maketrans("0123456789", "ghijklmnop")))


def _day(day: datetime.date | None) -> tuple[float | None, float | None]:
    if day is None:
        return None, None
    begins = datetime.datetime.combine(day, datetime.time(), datetime.UTC)
    return begins.timestamp(), begins.timestamp() + _DAY.total_seconds()
