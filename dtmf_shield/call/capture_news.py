"""What cde tells of a capture, as events of the flow that runs in the call. It sees names, counts and words."""

from __future__ import annotations

from dtmf_shield.call.call import Call, Engagement, Stage
from dtmf_shield.call.capture_life import capture_over, end_told
from dtmf_shield.call.context import Context
from dtmf_shield.call.events import CaptureChanged
from dtmf_shield.call.flow_resume import resume
from dtmf_shield.call.flow_run import armed, happen
from dtmf_shield.flow.engine.events import (
    Accepted,
    AgentKeyPressed,
    ChoiceRejected,
    Chosen,
    FieldFailed,
    QualityHinted,
    RepeatAsked,
)
from dtmf_shield.flow.engine.telling import events_between
from dtmf_shield.model.capture import (
    CaptureOutcome,
    CaptureProgress,
    CaptureResult,
    CaptureState,
    ChoiceFault,
    ControlKey,
    RejectReason,
    replaces,
)
from dtmf_shield.model.ids import CallId, CaptureId
from dtmf_shield.model.messages import (
    CaptureArmed,
    ChoiceMade,
    ChoiceRefused,
    ControlKeyed,
    FieldGivenUp,
    KeysHinted,
)

CaptureMessage = (
    CaptureArmed
    | CaptureProgress
    | CaptureOutcome
    | FieldGivenUp
    | ChoiceMade
    | ChoiceRefused
    | ControlKeyed
    | KeysHinted
)


def find(ctx: Context, capture_id: CaptureId) -> tuple[Call | None, Engagement | None]:
    """Return the call whose present or last capture that is."""
    call = ctx.calls.get(ctx.captures.get(capture_id, CallId("")))
    if call is None or call.engagement is None or call.engagement.capture_id != capture_id:
        return None, None
    return call, call.engagement


def take(ctx: Context, now_s: float, message: CaptureMessage) -> None:
    """Take one message of cde; one of a capture that is not the call's present one changes nothing."""
    call, engagement = find(ctx, message.capture_id)
    if call is None or engagement is None:
        return
    match message:
        case CaptureOutcome():
            _outcome(ctx, now_s, call, engagement, message)
        case CaptureProgress() if engagement.stage is Stage.RESUMING:
            resume(ctx, now_s, call, engagement, message)
        case CaptureArmed() if engagement.stage is Stage.ARMING:
            armed(ctx, now_s, call, engagement)
        case CaptureProgress() if engagement.stage is Stage.ARMING:
            engagement.progress = message  # what it has taken over; the flow hears of it once it may go on
        case _ if engagement.stage is not Stage.RUNNING or not engagement.armed:
            return
        case CaptureProgress():
            _progress(ctx, now_s, call, engagement, message)
        case FieldGivenUp(field=field, reason=reason):
            engagement.given_up = _given_up(timed_out=reason is RejectReason.TIMEOUT)
            happen(ctx, now_s, call, FieldFailed(field))
        case ChoiceMade(ordinal=ordinal):
            happen(ctx, now_s, call, Chosen(ordinal))
        case ChoiceRefused(reason=fault):
            engagement.given_up = _given_up(timed_out=fault is ChoiceFault.TIMEOUT)
            happen(ctx, now_s, call, ChoiceRejected(fault))
        case ControlKeyed(key=key):
            happen(ctx, now_s, call, RepeatAsked() if key is ControlKey.REPEAT else AgentKeyPressed())
        case KeysHinted(hint=hint):
            happen(ctx, now_s, call, QualityHinted(hint))


def _given_up(*, timed_out: bool) -> CaptureResult:
    return CaptureResult.TIMED_OUT if timed_out else CaptureResult.ATTEMPTS_USED


def _progress(
    ctx: Context, now_s: float, call: Call, engagement: Engagement, progress: CaptureProgress
) -> None:
    before = engagement.progress or CaptureProgress(
        capture_id=progress.capture_id, state=CaptureState.HELD, field=progress.field
    )
    engagement.progress = progress
    ctx.events.append(CaptureChanged(call.call_id, progress.capture_id))
    for event in events_between(engagement.flow, before, progress):
        if isinstance(event, FieldFailed):
            continue  # the whole capture has failed, which its outcome tells
        if isinstance(event, Accepted) and event.field == engagement.state.at.field:
            engagement.opened = ""  # closed by its acceptance
        happen(ctx, now_s, call, event)


def _outcome(ctx: Context, now_s: float, call: Call, engagement: Engagement, outcome: CaptureOutcome) -> None:
    before = engagement.outcome
    if before is not None:  # told already, perhaps by a guess of ours
        if replaces(outcome.result, before.result):
            engagement.outcome = outcome
            ctx.changed.add(call.call_id)
            ctx.events.append(CaptureChanged(call.call_id, engagement.capture_id))
        return
    told = end_told(engagement, outcome.result)
    capture_over(ctx, call, outcome)
    happen(ctx, now_s, call, told)
