"""``python -m dtmf_shield.service.play``: the play phones, until standard input closes.

Reads one line of JSON (``settings.py``) and prints one with its port once it listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette

from dtmf_shield.service.play.booth import Booth
from dtmf_shield.service.play.ear import warm_up
from dtmf_shield.service.play.gateway_switch import GatewaySwitch
from dtmf_shield.service.play.settings import PlaySettings, read_settings
from dtmf_shield.service.play.web import PlayWeb

LISTEN_IP: Final = "127.0.0.1"
CONNECTIONS_MAX: Final = 32
"""One page asks at a time, on a few connections."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: standard input is what ends us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _run(settings: PlaySettings) -> None:
    warm_up()
    booth = Booth(settings.sip, settings.agents)
    await booth.open()
    switch = GatewaySwitch(
        settings.gateway_port, Path(settings.gateway_ca_file), Path(settings.gateway_user_file)
    )
    sock = socket.socket()
    sock.bind((LISTEN_IP, 0))
    server = _server(PlayWeb(settings, booth, switch).app())
    with contextlib.suppress(OSError, ValueError):
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), lambda: _on_input(server))
    sock.listen()
    print(json.dumps({"event": "listening", "port": sock.getsockname()[1]}), flush=True)  # noqa: T201 - the contract
    try:
        await server.serve(sockets=[sock])
    finally:
        await booth.close()


def _server(app: Starlette) -> uvicorn.Server:
    return _Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_graceful_shutdown=1,
        )
    )


def _on_input(server: uvicorn.Server) -> None:
    if not os.read(0, 4096):
        server.should_exit = True


def main() -> int:
    """Read what we are told and run."""
    asyncio.run(_run(read_settings(_first_line())))
    return 0


def _first_line() -> bytes:
    """Read standard input up to its first line's end, and nothing behind it: the loop watches the rest."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            break
        line += byte
    return bytes(line)


if __name__ == "__main__":
    sys.exit(main())
