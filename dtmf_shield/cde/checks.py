"""Checks of keyed digits that are no card: routing numbers, IBAN, account checks, dates, ranges.

Everything is counted on views of locked memory, digit by digit, with sums and remainders of at most a few digits; no
number is ever built whole.
"""

from __future__ import annotations

import datetime
from typing import Final

from dtmf_shield.cde.card import digits_value, luhn_valid
from dtmf_shield.model.capture import DateFormat, FieldCheck, FieldKind, FieldSpec, RejectReason
from dtmf_shield.model.field_rules import ROUTING_NUMBER_LENGTH, length_range, value_range

BIRTH_YEAR_MIN: Final = 1900
_ZERO: Final = ord("0")
_ABA_WEIGHTS: Final = (3, 7, 1)
_ABA_DISTRICTS: Final = (range(13), range(21, 33), range(61, 73), range(80, 81))
"""First two digits: government, Federal Reserve districts, thrifts, electronic, traveller's cheques."""
_DATE_PARTS: Final = {
    DateFormat.DDMMYYYY: (4, 2, 0),
    DateFormat.MMDDYYYY: (4, 0, 2),
    DateFormat.YYYYMMDD: (0, 4, 6),
}
"""Where year, month and day begin."""


def fault_of_keys(
    spec: FieldSpec, view: memoryview, count: int, today: tuple[int, int]
) -> RejectReason | None:
    """Check a field that is not of a card. None: it is good. ``today``: (year, month) at UTC-12."""
    shortest, longest = length_range(spec)
    if not shortest <= count <= longest:
        return RejectReason.TOO_SHORT if count < shortest else RejectReason.TOO_LONG
    match spec.kind:
        case FieldKind.ROUTING_NUMBER:
            return fault_of_routing_number(view)
        case FieldKind.IBAN:
            return None if iban_valid(view, count, spec.country) else RejectReason.CHECK
        case FieldKind.DATE_OF_BIRTH:
            return fault_of_birth(view, spec.format, today)
        case FieldKind.AMOUNT:
            return None if in_range(view, count, *value_range(spec)) else RejectReason.RANGE
        case _:
            return _fault_of_check(spec, view, count)


def _fault_of_check(spec: FieldSpec, view: memoryview, count: int) -> RejectReason | None:
    match spec.check:
        case FieldCheck.NONE:
            return None
        case FieldCheck.LUHN:
            good = luhn_valid(view, count)
        case FieldCheck.MOD97:
            good = remainder(view, 0, count, 97) == 1  # ISO/IEC 7064 clause 8, MOD 97-10
        case FieldCheck.MOD11:
            good = mod11_valid(view, count)
        case FieldCheck.RANGE:
            return None if in_range(view, count, *value_range(spec)) else RejectReason.RANGE
    return None if good else RejectReason.CHECK


def remainder(view: memoryview, start: int, end: int, modulus: int, carried: int = 0) -> int:
    """Return the remainder of ``carried`` followed by the ASCII digits ``view[start:end]``."""
    for position in range(start, end):
        carried = (carried * 10 + view[position] - _ZERO) % modulus
    return carried


def mod11_valid(view: memoryview, count: int) -> bool:
    """Whether the digits, weighed 1, 2, 3 ... from the right, sum to a multiple of 11."""
    return sum((view[count - weight] - _ZERO) * weight for weight in range(1, count + 1)) % 11 == 0


def fault_of_routing_number(view: memoryview) -> RejectReason | None:
    """Check nine digits by the ABA's rule: weights 3, 7, 1, sum a multiple of ten; and their first two."""
    total = sum(
        (view[position] - _ZERO) * _ABA_WEIGHTS[position % 3] for position in range(ROUTING_NUMBER_LENGTH)
    )
    if total == 0 or total % 10:
        return RejectReason.CHECK
    district = digits_value(view, 0, 2)
    return None if any(district in districts for districts in _ABA_DISTRICTS) else RejectReason.FORMAT


def iban_valid(view: memoryview, count: int, country: str) -> bool:
    """Check two check digits and the account digits after them (ISO 13616-1, by MOD 97-10) for ``country``."""
    carried = remainder(view, 2, count, 97)
    for letter in country:
        carried = (carried * 100 + ord(letter) - ord("A") + 10) % 97
    # ISO 13616-1: check digits are 02 to 98; 00, 01 and 99 would leave 1 as well.
    return remainder(view, 0, 2, 97, carried) == 1 and 2 <= digits_value(view, 0, 2) <= 98


def fault_of_birth(view: memoryview, form: DateFormat, today: tuple[int, int]) -> RejectReason | None:
    """Check eight digits as a day between 1900 and this month."""
    year_at, month_at, day_at = _DATE_PARTS[form]
    year = digits_value(view, year_at, 4)
    month, day = digits_value(view, month_at, 2), digits_value(view, day_at, 2)
    try:
        datetime.date(max(year, 1), month, day)
    except ValueError:
        return RejectReason.FORMAT
    return None if year >= BIRTH_YEAR_MIN and (year, month) <= today else RejectReason.RANGE


def in_range(view: memoryview, count: int, low: int, high: int) -> bool:
    """Whether the number written in ``count`` digits is between ``low`` and ``high``, both included."""
    return _order(view, count, low) >= 0 and _order(view, count, high) <= 0


def _order(view: memoryview, count: int, bound: int) -> int:
    """Return -1, 0 or 1 as the digits are less than, equal to or more than ``bound``, by comparing digit by digit."""
    text = str(bound).rjust(count, "0")
    if len(text) > count:
        return -1
    for position in range(count):
        difference = view[position] - ord(text[position])
        if difference:
            return 1 if difference > 0 else -1
    return 0
