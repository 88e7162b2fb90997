"""From what a flow says now to the recorded pieces that say it: literal text by its hash, values by their grammar."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from dtmf_shield.model.payment import currency_exponent
from dtmf_shield.model.prompt import Care, CarePhrase, Formatter, Recording, SpokenPiece, Text, Value
from dtmf_shield.prompts.errors import UnspeakableValueError
from dtmf_shield.prompts.grammar import pieces_for
from dtmf_shield.prompts.grammar.parts import PieceName, Pieces
from dtmf_shield.prompts.grammar.values import (
    DateValue,
    DigitsValue,
    MoneyValue,
    PositionValue,
    SpellValue,
    SpokenValue,
)
from dtmf_shield.prompts.names import literal_name, recording_name

_AMOUNT_CHARACTERS_MAX: Final = 16


class PlayedPiece(NamedTuple):
    """One piece to be played: a name within a language."""

    language: str
    name: PieceName


def spoken_pieces(pieces: Iterable[SpokenPiece], language: str) -> tuple[PlayedPiece, ...]:
    """Return what is to be played, in order. Raises UnspeakableValueError, UnknownLanguageError.

    ``language`` is the call's; texts and recordings may name another, as in a menu of languages.
    """
    return tuple(
        PlayedPiece(spoken_in, name)
        for piece in pieces
        for spoken_in in (_language_of(piece) or language,)
        for name in _of(piece, spoken_in)
    )


def value_of(value: Value) -> SpokenValue:
    """Return a flow's value, which is text, as the grammars speak it. Raises UnspeakableValueError."""
    match value.formatter:
        case Formatter.MONEY:
            return MoneyValue(_minor_units(value.value, value.currency), value.currency)
        case Formatter.DIGITS:
            return DigitsValue(value.value)
        case Formatter.SPELL:
            return SpellValue(value.value)
        case Formatter.DATE:
            return _date(value.value)


def _language_of(piece: SpokenPiece) -> str:
    return piece.language if isinstance(piece, Text | Recording) else ""


def _of(piece: SpokenPiece, language: str) -> Pieces:
    match piece:
        case Text():
            return (literal_name(piece.text),)
        case Recording():
            return (recording_name(piece.file, piece.text),)
        case Value():
            return pieces_for(value_of(piece), language)
        case Care(phrase=CarePhrase.POSITION_OF):
            return pieces_for(PositionValue(piece.count, piece.of), language)
        case Care(phrase=CarePhrase.POSITION):
            return pieces_for(PositionValue(piece.count), language)
        case Care():
            return (recording_name(piece.phrase.value),)


def _minor_units(amount: str, currency: str) -> int:
    exponent = currency_exponent(currency)
    match = re.fullmatch(r"(\d+)(?:\.(\d+))?", amount[:_AMOUNT_CHARACTERS_MAX], re.ASCII)
    decimals = (match[2] or "") if match else ""
    if match is None or len(decimals) > exponent or len(amount) > _AMOUNT_CHARACTERS_MAX:
        raise UnspeakableValueError(
            f"this amount cannot be spoken; allowed: digits, and at most {exponent} more after a point"
        )
    return int(match[1] + decimals.ljust(exponent, "0"))


def _date(text: str) -> DateValue:
    match = re.fullmatch(r"(\d{4})-(\d{2})(?:-(\d{2}))?", text, re.ASCII)
    if match is None:
        raise UnspeakableValueError("this date cannot be spoken; allowed: 2026-11-26 or 2026-11 (ISO 8601)")
    return DateValue(int(match[1]), int(match[2]), int(match[3]) if match[3] else None)
