"""Who may ask, as FastAPI dependencies: session cookie or bearer key, role, same-origin proof, Idempotency-Key.

Default deny: every route but the probes, the login and the page's own files takes :func:`asker` or :func:`once` with
the roles that it is for, or :data:`Asker` where each of them will do.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Final, cast

from fastapi import Depends, Header, Request
from fastapi.responses import Response
from pydantic import BaseModel

from dtmf_shield.api.events import EventRing
from dtmf_shield.api.idempotency import StoredAnswers
from dtmf_shield.api.identity.identity import Identity
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.ports import CallDesk
from dtmf_shield.api.problem import ApiRefusal
from dtmf_shield.api.site import Site
from dtmf_shield.base.clock import Clock

_KEY: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")
_BEARER: Final = "bearer "
EVENTS_PATH: Final = "/v1/events"
DENIED_NOTED_MAX: Final = 256
"""So many pairs of person and route are told as denied in DENIED_AGAIN_S: a program in a loop fills no audit log."""
DENIED_AGAIN_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class ApiContext:
    """What every route works with."""

    desk: CallDesk
    identity: Identity
    ring: EventRing
    answers: StoredAnswers
    clock: Clock
    site: Site
    denied: dict[tuple[str, str], float] = field(default_factory=dict)
    """When a denial of this person on this route is told again, monotonic seconds."""


def context_of(request: Request) -> ApiContext:
    """Return the context that create_app put into the application."""
    return cast(ApiContext, request.app.state.context)


def principal_of(request: Request) -> Principal | None:
    """Return who asks, or None. A bearer key that is wrong is not made good by a cookie."""
    context = context_of(request)
    authorization = request.headers.get("authorization")
    if authorization is not None:
        return _machine(context, authorization)
    cookie = request.cookies.get(context.site.cookie(), "")
    # A stream that the browser opens again by itself is nobody's presence.
    return context.identity.sessions.principal(cookie, active=request.url.path != EVENTS_PATH)


def _machine(context: ApiContext, authorization: str) -> Principal | None:
    if authorization[: len(_BEARER)].lower() != _BEARER:
        return None
    return context.identity.keys.principal(authorization[len(_BEARER) :].strip())


def address_of(request: Request) -> str:
    """Return the address of who asks, as far as a proxy of ours is believed."""
    peer = request.client.host if request.client is not None else ""
    return context_of(request).site.client(peer, request.headers.get("x-forwarded-for", ""))


def signed_in(request: Request) -> Principal:
    """Return who asks. Raises ApiRefusal (401)."""
    principal = principal_of(request)
    if principal is None:
        raise ApiRefusal(401, "not-signed-in", "Sign in, or send a bearer key.")
    return principal


Asker = Annotated[Principal, Depends(signed_in)]
"""Whoever is signed in, whatever their role."""
Context = Annotated[ApiContext, Depends(context_of)]


def asker(*roles: Role) -> Callable[[Request], Principal]:
    """Return a dependency: somebody who holds one of ``roles``."""

    def allowed(request: Request) -> Principal:
        principal = signed_in(request)
        if not principal.has(*roles):
            _note_denied(request, principal)
            raise ApiRefusal(403, "role-missing", "Your role does not allow this.")
        return principal

    allowed.roles = frozenset(roles)  # type: ignore[attr-defined]  # the table of who may what is made of it
    return allowed


def _note_denied(request: Request, principal: Principal) -> None:
    """Tell the audit log, once a minute for each person and route: the route's form, not the address."""
    context = context_of(request)
    route = str(getattr(request.scope.get("route"), "path", ""))
    now_s, denied = context.clock.now_s(), context.denied
    if now_s < denied.get((principal.name, route), 0.0):
        return
    if len(denied) >= DENIED_NOTED_MAX:
        for key in [key for key, again_s in denied.items() if now_s >= again_s]:
            del denied[key]
    if len(denied) < DENIED_NOTED_MAX:
        denied[principal.name, route] = now_s + DENIED_AGAIN_S
        context.identity.note("role_denied", by=principal.name, method=request.method, route=route)


def require_same_origin(request: Request) -> None:
    """A page of another origin can make a browser send our cookie; it cannot make it claim our origin."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    own = context_of(request).site.origin_of(request.url.scheme, request.headers.get("host", ""))
    proven = site == "same-origin" or (site is None and origin is not None)
    if not proven or origin not in (None, own):
        raise ApiRefusal(403, "cross-site", "This request did not come from a page of this service.")


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
            require_same_origin(request)
        if not _KEY.fullmatch(idempotency_key):
            raise ApiRefusal(422, "idempotency-key-form", "Idempotency-Key has 8 to 64 of A-Z a-z 0-9 _ -.")
        whole = request.method.encode() + b" " + request.url.path.encode() + b"\n" + await request.body()
        return OncePerKey(context_of(request), principal, idempotency_key, whole)

    checked.roles = frozenset(roles)  # type: ignore[attr-defined]
    return checked
