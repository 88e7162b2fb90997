"""The pages and their files under /ui, and the one-time login. Files are read once: no path comes from outside."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources as package_resources
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from dtmf_shield.api.access import Context, address_of, principal_of
from dtmf_shield.api.identity.cookies import set_session
from dtmf_shield.api.identity.principal import Principal, Role

MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}
PAGES: Final = {
    "agent": Role.AGENT,
    "supervisor": Role.SUPERVISOR,
    "engineer": Role.ENGINEER,
    "admin": Role.ADMIN,
    "audit": Role.AUDITOR,
}
"""Pages in the order in which a person is sent to the first that is theirs, with the role that each is for."""
PLAY_PAGE: Final = "play"
"""In demo mode alone (api.play), for agents."""
ACCOUNT: Final = "account"
"""The page that is everybody's who signs in: password, second factor, sessions."""
LANGUAGE_FORM: Final = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
LANGUAGE_CHARACTERS_MAX: Final = 16
TICKET_CHARACTERS_MAX: Final = 128
AskedLanguage = Annotated[str, Query(alias="lang", max_length=LANGUAGE_CHARACTERS_MAX)]
"""Of an address, carried along where it is one."""

pages = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file as it is sent."""

    body: bytes
    media_type: str
    etag: str


def pages_of(principal: Principal, *, plays: bool) -> list[str]:
    """Return the pages that somebody may open, the one that they are sent to first. ``plays``: in demo mode."""
    own = [page for page, role in PAGES.items() if principal.has(role)]
    return [PLAY_PAGE, *own] if plays and principal.has(Role.AGENT) else own


@cache
def page_files() -> dict[str, PageFile]:
    """Return the files of api/static by ``folder/name``."""
    files: dict[str, PageFile] = {}
    for folder in package_resources.files("dtmf_shield.api").joinpath("static").iterdir():
        for entry in folder.iterdir() if folder.is_dir() else ():
            media_type = MEDIA_TYPES.get("." + entry.name.rpartition(".")[2])
            if media_type is not None:
                body = entry.read_bytes()
                etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
                files[f"{folder.name}/{entry.name}"] = PageFile(body, media_type, etag)
    return files


@pages.get("/")
@pages.get("/ui")
async def root(lang: AskedLanguage = "") -> Response:
    """Send the browser to the pages."""
    return redirect("/ui/", lang)


@pages.get("/ui/")
async def home(request: Request, lang: AskedLanguage = "") -> Response:
    """Send a person to the page of their role, or show how to sign in. Without a page of a role: to their account."""
    principal = principal_of(request)
    if principal is None or principal.panel:
        return static_page("signin/index.html", status=401)
    return redirect(
        f"/ui/{next((page for page, role in PAGES.items() if principal.has(role)), ACCOUNT)}/", lang
    )


@pages.get(f"/ui/{ACCOUNT}/")
async def account(request: Request) -> Response:
    """Show a person their account, to others how to sign in."""
    principal = principal_of(request)
    if principal is None or not principal.by_cookie or principal.panel:
        return static_page("signin/index.html", status=401)
    return static_page(f"{ACCOUNT}/index.html", status=200)


@pages.get("/ui/{page}/")
async def index(request: Request, page: str) -> Response:
    """Show a page to who has its role, to strangers how to sign in, to others which pages are theirs."""
    principal = principal_of(request)
    if page not in PAGES:
        return static_page("signin/elsewhere.html", status=404)
    if principal is None:
        return static_page("signin/index.html", status=401)
    if not principal.has(PAGES[page]):
        return static_page("signin/elsewhere.html", status=403)
    return static_page(f"{page}/index.html", status=200)


@pages.get("/ui/{folder}/{name}")
async def asset(request: Request, folder: str, name: str) -> Response:
    """Send a script, style, picture or word list of the pages; none holds anything of a call."""
    file = page_files().get(f"{folder}/{name}")
    if file is None or name.endswith(".html"):
        return Response(status_code=404)
    headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    return Response(file.body, media_type=file.media_type, headers=headers)


@pages.get("/login")
async def login(
    request: Request,
    context: Context,
    ticket: Annotated[str, Query(max_length=TICKET_CHARACTERS_MAX)] = "",
    lang: AskedLanguage = "",
) -> Response:
    """Spend a ticket: open a session and go to the page. A spent link leads a signed-in browser there too."""
    session = context.identity.redeem(ticket, address_of(request)) if ticket else None
    if session is None and principal_of(request) is None:
        return static_page("signin/index.html", status=401)
    answer = redirect("/ui/", lang)
    if session is not None:
        context.identity.succeed(request.cookies.get(context.site.cookie(), ""), session)
        set_session(answer, context.site, session)
    return answer


@pages.get("/welcome")
async def welcome() -> Response:
    """Show where a password is set. The link's secret stands behind the # of the address, where no server sees it."""
    return static_page("signin/welcome.html", status=200)


def redirect(path: str, language: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """Send the browser to a page of ours; the language that an address asked for goes along."""
    asked = f"?lang={language}" if LANGUAGE_FORM.fullmatch(language) else ""
    return RedirectResponse(path + asked, status_code=303, headers=headers)


def static_page(name: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer with a page of the static files. Raises KeyError."""
    file = page_files()[name]
    return Response(file.body, status_code=status, media_type=file.media_type, headers=headers)
