"""Handlers of collect steps and menus: entries, slips, care for slow fingers, the agent's requests of a field."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.flow.engine import events as ev
from dtmf_shield.flow.engine.commands import (
    Collect,
    Command,
    Play,
    SetTimer,
    ShowHint,
)
from dtmf_shield.flow.engine.entering import (
    Step,
    assigned,
    enter,
    without,
)
from dtmf_shield.flow.engine.events import Timers
from dtmf_shield.flow.engine.speaking import TIPS, ask, position, tip
from dtmf_shield.flow.engine.state import EventRefusedError, FlowState
from dtmf_shield.model.capture import Hint, RejectReason

_REPEAT: Final = Timers.REPEAT  # members of an enum are slow to look up
REPEATS_MAX: Final = 3
"""How often one step's prompt is said again in one visit without costing an attempt."""
_SLOWS: Final = frozenset({Hint.DUPLICATE_KEYS, Hint.SLOW_KEYS})
_SLIPS: Final = (RejectReason.TIMEOUT, RejectReason.TOO_SHORT)
"""Refusals that may come of slow fingers, where keys had come."""


def hinted(state: FlowState, event: ev.QualityHinted) -> Step:
    """Tell the agent in words, be patient from now or the next entry on, and give the caller one tip a call."""
    at = state.at
    slow = state.slow or event.hint in _SLOWS
    speaks = not state.tip_given and event.hint in TIPS and bool(at.rules)
    state = replace(state, slow=slow, tip_given=state.tip_given or speaks)
    told: tuple[Command, ...] = ()
    if speaks and state.keying:
        told = (Play(tip(event.hint), state.language),)
    elif speaks:
        told = ask(state, after=state.error, before=tip(event.hint))
    calmer: tuple[Command, ...] = ()
    if slow and at.kind == "collect" and not state.keying:
        state, calmer = calmed(state)
    return state, (ShowHint(event.hint), *calmer, *told)


def calmed(state: FlowState) -> tuple[FlowState, tuple[Collect, ...]]:
    """Ask for the field that is open and empty with the patience of the slow mode, where that was not done yet."""
    at = state.at
    if state.calmed or at.slow is None or at.slow == at.patience:
        return state, ()
    return replace(state, calmed=True), (Collect(at.field, at.slow, state.attempt, patience_only=True),)


def progressed(state: FlowState, event: ev.Progressed) -> Step:
    """Note that keys of this entry have come: the first time only."""
    if state.keying or event.field != state.at.field or not event.count:
        return state, ()
    return replace(state, keying=True), ()


def accepted(state: FlowState, event: ev.Accepted) -> Step:
    """Note a field that cde holds; go on where it is the one that was asked for."""
    state, at = with_accepted(state, event), state.at
    if event.field != at.field:
        return state, ()
    if state.return_to:
        interrupted = state.program.steps[state.return_to]
        if interrupted.field not in state.accepted:
            return enter(replace(state, return_to=""), interrupted.name)
    return enter(state, at.next["ok"])


def taken_over(state: FlowState, event: ev.TakenOver) -> Step:
    """Note fields that cde holds of an earlier flow; go on where one of them was about to be asked for."""
    known = tuple(told for told in event.fields if told.field in state.program.told)
    for told in known:
        state = with_accepted(state, told)
    state = replace(state, taken=frozenset(told.field for told in known))
    if state.at.kind != "collect" or state.at.field not in state.taken:
        return state, ()
    state = replace(state, taken=state.taken - {state.at.field})
    return enter(state, state.at.next["ok"])


def with_accepted(state: FlowState, event: ev.Accepted) -> FlowState:
    """Return the state that knows a field as held, with what may be told of it. Raises InvariantError for no field."""
    names = state.program.told.get(event.field)
    if names is None:
        raise InvariantError(f"flow {state.program.flow.id} has no field {event.field}")
    accepted = state.accepted | names.alone.names
    if not (event.last4 or event.value or event.brand):
        return replace(state, accepted=accepted)
    values = dict(state.values)
    if event.last4 or event.brand:
        values[names.last4], values[names.brand] = event.last4, event.brand
    if event.value:
        values[names.variable] = values[names.field] = event.value
    return replace(state, accepted=accepted, values=values, brand=event.brand or state.brand)


def told_again(state: FlowState, event: ev.Accepted) -> FlowState:
    """Return the state that knows a field once more, after a crash. A variable that a step has set since stays."""
    told = with_accepted(state, event)
    variable = state.program.told[event.field].variable
    if variable not in state.values:
        return told
    return replace(told, values={**told.values, variable: state.values[variable]})


def rejected(state: FlowState, event: ev.Rejected) -> Step:
    """Ask again after a refused entry; after one that slow fingers may have caused, in the slow mode."""
    if event.field != state.at.field:
        return state, ()
    reason = event.reason
    slow = state.slow or (state.keying and reason in _SLIPS)
    gets_tip = slow and not state.slow and not state.tip_given and bool(state.at.rules)
    return _once_more(state, str(reason), slow=slow, hint=Hint.SLOW_KEYS if gets_tip else None)


def choice_rejected(state: FlowState, event: ev.ChoiceRejected) -> Step:
    """Open the menu once more."""
    return _once_more(state, str(event.reason), slow=state.slow, hint=None)


def _once_more(state: FlowState, reason: str, *, slow: bool, hint: Hint | None) -> Step:
    """Begin the next attempt, or go on as failed after the last."""
    at = state.at
    if at.patience is None:
        raise InvariantError(f"step {at.name} takes no keys")
    if state.attempt >= at.patience.attempts:
        return enter(state, at.next["failed"])
    state = replace(
        state,
        attempt=state.attempt + 1,
        error=reason,
        keying=False,
        repeats=0,
        prompts=state.prompts + 1,
        slow=slow,
        tip_given=state.tip_given or hint is not None,
    )
    again: tuple[Command, ...] = ()
    if at.kind == "menu":
        again = (at.slow_question if slow else at.question,)  # type: ignore[assignment]  # every menu has both
    elif slow:
        state, again = calmed(state)
    return state, (*again, *ask(state, after=reason, before=tip(hint) if hint is not None else ()))


def lost(state: FlowState, event: ev.FieldLost) -> Step:
    """Forget a field that cde holds no more; but what was released stays known until it is asked for anew."""
    if event.field not in state.accepted or event.field in state.program.released:
        return state, ()
    return without(state, state.program.told[event.field].alone), ()


def failed(state: FlowState, event: ev.FieldFailed) -> Step:
    """Go on as failed: cde has closed the field."""
    if event.field != state.at.field:
        return state, ()
    return enter(state, state.at.next["failed"])


def undone(state: FlowState, event: ev.Undone) -> Step:
    """Announce the position; an emptied field hears its prompt again: what ``**`` is for."""
    if event.field != state.at.field or not state.at.rules:
        return state, ()
    if event.count:
        return state, (Play(position(event.count, event.of), state.language),)
    state = replace(state, keying=False, prompts=state.prompts + 1)
    return state, ask(state, after=state.error, before=position(0, 0))


def say_again(state: FlowState, _event: Any) -> Step:
    """Say the prompt once more, while nothing was keyed."""
    if state.keying or state.repeats >= REPEATS_MAX:
        return state, ()
    state = replace(state, repeats=state.repeats + 1, prompts=state.prompts + 1)
    return state, ask(state, after=state.error)


def prompt_done(state: FlowState, _event: ev.PromptDone) -> Step:
    """Begin the silence after which the prompt is said once more."""
    after_ms = state.at.repeat_after_ms
    if state.keying or not after_ms or state.repeats:
        return state, ()
    state = replace(state, prompts=state.prompts + 1)
    return state, (SetTimer(_REPEAT, after_ms, state.prompts),)


def agent_key(state: FlowState, _event: ev.AgentKeyPressed) -> Step:
    """Lead to an agent where the flow says so."""
    target = state.at.next.get("agent_key")
    return enter(state, target) if target is not None else (state, ())


def redo(state: FlowState, _event: ev.AgentRedo) -> Step:
    """Have the present field keyed again; with a card number its code is worthless."""
    target = state.at.next.get("agent_redo", state.at.name)
    field = state.at.field
    return enter(without(state, state.program.voided[field]) if field else state, target)


def chosen(state: FlowState, event: ev.Chosen) -> Step:
    """Follow an option of the menu. Raises EventRefusedError for one that it does not have."""
    options, ordinal = state.at.options, event.ordinal
    if not 0 <= ordinal < len(options):
        raise EventRefusedError(f"flow {state.program.flow.id}: no such option in {state.at.name}")
    option = options[ordinal]
    if option.sets or option.language:
        state = assigned(state, option.sets, option.language)
    return enter(state, option.target)


def agent_chose(state: FlowState, _event: ev.AgentChose) -> Step:
    """Press what the menu calls agent_choice. Raises EventRefusedError where it names none."""
    if state.at.agent_option < 0:
        raise EventRefusedError(f"flow {state.program.flow.id}: {state.at.name} has no agent_choice")
    return chosen(state, ev.Chosen(state.at.agent_option))
