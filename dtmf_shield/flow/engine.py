"""The flow interpreter: ``advance(state, event) -> (state, commands)`` over a table of (step kind, event).

Sans-IO. No event and no command can hold a key: fields are names, results are words.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.flow.language import CollectStep, ExitStep, Flow, GatewayStep, Step
from dtmf_shield.model.capture import CaptureResult
from dtmf_shield.model.payment import OperationKind

VISITS_MAX: Final = 200
"""Steps one run may enter; a flow that goes round for longer ends as failed."""


@dataclass(frozen=True, slots=True)
class FieldAccepted:
    """cde holds the field."""

    field: str


@dataclass(frozen=True, slots=True)
class FieldRequested:
    """The agent asks for a field again."""

    field: str


@dataclass(frozen=True, slots=True)
class FieldLost:
    """cde holds the field no more: another one made it worthless."""

    field: str


@dataclass(frozen=True, slots=True)
class CaptureEnded:
    """cde has ended the capture: with a token, a refusal, or because a field failed for good."""

    result: CaptureResult


Event = FieldAccepted | FieldRequested | FieldLost | CaptureEnded


@dataclass(frozen=True, slots=True)
class Collect:
    """Let cde collect this field now."""

    field: str


@dataclass(frozen=True, slots=True)
class Submit:
    """Let cde send what it holds, for this operation."""

    operation: OperationKind = OperationKind.TOKENIZE


@dataclass(frozen=True, slots=True)
class Exit:
    """The flow is over."""

    result: str


Command = Collect | Submit | Exit


@dataclass(frozen=True, slots=True)
class FlowState:
    """Where one run is. ``accepted`` holds names of fields that cde holds."""

    flow: Flow
    step: str
    accepted: frozenset[str] = frozenset()
    visits: int = 0

    @property
    def say(self) -> str:
        """What the agent tells the caller now."""
        return self.flow.steps[self.step].say


def begin(flow: Flow) -> tuple[FlowState, tuple[Command, ...]]:
    """Enter the first step."""
    return _enter(FlowState(flow=flow, step=flow.start), flow.start)


def advance(state: FlowState, event: Event) -> tuple[FlowState, tuple[Command, ...]]:
    """Apply one event. An event that means nothing in the present step changes nothing.

    Raises InvariantError for a field that the flow does not have.
    """
    step = state.flow.steps[state.step]
    match event:
        case FieldRequested(field):
            return _request(state, field)
        case FieldAccepted(field):
            state = replace(state, accepted=state.accepted | {field})
            if isinstance(step, CollectStep) and step.field == field:
                return _enter(state, step.next["ok"])
            return state, ()
        case FieldLost(field):
            return replace(state, accepted=state.accepted - {field}), ()
        case CaptureEnded(result):
            return _end(state, step, result)


def _request(state: FlowState, field: str) -> tuple[FlowState, tuple[Command, ...]]:
    if field not in state.flow.fields:
        raise InvariantError(f"flow {state.flow.id} has no field {field}")
    if not isinstance(state.flow.steps[state.step], CollectStep):
        return state, ()
    lost = {field} | _voided_by(state.flow, field)
    state = replace(state, accepted=state.accepted - lost)
    return _enter(state, _collecting(state.flow, field))


def _collecting(flow: Flow, field: str) -> str:
    for name, step in flow.steps.items():
        if isinstance(step, CollectStep) and step.field == field:
            return name
    raise InvariantError(f"flow {flow.id} never collects {field}")


def _voided_by(flow: Flow, field: str) -> set[str]:
    """A new card number makes the old security code worthless."""
    if flow.fields[field].type != "card_number":
        return set()
    return {name for name, other in flow.fields.items() if other.type == "security_code"}


def _enter(state: FlowState, name: str) -> tuple[FlowState, tuple[Command, ...]]:
    while True:
        state = replace(state, step=name, visits=state.visits + 1)
        step = state.flow.steps[name]
        if state.visits > VISITS_MAX:
            return state, (Exit("failed"),)
        if isinstance(step, CollectStep):
            if step.field not in state.accepted:
                return state, (Collect(step.field),)
            name = step.next["ok"]  # held already: asked for out of order
        elif isinstance(step, GatewayStep):
            missing = next((field for field in state.flow.fields if field not in state.accepted), None)
            if missing is None:
                return state, (Submit(OperationKind(step.do)),)
            name = _collecting(state.flow, missing)  # lost since it was asked for
        else:
            return state, (Exit(step.result),)


_OUTCOMES: Final = {
    CaptureResult.TOKEN: "approved",
    CaptureResult.APPROVED: "approved",
    CaptureResult.DECLINED: "declined",
    CaptureResult.REFUSED: "declined",
    CaptureResult.VELOCITY: "declined",
    CaptureResult.ACTION_REQUIRED: "action_required",
    CaptureResult.UNKNOWN: "unknown",
    CaptureResult.GATEWAY_UNREACHABLE: "gateway_down",
}
"""Where a step at the gateway goes on."""


def _end(state: FlowState, step: Step, result: CaptureResult) -> tuple[FlowState, tuple[Command, ...]]:
    if isinstance(step, ExitStep):
        return state, ()
    if isinstance(step, GatewayStep) and (outcome := _OUTCOMES.get(result)):
        target = {str(name): step_name for name, step_name in step.next.items()}
        # A tokenize step knows no action_required: another card is needed, as after a decline.
        return _enter(state, target.get(outcome, target["declined"]))
    if isinstance(step, CollectStep) and result in (CaptureResult.ATTEMPTS_USED, CaptureResult.TIMED_OUT):
        return _enter(state, step.next["failed"])
    cancelled = result in (CaptureResult.CANCELLED, CaptureResult.CALLER_GONE)
    return state, (Exit("cancelled" if cancelled else "failed"),)
