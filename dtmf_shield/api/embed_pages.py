"""The capture panel for pages of other origins: its frame, the window that signs in, and the frame's own session.

A frame in a foreign page has no cookie of ours, as browsers keep third-party cookies back. So the frame opens a window
of ours; there somebody signs in as at any page; that window asks for a ticket and hands it to the frame, which is of
its own origin, and the frame spends it for a session that lives in this one foreign page (a partitioned cookie).
"""

from __future__ import annotations

from html import escape
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from pydantic import StringConstraints

from dtmf_shield.api.access import Context, address_of, asker, principal_of, require_same_origin
from dtmf_shield.api.headers import framed_by
from dtmf_shield.api.identity.cookies import set_embedded_session
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.pages import page_files, static_page
from dtmf_shield.api.problem import ApiRefusal
from dtmf_shield.api.resources.bodies import RequestBody
from dtmf_shield.api.site import Site

POPUP: Final = "/ui/embed/login/"
ELEMENT: Final = "embed/capture_element.js"
TICKET_CHARACTERS_MAX: Final = 64
_ORIGINS_PLACE: Final = b'name="dtmf-shield-origins" content=""'

embed_pages = APIRouter(include_in_schema=False)
Ticket = Annotated[str, StringConstraints(min_length=1, max_length=TICKET_CHARACTERS_MAX)]


class SpentTicket(RequestBody):
    """The ticket that the window handed over."""

    ticket: Ticket


def popup_headers(site: Site) -> dict[str, str]:
    """Return the headers of a window that an embedded page opens: it may answer the frame that opened it."""
    return {"Cross-Origin-Opener-Policy": "unsafe-none"} if site.embed_origins else {}


@embed_pages.get("/ui/embed/")
async def panel(context: Context) -> Response:
    """Show the panel to whoever may hold it. It has nothing of a call by itself, so signing in comes after."""
    file, origins = page_files()["embed/index.html"], context.site.embed_origins
    listed = f'name="dtmf-shield-origins" content="{escape(" ".join(origins))}"'.encode()
    headers = {"Content-Security-Policy": framed_by(origins)}
    if origins:
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return Response(file.body.replace(_ORIGINS_PLACE, listed), media_type=file.media_type, headers=headers)


@embed_pages.get(POPUP)
async def window(request: Request, context: Context) -> Response:
    """Show how to sign in; to who is an agent, the page that hands a ticket to the frame."""
    principal, headers = principal_of(request), popup_headers(context.site)
    if principal is None or not principal.has(Role.AGENT):
        return static_page("signin/index.html", 401 if principal is None else 403, headers)
    return static_page("embed/login.html", 200, headers)


@embed_pages.get(f"/ui/{ELEMENT}")
async def element(request: Request, context: Context) -> Response:
    """Send the custom element to pages that may hold the panel: the one file of ours that foreign pages load."""
    file, origins = page_files()[ELEMENT], context.site.embed_origins
    headers = {"ETag": file.etag, "Cache-Control": "no-cache", "Vary": "Origin"}
    if origins:
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    origin = request.headers.get("origin", "")
    if origin in origins:
        headers["Access-Control-Allow-Origin"] = origin
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    return Response(file.body, media_type=file.media_type, headers=headers)


@embed_pages.post("/login/embed/ticket")
async def issue(
    request: Request, agent: Annotated[Principal, Depends(asker(Role.AGENT))], context: Context
) -> JSONResponse:
    """Give the window a ticket for the frame: good once, for half a minute. No Idempotency-Key: each is its own."""
    require_same_origin(request)
    if not agent.by_cookie:
        raise ApiRefusal(403, "people-only", "A key needs no frame.")
    return JSONResponse({"ticket": context.embed_tickets.issue(agent)}, status_code=201)


@embed_pages.post("/login/embed")
async def spend(request: Request, given: SpentTicket, context: Context) -> Response:
    """Open the session of the frame: an agent's, with the calls of whoever signed in, and no longer than theirs."""
    require_same_origin(request)
    principal = context.embed_tickets.redeem(given.ticket)
    cookie = context.identity.embed(principal, address_of(request)) if principal is not None else None
    if cookie is None:
        context.identity.embed_failed(address_of(request))
        raise ApiRefusal(401, "ticket-spent", "This ticket is spent, too old, or none of ours.")
    answer = Response(status_code=204)
    set_embedded_session(answer, context.site, cookie)
    return answer
