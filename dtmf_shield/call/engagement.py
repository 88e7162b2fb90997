"""A flow begun in a call, what its agent may tell it, and its end: masked first, and masked for a while after.

Order: media masks the caller (ShieldChanged), the flow enters its first step, cde arms its slot (CaptureArmed) as soon
as there is something to ask. A flow that masks from its first question on begins unmasked. It sees names, counts and
words, never a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from dtmf_shield.call.call import FLOW_TIMERS, Call, Engagement, Stage, Timer
from dtmf_shield.call.capture_life import capture_over, mask, over
from dtmf_shield.call.capture_news import find
from dtmf_shield.call.context import Context
from dtmf_shield.call.errors import (
    CallNotTalking,
    CallUnknown,
    CaptureOver,
    CaptureRunning,
    CaptureSending,
    CaptureUnavailable,
    CaptureUnknown,
    CommandRefused,
    FieldUnknown,
    FlowUnknown,
    InputRefused,
    NothingToPay,
)
from dtmf_shield.call.events import CallPhase, CaptureChanged, CaptureNotStarted, FlowMoved
from dtmf_shield.call.flow_run import finish, go_on, happen, masked, release
from dtmf_shield.call.flow_start import NOTHING_GIVEN, amount_of, run_inputs
from dtmf_shield.call.handed_on import forget_known
from dtmf_shield.call.prompting import stop
from dtmf_shield.call.settings import ARM_TIMEOUT_S
from dtmf_shield.flow.engine import advance, begin
from dtmf_shield.flow.engine.commands import Collect, Command
from dtmf_shield.flow.engine.entering import begin_again
from dtmf_shield.flow.engine.events import (
    AgentCancelled,
    AgentChose,
    AgentRedo,
    CallerGone,
    CaptureEnded,
    FieldRequested,
    GatewayChanged,
    TimerFired,
    Timers,
)
from dtmf_shield.flow.engine.state import EventRefusedError
from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.steps import DEFAULT_GATEWAY
from dtmf_shield.model.capture import CaptureOutcome, CaptureResult
from dtmf_shield.model.ids import CallId, CaptureId, LegRole
from dtmf_shield.model.messages import PauseCapture, ResumeCapture
from dtmf_shield.model.payment import NO_MONEY, Money
from dtmf_shield.model.stream import ShieldMode

TALKING: Final = frozenset({CallPhase.TALKING, CallPhase.HELD})
_MONEY_MOVED: Final = frozenset({CaptureResult.APPROVED, CaptureResult.UNKNOWN})
"""Or may have."""
_TIMERS: Final = {timer: name for name, timer in FLOW_TIMERS.items()}


# --- the beginning ---------------------------------------------------------------------------------------------


def start_capture(
    ctx: Context,
    now_s: float,
    call_id: CallId,
    flow_id: str,
    reference: str = "",
    amount: Money = NO_MONEY,
    given: Mapping[str, str] = NOTHING_GIVEN,
    language: str = "",
) -> CaptureId:
    """Engage a flow. ``given``: inputs as the flow names them; ``language``: before that of the call.

    Raises CallUnknown, CallNotTalking, CaptureRunning, FlowUnknown, AmountNeeded, AmountNotTaken,
    InputRefused.
    """
    call = ctx.calls.get(call_id)
    if call is None or call.over:
        raise CallUnknown
    if call.phase not in TALKING:
        raise CallNotTalking
    if call.engagement is not None and call.engagement.stage is not Stage.OVER:
        raise CaptureRunning
    flow = ctx.settings.flows.get(flow_id)
    if flow is None:
        raise FlowUnknown
    if call.alone is not (flow.mode == "self_service"):
        raise CallNotTalking if call.alone else FlowUnknown
    inputs = run_inputs(flow, call, given, reference, amount)
    return _engage(ctx, now_s, call, flow, inputs, reference, language or call.language)


def _engage(
    ctx: Context,
    now_s: float,
    call: Call,
    flow: Flow,
    inputs: Mapping[str, str],
    reference: str,
    language: str,
) -> CaptureId:
    if call.engagement is not None:
        ctx.captures.pop(call.engagement.capture_id, None)
    capture_id, program = CaptureId(ctx.tokens()), ctx.program_of(flow)
    state = begin(program, inputs, language=language, dialled=call.dialled)[0]
    amount = amount_of(flow, inputs)
    engagement = Engagement(capture_id, program, reference, amount, state, inputs=inputs, language=language)
    call.engagement = engagement
    forget_known(call)
    ctx.captures[capture_id] = call.call_id
    if state.masking:
        call.deadlines[Timer.ARM] = now_s + ARM_TIMEOUT_S
        mask(ctx, call)
    else:
        _begin(ctx, now_s, call, engagement)
    ctx.changed.add(call.call_id)
    ctx.events.append(CaptureChanged(call.call_id, capture_id))
    return capture_id


def engage(ctx: Context, now_s: float, call_id: CallId, flow_id: str) -> None:
    """Start a capture by route or star code: nobody waits for an answer, the agent's page shows the state."""
    try:
        start_capture(ctx, now_s, call_id, flow_id)
    except CommandRefused as refusal:
        faults = refusal.faults if isinstance(refusal, InputRefused) else ()
        ctx.events.append(CaptureNotStarted(call_id, flow_id, refusal.text, faults))


def shield_changed(ctx: Context, now_s: float, call: Call, role: LegRole, mode: ShieldMode) -> None:
    """Media masks one leg as it was told: the flow begins, or goes on with what it wants to ask."""
    engagement = call.engagement
    if engagement is None or engagement.stage is not Stage.SHIELDING:
        return
    if role is not LegRole.CALLER or mode is not ShieldMode.CAPTURE:
        return
    if engagement.begun:
        masked(ctx, now_s, call, engagement)
        return
    call.deadlines.pop(Timer.ARM, None)
    _begin(ctx, now_s, call, engagement)


def _begin(ctx: Context, now_s: float, call: Call, engagement: Engagement) -> None:
    engagement.stage, engagement.begun = Stage.RUNNING, True
    ctx.changed.add(call.call_id)
    ctx.events.append(FlowMoved(call.call_id, engagement.flow.id, engagement.state.step))
    state, commands = begin(
        engagement.program, engagement.inputs, language=engagement.language, dialled=call.dialled
    )
    if not _answers(ctx, engagement.flow):
        timers = commands[: len(commands) - len(begin_again(state)[1])]
        state, again = begin_again(replace(state, gateway_up=False))
        commands = (*timers, *again)
    go_on(ctx, now_s, call, engagement, state, commands)


# --- what the agent wants --------------------------------------------------------------------------------------


def request_field(ctx: Context, now_s: float, capture_id: CaptureId, field: str) -> None:
    """Collect a field (again). Raises CaptureUnknown, CaptureOver, CaptureSending, FieldUnknown."""
    call, engagement = _running(ctx, capture_id)
    if field not in engagement.flow.fields:
        raise FieldUnknown
    if engagement.stage is not Stage.RUNNING:
        raise CaptureUnavailable
    if engagement.outcome is not None and engagement.outcome.result in _MONEY_MOVED:
        raise CaptureOver  # nothing leads to another card
    at = engagement.state.at
    redo = at.field == field and "agent_redo" in at.next
    try:
        state, commands = advance(engagement.state, AgentRedo() if redo else FieldRequested(field))
    except EventRefusedError:
        raise FieldUnknown from None  # the flow lets no agent ask for it
    asks = any(isinstance(command, Collect) for command in commands)
    if engagement.paused and engagement.armed and not asks:
        ctx.capture.send(ResumeCapture(capture_id))  # by a question cde resumes by itself
    engagement.paused, engagement.waiting = False, ()
    go_on(ctx, now_s, call, engagement, state, commands)
    ctx.events.append(CaptureChanged(call.call_id, engagement.capture_id))


def take_payment(ctx: Context, now_s: float, capture_id: CaptureId) -> None:
    """Choose at the flow's menu what it lets the agent choose. Raises CaptureUnknown, CaptureOver, CaptureSending,
    NothingToPay.
    """
    call, engagement = _running(ctx, capture_id)
    if not can_pay(engagement) or not happen(ctx, now_s, call, AgentChose()):
        raise NothingToPay


def can_pay(engagement: Engagement) -> bool:
    """Whether the flow is at a menu whose choice the agent may take."""
    at = engagement.state.at
    ready = engagement.stage is Stage.RUNNING and not engagement.paused
    return ready and at.kind == "menu" and at.agent_option >= 0


def pause_capture(ctx: Context, now_s: float, capture_id: CaptureId) -> None:
    """Drop keys, say nothing and stop the key timers; the mask stays on. Raises CaptureUnknown, CaptureOver,
    CaptureSending, CaptureUnavailable (not armed yet).
    """
    call, engagement = _running(ctx, capture_id)
    if engagement.stage is not Stage.RUNNING:
        raise CaptureUnavailable
    if engagement.paused:
        return
    engagement.paused = True
    ctx.changed.add(call.call_id)
    stop(ctx, call, engagement)
    if engagement.armed and not ctx.capture.send(PauseCapture(capture_id)):
        finish(ctx, now_s, call, CaptureResult.INTERRUPTED)
    ctx.events.append(CaptureChanged(call.call_id, engagement.capture_id))


def resume_capture(ctx: Context, now_s: float, capture_id: CaptureId) -> None:
    """Go on where the pause began, with the prompt once more. Raises CaptureUnknown, CaptureOver, CaptureSending."""
    call, engagement = _running(ctx, capture_id)
    if not engagement.paused:
        return
    engagement.paused = False
    ctx.changed.add(call.call_id)
    if engagement.armed and not ctx.capture.send(ResumeCapture(capture_id)):
        finish(ctx, now_s, call, CaptureResult.INTERRUPTED)
        return
    if not engagement.waiting:
        again: tuple[Command, ...] = (engagement.said,) if engagement.said is not None else ()
        engagement.waiting = again
    release(ctx, now_s, call, engagement)
    ctx.events.append(CaptureChanged(call.call_id, engagement.capture_id))


def cancel_capture(ctx: Context, now_s: float, capture_id: CaptureId) -> None:
    """Wipe and end, by the flow's own way; after the capture's end: end what the flow still says.

    Raises CaptureUnknown, CaptureOver, CaptureSending.
    """
    call, engagement = _running(ctx, capture_id)
    unsent = engagement.unsent
    if engagement.state.in_flight and not unsent:
        raise CaptureSending
    _give_up(ctx, call, engagement, CaptureResult.CANCELLED, CaptureResult.CANCELLED)
    stop(ctx, call, engagement)
    cancelled = CaptureEnded(CaptureResult.CANCELLED) if unsent else AgentCancelled()
    if not engagement.begun or not happen(ctx, now_s, call, cancelled):
        over(ctx, now_s, call, engagement)


def _give_up(
    ctx: Context, call: Call, engagement: Engagement, result: CaptureResult, told: CaptureResult
) -> None:
    """End the capture at cde by ``result``, and say ``told`` of it; one that has its outcome keeps it."""
    if engagement.live:
        ctx.end_capture(engagement.capture_id, result)
    outcome = engagement.outcome or CaptureOutcome(capture_id=engagement.capture_id, result=told)
    capture_over(ctx, call, outcome)


# --- what else happens to a call with a flow -------------------------------------------------------------------


def caller_gone(ctx: Context, now_s: float, call: Call) -> None:
    """The call ends while a flow runs: cde wipes; a card already on its way gets its answer in the ledger.

    Nobody may be told that nothing was taken before cde says so: until then money at the gateway is unknown.
    """
    engagement = call.engagement
    if engagement is None or engagement.stage is Stage.OVER:
        return
    gone = CaptureResult.CALLER_GONE
    _give_up(ctx, call, engagement, gone, CaptureResult.UNKNOWN if engagement.money_awaited else gone)
    if engagement.begun:
        happen(ctx, now_s, call, CallerGone())
    if not engagement.over:  # at the gateway, which nothing cuts
        over(ctx, now_s, call, engagement)


def gateways_changed(ctx: Context, now_s: float, answers: Mapping[str, bool]) -> None:
    """Which gateways answer, by name: flows that ask them know it, those that run and those that begin."""
    ctx.gateways = answers
    for call in list(ctx.calls.values()):
        engagement = call.engagement
        if engagement is not None and engagement.begun:
            up = _answers(ctx, engagement.flow)
            if up != engagement.state.gateway_up:
                happen(ctx, now_s, call, GatewayChanged(up))
                ctx.events.append(CaptureChanged(call.call_id, engagement.capture_id))


def _answers(ctx: Context, flow: Flow) -> bool:
    """Whether a gateway that the flow asks answers, as far as is known. A step that names none asks them in turn."""
    asked = {step.gateway for step in flow.money_steps}
    known = [up for name, up in ctx.gateways.items() if name in asked or DEFAULT_GATEWAY in asked]
    return any(known) or not known


def timer_fired(ctx: Context, now_s: float, call: Call, timer: Timer) -> None:
    """The mask's tail is over, nobody armed the capture in time, or the flow's own time has come."""
    engagement = call.engagement
    if timer is Timer.KEPT:
        forget_known(call)  # what cde keeps it wipes by itself
    elif timer is Timer.TAIL:
        if engagement is None or engagement.over or not engagement.state.masking:
            ctx.shield(call, ShieldMode.GUARD)
    elif engagement is not None and timer is Timer.ARM:
        _nobody_listens(ctx, now_s, call, engagement)
    elif engagement is not None and timer in _TIMERS:
        _flow_timer(ctx, now_s, call, engagement, _TIMERS[timer])


def _nobody_listens(ctx: Context, now_s: float, call: Call, engagement: Engagement) -> None:
    """No word of cde in time. A payment that may be under way there is unknown, and is not to be called back."""
    if engagement.begun and engagement.state.moving_money:
        finish(ctx, now_s, call, CaptureResult.UNKNOWN)
        return
    ctx.end_capture(engagement.capture_id, CaptureResult.INTERRUPTED)
    finish(ctx, now_s, call, CaptureResult.INTERRUPTED)


def _flow_timer(ctx: Context, now_s: float, call: Call, engagement: Engagement, timer: Timers) -> None:
    if timer is Timers.REPEAT and engagement.paused:
        return
    if timer is Timers.MAX_DURATION:
        engagement.given_up = CaptureResult.TIMED_OUT
    happen(ctx, now_s, call, TimerFired(timer, engagement.marks.get(timer, 0)))


def _running(ctx: Context, capture_id: CaptureId) -> tuple[Call, Engagement]:
    call, engagement = find(ctx, capture_id)
    if call is None or engagement is None:
        raise CaptureUnknown
    if engagement.stage is Stage.OVER:
        raise CaptureOver
    if engagement.sending:
        raise CaptureSending
    return call, engagement
