"""The agent page's files under /ui, and the one-time login. Files are read once: no path comes from outside."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources as package_resources
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from dtmf_shield.api.access import Context, principal_of
from dtmf_shield.api.login import COOKIE, SESSION_LIFETIME_S

MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
TICKET_CHARACTERS_MAX: Final = 128

pages = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file as it is sent."""

    body: bytes
    media_type: str
    etag: str


@cache
def page_files() -> dict[str, PageFile]:
    """Return the files of api/static by name."""
    files: dict[str, PageFile] = {}
    for entry in package_resources.files("dtmf_shield.api").joinpath("static").iterdir():
        media_type = MEDIA_TYPES.get("." + entry.name.rpartition(".")[2])
        if media_type is not None:
            body = entry.read_bytes()
            files[entry.name] = PageFile(body, media_type, f'"{hashlib.sha256(body).hexdigest()[:16]}"')
    return files


@pages.get("/")
async def root() -> Response:
    """Send the browser to the page."""
    return RedirectResponse("/ui/", status_code=303)


@pages.get("/ui")
async def ui() -> Response:
    """Send the browser to where relative addresses work."""
    return RedirectResponse("/ui/", status_code=303)


@pages.get("/ui/")
async def index(request: Request) -> Response:
    """Show the agent page, or how to sign in."""
    if principal_of(request) is None:
        return _page("signin.html", status=401)
    return _page("index.html", status=200)


@pages.get("/ui/{name}")
async def asset(request: Request, name: str) -> Response:
    """Send a script, style or icon of the page; none holds anything of a call."""
    file = page_files().get(name)
    if file is None or name.endswith(".html"):
        return Response(status_code=404)
    headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    return Response(file.body, media_type=file.media_type, headers=headers)


@pages.get("/login")
async def login(
    request: Request, context: Context, ticket: Annotated[str, Query(max_length=TICKET_CHARACTERS_MAX)] = ""
) -> Response:
    """Spend a ticket: open a session and go to the page. A spent link leads a signed-in browser there too."""
    session = context.login.redeem(ticket)
    if session is None and principal_of(request) is None:
        return _page("signin.html", status=401)
    answer = RedirectResponse("/ui/", status_code=303)
    if session is not None:
        # Not Secure: browsers keep Secure cookies from plain HTTP, and this server is plain HTTP on loopback only.
        answer.set_cookie(
            COOKIE, session, max_age=SESSION_LIFETIME_S, path="/", httponly=True, samesite="lax"
        )
    return answer


def _page(name: str, status: int) -> Response:
    file = page_files()[name]
    return Response(file.body, status_code=status, media_type=file.media_type)
