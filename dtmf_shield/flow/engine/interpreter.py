"""The table (step kind, event) -> handler, and the handlers.

An event that a step does not take raises EventRefusedError and changes nothing. Events that may come late by nature
(a prompt that ends as the step does, a timer of an earlier step) are in the table as ``stay``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from dtmf_shield.flow.engine import asking, paying
from dtmf_shield.flow.engine import events as ev
from dtmf_shield.flow.engine.commands import (
    Exit,
    ExitCause,
    StopPrompt,
)
from dtmf_shield.flow.engine.entering import (
    BEGIN,
    Step,
    begin_again,
    emptied,
    end,
    enter,
    replace_exit,
    without,
)
from dtmf_shield.flow.engine.events import ChargeOutcome, Event, Progressed, Timers
from dtmf_shield.flow.engine.program import Row
from dtmf_shield.flow.engine.state import EventRefusedError, FlowState
from dtmf_shield.model.capture import CaptureResult

HOOK_VALUES_MAX: Final = 32
HOOK_TEXT_MAX: Final = 64
CARD_DIGITS_MIN: Final = 12
"""An answer with a longer run of digits is taken for a fault: it might be a card number."""
_STOP: Final = StopPrompt()


def advance(state: FlowState, event: Event) -> Step:
    """Apply one event. Raises EventRefusedError for one that the present step does not take, and changes nothing."""
    kind = type(event)
    if kind is Progressed and state.keying:
        return state, ()  # seven in ten of what a flow hears, and it knows that already: not worth the table
    handler = state.at.row[kind]
    return handler(state, event)


# --- any step -------------------------------------------------------------------------------------------------


def _refused(state: FlowState, event: Any) -> Step:
    said = f"flow {state.program.flow.id}: {type(event).__name__} in step {state.at.name}"
    raise EventRefusedError(said)


def _stay(state: FlowState, _event: Any) -> Step:
    return state, ()


def _caller_gone(state: FlowState, _event: ev.CallerGone) -> Step:
    return end(state, ExitCause.CALLER_GONE)


def _cancelled(state: FlowState, _event: ev.AgentCancelled) -> Step:
    target = state.at.next.get("agent_cancel") if not state.settled else None
    return enter(state, target) if target is not None else end(state, ExitCause.AGENT_CANCELLED)


def _requested(state: FlowState, event: ev.FieldRequested) -> Step:
    flow, field = state.program.flow, event.field
    if state.settled:
        raise EventRefusedError(f"flow {flow.id}: {field} is not asked for once money has moved")
    step = state.program.collects.get(field)
    if step is None:
        raise EventRefusedError(f"flow {flow.id} never collects {field}")
    allowed = flow.agent_requests
    if allowed == "none" or (allowed != "any" and field not in allowed):
        raise EventRefusedError(f"flow {flow.id} lets no agent ask for {field}")
    at = state.at
    if at.kind == "collect" and at.field != field and at.field not in state.accepted and not state.return_to:
        state = replace(state, return_to=at.name)
    return enter(without(state, state.program.voided[field]), step)


def _gateway(state: FlowState, event: ev.GatewayChanged) -> Step:
    return replace(state, gateway_up=event.up), ()


def _resumed(state: FlowState, event: ev.Resumed) -> Step:
    """Go on with what cde holds. A released field whose value nobody tells again is keyed again where it is needed."""
    program = state.program
    state = replace(state, accepted=program.told.keys() & frozenset(event.accepted) - program.released)
    for told in (told for told in event.told if told.field in program.told):
        state = asking.told_again(state, told)
    return begin_again(replace(state, taken=state.taken & state.accepted))


def _timer(state: FlowState, event: ev.TimerFired) -> Step:
    if event.timer is Timers.MAX_DURATION:
        return _overdue(state)
    if event.timer is Timers.REPEAT:
        return asking.say_again(state, None) if event.mark == state.prompts else (state, ())
    if state.at.kind == "http" and event.mark == state.visits:
        return _looked_up(state, "error")
    return state, ()


def _overdue(state: FlowState) -> Step:
    limit = state.program.flow.max_duration
    if limit is None:
        return state, ()
    if state.settled:
        return end(state, ExitCause.TIME_UP)
    state, commands = enter(state, limit.then)
    return state, (_STOP, *commands)


def _ended(state: FlowState, event: ev.CaptureEnded) -> Step:
    """What cde held is gone. Who was being asked goes on as failed; what follows a payment is not disturbed."""
    if event.result is CaptureResult.CANCELLED:
        return end(state, ExitCause.AGENT_CANCELLED)
    if event.result is CaptureResult.CALLER_GONE:
        return end(state, ExitCause.CALLER_GONE)
    late = (
        event.result in paying.RESULT_OUTCOMES and state.values.get("result.outcome") == ChargeOutcome.UNKNOWN
    )
    state, at = emptied(state), state.at
    if late or at.kind not in ("collect", "menu"):
        return state, ()
    down = event.result is CaptureResult.GATEWAY_UNREACHABLE and "gateway_down" in at.next
    return enter(state, at.next["gateway_down" if down else "failed"])


# --- play, http, transfer ------------------------------------------------------------------------------------


def _played(state: FlowState, _event: ev.PromptDone) -> Step:
    return enter(state, state.at.next["ok"])


def _hook_answered(state: FlowState, event: ev.HookAnswered) -> Step:
    outcome, at = event.outcome.value, state.at
    if outcome == "ok" and _harmless(event.values):
        saved = {f"{at.data.save}.{name}": value for name, value in event.values}
        return _looked_up(replace(state, values={**state.values, **saved}), "ok")
    return _looked_up(state, outcome if outcome in at.next and outcome != "ok" else "error")


def _looked_up(state: FlowState, outcome: str) -> Step:
    """Go on behind a look-up; what was said while it ran is over."""
    at = state.at
    state, commands = enter(state, at.next[outcome])
    return state, (_STOP, *commands) if at.data.while_waiting is not None else commands


def _harmless(values: tuple[tuple[str, str], ...]) -> bool:
    if len(values) > HOOK_VALUES_MAX:
        return False
    return all(
        len(value) <= HOOK_TEXT_MAX and longest_digit_run(value) < CARD_DIGITS_MIN for _, value in values
    )


def longest_digit_run(text: str) -> int:
    """Return the most digits in a row, blanks and dashes between them not counted as a break."""
    longest = run = 0
    for character in text:
        if character.isdigit():
            run += 1
            longest = max(longest, run)
        elif character not in " -":
            run = 0
    return longest


def _transferred(state: FlowState, _event: ev.TransferDone) -> Step:
    way_out = Exit(state.at.data.result, state.at.data.to, state.at.data.target or "")
    return replace(state, at=replace_exit(state.at, way_out, ROWS["exit"])), (way_out,)


def _not_transferred(state: FlowState, _event: ev.TransferFailed) -> Step:
    return enter(state, state.at.next["failed"])


# --- the table ------------------------------------------------------------------------------------------------

Handler = Callable[[FlowState, Any], Step]
_LATE: Final[dict[type, Handler]] = {
    # May come when their step has just been left.
    ev.Armed: _stay,
    ev.Progressed: _stay,
    ev.Undone: _stay,
    ev.RepeatAsked: _stay,
    ev.Rejected: _stay,
    ev.FieldFailed: _stay,
    ev.AgentKeyPressed: _stay,
    ev.AgentRedo: _stay,
    ev.PromptDone: _stay,
    ev.Chosen: _stay,
    ev.ChoiceRejected: _stay,
    ev.HookAnswered: _stay,
}
_ALWAYS: Final[dict[type, Handler]] = {
    **_LATE,
    ev.Accepted: asking.accepted,
    ev.TakenOver: asking.taken_over,
    ev.FieldLost: asking.lost,
    ev.CallerGone: _caller_gone,
    ev.AgentCancelled: _cancelled,
    ev.FieldRequested: _requested,
    ev.GatewayChanged: _gateway,
    ev.QualityHinted: asking.hinted,
    ev.Resumed: _resumed,
    ev.TimerFired: _timer,
    ev.CaptureEnded: _ended,
}
_ASKING: Final[dict[type, Handler]] = {
    **_ALWAYS,
    ev.RepeatAsked: asking.say_again,
    ev.PromptDone: asking.prompt_done,
    ev.AgentKeyPressed: asking.agent_key,
    ev.AgentRedo: asking.redo,
}
HANDLERS: Final[dict[str, dict[type, Handler]]] = {
    "collect": {
        **_ASKING,
        ev.Progressed: asking.progressed,
        ev.Rejected: asking.rejected,
        ev.FieldFailed: asking.failed,
        ev.Undone: asking.undone,
    },
    "menu": {
        **_ASKING,
        ev.Chosen: asking.chosen,
        ev.ChoiceRejected: asking.choice_rejected,
        ev.AgentChose: asking.agent_chose,
    },
    "play": {**_ALWAYS, ev.PromptDone: _played, ev.ChargeAnswered: _stay},
    "http": {**_ALWAYS, ev.HookAnswered: _hook_answered},
    "transfer": {**_ALWAYS, ev.TransferDone: _transferred, ev.TransferFailed: _not_transferred},
    "money": {
        **_LATE,
        ev.FieldLost: _stay,  # wiped, as the gateway has it
        ev.Accepted: _stay,
        ev.TakenOver: _stay,
        ev.QualityHinted: _stay,
        ev.GatewayChanged: _gateway,
        ev.ChargeAnswered: paying.charge_answered,
        ev.CaptureEnded: paying.money_ended,
        ev.CallerGone: paying.money_caller_gone,
        ev.TimerFired: paying.money_timer,
        ev.Resumed: paying.money_resumed,
    },
    "exit": dict.fromkeys(Event.__args__, _stay),
}
"""What is missing is refused. Steps that pass at once (set, repeat) hear nothing.

Nothing of an agent's is in the row of money: what was sent can be neither cancelled nor keyed again.
"""
ROWS: Final[dict[str, Row]] = {
    kind: {**dict.fromkeys(Event.__args__, _refused), **HANDLERS.get(kind, {})} for kind in BEGIN
}
"""The table with what is refused filled in: every kind of step has a handler for every event."""
