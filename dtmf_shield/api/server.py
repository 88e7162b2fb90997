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
from dtmf_shield.api.connection import CONNECTIONS_MAX, KEEP_ALIVE_S, Connection
from dtmf_shield.api.identity.one_time_login import require_loopback
from dtmf_shield.api.site import Site
from dtmf_shield.base.errors import OperatorError

HEADER_BYTES_MAX: Final = 16 * 1_024
SILENT_S: Final = 60
PROBE_S: Final = 15
PROBES_MAX: Final = 4
"""A peer that says nothing for SILENT_S is asked every PROBE_S (RFC 9293 section 3.8.4); one that is gone without a
word, its network cut or its power, holds a connection for two minutes and not for ever."""
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
    _find_gone_peers(sock)
    config = uvicorn.Config(
        app,
        http=Connection,
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


def _find_gone_peers(sock: socket.socket) -> None:
    """Connections have the options of the socket that they were accepted at (Linux, tcp(7))."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES_MAX)
    # An event stream always has a heartbeat under way, and what waits for its acknowledgement is not probed (RFC 5482).
    gone_ms = 1_000 * (SILENT_S + PROBE_S * PROBES_MAX)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, gone_ms)
