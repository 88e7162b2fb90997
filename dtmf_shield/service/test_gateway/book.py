"""What the TEST gateway decides and remembers: published test numbers in, TEST tokens out, a book of last4 and token.

It speaks the generic connector's JSON but touches no socket. A number that is not published is refused unread; it
stands in no answer and no book.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass, field
from typing import Any, Final

BOOK_ENTRIES_MAX: Final = 100_000
TOKEN_PREFIX: Final = "tok_TEST_"  # noqa: S105 - the visible mark of a worthless token

APPROVED: Final = frozenset({"4242424242424242", "4111111111111111", "5555555555554444", "378282246310005"})
DECLINED: Final = {
    "4000000000000002": "card_declined",
    "4000000000009995": "insufficient_funds",
    "4000000000000127": "incorrect_cvc",
    "4000000000000069": "expired_card",
    "4000000000000119": "processing_error",
}
"""Published test numbers and what they mean."""

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One operation as booked."""

    key: str
    method: str
    last4: str
    token: str
    error_code: str


@dataclass(slots=True)
class Book:
    """Entries in order, answers by key, and SHA-256 digests of random numbers a leak test announced."""

    entries: list[Entry] = field(default_factory=list)
    replayed: int = 0
    canary_digests: set[str] = field(default_factory=set)
    _answers: dict[str, Answer] = field(default_factory=dict)

    def take(self, body: bytes, *, decline: bool = False) -> tuple[int, Answer]:
        """Return HTTP status and answer to a request body. ``decline``: refuse every card this time."""
        try:
            request = json.loads(body)
            key, method, number = request["transaction_id"], request["method"], request["cardnumber"]
        except (ValueError, KeyError, TypeError):
            return 400, _answer(error_code="bad_request")
        if method != "tokenize" or not isinstance(key, str) or not isinstance(number, str):
            return 400, _answer(error_code="bad_request")
        if key in self._answers:
            self.replayed += 1
            return 200, self._answers[key]
        code = "card_declined" if decline else self._refusal(number)
        token = "" if code else TOKEN_PREFIX + secrets.token_urlsafe(12)
        answer = _answer(token=token, error_code=code)
        known = code != "test_card_required"
        if len(self.entries) < BOOK_ENTRIES_MAX:
            self.entries.append(Entry(key, method, number[-4:] if known else "", token, code or ""))
            self._answers[key] = answer
        return 200, answer

    def shown(self) -> Answer:
        """Return the book for a test to compare with the ledger."""
        return {
            "test": True,
            "operations": [asdict(entry) for entry in self.entries],
            "replayed": self.replayed,
        }

    def _refusal(self, number: str) -> str | None:
        if number in APPROVED or hashlib.sha256(number.encode()).hexdigest() in self.canary_digests:
            return None
        return DECLINED.get(number, "test_card_required")


def _answer(*, token: str = "", error_code: str | None = None) -> Answer:
    return {
        "charge_id": None,
        "token_id": token or None,
        "error_code": error_code,
        "error_message": f"TEST gateway: {error_code}" if error_code else None,
        "test": True,
    }
