"""Runs the application with uvicorn on a socket that is already bound, inside a loop that is already running."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Final

import uvicorn
from fastapi import FastAPI

from dtmf_shield.api.app import end_streams
from dtmf_shield.api.events import SUBSCRIBERS_MAX
from dtmf_shield.api.identity.one_time_login import require_loopback
from dtmf_shield.api.site import Site
from dtmf_shield.base.errors import OperatorError

CONNECTIONS_MAX: Final = SUBSCRIBERS_MAX + 256
"""Every event stream, and what else pages and programs ask meanwhile."""
HEADER_BYTES_MAX: Final = 16 * 1_024
KEEP_ALIVE_S: Final = 15
LEAVE_S: Final = 2
"""How long open answers get to end when the server leaves."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process that owns the loop owns the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: FastAPI, sock: socket.socket, stop: asyncio.Event, *, tls: ssl.SSLContext | None = None
) -> None:
    """Serve until ``stop`` is set, or this task is cancelled. Closes ``sock``. ``tls``: done here; None: plain HTTP.

    Raises OperatorError where ``sock`` is bound to another address than loopback, and browsers do not come by TLS.
    """
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        raise OperatorError("the API needs a TCP socket")
    site: Site = app.state.context.site
    if not site.secure:
        require_loopback(sock.getsockname()[0])
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS_MAX,
        h11_max_incomplete_event_size=HEADER_BYTES_MAX,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=LEAVE_S,
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        server.should_exit = True
        end_streams(app)
        await serving
