"""Published test cards and what the TEST gateway does with each; every other number is refused unread.

Numbers and meanings as Stripe publishes them (docs.stripe.com/testing). No other card is ever taken, but for a number
whose SHA-256 a leak test announced.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

TEST_CARD_REQUIRED: Final = "test_card_required"


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to a card. Empty code: approved."""

    brand: str
    tokenize_code: str = ""
    money_code: str = ""
    """Of verify, charge and authorize."""


_APPROVED: Final = {
    "4242424242424242": Fate("visa"),
    "4111111111111111": Fate("visa"),
    "5555555555554444": Fate("mastercard"),
    "2223003122003222": Fate("mastercard"),
    "378282246310005": Fate("amex"),
    "371449635398431": Fate("amex"),
    "6011111111111117": Fate("discover"),
    "3056930009020004": Fate("diners"),
    "3566002020360505": Fate("jcb"),
    "6200000000000005": Fate("unionpay"),
}
_DECLINED: Final = {
    number: Fate("visa", code, code)
    for number, code in {
        "4000000000000002": "card_declined",
        "4000000000009995": "insufficient_funds",
        "4000000000000127": "incorrect_cvc",
        "4000000000000069": "expired_card",
        "4000000000000119": "processing_error",
    }.items()
}
_TOKEN_ONLY: Final = {
    "4000000000000341": Fate("visa", "", "card_declined"),
    "4000002500003155": Fate("visa", "", "authentication_required"),
}
"""A token is given, money is not: what a card declined at the charge by token looks like."""
CARDS: Final = {**_APPROVED, **_DECLINED, **_TOKEN_ONLY}
BANK_ACCOUNTS: Final = {("110000000", "000123456789"): Fate("bank")}
"""Routing and account number."""
PERSONS: Final = {"01021980": "12341"}
"""Dates of birth as keyed, with the digits of the postcode: people that there are not."""
_UNPUBLISHED: Final = Fate("", TEST_CARD_REQUIRED, TEST_CARD_REQUIRED)
_CANARY: Final = Fate("canary")


def fate_of_card(number: str, canary_digests: set[str]) -> Fate:
    """Return what happens to ``number``."""
    if number in CARDS:
        return CARDS[number]
    # A digest is only made where a test announced one: nothing keeps the hash of a number nobody announced.
    if canary_digests and hashlib.sha256(number.encode()).hexdigest() in canary_digests:
        return _CANARY
    return _UNPUBLISHED


def fate_of_bank_account(routing_number: str, account_number: str) -> Fate:
    """Return what happens to a bank account."""
    return BANK_ACCOUNTS.get((routing_number, account_number), _UNPUBLISHED)


def fate_of_person(date_of_birth: str, postal_code: str) -> Fate:
    """Return what happens to a person who is to be verified."""
    known = PERSONS.get(date_of_birth)
    if known is None:
        return _UNPUBLISHED
    return Fate("", "", "" if postal_code == known else "incorrect_postal_code")
