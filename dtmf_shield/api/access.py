"""Who may ask, as FastAPI dependencies: session cookie or bearer key, role, same-origin proof, Idempotency-Key.

Default deny: every route but the probes, the login and the page's own files takes :func:`asker` or :func:`once` with
the roles that it is for, or :data:`Asker` where each of them will do.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Final, cast

from fastapi import Depends, Header, Request
from fastapi.responses import Response
from pydantic import BaseModel

from dtmf_shield.api.events import EventRing
from dtmf_shield.api.idempotency import StoredAnswers
from dtmf_shield.api.identity.one_time_login import COOKIE, OneTimeLogin
from dtmf_shield.api.identity.principal import EVERY_ROLE, Principal, Role
from dtmf_shield.api.ports import CallDesk
from dtmf_shield.api.ports.reports import NoReports, ReportBook
from dtmf_shield.api.problem import ApiRefusal
from dtmf_shield.base.clock import Clock

_KEY: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")
_BEARER: Final = "bearer "


@dataclass(frozen=True, slots=True)
class ApiContext:
    """What every route works with."""

    desk: CallDesk
    login: OneTimeLogin
    api_key: str | None
    ring: EventRing
    answers: StoredAnswers
    clock: Clock
    reports: ReportBook = field(default_factory=NoReports)


def context_of(request: Request) -> ApiContext:
    """Return the context that create_app put into the application."""
    return cast(ApiContext, request.app.state.context)


def principal_of(request: Request) -> Principal | None:
    """Return who asks, or None. A bearer key that is wrong is not made good by a cookie."""
    context = context_of(request)
    authorization = request.headers.get("authorization")
    if authorization is not None:
        return _machine(context, authorization)
    cookie = request.cookies.get(COOKIE)
    return context.login.session(cookie) if cookie else None


def _machine(context: ApiContext, authorization: str) -> Principal | None:
    if context.api_key is None or authorization[: len(_BEARER)].lower() != _BEARER:
        return None
    given = authorization[len(_BEARER) :].strip().encode("latin-1", "replace")
    if not hmac.compare_digest(given, context.api_key.encode()):
        return None
    return Principal("key", roles=EVERY_ROLE - {Role.ADMIN}, by_cookie=False, ends_s=float("inf"))


def _asker(request: Request) -> Principal:
    principal = principal_of(request)
    if principal is None:
        raise ApiRefusal(401, "not-signed-in", "Open the one-time link, or send the bearer key.")
    return principal


Asker = Annotated[Principal, Depends(_asker)]
"""Whoever is signed in, whatever their role."""
Context = Annotated[ApiContext, Depends(context_of)]


def asker(*roles: Role) -> Callable[[Request], Principal]:
    """Return a dependency: somebody who holds one of ``roles``."""

    def allowed(request: Request) -> Principal:
        principal = _asker(request)
        if not principal.has(*roles):
            raise ApiRefusal(403, "role-missing", "Your role does not allow this.")
        return principal

    return allowed


def _require_same_origin(request: Request) -> None:
    """A page of another origin can make a browser send our cookie; it cannot make it claim our origin."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    proven = site == "same-origin" or (site is None and origin is not None)
    if not proven or origin not in (None, own):
        raise ApiRefusal(403, "cross-site", "This request did not come from the agent page.")


@dataclass(frozen=True, slots=True)
class OncePerKey:
    """Carries a POST out once and answers a repetition from the store."""

    context: ApiContext
    principal: Principal
    key: str
    request: bytes

    def answer(self, status: int, carry_out: Callable[[], BaseModel]) -> Response:
        """Return the stored answer, or carry out, store and return. A refusal is raised and not stored."""
        stored = self.context.answers.find(self.principal.name, self.key, self.request)
        if stored is not None:
            replayed = {"Idempotency-Replayed": "true"}
            return Response(stored.body, stored.status, replayed, media_type="application/json")
        body = carry_out().model_dump_json().encode()
        self.context.answers.store(self.principal.name, self.key, self.request, status, body)
        return Response(body, status, media_type="application/json")


def once(*roles: Role) -> Callable[..., Awaitable[OncePerKey]]:
    """Return a dependency for a POST: one of ``roles``, from our own page or a program, with an Idempotency-Key."""

    allowed = asker(*roles)

    async def checked(
        request: Request,
        idempotency_key: Annotated[
            str, Header(description="8 to 64 of A-Z a-z 0-9 _ -, new for each new request")
        ],
    ) -> OncePerKey:
        principal = allowed(request)
        if principal.by_cookie:
            _require_same_origin(request)
        if not _KEY.fullmatch(idempotency_key):
            raise ApiRefusal(422, "idempotency-key-form", "Idempotency-Key has 8 to 64 of A-Z a-z 0-9 _ -.")
        whole = request.method.encode() + b" " + request.url.path.encode() + b"\n" + await request.body()
        return OncePerKey(context_of(request), principal, idempotency_key, whole)

    return checked
