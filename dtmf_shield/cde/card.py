"""Card numbers: brand and allowed lengths by prefix (ISO/IEC 7812-1), check digit (its annex B), expiry.

Everything is counted on views of locked memory, digit by digit; no card number is ever built as an object. At most
the first eight digits, which name the issuer and not the card, are put together as one integer. It loads nothing:
the table's text comes from the caller.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.cde.published_cards import is_test_card
from dtmf_shield.model.capture import RejectReason

PREFIX_DIGITS: Final = 8
CARD_NUMBER_LENGTH_MIN: Final = 12
CARD_NUMBER_LENGTH_MAX: Final = 19
"""ISO/IEC 7812-1: a card number has at most 19 digits."""
EXPIRY_YEARS_AHEAD_MAX: Final = 20

_ZERO: Final = ord("0")
_FIRST_SCALE: Final = 10 ** (PREFIX_DIGITS - 1)
"""Of the first digit among the eight."""


@dataclass(frozen=True, slots=True)
class Brand:
    """One brand. ``usual``: the length most of its cards have. ``luhn``: whether the last digit is a check digit."""

    name: str
    lengths: tuple[int, ...]
    usual: int
    code_length: int
    luhn: bool = True

    def narrowed(self, lengths: tuple[int, ...]) -> Brand | None:
        """Return the brand with only the ``lengths`` a merchant takes; None where none is left. Empty: all."""
        if not lengths:
            return self
        left = tuple(length for length in self.lengths if length in lengths)
        return (
            replace(self, lengths=left, usual=self.usual if self.usual in left else left[0]) if left else None
        )


@dataclass(frozen=True, slots=True)
class _Range:
    """Numbers from ``low`` to ``high`` (first eight digits), written in the table with ``digits`` digits."""

    low: int
    high: int
    digits: int
    brand: Brand


class IinTable:
    """Which brands a beginning of a card number may belong to."""

    __slots__ = ("_ranges_by_first", "brands", "refuses_test_cards")

    def __init__(self, toml_text: str, *, refuses_test_cards: bool = False) -> None:
        """Read the table. Raises InvariantError where it is not as its header says: it ships with the project.

        ``refuses_test_cards``: a live gateway is served, where a published test number is a mistake or a probe.
        """
        self.refuses_test_cards = refuses_test_cards
        self.brands: dict[str, Brand] = {}
        ranges: list[_Range] = []
        for name, entry in tomllib.loads(toml_text)["brands"].items():
            brand = Brand(
                name,
                tuple(sorted(entry["lengths"])),
                entry["usual"],
                entry["code_length"],
                entry.get("luhn", True),
            )
            if brand.usual not in brand.lengths or max(brand.lengths) > CARD_NUMBER_LENGTH_MAX:
                raise InvariantError(f"iin.toml: lengths of {name} are out of order")
            self.brands[name] = brand
            ranges.extend(_range(prefix, brand) for prefix in entry["prefixes"])
        ranges.sort(key=lambda entry: (-entry.digits, entry.high - entry.low))
        self._ranges_by_first = tuple(
            tuple(
                entry
                for entry in ranges
                if entry.low < (first + 1) * _FIRST_SCALE and entry.high >= first * _FIRST_SCALE
            )
            for first in range(10)
        )

    def candidates(
        self,
        number: memoryview,
        count: int,
        accepted: tuple[str, ...] = (),
        lengths: tuple[int, ...] = (),
    ) -> tuple[Brand, ...]:
        """Return the brands that ``number[:count]`` may still turn out to be, with the lengths that are taken.

        ``accepted``: names of the brands taken, ``lengths``: whole lengths taken, each empty for all. Empty result: no
        brand taken begins like this.
        """
        if count == 0:
            return self._taken(self.brands.values(), accepted, lengths)
        shown = min(count, PREFIX_DIGITS)
        scale = int(10 ** (PREFIX_DIGITS - shown))
        low = digits_value(number, 0, shown) * scale
        high = low + scale - 1
        found: dict[str, Brand] = {}
        for entry in self._ranges_by_first[low // _FIRST_SCALE]:
            if entry.high < low or high < entry.low:
                continue
            found.setdefault(entry.brand.name, entry.brand)
            if entry.low <= low and high <= entry.high:
                break  # The longest, narrowest prefix that is certain; the others lose to it.
        return self._taken(found.values(), accepted, lengths)

    @staticmethod
    def _taken(
        brands: Iterable[Brand], accepted: tuple[str, ...], lengths: tuple[int, ...]
    ) -> tuple[Brand, ...]:
        named = (brand for brand in brands if not accepted or brand.name in accepted)
        return tuple(narrowed for brand in named if (narrowed := brand.narrowed(lengths)) is not None)


def _range(prefix: str, brand: Brand) -> _Range:
    low, _, high = prefix.partition("-")
    high = high or low
    if len(low) != len(high) or not 0 < len(low) <= PREFIX_DIGITS or low > high:
        raise InvariantError(f"iin.toml: a prefix of {brand.name} is out of order")
    scale = int(10 ** (PREFIX_DIGITS - len(low)))
    return _Range(int(low) * scale, (int(high) + 1) * scale - 1, len(low), brand)


def digits_value(view: memoryview, start: int, length: int) -> int:
    """Return the number written in ASCII digits at ``view[start : start + length]``; at most eight of them."""
    if length > PREFIX_DIGITS:
        raise InvariantError("more digits than may ever be put together")
    value = 0
    for position in range(start, start + length):
        value = value * 10 + view[position] - _ZERO
    return value


def luhn_valid(number: memoryview, count: int) -> bool:
    """Whether the last of ``count`` ASCII digits is the right check digit (ISO/IEC 7812-1 annex B)."""
    total = 0
    for position in range(count):
        value = number[count - 1 - position] - _ZERO
        if position % 2:
            value *= 2
            if value > 9:
                value -= 9
        total += value
    return count > 0 and total % 10 == 0


def check_card_number(
    table: IinTable,
    number: memoryview,
    count: int,
    accepted: tuple[str, ...],
    lengths: tuple[int, ...] = (),
) -> Brand | RejectReason:
    """Return the brand of a complete number, or why it is none."""
    if count < CARD_NUMBER_LENGTH_MIN:
        return RejectReason.TOO_SHORT
    brands = table.candidates(number, count, accepted, lengths)
    if not brands or (table.refuses_test_cards and is_test_card(number, count)):
        return RejectReason.BRAND
    fitting = [brand for brand in brands if count in brand.lengths]
    if not fitting:
        longest = max(max(brand.lengths) for brand in brands)
        return RejectReason.TOO_LONG if count > longest else RejectReason.TOO_SHORT
    valid = luhn_valid(number, count)
    return next((brand for brand in fitting if valid or not brand.luhn), RejectReason.LUHN)


def check_expiry(expiry: memoryview, count: int, today: tuple[int, int]) -> RejectReason | None:
    """Check MMYY or MMYYYY against ``today`` = (year, month). None: it is good.

    ``today`` is the month it still is somewhere on earth (UTC-12): a card is good to the end of its month.
    """
    if count not in (4, 6):
        return RejectReason.TOO_SHORT if count < 4 or count == 5 else RejectReason.TOO_LONG
    month = digits_value(expiry, 0, 2)
    year = digits_value(expiry, 2, count - 2)
    if not 1 <= month <= 12:
        return RejectReason.FORMAT
    if count == 4:
        year += today[0] // 100 * 100
    if (year, month) < today:
        return RejectReason.EXPIRED
    return RejectReason.TOO_FAR if year > today[0] + EXPIRY_YEARS_AHEAD_MAX else None
