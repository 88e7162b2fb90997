"""An INVITE of ours to an agent or a queue: built from what may go on of the caller's, kept until it is final."""

from __future__ import annotations

from typing import Final

from dtmf_shield.call.call import Call, Leg
from dtmf_shield.call.context import ALLOW, Context, Purpose
from dtmf_shield.call.settings import AgentTarget
from dtmf_shield.model.ids import LegRole
from dtmf_shield.sip.dialog import dialog_of_sent_invite, new_request, sip_uri
from dtmf_shield.sip.events import ResponseReceived
from dtmf_shield.sip.sdp import CONTENT_TYPE
from dtmf_shield.sip.uri import NameAddr, Uri

SESSION_ID_BITS: Final = 60


def invite(
    ctx: Context, now_s: float, call: Call, leg: Leg, target: AgentTarget, body: bytes, purpose: Purpose
) -> None:
    """Call ``target``; ``leg.invite`` is the INVITE from now on. An empty body asks for an offer."""
    flow = ctx.endpoint.flow_to(target.host)
    onward, here = call.onward, ctx.endpoint.local[flow]
    request = new_request(
        "INVITE",
        uri=str(sip_uri(target.user, target.address)),
        # The caller's name and user part at our own address: the agent sees who calls, not where from.
        local=NameAddr(onward.display_name, Uri("sip", onward.user, here.host, here.port)),
        remote=NameAddr("", sip_uri(target.user, target.address)),
        call_id=ctx.tokens(),
        tag=ctx.tokens(),
        contact=contact(ctx, flow),
        max_forwards=onward.max_forwards,
        headers=[("Allow", ALLOW), *onward.headers],
        content_type=CONTENT_TYPE,
        body=body,
    )
    leg.invite = ctx.endpoint.send_request(now_s, request, target.address, flow)
    ctx.clients[leg.invite] = (call.call_id, LegRole.AGENT, purpose)


def keep_answered(ctx: Context, call: Call, leg: Leg, event: ResponseReceived) -> None:
    """Take the 2xx of that INVITE: the leg has its dialog. The ACK is still to be sent."""
    leg.invite = None
    leg.takes_update = "UPDATE" in event.response.headers.tokens("Allow")
    ours = event.request.contact
    dialog = dialog_of_sent_invite(
        event.request,
        event.response,
        contact=str(ours.uri) if ours else "",
        source=event.source,
        flow=ctx.endpoint.flow_to(event.source.host),
    )
    ctx.keep_dialog(call, leg, dialog)


def give_up(ctx: Context, now_s: float, leg: Leg, reason: str = "") -> None:
    """CANCEL that INVITE. A 2xx that crosses is answered by ACK and BYE, because nobody knows it any more."""
    if leg.invite is not None:
        ctx.clients.pop(leg.invite, None)
        ctx.endpoint.cancel(now_s, leg.invite, reason)


def contact(ctx: Context, flow: int) -> str:
    """Return a URI of ours that tells nothing."""
    return str(sip_uri(ctx.tokens(), ctx.endpoint.local[flow]))


def session_id(ctx: Context) -> int:
    """Return a number for the o= line that tells nothing: drawn from the token source."""
    value = 0
    for character in ctx.tokens().encode():
        value = (value * 257 + character) % (1 << SESSION_ID_BITS)
    return value
