"""A capture within a call: mask first, then listen, then ask field by field; mask on for a while after the end.

Order: media masks the caller for capture (ShieldChanged), cde arms its slot (CaptureArmed), the flow asks
(CollectField). Every way out leads through the tail. It sees names, counts and words, never a key.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from dtmf_shield.call.call import Call, Engagement, Stage, Timer
from dtmf_shield.call.caller_name import caller_name
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
)
from dtmf_shield.call.events import CallPhase, CaptureChanged
from dtmf_shield.call.flow_start import inputs_of
from dtmf_shield.call.settings import ARM_TIMEOUT_S
from dtmf_shield.call.unserved import Served, answer_unserved
from dtmf_shield.flow.engine import advance, begin
from dtmf_shield.flow.engine.commands import Charge, Collect
from dtmf_shield.flow.engine.events import CaptureEnded, Event, FieldLost, FieldRequested
from dtmf_shield.flow.engine.state import EventRefusedError
from dtmf_shield.flow.engine.telling import accepted
from dtmf_shield.model.capture import CaptureOutcome, CaptureProgress, CaptureResult, CaptureState, replaces
from dtmf_shield.model.ids import CallId, CaptureId, LegRole
from dtmf_shield.model.messages import (
    CancelCapture,
    CollectField,
    PauseCapture,
    ResumeCapture,
    StartCapture,
    SubmitCapture,
)
from dtmf_shield.model.payment import NO_MONEY, Money
from dtmf_shield.model.stream import ShieldMode

TALKING: Final = frozenset({CallPhase.TALKING, CallPhase.HELD})
AT_GATEWAY: Final = frozenset({CaptureState.SENDING, CaptureState.PAYING, CaptureState.SETTLING})


def start_capture(
    ctx: Context, now_s: float, call_id: CallId, flow_id: str, reference: str = "", amount: Money = NO_MONEY
) -> CaptureId:
    """Engage a capture.

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
    inputs = inputs_of(flow, reference, amount)
    if call.engagement is not None:
        ctx.captures.pop(call.engagement.capture_id, None)
    capture_id = CaptureId(ctx.tokens())
    state = begin(flow, inputs)[0]
    call.engagement = Engagement(capture_id, flow, reference, amount, state, inputs=inputs)
    ctx.captures[capture_id] = call_id
    call.deadlines.pop(Timer.TAIL, None)
    call.deadlines[Timer.ARM] = now_s + ARM_TIMEOUT_S
    for leg in call.legs:
        leg.shield_confirmed = ShieldMode.MUTE  # only what media says from now on counts
    ctx.shield(call, ShieldMode.CAPTURE)
    ctx.events.append(CaptureChanged(call_id, capture_id))
    return capture_id


def engage(ctx: Context, now_s: float, call_id: CallId, flow_id: str) -> None:
    """Start a capture by route or star code: nobody waits for an answer, the agent's page shows the state."""
    try:
        start_capture(ctx, now_s, call_id, flow_id)
    except CommandRefused:
        return


def shield_changed(ctx: Context, now_s: float, call: Call, role: LegRole, mode: ShieldMode) -> None:
    """Media masks one leg as it was told."""
    engagement = call.engagement
    if engagement is None or engagement.stage is not Stage.SHIELDING:
        return
    if role is not LegRole.CALLER or mode is not ShieldMode.CAPTURE:
        return
    start = StartCapture(
        capture_id=engagement.capture_id,
        call_id=call.call_id,
        row=call.row,
        spec=engagement.flow.capture_spec(),
        flow=engagement.flow.id,
        caller=caller_name(ctx.settings.caller_key, call.caller_user),
        agent=call.agent_name,
    )
    engagement.stage = Stage.ARMING
    if not ctx.capture.send(start):
        finish(ctx, now_s, call, CaptureResult.INTERRUPTED)


def capture_armed(ctx: Context, now_s: float, capture_id: CaptureId) -> None:
    """Keys count from now on: ask for the first field."""
    call, engagement = _find(ctx, capture_id)
    if call is None or engagement is None or engagement.stage is not Stage.ARMING:
        return
    engagement.stage = Stage.RUNNING
    call.deadlines.pop(Timer.ARM, None)
    engagement.state, commands = answer_unserved(*begin(engagement.flow, engagement.inputs))
    _carry_out(ctx, now_s, call, engagement, commands)
    ctx.events.append(CaptureChanged(call.call_id, capture_id))


def capture_progress(ctx: Context, now_s: float, progress: CaptureProgress) -> None:
    """Take what cde tells of a running capture; newly accepted fields move the flow on."""
    call, engagement = _find(ctx, progress.capture_id)
    if call is None or engagement is None:
        return
    if engagement.stage is Stage.RESUMING:
        _resume(ctx, now_s, call, engagement, progress)
        return
    if engagement.stage is not Stage.RUNNING:
        return
    before = engagement.progress.accepted if engagement.progress is not None else ()
    engagement.progress = progress
    ctx.events.append(CaptureChanged(call.call_id, progress.capture_id))
    for field in engagement.state.accepted.difference(progress.accepted):
        engagement.state, _ = advance(engagement.state, FieldLost(field))
    for field in progress.accepted:
        if field not in before and engagement.stage is Stage.RUNNING:
            _advance(ctx, now_s, call, engagement, accepted(engagement.flow, field, progress))


def _resume(
    ctx: Context, now_s: float, call: Call, engagement: Engagement, progress: CaptureProgress
) -> None:
    """Find the flow's place by what cde holds; ask for something only where cde waits to be asked."""
    if progress.state is CaptureState.IDLE:
        engagement.stage = Stage.ARMING  # CaptureArmed is still to come, within the deadline that stands
        return
    engagement.state, commands = answer_unserved(*begin(engagement.flow, engagement.inputs))
    for field in progress.accepted:
        event = accepted(engagement.flow, field, progress)
        engagement.state, more = answer_unserved(*advance(engagement.state, event))
        commands = more or commands  # one that was asked for out of order leaves the question as it is
    engagement.stage, engagement.progress = Stage.RUNNING, progress
    engagement.sending = progress.state in AT_GATEWAY
    engagement.paused = progress.state is CaptureState.PAUSED
    call.deadlines.pop(Timer.ARM, None)
    ctx.events.append(CaptureChanged(call.call_id, engagement.capture_id))
    asked = [command.field for command in commands if isinstance(command, Collect)]
    if engagement.paused and asked != [progress.field]:
        engagement.waiting = commands
    elif progress.state is CaptureState.HELD:
        _carry_out(ctx, now_s, call, engagement, commands)


def capture_outcome(ctx: Context, now_s: float, outcome: CaptureOutcome) -> None:
    """Take the end of a capture from cde."""
    call, engagement = _find(ctx, outcome.capture_id)
    if call is None or engagement is None:
        return
    if engagement.stage is Stage.OVER:
        if engagement.outcome is not None and replaces(outcome.result, engagement.outcome.result):
            engagement.outcome = outcome
            ctx.changed.add(call.call_id)
            ctx.events.append(CaptureChanged(call.call_id, engagement.capture_id))
        return
    engagement.state, _ = advance(engagement.state, CaptureEnded(outcome.result))
    _over(ctx, now_s, call, engagement, outcome)


def request_field(ctx: Context, now_s: float, capture_id: CaptureId, field: str) -> None:
    """Collect a field (again). Raises CaptureUnknown, CaptureOver, CaptureSending, FieldUnknown."""
    call, engagement = _running(ctx, capture_id)
    if field not in engagement.flow.fields:
        raise FieldUnknown
    if engagement.stage is not Stage.RUNNING:
        raise CaptureUnavailable
    try:
        engagement.state, commands = answer_unserved(*advance(engagement.state, FieldRequested(field)))
    except EventRefusedError:
        raise FieldUnknown from None  # the flow lets no agent ask for it
    if engagement.progress is not None:
        # cde will tell it accepted once more.
        kept = tuple(name for name in engagement.progress.accepted if name != field)
        engagement.progress = replace(engagement.progress, accepted=kept)
    engagement.paused, engagement.waiting = False, ()  # cde resumes by itself
    _carry_out(ctx, now_s, call, engagement, commands)
    ctx.events.append(CaptureChanged(call.call_id, capture_id))


def pause_capture(ctx: Context, now_s: float, capture_id: CaptureId) -> None:
    """Drop keys and stop timers; the mask stays on. Raises CaptureUnknown, CaptureOver, CaptureSending,
    CaptureUnavailable (not armed yet).
    """
    call, engagement = _running(ctx, capture_id)
    if engagement.stage is not Stage.RUNNING:
        raise CaptureUnavailable
    if engagement.paused:
        return
    engagement.paused = True
    if not ctx.capture.send(PauseCapture(capture_id)):
        finish(ctx, now_s, call, CaptureResult.INTERRUPTED)


def resume_capture(ctx: Context, now_s: float, capture_id: CaptureId) -> None:
    """Go on where the pause began. Raises CaptureUnknown, CaptureOver, CaptureSending."""
    call, engagement = _running(ctx, capture_id)
    if not engagement.paused:
        return
    waiting, engagement.waiting, engagement.paused = engagement.waiting, (), False
    if ctx.capture.send(ResumeCapture(capture_id)):
        _carry_out(ctx, now_s, call, engagement, waiting)
    else:
        finish(ctx, now_s, call, CaptureResult.INTERRUPTED)


def cancel_capture(ctx: Context, now_s: float, capture_id: CaptureId) -> None:
    """Wipe and end. Raises CaptureUnknown, CaptureOver, CaptureSending."""
    call, engagement = _running(ctx, capture_id)
    if engagement.stage is not Stage.SHIELDING:
        ctx.capture.send(CancelCapture(capture_id=capture_id))
    finish(ctx, now_s, call, CaptureResult.CANCELLED)


def finish(ctx: Context, now_s: float, call: Call, result: CaptureResult) -> None:
    """End a running capture from this side."""
    engagement = call.engagement
    if engagement is not None and engagement.stage is not Stage.OVER:
        outcome = CaptureOutcome(capture_id=engagement.capture_id, result=result)
        _over(ctx, now_s, call, engagement, outcome)


def caller_gone(ctx: Context, now_s: float, call: Call) -> None:
    """The call ends while a capture runs: cde wipes; a card already on its way gets its answer in the ledger."""
    engagement = call.engagement
    if engagement is not None and engagement.stage is not Stage.OVER:
        if engagement.stage is not Stage.SHIELDING:
            ctx.capture.send(
                CancelCapture(capture_id=engagement.capture_id, result=CaptureResult.CALLER_GONE)
            )
        finish(ctx, now_s, call, CaptureResult.CALLER_GONE)


def timer_fired(ctx: Context, now_s: float, call: Call, timer: Timer) -> None:
    """The mask's tail is over, or nobody armed the capture in time."""
    if timer is Timer.TAIL:
        ctx.shield(call, ShieldMode.GUARD)
    elif call.engagement is not None:
        ctx.capture.send(CancelCapture(capture_id=call.engagement.capture_id))
        finish(ctx, now_s, call, CaptureResult.INTERRUPTED)


def _advance(ctx: Context, now_s: float, call: Call, engagement: Engagement, event: Event) -> None:
    engagement.state, commands = answer_unserved(*advance(engagement.state, event))
    _carry_out(ctx, now_s, call, engagement, commands)


def _carry_out(
    ctx: Context, now_s: float, call: Call, engagement: Engagement, commands: tuple[Served, ...]
) -> None:
    if engagement.paused:
        engagement.waiting = commands
        return
    for command in commands:
        delivered = True
        if isinstance(command, Collect):
            delivered = ctx.capture.send(CollectField(capture_id=engagement.capture_id, field=command.field))
        elif isinstance(command, Charge):
            engagement.sending = True
            delivered = ctx.capture.send(_submission(engagement, command))
        else:
            # The flow ends before cde does: nothing more is wanted of the caller.
            ctx.capture.send(CancelCapture(capture_id=engagement.capture_id))
            finish(ctx, now_s, call, CaptureResult.CANCELLED)
        if not delivered:
            finish(ctx, now_s, call, CaptureResult.INTERRUPTED)


def _submission(engagement: Engagement, command: Charge) -> SubmitCapture:
    return SubmitCapture(
        capture_id=engagement.capture_id,
        reference=engagement.reference or command.reference,
        operation=command.operation,
        amount_minor=command.amount_minor,
        currency=command.currency,
    )


def _over(ctx: Context, now_s: float, call: Call, engagement: Engagement, outcome: CaptureOutcome) -> None:
    engagement.outcome, engagement.stage = outcome, Stage.OVER
    call.deadlines.pop(Timer.ARM, None)
    # The caller may still be keying: the mask stays for the tail.
    call.deadlines[Timer.TAIL] = now_s + ctx.settings.mask_tail_s
    ctx.changed.add(call.call_id)
    ctx.events.append(CaptureChanged(call.call_id, engagement.capture_id))


def _find(ctx: Context, capture_id: CaptureId) -> tuple[Call | None, Engagement | None]:
    call = ctx.calls.get(ctx.captures.get(capture_id, CallId("")))
    if call is None or call.engagement is None or call.engagement.capture_id != capture_id:
        return None, None
    return call, call.engagement


def _running(ctx: Context, capture_id: CaptureId) -> tuple[Call, Engagement]:
    call, engagement = _find(ctx, capture_id)
    if call is None or engagement is None:
        raise CaptureUnknown
    if engagement.stage is Stage.OVER:
        raise CaptureOver
    if engagement.sending:
        raise CaptureSending
    return call, engagement
