"""Number grammars: a value and a language give the recorded pieces that speak it, in order. Sans-IO.

Each language module holds the words and rules of its numbers, dates and currencies and lists every piece it can name;
what is the same in all of them (digits, spelling, how an amount is put together) is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dtmf_shield.model.payment import currency_exponent
from dtmf_shield.prompts.errors import UnknownLanguageError
from dtmf_shield.prompts.grammar import de, en, es, fr
from dtmf_shield.prompts.grammar.parts import (
    GAP,
    LONG_PAUSE,
    PAUSES_MS,
    SHORT_PAUSE,
    SIGNS,
    Grammar,
    PieceName,
    Pieces,
    letter_piece,
    number_piece,
)
from dtmf_shield.prompts.grammar.values import (
    CardinalValue,
    DateValue,
    DigitsValue,
    DurationValue,
    MoneyValue,
    PositionValue,
    SpellValue,
    SpokenValue,
)

_EXACT: Final = {"en-us": en.AMERICAN}
_PRIMARY: Final = {"en": en.BRITISH, "de": de.GRAMMAR, "fr": fr.GRAMMAR, "es": es.GRAMMAR}
LANGUAGES: Final = tuple(_PRIMARY)
"""Primary subtags (BCP 47) that have a grammar."""


def grammar_for(language: str) -> Grammar:
    """Return the grammar of a BCP 47 tag: the tag's own, else its primary language's. Raises UnknownLanguageError."""
    tag = language.lower()
    found = _EXACT.get(tag) or _PRIMARY.get(tag.partition("-")[0])
    if found is None:
        raise UnknownLanguageError(
            f"language {language}: no number grammar; values are spoken in: {', '.join(LANGUAGES)}"
        )
    return found


def inventory(language: str) -> Mapping[PieceName, str]:
    """Return every piece the language's grammar may name, with its text; pauses have none and are not listed."""
    return grammar_for(language).inventory


def pieces_for(value: SpokenValue, language: str) -> Pieces:
    """Return the recorded pieces that speak a value, in order. Raises UnknownLanguageError."""
    grammar = grammar_for(language)
    match value:
        case MoneyValue():
            return _money(value, grammar)
        case DigitsValue():
            return _digits(value)
        case SpellValue():
            return _spelled(value.text.lower())
        case DateValue():
            return grammar.date(value.year, value.month, value.day)
        case PositionValue():
            return _position(value, grammar)
        case DurationValue():
            return _duration(value, grammar)
        case CardinalValue():
            return grammar.cardinal(value.number)


def joined_text(pieces: Pieces, language: str) -> str:
    """Return what pieces say, for transcripts: texts in order, a comma for a pause that is heard as one."""
    texts = inventory(language)
    said = ["," if piece in PAUSES_MS else texts[piece] for piece in pieces if piece != GAP]
    return " ".join(said).replace(" ,", ",")


def _money(value: MoneyValue, grammar: Grammar) -> Pieces:
    exponent = currency_exponent(value.currency)
    whole, minor = divmod(value.amount_minor, 10**exponent)
    currency = grammar.currencies.get(value.currency)
    if currency is None:
        return _foreign_money(whole, f"{minor:0{exponent}d}" if minor else "", value.currency, grammar)
    unit = grammar.counted(whole, currency.unit) if whole or not minor else ()
    if not minor or currency.minor is None:
        return unit
    joint = (grammar.minor_joint,) if unit else ()
    return (*unit, *joint, *grammar.counted(minor, currency.minor))


def _foreign_money(whole: int, decimals: str, code: str, grammar: Grammar) -> Pieces:
    """Speak a currency without a name here as number and code: "twelve point five zero T H B"."""
    point = (PieceName("point"), *(number_piece(int(each)) for each in decimals)) if decimals else ()
    return (*grammar.cardinal(whole), *point, SHORT_PAUSE, *_spelled(code.lower()))


def _digits(value: DigitsValue) -> Pieces:
    pieces: list[PieceName] = []
    for index, each in enumerate(value.digits):
        # A last group of one digit is no group: it joins the one before.
        alone = index == len(value.digits) - 1 and value.group_digits > 1
        if index:
            pieces.append(GAP if index % value.group_digits or alone else LONG_PAUSE)
        pieces.append(number_piece(int(each)))
    return tuple(pieces)


def _spelled(text: str) -> Pieces:
    """Speak characters one by one; a space is a longer pause than that between two of them."""
    pieces: list[PieceName] = []
    for each in text.strip():
        if each == " ":
            pieces[-1:] = [LONG_PAUSE]
            continue
        pieces += [_character(each), SHORT_PAUSE]
    return tuple(pieces[:-1])


def _character(each: str) -> PieceName:
    if each in SIGNS:
        return PieceName(SIGNS[each])
    return number_piece(int(each)) if each.isdigit() else letter_piece(each)


def _position(value: PositionValue, grammar: Grammar) -> Pieces:
    if value.of is None:
        return grammar.counted(value.count, grammar.key)
    return (*grammar.cardinal(value.count), grammar.position_joint, *grammar.cardinal(value.of))


def _duration(value: DurationValue, grammar: Grammar) -> Pieces:
    minutes, seconds = divmod(value.duration_s, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [
        grammar.counted(number, noun)
        for number, noun in ((hours, grammar.hour), (minutes, grammar.minute), (seconds, grammar.second))
        if number
    ] or [grammar.counted(0, grammar.second)]
    *earlier, last = parts
    joint = (grammar.last_joint,) if earlier else ()
    return (*(piece for part in earlier for piece in part), *joint, *last)
