"""The application: gate, routes, problems and events put together. Binds nothing and reads no configuration."""

from __future__ import annotations

import secrets
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from dtmf_shield.api import problem
from dtmf_shield.api.access import ApiContext
from dtmf_shield.api.events import HEARTBEAT_S, EventRing
from dtmf_shield.api.gate import Gate
from dtmf_shield.api.idempotency import StoredAnswers
from dtmf_shield.api.identity.one_time_login import OneTimeLogin
from dtmf_shield.api.pages import pages
from dtmf_shield.api.play import PlayPhones, play_pages
from dtmf_shield.api.ports import CallDesk
from dtmf_shield.api.resources import ROUTERS
from dtmf_shield.api.views import Snapshot
from dtmf_shield.base.clock import Clock
from dtmf_shield.base.system_clock import SystemClock

API_VERSION = "1"


def create_app(
    desk: CallDesk,
    login: OneTimeLogin,
    *,
    api_key: str | None = None,
    clock: Clock | None = None,
    heartbeat_s: float = HEARTBEAT_S,
    play: PlayPhones | None = None,
) -> FastAPI:
    """Return the application over ``desk``. Without ``api_key`` only the one-time login opens it.

    ``play``: with the play page, for a service in demo mode; it is the first page then.
    """
    clock = clock or SystemClock()
    ring = EventRing(lambda: _snapshot(desk), life=secrets.token_hex(4), heartbeat_s=heartbeat_s)
    desk.subscribe(ring)
    app = FastAPI(
        title="dtmf-shield", version=API_VERSION, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.context = ApiContext(desk, login, api_key, ring, StoredAnswers(clock), clock)
    for router in (*ROUTERS, *([play_pages(play)] if play else []), pages):
        app.include_router(router)
    problem.install(app)
    app.add_middleware(Gate)
    app.openapi = lambda: openapi_schema(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def end_streams(app: FastAPI) -> None:
    """End the open event streams, so that the server can leave."""
    context: ApiContext = app.state.context
    context.ring.end_streams()


def openapi_schema(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document; the validation errors FastAPI would describe are problems here."""
    schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
    schemas = schema["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = problem.Problem.model_json_schema()
    return schema


def _snapshot(desk: CallDesk) -> Snapshot:
    return Snapshot(service=desk.service(), flows=tuple(desk.flows()), calls=tuple(desk.calls()))
