"""What may be asked of a payment gateway and how it may end: closed sets, amounts, no card data.

Words follow the connectors' common ground: authorize holds money, charge takes it, capture takes what was held.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

AMOUNT_MINOR_MAX: Final = 10**10 - 1
"""Above it nobody keys a card on a telephone; a larger amount is a mistake in the order."""
_EXPONENT: Final = 2
_NO_MINOR_UNITS: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DIGITS: Final = "BHD IQD JOD KWD LYD OMR TND"
CURRENCY_EXPONENTS: Final = {
    **dict.fromkeys(_NO_MINOR_UNITS.split(" "), 0),
    **dict.fromkeys(_THREE_DIGITS.split(" "), 3),
}
"""ISO 4217: digits after the point, where they are not two."""


class OperationKind(enum.StrEnum):
    """What a gateway does. VERIFY checks a card and takes nothing; CAPTURE, REFUND, VOID name an earlier operation."""

    VERIFY = "verify"
    TOKENIZE = "tokenize"
    AUTHORIZE = "authorize"
    CHARGE = "charge"
    CAPTURE = "capture"
    REFUND = "refund"
    VOID = "void"
    LOOKUP = "lookup"
    """A question about an earlier operation; never a row of the ledger."""


MOVES_MONEY: Final = frozenset(
    {
        OperationKind.AUTHORIZE,
        OperationKind.CHARGE,
        OperationKind.CAPTURE,
        OperationKind.REFUND,
        OperationKind.VOID,
    }
)


class OperationState(enum.StrEnum):
    """Where one operation is, in the ledger and on the agent's page."""

    INTENT = "intent"
    """On disk; whether a byte left is not yet known."""
    APPROVED = "approved"
    DECLINED = "declined"
    ACTION_REQUIRED = "action_required"
    """The gateway wants the cardholder to prove himself elsewhere: on the telephone, another card is needed."""
    FAILED_BEFORE_SEND = "failed_before_send"
    UNKNOWN = "unknown"
    """Bytes left and no answer can be believed. Looked up until known; never read as declined."""


class DeclineCode(enum.StrEnum):
    """Why a gateway refused. A closed list: a gateway's own text may echo the card."""

    CARD_DECLINED = "card_declined"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    LIMIT_EXCEEDED = "limit_exceeded"
    INCORRECT_CVC = "incorrect_cvc"
    INCORRECT_NUMBER = "incorrect_number"
    INCORRECT_POSTAL_CODE = "incorrect_postal_code"
    EXPIRED_CARD = "expired_card"
    CARD_NOT_SUPPORTED = "card_not_supported"
    NOT_PERMITTED = "not_permitted"
    BLOCKED_CARD = "blocked_card"
    SUSPECTED_FRAUD = "suspected_fraud"
    AUTHENTICATION_REQUIRED = "authentication_required"
    TRY_AGAIN_LATER = "try_again_later"
    PROCESSING_ERROR = "processing_error"
    TEST_CARD_REQUIRED = "test_card_required"
    OTHER = "other"


CALLER_MAY_RETRY: Final = frozenset(
    {
        DeclineCode.INCORRECT_CVC,
        DeclineCode.INCORRECT_NUMBER,
        DeclineCode.INCORRECT_POSTAL_CODE,
        DeclineCode.EXPIRED_CARD,
        DeclineCode.TRY_AGAIN_LATER,
        DeclineCode.PROCESSING_ERROR,
        DeclineCode.TEST_CARD_REQUIRED,
    }
)
"""Codes after which the same card may be keyed once more: a slip or a passing fault. The others want another card."""


class Money(msgspec.Struct, frozen=True):
    """An amount in minor units and its currency (ISO 4217). Nothing: 0 and no currency."""

    minor: int = 0
    currency: str = ""

    def __bool__(self) -> bool:
        return self.minor > 0


NO_MONEY: Final = Money()


def currency_exponent(currency: str) -> int:
    """Return how many digits of ``currency`` (ISO 4217, three capitals) are minor units."""
    return CURRENCY_EXPONENTS.get(currency, _EXPONENT)
