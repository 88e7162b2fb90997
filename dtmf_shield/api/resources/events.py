"""The stream of changes, and tickets for readers that cannot send a header."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import Response, StreamingResponse

from dtmf_shield.api.access import Context, OncePerKey, context_of, once, signed_in
from dtmf_shield.api.identity.principal import EVERY_ROLE, Principal
from dtmf_shield.api.problem import ApiRefusal, documented
from dtmf_shield.api.resources.bodies import NoMembers
from dtmf_shield.api.tickets import TICKET_LIFETIME_S
from dtmf_shield.api.views.words import Identifier, View

TICKET_CHARACTERS_MAX: Final = 64
router = APIRouter(prefix="/v1", responses=documented())


class StreamTicket(View):
    """Opens ``/v1/events?ticket=…`` once, within ``lifetime_s``."""

    ticket: Identifier
    lifetime_s: int = TICKET_LIFETIME_S


async def _reader(
    request: Request, ticket: Annotated[str | None, Query(max_length=TICKET_CHARACTERS_MAX)] = None
) -> Principal:
    if ticket is None:
        return await signed_in(request)
    principal = context_of(request).tickets.redeem(ticket)
    if principal is None:
        raise ApiRefusal(401, "ticket-spent", "This ticket is spent, too old, or none of ours.")
    return principal


_reader.roles = EVERY_ROLE  # type: ignore[attr-defined]  # each frame has its audience


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def events(
    reader: Annotated[Principal, Depends(_reader)],
    context: Context,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Stream changes as Server-Sent Events: call, capture, field, shield, line, payment, flows, gone, resync."""
    if not context.ring.takes(reader):
        raise ApiRefusal(503, "too-many-streams", "Too many event streams are open. Close a page.")
    stream = context.ring.stream(last_event_id, reader, lambda: context.identity.stands(reader))
    headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


@router.post(
    "/events/tickets", status_code=201, response_model=StreamTicket, responses=documented(403, 409, 413)
)
async def issue_ticket(
    _wanted: NoMembers, once: Annotated[OncePerKey, Depends(once(*EVERY_ROLE))]
) -> Response:
    """Give a ticket that opens the event stream once, as whoever asks, for a reader that cannot send a header."""
    return once.answer(201, lambda: StreamTicket(ticket=once.context.tickets.issue(once.principal)))
