"""The application: gate, routes, problems and events put together. Binds nothing and reads no configuration."""

from __future__ import annotations

import secrets
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi

from dtmf_shield.api import problem
from dtmf_shield.api.access import ApiContext, stranger_within_limits
from dtmf_shield.api.deeds import Deeds
from dtmf_shield.api.embed_pages import embed_pages
from dtmf_shield.api.events import HEARTBEAT_S, EventRing
from dtmf_shield.api.gate import Gate
from dtmf_shield.api.idempotency import StoredAnswers
from dtmf_shield.api.identity.identity import Identity
from dtmf_shield.api.limits import Limits
from dtmf_shield.api.oidc_pages import oidc_pages
from dtmf_shield.api.pages import pages
from dtmf_shield.api.play import PlayPhones, play_pages
from dtmf_shield.api.ports import CallDesk
from dtmf_shield.api.ports.backing import Backing
from dtmf_shield.api.resources import ROUTERS, probes
from dtmf_shield.api.site import LOOPBACK, Site
from dtmf_shield.api.tickets import Tickets
from dtmf_shield.api.views import Snapshot
from dtmf_shield.base.clock import Clock
from dtmf_shield.base.system_clock import SystemClock

API_VERSION = "1"
DRAFT_ANSWERS_MAX = 32
"""Each holds a picture: a tenth of a megabyte, and two in the worst case."""


def create_app(
    desk: CallDesk,
    identity: Identity,
    *,
    site: Site = LOOPBACK,
    clock: Clock | None = None,
    heartbeat_s: float = HEARTBEAT_S,
    backing: Backing | None = None,
    play: PlayPhones | None = None,
) -> FastAPI:
    """Return the application over ``desk``, open to whom ``identity`` knows, under the name of ``site``.

    ``play``: with the play page, for a service in demo mode; it is the first page then.
    """
    clock = clock or SystemClock()
    ring = EventRing(lambda: _snapshot(desk), life=secrets.token_hex(4), heartbeat_s=heartbeat_s)
    desk.subscribe(ring)
    identity.when_revoked(ring.look_again)
    backing = backing or Backing()
    backing.payments.subscribe(ring.payment_changed)
    app = FastAPI(
        title="dtmf-shield", version=API_VERSION, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.context = ApiContext(
        desk=desk,
        identity=identity,
        ring=ring,
        answers=StoredAnswers(clock),
        clock=clock,
        site=site,
        drafts=StoredAnswers(clock, DRAFT_ANSWERS_MAX),
        limits=Limits(clock),
        tickets=Tickets(clock),
        embed_tickets=Tickets(clock),
        backing=backing,
        deeds=Deeds(identity.note, clock),
        plays=play is not None,
    )
    for router in ROUTERS:
        app.include_router(router)
    open_to_all = (probes.router, *([play_pages(play)] if play else []), embed_pages, pages, oidc_pages)
    for router in open_to_all:
        app.include_router(router, dependencies=[Depends(stranger_within_limits)])
    problem.install(app, (*ROUTERS, *open_to_all))
    app.add_middleware(Gate, site=site)
    app.openapi = lambda: openapi_schema(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def event_ring(app: FastAPI) -> EventRing:
    """Return the ring that every change is published in, to tap it."""
    context: ApiContext = app.state.context
    return context.ring


def end_streams(app: FastAPI) -> None:
    """End the open event streams, so that the server can leave."""
    event_ring(app).end_streams()


def openapi_schema(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document; the validation errors FastAPI would describe are problems here."""
    schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
    schemas = schema["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = problem.Problem.model_json_schema(mode="serialization")
    return schema


def _snapshot(desk: CallDesk) -> Snapshot:
    return Snapshot(service=desk.service(), flows=tuple(desk.flows()), calls=tuple(desk.calls()))
