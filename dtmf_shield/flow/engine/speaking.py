"""From prompt names to what is played: the first rule that fits, values looked up, currency joined."""

from __future__ import annotations

from typing import Any, Final

from msgspec import structs

from dtmf_shield.flow.engine.commands import Command, Play
from dtmf_shield.flow.engine.program import SAID_MAX, CompiledStep, Question, Saying, SayingKey
from dtmf_shield.flow.engine.state import FlowState
from dtmf_shield.model.capture import Hint
from dtmf_shield.model.prompt import (
    Care,
    CarePhrase,
    Formatter,
    Piece,
    Recording,
    SpokenPiece,
    Text,
    Value,
    ValueReference,
)

_MONEY: Final = Formatter.MONEY  # members of an enum are slow to look up, and this is done at every value
TIPS: Final = {
    Hint.DUPLICATE_KEYS: CarePhrase.TIP_ONE_PRESS,
    Hint.SLOW_KEYS: CarePhrase.TIP_SLOWER,
    Hint.SHORT_TONES: CarePhrase.TIP_LONGER,
    Hint.WEAK_TONES: CarePhrase.TIP_LONGER,
}
"""What the caller is told, once a call; a noisy line is no fault of the caller's fingers."""


def say(state: FlowState) -> tuple[Command, ...]:
    """Say what a play says, or what is said while an answer is awaited; nothing where the step has no prompt."""
    at = state.at
    known = at.said.get(state.language) or _remember(at, state.language, _saying(state, (at.prompt,)))
    return _valued(state, known) if known.gaps else known.commands


def opening(state: FlowState) -> tuple[Command, ...]:
    """Ask cde and say what a collect step or menu begins with.

    cde listens before anything is said: a fast caller's first key must find it armed.
    """
    at = state.at
    key = (state.language, state.brand, state.slow)
    asked = at.slow_question if state.slow else at.question
    known = at.said.get(key) or _remember(at, key, _question(state, "", asked))
    return _valued(state, known) if known.gaps else known.commands


def ask(state: FlowState, *, after: str = "", before: tuple[SpokenPiece, ...] = ()) -> tuple[Command, ...]:
    """Say what belongs to a collect step or menu now. ``after``: the reason of a refused entry."""
    at = state.at
    key = (state.language, state.brand, state.attempt, after)
    known = at.said.get(key) or _remember(at, key, _question(state, after, None))
    return _valued(state, known, before) if known.gaps or before else known.commands


def _question(state: FlowState, after: str, question: Question | None) -> Saying:
    """Choose the prompt by the first rule that fits, behind the one that says why the entry was refused."""
    at = state.at
    asked = (question,) if question is not None else ()
    rule = next((r for r in at.rules if r.fits(state.attempt, state.brand, after)), None)
    if rule is not None and any(option.language for option in at.options):
        return _made(state, asked, _in_every_language(state, rule.play))
    return _saying(state, (at.errors.get(after, ""), rule.play if rule is not None else ""), asked)


def _saying(state: FlowState, names: tuple[str, ...], asked: tuple[Question, ...] = ()) -> Saying:
    """Work out what these prompts say, one after the other."""
    found = [state.program.prompts.get((name, state.language)) for name in dict.fromkeys(names)]
    prompted = [prompt for prompt in found if prompt is not None]
    pieces = tuple(piece for prompt in prompted for piece in prompt.pieces)
    return _made(state, asked, pieces, loop=any(prompt.loop for prompt in prompted))


def _made(
    state: FlowState, asked: tuple[Question, ...], pieces: tuple[Piece, ...], *, loop: bool = False
) -> Saying:
    """Split what is the same in every call from the values that are spoken."""
    gaps = tuple(
        (place, piece.reference, piece.formatter)
        for place, piece in enumerate(pieces)
        if isinstance(piece, ValueReference)
    )
    fixed = tuple(None if isinstance(piece, ValueReference) else piece for piece in pieces)
    whole = tuple(piece for piece in fixed if piece is not None)
    plays = (Play(whole, state.language, state.at.barge_in, loop),) if whole else ()
    return Saying(asked, fixed, gaps, loop, asked + plays)


def _remember(at: CompiledStep, key: SayingKey, saying: Saying) -> Saying:
    """Keep what was worked out: no value of a call is in it."""
    if len(at.said) >= SAID_MAX:
        at.said.clear()
    at.said[key] = saying
    return saying


def _valued(state: FlowState, saying: Saying, before: tuple[SpokenPiece, ...] = ()) -> tuple[Command, ...]:
    """Return the commands with the values of this call, and with what is said before them. No value, no word."""
    values, complete = state.values, True
    pieces: list[Any] = [*saying.pieces]
    for place, reference, formatter in saying.gaps:
        value = values.get(reference)
        if value:
            pieces[place] = Value(value, formatter, currency_of(state) if formatter is _MONEY else "")
        else:
            complete = False
    if not complete:
        pieces = [piece for piece in pieces if piece is not None]
    if not pieces and not before:
        return saying.question
    return (*saying.question, Play((*before, *pieces), state.language, state.at.barge_in, saying.loop))


def currency_of(state: FlowState) -> str:
    """Return the one currency of the flow, empty where nothing is charged."""
    program = state.program
    return program.currency or state.values.get(program.currency_from, "")


def _in_every_language(state: FlowState, name: str) -> tuple[Piece, ...]:
    """Say a prompt in each offered language, one after the other: how a menu of languages is understood."""
    pieces: list[Piece] = []
    for language in state.program.flow.languages.offered:
        prompted = state.program.prompts.get((name, language))
        said = prompted.pieces if prompted is not None else ()
        pieces += [
            structs.replace(piece, language=language) for piece in said if isinstance(piece, Text | Recording)
        ]
    return tuple(pieces)


def tip(hint: Hint) -> tuple[SpokenPiece, ...]:
    """Return the spoken tip for a hint."""
    return (Care(TIPS[hint]),) if hint in TIPS else ()


def position(count: int, of: int) -> tuple[SpokenPiece, ...]:
    """Return "eleven of sixteen", or that the field is empty again."""
    if count == 0:
        return (Care(CarePhrase.START_AGAIN),)
    return (Care(CarePhrase.POSITION_OF if of else CarePhrase.POSITION, count, of),)
