"""What each kind of field may be asked for: lengths, parameters, countries. White: it knows rules, never a digit.

Flow files are checked by it when they are loaded, and cde checks by it what it is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from dtmf_shield.model.capture import (
    FIELDS_MAX,
    KEYS_MAX,
    VALUE_KEYS_MAX,
    FieldCheck,
    FieldKind,
    FieldSpec,
)
from dtmf_shield.model.payment import AMOUNT_MINOR_MAX

ROUTING_NUMBER_LENGTH: Final = 9
DATE_LENGTH: Final = 8
_LENGTHS: Final = {
    FieldKind.POSTAL_CODE: (3, 10),
    FieldKind.BANK_ACCOUNT: (4, 17),  # NACHA: at most 17 characters; other countries say what they have
    FieldKind.DIGITS: (1, KEYS_MAX),
    FieldKind.ROUTING_NUMBER: (ROUTING_NUMBER_LENGTH, ROUTING_NUMBER_LENGTH),
    FieldKind.DATE_OF_BIRTH: (DATE_LENGTH, DATE_LENGTH),
}
_LENGTH_PARAMETERS: Final = frozenset({"length_min", "length_max", "optional"})
_PARAMETERS: Final = {
    FieldKind.CARD_NUMBER: frozenset({"brands", "lengths"}),
    FieldKind.EXPIRY: frozenset[str](),
    FieldKind.SECURITY_CODE: frozenset({"optional"}),
    FieldKind.POSTAL_CODE: _LENGTH_PARAMETERS,
    FieldKind.BANK_ACCOUNT: _LENGTH_PARAMETERS | {"check"},
    FieldKind.ROUTING_NUMBER: frozenset({"optional"}),
    FieldKind.IBAN: frozenset({"country", "optional"}),
    FieldKind.DATE_OF_BIRTH: frozenset({"format", "optional"}),
    FieldKind.DIGITS: _LENGTH_PARAMETERS | {"check", "value_min", "value_max", "sensitive"},
    FieldKind.AMOUNT: frozenset({"value_min", "value_max", "currency", "optional", "sensitive"}),
}
"""What a kind uses beside its name."""
IBAN_LENGTHS: Final = {
    # ISO 13616-1 registry (SWIFT): countries whose account part is digits alone.
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FI", "FO", "GL", "SD"), 18),
    **dict.fromkeys(("SI",), 19),
    **dict.fromkeys(("AT", "BA", "EE", "LT", "MN", "XK"), 20),
    **dict.fromkeys(("HR",), 21),
    **dict.fromkeys(("CR", "DE", "ME", "RS", "VA"), 22),
    **dict.fromkeys(("AE", "IL", "TL"), 23),
    **dict.fromkeys(("CZ", "ES", "SE", "SK", "TN"), 24),
    **dict.fromkeys(("LY", "PT", "ST"), 25),
    **dict.fromkeys(("IS",), 26),
    **dict.fromkeys(("BI", "DJ", "MR"), 27),
    **dict.fromkeys(("HU", "PL"), 28),
    **dict.fromkeys(("EG",), 29),
}
"""Characters of the whole IBAN. Countries that are missing have letters in the account part, which no key has."""


def length_range(spec: FieldSpec) -> tuple[int, int]:
    """Return the fewest and the most keys of a field that is not of a card."""
    if spec.kind is FieldKind.IBAN:
        keys = IBAN_LENGTHS[spec.country] - len(spec.country)
        return keys, keys
    if spec.kind is FieldKind.AMOUNT:
        return 1, len(str(value_range(spec)[1]))
    shortest, longest = _LENGTHS[spec.kind]
    return spec.length_min or shortest, spec.length_max or max(longest, spec.length_min)


def value_range(spec: FieldSpec) -> tuple[int, int]:
    """Return the smallest and the largest value of an amount, or of digits with a range."""
    if spec.kind is FieldKind.AMOUNT:
        return spec.value_min or 1, spec.value_max or AMOUNT_MINOR_MAX
    return spec.value_min, spec.value_max


def fault_of_fields(fields: Sequence[FieldSpec]) -> str:
    """Say what is wrong with the fields of a capture, as a sentence for the operator; empty where they are right."""
    if not 0 < len(fields) <= FIELDS_MAX:
        return f"a capture has 1 to {FIELDS_MAX} fields"
    names = Counter(field.name for field in fields)
    kinds = Counter(field.kind for field in fields if field.kind is not FieldKind.DIGITS)
    for twice in (name for name, count in names.items() if count > 1):
        return f"{twice}: the name of two fields"
    for kind in (kind for kind, count in kinds.items() if count > 1):
        return f"two fields of the kind {kind.value}; only fields of the kind digits may be several"
    return next((fault for field in fields if (fault := fault_of_field(field))), "")


def fault_of_field(spec: FieldSpec) -> str:
    """Say what is wrong with one field, empty where it is right."""
    used = _PARAMETERS[spec.kind] | {"name", "kind"}
    for parameter, default in zip(
        spec.__struct_fields__[-len(spec.__struct_defaults__) :], spec.__struct_defaults__, strict=True
    ):
        if parameter not in used and getattr(spec, parameter) != default:
            return f"{spec.name}: {parameter} is not for a field of the kind {spec.kind.value}"
    if spec.kind is FieldKind.IBAN:
        return _fault_of_country(spec)
    if spec.kind in (FieldKind.DIGITS, FieldKind.AMOUNT) and (fault := _fault_of_values(spec)):
        return fault
    return _fault_of_lengths(spec) if spec.kind in (*_LENGTHS, FieldKind.AMOUNT) else ""


def _fault_of_country(spec: FieldSpec) -> str:
    if spec.country in IBAN_LENGTHS:
        return ""
    return (
        f"{spec.name}: country {spec.country!r} has letters in its account numbers, or no IBAN: it cannot be keyed; "
        f"allowed: {' '.join(sorted(IBAN_LENGTHS))}"
    )


def _fault_of_lengths(spec: FieldSpec) -> str:
    shortest, longest = length_range(spec)
    if not 0 < shortest <= longest <= KEYS_MAX:
        return f"{spec.name}: 0 < length_min <= length_max <= {KEYS_MAX} does not hold"
    if spec.kind is FieldKind.BANK_ACCOUNT and spec.check is FieldCheck.RANGE:
        return f"{spec.name}: an account has no range; check: luhn, mod97, mod11 or none"
    if not spec.sensitive and longest > VALUE_KEYS_MAX:
        return (
            f"{spec.name}: a field that is not sensitive has at most {VALUE_KEYS_MAX} keys, so that no card number "
            "fits; set length_max"
        )
    return ""


def _fault_of_values(spec: FieldSpec) -> str:
    low, high = value_range(spec)
    ranged = spec.kind is FieldKind.AMOUNT or spec.check is FieldCheck.RANGE
    if not ranged and (low or high):
        return f"{spec.name}: value_min and value_max need check: range"
    if ranged and not 0 <= low <= high <= AMOUNT_MINOR_MAX:
        return f"{spec.name}: 0 <= value_min <= value_max <= {AMOUNT_MINOR_MAX} does not hold"
    return ""
