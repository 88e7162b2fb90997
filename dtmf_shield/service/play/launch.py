"""Start the play phones as a process of their own, hold the pipe that keeps them alive, start them again if they die.

Their listening socket is ours: whoever starts after a death answers on the same port with the same secret, so a page
that stands open goes on, and nothing of `control` changes.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import sys
from collections.abc import Callable
from typing import IO, Any, Final

import msgspec

from dtmf_shield.base.config import Config
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.base.log import get_logger
from dtmf_shield.service.play.demo_mode import findings
from dtmf_shield.service.play.settings import Farewell, PlaySettings, agents_of, dialled_of, origins_of
from dtmf_shield.service.test_gateway.launch import TestGatewayProcess

LISTEN_IP: Final = "127.0.0.1"
START_LIMIT_S: Final = 60.0
"""The first start after an update may compile for the phone's ears."""
STOP_LIMIT_S: Final = 3.0
KEY_BYTES: Final = 32
RESTART_FIRST_S: Final = 0.5
RESTART_MAX_S: Final = 30.0
"""Pauses before a start double up to this, as long as the phones do not live for STEADY_S. A service does not end
because nobody can play with it."""
STEADY_S: Final = 30.0
LINE_BYTES_MAX: Final = 16_384
"""Of what the phones print; a BYE has about half a kilobyte."""

_log = get_logger("play")


def refuse_outside_demo(config: Config) -> None:
    """Raise OperatorError, with each reason, where ``config`` allows no play phones."""
    found = findings(config)
    if found:
        raise OperatorError("--play: " + "; ".join(found))


def settings_for(
    config: Config, sip: tuple[str, int], api: tuple[str, int], gateway: TestGatewayProcess
) -> PlaySettings:
    """Return what the process is told, with a fresh secret. ``sip``, ``api``: where the service listens."""
    return PlaySettings(
        key=secrets.token_urlsafe(KEY_BYTES),
        origins=origins_of(*api),
        sip=sip,
        agents=agents_of(config),
        dialled=dialled_of(config),
        gateway_port=gateway.port,
        gateway_ca_file=str(gateway.files.ca_file),
        gateway_user_file=str(gateway.files.gateway_user_file),
    )


class _Said(msgspec.Struct, frozen=True):
    """A line of the phones: that they listen, or that a call has begun, or is over."""

    event: str
    farewell: Farewell | None = None


class PlayProcess:
    """Running play phones. They end when we end: their standard input closes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.farewell: Farewell | None = None
        """How to end the call that is up, should they die."""

    @classmethod
    async def start(
        cls, settings: PlaySettings, listener: socket.socket, *, log: IO[bytes] | None = None
    ) -> PlayProcess:
        """Start it and wait until it answers on ``listener``. Raises OperatorError where it does not."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "dtmf_shield.service.play",
            str(listener.fileno()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            pass_fds=(listener.fileno(),),
            limit=LINE_BYTES_MAX,
        )
        if process.stdin is None or process.stdout is None:
            raise OperatorError("the play phones have no pipes")
        try:
            process.stdin.write(msgspec.json.encode(settings) + b"\n")
            line = await asyncio.wait_for(process.stdout.readline(), START_LIMIT_S)
            msgspec.json.decode(line, type=_Said)
        except (OSError, TimeoutError, ValueError, msgspec.MsgspecError) as error:
            if process.returncode is None:
                process.kill()
            await process.wait()
            raise OperatorError(
                "the play phones did not start; see the log above, or serve with --no-play"
            ) from error
        return cls(process)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    async def ended(self) -> int | None:
        """Follow what it says until it ends; return its exit code."""
        while self._process.stdout is not None and (line := await self._process.stdout.readline()):
            self.farewell = msgspec.json.decode(line, type=_Said).farewell
        return await self._process.wait()

    async def stop(self) -> None:
        """End it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_LIMIT_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


class PlayKeeper:
    """The play phones of one service: always the same address and secret, whichever process answers."""

    def __init__(self, settings: PlaySettings, log: IO[bytes] | None) -> None:
        self._settings, self._log = settings, log
        self._listener = socket.create_server((LISTEN_IP, 0))
        self._process: PlayProcess | None = None

    @classmethod
    async def start(cls, settings: PlaySettings, *, log: IO[bytes] | None = None) -> PlayKeeper:
        """Start the phones. Raises OperatorError where they do not start at all."""
        keeper = cls(settings, log)
        try:
            keeper._process = await PlayProcess.start(settings, keeper._listener, log=log)
        except BaseException:
            keeper._listener.close()
            raise
        return keeper

    @property
    def pid(self) -> int:
        """Process id of the phones that answer now; 0: they are being started."""
        return self._process.pid if self._process is not None else 0

    @property
    def key(self) -> str:
        """What opens them."""
        return self._settings.key

    @property
    def url(self) -> str:
        """Where they answer."""
        return f"http://{LISTEN_IP}:{self._listener.getsockname()[1]}"

    async def watch(self, on_status: Callable[[str, dict[str, Any]], None]) -> None:
        """Start the phones again whenever they have died, until cancelled."""
        loop = asyncio.get_running_loop()
        pause_s = RESTART_FIRST_S
        while True:
            began_s = loop.time()
            if self._process is not None:
                process, code = self._process, await self._process.ended()
                self._process = None
                _log.error("play_phones_died", pid=process.pid, code=code)
                on_status("died", {"process": "play", "code": code})
                _hang_up(process.farewell)
            pause_s = RESTART_FIRST_S if loop.time() - began_s > STEADY_S else pause_s
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RESTART_MAX_S)
            try:
                self._process = await PlayProcess.start(self._settings, self._listener, log=self._log)
            except (OperatorError, OSError) as error:
                _log.error("play_phones_not_started", reason=str(error), next_try_s=pause_s)
                continue
            _log.info("play_phones_started", pid=self.pid)
            on_status("started", {"process": "play", "pid": self.pid})

    async def stop(self) -> None:
        """End the phones. ``watch`` was cancelled before."""
        if self._process is not None:
            await self._process.stop()
        self._listener.close()


def _hang_up(farewell: Farewell | None) -> None:
    """End the call of phones that have died: nobody else would, and its agent would wait on a dead line."""
    if farewell is None:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.sendto(farewell.datagram, farewell.address)
        except OSError as error:
            _log.warning("play_call_not_ended", reason=error.strerror)
