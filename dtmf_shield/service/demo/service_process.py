"""The service as the demonstration starts it: embedded defaults, loopback, ports chosen by the system."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.service.seal.environment import FORBIDDEN_VARIABLES

READY_LIMIT_S: Final = 60.0
STOP_LIMIT_S: Final = 10.0
REQUEST_LIMIT_S: Final = 10.0
CALLS_MAX: Final = 8
_HTTP_FAILURE: Final = 300


def configuration(agents: Mapping[str, int], flows: Path | None = None) -> str:
    """Return the configuration file: one agent a name, dialled by that name. `agents`: SIP port by name."""
    lines = ["[sip]", 'listen = ["127.0.0.1:0"]', "", "[api]", 'listen = "127.0.0.1:0"', ""]
    lines += ["[media]", f"calls_max = {CALLS_MAX}", ""]
    if flows is not None:
        lines += ["[capture]", f"flows_directory = {json.dumps(str(flows))}", ""]
    for name, port in agents.items():
        lines += ["[[agents]]", f'name = "{name}"', f'address = "127.0.0.1:{port}"', f'user = "{name}"', ""]
    for name in agents:
        lines += ["[[routes]]", f'dialled = "{name}"', f'agent = "{name}"', ""]
    return "\n".join(lines)


class ServiceProcess:
    """A running `dtmf-shield serve` and its HTTP API."""

    def __init__(self, directory: Path, log_file: Path, flows: Path | None = None) -> None:
        """Keep everything below `directory`. `flows`: folder of flow files; none: the shipped ones."""
        self._flows = flows
        self.state_directory = directory / "state"
        self.log_file = log_file
        self.sip = ("", 0)
        self._config_file = directory / "demo.toml"
        self._api = ("", 0)
        self._key = ""
        self._process: asyncio.subprocess.Process | None = None

    def uri(self, agent: str) -> str:
        """Return what to dial for an agent of that name."""
        return f"sip:{agent}@{self.sip[0]}:{self.sip[1]}"

    @property
    def recordings(self) -> Path:
        """Where the service puts its recordings."""
        return self.state_directory / "recordings"

    async def start(self, agents: Mapping[str, int]) -> None:
        """Start it and wait until it takes calls. Raises OperatorError that says where the log is."""
        self._config_file.write_text(configuration(agents, self._flows), encoding="utf-8")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "dtmf_shield",
            "serve",
            "--config",
            str(self._config_file),
            "--state-directory",
            str(self.state_directory),
            "--log-file",
            str(self.log_file),
            "--json",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(),
        )
        try:
            ready = await asyncio.wait_for(self._ready_line(), READY_LIMIT_S)
        except TimeoutError:
            await self.stop()
            raise OperatorError(
                f"the service was not ready after {READY_LIMIT_S:.0f} s; see {self.log_file}"
            ) from None
        self.sip = (ready["sip"][0][0], ready["sip"][0][1])
        self._api = (ready["api"][0], ready["api"][1])
        self._key = (self.state_directory / "api.key").read_text(encoding="ascii").strip()

    async def _ready_line(self) -> dict[str, Any]:
        process = self._process
        if process is None or process.stdout is None or process.stderr is None:
            raise OperatorError("the service could not be started")
        while line := await process.stdout.readline():
            if line.startswith(b"{"):
                event: dict[str, Any] = json.loads(line)
                if event.get("event") == "ready":
                    return event
        said = (await process.stderr.read()).decode(errors="replace").strip().splitlines()
        reason = said[-1].removeprefix("error: ") if said else "it said nothing"
        raise OperatorError(f"the service did not start ({reason}); its log is {self.log_file}")

    async def stop(self) -> None:
        """End it and wait for its end."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_LIMIT_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def call_dialled(self, dialled: str) -> dict[str, Any] | None:
        """Return the newest call to `dialled` as the API shows it, or None."""
        listed = await self._request("GET", "/v1/calls")
        found: list[dict[str, Any]] = [call for call in listed["calls"] if call["dialled"] == dialled]
        return found[0] if found else None

    async def start_capture(self, call_id: str, flow: str, inputs: Mapping[str, str]) -> None:
        """Start a capture, as an agent's desktop would. ``inputs``: as the flow names them."""
        body = {"flow": flow, "inputs": dict(inputs)}
        await self._request("POST", f"/v1/calls/{call_id}/captures", body)

    async def token(self, capture_id: str) -> str:
        """Return the token of a finished capture, as the merchant's program would fetch it."""
        return str((await self._request("GET", f"/v1/captures/{capture_id}/token"))["token"])

    async def _request(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        return await asyncio.to_thread(self._request_now, method, path, body)

    def _request_now(self, method: str, path: str, body: object) -> dict[str, Any]:
        connection = http.client.HTTPConnection(*self._api, timeout=REQUEST_LIMIT_S)
        headers = {"Authorization": f"Bearer {self._key}"}
        if body is not None:
            headers |= {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise OperatorError(
                f"the service's API does not answer ({error}); see {self.log_file}"
            ) from error
        finally:
            connection.close()
        if response.status >= _HTTP_FAILURE:
            raise OperatorError(f"the service answered {response.status} to {method} {path}")
        answer: dict[str, Any] = json.loads(text)
        return answer


def _environment() -> dict[str, str]:
    """Our environment without what the service refuses: card data must not leave by a proxy or a key log."""
    refused = {variable.lower() for variable in FORBIDDEN_VARIABLES}
    return {name: value for name, value in os.environ.items() if name.lower() not in refused}
