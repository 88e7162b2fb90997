"""What number grammars are made of: names of recorded pieces, nouns that are counted, currencies, a grammar.

Nothing here speaks a language; en, de, fr and es do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NewType

PieceName = NewType("PieceName", str)
"""Name of one recorded piece within a language: ``n-21``, ``eur-many``, ``t-`` and a hash for literal text."""
Pieces = tuple[PieceName, ...]

GAP: Final = PieceName("pause-100")
"""Between digits: trimmed recordings follow each other faster than anybody says digits."""
SHORT_PAUSE: Final = PieceName("pause-200")
"""Between the characters of a code, which a listener writes down."""
LONG_PAUSE: Final = PieceName("pause-400")
"""Between groups."""
PAUSES_MS: Final[Mapping[PieceName, int]] = {GAP: 100, SHORT_PAUSE: 200, LONG_PAUSE: 400}
"""Pieces of silence, the same in every language; they have no text."""

LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
SIGNS: Final[Mapping[str, str]] = {"-": "dash", "/": "slash", ".": "dot"}
"""Characters beside letters and digits that codes hold, and the names of their pieces."""
MONTHS: Final = range(1, 13)
DAYS: Final = range(1, 32)


@dataclass(frozen=True, slots=True)
class Noun:
    """Something counted. ``of_many`` is its form after a whole million where a language wants one: "d'euros"."""

    name: str
    one: str
    many: str
    feminine: bool = False
    of_many: str = ""

    def after(self, one: bool) -> PieceName:
        """Return the piece that follows a number: the singular after "one", or what a language takes for it."""
        return PieceName(f"{self.name}-{'one' if one else 'many'}")

    def after_millions(self) -> PieceName:
        """Return the piece that follows a whole number of millions."""
        return PieceName(f"{self.name}-of") if self.of_many else self.after(one=False)

    def inventory(self) -> dict[str, str]:
        """Return this noun's pieces and their texts."""
        texts: dict[str, str] = {self.after(one=True): self.one, self.after(one=False): self.many}
        texts[self.after_millions()] = self.of_many or self.many
        return texts


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency's whole unit and its minor unit, if it is spoken of."""

    unit: Noun
    minor: Noun | None


@dataclass(frozen=True, slots=True)
class Grammar:
    """One language. Numbers given to its functions are within the limits of ``values``."""

    cardinal: Callable[[int], Pieces]
    """Number alone: "one", "eins", "un", "uno"."""
    counted: Callable[[int, Noun], Pieces]
    """Number and noun, with the number's gender and the noun's number."""
    date: Callable[[int, int, int | None], Pieces]
    """Year, month, day; without a day: month and year."""
    currencies: Mapping[str, Currency]
    key: Noun
    """A digit that somebody typed."""
    hour: Noun
    minute: Noun
    second: Noun
    minor_joint: PieceName
    """Between pounds and pence: "and"."""
    last_joint: PieceName
    """Before the last of several durations: "and"."""
    position_joint: PieceName
    """Between eleven and sixteen: "of"."""
    inventory: Mapping[PieceName, str]
    """Every piece this grammar may name, with the text it is spoken from."""


def words(text: str) -> tuple[str, ...]:
    """Return the words of a list, in order."""
    return tuple(text.split())


def number_piece(number: int, form: str = "") -> PieceName:
    """Return the name of a recorded number; ``form`` tells variants apart, such as ``f`` for feminine."""
    return PieceName(f"n-{number}-{form}" if form else f"n-{number}")


def letter_piece(letter: str) -> PieceName:
    """Return the name of a recorded letter, given in lower case."""
    return PieceName(f"l-{letter}")


def month_piece(month: int) -> PieceName:
    """Return the name of a recorded month."""
    return PieceName(f"month-{month}")


def day_piece(day: int) -> PieceName:
    """Return the name of a recorded day of the month."""
    return PieceName(f"day-{day}")


def thousands(number: int) -> tuple[int, int, int]:
    """Split a number below 10⁹ into millions, thousands and the rest."""
    millions, rest = divmod(number, 1_000_000)
    return (millions, *divmod(rest, 1_000))


def common_inventory(
    letters: Mapping[str, str],
    signs: Mapping[str, str],
    months: tuple[str, ...],
    nouns: tuple[Noun, ...],
    joints: Mapping[str, str],
) -> dict[PieceName, str]:
    """Return the texts that every language has beside its numbers. ``letters`` names those not read as themselves."""
    texts: dict[str, str] = {letter_piece(each): letters.get(each, each.upper()) for each in LETTERS}
    texts |= {SIGNS[sign]: text for sign, text in signs.items()}
    texts |= {month_piece(month): months[month - 1] for month in MONTHS}
    for noun in nouns:
        texts |= noun.inventory()
    texts |= joints
    return {PieceName(name): text for name, text in texts.items()}


def nouns_of(currencies: Mapping[str, Currency]) -> tuple[Noun, ...]:
    """Return every noun of a table of currencies."""
    units = [currency.unit for currency in currencies.values()]
    return (*units, *(currency.minor for currency in currencies.values() if currency.minor))
