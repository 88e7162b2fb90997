"""What every gateway connector is made of: an order, a body template, and the closed set of results.

A connector is data and one answer parser: it says which literals and which parts of the slot follow each other in
the body, and reads the answer. It sends nothing: every card number takes the one measured way in ``sender.py``.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import Final, Protocol

from dtmf_shield.account_data import slots
from dtmf_shield.base.errors import InvariantError

DECLINE_CODES: Final = frozenset(
    {
        "card_declined",
        "insufficient_funds",
        "incorrect_cvc",
        "incorrect_number",
        "expired_card",
        "processing_error",
        "test_card_required",
    }
)
"""What may be told of a refusal. Anything else a gateway says becomes ``other``: its text may echo the card."""
OTHER_CODE: Final = "other"
TOKEN_CHARACTERS_MAX: Final = 200


class GatewayResultKind(enum.StrEnum):
    """How an exchange with a gateway ended."""

    TOKEN = "token"  # noqa: S105 - the name of a result
    DECLINED = "declined"
    REFUSED = "refused"
    """The gateway refused us, not the card: credentials, request, configuration."""
    FAILED_BEFORE_SEND = "failed_before_send"
    UNKNOWN = "unknown"
    """Bytes left and no answer can be believed. Never read as declined."""


@dataclass(frozen=True, slots=True)
class GatewayResult:
    """``code``: of DECLINE_CODES or a word of ours; ``token`` only for TOKEN."""

    kind: GatewayResultKind
    token: str = ""
    code: str = ""


class Idempotency(enum.StrEnum):
    """What the gateway does with a key it has seen. Only REPLAY allows asking again after bytes left."""

    REPLAY = "replay"
    NONE = "none"


class SlotField(enum.Enum):
    """A part of the slot that a body template may name."""

    NUMBER = "number"
    EXPIRY_MONTH = "expiry_month"
    EXPIRY_YEAR = "expiry_year"
    SECURITY_CODE = "security_code"


@dataclass(frozen=True, slots=True)
class CardInSlot:
    """A complete card where it lies: the slot and how long each field is. Holds no digit itself."""

    slot: memoryview
    number_length: int
    expiry_length: int
    security_code_length: int

    def part(self, field: SlotField) -> memoryview:
        """Return the view of ``field``; empty where it was not keyed."""
        start, length = {
            SlotField.NUMBER: (slots.CARD_NUMBER_AT, self.number_length),
            SlotField.EXPIRY_MONTH: (slots.EXPIRY_AT, min(self.expiry_length, 2)),
            SlotField.EXPIRY_YEAR: (slots.EXPIRY_AT + 2, max(self.expiry_length - 2, 0)),
            SlotField.SECURITY_CODE: (slots.SECURITY_CODE_AT, self.security_code_length),
        }[field]
        return self.slot[start : start + length]


@dataclass(frozen=True, slots=True)
class TokenizeOrder:
    """One tokenisation. ``key`` is the idempotency key, the same for every re-send."""

    key: str
    card: CardInSlot
    reference: str = ""


BodyPart = bytes | SlotField


class Connector(Protocol):
    """One gateway's language."""

    @property
    def name(self) -> str:
        """Name in the configuration and the ledger."""

    @property
    def idempotency(self) -> Idempotency:
        """What it does with a repeated key."""

    def tokenize_headers(self, order: TokenizeOrder) -> tuple[tuple[str, str], ...]:
        """Return headers beside Host, Content-Length and Authorization. Never account data: they become text."""

    def tokenize_body(self, order: TokenizeOrder) -> tuple[BodyPart, ...]:
        """Return the body's parts in order."""

    def tokenize_result(self, status: int, body: bytes) -> GatewayResult:
        """Read the answer. Never raises for what a peer can send."""


def json_text(value: str) -> bytes:
    """Return ``value`` as a JSON string with its quotes. Not for account data."""
    return json.dumps(value).encode("ascii")


def build_body(page: memoryview, parts: tuple[BodyPart, ...], card: CardInSlot) -> memoryview:
    """Join ``parts`` in ``page``, locked memory. Return the filled view. Raises InvariantError if it is too long."""
    end = 0
    for part in parts:
        view = card.part(part) if isinstance(part, SlotField) else memoryview(part)
        if end + len(view) > len(page):
            raise InvariantError("a body is longer than its build page")
        page[end : end + len(view)] = view
        end += len(view)
    return page[:end]


def decline_code(code: str) -> str:
    """Return ``code`` where it is one of the closed list."""
    return code if code in DECLINE_CODES else OTHER_CODE
