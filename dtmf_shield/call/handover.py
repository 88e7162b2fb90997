"""Handing a caller to an agent or a queue: INVITE it, and once it answers let the two talk.

The caller hears what is played to them meanwhile, and re-offers of theirs are answered by us. What cde holds stays
there, and the mask stays as it is: the new leg is born under it. Who has an agent already keeps that agent until the
new one has answered; the first then gets BYE. Redirections and challenges are refusals (as in setup). Early media of
the called side is not played: the caller hears our prompt, and a ringing tone of ours where none is said (RFC 3960
section 3.1).
"""

from __future__ import annotations

from dtmf_shield.call import calling, prompting
from dtmf_shield.call.bodies import body_of, own_offer
from dtmf_shield.call.call import Call, Handover, Leg, Stage, Timer
from dtmf_shield.call.codec_choice import choose_codecs, codecs_taken
from dtmf_shield.call.context import Context, Purpose
from dtmf_shield.call.events import CallHandedOver, CallPhase
from dtmf_shield.call.settings import AgentTarget
from dtmf_shield.flow.language.steps import ExitStep, TransferStep
from dtmf_shield.model.ids import LegRole
from dtmf_shield.sip.errors import SdpError
from dtmf_shield.sip.events import ResponseReceived
from dtmf_shield.sip.offer_answer import Negotiation


def hand_over(ctx: Context, now_s: float, call: Call, to: str, target: str) -> None:
    """Hand the call to ``target``, an agent's or queue's name; empty with ``to`` "agent": the agent it has, and for a
    caller who is alone the first target that the flow's file names: so goes one whose flow broke off.

    How it ends is told by ``Context.handed_over``, never before this returns. While somebody is being called, asked
    for the same or for nobody it goes on; for another one the first is given up.
    """
    if call.alone and not target:
        target = _first_target(call)
    present = call.target if to == "agent" and not target else None
    wanted = ctx.settings.agents.get(target, present)
    handover = call.handover
    if handover is not None and wanted in (None, handover.target):
        return
    give_up(ctx, now_s, call)
    if wanted is None:
        _tell(ctx, call, target, ok=False, reason="unknown_target" if target else "no_target")
    elif wanted is call.target:
        _tell(ctx, call, wanted.name, ok=True, reason="there_already")
    else:
        _call(ctx, now_s, call, wanted)


def _first_target(call: Call) -> str:
    steps = call.engagement.flow.steps.values() if call.engagement is not None else ()
    named = (step.target for step in steps if isinstance(step, TransferStep | ExitStep))
    return next((target for target in named if target), "")


def _call(ctx: Context, now_s: float, call: Call, wanted: AgentTarget) -> None:
    v6 = ":" in wanted.host
    host = ctx.media.media_address(v6=v6)
    if host is None or not any((":" in local.host) == v6 for local in ctx.endpoint.local):
        _tell(ctx, call, wanted.name, ok=False, reason="no_such_address_family")
        return
    negotiation = Negotiation(session_id=calling.session_id(ctx))
    before = call.agent
    leg = Leg(
        LegRole.AGENT, negotiation, host, shield=before.shield, shield_confirmed=before.shield_confirmed
    )
    body = own_offer(ctx, call, leg, call.caller.codec)
    calling.invite(ctx, now_s, call, leg, wanted, body, Purpose.HANDOVER)
    call.handover = Handover(wanted, leg)
    ctx.changed.add(call.call_id)
    call.deadlines[Timer.HANDOVER] = now_s + ctx.settings.ring_limit_s


def give_up(ctx: Context, now_s: float, call: Call) -> None:
    """Call nobody any more; nothing is told."""
    if call.handover is not None:
        calling.give_up(ctx, now_s, call.handover.leg)
        _hush(ctx, call, call.handover)
        call.handover = None
        call.deadlines.pop(Timer.HANDOVER, None)


def ring(ctx: Context, now_s: float, call: Call) -> None:
    """Let a caller who is alone and is told nothing hear that a phone rings for them, if one does."""
    handover, engagement = call.handover, call.engagement
    if handover is None or not handover.rings or handover.tone or not call.alone:
        return
    if engagement is None or not engagement.speaking:
        handover.tone = prompting.ring(ctx, now_s, call)
        ctx.changed.add(call.call_id)


def _hush(ctx: Context, call: Call, handover: Handover) -> None:
    if handover.tone:
        ctx.media.stop_prompt(call.call_id, call.row, LegRole.CALLER, handover.tone)


def is_forsaken(call: Call) -> bool:
    """Whether a caller is alone with no flow that serves them and nobody being called for them."""
    if not call.alone or call.phase not in (CallPhase.TALKING, CallPhase.HELD) or call.handover is not None:
        return False
    return call.engagement is None or call.engagement.stage is Stage.OVER


def no_answer(ctx: Context, now_s: float, call: Call) -> None:
    """The ring limit is over, or the called side does not answer at all."""
    if call.handover is not None:
        target = call.handover.target.name
        give_up(ctx, now_s, call)
        _tell(ctx, call, target, ok=False, reason="no_answer", status=408)


def receive_response(ctx: Context, now_s: float, call: Call, event: ResponseReceived) -> None:
    """Take a response to our INVITE to the called side."""
    handover, status = call.handover, event.response.status
    if handover is None or handover.leg.invite != event.transaction:
        return
    if status < 200:
        handover.rings = handover.rings or status > 100
        ring(ctx, now_s, call)
        return
    name = handover.target.name
    if status >= 300:
        handover.leg.invite = None
        give_up(ctx, now_s, call)
        _tell(ctx, call, name, ok=False, reason="refused", status=status)
        return
    _answered(ctx, now_s, call, handover, event)


def _answered(ctx: Context, now_s: float, call: Call, handover: Handover, event: ResponseReceived) -> None:
    leg, name = handover.leg, handover.target.name
    calling.keep_answered(ctx, call, leg, event)
    _hush(ctx, call, handover)
    ctx.acknowledge(leg, event.transaction, event.response.to_tag, event.request.cseq.number)
    call.handover = None
    call.deadlines.pop(Timer.HANDOVER, None)
    reason = _not_joined(ctx, call, leg, event)
    if reason:
        ctx.hang_up_leg(now_s, call, leg)
        _tell(ctx, call, name, ok=False, reason=reason)
        return
    before, call.agent, call.target = call.agent, leg, handover.target
    # While it rang media may have been told, and have told us, something else of the agent's side.
    leg.shield, leg.shield_confirmed = before.shield, before.shield_confirmed
    ctx.hang_up_leg(now_s, call, before)
    ctx.agreed(call)
    _tell(ctx, call, name, ok=True, reason="answered")


def _not_joined(ctx: Context, call: Call, leg: Leg, event: ResponseReceived) -> str:
    """Agree on the leg's codec; return why it cannot join, empty where it can."""
    if not call.alone and (call.exchange is not None or any(one.unacknowledged for one in call.legs)):
        return (
            "renegotiating"  # caller and first agent are in the middle of an offer: rare, and safe to refuse
        )
    try:
        answer = leg.negotiation.receive_answer(body_of(event.response))
        local = leg.negotiation.local
        answered = codecs_taken(answer.codecs, local.codecs if local is not None else ())
    except SdpError:
        return "no_codec"
    spoken = (call.caller.codec,) if call.caller.codec is not None else ctx.settings.codecs
    leg.codec = choose_codecs(spoken, answered)[1]
    return ""


def _tell(ctx: Context, call: Call, target: str, *, ok: bool, reason: str, status: int = 0) -> None:
    ctx.handed_over.append((call.call_id, ok))
    ctx.changed.add(call.call_id)
    ctx.events.append(CallHandedOver(call.call_id, target, ok, reason, status))
