"""The table (step kind, event) -> handler, and the handlers.

An event that a step does not take raises EventRefusedError and changes nothing. Events that may come late by nature
(a prompt that ends as the step does, a timer of an earlier step) are in the table as ``stay``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.flow.engine import events as ev
from dtmf_shield.flow.engine.commands import (
    Collect,
    Command,
    Exit,
    ExitCause,
    OpenMenu,
    Play,
    SetTimer,
    ShowHint,
    StopPrompt,
)
from dtmf_shield.flow.engine.entering import Step, assigned, begin_again, end, enter, replace_exit, without
from dtmf_shield.flow.engine.events import ChargeOutcome, Event, Timers
from dtmf_shield.flow.engine.program import Program, compile_flow
from dtmf_shield.flow.engine.speaking import TIPS, ask, position, tip
from dtmf_shield.flow.engine.state import EventRefusedError, FlowState
from dtmf_shield.flow.language.flow import Flow
from dtmf_shield.model.capture import CaptureResult, Hint, RejectReason

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


def begin(
    flow: Flow | Program, inputs: Mapping[str, str] | None = None, *, language: str = "", dialled: str = ""
) -> Step:
    """Enter the first step. ``inputs`` have been accepted by ``flow.inputs``. ``language``: told with the call."""
    program = flow if isinstance(flow, Program) else compile_flow(flow)
    languages = program.flow.languages
    chosen = languages.of_dialled(dialled) if languages.choose_by == "did" else languages.resolve(language)
    start = program.steps[program.flow.start]
    state = FlowState(
        program=program,
        at=start,
        language=chosen,
        values={f"inputs.{name}": value for name, value in (inputs or {}).items()},
    )
    state, commands = enter(state, program.flow.start)
    limit = program.flow.max_duration
    timer = (SetTimer(Timers.MAX_DURATION, limit.time, 0),) if limit is not None and not state.over else ()
    return state, (*timer, *commands)


def advance(state: FlowState, event: Event) -> Step:
    """Apply one event. Raises EventRefusedError for one that the present step does not take, and changes nothing."""
    handler = HANDLERS[state.at.kind].get(type(event))
    if handler is None:
        raise EventRefusedError(
            f"flow {state.program.flow.id}: {type(event).__name__} in step {state.at.name}"
        )
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
    """Tell the agent in words, be patient from the next entry on, and give the caller one tip a call."""
    slow = state.slow or event.hint in _SLOWS
    speaks = not state.tip_given and event.hint in TIPS and bool(state.at.rules)
    told: tuple[Play, ...] = ()
    if speaks and state.keying:
        told = (Play(tip(event.hint), state.language),)
    elif speaks:
        told = ask(state, before=tip(event.hint))
    return replace(state, slow=slow, tip_given=state.tip_given or speaks), (ShowHint(event.hint), *told)


def _resumed(state: FlowState, event: ev.Resumed) -> Step:
    return begin_again(replace(state, accepted=frozenset(event.accepted)))


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
    if event.result is CaptureResult.CANCELLED:
        return end(state, ExitCause.AGENT_CANCELLED)
    if event.result is CaptureResult.CALLER_GONE:
        return end(state, ExitCause.CALLER_GONE)
    if event.result in (CaptureResult.ATTEMPTS_USED, CaptureResult.TIMED_OUT) and "failed" in state.at.next:
        return enter(state, state.at.next["failed"])
    return end(state, ExitCause.CAPTURE_ENDED)


# --- collect and menu -----------------------------------------------------------------------------------------


def _progressed(state: FlowState, event: ev.Progressed) -> Step:
    if state.keying or event.field != state.at.field or not event.count:
        return state, ()
    return replace(state, keying=True), ()


def _accepted(state: FlowState, event: ev.Accepted) -> Step:
    field = event.field
    if field not in state.program.flow.fields:
        raise InvariantError(f"flow {state.program.flow.id} has no field {field}")
    accepted = state.accepted | {field}
    if event.last4 or event.value or event.brand:
        told = {f"{field}.last4": event.last4, f"{field}.brand": event.brand}
        if event.value:
            told[f"vars.{field}"] = told[f"fields.{field}"] = event.value
        state = replace(
            state, accepted=accepted, values={**state.values, **told}, brand=event.brand or state.brand
        )
    else:
        state = replace(state, accepted=accepted)
    if field != state.at.field:
        return state, ()
    interrupted = state.program.steps.get(state.return_to)
    if interrupted is not None and interrupted.field not in state.accepted:
        return enter(replace(state, return_to=""), interrupted.name)
    return enter(state, state.at.next["ok"])


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
    if at.patience is None or at.slow is None:
        raise InvariantError(f"step {at.name} takes no keys")
    if state.attempt >= at.patience.attempts:
        return enter(state, at.next["failed"])
    calmer = slow and not state.slow and at.slow != at.patience
    tipped = state.tip_given or hint is not None
    attempt = state.attempt + 1
    state = replace(
        state,
        attempt=attempt,
        error=reason,
        keying=False,
        repeats=0,
        prompts=state.prompts + 1,
        slow=slow,
        tip_given=tipped,
    )
    again: tuple[Command, ...] = ()
    if at.kind == "menu":
        again = (OpenMenu(at.keys, at.slow if slow else at.patience),)
    elif calmer:
        again = (Collect(at.field, at.slow, attempt),)
    return state, (*again, *ask(state, after=reason, before=tip(hint) if hint is not None else ()))


def _lost(state: FlowState, event: ev.FieldLost) -> Step:
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
    return state, (SetTimer(Timers.REPEAT, after_ms, state.prompts),)


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
    return enter(assigned(state, option.sets, option.language), option.target)


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
    return replace(state, at=replace_exit(state.at, way_out)), (way_out,)


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
    outcome, at = str(event.outcome), state.at
    told = {"result.outcome": outcome, "result.auth_code": event.auth_code, "result.code": event.code}
    state = replace(state, values={**state.values, **told})
    if outcome not in ("approved", "unknown"):
        # Another card or the same once more: either way every card field is keyed anew.
        state = replace(without(state, state.program.card_fields), cards=state.cards + 1)
    state, commands = enter(state, at.next.get(outcome) or at.next["declined"])
    return state, (_STOP, *commands) if at.data.while_waiting else commands


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
    return state, (SetTimer(Timers.ANSWER, state.at.data.timeout, state.visits),)


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
"""Nothing of an agent's is in the row of money: what was sent can be neither cancelled nor keyed again."""
