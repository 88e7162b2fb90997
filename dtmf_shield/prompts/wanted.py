"""Which pieces a language needs and the text of each: number pieces, the default set, what flows say. No engine here.

The default set (``texts/LANGUAGE.toml``) has a sentence for every common turn of a payment. Each without a value is a
piece ``r-NAME`` of its own, so that a flow may write ``play: ask_card.wav`` in every language, recorded or not.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dtmf_shield.model.prompt import CarePhrase, Piece, Recording, Text
from dtmf_shield.prompts.errors import UnknownLanguageError
from dtmf_shield.prompts.grammar import inventory
from dtmf_shield.prompts.grammar.parts import PieceName
from dtmf_shield.prompts.names import literal_name, normal_text, recording_name, recording_stem

_TEXTS: Final = Path(__file__).parent / "texts"
_PLACE: Final = re.compile(r"\{[^{}]*\}")
CARE_PROMPTS: Final = tuple(
    phrase.value for phrase in CarePhrase if phrase not in (CarePhrase.POSITION, CarePhrase.POSITION_OF)
)
"""Default prompts that every flow may need; the other two phrases are joined from numbers."""
DEFAULT_LANGUAGES: Final = ("en-GB", "en-US", "de-DE", "fr-FR", "es-ES")


@dataclass(frozen=True, slots=True)
class WantedPiece:
    """One piece to be built. ``recorded_as``: names of files that may hold it, first come first taken."""

    name: PieceName
    text: str
    recorded_as: tuple[str, ...]
    origin: str
    """Where an operator finds it: ``flow card-payment, prompt confirm``."""


@functools.cache
def default_texts(language: str) -> Mapping[str, str]:
    """Return the default prompts of a tag, else of its primary language's first; none for other languages."""
    primary = language.lower().partition("-")[0]
    ranked = sorted(DEFAULT_LANGUAGES, key=lambda each: each.lower() != language.lower())
    tag = next((each for each in ranked if each.lower().partition("-")[0] == primary), None)
    if tag is None:
        return {}
    with (_TEXTS / f"{tag}.toml").open("rb") as file:
        table = tomllib.load(file)
    base = default_texts(table["based_on"]) if "based_on" in table else {}
    return {**base, **table["prompts"]}


def literals_of(text: str) -> tuple[str, ...]:
    """Return the literal texts around the {places} of a text, in order: what the flow language makes pieces of."""
    return tuple(normal_text(part) for part in _PLACE.split(text) if re.search(r"\w", part))


def standard_pieces(language: str) -> list[WantedPiece]:
    """Return what is wanted in a language whatever flows say: its number pieces and the default set.

    In a language that has neither, the phrases of caller care are wanted as recordings.
    """
    try:
        numbers = inventory(language)
    except UnknownLanguageError:
        numbers = {}
    wanted = [WantedPiece(name, text, (name,), "numbers and words") for name, text in numbers.items()]
    for name, text in (default_texts(language) or dict.fromkeys(CARE_PROMPTS, "")).items():
        origin = f"default prompt {name}"
        if _PLACE.search(text):
            wanted += _literal_pieces(literals_of(text), name, origin)
        else:
            wanted.append(WantedPiece(recording_name(name), normal_text(text), (name,), origin))
    return wanted


def flow_pieces(
    flow: str, prompts: Mapping[str, Mapping[str, Iterable[Piece]]], language: str
) -> list[WantedPiece]:
    """Return what a flow's prompts say in a language. ``prompts``: name to language to pieces, as in the file."""
    wanted: list[WantedPiece] = []
    for name, languages in prompts.items():
        origin = f"flow {flow}, prompt {name}"
        pieces = tuple(languages.get(language, ()))
        wanted += _literal_pieces([each.text for each in pieces if isinstance(each, Text)], name, origin)
        for each in pieces:
            if isinstance(each, Recording):
                stem = recording_stem(each.file)
                text = each.text or default_texts(language).get(stem, "")
                wanted.append(
                    WantedPiece(recording_name(each.file, each.text), normal_text(text), (stem,), origin)
                )
    return wanted


def unique(wanted: Iterable[WantedPiece]) -> list[WantedPiece]:
    """Return pieces by name, the first of each, with every file name under which it may be recorded."""
    found: dict[PieceName, WantedPiece] = {}
    for each in wanted:
        earlier = found.get(each.name)
        if earlier is None:
            found[each.name] = each
            continue
        names = tuple(dict.fromkeys((*earlier.recorded_as, *each.recorded_as)))
        found[each.name] = WantedPiece(each.name, earlier.text or each.text, names, earlier.origin)
    return list(found.values())


def _literal_pieces(texts: Iterable[str], name: str, origin: str) -> list[WantedPiece]:
    literals = list(texts)
    names = [name] if len(literals) == 1 else [f"{name}-{i}" for i in range(1, len(literals) + 1)]
    return [
        WantedPiece(literal_name(text), normal_text(text), (recorded, literal_name(text)), origin)
        for text, recorded in zip(literals, names, strict=True)
    ]
