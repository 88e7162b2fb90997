"""Requests within the two dialogs: BYE, hold and other re-offers passed to the other side, INFO, OPTIONS.

A re-INVITE or UPDATE is passed on as an offer of ours and answered when the other side has answered, so that both
sides always have agreed on the same. One at a time per call; what crosses gets 491 or 500 and is tried again by its
sender (RFC 3261 section 14). Those of a caller who is alone we answer ourselves.
"""

from __future__ import annotations

from typing import Final

from dtmf_shield.call import engagement as capturing
from dtmf_shield.call import handover
from dtmf_shield.call.admission import answer_options
from dtmf_shield.call.bodies import answer_to, body_of, offer_to, own_body, take_answer
from dtmf_shield.call.call import Call, Exchange, Leg
from dtmf_shield.call.context import ALLOW, Context, Purpose, dialog_of
from dtmf_shield.call.setup import cancel_agent, refuse_caller
from dtmf_shield.model.ids import LegRole
from dtmf_shield.sip.errors import SdpError
from dtmf_shield.sip.events import RequestReceived, ResponseReceived, TransactionId
from dtmf_shield.sip.message import OpaqueBody, Request, respond_to
from dtmf_shield.sip.sdp import CONTENT_TYPE, RemoteAudio

INFO_TYPES: Final = frozenset({"application/dtmf-relay", "application/dtmf"})
OVERLAP_RETRY_AFTER_S: Final = 2
"""RFC 3261 section 14.2 wants 0 to 10, at random; ours is fixed, for the core draws no lots."""
DIALOG_GONE: Final = frozenset({408, 481})
"""RFC 5057 section 5.1: these answers to a re-INVITE mean that the dialog is gone."""


def receive_request(ctx: Context, now_s: float, call: Call, leg: Leg, event: RequestReceived) -> None:
    """Take a request within a dialog."""
    dialog = dialog_of(leg)
    request = event.request
    ctx.changed.add(call.call_id)
    if not dialog.accept_cseq(request):
        ctx.answer(now_s, event.transaction, request, 500)
        return
    if request.method == "BYE":
        _receive_bye(ctx, now_s, call, leg, event)
    elif request.method == "INFO":
        _receive_info(ctx, now_s, call, leg, event)
    elif request.method == "OPTIONS":
        answer_options(ctx, now_s, event, ready=True)
    else:
        _receive_offer(ctx, now_s, call, leg, event)


def _receive_bye(ctx: Context, now_s: float, call: Call, leg: Leg, event: RequestReceived) -> None:
    ctx.answer(now_s, event.transaction, event.request, 200)
    leg.unacknowledged, leg.bye_wanted = None, False
    ctx.drop_dialog(leg)
    hang_up(ctx, now_s, call, f"{leg.role.value}_bye")


def hang_up(ctx: Context, now_s: float, call: Call, reason: str) -> None:
    """End both legs, whatever is open; cde wipes what was keyed."""
    capturing.caller_gone(ctx, now_s, call)
    handover.give_up(ctx, now_s, call)
    exchange = call.exchange
    if exchange is not None:
        call.exchange = None
        # RFC 3261 section 15.1.2: pending requests of an ended dialog get 487.
        ctx.answer(now_s, exchange.server, exchange.request, 487)
        ctx.servers.pop(exchange.server, None)
        ctx.endpoint.cancel(now_s, exchange.client)
    if not call.confirmed:
        cancel_agent(ctx, now_s, call)
        refuse_caller(ctx, now_s, call, 487)
        return
    for leg in call.legs:
        ctx.hang_up_leg(now_s, call, leg)
    ctx.end(call, 0, reason)


def _receive_info(ctx: Context, now_s: float, call: Call, leg: Leg, event: RequestReceived) -> None:
    request, body = event.request, event.request.body
    headers: tuple[tuple[str, str], ...] = ()
    if request.headers.get("Info-Package") is not None:
        status, headers = 469, (("Recv-Info", ""),)  # RFC 6086 section 4.2.2
    elif not len(body):
        status = 200
    elif request.content_type not in INFO_TYPES or not isinstance(body, OpaqueBody):
        status, headers = 415, (("Accept", ", ".join(sorted(INFO_TYPES))),)
    elif leg.role is LegRole.CALLER and not call.trunk.accept_info:
        status, headers = 415, (("Accept", CONTENT_TYPE),)
    else:
        carried = ctx.capture.opaque_info(call.call_id, call.row, leg.role, body)
        status = 200 if carried else 503
        leg.info = leg.info or carried
    if isinstance(body, OpaqueBody):
        body.wipe()
    ctx.answer(now_s, event.transaction, request, status, headers=headers)


# --- re-INVITE and UPDATE ---------------------------------------------------------------------------------


def _receive_offer(ctx: Context, now_s: float, call: Call, leg: Leg, event: RequestReceived) -> None:
    request = event.request
    refusal = _overlap(call, leg)
    if refusal is not None:
        retry = (("Retry-After", str(OVERLAP_RETRY_AFTER_S)),) if refusal == 500 else ()
        ctx.answer(now_s, event.transaction, request, refusal, headers=retry)
        return
    if request.method == "UPDATE" and not len(request.body):
        dialog_of(leg).refresh_target(request)
        _answer(ctx, now_s, leg, event.transaction, request, b"")
        return
    try:
        offer = _offer_of(leg, request)
        body = _onward_body(ctx, call, leg, offer)
    except SdpError as error:
        leg.negotiation.abandon()
        ctx.answer(now_s, event.transaction, request, error.status)
        return
    dialog_of(leg).refresh_target(request)
    if request.method == "INVITE":
        ctx.servers[event.transaction] = (call.call_id, leg.role)
    if call.alone:
        _answer_ourselves(ctx, now_s, call, event, body)
    else:
        _pass_on(ctx, now_s, call, leg, event, body)


def _offer_of(leg: Leg, request: Request) -> RemoteAudio | None:
    if not len(request.body):
        return None
    offer = leg.negotiation.receive_offer(body_of(request))
    _check_family(offer.host, leg)
    return offer


def _onward_body(ctx: Context, call: Call, leg: Leg, offer: RemoteAudio | None) -> bytes:
    """Return what the other side is offered, nothing where it is to offer; where nobody is there, our own body."""
    if call.alone:
        return own_body(ctx, call, leg, offer)
    return offer_to(ctx, call, call.leg(leg.role.peer), offer) if offer is not None else b""


def _pass_on(ctx: Context, now_s: float, call: Call, leg: Leg, event: RequestReceived, body: bytes) -> None:
    request, other = event.request, call.leg(leg.role.peer)
    if request.method == "INVITE":
        ctx.answer(now_s, event.transaction, request, 100)
    # An UPDATE without answer is no way to ask for an offer; a late re-INVITE stays an INVITE.
    method = "UPDATE" if request.method == "UPDATE" and other.takes_update else "INVITE"
    onward = dialog_of(other).request(
        method, headers=[("Allow", ALLOW)], content_type=CONTENT_TYPE, body=body
    )
    client = ctx.send(now_s, call, other, onward, Purpose.EXCHANGE)
    call.exchange = Exchange(leg.role, event.transaction, request, client, late=not body)


def _answer_ourselves(ctx: Context, now_s: float, call: Call, event: RequestReceived, body: bytes) -> None:
    _answer(ctx, now_s, call.caller, event.transaction, event.request, body)
    if event.request.method == "INVITE":
        call.caller.unacknowledged = event.transaction
    if not call.caller.answer_in_ack:
        ctx.agreed(call)


def _overlap(call: Call, leg: Leg) -> int | None:
    """Return the status for an offer that crosses another (RFC 3261 section 14.2, RFC 3311 section 5.2)."""
    if call.exchange is not None:
        return 500 if call.exchange.origin is leg.role else 491
    if not call.confirmed:
        return 500
    if any(one.unacknowledged is not None for one in call.legs):
        return 491
    return None


def _check_family(host: str, leg: Leg) -> None:
    if (":" in host) != (":" in leg.media_host):
        raise SdpError("change of address family", 488)


def receive_response(ctx: Context, now_s: float, call: Call, event: ResponseReceived) -> None:
    """Take the other side's response to an offer that was passed on."""
    exchange = call.exchange
    status = event.response.status
    if status < 200:
        return
    if exchange is None or exchange.client != event.transaction:
        if event.request.method == "INVITE" and status < 300:
            _acknowledge_alone(ctx, call, event)
        return
    if status >= 300:
        fail_exchange(ctx, now_s, call, status)
        return
    other = call.leg(exchange.origin.peer)
    dialog_of(other).refresh_target(event.response)
    try:
        _take_success(ctx, now_s, call, exchange, event)
    except SdpError:
        _acknowledge_alone(ctx, call, event)
        fail_exchange(ctx, now_s, call, 488)


def _take_success(
    ctx: Context, now_s: float, call: Call, exchange: Exchange, event: ResponseReceived
) -> None:
    origin, other = call.leg(exchange.origin), call.leg(exchange.origin.peer)
    received = body_of(event.response)
    if exchange.late:
        body = offer_to(ctx, call, origin, other.negotiation.receive_offer(received))
        exchange.late_ack = (event.transaction, event.request.cseq.number)
    else:
        answer = other.negotiation.receive_answer(received)
        _check_family(answer.host, other)
        body = answer_to(ctx, call, origin, answer)
        if event.request.method == "INVITE":
            _acknowledge_alone(ctx, call, event)
    _answer(ctx, now_s, origin, exchange.server, exchange.request, body)
    if exchange.request.method == "INVITE":
        origin.unacknowledged = exchange.server
    if not exchange.late:
        call.exchange = None
        ctx.agreed(call)


def _acknowledge_alone(ctx: Context, call: Call, event: ResponseReceived) -> None:
    leg = next(
        (leg for leg in call.legs if leg.dialog and leg.dialog.call_id == event.response.call_id), None
    )
    if leg is not None and event.request.method == "INVITE":
        ctx.acknowledge(leg, event.transaction, event.response.to_tag, event.request.cseq.number)


def receive_ack(ctx: Context, now_s: float, call: Call, ack: Request) -> bool:
    """Take the ACK of a re-INVITE; with a late offer it brings the answer. False: the call must end."""
    if call.caller.answer_in_ack:
        taken = take_answer(ctx, call.caller, ack)
        if taken:
            ctx.agreed(call)
        return taken
    exchange = call.exchange
    if exchange is None or exchange.late_ack is None:
        return True
    call.exchange = None
    transaction, number = exchange.late_ack
    origin, other = call.leg(exchange.origin), call.leg(exchange.origin.peer)
    tag = dialog_of(other).remote_tag
    try:
        answer = origin.negotiation.receive_answer(body_of(ack))
        body = answer_to(ctx, call, other, answer)
    except SdpError:
        ctx.acknowledge(other, transaction, tag, number)
        return False
    ctx.acknowledge(other, transaction, tag, number, body)
    ctx.agreed(call)
    return True


def fail_exchange(ctx: Context, now_s: float, call: Call, status: int) -> None:
    """Pass a refusal back: both sides keep what they had, or end where the other dialog is gone."""
    exchange = call.exchange
    if exchange is None:
        return
    call.exchange = None
    for leg in call.legs:
        leg.negotiation.abandon()
    shown = 488 if 300 <= status < 400 or status in (401, 407) else status
    ctx.answer(now_s, exchange.server, exchange.request, shown)
    ctx.servers.pop(exchange.server, None)
    if status in DIALOG_GONE:
        ctx.drop_dialog(call.leg(exchange.origin.peer))
        hang_up(ctx, now_s, call, "dialog_gone")


def cancel_exchange(ctx: Context, now_s: float, call: Call, transaction: TransactionId) -> None:
    """The sender of a re-INVITE has given up: so do we on the other side."""
    exchange = call.exchange
    if exchange is None or exchange.server != transaction:
        return
    ctx.endpoint.cancel(now_s, exchange.client)
    fail_exchange(ctx, now_s, call, 487)


def _answer(
    ctx: Context, now_s: float, leg: Leg, transaction: TransactionId, request: Request, body: bytes
) -> None:
    headers = [("Contact", f"<{dialog_of(leg).contact}>"), ("Allow", ALLOW)]
    if body:
        headers.append(("Content-Type", CONTENT_TYPE))
    ctx.endpoint.respond(now_s, transaction, respond_to(request, 200, headers=headers, body=body))
