"""Places in a template that an order fills: ``${token}`` a value, ``${card.number}`` a part of the slot.

A value is escaped for where it stands. A part of the slot is never a value here: it stays a name until the build page.

::

    ${reference}             the value, empty where the order has none
    ${reference?}            the member or form field is left out where the value is empty
    ${reference?null}        JSON null where it is empty
    ${amount_minor:number}   JSON: without quotes
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from dtmf_shield.base.errors import InvariantError, OperatorError
from dtmf_shield.cde.gateways.base import BodyPart, CardInSlot, Order, OrderImpossibleError, SlotField
from dtmf_shield.cde.gateways.toml_table import one_of
from dtmf_shield.model.payment import currency_exponent

CARD: Final = "card."
PARAMETERS: Final = "parameters."
PATH: Final = "path"
SLOT_FIELDS: Final = {CARD + field.value: field for field in SlotField}
VALUES: Final = (
    "key",
    "token",
    "amount_minor",
    "amount_decimal",
    "currency",
    "currency_lower",
    "reference",
    "gateway_reference",
    "customer",
    "path",
)
"""What an order and the configuration can fill, beside parameters and card."""
_AS_NUMBER: Final = {
    "amount_minor": "amount_minor",
    "card.expiry_month": "card.expiry_month_number",
    "card.expiry_year": "card.expiry_year",
}
_POWER: Final = (1, 10, 100, 1_000, 10_000)
_PLACEHOLDER: Final = re.compile(r"\$\{([a-z][a-z0-9_.]*)(:number)?(\?null|\?)?\}")


class WhenEmpty(enum.Enum):
    """What becomes of a field whose value is empty."""

    KEEP = "keep"
    OMIT = "omit"
    NULL = "null"


_WHEN_EMPTY: Final = {None: WhenEmpty.KEEP, "?": WhenEmpty.OMIT, "?null": WhenEmpty.NULL}


class TextError(OperatorError):
    """A text of a template cannot be used; ``line_offset`` counts from the text's first line."""

    def __init__(self, found: str, allowed: str, line_offset: int = 0) -> None:
        super().__init__(f"found {found}; allowed: {allowed}")
        self.found, self.allowed, self.line_offset = found, allowed, line_offset


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One place to fill."""

    name: str
    number: bool = False
    when_empty: WhenEmpty = WhenEmpty.KEEP


Text = tuple[str | Placeholder, ...]
"""Literals and places, in order."""


def parse_text(source: str, names: Collection[str]) -> Text:
    """Split ``source`` at its placeholders, which may be ``names``. Raises TextError."""
    pieces: list[str | Placeholder] = []
    at = 0
    for match in _PLACEHOLDER.finditer(source):
        pieces += [source[at : match.start()], _placeholder(match, names)]
        at = match.end()
    pieces.append(source[at:])
    if any(isinstance(piece, str) and "${" in piece for piece in pieces):
        raise TextError("${ without a name", "${name}, ${name?}, ${name?null} or ${name:number}")
    return tuple(piece for piece in pieces if piece)


def _placeholder(match: re.Match[str], names: Collection[str]) -> Placeholder:
    name = match[1]
    if name not in names:
        raise TextError("${" + name + "}", one_of(name, names))
    if match[2] is None:
        return Placeholder(name, when_empty=_WHEN_EMPTY[match[3]])
    if name not in _AS_NUMBER:
        raise TextError("${" + name + ":number}", "one of " + ", ".join(_AS_NUMBER) + " as a number")
    return Placeholder(_AS_NUMBER[name], number=True, when_empty=_WHEN_EMPTY[match[3]])


@dataclass(frozen=True, slots=True)
class Filling:
    """What fills the places of one request. ``card`` says how long its parts are, and no more is asked of it here."""

    values: Mapping[str, str]
    card: CardInSlot | None = None

    def part(self, name: str) -> SlotField | str:
        """Return the value of ``name``, or the part of the slot it names."""
        field = SLOT_FIELDS.get(name)
        if field is None:
            return self.values[name]
        if self.card is None:
            raise InvariantError("a request names card data and its order has none")
        return field if len(self.card.part(field)) else ""


def filling(order: Order, configured: Mapping[str, str], exponents: Mapping[str, int]) -> Filling:
    """Return what fills the requests of ``order``. ``configured``: path and parameters.

    ``exponents``: currencies whose minor unit the gateway counts otherwise than ISO 4217. Raises OrderImpossibleError
    where the amount cannot be said in the gateway's unit.
    """
    values = {
        **configured,
        "key": order.key,
        "token": order.token,
        "amount_minor": str(_gateway_amount(order, exponents)) if order.amount_minor else "",
        "amount_decimal": _decimal(order) if order.amount_minor else "",
        "currency": order.currency,
        "currency_lower": order.currency.lower(),
        "reference": order.reference,
        "gateway_reference": order.gateway_reference,
        "customer": order.customer,
    }
    return Filling(values, order.card)


def _gateway_amount(order: Order, exponents: Mapping[str, int]) -> int:
    iso = currency_exponent(order.currency)
    shift = exponents.get(order.currency, iso) - iso
    amount, left = divmod(order.amount_minor * _POWER[max(0, shift)], _POWER[max(0, -shift)])
    if left:
        raise OrderImpossibleError("the gateway has no unit as small as this amount's", "amount")
    return amount


def _decimal(order: Order) -> str:
    digits = currency_exponent(order.currency)
    whole, minor = divmod(order.amount_minor, 10**digits)
    return f"{whole}.{minor:0{digits}d}" if digits else str(whole)


def fill(text: Text, filling: Filling, escape: Callable[[str], str]) -> list[BodyPart] | WhenEmpty:
    """Return the parts of ``text``; OMIT or NULL where an empty value says so. Literals are escaped too."""
    parts: list[BodyPart] = []
    for piece in text:
        part = filling.part(piece.name) if isinstance(piece, Placeholder) else piece
        if part == "" and isinstance(piece, Placeholder) and piece.when_empty is not WhenEmpty.KEEP:
            return piece.when_empty
        parts.append(escape(part).encode("ascii") if isinstance(part, str) else part)
    return parts


def fill_line(text: Text, filling: Filling, escape: Callable[[str], str]) -> str:
    """Return ``text`` of a path or a header, where no part of a slot can stand. Literals stay as they are."""
    return "".join(_line_piece(piece, filling, escape) for piece in text)


def _line_piece(piece: str | Placeholder, filling: Filling, escape: Callable[[str], str]) -> str:
    if isinstance(piece, str):
        return piece
    value = str(filling.part(piece.name))
    return value if piece.name == PATH else escape(value)  # the configured path has its slashes
