"""What a prompt is made of, between flow (which writes it), prompts (which records it) and media (which plays it).

A text with values is split into pieces: each literal text is one recording made beforehand; a value is joined at
call time from recorded words by the number grammar of its language. No speech is synthesized during a call.
"""

from __future__ import annotations

import enum

import msgspec


class Formatter(enum.StrEnum):
    """How a value is spoken."""

    MONEY = "money"
    """``"12.50"`` with a currency: twelve pounds fifty."""
    DIGITS = "digits"
    """``"4242"``: digit by digit."""
    SPELL = "spell"
    """Letters and digits one by one."""
    DATE = "date"
    """``"2026-11-26"`` (ISO 8601), or ``"2026-11"``."""


class Text(msgspec.Struct, frozen=True, tag=True, tag_field="piece", gc=False):
    """Literal text, one recording. ``ssml``: with the subset of SSML 1.1 that prompts compile.

    ``language``: where it is not that of the whole prompt, as in a menu of languages.
    """

    text: str
    ssml: bool = False
    language: str = ""


class Recording(msgspec.Struct, frozen=True, tag=True, tag_field="piece", gc=False):
    """A recorded file of the language's folder; ``text`` is what it says, rendered where it is missing."""

    file: str
    text: str = ""
    language: str = ""


class ValueReference(msgspec.Struct, frozen=True, tag=True, tag_field="piece", gc=False):
    """A value of the call by reference, as the flow file has it (``inputs.amount``, ``pan.last4``)."""

    reference: str
    formatter: Formatter


class Value(msgspec.Struct, frozen=True, tag=True, tag_field="piece", gc=False):
    """A value to be spoken now. ``currency``: ISO 4217, for money. Never account data: last4 at most."""

    value: str
    formatter: Formatter
    currency: str = ""


class CarePhrase(enum.StrEnum):
    """Phrases of the project's own set, in every language it ships."""

    POSITION_OF = "position_of"
    """"Eleven of sixteen": how many keys count, of how many."""
    POSITION = "position"
    """"Eleven digits": where the length is not yet certain."""
    START_AGAIN = "start_again"
    """The field is empty again."""
    TIP_SLOWER = "tip_slower"
    """Take your time; pauses do no harm."""
    TIP_ONE_PRESS = "tip_one_press"
    """Keys arrive twice: press each once, briefly, and wait a moment before the next."""
    TIP_LONGER = "tip_longer"
    """Keys are cut short: hold each a little longer."""


class Care(msgspec.Struct, frozen=True, tag=True, tag_field="piece", gc=False):
    """One of the project's own phrases. ``count`` and ``of`` are numbers of keys, never keys."""

    phrase: CarePhrase
    count: int = 0
    of: int = 0


Piece = Text | Recording | ValueReference
"""As a flow file has it."""
SpokenPiece = Text | Recording | Value | Care
"""As it is played."""
