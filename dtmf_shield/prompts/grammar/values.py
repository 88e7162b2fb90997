"""The values a prompt can speak, and their limits. They check themselves; grammars do not check again.

Not spoken: negative amounts, amounts of 100 million and more, years outside 1900 to 2099. ``DigitsValue`` is for last
four digits, account numbers and postcodes: it refuses what is long enough to be a card number.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field
from typing import Final

from dtmf_shield.model.payment import currency_exponent
from dtmf_shield.prompts.errors import UnspeakableValueError

WHOLE_MAX: Final = 99_999_999
"""Largest number a grammar joins; the largest amount is 99,999,999 and its minor units."""
DIGITS_COUNT_MAX: Final = 12
"""As many digits as a field may release; the shortest card numbers worth the name have 13."""
GROUP_DIGITS_DEFAULT: Final = 4
SPELL_CHARACTERS_MAX: Final = 40
"""Longer codes are not remembered by any listener."""
YEAR_MIN: Final = 1900
YEAR_MAX: Final = 2099
KEYS_MAX: Final = 64
"""Keys of one field: the length of its slot."""
DURATION_S_MAX: Final = 24 * 3600 - 1


def _refuse(condition: bool, allowed: str) -> None:
    # The value itself stays out of the text: it may be a caller's.
    if condition:
        raise UnspeakableValueError(f"this cannot be spoken; allowed: {allowed}")


@dataclass(frozen=True, slots=True)
class CardinalValue:
    """A number."""

    number: int

    def __post_init__(self) -> None:
        _refuse(not 0 <= self.number <= WHOLE_MAX, f"numbers from 0 to {WHOLE_MAX:,}")


@dataclass(frozen=True, slots=True)
class MoneyValue:
    """An amount in minor units of an ISO 4217 currency."""

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        _refuse(re.fullmatch("[A-Z]{3}", self.currency) is None, "a currency of three capitals (ISO 4217)")
        largest = (WHOLE_MAX + 1) * 10 ** currency_exponent(self.currency) - 1
        _refuse(not 0 <= self.amount_minor <= largest, f"amounts from 0 to {WHOLE_MAX:,} and its minor units")


@dataclass(frozen=True, slots=True)
class DigitsValue:
    """Digits, one by one, with a pause after each group. They are not part of the repr."""

    digits: str = field(repr=False)
    group_digits: int = GROUP_DIGITS_DEFAULT

    def __post_init__(self) -> None:
        fits = re.fullmatch(f"[0-9]{{1,{DIGITS_COUNT_MAX}}}", self.digits) is not None
        _refuse(not fits, f"1 to {DIGITS_COUNT_MAX} digits")
        _refuse(self.group_digits < 1, "groups of at least one digit")


@dataclass(frozen=True, slots=True)
class SpellValue:
    """Letters, digits, dash, slash and dot, one by one; a space is a pause. The text is not part of the repr."""

    text: str = field(repr=False)

    def __post_init__(self) -> None:
        fits = re.fullmatch(f"[A-Za-z0-9./ -]{{1,{SPELL_CHARACTERS_MAX}}}", self.text) is not None
        _refuse(
            not fits or not self.text.strip(), f"1 to {SPELL_CHARACTERS_MAX} of: A-Z a-z 0-9 . / - and space"
        )
        digit_run = re.search(rf"(?:[0-9][ ./-]*){{{DIGITS_COUNT_MAX + 1}}}", self.text) is not None
        _refuse(digit_run, f"at most {DIGITS_COUNT_MAX} digits in a row: more may be a card number")


@dataclass(frozen=True, slots=True)
class DateValue:
    """A day, or a month where ``day`` is none."""

    year: int
    month: int
    day: int | None = None

    def __post_init__(self) -> None:
        _refuse(not YEAR_MIN <= self.year <= YEAR_MAX, f"years from {YEAR_MIN} to {YEAR_MAX}")
        try:
            datetime.date(self.year, self.month, 1 if self.day is None else self.day)
        except ValueError:
            raise UnspeakableValueError("this cannot be spoken; allowed: a date of the calendar") from None


@dataclass(frozen=True, slots=True)
class PositionValue:
    """How many keys count, of how many: "eleven of sixteen"; without ``of``: "eleven digits"."""

    count: int
    of: int | None = None

    def __post_init__(self) -> None:
        largest = KEYS_MAX if self.of is None else self.of
        _refuse(
            not 0 <= self.count <= largest <= KEYS_MAX, f"counts from 0 to {KEYS_MAX}, none above its whole"
        )


@dataclass(frozen=True, slots=True)
class DurationValue:
    """Hours, minutes and seconds."""

    duration_s: int

    def __post_init__(self) -> None:
        _refuse(not 0 <= self.duration_s <= DURATION_S_MAX, "durations from 0 s to less than a day")


SpokenValue = (
    CardinalValue | MoneyValue | DigitsValue | SpellValue | DateValue | PositionValue | DurationValue
)
