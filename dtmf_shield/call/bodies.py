"""SDP of the two legs: one side's description passed on to the other, or our own where no other side is there.

A call without an agent is answered by us (RFC 3264, RFC 6337 section 2): the caller's first codec that we take, both
directions as far as the caller allows. Without an offer the 2xx brings ours and the ACK the answer.
"""

from __future__ import annotations

from dtmf_shield.call.call import Call, Leg
from dtmf_shield.call.codec_choice import choose_codecs, codecs_taken, codecs_to_offer
from dtmf_shield.call.context import Context
from dtmf_shield.model.stream import Codec, Direction
from dtmf_shield.sip.errors import SdpError
from dtmf_shield.sip.message import Request, Response
from dtmf_shield.sip.sdp import PTIME_DEFAULT_MS, RemoteAudio


def offer_to(ctx: Context, call: Call, leg: Leg, source: RemoteAudio) -> bytes:
    """Make the offer to ``leg`` that passes on the other side's description: its codecs that are ours first, its
    ptime, its direction; our address. Raises SdpError 488.
    """
    return leg.negotiation.send_offer(
        host=leg.media_host,
        port=ctx.media_port(call, leg),
        codecs=codecs_to_offer(source.codecs, ctx.settings.codecs, leg.codec),
        ptime_ms=source.ptime_ms or PTIME_DEFAULT_MS,
        direction=source.direction,
    )


def answer_to(ctx: Context, call: Call, leg: Leg, answer: RemoteAudio, *, final: bool = True) -> bytes:
    """Make the answer to ``leg`` from the other side's, and choose both legs' codecs. Raises SdpError 488."""
    other = call.leg(leg.role.peer)
    remote, local = leg.negotiation.remote, other.negotiation.local
    offered = codecs_taken(remote.codecs if remote is not None else (), ctx.settings.codecs)
    answered = codecs_taken(answer.codecs, local.codecs if local is not None else ())
    leg.codec, other.codec = choose_codecs(offered, answered)
    return leg.negotiation.send_answer(
        host=leg.media_host,
        port=ctx.media_port(call, leg),
        codec=leg.codec,
        ptime_ms=answer.ptime_ms,
        direction=answer.direction,
        final=final,
    )


def own_body(ctx: Context, call: Call, leg: Leg, offer: RemoteAudio | None) -> bytes:
    """Return our answer to an offer that ``leg`` has taken; without one our offer, whose answer the ACK brings.

    Raises SdpError 488.
    """
    if offer is None:
        leg.answer_in_ack = True
        return own_offer(ctx, call, leg, leg.codec)
    taken = codecs_taken(offer.codecs, ctx.settings.codecs)
    leg.codec = leg.codec if leg.codec in taken else taken[0]
    return leg.negotiation.send_answer(
        host=leg.media_host,
        port=ctx.media_port(call, leg),
        codec=leg.codec,
        ptime_ms=offer.ptime_ms or PTIME_DEFAULT_MS,
        direction=Direction.SENDRECV,
    )


def own_offer(ctx: Context, call: Call, leg: Leg, preferred: Codec | None) -> bytes:
    """Make an offer of ours to ``leg``: the preferred codec first, then what media can change over to."""
    described = ctx.settings.codecs if preferred is None else (preferred,)
    return leg.negotiation.send_offer(
        host=leg.media_host,
        port=ctx.media_port(call, leg),
        codecs=codecs_to_offer(described, ctx.settings.codecs, leg.codec),
        ptime_ms=PTIME_DEFAULT_MS,
        direction=Direction.SENDRECV,
    )


def take_answer(ctx: Context, leg: Leg, ack: Request) -> bool:
    """Take the answer to our own offer from an ACK; False where there is none that we can use."""
    leg.answer_in_ack = False
    try:
        answer = leg.negotiation.receive_answer(body_of(ack))
        leg.codec = codecs_taken(answer.codecs, ctx.settings.codecs)[0]
    except SdpError:
        leg.negotiation.abandon()
        return False
    return True


def body_of(message: Request | Response) -> bytes:
    """Return a readable body; nothing of one that may hold keys."""
    return message.body if isinstance(message.body, bytes) else b""
