"""Who am I: sign in with name and password, set a password by a link, sign out.

These three need no Idempotency-Key: a password in a table of answers would be one more place for it, and doing them
twice does no harm.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import StringConstraints

from dtmf_shield.api.access import Asker, Context, address_of, require_same_origin, stranger_within_limits
from dtmf_shield.api.identity.cookies import drop_session, set_session
from dtmf_shield.api.identity.passwords import PASSWORD_CHARACTERS_MAX
from dtmf_shield.api.identity.principal import Role
from dtmf_shield.api.identity.secret import SECRET_CHARACTERS_MAX
from dtmf_shield.api.pages import pages_of
from dtmf_shield.api.problem import ApiRefusal, documented
from dtmf_shield.api.resources.bodies import NoMembers, RequestBody
from dtmf_shield.api.views.words import LanguageTag, Prose, View, Word

router = APIRouter(prefix="/v1", responses=documented())
OPEN_TO_ALL: Final = [Depends(stranger_within_limits)]
TypedName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
TypedPassword = Annotated[str, StringConstraints(min_length=1, max_length=PASSWORD_CHARACTERS_MAX)]


class Me(View):
    """Who asks, and what a page needs to know of them."""

    name: Prose
    roles: list[Role]
    language: LanguageTag | None
    """BCP 47, where an administrator has set one; else the browser's."""
    agents: list[Prose] | None
    """Names whose calls are one's own; null: every call."""
    pages: list[Word]
    """Pages one may open, /ui/PAGE/ each, the first of them at /ui/."""
    idle_limit_s: int | None
    """So long without a request and the session ends; null for programs."""
    csrf_token: None = None
    """Always null: Origin and Sec-Fetch-Site are checked instead."""


class Ways(View):
    """The ways to sign in here."""

    passwords: bool
    """Whether there is any user with a password."""
    oidc: Prose | None
    """What the provider is called, null for none: /login/oidc leads there."""


class Credentials(RequestBody):
    """Name and password."""

    name: TypedName
    password: TypedPassword


class NewPassword(RequestBody):
    """The secret of a link for one use, and the password to set."""

    link: Annotated[str, StringConstraints(min_length=1, max_length=SECRET_CHARACTERS_MAX)]
    password: TypedPassword


@router.get("/me")
async def who_am_i(asker: Asker, context: Context) -> Me:
    """Say who asks, with which roles, and which pages are theirs. Counts as use of the session."""
    idle_s = int(context.identity.sessions.limits.idle_s) if asker.by_cookie else None
    return Me(
        name=asker.name,
        roles=sorted(asker.roles),
        language=asker.language or None,
        agents=None if asker.agents is None else sorted(asker.agents),
        pages=pages_of(asker, plays=context.plays),
        idle_limit_s=idle_s,
    )


@router.get("/login", dependencies=OPEN_TO_ALL)
async def ways_to_sign_in(context: Context) -> Ways:
    """Say how people sign in here. Open to whoever reaches the address."""
    users, oidc = context.identity.users, context.identity.oidc
    return Ways(
        passwords=any(users.active(user.name) for user in users.all()),
        oidc=oidc.settings.label if oidc else None,
    )


@router.post("/login", status_code=204, responses=documented(403, 413), dependencies=OPEN_TO_ALL)
async def sign_in(request: Request, given: Credentials, context: Context) -> Response:
    """Open a session with name and password. 401 says never which of them was wrong."""
    require_same_origin(request)
    cookie = await context.identity.sign_in(given.name, given.password, address_of(request))
    return _signed_in(request, context, cookie)


@router.post("/password", status_code=204, responses=documented(403, 413), dependencies=OPEN_TO_ALL)
async def set_password(request: Request, given: NewPassword, context: Context) -> Response:
    """Set a password by a link for one use, and open a session. Older sessions of this person end."""
    require_same_origin(request)
    cookie = await context.identity.set_password(given.link, given.password, address_of(request))
    return _signed_in(request, context, cookie)


@router.post("/logout", status_code=204, responses=documented(403, 413))
async def sign_out(request: Request, asker: Asker, _nothing: NoMembers, context: Context) -> Response:
    """End the session, streams of this browser included."""
    if not asker.by_cookie:
        raise ApiRefusal(403, "people-only", "A key has no session to end. Revoke it instead.")
    require_same_origin(request)
    context.identity.sign_out(asker)
    answer = Response(status_code=204)
    drop_session(answer, context.site)
    return answer


def _signed_in(request: Request, context: Context, cookie: str) -> Response:
    """Answer with a new session; one that the browser had before ends: it may be somebody else's."""
    before = context.identity.sessions.principal(request.cookies.get(context.site.cookie(), ""))
    if before is not None:
        context.identity.sign_out(before)
    answer = Response(status_code=204)
    set_session(answer, context.site, cookie)
    return answer
