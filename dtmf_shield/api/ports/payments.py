"""Payments and what is ordered of them, as the API needs them of the service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from dtmf_shield.api.ports.refusals import DeskRefusal
from dtmf_shield.api.views import PaymentNews, PaymentPage, PaymentView
from dtmf_shield.model.ids import OperationId
from dtmf_shield.model.payment import MOVES_MONEY, OperationKind, OperationState

PAGE_ROWS_MAX: Final = 100
PaymentListener = Callable[[PaymentNews], None]
"""Called on the event loop, never blocks, never raises."""


@dataclass(frozen=True, slots=True)
class PaymentQuery:
    """What is looked for; what is None or empty is no condition.

    ``from_s``, ``until_s``: when it was sent, seconds since 1970, the latter not included. ``before``: a cursor.
    """

    kinds: frozenset[OperationKind] = MOVES_MONEY
    reference: str = ""
    state: OperationState | None = None
    from_s: float | None = None
    until_s: float | None = None
    before: int | None = None
    rows: int = PAGE_ROWS_MAX


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """CAPTURE, REFUND or VOID of ``parent``. ``id`` names it: the same id twice is done once, at the gateway too.

    ``amount_minor`` None: all that is left. ``by``: who orders, for the audit log.
    """

    id: OperationId
    parent: OperationId
    kind: OperationKind
    amount_minor: int | None
    by: str


class PaymentDesk(Protocol):
    """Payments, as the API sees them."""

    def page(self, query: PaymentQuery) -> PaymentPage:
        """Return the newest that fit. May read a file: call it in a thread. Raises LedgerBusy."""

    def payment(self, operation_id: OperationId) -> PaymentView:
        """Return one. May read a file: call it in a thread. Raises PaymentNotFound, LedgerBusy."""

    async def order(self, order: PaymentOrder) -> PaymentView:
        """Have it done; return it as soon as it is on its way, or how it stands where it was ordered before.

        Raises PaymentNotFound, PaymentRefused, OrderDiffers, PaymentsAway, LedgerBusy: nothing was sent then.
        """

    def subscribe(self, listener: PaymentListener) -> None:
        """Tell ``listener`` of every change, until the process ends."""


class PaymentNotFound(DeskRefusal):
    """No such operation in the ledger."""

    status, slug, title = 404, "payment-not-found", "There is no such payment."


class PaymentRefused(DeskRefusal):
    """The rules of the ledger forbid it; the finding says which."""

    status, slug, title = 409, "payment-refused", "This cannot be done with this payment. Nothing was sent."


class OrderDiffers(DeskRefusal):
    """The Idempotency-Key has ordered another amount before."""

    slug: ClassVar[str] = "idempotency-key-reused"
    title: ClassVar[str] = "This Idempotency-Key was used for another request."


class PaymentsAway(DeskRefusal):
    """cde is away for a moment, or the service has no ledger."""

    status, slug, title = 503, "payments-away", "Payments cannot be ordered just now. Try again in a moment."


class LedgerBusy(DeskRefusal):
    """The ledger file could not be read."""

    status, slug, title = 503, "ledger-busy", "The ledger cannot be read just now. Try again in a moment."


class NoPayments:
    """A service without a ledger: enough to describe the API, and for tests of something else."""

    def page(self, _query: PaymentQuery) -> PaymentPage:
        """Nothing."""
        return PaymentPage(payments=())

    def payment(self, _operation_id: OperationId) -> PaymentView:
        """Refuse."""
        raise PaymentNotFound

    async def order(self, _order: PaymentOrder) -> PaymentView:
        """Refuse."""
        raise PaymentNotFound

    def subscribe(self, listener: PaymentListener) -> None:
        """Never has anything to tell."""
