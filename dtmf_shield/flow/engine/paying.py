"""Handlers of a payment in flight: nothing cuts what was sent, and its answer ends the capture."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from dtmf_shield.flow.engine import events as ev
from dtmf_shield.flow.engine.commands import (
    ExitCause,
    SetTimer,
    StopPrompt,
)
from dtmf_shield.flow.engine.entering import (
    Step,
    end,
    enter,
)
from dtmf_shield.flow.engine.events import ChargeOutcome, Timers
from dtmf_shield.flow.engine.state import FlowState
from dtmf_shield.model.capture import CaptureResult

_ANSWER: Final = Timers.ANSWER  # members of an enum are slow to look up
_STOP: Final = StopPrompt()

RESULT_OUTCOMES: Final = {
    CaptureResult.TOKEN: ChargeOutcome.APPROVED,
    CaptureResult.APPROVED: ChargeOutcome.APPROVED,
    CaptureResult.DECLINED: ChargeOutcome.DECLINED,
    CaptureResult.REFUSED: ChargeOutcome.DECLINED,
    CaptureResult.ACTION_REQUIRED: ChargeOutcome.ACTION_REQUIRED,
    CaptureResult.VELOCITY: ChargeOutcome.STOPPED,
    CaptureResult.UNKNOWN: ChargeOutcome.UNKNOWN,
    CaptureResult.GATEWAY_UNREACHABLE: ChargeOutcome.GATEWAY_DOWN,
}


def money_ended(state: FlowState, event: ev.CaptureEnded) -> Step:
    """Read the end of a capture in flight as its answer."""
    if event.result is CaptureResult.CANCELLED:
        return end(state, ExitCause.AGENT_CANCELLED)
    if event.result is CaptureResult.CALLER_GONE:
        return end(state, ExitCause.CALLER_GONE)
    # What else ends a capture in flight (interrupted, timed out) is no answer: nobody knows, so it is unknown.
    return charge_answered(state, ev.ChargeAnswered(RESULT_OUTCOMES.get(event.result, ChargeOutcome.UNKNOWN)))


def charge_answered(state: FlowState, event: ev.ChargeAnswered) -> Step:
    """Go on by the answer. The capture has ended with it: another card, or the same once more, is keyed anew."""
    outcome, at = str(event.outcome), state.at
    values = {
        **state.values,
        "result.operation": at.operation,
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


def money_caller_gone(state: FlowState, _event: ev.CallerGone) -> Step:
    """Wait for the answer without the caller."""
    return replace(state, caller_gone=True), (_STOP,)


def money_timer(state: FlowState, event: ev.TimerFired) -> Step:
    """Make no answer in time unknown; remember that the time of the flow is up."""
    if event.timer is Timers.MAX_DURATION:
        return replace(state, overdue=True), ()
    if event.timer is Timers.ANSWER and event.mark == state.visits:
        return charge_answered(state, ev.ChargeAnswered(ChargeOutcome.UNKNOWN))
    return state, ()


def money_resumed(state: FlowState, _event: ev.Resumed) -> Step:
    """What was sent is in the ledger: its answer comes, or the timer makes it unknown. Nothing is sent again."""
    return state, (SetTimer(_ANSWER, state.at.data.timeout, state.visits),)
