"""Who am I: sign in with name and password, set a password by a link, sign out.

These three need no Idempotency-Key: a password in a table of answers would be one more place for it, and doing them
twice does no harm.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import StringConstraints

from dtmf_shield.api.access import (
    ApiContext,
    Asker,
    Context,
    address_of,
    require_same_origin,
    stranger_within_limits,
)
from dtmf_shield.api.identity.cookies import drop_session, set_session
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.identity.secret import SECRET_CHARACTERS_MAX
from dtmf_shield.api.pages import ACCOUNT, pages_of
from dtmf_shield.api.problem import ApiRefusal, documented
from dtmf_shield.api.resources.bodies import NoMembers, RequestBody, TypedCode, TypedPassword
from dtmf_shield.api.views.words import LanguageTag, Prose, View, Word

router = APIRouter(prefix="/v1", responses=documented())
OPEN_TO_ALL: Final = [Depends(stranger_within_limits)]
TypedName = Annotated[str, StringConstraints(min_length=1, max_length=64)]


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
    second_factor_needed: bool
    """Whether a second factor must be set up, at /ui/account/, before there is any role."""
    idle_limit_s: int | None
    """So long without use, this request or a POST, and the session ends; null for programs."""
    csrf_token: None = None
    """Always null: Origin and Sec-Fetch-Site are checked instead."""


class Ways(View):
    """The ways to sign in here."""

    passwords: bool
    """Whether there is any user with a password."""
    oidc: Prose | None
    """What the provider is called, null for none: /login/oidc leads there."""


class Credentials(RequestBody):
    """Name and password; ``code`` where the answer without it was ``code-needed``: of the app, or a recovery code."""

    name: TypedName
    password: TypedPassword
    code: TypedCode = ""


class NewPassword(RequestBody):
    """The secret of a link for one use, and the password to set."""

    link: Annotated[str, StringConstraints(min_length=1, max_length=SECRET_CHARACTERS_MAX)]
    password: TypedPassword


@router.get("/me")
async def who_am_i(asker: Asker, context: Context) -> Me:
    """Say who asks, with which roles, and which pages are theirs. The one GET that counts as use of the session."""
    idle_s = int(context.identity.sessions.limits.idle_s) if asker.by_cookie else None
    return Me(
        name=asker.name,
        roles=sorted(asker.roles),
        language=asker.language or None,
        agents=None if asker.agents is None else sorted(asker.agents),
        pages=[*pages_of(asker, plays=context.plays), *_own_page(asker)],
        second_factor_needed=_is_held_back(context, asker),
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
    """Open a session with name and password. 401 says never which of them was wrong.

    401 with ``code-needed``: they were right, and a code of the second factor is asked for: send all three.
    """
    require_same_origin(request)
    cookie = await context.identity.sign_in(given.name, given.password, address_of(request), given.code)
    return _signed_in(request, context, cookie)


@router.post("/password", status_code=204, responses=documented(403, 413), dependencies=OPEN_TO_ALL)
async def set_password(request: Request, given: NewPassword, context: Context) -> Response:
    """Set a password by a link for one use; older sessions of this person end. Opens a session, unless there is a
    second factor: then sign in."""
    require_same_origin(request)
    cookie = await context.identity.set_password(given.link, given.password, address_of(request))
    if cookie is None:
        return Response(status_code=204)
    return _signed_in(request, context, cookie)


@router.post("/logout", status_code=204, responses=documented(403, 413))
async def sign_out(request: Request, asker: Asker, _nothing: NoMembers, context: Context) -> Response:
    """End the sign-in: its session, panels of other sites' pages that it opened, and their streams."""
    if not asker.by_cookie:
        raise ApiRefusal(403, "people-only", "A key has no session to end. Revoke it instead.")
    require_same_origin(request)
    context.identity.sign_out(asker)
    answer = Response(status_code=204)
    drop_session(answer, context.site)
    return answer


def _signed_in(request: Request, context: Context, cookie: str) -> Response:
    """Answer with a new session; one that the browser had before ends: it may be somebody else's."""
    context.identity.succeed(request.cookies.get(context.site.cookie(), ""), cookie)
    answer = Response(status_code=204)
    set_session(answer, context.site, cookie)
    return answer


def _own_page(asker: Principal) -> list[str]:
    return [ACCOUNT] if asker.by_cookie and not asker.panel else []


def _is_held_back(context: ApiContext, asker: Principal) -> bool:
    return asker.by_cookie and not asker.roles and context.identity.lacks_factor(asker.name)
