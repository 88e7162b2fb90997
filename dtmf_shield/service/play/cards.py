"""Published test cards that the page offers: what the TEST gateway does with each, and the keys of the other fields."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from dtmf_shield.model.capture import FieldKind
from dtmf_shield.service.test_gateway.cards import CARDS

OFFERED: Final = {
    "visa": "4242424242424242",
    "mastercard": "5555555555554444",
    "amex": "378282246310005",
    "declined": "4000000000000002",
    "no-funds": "4000000000009995",
    "lost-later": "4000000000000341",
    "expired": "4000000000000069",
    "mistyped": "4242424242424241",
}
"""By the name the page has words for. The last is the first with another check digit: nobody's number."""
PARTS: Final = {
    "number": FieldKind.CARD_NUMBER,
    "expiry": FieldKind.EXPIRY,
    "code": FieldKind.SECURITY_CODE,
}


@dataclass(frozen=True, slots=True)
class OfferedCard:
    """One card. ``number`` is published; ``expiry`` is MMYY, ``code`` the security code."""

    name: str
    brand: str
    number: str
    expiry: str
    code: str

    def keys_of(self, part: str) -> str:
        """Return what is keyed for one of PARTS; a number ends with its hash."""
        return {"number": f"{self.number}#", "expiry": self.expiry, "code": self.code}[part]


def offered_cards(today: date) -> tuple[OfferedCard, ...]:
    """Return the cards, good until the end of next year."""
    expiry = f"12{(today.year + 1) % 100:02d}"
    return tuple(_card(name, number, expiry) for name, number in OFFERED.items())


def _card(name: str, number: str, expiry: str) -> OfferedCard:
    fate = CARDS.get(number)
    brand = fate.brand if fate is not None else "visa"
    return OfferedCard(name, brand, number, expiry, "1234" if brand == "amex" else "123")
