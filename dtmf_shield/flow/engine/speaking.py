"""From prompt names to what is played: the first rule that fits, values looked up, currency joined."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from dtmf_shield.flow.engine.commands import Play
from dtmf_shield.flow.engine.program import SAID_MAX, Prompted
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


def speak(
    state: FlowState, names: tuple[str, ...], *, before: tuple[SpokenPiece, ...] = ()
) -> tuple[Play, ...]:
    """Return the command that says these prompts one after the other; none where there is nothing to say."""
    pieces = list(before)
    loop = False
    for name in names if len(names) < 2 else dict.fromkeys(names):
        prompted = state.program.prompts.get((name, state.language))
        if prompted is None:
            continue
        loop = loop or prompted.loop
        if prompted.has_values:
            pieces += _with_values(state, prompted)
        else:
            pieces += prompted.pieces  # type: ignore[arg-type]  # without values: texts and recordings
    if not pieces:
        return ()
    return (Play(tuple(pieces), state.language, state.at.barge_in, loop),)


def say(state: FlowState, name: str) -> tuple[Play, ...]:
    """Say one prompt."""
    key = (state.at.name, state.language, name)
    known = state.program.said.get(key)
    if known is not None:
        return known
    return speak(state, (name,)) if key in state.program.named else _remember(state, key, (name,))


def _remember(state: FlowState, key: tuple[str, ...], names: tuple[str, ...]) -> tuple[Play, ...]:
    """Say prompts, and keep what was worked out: the whole command where it holds no value of this call."""
    program = state.program
    plays = speak(state, names)
    if len(program.said) + len(program.named) >= SAID_MAX:
        program.said.clear()
        program.named.clear()
    found = (program.prompts.get((name, state.language)) for name in names)
    if any(prompted.has_values for prompted in found if prompted is not None):
        program.named[key] = names
    else:
        program.said[key] = plays
    return plays


def _with_values(state: FlowState, prompted: Prompted) -> list[SpokenPiece]:
    spoken: list[SpokenPiece] = []
    for piece, reference, formatter in prompted.parts:
        if piece is not None:
            spoken.append(piece)
        elif value := state.values.get(reference, ""):
            spoken.append(Value(value, formatter, currency_of(state) if formatter is _MONEY else ""))
    return spoken


def currency_of(state: FlowState) -> str:
    """Return the one currency of the flow, empty where nothing is charged."""
    said = state.program.currency
    return said if said.isupper() else state.values.get(said, "")


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


def ask(state: FlowState, *, after: str = "", before: tuple[SpokenPiece, ...] = ()) -> tuple[Play, ...]:
    """Say what belongs to a collect step or menu now. ``after``: the reason of a refused entry."""
    at = state.at
    key = (at.name, state.language, str(state.attempt), state.brand, after)
    if not before:
        if (known := state.program.said.get(key)) is not None:
            return known
        if (names := state.program.named.get(key)) is not None:
            return speak(state, names)
    rule = next((r for r in at.rules if r.fits(state.attempt, state.brand, after)), None)
    if rule is not None and any(option.language for option in at.options):
        return _in_every_language(state, rule.play)
    names = tuple(name for name in (at.errors.get(after, ""), rule.play if rule is not None else "") if name)
    return speak(state, names, before=before) if before else _remember(state, key, names)


def tip(hint: Hint) -> tuple[SpokenPiece, ...]:
    """Return the spoken tip for a hint."""
    return (Care(TIPS[hint]),) if hint in TIPS else ()


def position(count: int, of: int) -> tuple[SpokenPiece, ...]:
    """Return "eleven of sixteen", or that the field is empty again."""
    if count == 0:
        return (Care(CarePhrase.START_AGAIN),)
    return (Care(CarePhrase.POSITION_OF if of else CarePhrase.POSITION, count, of),)
