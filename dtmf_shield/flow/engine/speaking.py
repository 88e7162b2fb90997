"""From prompt names to what is played: the first rule that fits, values looked up, currency joined."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from dtmf_shield.flow.engine.commands import Command, Play
from dtmf_shield.flow.engine.program import SAID_MAX, Question, Saying
from dtmf_shield.flow.engine.state import FlowState
from dtmf_shield.model.capture import Hint
from dtmf_shield.model.prompt import (
    Care,
    CarePhrase,
    Formatter,
    Recording,
    SpokenPiece,
    Text,
    Value,
)

_MONEY: Final = Formatter.MONEY  # members of an enum are slow to look up, and this is done at every value
TIPS: Final = {
    Hint.DUPLICATE_KEYS: CarePhrase.TIP_ONE_PRESS,
    Hint.SLOW_KEYS: CarePhrase.TIP_SLOWER,
    Hint.SHORT_TONES: CarePhrase.TIP_LONGER,
    Hint.WEAK_TONES: CarePhrase.TIP_LONGER,
}
"""What the caller is told, once a call; a noisy line is no fault of the caller's fingers."""


def say(state: FlowState, name: str) -> tuple[Command, ...]:
    """Say one prompt."""
    key = (state.at.name, state.language, name)
    known = state.program.said.get(key)
    if known is None:
        known = _remember(state, key, _saying(state, (name,)))
    return known.commands if not known.parts else _valued(state, known)


def opening(state: FlowState) -> tuple[Command, ...]:
    """Ask cde and say what a collect step or menu begins with.

    cde listens before anything is said: a fast caller's first key must find it armed.
    """
    at = state.at
    key = (at.name, state.language, state.brand, state.slow)
    known = state.program.said.get(key)
    if known is None:
        question = at.slow_question if state.slow else at.question
        known = _remember(state, key, _question(state, "", question))
    return known.commands if not known.parts else _valued(state, known)


def ask(state: FlowState, *, after: str = "", before: tuple[SpokenPiece, ...] = ()) -> tuple[Command, ...]:
    """Say what belongs to a collect step or menu now. ``after``: the reason of a refused entry."""
    key = (state.at.name, state.language, state.attempt, state.brand, after)
    known = state.program.said.get(key)
    if known is None:
        known = _remember(state, key, _question(state, after, None))
    return known.commands if not known.parts and not before else _valued(state, known, before)


def _question(state: FlowState, after: str, question: Question | None) -> Saying:
    """Choose the prompt by the first rule that fits, behind the one that says why the entry was refused."""
    at = state.at
    asked = (question,) if question is not None else ()
    rule = next((r for r in at.rules if r.fits(state.attempt, state.brand, after)), None)
    if rule is not None and any(option.language for option in at.options):
        return Saying(asked + _in_every_language(state, rule.play))
    return _saying(state, (at.errors.get(after, ""), rule.play if rule is not None else ""), asked)


def _saying(state: FlowState, names: tuple[str, ...], asked: tuple[Question, ...] = ()) -> Saying:
    """Work out what these prompts say, one after the other."""
    found = [state.program.prompts.get((name, state.language)) for name in dict.fromkeys(names)]
    prompted = [prompt for prompt in found if prompt is not None]
    parts = tuple(part for prompt in prompted for part in prompt.parts)
    loop = any(prompt.loop for prompt in prompted)
    if any(prompt.has_values for prompt in prompted):
        return Saying((), asked, parts, loop)
    pieces = tuple(piece for piece, _, _ in parts if piece is not None)
    plays = (Play(pieces, state.language, state.at.barge_in, loop),) if pieces else ()
    return Saying(asked + plays)


def _remember(state: FlowState, key: tuple[str | int, ...], saying: Saying) -> Saying:
    """Keep what was worked out: no value of a call is in it."""
    said = state.program.said
    if len(said) >= SAID_MAX:
        said.clear()
    said[key] = saying
    return saying


def _valued(state: FlowState, saying: Saying, before: tuple[SpokenPiece, ...] = ()) -> tuple[Command, ...]:
    """Return the commands with the values of this call, and with what is said before them."""
    values = state.values
    pieces = list(before)
    for piece, reference, formatter in saying.parts:
        if piece is not None:
            pieces.append(piece)
        elif reference in values and (value := values[reference]):
            pieces.append(Value(value, formatter, currency_of(state) if formatter is _MONEY else ""))
    for command in saying.commands:
        if isinstance(command, Play):
            pieces += command.pieces
    if not pieces:
        return saying.question
    return *saying.question, Play(tuple(pieces), state.language, state.at.barge_in, saying.loop)


def currency_of(state: FlowState) -> str:
    """Return the one currency of the flow, empty where nothing is charged."""
    return state.program.currency or state.values.get(state.program.currency_from, "")


def _in_every_language(state: FlowState, name: str) -> tuple[Play, ...]:
    """Say a prompt in each offered language, one after the other: how a menu of languages is understood."""
    pieces: list[SpokenPiece] = []
    for language in state.program.flow.languages.offered:
        prompted = state.program.prompts.get((name, language))
        said = prompted.pieces if prompted is not None else ()
        pieces += [
            structs.replace(piece, language=language) for piece in said if isinstance(piece, Text | Recording)
        ]
    return (Play(tuple(pieces), state.language, barge_in=state.at.barge_in),) if pieces else ()


def tip(hint: Hint) -> tuple[SpokenPiece, ...]:
    """Return the spoken tip for a hint."""
    return (Care(TIPS[hint]),) if hint in TIPS else ()


def position(count: int, of: int) -> tuple[SpokenPiece, ...]:
    """Return "eleven of sixteen", or that the field is empty again."""
    if count == 0:
        return (Care(CarePhrase.START_AGAIN),)
    return (Care(CarePhrase.POSITION_OF if of else CarePhrase.POSITION, count, of),)
