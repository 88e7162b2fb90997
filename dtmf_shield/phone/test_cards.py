"""Published TEST card numbers, and the guard that lets a test phone key no other card number.

The numbers are the ones card schemes and payment providers print in their public documentation for tests; none has
ever been issued. The guard knows nothing of brands: it looks at lengths and the check digit (ISO/IEC 7812-1).
"""

from __future__ import annotations

from typing import Final

from dtmf_shield.base.errors import OperatorError

TEST_CARDS: Final = frozenset(
    {
        "4242424242424242",
        "4111111111111111",
        "4000000000000002",
        "4000000000000069",
        "4000000000000119",
        "4000000000000127",
        "4000000000000341",
        "4000000000009995",
        "4000002500003155",
        "4000056655665556",
        "4012888888881881",
        "4222222222222",
        "5555555555554444",
        "5105105105105100",
        "5200828282828210",
        "2223003122003222",
        "378282246310005",
        "371449635398431",
        "6011111111111117",
        "3056930009020004",
        "3566002020360505",
        "6200000000000005",
        "6759649826438453",
    }
)
CARDS_BY_NAME: Final = {
    "visa": "4242424242424242",
    "mastercard": "5555555555554444",
    "amex": "378282246310005",
    "maestro": "6759649826438453",
    "discover": "6011111111111117",
    "diners": "3056930009020004",
    "jcb": "3566002020360505",
    "unionpay": "6200000000000005",
}
"""One of TEST_CARDS a brand, for scripts that name a card and hold no number."""
KEYS: Final = "0123456789*#ABCD"
CARD_DIGITS_MIN: Final = 13
CARD_DIGITS_MAX: Final = 19


class CardNotPublishedError(OperatorError):
    """A test phone was told to key a card number that is not a published test number. The number is not repeated."""

    def __init__(self) -> None:
        super().__init__(
            "this phone keys published test card numbers only; take one of phone.test_cards.TEST_CARDS"
        )


def passes_check_digit(digits: str) -> bool:
    """Tell whether `digits` ends in its Luhn check digit (ISO/IEC 7812-1 annex B)."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + position % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


class KeyGuard:
    """Watches the keys of one call and refuses the one that would complete a card number nobody published."""

    def __init__(self) -> None:
        self._run = ""

    def admit(self, keys: str) -> None:
        """Let `keys` pass, or raise CardNotPublishedError (a card number) or ValueError (not keys)."""
        for key in keys:
            if key not in KEYS:
                raise ValueError("keys are 0-9, *, # and A-D")
            self._run = self._run + key if key.isdigit() else ""
            self._check()

    def new_entry(self) -> None:
        """Begin a new run of digits: the next field is being asked for."""
        self._run = ""

    def _check(self) -> None:
        run = self._run
        if any(card.startswith(run) or run.startswith(card) for card in TEST_CARDS):
            return
        if CARD_DIGITS_MIN <= len(run) <= CARD_DIGITS_MAX and passes_check_digit(run):
            raise CardNotPublishedError
