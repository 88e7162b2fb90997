"""``python -m dtmf_shield.service.play DESCRIPTOR``: the play phones, until standard input closes.

Reads one line of JSON (``settings.py``), answers on the listening socket of that descriptor, and prints a line of JSON
once it does and whenever a call begins or is over: how to end that call, for when this process has died.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import uvicorn
from starlette.applications import Starlette

from dtmf_shield.base.errors import OperatorError, PeerError
from dtmf_shield.service.play.booth import Booth
from dtmf_shield.service.play.ear import warm_up
from dtmf_shield.service.play.gateway_switch import GatewayMode, GatewaySwitch
from dtmf_shield.service.play.settings import Farewell, PlaySettings, read_settings
from dtmf_shield.service.play.web import PlayWeb

CONNECTIONS_MAX: Final = 32
"""One page asks at a time, on a few connections."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: standard input is what ends us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _run(settings: PlaySettings, listener: socket.socket) -> None:
    warm_up()
    booth = Booth(settings.sip, settings.agents)
    booth.on_call = _tell_call
    await booth.open()
    switch = GatewaySwitch(
        settings.gateway_port, Path(settings.gateway_ca_file), Path(settings.gateway_user_file)
    )
    with contextlib.suppress(PeerError):
        # What phones before these may have chosen, their page does not show any more.
        await asyncio.to_thread(switch.set, GatewayMode.UP)
    server = _server(PlayWeb(settings, booth, switch).app())
    with contextlib.suppress(OSError, ValueError):
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), lambda: _on_input(server))
    _say({"event": "listening", "port": listener.getsockname()[1]})
    try:
        await server.serve(sockets=[listener])
    finally:
        await booth.close()


def _tell_call(farewell: Farewell | None) -> None:
    _say({"event": "call", "farewell": farewell})


def _say(line: dict[str, object]) -> None:
    print(msgspec.json.encode(line).decode(), flush=True)  # noqa: T201 - the contract


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
    settings = read_settings(_first_line())
    if len(sys.argv) != 2 or not sys.argv[1].isdecimal():
        raise OperatorError("the play phones are started by the service alone: no listening socket")
    asyncio.run(_run(settings, socket.socket(fileno=int(sys.argv[1]))))
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
