"""Views of operations at a gateway: what the ledger has of them, and never a card or a token."""

from __future__ import annotations

from typing import Literal

from dtmf_shield.api.views.words import (
    Answering,
    Currency,
    Cursor,
    Identifier,
    Last4,
    OperationReference,
    Prose,
    TokenReference,
    View,
    WholeSecond,
    Word,
)
from dtmf_shield.model.payment import OperationKind, OperationState


class PaymentNews(View):
    """What an operation has become, as the event ``payment`` and webhooks tell it; ``GET`` tells the rest."""

    id: OperationReference
    kind: OperationKind
    state: OperationState
    """``unknown`` is never to be read as declined: it is looked up until it is known."""
    code: Word | None = None
    """Why it was declined, or not sent."""
    parent: OperationReference | None = None
    """The operation that it refunds, captures or voids."""
    capture: Identifier | None = None
    amount_minor: int = 0
    currency: Currency | None = None
    gateway: Prose = ""
    test: bool = False


class PaymentView(PaymentNews):
    """One operation as the ledger has it."""

    call: Identifier | None = None
    flow: Prose = ""
    agent: Prose = ""
    reference: Prose = ""
    """The merchant's own."""
    brand: Word | None = None
    last4: Last4 | None = None
    token_reference: TokenReference | None = None
    """Null for captures that ended before the service started: tokens lie encrypted in the ledger."""
    sent_at: WholeSecond | None = None
    """Null while an order is on its way to the ledger, or was refused before it came there."""
    settled_at: WholeSecond | None = None
    attempts: int = 0


class PaymentPage(View):
    """Newest first. ``next_cursor``: ask for the next page with it; null on the last."""

    payments: tuple[PaymentView, ...]
    next_cursor: Cursor | None = None


class PaymentEvent(View):
    """Data of the event ``payment`` for an operation; ``gateway`` is as in every such event without a call."""

    v: Literal[1] = 1
    call: None = None
    gateway: Answering
    operation: PaymentNews
