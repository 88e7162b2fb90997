"""From a caller's INVITE to two confirmed dialogs, or to its refusal. Routes, early media, CANCEL.

Where the route names a flow and no agent there is one dialog, which we answer at once.

A 3xx is not followed: nobody but the configuration decides where we call; the caller gets 480. A challenge (401, 407)
from the agent's side becomes 502: the caller could not answer it.
"""

from __future__ import annotations

from typing import Final

from dtmf_shield.call.admission import Refusal
from dtmf_shield.call.bodies import answer_to, body_of, offer_to, own_body, take_answer
from dtmf_shield.call.call import Call, Leg, Timer
from dtmf_shield.call.calling import contact, give_up, invite, keep_answered, session_id
from dtmf_shield.call.codec_choice import codecs_taken
from dtmf_shield.call.context import ALLOW, Context, Purpose, dialog_of
from dtmf_shield.call.engagement import engage
from dtmf_shield.call.events import CallAnswered, CallPhase, CallPhaseChanged, CallStarted
from dtmf_shield.call.flow_start import headers_for_flows
from dtmf_shield.call.onward import caller_user, onward_of
from dtmf_shield.call.settings import AgentTarget, Route, Trunk
from dtmf_shield.model.ids import CallId, LegRole
from dtmf_shield.model.stream import ShieldMode
from dtmf_shield.sip.dialog import dialog_of_received_invite
from dtmf_shield.sip.endpoint import RETRY_AFTER_S
from dtmf_shield.sip.errors import SdpError
from dtmf_shield.sip.events import RequestReceived, ResponseReceived
from dtmf_shield.sip.message import Request, respond_to
from dtmf_shield.sip.offer_answer import Negotiation
from dtmf_shield.sip.sdp import CONTENT_TYPE, RemoteAudio
from dtmf_shield.sip.uri import parse_uri

_RETRY: Final = (("Retry-After", str(RETRY_AFTER_S)),)


def receive_invite(ctx: Context, now_s: float, event: RequestReceived, *, ready: bool) -> None:
    """Take a caller's INVITE: refuse it, call the agent, or answer it."""
    request = event.request
    trunk = ctx.settings.trunk_of(event.source.host)
    if trunk is None:
        # An agent's address: calls from agents are not served in this version.
        ctx.answer(now_s, event.transaction, request, 403)
        return
    dialled = parse_uri(request.uri).user or ""
    route = ctx.settings.route_of(dialled)
    refused = _refusal(ctx, request, route, ready=ready)
    if refused is not None or route is None:
        status, headers = refused or (404, ())
        ctx.answer(now_s, event.transaction, request, status, headers=headers)
        return
    _begin(ctx, now_s, event, trunk, route, dialled)


def _refusal(ctx: Context, request: Request, route: Route | None, *, ready: bool) -> Refusal | None:
    if request.max_forwards == 0:
        return 483, ()  # RFC 3261 section 16.3: it would have to go on
    if not ready:
        return 503, _RETRY
    if route is None or not _leads_on(ctx, route):
        return 404, ()
    if len(ctx.calls) >= ctx.settings.calls_max:
        return 503, _RETRY
    return None


def _leads_on(ctx: Context, route: Route) -> bool:
    if route.agent is None:
        return route.engage_flow in ctx.settings.flows
    return route.agent in ctx.settings.agents


def _begin(
    ctx: Context, now_s: float, event: RequestReceived, trunk: Trunk, route: Route, dialled: str
) -> None:
    request = event.request
    target = ctx.settings.agents[route.agent] if route.agent is not None else None
    negotiation = Negotiation(session_id=session_id(ctx))
    offer: RemoteAudio | None = None
    try:
        if len(request.body):
            offer = negotiation.receive_offer(body_of(request))
            codecs_taken(offer.codecs, ctx.settings.codecs)
    except SdpError as error:
        ctx.answer(now_s, event.transaction, request, error.status)
        return
    caller_host = ctx.media.media_address(v6=":" in (offer.host if offer else event.source.host))
    agent_host = ctx.media.media_address(v6=":" in target.host) if target is not None else caller_host
    if caller_host is None or agent_host is None:
        ctx.answer(now_s, event.transaction, request, 488)
        return
    call_id = CallId(ctx.tokens())
    ports = ctx.media.reserve(call_id)
    if ports is None:
        ctx.answer(now_s, event.transaction, request, 503, headers=_RETRY)
        return
    call = Call(
        call_id=call_id,
        trunk=trunk,
        target=target,
        dialled=dialled,
        caller_user=caller_user(request),
        started_s=now_s,
        ports=ports,
        caller=Leg(LegRole.CALLER, negotiation, caller_host, invite=event.transaction),
        agent=Leg(LegRole.AGENT, Negotiation(session_id=session_id(ctx)), agent_host),
        onward=onward_of(request, trunk.pass_headers),
        invite_request=request,
        engage_flow=route.engage_flow,
        headers=headers_for_flows(ctx.settings.flows.values(), request),
        language=route.language,
        late=offer is None and target is not None,
    )
    ctx.calls[call_id] = call
    ctx.servers[event.transaction] = (call_id, LegRole.CALLER)
    dialog = dialog_of_received_invite(
        request,
        local_tag=ctx.tokens(),
        contact=contact(ctx, event.flow),
        source=event.source,
        flow=event.flow,
    )
    ctx.keep_dialog(call, call.caller, dialog)
    call.caller.takes_update = "UPDATE" in request.headers.tokens("Allow")
    ctx.events.append(CallStarted(call_id))
    if target is None:
        _answer_ourselves(ctx, now_s, call, offer)
    else:
        _call_agent(ctx, now_s, call, target, offer)


def _call_agent(
    ctx: Context, now_s: float, call: Call, target: AgentTarget, offer: RemoteAudio | None
) -> None:
    if call.caller.invite is not None and call.invite_request is not None:
        ctx.answer(now_s, call.caller.invite, call.invite_request, 100)
    body = offer_to(ctx, call, call.agent, offer) if offer is not None else b""
    invite(ctx, now_s, call, call.agent, target, body, Purpose.SETUP)
    call.deadlines[Timer.RING] = now_s + ctx.settings.ring_limit_s


def _answer_ourselves(ctx: Context, now_s: float, call: Call, offer: RemoteAudio | None) -> None:
    """Nobody is called. With an offer the flow begins now, else with the ACK, which brings the answer."""
    body = own_body(ctx, call, call.caller, offer)
    call.caller.unacknowledged, call.caller.invite = call.caller.invite, None
    _answer_invite(ctx, now_s, call, 200, "", body)
    call.confirmed = True
    ctx.changed.add(call.call_id)
    if offer is not None:
        talk(ctx, now_s, call)


def receive_response(ctx: Context, now_s: float, call: Call, event: ResponseReceived) -> None:
    """Take a response to our INVITE to the agent."""
    status = event.response.status
    if status == 100:
        return
    if status < 200:
        _receive_provisional(ctx, now_s, call, event)
    elif status < 300:
        _receive_success(ctx, now_s, call, event)
    else:
        shown = _passed_status(status)
        retry_after = event.response.headers.get("Retry-After")
        headers = (("Retry-After", retry_after),) if retry_after and shown == status else ()
        reason = event.response.reason if shown == status else ""
        refuse_caller(ctx, now_s, call, shown, reason=reason, headers=headers)


def _passed_status(status: int) -> int:
    if 300 <= status < 400:
        return 480
    return 502 if status in (401, 407) else status


def _receive_provisional(ctx: Context, now_s: float, call: Call, event: ResponseReceived) -> None:
    body = b""
    # A late call's first SDP from the agent would be an offer, which only a 2xx may bring reliably.
    if len(event.response.body) and event.response.content_type == CONTENT_TYPE and not call.late:
        try:
            answer = call.agent.negotiation.receive_answer(body_of(event.response), final=False)
        except SdpError:
            return  # the final response decides
        body = answer_to(ctx, call, call.caller, answer, final=False)
        ctx.set_streams(call)
        ctx.shield(call, ShieldMode.GUARD)
        if call.phase is CallPhase.RINGING:
            call.phase = CallPhase.EARLY
            ctx.events.append(CallPhaseChanged(call.call_id, call.phase))
    _answer_invite(ctx, now_s, call, event.response.status, event.response.reason, body)


def _receive_success(ctx: Context, now_s: float, call: Call, event: ResponseReceived) -> None:
    keep_answered(ctx, call, call.agent, event)
    number = event.request.cseq.number
    try:
        body = _bodies_of_success(ctx, call, event)
    except SdpError:
        ctx.acknowledge(call.agent, event.transaction, event.response.to_tag, number)
        ctx.hang_up_leg(now_s, call, call.agent)
        refuse_caller(ctx, now_s, call, 488)
        return
    if not call.late:
        ctx.acknowledge(call.agent, event.transaction, event.response.to_tag, number)
    call.deadlines.pop(Timer.RING, None)
    call.caller.unacknowledged, call.caller.invite = call.caller.invite, None
    _answer_invite(ctx, now_s, call, 200, event.response.reason, body)
    call.confirmed = True
    ctx.changed.add(call.call_id)
    if call.late:
        call.late_ack = (event.transaction, number)
    else:
        talk(ctx, now_s, call)


def _bodies_of_success(ctx: Context, call: Call, event: ResponseReceived) -> bytes:
    """Return the body for the caller: the answer, or for a late offer the agent's offer."""
    received = body_of(event.response) if event.response.content_type == CONTENT_TYPE else b""
    if call.late:
        return offer_to(ctx, call, call.caller, call.agent.negotiation.receive_offer(received))
    early = call.agent.negotiation.remote
    if not received and early is not None:
        # An answer in a provisional response alone is against RFC 3261 section 13.2.1, but clear.
        call.agent.negotiation.abandon()
        call.agent.negotiation.remote = call.agent.negotiation.agreed_remote = early
        answer = early
    else:
        answer = call.agent.negotiation.receive_answer(received)
    return answer_to(ctx, call, call.caller, answer, final=True)


def receive_ack(ctx: Context, now_s: float, call: Call, ack: Request) -> bool:
    """Take the ACK of our first 2xx; with a late offer it brings the answer. False: the call must end."""
    if call.caller.answer_in_ack and call.phase is CallPhase.RINGING:
        if not take_answer(ctx, call.caller, ack):
            return False
        talk(ctx, now_s, call)
        return True
    if call.late_ack is None:
        return True
    transaction, number = call.late_ack
    call.late_ack, call.late = None, False
    tag = dialog_of(call.agent).remote_tag
    try:
        answer = call.caller.negotiation.receive_answer(body_of(ack))
    except SdpError:
        call.agent.negotiation.abandon()
        ctx.acknowledge(call.agent, transaction, tag, number)
        return False
    body = answer_to(ctx, call, call.agent, answer)
    ctx.acknowledge(call.agent, transaction, tag, number, body)
    talk(ctx, now_s, call)
    return True


def talk(ctx: Context, now_s: float, call: Call) -> None:
    """Both sides have agreed: open the streams under guard, and engage what the route says. A caller who is alone is
    shielded for a capture from the first packet.
    """
    call.invite_request = None
    if call.alone:
        ctx.shield(call, ShieldMode.CAPTURE)
    ctx.set_streams(call)
    if not call.alone:
        ctx.shield(call, ShieldMode.GUARD)
    ctx.set_phase(call)
    ctx.events.append(CallAnswered(call.call_id, call.row))
    if call.engage_flow is not None:
        engage(ctx, now_s, call.call_id, call.engage_flow)


def refuse_caller(
    ctx: Context,
    now_s: float,
    call: Call,
    status: int,
    *,
    reason: str = "",
    headers: tuple[tuple[str, str], ...] = (),
) -> None:
    """End a call that was never answered."""
    call.agent.invite = None
    if call.caller.invite is not None and call.invite_request is not None:
        tag = dialog_of(call.caller).local_tag
        ctx.answer(
            now_s, call.caller.invite, call.invite_request, status, reason=reason, to_tag=tag, headers=headers
        )
        ctx.servers.pop(call.caller.invite, None)
    ctx.end(call, status, "refused")


def cancel_agent(ctx: Context, now_s: float, call: Call, reason: str = "") -> None:
    """Give up our INVITE to the agent of a call that is not answered yet."""
    give_up(ctx, now_s, call.agent, reason)


def _answer_invite(ctx: Context, now_s: float, call: Call, status: int, reason: str, body: bytes) -> None:
    request = call.invite_request
    transaction = call.caller.invite or call.caller.unacknowledged
    if request is None or transaction is None:
        return
    dialog = dialog_of(call.caller)
    headers = [("Record-Route", route) for route in request.headers.get_all("Record-Route")]
    headers += [("Contact", f"<{dialog.contact}>"), ("Allow", ALLOW)]
    if body:
        headers.append(("Content-Type", CONTENT_TYPE))
    response = respond_to(
        request, status, to_tag=dialog.local_tag, reason=_reason(reason), headers=headers, body=body
    )
    ctx.endpoint.respond(now_s, transaction, response)


def _reason(reason: str) -> str:
    return reason if reason.isascii() and len(reason) <= 64 else ""
