"""Who may ask, as FastAPI dependencies: session cookie or bearer key, role, same-origin proof, Idempotency-Key.

Default deny: every route but the probes, the login and the page's own files takes :func:`asker` or :func:`once` with
the roles that it is for, or :data:`Asker` where each of them will do.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final, cast

from fastapi import Depends, Header, Request
from fastapi.responses import Response
from pydantic import BaseModel

from dtmf_shield.api.deeds import Deeds
from dtmf_shield.api.events import EventRing
from dtmf_shield.api.idempotency import StoredAnswers
from dtmf_shield.api.identity.identity import Identity
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.limits import Limits, RateLimit, counted_as
from dtmf_shield.api.ports import CallDesk
from dtmf_shield.api.ports.backing import Backing
from dtmf_shield.api.problem import ApiRefusal
from dtmf_shield.api.site import EMBED_COOKIE, Site
from dtmf_shield.api.tickets import Tickets
from dtmf_shield.api.views.words import SecretOnceView
from dtmf_shield.base.clock import Clock

_KEY: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")
_BEARER: Final = "bearer "
PRESENCE_PATH: Final = "/v1/me"
"""What a page asks when it is opened, and when a key or a click shows that somebody is at it."""
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class ApiContext:
    """What every route works with."""

    desk: CallDesk
    identity: Identity
    ring: EventRing
    answers: StoredAnswers
    clock: Clock
    site: Site
    drafts: StoredAnswers
    """Of requests that only compute: large, many, and never in the way of those that did something."""
    limits: Limits
    tickets: Tickets
    """For event streams."""
    embed_tickets: Tickets
    """For sessions of embedded pages."""
    backing: Backing
    deeds: Deeds
    """For the audit log."""
    plays: bool = False
    """Demo mode: the play page is there."""


def context_of(request: Request) -> ApiContext:
    """Return the context that create_app put into the application."""
    return cast(ApiContext, request.app.state.context)


def principal_of(request: Request) -> Principal | None:
    """Return who asks, or None. A bearer key that is wrong is not made good by a cookie."""
    context = context_of(request)
    authorization = request.headers.get("authorization")
    if authorization is not None:
        return _machine(context, authorization)
    # Pages read by themselves, every few seconds: that is nobody's presence. So no reading counts but the one that is
    # there for it: a page that forgets to tell of its reader is signed out too early, and none stays open for nobody.
    active = request.method not in _READS or request.url.path == PRESENCE_PATH
    for name in context.site.cookie(), context.site.cookie(EMBED_COOKIE):
        principal = context.identity.sessions.principal(request.cookies.get(name, ""), active=active)
        if principal is not None:
            return principal
    return None


def _machine(context: ApiContext, authorization: str) -> Principal | None:
    if authorization[: len(_BEARER)].lower() != _BEARER:
        return None
    return context.identity.keys.principal(authorization[len(_BEARER) :].strip())


async def signed_in(request: Request) -> Principal:
    """Return who asks. Raises ApiRefusal: 401 where nobody is signed in, 429 where that was asked too often."""
    principal, limits = principal_of(request), context_of(request).limits
    if principal is None:
        within(limits.strangers, counted_as(address_of(request)))
        raise ApiRefusal(401, "not-signed-in", "Sign in, or send a bearer key.")
    within(limits.sessions if principal.by_cookie else limits.keys, principal.name)
    return principal


async def stranger_within_limits(request: Request) -> None:
    """A dependency for what is open to all. Raises ApiRefusal (429) for an address that asks too often unsigned."""
    if principal_of(request) is None:
        within(context_of(request).limits.strangers, counted_as(address_of(request)))


def address_of(request: Request) -> str:
    """Return the address of who asks, as far as a proxy of ours is believed."""
    peer = request.client.host if request.client is not None else ""
    # A proxy may add a line of its own behind the client's: lines of one name are one list (RFC 9110 section 5.3).
    return context_of(request).site.client(peer, ",".join(request.headers.getlist("x-forwarded-for")))


def within(limit: RateLimit, name: str) -> None:
    """Count a request of ``name``. Raises ApiRefusal: 429 where it asked too often."""
    wait_s = limit.take(name)
    if wait_s:
        raise ApiRefusal(429, "too-many-requests", "Too many requests. Wait a moment.", retry_after_s=wait_s)


Asker = Annotated[Principal, Depends(signed_in)]
"""Whoever is signed in, whatever their role."""
Context = Annotated[ApiContext, Depends(context_of)]


def asker(*roles: Role) -> Callable[[Request], Awaitable[Principal]]:
    """Return a dependency: somebody who holds one of ``roles``."""

    async def allowed(request: Request) -> Principal:
        principal = await signed_in(request)
        if not principal.has(*roles):
            route = str(getattr(request.scope.get("route"), "path", ""))
            context_of(request).deeds.role_denied(principal, request.method, route)
            raise ApiRefusal(403, "role-missing", "Your role does not allow this.")
        return principal

    allowed.roles = frozenset(roles)  # type: ignore[attr-defined]  # the table of who may what is made of it
    return allowed


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
    answers: StoredAnswers

    def answer(self, status: int, carry_out: Callable[[], BaseModel]) -> Response:
        """Return the stored answer, or carry out, store and return. A refusal is raised and not stored."""
        return self._replayed() or self._stored(status, carry_out())

    async def answer_later(self, status: int, carry_out: Callable[[], Awaitable[BaseModel]]) -> Response:
        """As :meth:`answer`. Two at once with one key may both be carried out: ``carry_out`` does the same once."""
        return self._replayed() or self._stored(status, await carry_out())

    def _replayed(self) -> Response | None:
        stored = self.answers.find(self.principal.name, self.key, self.request)
        if stored is None:
            return None
        replayed = {"Idempotency-Replayed": "true"}
        return Response(stored.body, stored.status, replayed, media_type="application/json")

    def _stored(self, status: int, done: BaseModel) -> Response:
        kept = done.again() if isinstance(done, SecretOnceView) else done
        self.answers.store(
            self.principal.name, self.key, self.request, status, kept.model_dump_json().encode()
        )
        return Response(done.model_dump_json().encode(), status, media_type="application/json")


def once(*roles: Role, drafts: bool = False) -> Callable[..., Awaitable[OncePerKey]]:
    """Return a dependency for a POST: one of ``roles``, from our own page or a program, with an Idempotency-Key.

    ``drafts``: it only computes, so its answer is kept among few others.
    """

    allowed = asker(*roles)

    async def checked(
        request: Request,
        idempotency_key: Annotated[
            str,
            Header(
                description="8 to 64 of A-Z a-z 0-9 _ -, new for each new request",
                json_schema_extra={"pattern": f"^{_KEY.pattern}$"},
            ),
        ],
    ) -> OncePerKey:
        principal = await allowed(request)
        if principal.by_cookie:
            require_same_origin(request)
        if not _KEY.fullmatch(idempotency_key):
            raise ApiRefusal(422, "idempotency-key-form", "Idempotency-Key has 8 to 64 of A-Z a-z 0-9 _ -.")
        whole = request.method.encode() + b" " + request.url.path.encode() + b"\n" + await request.body()
        context = context_of(request)
        answers = context.drafts if drafts else context.answers
        return OncePerKey(context, principal, idempotency_key, whole, answers)

    checked.roles = frozenset(roles)  # type: ignore[attr-defined]  # as in asker: the table of who may what
    return checked
