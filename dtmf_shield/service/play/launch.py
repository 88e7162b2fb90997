"""Start the play phones as a process of their own and hold the pipe that keeps them alive."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from typing import IO, Final

import msgspec

from dtmf_shield.base.config import Config
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.service.play.demo_mode import findings
from dtmf_shield.service.play.settings import PlaySettings, agents_of, dialled_of, origins_of
from dtmf_shield.service.test_gateway.launch import TestGatewayProcess

START_LIMIT_S: Final = 30.0
"""The first start after an update may compile for the phone's ears."""
STOP_LIMIT_S: Final = 3.0
KEY_BYTES: Final = 32


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


class PlayProcess:
    """Running play phones. They end when we end: their standard input closes."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, key: str) -> None:
        self._process, self.port, self.key = process, port, key

    @classmethod
    async def start(cls, settings: PlaySettings, *, log: IO[bytes] | None = None) -> PlayProcess:
        """Start it and wait until it listens. Raises OperatorError where it does not."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "dtmf_shield.service.play",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        if process.stdin is None or process.stdout is None:
            raise OperatorError("the play phones have no pipes")
        try:
            process.stdin.write(msgspec.json.encode(settings) + b"\n")
            line = await asyncio.wait_for(process.stdout.readline(), START_LIMIT_S)
            port = int(json.loads(line)["port"])
        except (OSError, TimeoutError, ValueError, KeyError) as error:
            if process.returncode is None:
                process.kill()
            await process.wait()
            raise OperatorError(
                "the play phones did not start; see the log above, or serve with --no-play"
            ) from error
        return cls(process, port, settings.key)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        """End it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_LIMIT_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
