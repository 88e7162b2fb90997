"""The fields of one capture and what is known of those that are held: brand and last four digits, released values.

The digits lie in the slot, in each field's place. Here are counts and names, and what control may be told.
"""

from __future__ import annotations

from typing import Final

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.cde import card
from dtmf_shield.cde.card import Brand
from dtmf_shield.cde.fields import Field, Rules, card_in_slot, lay_out, wipe_between_fields
from dtmf_shield.cde.gateways.base import CardInSlot
from dtmf_shield.model.capture import FieldKind, FieldSpec, KeyedValue, RejectReason

LAST4: Final = 4
_OF_CARD: Final = frozenset({FieldKind.EXPIRY, FieldKind.SECURITY_CODE})


class HeldFields:
    """All fields of a capture. ``accepted``: names, in the order of their acceptance. ``brand``: of the held card."""

    __slots__ = ("_fields", "_page", "_rules", "accepted", "brand", "last4", "values")

    def __init__(self, specs: tuple[FieldSpec, ...], page: memoryview, rules: Rules) -> None:
        self._fields, self._page, self._rules = lay_out(specs, page), page, rules
        self.accepted: list[str] = []
        self.values: dict[str, KeyedValue] = {}
        self.brand: Brand | None = None
        self.last4 = ""

    def named(self, name: str) -> Field:
        """Return a field. Raises InvariantError where there is none of that name."""
        field = self._fields.get(name)
        if field is None:
            raise InvariantError("no such field in this capture")
        return field

    def of_kind(self, kind: FieldKind) -> Field | None:
        """Return the first field of a kind, None where there is none."""
        return next((field for field in self._fields.values() if field.kind is kind), None)

    @property
    def missing_count(self) -> int:
        """How many fields are not accepted yet without which nothing is sent."""
        return sum(field.needed and not field.accepted for field in self._fields.values())

    @property
    def anything_needed(self) -> bool:
        """Whether the capture collects anything that is sent to a gateway."""
        return any(field.needed for field in self._fields.values())

    @property
    def brand_name(self) -> str:
        """Name of the held card's brand, empty for none."""
        return self.brand.name if self.brand is not None else ""

    def accept(self, field: Field) -> None:
        """Keep what an acceptance tells."""
        field.accept(self._page, self._rules.today[0] // 100)
        self._learn(field)

    def _learn(self, field: Field) -> None:
        self.accepted.append(field.spec.name)
        if field.kind is FieldKind.CARD_NUMBER:
            found = self._rules.brand(field)
            if isinstance(found, RejectReason):
                raise InvariantError("a card number was accepted and has no brand")
            self.brand = found
            self.last4 = str(field.view[field.count - LAST4 : field.count], "ascii")
        if field.count and not field.spec.sensitive:
            value = str(field.view[: field.count], "ascii")  # not sensitive, and too short for a card number
            self.values[field.spec.name] = KeyedValue(field.spec.name, value)

    def forget(self, field: Field) -> None:
        """Wipe a field, and what was known of it."""
        field.wipe(self._page)
        if field.spec.name in self.accepted:
            self.accepted.remove(field.spec.name)
        self.values.pop(field.spec.name, None)
        if field.kind is FieldKind.CARD_NUMBER:
            self.brand, self.last4 = None, ""

    def take_over(self, earlier: HeldFields) -> None:
        """Copy from slot to slot what ``earlier`` has accepted and these specifications take as well.

        Name, kind, unit, form and sensitivity must be the same; all other rules are asked once more. Expiry and
        security code come with their card number or not at all (PCI DSS 3.3.1: a code belongs to its card).
        """
        names = [name for name in earlier.accepted if name in self._fields]
        # The card first: its brand says how long its code is.
        names.sort(key=lambda name: self._fields[name].kind is not FieldKind.CARD_NUMBER)
        for name in names:
            field, former = self._fields[name], earlier.named(name)
            if field.kind in _OF_CARD and self.brand is None:
                continue
            if field.adopts(former, self._page, earlier._page):
                if self._rules.fault(field, self.brand) is None:
                    field.accepted = True
                    self._learn(field)
                else:
                    field.wipe(self._page)

    def keep_accepted(self) -> None:
        """Wipe the whole slot behind its head but for the digits of accepted fields."""
        for field in self._fields.values():
            if not field.accepted:
                field.wipe(self._page)
        wipe_between_fields(self._page)

    def wipe(self) -> None:
        """Wipe the digits of all fields; brand and last four digits stay, for the outcome."""
        for field in self._fields.values():
            field.wipe(self._page)

    def expiry_month_year(self) -> tuple[int, int]:
        """Return (month, two-digit year) of the accepted expiry, (0, 0) without one. PCI DSS lets it be kept."""
        expiry = self.of_kind(FieldKind.EXPIRY)
        if expiry is None or not expiry.accepted:
            return 0, 0
        return card.digits_value(expiry.view, 0, 2), card.digits_value(expiry.view, 4, 2)

    def card_in_slot(self) -> CardInSlot:
        """Name the places of all parts a body template may ask for."""
        return card_in_slot(self._fields, self._page)

    def __repr__(self) -> str:
        return f"<HeldFields: {len(self.accepted)} of {len(self._fields)}>"
