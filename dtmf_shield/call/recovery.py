"""After a crash: of control itself (restore from records), of media, of cde. The mask is on before anything else.

A call that was not confirmed when control died is not restored: nothing is sent about it, its peers' timers end it.
A flow that ran goes on in the step that is stored, with what cde tells of the capture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dtmf_shield.call import handover
from dtmf_shield.call.call import Call, Engagement, Leg, Stage, Timer
from dtmf_shield.call.capture_life import mask
from dtmf_shield.call.context import Context
from dtmf_shield.call.events import CallAnswered
from dtmf_shield.call.flow_resume import resume_alone
from dtmf_shield.call.flow_run import finish, prompt_ended
from dtmf_shield.call.record import CallRecord, LegRecord
from dtmf_shield.call.settings import ARM_TIMEOUT_S
from dtmf_shield.flow.engine import begin
from dtmf_shield.flow.engine import restore as restored
from dtmf_shield.flow.engine.compiler import fingerprint
from dtmf_shield.flow.engine.state import FlowState
from dtmf_shield.flow.language import Flow
from dtmf_shield.model.capture import CaptureOutcome, CaptureResult
from dtmf_shield.model.ids import LegRole
from dtmf_shield.model.stream import ShieldMode


def restore(ctx: Context, now_s: float, records: Iterable[CallRecord], versions: Mapping[str, Flow]) -> int:
    """Take confirmed calls up again; returns how many. One whose trunk, agent or row is gone is forgotten.

    ``versions``: flows by fingerprint that captures have begun with and that have changed since.
    """
    count = 0
    for record in records:
        trunk = next((trunk for trunk in ctx.settings.trunks if trunk.name == record.trunk), None)
        target = ctx.settings.agents.get(record.agent_name)
        known = target is not None or not record.agent_name  # without a name the caller is alone
        if trunk is None or not known or not ctx.media.adopt(record.call_id, record.ports.row):
            ctx.store.remove(record.call_id)
            continue
        call = Call(
            call_id=record.call_id,
            trunk=trunk,
            target=target,
            dialled=record.dialled,
            caller_user=record.caller_user,
            started_s=record.started_s,
            ports=record.ports,
            caller=_leg(LegRole.CALLER, record.caller),
            agent=_leg(LegRole.AGENT, record.agent),
            onward=record.onward,
            confirmed=True,
            headers=record.headers,
            language=record.language,
            kept=record.kept,
            strictness=record.strictness,
        )
        _take_up(ctx, now_s, call, record, _flow_of(ctx, record, versions))
        if record.handed_to:
            handover.hand_over(ctx, now_s, call, "queue", record.handed_to)  # the former INVITE is lost
            if call.handover is not None:
                call.handover.tone = record.handed_tone  # media plays it still
        count += 1
    return count


def _flow_of(ctx: Context, record: CallRecord, versions: Mapping[str, Flow]) -> Flow | None:
    """Return the version of the flow that the capture began with: by another, cde would be asked for other fields."""
    flow = ctx.settings.flows.get(record.flow_id)
    if flow is None or record.flow_fingerprint != fingerprint(flow):
        return versions.get(record.flow_fingerprint)
    return flow


def _take_up(ctx: Context, now_s: float, call: Call, record: CallRecord, flow: Flow | None) -> None:
    ctx.calls[call.call_id] = call
    for leg in call.legs:
        if leg.dialog is not None:
            ctx.keep_dialog(call, leg, leg.dialog)
        leg.negotiation.abandon()
    ctx.shield(call, ShieldMode.CAPTURE if record.masked_longer else ShieldMode.GUARD)
    ctx.set_phase(call)
    ctx.events.append(CallAnswered(call.call_id, call.row, restored=True))
    if flow is not None:
        _take_up_flow(ctx, now_s, call, record, flow)
        return
    if record.capture_live:
        ctx.end_capture(record.capture_id, CaptureResult.INTERRUPTED)
    if record.masked_longer:
        call.deadlines[Timer.TAIL] = now_s + ctx.settings.mask_tail_s


def _take_up_flow(ctx: Context, now_s: float, call: Call, record: CallRecord, flow: Flow) -> None:
    engagement = Engagement(
        record.capture_id,
        ctx.program_of(flow),
        record.reference,
        record.amount,
        _state_of(ctx, call, record, flow),
        inputs=record.inputs,
        language=record.language,
        begun=record.flow_begun,
        paused=record.flow_paused,
    )
    call.engagement = engagement
    ctx.captures[record.capture_id] = call.call_id
    if record.result is not None:
        engagement.outcome = CaptureOutcome(capture_id=record.capture_id, result=record.result)
    if record.flow_ends_s is not None:
        call.deadlines[Timer.FLOW_END] = record.flow_ends_s
    if record.capture_live or not record.flow_begun:
        # cde tells its running captures at once; one that it does not know any more is over.
        call.deadlines[Timer.ARM] = now_s + ARM_TIMEOUT_S
    if record.capture_live:
        engagement.stage = Stage.RESUMING
    elif record.flow_begun:
        engagement.stage = Stage.REJOINING
    else:
        mask(ctx, call)


def _state_of(ctx: Context, call: Call, record: CallRecord, flow: Flow) -> FlowState:
    program = ctx.program_of(flow)
    if record.flow is None or not record.flow_begun:
        return begin(program, record.inputs, language=record.language, dialled=call.dialled)[0]
    return restored(program, record.flow, record.inputs)


def _leg(role: LegRole, record: LegRecord) -> Leg:
    return Leg(
        role=role,
        negotiation=record.negotiation,
        media_host=record.media_host,
        dialog=record.dialog,
        shield=record.shield,
        codec=record.codec,
        takes_update=record.takes_update,
        info=record.info,
    )


def media_restarted(ctx: Context, now_s: float) -> None:
    """Open every row again in the new process. Captures whose keys may be incomplete are interrupted.

    A card already on its way needs no media: a cancel would throw its token away. A capture being taken up again is
    told by cde, which has lost the same media. What was being said is over.
    """
    # First the rows: what a flow says or asks next must find them open, and masked by the media that is there now.
    for call in ctx.calls.values():
        for leg in call.legs:
            leg.shield_confirmed = ShieldMode.MUTE
    reassert(ctx)
    for call in list(ctx.calls.values()):
        engagement = call.engagement
        if call.handover is not None:
            call.handover.tone = 0
            handover.ring(ctx, now_s, call)
        if call.over or engagement is None:
            continue
        if engagement.stage is Stage.RUNNING:
            prompt_ended(ctx, now_s, call, engagement.speaking)
        keying = engagement.armed and engagement.stage is Stage.RUNNING
        if not engagement.sending and (keying or engagement.stage in (Stage.SHIELDING, Stage.ARMING)):
            ctx.end_capture(engagement.capture_id, CaptureResult.INTERRUPTED)
            finish(ctx, now_s, call, CaptureResult.INTERRUPTED)


def media_joined(ctx: Context, now_s: float) -> None:
    """This process has just started and reaches media: tell it every call; flows that cde has no part in go on."""
    reassert(ctx)
    for call in list(ctx.calls.values()):
        if call.engagement is not None and call.engagement.stage is Stage.REJOINING:
            resume_alone(ctx, now_s, call, call.engagement)


def reassert(ctx: Context) -> None:
    """Tell media of every call once more: the row, the mask, then the streams. What it knows already stays as it is."""
    for call in ctx.calls.values():
        if call.over:
            continue
        ctx.media.reopen(call.call_id, call.row)
        running = call.engagement is not None and call.engagement.stage is not Stage.OVER
        if running or Timer.TAIL in call.deadlines:
            ctx.shield(call, ShieldMode.CAPTURE)
        elif any(leg.shield is not ShieldMode.MUTE for leg in call.legs):
            ctx.shield(call, ShieldMode.GUARD)
        ctx.set_streams(call)


def cde_restarted(ctx: Context, now_s: float) -> None:
    """cde was joined anew. Captures that it ran are over, one that was sending with an outcome nobody knows yet; their
    mask stays for the tail.

    Perhaps only the channel broke and cde lives: what takes keys there must end before the mask goes down; a cancel
    of a card on its way would throw its token away. Of one that is being taken up again cde tells, old or new.
    """
    ctx.tell_untold()
    for call in list(ctx.calls.values()):
        engagement = call.engagement
        if engagement is None or engagement.stage is Stage.RESUMING or not engagement.live:
            continue
        if engagement.sending:
            finish(ctx, now_s, call, CaptureResult.UNKNOWN)
        else:
            ctx.end_capture(engagement.capture_id, CaptureResult.INTERRUPTED)
            finish(ctx, now_s, call, CaptureResult.INTERRUPTED)
