"""What flows need of the store of prompts and do not find there. Loads no kernel and no engine: ``check`` calls it.

Prompts are built by ``prompts build`` and by nothing else: ``make setup`` and ``serve`` do not synthesize. What flows
lack is said by ``check``, not in the middle of a call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dtmf_shield.model.prompt import Piece, ValueReference
from dtmf_shield.prompts.errors import PromptError, UnknownLanguageError
from dtmf_shield.prompts.grammar import inventory
from dtmf_shield.prompts.grammar.parts import PAUSES_MS
from dtmf_shield.prompts.names import recording_name
from dtmf_shield.prompts.store import LanguagePieces, PromptStore
from dtmf_shield.prompts.wanted import CARE_PROMPTS, flow_pieces

PROMPTS_FOLDER: Final = "prompts"
"""In the state directory: where prompts are built and where the service reads them."""
CARE_PIECES: Final[tuple[str, ...]] = tuple(recording_name(name) for name in CARE_PROMPTS)
ADVICE: Final = "run: dtmf-shield prompts build"
_NAMED_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class FlowPrompts:
    """What one flow says: prompt name to language to pieces, and the languages it offers."""

    flow: str
    languages: tuple[str, ...]
    prompts: Mapping[str, Mapping[str, tuple[Piece, ...]]]


@dataclass(frozen=True, slots=True)
class PromptFinding:
    """One sentence. ``draft``: everything is built, in a voice that is no more than a draft."""

    said: str
    draft: bool = False


def prompt_findings(directory: Path, flows: Iterable[FlowPrompts]) -> list[PromptFinding]:
    """Return one finding for each flow and language that lacks a built piece or speaks in a draft voice."""
    speaking = [flow for flow in flows if flow.prompts]
    if not speaking:
        return []
    try:
        store = PromptStore.open(directory)
    except PromptError as error:
        return [PromptFinding(str(error))]
    try:
        if not store.languages:
            names = ", ".join(flow.flow for flow in speaking)
            said = f"no prompts are built in {directory}, and callers of {names} would hear nothing; {ADVICE}"
            return [PromptFinding(said)]
        return [
            finding
            for flow in speaking
            for language in flow.languages
            for finding in _findings(store, flow, language)
        ]
    finally:
        store.close()


def _findings(store: PromptStore, flow: FlowPrompts, language: str) -> list[PromptFinding]:
    try:
        built = store.language(language)
        lacking = [*_texts_lacking(built, flow), *_values_lacking(built, flow)]
    except PromptError as error:
        return [PromptFinding(f"flow {flow.flow}: {error}")]
    if not lacking:
        return _draft_voice(built, flow)
    count = f"{len(lacking)} pieces are" if len(lacking) > 1 else "a piece is"
    said = f"flow {flow.flow}, language {language}: {count} not built ({_named(lacking)}); {ADVICE}"
    return [PromptFinding(said)]


def _draft_voice(built: LanguagePieces, flow: FlowPrompts) -> list[PromptFinding]:
    wanted = flow_pieces(flow.flow, flow.prompts, built.language)
    draft = list(dict.fromkeys(each.recorded_as[0] for each in wanted if built.piece(each.name).draft))
    if not draft:
        return []
    said = (
        f"flow {flow.flow}, language {built.language}: {len(draft)} prompts are in a draft voice ({_named(draft)}); "
        "record them or install a better engine"
    )
    return [PromptFinding(said, draft=True)]


def _named(names: list[str]) -> str:
    return ", ".join(names[:_NAMED_MAX]) + (" …" if len(names) > _NAMED_MAX else "")


def _texts_lacking(built: LanguagePieces, flow: FlowPrompts) -> list[str]:
    wanted = flow_pieces(flow.flow, flow.prompts, built.language)
    return list(dict.fromkeys(each.recorded_as[0] for each in wanted if each.name not in built))


def _values_lacking(built: LanguagePieces, flow: FlowPrompts) -> list[str]:
    """Return what values and caller care need: positions are spoken in every flow with keys.

    Raises UnknownLanguageError where a flow speaks a value and there is no grammar for it.
    """
    speaks_values = any(
        isinstance(piece, ValueReference)
        for prompt in flow.prompts.values()
        for piece in prompt.get(built.language, ())
    )
    try:
        numbers = tuple(inventory(built.language))
    except UnknownLanguageError:
        if speaks_values:
            raise
        numbers = ()
    return [name for name in (*CARE_PIECES, *numbers, *PAUSES_MS) if name not in built]
