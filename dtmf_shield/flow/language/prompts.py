"""What is spoken: a recording, or text with values that are joined from recorded pieces at call time."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import Field, RootModel, WithJsonSchema, model_validator

from dtmf_shield.flow.language.words import Flag, LanguageTag, Model
from dtmf_shield.model.prompt import Formatter, Piece, Recording, Text, ValueReference
from dtmf_shield.prompts.errors import PromptError
from dtmf_shield.prompts.script import segments_of

SAY_CHARACTERS_MAX: Final = 600
_VALUE: Final = re.compile(r"\{([^{}]*)\}")
_INSIDE: Final = re.compile(
    r"\s*([a-z][a-z0-9_]{0,31}\.[a-z][a-z0-9_]{0,31}|[a-z][a-z0-9_]{0,31})\s*(?:\|\s*(\w+)\s*)?"
)
_BRACES: Final = re.compile(r"[{}]")


class Spoken(Model):
    """One prompt in one language: at least one of play, say, ssml."""

    play: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\.(wav|ul|al)$")] | None = None
    """A recording in prompts/LANGUAGE/. With say: its text, rendered where the file is missing."""
    say: Annotated[str, Field(min_length=1, max_length=SAY_CHARACTERS_MAX)] | None = None
    """Text. {reference|formatter} speaks a value; formatters: money, digits, spell, date."""
    ssml: Annotated[str, Field(min_length=1, max_length=2 * SAY_CHARACTERS_MAX)] | None = None
    """Text with break, say-as and prosody (rate), as prompts build renders it; no values."""
    loop: Flag = False
    """Said again and again until the step is left: for waiting."""

    @model_validator(mode="after")
    def _speaks(self) -> Spoken:
        if not (self.play or self.say or self.ssml):
            raise ValueError("play, say or ssml")
        if self.ssml and (self.say or _VALUE.search(self.ssml)):
            raise ValueError("ssml alone and without values; say speaks values")
        if self.play and self.say and _VALUE.search(self.say):
            raise ValueError(
                "a recording cannot speak a value: say alone, or a prompt of its own for the value"
            )
        for piece in self.pieces():
            if isinstance(piece, Text) or (isinstance(piece, Recording) and piece.text):
                _speakable(piece.text)
        return self

    def pieces(self) -> tuple[Piece, ...]:
        """Return what is spoken, in order: literal texts, recordings, values by reference."""
        if self.play:
            return (Recording(file=self.play, text=self.say or ""),)
        if self.ssml:
            return (Text(text=self.ssml, ssml=True),)
        return split(self.say or "")


def _speakable(text: str) -> None:
    """Raise ValueError for what ``prompts build`` would refuse, in its words: one reader for both."""
    try:
        segments_of(text)
    except PromptError as error:
        raise ValueError(str(error)) from None


class Prompt(RootModel[Annotated[dict[LanguageTag, Spoken], Field(min_length=1)]]):
    """One prompt: language to what is spoken."""


def split(text: str) -> tuple[Piece, ...]:
    """Split a text at its {value|formatter} places. Raises ValueError for braces that are no value."""
    pieces: list[Piece] = []
    at = 0
    for match in _VALUE.finditer(text):
        _add_text(pieces, text[at : match.start()])
        inside = _INSIDE.fullmatch(match[1])
        if inside is None:
            raise ValueError(f"{{reference|formatter}} such as {{pan.last4|digits}}; not {match[0]}")
        pieces.append(ValueReference(reference=inside[1], formatter=_formatter(inside[2])))
        at = match.end()
    _add_text(pieces, text[at:])
    return tuple(pieces)


def _add_text(pieces: list[Piece], text: str) -> None:
    if _BRACES.search(text):
        raise ValueError("braces only around a value, as {inputs.amount|money}")
    if re.search(r"\w", text):
        # Commas and points around a value belong to the pause between recordings.
        pieces.append(Text(text=text.strip().lstrip(".,;:!? ")))


def _formatter(name: str | None) -> Formatter:
    try:
        return Formatter(name or "spell")
    except ValueError:
        allowed = ", ".join(formatter.value for formatter in Formatter)
        raise ValueError(f"a formatter of: {allowed}; not {name}") from None


AttemptWord = Annotated[
    str,
    Field(pattern=r"^([1-9]|10)\+?$"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 10},
                {"type": "string", "pattern": r"^([1-9]|10)\+?$"},
            ]
        }
    ),
]
ErrorWord = Literal[
    "timeout", "too_short", "too_long", "luhn", "brand", "expired", "too_far", "format", "range", "check"
]
