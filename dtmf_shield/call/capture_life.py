"""The capture at cde that a flow has: wanted once there is a question, masked first, and over before another begins.

A capture is for one card: after its outcome the next question begins a new one, with a name of its own.
"""

from __future__ import annotations

from typing import Final

from dtmf_shield.call import prompting
from dtmf_shield.call.call import FLOW_TIMERS, Call, Engagement, Stage, Timer
from dtmf_shield.call.caller_name import caller_name
from dtmf_shield.call.context import Context
from dtmf_shield.call.events import CaptureChanged
from dtmf_shield.call.settings import ARM_TIMEOUT_S
from dtmf_shield.flow.engine.events import CaptureEnded, ChargeAnswered, ChargeOutcome, Event
from dtmf_shield.model.capture import CaptureOutcome, CaptureResult
from dtmf_shield.model.ids import NO_CAPTURE, CaptureId
from dtmf_shield.model.messages import StartCapture
from dtmf_shield.model.stream import ShieldMode

_ENDS_OF_THE_FLOW: Final = frozenset({CaptureResult.CANCELLED, CaptureResult.CALLER_GONE})


def mask(ctx: Context, call: Call) -> None:
    """Mask both legs for a capture; only what media says from now on counts as done."""
    call.deadlines.pop(Timer.TAIL, None)
    for leg in call.legs:
        leg.shield_confirmed = ShieldMode.MUTE
    ctx.shield(call, ShieldMode.CAPTURE)


def want_capture(ctx: Context, now_s: float, call: Call, engagement: Engagement) -> Event | None:
    """Let media mask, then cde listen; what waits for it is carried out then. Returns what the flow is to be told."""
    if engagement.stage is not Stage.RUNNING:
        return None
    call.deadlines[Timer.ARM] = now_s + ARM_TIMEOUT_S
    if call.caller.shield_confirmed is not ShieldMode.CAPTURE:
        engagement.stage = Stage.SHIELDING
        return None
    return arm(ctx, call, engagement)


def arm(ctx: Context, call: Call, engagement: Engagement) -> Event | None:
    """Let cde listen; media masks. Returns what the flow is to be told where cde is away."""
    if engagement.outcome is not None:
        _another_capture(ctx, call, engagement)
    start = StartCapture(
        capture_id=engagement.capture_id,
        call_id=call.call_id,
        row=call.row,
        spec=engagement.flow.capture_spec(),
        flow=engagement.flow.id,
        caller=caller_name(ctx.settings.caller_key, call.caller_user),
        agent=call.agent_name,
        takes_over=call.kept,
    )
    call.kept = NO_CAPTURE
    engagement.stage = Stage.ARMING
    ctx.changed.add(call.call_id)
    return None if ctx.capture.send(start) else lost(ctx, call, engagement)


def _another_capture(ctx: Context, call: Call, engagement: Engagement) -> None:
    """The gateway has answered the earlier one, and a capture is for one card: it keeps its outcome."""
    ctx.captures.pop(engagement.capture_id, None)
    engagement.capture_id = CaptureId(ctx.tokens())
    ctx.captures[engagement.capture_id] = call.call_id
    engagement.progress = engagement.outcome = None
    ctx.events.append(CaptureChanged(call.call_id, engagement.capture_id))


def lost(ctx: Context, call: Call, engagement: Engagement) -> Event:
    """Cde is away: the capture is interrupted, which the flow is to be told."""
    interrupted = CaptureResult.INTERRUPTED
    if not engagement.sending:  # a card that may be on its way is not called back
        ctx.end_capture(engagement.capture_id, interrupted)
    capture_over(ctx, call, CaptureOutcome(capture_id=engagement.capture_id, result=interrupted))
    return CaptureEnded(interrupted)


def end_told(engagement: Engagement, result: CaptureResult) -> Event:
    """Return what the flow is told of a capture's end. To be asked before ``capture_over``, which ends a pause too."""
    if engagement.unsent and result not in _ENDS_OF_THE_FLOW:
        return ChargeAnswered(
            ChargeOutcome.GATEWAY_DOWN
        )  # it never reached the gateway: not to be called unknown
    return CaptureEnded(result)


def capture_over(ctx: Context, call: Call, outcome: CaptureOutcome) -> None:
    """The capture has ended at cde, or is given up for lost; its outcome is told at once. The flow goes on by it."""
    engagement = call.engagement
    if engagement is None:
        return
    if engagement.stage is not Stage.OVER:
        engagement.stage = Stage.RUNNING
    engagement.outcome = outcome
    engagement.armed = engagement.sending = engagement.paused = False
    engagement.opened, engagement.waiting = "", ()
    call.deadlines.pop(Timer.ARM, None)
    ctx.changed.add(call.call_id)
    ctx.events.append(CaptureChanged(call.call_id, engagement.capture_id))


def over(ctx: Context, now_s: float, call: Call, engagement: Engagement) -> None:
    """The flow has ended; the caller may still be keying, so the mask stays for its tail."""
    prompting.stop(ctx, call, engagement)
    engagement.stage, engagement.armed, engagement.waiting = Stage.OVER, False, ()
    for timer in (Timer.ARM, *FLOW_TIMERS.values()):
        call.deadlines.pop(timer, None)
    if call.caller.shield is ShieldMode.CAPTURE:
        call.deadlines[Timer.TAIL] = now_s + ctx.settings.mask_tail_s
    ctx.changed.add(call.call_id)
    ctx.events.append(CaptureChanged(call.call_id, engagement.capture_id))
