"""What a flow says in a call: to the caller's phone, and to the agent's where the flow file says so.

cde is told when a prompt begins and ends while a field or a menu is open: the silence before the first key counts from
the end. The caller's phone decides when a prompt is over.
"""

from __future__ import annotations

from dtmf_shield.call.call import Call, Engagement
from dtmf_shield.call.context import Context
from dtmf_shield.flow.engine.commands import Play
from dtmf_shield.model.ids import LegRole
from dtmf_shield.model.messages import PromptSaid


def play(ctx: Context, now_s: float, call: Call, engagement: Engagement, command: Play) -> bool:
    """Say it instead of what is being said. False: nobody hears it, as if it were over."""
    # Milliseconds: above every number that a process before this one may have used in the call.
    call.marks = max(call.marks + 1, int(now_s * 1000))
    if not _play_to(ctx, call, LegRole.CALLER, command, barge_in=command.barge_in):
        ended(ctx, call, engagement)
        return False
    if engagement.flow.prompts_heard_by == "both":
        _play_to(ctx, call, LegRole.AGENT, command, barge_in=False)
    engagement.speaking = call.marks
    if call.handover is not None:
        call.handover.tone = 0  # replaced
    _tell_cde(ctx, engagement, over=False)
    return True


def ring(ctx: Context, now_s: float, call: Call) -> int:
    """Let the caller hear the ringing tone; returns its number, 0 where media is away."""
    call.marks = max(call.marks + 1, int(now_s * 1000))
    language = call.engagement.state.language if call.engagement is not None else call.language
    return call.marks if ctx.media.ring(call.call_id, call.row, call.marks, language) else 0


def stop(ctx: Context, call: Call, engagement: Engagement) -> None:
    """Say nothing more; nothing is told of the end."""
    if engagement.speaking:
        ctx.media.stop_prompt(call.call_id, call.row, LegRole.CALLER, engagement.speaking)
        ended(ctx, call, engagement)


def ended(ctx: Context, call: Call, engagement: Engagement) -> None:
    """The caller's prompt is over, by whatever."""
    if not engagement.speaking:
        return
    if engagement.flow.prompts_heard_by == "both":
        ctx.media.stop_prompt(call.call_id, call.row, LegRole.AGENT, engagement.speaking)
    engagement.speaking = 0
    _tell_cde(ctx, engagement, over=True)


def _play_to(ctx: Context, call: Call, role: LegRole, command: Play, *, barge_in: bool) -> bool:
    return ctx.media.play(
        call.call_id,
        call.row,
        role,
        call.marks,
        command.pieces,
        command.language,
        loop=command.loop,
        barge_in=barge_in,
    )


def _tell_cde(ctx: Context, engagement: Engagement, *, over: bool) -> None:
    if engagement.armed and engagement.opened:
        ctx.capture.send(PromptSaid(engagement.capture_id, over))
