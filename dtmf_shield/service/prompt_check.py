"""What flows need of the store of prompts and do not find there. Loads no kernel and no engine: ``check`` calls it.

Prompts are built by ``prompts build`` and by nothing else: ``make setup`` and ``serve`` do not synthesize. What flows
lack is said by ``check``, not in the middle of a call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dtmf_shield.model.prompt import CarePhrase, Piece, ValueReference
from dtmf_shield.prompts.errors import PromptError
from dtmf_shield.prompts.grammar import inventory
from dtmf_shield.prompts.grammar.parts import PAUSES_MS
from dtmf_shield.prompts.names import recording_name
from dtmf_shield.prompts.store import LanguagePieces, PromptStore
from dtmf_shield.prompts.wanted import flow_pieces

PROMPTS_FOLDER: Final = "prompts"
"""In the state directory: where prompts are built and where the service reads them."""
_COUNTED: Final = (CarePhrase.POSITION, CarePhrase.POSITION_OF)
CARE_PIECES: Final[tuple[str, ...]] = tuple(
    recording_name(phrase.value) for phrase in CarePhrase if phrase not in _COUNTED
)
_NAMED_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class FlowPrompts:
    """What one flow says: prompt name to language to pieces, and the languages it offers."""

    flow: str
    languages: tuple[str, ...]
    prompts: Mapping[str, Mapping[str, tuple[Piece, ...]]]


def missing_prompts(directory: Path, flows: Iterable[FlowPrompts]) -> list[str]:
    """Return one sentence for each flow and language that lacks a built piece; none for flows without prompts."""
    speaking = [flow for flow in flows if flow.prompts]
    if not speaking:
        return []
    try:
        store = PromptStore.open(directory)
    except PromptError as error:
        return [str(error)]
    try:
        return [
            finding
            for flow in speaking
            for language in flow.languages
            for finding in _findings(store, flow, language)
        ]
    finally:
        store.close()


def _findings(store: PromptStore, flow: FlowPrompts, language: str) -> list[str]:
    try:
        built = store.language(language)
        lacking = [*_texts_lacking(built, flow), *_values_lacking(built, flow)]
    except PromptError as error:
        return [f"flow {flow.flow}: {error}"]
    if not lacking:
        return []
    named = ", ".join(lacking[:_NAMED_MAX]) + (" …" if len(lacking) > _NAMED_MAX else "")
    count = f"{len(lacking)} pieces are" if len(lacking) > 1 else "a piece is"
    return [
        f"flow {flow.flow}, language {language}: {count} not built ({named}); run: dtmf-shield prompts build"
    ]


def _texts_lacking(built: LanguagePieces, flow: FlowPrompts) -> list[str]:
    wanted = flow_pieces(flow.flow, flow.prompts, built.language)
    return list(dict.fromkeys(each.recorded_as[0] for each in wanted if each.name not in built))


def _values_lacking(built: LanguagePieces, flow: FlowPrompts) -> list[str]:
    """Return what values and caller care need. Raises UnknownLanguageError where a value has no grammar."""
    lacking: list[str] = [name for name in CARE_PIECES if name not in built]
    speaks_values = any(
        isinstance(piece, ValueReference)
        for prompt in flow.prompts.values()
        for piece in prompt.get(built.language, ())
    )
    if not speaks_values:
        return lacking
    return [*lacking, *(name for name in (*inventory(built.language), *PAUSES_MS) if name not in built)]
