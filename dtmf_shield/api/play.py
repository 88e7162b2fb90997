"""The play page, in demo mode alone: the agent page in a frame, and a script that is told where the play phones are.

No key comes by here. The page's script sends keys to the phones' own origin, which this page's policy names; nothing
of this process could say which key it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel

from dtmf_shield.api import pages
from dtmf_shield.api.access import asker, principal_of
from dtmf_shield.api.headers import CONTENT_SECURITY_POLICY
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.pages import page_files

PAGE: Final = pages.PLAY_PAGE


@dataclass(frozen=True, slots=True)
class PlayPhones:
    """Where the play phones answer, and what opens them."""

    url: str
    key: str


class PlayPhonesView(BaseModel):
    """What the page's script is told."""

    url: str
    key: str


def play_pages(phones: PlayPhones) -> APIRouter:
    """Return the routes of the page; they come before those of the other pages."""
    router = APIRouter(include_in_schema=False)
    policy = CONTENT_SECURITY_POLICY.replace(
        "connect-src 'self'", f"connect-src 'self' {phones.url}; frame-src 'self'"
    )

    @router.get("/ui/")
    async def home(request: Request, lang: pages.AskedLanguage = "") -> Response:
        """Send who plays the agent to the play page: in demo mode it is the first."""
        principal = principal_of(request)
        if principal is None or not principal.has(Role.AGENT):
            return await pages.home(request, lang)
        return pages.redirect(f"/ui/{PAGE}/", lang)

    @router.get(f"/ui/{PAGE}/")
    async def index(request: Request) -> Response:
        """Show the page, whose script may reach the phones and whose frame may hold our pages."""
        principal = principal_of(request)
        if principal is None:
            return pages.static_page("signin/index.html", status=401)
        if not principal.has(Role.AGENT):
            return pages.static_page("signin/elsewhere.html", status=403)
        file = page_files()[f"{PAGE}/index.html"]
        return Response(file.body, headers={"content-security-policy": policy}, media_type=file.media_type)

    @router.get(f"/ui/{PAGE}/phones.json")
    async def where(_principal: Annotated[Principal, Depends(asker(Role.AGENT))]) -> PlayPhonesView:
        """Tell a signed-in page where the phones are."""
        return PlayPhonesView(url=phones.url, key=phones.key)

    return router
