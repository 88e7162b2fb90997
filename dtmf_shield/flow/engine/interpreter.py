"""The table (step kind, event) -> handler, and the handlers.

An event that a step does not take raises EventRefusedError and changes nothing. Events that may come late by nature
(a prompt that ends as the step does, a timer of an earlier step) are in the table as ``stay``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.flow.engine import events as ev
from dtmf_shield.flow.engine.commands import (
    Collect,
    Command,
    Exit,
    ExitCause,
    Play,
    SetTimer,
    ShowHint,
    StopPrompt,
)
from dtmf_shield.flow.engine.entering import (
    Step,
    assigned,
    begin_again,
    emptied,
    end,
    enter,
    replace_exit,
    without,
)
from dtmf_shield.flow.engine.events import ChargeOutcome, Event, Timers
from dtmf_shield.flow.engine.speaking import TIPS, ask, position, tip
from dtmf_shield.flow.engine.state import EventRefusedError, FlowState
from dtmf_shield.model.capture import CaptureResult, Hint, RejectReason

_REPEAT, _ANSWER = Timers.REPEAT, Timers.ANSWER  # members of an enum are slow to look up
REPEATS_MAX: Final = 3
"""How often one step's prompt is said again in one visit without costing an attempt."""
HOOK_VALUES_MAX: Final = 32
HOOK_TEXT_MAX: Final = 64
CARD_DIGITS_MIN: Final = 12
"""An answer with a longer run of digits is taken for a fault: it might be a card number."""
_STOP: Final = StopPrompt()
_SLOWS: Final = frozenset({Hint.DUPLICATE_KEYS, Hint.SLOW_KEYS})
_SLIPS: Final = frozenset({RejectReason.TIMEOUT, RejectReason.TOO_SHORT})
"""Refusals that may come of slow fingers, where keys had come."""


def advance(state: FlowState, event: Event) -> Step:
    """Apply one event. Raises EventRefusedError for one that the present step does not take, and changes nothing."""
    try:
        handler = state.at.row[type(event)]
    except KeyError:
        said = f"flow {state.program.flow.id}: {type(event).__name__} in step {state.at.name}"
        raise EventRefusedError(said) from None
    return handler(state, event)


# --- any step -------------------------------------------------------------------------------------------------


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


def _hinted(state: FlowState, event: ev.QualityHinted) -> Step:
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
        state, calmer = _calmed(state)
    return state, (ShowHint(event.hint), *calmer, *told)


def _calmed(state: FlowState) -> tuple[FlowState, tuple[Collect, ...]]:
    """Ask for the field that is open and empty with the patience of the slow mode, where that was not done yet."""
    at = state.at
    if state.calmed or at.slow is None or at.slow == at.patience:
        return state, ()
    return replace(state, calmed=True), (Collect(at.field, at.slow, state.attempt),)


def _resumed(state: FlowState, event: ev.Resumed) -> Step:
    """Go on with what cde holds. A released field whose value nobody tells again is keyed again where it is needed."""
    program = state.program
    state = replace(state, accepted=program.told.keys() & frozenset(event.accepted) - program.released)
    for told in (told for told in event.told if told.field in program.told):
        state = _with_accepted(state, told)
    return begin_again(state)


def _timer(state: FlowState, event: ev.TimerFired) -> Step:
    if event.timer is Timers.MAX_DURATION:
        return _overdue(state)
    if event.timer is Timers.REPEAT:
        return _say_again(state, None) if event.mark == state.prompts else (state, ())
    if state.at.kind == "http" and event.mark == state.visits:
        return enter(state, state.at.next["error"])
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
    late = event.result in _RESULT_OUTCOMES and state.values.get("result.outcome") == ChargeOutcome.UNKNOWN
    state, at = emptied(state), state.at
    if late or at.kind not in ("collect", "menu"):
        return state, ()
    down = event.result is CaptureResult.GATEWAY_UNREACHABLE and "gateway_down" in at.next
    return enter(state, at.next["gateway_down" if down else "failed"])


# --- collect and menu -----------------------------------------------------------------------------------------


def _progressed(state: FlowState, event: ev.Progressed) -> Step:
    if state.keying or event.field != state.at.field or not event.count:
        return state, ()
    return replace(state, keying=True), ()


def _accepted(state: FlowState, event: ev.Accepted) -> Step:
    if event.field not in state.program.told:
        raise InvariantError(f"flow {state.program.flow.id} has no field {event.field}")
    state = _with_accepted(state, event)
    if event.field != state.at.field:
        return state, ()
    if state.return_to:
        interrupted = state.program.steps[state.return_to]
        if interrupted.field not in state.accepted:
            return enter(replace(state, return_to=""), interrupted.name)
    return enter(state, state.at.next["ok"])


def _with_accepted(state: FlowState, event: ev.Accepted) -> FlowState:
    accepted = state.accepted | {event.field}
    if not (event.last4 or event.value or event.brand):
        return replace(state, accepted=accepted)
    names, values = state.program.told[event.field], dict(state.values)
    if event.last4 or event.brand:
        values[names.last4], values[names.brand] = event.last4, event.brand
    if event.value:
        values[names.variable] = values[names.field] = event.value
    return replace(state, accepted=accepted, values=values, brand=event.brand or state.brand)


def _rejected(state: FlowState, event: ev.Rejected) -> Step:
    if event.field != state.at.field:
        return state, ()
    slow = state.slow or (state.keying and event.reason in _SLIPS)
    gets_tip = slow and not state.slow and not state.tip_given and bool(state.at.rules)
    return _once_more(state, event.reason.value, slow=slow, hint=Hint.SLOW_KEYS if gets_tip else None)


def _choice_rejected(state: FlowState, event: ev.ChoiceRejected) -> Step:
    return _once_more(state, event.reason.value, slow=state.slow, hint=None)


def _once_more(state: FlowState, reason: str, *, slow: bool, hint: Hint | None) -> Step:
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
        state, again = _calmed(state)
    return state, (*again, *ask(state, after=reason, before=tip(hint) if hint is not None else ()))


def _lost(state: FlowState, event: ev.FieldLost) -> Step:
    """Forget a field that cde holds no more; but what was released stays known until it is asked for anew."""
    if event.field not in state.accepted or event.field in state.program.released:
        return state, ()
    return without(state, frozenset({event.field})), ()


def _failed(state: FlowState, event: ev.FieldFailed) -> Step:
    if event.field != state.at.field:
        return state, ()
    return enter(state, state.at.next["failed"])


def _undone(state: FlowState, event: ev.Undone) -> Step:
    """Announce the position; an emptied field hears its prompt again: what ``**`` is for."""
    if event.field != state.at.field or not state.at.rules:
        return state, ()
    if event.count:
        return state, (Play(position(event.count, event.of), state.language),)
    state = replace(state, keying=False, prompts=state.prompts + 1)
    return state, ask(state, after=state.error, before=position(0, 0))


def _say_again(state: FlowState, _event: Any) -> Step:
    """Say the prompt once more, while nothing was keyed."""
    if state.keying or state.repeats >= REPEATS_MAX:
        return state, ()
    state = replace(state, repeats=state.repeats + 1, prompts=state.prompts + 1)
    return state, ask(state, after=state.error)


def _prompt_done(state: FlowState, _event: ev.PromptDone) -> Step:
    """Begin the silence after which the prompt is said once more."""
    after_ms = state.at.repeat_after_ms
    if state.keying or not after_ms or state.repeats:
        return state, ()
    state = replace(state, prompts=state.prompts + 1)
    return state, (SetTimer(_REPEAT, after_ms, state.prompts),)


def _agent_key(state: FlowState, _event: ev.AgentKeyPressed) -> Step:
    target = state.at.next.get("agent_key")
    return enter(state, target) if target is not None else (state, ())


def _redo(state: FlowState, _event: ev.AgentRedo) -> Step:
    target = state.at.next.get("agent_redo", state.at.name)
    field = state.at.field
    lost = state.program.voided[field] if field else frozenset[str]()
    return enter(without(state, lost), target)


def _chosen(state: FlowState, event: ev.Chosen) -> Step:
    if not 0 <= event.ordinal < len(state.at.options):
        raise EventRefusedError(f"flow {state.program.flow.id}: no such option in {state.at.name}")
    option = state.at.options[event.ordinal]
    if option.sets or option.language:
        state = assigned(state, option.sets, option.language)
    return enter(state, option.target)


def _agent_chose(state: FlowState, _event: ev.AgentChose) -> Step:
    if state.at.agent_option < 0:
        raise EventRefusedError(f"flow {state.program.flow.id}: {state.at.name} has no agent_choice")
    return _chosen(state, ev.Chosen(state.at.agent_option))


# --- play, http, transfer ------------------------------------------------------------------------------------


def _played(state: FlowState, _event: ev.PromptDone) -> Step:
    return enter(state, state.at.next["ok"])


def _hook_answered(state: FlowState, event: ev.HookAnswered) -> Step:
    outcome, at = event.outcome.value, state.at
    if outcome != "ok" or not _harmless(event.values):
        return enter(state, at.next.get(outcome if outcome != "ok" else "error", at.next["error"]))
    saved = {f"{at.data.save}.{name}": value for name, value in event.values}
    return enter(replace(state, values={**state.values, **saved}), at.next["ok"])


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
    return replace(state, at=replace_exit(state.at, way_out, HANDLERS["exit"])), (way_out,)


def _not_transferred(state: FlowState, _event: ev.TransferFailed) -> Step:
    return enter(state, state.at.next["failed"])


# --- money: nothing cuts what is in flight --------------------------------------------------------------------

_RESULT_OUTCOMES: Final = {
    CaptureResult.TOKEN: ChargeOutcome.APPROVED,
    CaptureResult.APPROVED: ChargeOutcome.APPROVED,
    CaptureResult.DECLINED: ChargeOutcome.DECLINED,
    CaptureResult.REFUSED: ChargeOutcome.DECLINED,
    CaptureResult.ACTION_REQUIRED: ChargeOutcome.ACTION_REQUIRED,
    CaptureResult.VELOCITY: ChargeOutcome.STOPPED,
    CaptureResult.UNKNOWN: ChargeOutcome.UNKNOWN,
    CaptureResult.GATEWAY_UNREACHABLE: ChargeOutcome.GATEWAY_DOWN,
}


def _money_ended(state: FlowState, event: ev.CaptureEnded) -> Step:
    if event.result is CaptureResult.CANCELLED:
        return end(state, ExitCause.AGENT_CANCELLED)
    if event.result is CaptureResult.CALLER_GONE:
        return end(state, ExitCause.CALLER_GONE)
    # What else ends a capture in flight (interrupted, timed out) is no answer: nobody knows, so it is unknown.
    return _charge_answered(
        state, ev.ChargeAnswered(_RESULT_OUTCOMES.get(event.result, ChargeOutcome.UNKNOWN))
    )


def _charge_answered(state: FlowState, event: ev.ChargeAnswered) -> Step:
    """Go on by the answer. The capture has ended with it: another card, or the same once more, is keyed anew."""
    outcome, at = str(event.outcome), state.at
    values = {
        **state.values,
        "result.operation": str(at.order.operation) if at.order is not None else "",
        "result.outcome": outcome,
        "result.auth_code": event.auth_code,
        "result.code": event.code,
    }
    state = replace(
        state,
        values=values,
        accepted=state.accepted & state.program.released,
        outdated=True,
        cards=state.cards + (outcome not in ("approved", "unknown")),
    )
    state, commands = enter(state, at.next.get(outcome) or at.next["declined"])
    return state, (_STOP, *commands) if at.prompt else commands


def _money_caller_gone(state: FlowState, _event: ev.CallerGone) -> Step:
    return replace(state, caller_gone=True), (_STOP,)


def _money_timer(state: FlowState, event: ev.TimerFired) -> Step:
    if event.timer is Timers.MAX_DURATION:
        return replace(state, overdue=True), ()
    if event.timer is Timers.ANSWER and event.mark == state.visits:
        return _charge_answered(state, ev.ChargeAnswered(ChargeOutcome.UNKNOWN))
    return state, ()


def _money_resumed(state: FlowState, _event: ev.Resumed) -> Step:
    """What was sent is in the ledger: its answer comes, or the timer makes it unknown. Nothing is sent again."""
    return state, (SetTimer(_ANSWER, state.at.data.timeout, state.visits),)


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
    ev.Accepted: _accepted,
    ev.FieldLost: _lost,
    ev.CallerGone: _caller_gone,
    ev.AgentCancelled: _cancelled,
    ev.FieldRequested: _requested,
    ev.GatewayChanged: _gateway,
    ev.QualityHinted: _hinted,
    ev.Resumed: _resumed,
    ev.TimerFired: _timer,
    ev.CaptureEnded: _ended,
}
_ASKING: Final[dict[type, Handler]] = {
    **_ALWAYS,
    ev.RepeatAsked: _say_again,
    ev.PromptDone: _prompt_done,
    ev.AgentKeyPressed: _agent_key,
    ev.AgentRedo: _redo,
}
HANDLERS: Final[dict[str, dict[type, Handler]]] = {
    "collect": {
        **_ASKING,
        ev.Progressed: _progressed,
        ev.Rejected: _rejected,
        ev.FieldFailed: _failed,
        ev.Undone: _undone,
    },
    "menu": {
        **_ASKING,
        ev.Chosen: _chosen,
        ev.ChoiceRejected: _choice_rejected,
        ev.AgentChose: _agent_chose,
    },
    "play": {**_ALWAYS, ev.PromptDone: _played, ev.ChargeAnswered: _stay},
    "http": {**_ALWAYS, ev.HookAnswered: _hook_answered},
    "transfer": {**_ALWAYS, ev.TransferDone: _transferred, ev.TransferFailed: _not_transferred},
    "money": {
        **_LATE,
        ev.FieldLost: _stay,  # wiped, as the gateway has it
        ev.Accepted: _stay,
        ev.QualityHinted: _stay,
        ev.GatewayChanged: _gateway,
        ev.ChargeAnswered: _charge_answered,
        ev.CaptureEnded: _money_ended,
        ev.CallerGone: _money_caller_gone,
        ev.TimerFired: _money_timer,
        ev.Resumed: _money_resumed,
    },
    "exit": dict.fromkeys(Event.__args__, _stay),
}
"""Steps that pass at once (set, repeat) have no row.

Nothing of an agent's is in the row of money: what was sent can be neither cancelled nor keyed again.
"""
