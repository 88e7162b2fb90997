"""After a crash: of control itself (restore from records), of media, of cde. The mask is on before anything else.

A call that was not confirmed when control died is not restored: nothing is sent about it, its peers' timers end it.
A capture that ran then goes on in cde; its place in the flow is found by what cde tells first.
"""

from __future__ import annotations

from collections.abc import Iterable

from dtmf_shield.call import engagement as capturing
from dtmf_shield.call import handover
from dtmf_shield.call.call import Call, Engagement, Leg, Stage, Timer
from dtmf_shield.call.context import Context
from dtmf_shield.call.errors import CommandRefused
from dtmf_shield.call.events import CallAnswered
from dtmf_shield.call.flow_start import inputs_of
from dtmf_shield.call.record import CallRecord, LegRecord
from dtmf_shield.call.settings import ARM_TIMEOUT_S
from dtmf_shield.flow.engine import begin
from dtmf_shield.flow.language import Flow
from dtmf_shield.model.capture import CaptureResult
from dtmf_shield.model.ids import LegRole
from dtmf_shield.model.messages import CancelCapture
from dtmf_shield.model.stream import ShieldMode


def restore(ctx: Context, now_s: float, records: Iterable[CallRecord]) -> int:
    """Take confirmed calls up again; returns how many. One whose trunk, agent or row is gone is forgotten."""
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
        )
        _take_up(ctx, now_s, call, record)
        if record.handed_to:
            handover.hand_over(ctx, now_s, call, "queue", record.handed_to)  # the former INVITE is lost
        count += 1
    return count


def _take_up(ctx: Context, now_s: float, call: Call, record: CallRecord) -> None:
    ctx.calls[call.call_id] = call
    for leg in call.legs:
        if leg.dialog is not None:
            ctx.keep_dialog(call, leg, leg.dialog)
        leg.negotiation.abandon()
    ctx.shield(call, ShieldMode.CAPTURE if record.masked_longer else ShieldMode.GUARD)
    ctx.set_phase(call)
    ctx.events.append(CallAnswered(call.call_id, call.row, restored=True))
    flow = ctx.settings.flows.get(record.flow_id)
    if record.capture_id and flow is None:
        ctx.capture.send(CancelCapture(capture_id=record.capture_id))
    if record.capture_id and flow is not None:
        inputs = _inputs(flow, record)
        state = begin(flow, inputs)[0]
        call.engagement = Engagement(
            record.capture_id,
            flow,
            record.reference,
            record.amount,
            state,
            stage=Stage.RESUMING,
            inputs=inputs,
        )
        ctx.captures[record.capture_id] = call.call_id
        # cde tells its running captures at once; one that it does not know any more is over.
        call.deadlines[Timer.ARM] = now_s + ARM_TIMEOUT_S
    elif record.masked_longer:
        call.deadlines[Timer.TAIL] = now_s + ctx.settings.mask_tail_s


def _inputs(flow: Flow, record: CallRecord) -> dict[str, str]:
    """Return what the flow was told; nothing where it has changed since and takes that no more."""
    try:
        return inputs_of(flow, record.reference, record.amount)
    except CommandRefused:
        return {}


def _leg(role: LegRole, record: LegRecord) -> Leg:
    return Leg(
        role=role,
        negotiation=record.negotiation,
        media_host=record.media_host,
        dialog=record.dialog,
        shield=record.shield,
        codec=record.codec,
        takes_update=record.takes_update,
    )


def media_restarted(ctx: Context, now_s: float) -> None:
    """Open every row again in the new process. Captures whose keys may be incomplete are interrupted.

    A card already on its way needs no media: a cancel would throw its token away. A capture being taken up again is
    told by cde, which has lost the same media.
    """
    for call in list(ctx.calls.values()):
        engagement = call.engagement
        if call.over or engagement is None or engagement.sending:
            continue
        if engagement.stage in (Stage.SHIELDING, Stage.ARMING, Stage.RUNNING):
            ctx.capture.send(CancelCapture(capture_id=engagement.capture_id))
            capturing.finish(ctx, now_s, call, CaptureResult.INTERRUPTED)
    reassert(ctx)


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
    """Captures that ran in the old process are over, one that was sending with an outcome nobody knows yet; their
    mask stays for the tail.
    """
    for call in list(ctx.calls.values()):
        engagement = call.engagement
        if engagement is not None and engagement.stage in (Stage.RESUMING, Stage.ARMING, Stage.RUNNING):
            result = CaptureResult.UNKNOWN if engagement.sending else CaptureResult.INTERRUPTED
            capturing.finish(ctx, now_s, call, result)
