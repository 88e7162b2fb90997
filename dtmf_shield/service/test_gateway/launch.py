"""Start the TEST gateway as a process of its own and hold the pipe that keeps it alive."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import IO, Final

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.service.dev_certificates import DevCertificates, ensure_dev_certificates

START_TIMEOUT_S: Final = 20.0
STOP_TIMEOUT_S: Final = 3.0


class TestGatewayProcess:
    """A running TEST gateway. It ends when we end: its standard input closes."""

    __test__ = False  # Not a test class, whatever pytest makes of its name.

    def __init__(self, process: asyncio.subprocess.Process, port: int, files: DevCertificates) -> None:
        self._process, self.port, self.files = process, port, files

    @classmethod
    async def start(
        cls, state_directory: Path, *, fault: str = "none", log: IO[bytes] | None = None
    ) -> TestGatewayProcess:
        """Start it and wait until it listens. Raises OperatorError where it does not."""
        files = ensure_dev_certificates(state_directory)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(
                "-m",
                "dtmf_shield.service.test_gateway",
                "--state-directory",
                str(state_directory),
                "--fault",
                fault,
            ),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        if process.stdout is None:
            raise OperatorError("the TEST gateway has no standard output")
        try:
            line = await asyncio.wait_for(process.stdout.readline(), START_TIMEOUT_S)
            port = int(json.loads(line)["port"])
        except (TimeoutError, ValueError, KeyError) as error:
            if process.returncode is None:
                process.kill()
            await process.wait()
            raise OperatorError("the embedded TEST gateway did not start; see the log above") from error
        return cls(process, port, files)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    async def stop(self) -> None:
        """End it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
