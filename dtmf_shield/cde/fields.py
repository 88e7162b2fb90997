"""The fields of one capture where they lie in the slot: appended to, taken back, planned, checked, wiped.

A plan says what the keys so far allow: which lengths the field may have, whether it may be complete. Rules of cards are
card.py's, all others checks.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dtmf_shield.account_data import slots
from dtmf_shield.base.errors import InvariantError
from dtmf_shield.cde import card
from dtmf_shield.cde.card import Brand, IinTable
from dtmf_shield.cde.checks import fault_of_keys
from dtmf_shield.cde.gateways.base import CardInSlot, Place, SlotField
from dtmf_shield.model.capture import FieldCheck, FieldKind, FieldSpec, RejectReason
from dtmf_shield.model.field_rules import length_range

EXPIRY_LENGTH: Final = 4
EXPIRY_LONG_LENGTH: Final = 6
SECURITY_CODE_LENGTHS: Final = (3, 4)
_COUNTRY_LETTERS: Final = 2
_FIXED_PLACES: Final = {
    FieldKind.CARD_NUMBER: (slots.CARD_NUMBER_AT, slots.CARD_NUMBER_BYTES),
    FieldKind.EXPIRY: (slots.EXPIRY_AT, slots.EXPIRY_BYTES),
    FieldKind.SECURITY_CODE: (slots.SECURITY_CODE_AT, slots.SECURITY_CODE_BYTES),
}
_PARTS: Final = {
    FieldKind.POSTAL_CODE: SlotField.POSTAL_CODE,
    FieldKind.BANK_ACCOUNT: SlotField.BANK_ACCOUNT,
    FieldKind.ROUTING_NUMBER: SlotField.ROUTING_NUMBER,
    FieldKind.IBAN: SlotField.IBAN,
    FieldKind.DATE_OF_BIRTH: SlotField.DATE_OF_BIRTH,
}
"""Names by which body templates know fields without a fixed place."""
_NEEDED: Final = frozenset(_FIXED_PLACES) | {
    FieldKind.BANK_ACCOUNT,
    FieldKind.ROUTING_NUMBER,
    FieldKind.IBAN,
}
"""Kinds of a card and of an account: nothing is sent without them. All others a flow may ask for or leave out."""
_ZEROS: Final = bytes(slots.OTHER_FIELD_BYTES)
_ZERO_SLOT: Final = bytes(slots.SLOT_BYTES)
_BETWEEN_FIELDS: Final = (
    (slots.RING_AT, slots.CARD_NUMBER_AT),
    (slots.WAITING_KEYS_AT, slots.OTHER_FIELDS_AT),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the keys so far allow.

    ``lengths``: whole lengths the field may have, ascending. ``settled``: it may well be complete, so that a short
    silence submits it. ``usual``: the length most such fields have, 0 unknown. ``brand``: known so far, empty unknown.
    """

    lengths: tuple[int, ...]
    settled: bool = False
    usual: int = 0
    brand: str = ""

    @property
    def certain_length(self) -> int:
        """The one length there can be; 0 while there are several."""
        return self.lengths[0] if len(self.lengths) == 1 else 0


class Field:
    """One field. ``view`` is its place in the slot; ``start`` where that begins."""

    __slots__ = ("accepted", "count", "place", "spec", "view")

    def __init__(self, spec: FieldSpec, page: memoryview, place: Place) -> None:
        self.spec, self.place = spec, place
        letters = _COUNTRY_LETTERS if spec.kind is FieldKind.IBAN else 0
        self.view = page[place[0] + letters : place[0] + place[1]]
        self.count, self.accepted = 0, False

    @property
    def kind(self) -> FieldKind:
        """Its kind."""
        return self.spec.kind

    @property
    def needed(self) -> bool:
        """Whether it is of the card or the account, and not optional."""
        return self.kind in _NEEDED and not self.spec.optional

    def holds_only(self, code: int) -> bool:
        """Whether ``code`` is all there is."""
        return self.count == 1 and self.view[0] == code

    def append(self, code: int) -> None:
        """Add a digit. Raises InvariantError where the place is full: its length should have submitted it."""
        if self.count >= len(self.view):
            raise InvariantError("a full field was not submitted")
        self.view[self.count] = code
        self.count += 1

    def remove_last(self) -> None:
        """Take the last digit back."""
        self.count -= 1
        self.view[self.count] = 0

    def wipe(self, page: memoryview) -> None:
        """Zero the whole place."""
        start, length = self.place
        page[start : start + length] = _ZEROS[:length]
        self.count, self.accepted = 0, False

    def accept(self, page: memoryview, century: int) -> None:
        """Bring what was checked into the form in which gateways are given it."""
        self.accepted = True
        if self.kind is FieldKind.EXPIRY and self.count == EXPIRY_LENGTH:
            # Kept as MMYYYY: gateways want the year short or long.
            self.view[4], self.view[5] = self.view[2], self.view[3]
            self.view[2], self.view[3] = ord("0") + century // 10, ord("0") + century % 10
            self.count = EXPIRY_LONG_LENGTH
        elif self.kind is FieldKind.IBAN and self.count:
            for index, letter in enumerate(self.spec.country):
                page[self.place[0] + index] = ord(letter)

    def adopts(self, former: Field, page: memoryview, former_page: memoryview) -> bool:
        """Copy the digits of an accepted field of another slot; False, and nothing copied, where it is another field.

        Whether the rules take what is here now is the caller's to ask.
        """
        if not former.accepted or _same_words(former.spec) != _same_words(self.spec):
            return False
        (start, length), (former_start, former_length) = self.place, former.place
        if length != former_length:
            return False
        page[start : start + length] = former_page[former_start : former_start + length]
        self.count = former.count
        return True

    @property
    def count_shown(self) -> int:
        """How many keys the agent's page shows: an accepted expiry as MMYY however it was keyed."""
        return EXPIRY_LENGTH if self.accepted and self.kind is FieldKind.EXPIRY else self.count

    def __repr__(self) -> str:
        return f"<Field {self.spec.name}: {self.count} keys>"


def _same_words(spec: FieldSpec) -> tuple[str | bool, ...]:
    """Return what tells two fields apart that the same keys would satisfy; never a sensitive one taken for an open."""
    return spec.name, spec.kind, spec.currency, spec.country, spec.format, spec.sensitive


def wipe_between_fields(page: memoryview) -> None:
    """Zero the ring and the scratch of a slot: everything behind its head that is no field's place."""
    for start, end in _BETWEEN_FIELDS:
        page[start:end] = _ZERO_SLOT[start:end]


def lay_out(specs: tuple[FieldSpec, ...], page: memoryview) -> dict[str, Field]:
    """Give each field its place in the slot. Raises InvariantError where there are more than have room."""
    fields: dict[str, Field] = {}
    other = slots.OTHER_FIELDS_AT
    for spec in specs:
        place = _FIXED_PLACES.get(spec.kind)
        if place is None:
            place = other, slots.OTHER_FIELD_BYTES
            other += slots.OTHER_FIELD_BYTES
            if other > slots.OTHER_FIELDS_AT + slots.OTHER_FIELDS_MAX * slots.OTHER_FIELD_BYTES:
                raise InvariantError(
                    f"more than {slots.OTHER_FIELDS_MAX} fields without a place of their own"
                )
        fields[spec.name] = Field(spec, page, place)
    return fields


def card_in_slot(fields: dict[str, Field], page: memoryview) -> CardInSlot:
    """Name the places of all parts a body template may ask for."""
    fixed = {field.kind: field.count for field in fields.values() if field.kind in _FIXED_PLACES}
    others = {
        _PARTS[field.kind]: (
            field.place[0],
            field.count + _COUNTRY_LETTERS * (field.kind is FieldKind.IBAN and field.count > 0),
        )
        for field in fields.values()
        if field.kind in _PARTS
    }
    return CardInSlot(
        slot=page,
        number_length=fixed.get(FieldKind.CARD_NUMBER, 0),
        expiry_length=fixed.get(FieldKind.EXPIRY, 0),
        security_code_length=fixed.get(FieldKind.SECURITY_CODE, 0),
        others=others,
    )


class Rules:
    """Plans and checks of one capture's fields. ``today``: (year, month) at UTC-12."""

    __slots__ = ("_table", "today")

    def __init__(self, table: IinTable, today: tuple[int, int]) -> None:
        self._table, self.today = table, today

    def plan(self, field: Field, brand: Brand | None) -> Plan:
        """Say what the keys so far allow. ``brand``: of the accepted card, for its security code."""
        match field.kind:
            case FieldKind.CARD_NUMBER:
                return self._plan_card_number(field)
            case FieldKind.EXPIRY:
                # A year of "20" has passed: two more digits will come.
                long = (
                    field.count >= EXPIRY_LENGTH and field.view[2] == ord("2") and field.view[3] == ord("0")
                )
                return Plan((EXPIRY_LONG_LENGTH if long else EXPIRY_LENGTH,))
            case FieldKind.SECURITY_CODE:
                lengths = code_lengths(brand)
                return Plan(lengths, settled=field.count in lengths)
            case _:
                return self._plan_other(field)

    def _plan_card_number(self, field: Field) -> Plan:
        number, count, spec = field.view, field.count, field.spec
        brands = self._table.candidates(number, count, spec.brands, spec.lengths)
        if not brands:
            return Plan(tuple(range(card.CARD_NUMBER_LENGTH_MIN, card.CARD_NUMBER_LENGTH_MAX + 1)))
        lengths = sorted({length for brand in brands for length in brand.lengths})
        usual = {brand.usual for brand in brands}
        settled = any(count in brand.lengths and count >= brand.usual for brand in brands)
        return Plan(
            tuple(lengths),
            settled=settled and card.luhn_valid(number, count),
            usual=usual.pop() if len(usual) == 1 else 0,
            brand=brands[0].name if len(brands) == 1 else "",
        )

    def _plan_other(self, field: Field) -> Plan:
        shortest, longest = length_range(field.spec)
        lengths = tuple(range(shortest, longest + 1))
        checked = field.spec.check in (FieldCheck.LUHN, FieldCheck.MOD97, FieldCheck.MOD11)
        settled = checked and fault_of_keys(field.spec, field.view, field.count, self.today) is None
        return Plan(lengths, settled=settled)

    def fault(self, field: Field, brand: Brand | None) -> RejectReason | None:
        """Check a field that is said to be complete. None: it is good. An optional one may be empty."""
        count = field.count
        if not count and field.spec.optional:
            return None
        match field.kind:
            case FieldKind.CARD_NUMBER:
                found = self.brand(field)
                return found if isinstance(found, RejectReason) else None
            case FieldKind.EXPIRY:
                return card.check_expiry(field.view, count, self.today)
            case FieldKind.SECURITY_CODE:
                return None if count in code_lengths(brand) else RejectReason.TOO_SHORT
            case _:
                return fault_of_keys(field.spec, field.view, count, self.today)

    def brand(self, field: Field) -> Brand | RejectReason:
        """Return the brand of a complete card number, or why it is none."""
        spec = field.spec
        return card.check_card_number(self._table, field.view, field.count, spec.brands, spec.lengths)


def code_lengths(brand: Brand | None) -> tuple[int, ...]:
    """Return how long a security code may be: four digits for American Express, three for all others."""
    return (brand.code_length,) if brand is not None else SECURITY_CODE_LENGTHS
