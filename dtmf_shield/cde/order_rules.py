"""What may be done with an earlier operation: capture, refund, void, charge once more. Facts in, a refusal or none out.

What is in doubt counts as done: a refund that may have arrived leaves less to refund. It reads no ledger.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dtmf_shield.model.payment import AMOUNT_MINOR_MAX, OperationKind, OperationState


class OrderRefusal(enum.StrEnum):
    """Why an order is not sent. A closed set, told as the code of PaymentChanged."""

    NO_SUCH_OPERATION = "no_such_operation"
    NOT_ORDERED_HERE = "not_ordered_here"
    """TOKENIZE, VERIFY and LOOKUP are nobody's to order."""
    PARENT_NOT_APPROVED = "parent_not_approved"
    DOES_NOT_FOLLOW = "does_not_follow"
    """Such as the refund of an authorisation that was not captured."""
    NO_TOKEN = "no_token"  # noqa: S105 - a reason
    AMOUNT = "amount"
    """None, too large, or more than is left."""
    CURRENCY = "currency"
    ALREADY_DONE = "already_done"
    """Voided, captured or refunded, or that is in doubt."""
    GATEWAY_CANNOT = "gateway_cannot"
    GATEWAY_GONE = "gateway_gone"
    """The parent's gateway is no longer configured."""
    IN_DOUBT = "in_doubt"
    """A payment with this card is not settled yet: a second one might charge twice."""
    LEDGER = "ledger"
    BUSY = "busy"
    """Too many orders at once."""


@dataclass(frozen=True, slots=True)
class Done:
    """One operation of the ledger, as far as the rules ask."""

    kind: OperationKind
    state: OperationState
    amount_minor: int
    currency: str = ""
    taken_back: bool = False
    """Approved, and the gateway says that it was taken back since."""
    has_token: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for."""

    kind: OperationKind
    amount_minor: int
    currency: str


_K = OperationKind
FOLLOWS: Final[Mapping[OperationKind, frozenset[OperationKind]]] = {
    _K.CAPTURE: frozenset({_K.AUTHORIZE}),
    _K.VOID: frozenset({_K.AUTHORIZE, _K.CHARGE}),
    _K.REFUND: frozenset({_K.CHARGE, _K.CAPTURE}),
    _K.CHARGE: frozenset({_K.TOKENIZE, _K.VERIFY, _K.AUTHORIZE, _K.CHARGE}),
    _K.AUTHORIZE: frozenset({_K.TOKENIZE, _K.VERIFY, _K.AUTHORIZE, _K.CHARGE}),
}
"""What each kind may be asked of."""
EXCLUDED_BY: Final[Mapping[OperationKind, frozenset[OperationKind]]] = {
    _K.CAPTURE: frozenset({_K.CAPTURE, _K.VOID}),
    _K.VOID: frozenset({_K.CAPTURE, _K.VOID, _K.REFUND}),
    _K.REFUND: frozenset({_K.VOID}),
    _K.CHARGE: frozenset(),
    _K.AUTHORIZE: frozenset(),
}
"""Children that forbid each kind, while they are approved or in doubt."""
_STANDS: Final = frozenset({OperationState.INTENT, OperationState.UNKNOWN, OperationState.APPROVED})
_IN_DOUBT: Final = frozenset({OperationState.INTENT, OperationState.UNKNOWN})
_CARD_ONLY: Final = frozenset({_K.TOKENIZE, _K.VERIFY})
BY_TOKEN: Final = frozenset({_K.CHARGE, _K.AUTHORIZE})
"""What is ordered with a stored token."""


def refusal(wanted: Wanted, parent: Done, others: Sequence[Done]) -> OrderRefusal | None:
    """Return why ``wanted`` must not be sent, None where it may.

    ``others``: all that was done with ``parent``; of a charge or authorization by token, all that was done with the
    same card, by whatever operation its token was named.
    """
    if wanted.kind not in FOLLOWS:
        return OrderRefusal.NOT_ORDERED_HERE
    if parent.kind not in FOLLOWS[wanted.kind]:
        return OrderRefusal.DOES_NOT_FOLLOW
    if wanted.kind in BY_TOKEN:
        return _refusal_by_token(wanted, parent, others)
    standing = [child for child in others if child.state in _STANDS]
    if parent.state is not OperationState.APPROVED:
        return OrderRefusal.PARENT_NOT_APPROVED
    if parent.taken_back or any(child.kind in EXCLUDED_BY[wanted.kind] for child in standing):
        return OrderRefusal.ALREADY_DONE
    if wanted.kind is not _K.VOID and wanted.currency != parent.currency:
        return OrderRefusal.CURRENCY
    refunded = sum(child.amount_minor for child in standing if child.kind is _K.REFUND)
    if wanted.kind is not _K.VOID and not 0 < wanted.amount_minor <= parent.amount_minor - refunded:
        return OrderRefusal.AMOUNT
    return None


def _refusal_by_token(wanted: Wanted, parent: Done, others: Sequence[Done]) -> OrderRefusal | None:
    if any(each.state in _IN_DOUBT for each in (parent, *others) if each.kind not in _CARD_ONLY):
        return OrderRefusal.IN_DOUBT
    # A declined charge leaves its token as good as before: only the token is asked for, not the charge.
    if not parent.has_token:
        return OrderRefusal.NO_TOKEN
    if not 0 < wanted.amount_minor <= AMOUNT_MINOR_MAX:
        return OrderRefusal.AMOUNT
    if len(wanted.currency) != 3 or not wanted.currency.isascii() or not wanted.currency.isupper():
        return OrderRefusal.CURRENCY
    return None
