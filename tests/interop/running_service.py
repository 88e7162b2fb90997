"""A running ``dtmf-shield serve`` for the tests: configuration written, process started, API and events at hand.

Everything that the service says to anybody by HTTP or on its standard output is kept, so that a leak test can search
it. Waiting is bounded everywhere; what does not happen in time fails the test with the end of the log.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

READY_LIMIT_S = 90.0
STOP_LIMIT_S = 15.0
POLL_S = 0.05
API_ON_LOOPBACK = 'listen = "127.0.0.1:0"'
FLOW = "card-tokenize-agent"
QUICK_FLOW = "card-quick"
CHARGE_FLOW = "card-charge-agent"
"""The shipped flow with one attempt and three seconds for each key."""
QUICK_TIMEOUT_S = 3
SHIPPED_FLOWS = Path(__file__).parents[2] / "ivr_flows"

Found = TypeVar("Found")


def wait_until(look: Callable[[], Found | None], what: str, limit_s: float = 15.0) -> Found:
    """Return what ``look`` finds as soon as it finds something true; fail the test naming ``what`` otherwise."""
    deadline_s = time.monotonic() + limit_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline_s:
            pytest.fail(f"{what}: not within {limit_s:.0f} s")
        time.sleep(POLL_S)


def asks(capture: dict[str, Any] | None, step: str) -> bool:
    """Whether the flow is in ``step`` and its question is open: keys before the first one is armed count for nobody."""
    if capture is None or capture["step"] != step:
        return False
    return capture["current"] is not None or capture["state"] == "choosing"


def write_flows(directory: Path) -> Path:
    """Write the shipped flows and the impatient sister of one."""
    directory.mkdir(parents=True, exist_ok=True)
    text = (SHIPPED_FLOWS / f"{FLOW}.yaml").read_text("utf-8")
    (directory / f"{FLOW}.yaml").write_text(text, "utf-8")
    quick = text.replace(f"id: {FLOW}", f"id: {QUICK_FLOW}").replace("attempts: 3", "attempts: 1")
    for key in ("first_digit_timeout: 20s", "inter_digit_timeout: 6s"):
        assert key in quick, "the shipped flow has changed"
        quick = quick.replace(key, f"{key.split(':')[0]}: {QUICK_TIMEOUT_S}s")
    quick = quick.replace("settle_timeout: 2s", "settle_timeout: 1s")
    (directory / f"{QUICK_FLOW}.yaml").write_text(quick, "utf-8")
    charge = (SHIPPED_FLOWS / f"{CHARGE_FLOW}.yaml").read_text("utf-8")
    (directory / f"{CHARGE_FLOW}.yaml").write_text(charge, "utf-8")
    return directory


class RunningService:
    """One service with its own configuration, state and log."""

    def __init__(
        self,
        directory: Path,
        agents: Mapping[str, str],
        *,
        scan_mode: bool = False,
        sections: str = "",
        sip_listen: tuple[str, ...] = ("127.0.0.1:0",),
        media: str = "",
        capture: str = "",
        calls_max: int = 32,
        environment: Mapping[str, str] | None = None,
        arguments: tuple[str, ...] = (),
        api: str = API_ON_LOOPBACK,
    ) -> None:
        """Start it and wait until it is ready.

        ``agents``: ``address:port`` by name; each is reached by dialling its name, or ``pay-`` and its name, which
        engages a capture at the answer. ``media``, ``capture``, ``sections``: more TOML; ``api``: what [api] has. One
        trunk: 127.0.0.1 and ::1. ``arguments``: more of the command line.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.state, self.log_file = directory / "state", directory / "service.log"
        config = directory / "service.toml"
        flows = write_flows(directory / "flows")
        config.write_text(
            _configuration(agents, flows, sip_listen, f"calls_max = {calls_max}\n{media}", capture, api)
            + sections,
            "utf-8",
        )
        self.events: list[tuple[float, dict[str, Any]]] = []
        self.said: list[bytes] = []
        command = [sys.executable, "-m", "dtmf_shield", "serve", "--config", str(config), "--json"]
        command += ["--state-directory", str(self.state), "--log-file", str(self.log_file)]
        command += arguments
        self._process = subprocess.Popen(
            command + (["--scan-mode"] if scan_mode else []),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(environment or {}),
        )
        self._readers = [
            threading.Thread(target=self._read_events, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        self._stream: threading.Thread | None = None
        self._stopping = False
        self.ready = self.wait_for_event("ready", limit_s=READY_LIMIT_S)
        api_host, api_port = self.ready["api"]
        key = (self.state / "api.key").read_text("ascii").strip()
        self._url = f"http://{api_host}:{api_port}"
        self._headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=self._url, headers=self._headers, timeout=10, trust_env=False)
        self._gateway: httpx.Client | None = None

    # Process

    @property
    def sip(self) -> tuple[str, int]:
        """Where it takes SIP: the first listening address."""
        return self.sip_address(0)

    def sip_address(self, index: int) -> tuple[str, int]:
        """Return a listening address by its place in the configuration."""
        host, port = self.ready["sip"][index][:2]
        return str(host), int(port)

    @property
    def supervisor_pid(self) -> int:
        """Process id of the supervisor."""
        return self._process.pid

    def pids(self) -> dict[str, int]:
        """Return process ids by name, as they are now."""
        described = json.loads((self.state / "run.json").read_text("utf-8"))["processes"]
        return {name: int(process["pid"]) for name, process in described.items()}

    def udp_ports(self) -> set[int]:
        """Return the IPv4 UDP ports that the supervisor holds: SIP, and RTP of every row."""
        inodes = set()
        for descriptor in Path(f"/proc/{self.supervisor_pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                inodes.add(descriptor.readlink().name.removeprefix("socket:[").removesuffix("]"))
        rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
        return {int(row[1].rpartition(":")[2], 16) for row in rows if row[9] in inodes}

    def kill(self, name: str) -> float:
        """Kill a process as a crash would; return when, on the monotonic clock."""
        pid = self.pids()[name]
        at_s = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        return at_s

    def wait_for_event(self, name: str, *, since_s: float = 0.0, limit_s: float = 20.0) -> dict[str, Any]:
        """Return the first event of that name after ``since_s``, with its time as ``at_s``."""

        def look() -> dict[str, Any] | None:
            if self._process.poll() is not None and name != "died":
                pytest.fail(f"the service left with {self._process.returncode}: {self.log_tail()}")
            for at_s, event in list(self.events):
                if event["event"] == name and at_s >= since_s:
                    return {**event, "at_s": at_s}
            return None

        try:
            return wait_until(look, f"event {name!r}", limit_s)
        except BaseException:
            if name == "ready":
                self._process.kill()
            raise

    def stop(self) -> int:
        """End it by SIGTERM and return its exit code."""
        self._stopping = True
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        code = self._process.wait(5)
        for reader in self._readers:
            reader.join(5)
        self._http.close()
        if self._gateway is not None:
            self._gateway.close()
        return code

    def log(self) -> str:
        """Return the log of all processes."""
        return self.log_file.read_text("utf-8", "replace") if self.log_file.exists() else ""

    def log_tail(self) -> str:
        """Return the end of the log and of standard error, for failures."""
        said = b"".join(self.said)[-1_000:].decode("utf-8", "replace")
        return "\n".join([*self.log().splitlines()[-15:], said])

    # API

    def get(self, path: str) -> Any:
        """Ask the API; an API that is being started again is asked again."""

        def look() -> httpx.Response | None:
            try:
                return self._http.get(path)
            except httpx.TransportError:
                return None

        # A response is falsy where it is an error, so it is wrapped.
        response = wait_until(lambda: (found,) if (found := look()) is not None else None, path, 20.0)[0]
        self.said.append(response.content)
        assert response.status_code == 200, (path, response.status_code, response.text)
        return response.json()

    def post(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """Post to the API with a fresh idempotency key."""
        response = self._http.post(path, json=body, headers={"Idempotency-Key": uuid.uuid4().hex})
        self.said.append(response.content)
        return response

    def calls(self) -> list[dict[str, Any]]:
        """Return all calls listed."""
        listed: list[dict[str, Any]] = self.get("/v1/calls")["calls"]
        return listed

    def call_to(self, dialled: str, state: str = "talking", limit_s: float = 10.0) -> dict[str, Any]:
        """Return the newest call to ``dialled`` once it is in ``state``."""

        def look() -> dict[str, Any] | None:
            return next(
                (call for call in self.calls() if call["dialled"] == dialled and call["state"] == state), None
            )

        return wait_until(look, f"call to {dialled} is {state}", limit_s)

    def start_capture(self, call_id: str, flow: str = FLOW, **inputs: str | int) -> str:
        """Start a capture and return its id."""
        body = {"flow": flow, "inputs": {"reference": "test-1", **inputs}}
        response = self.post(f"/v1/calls/{call_id}/captures", body)
        assert response.status_code == 201, (response.status_code, response.text)
        return str(response.json()["id"])

    def capture(self, call_id: str) -> dict[str, Any] | None:
        """Return a call's last capture, or None."""
        capture: dict[str, Any] | None = self.get(f"/v1/calls/{call_id}")["capture"]
        return capture

    def wait_for_field(self, call_id: str, field: str, *states: str, limit_s: float = 20.0) -> dict[str, Any]:
        """Return the capture once ``field`` is in one of ``states``."""

        def look() -> dict[str, Any] | None:
            capture = self.capture(call_id)
            if capture is None:
                return None
            shown = next(each for each in capture["fields"] if each["field"] == field)
            return capture if shown["state"] in states else None

        return wait_until(look, f"field {field} of call {call_id} is {' or '.join(states)}", limit_s)

    def wait_for_count(self, call_id: str, count: int, limit_s: float = 20.0) -> None:
        """Wait until so many keys of the field at hand have arrived."""

        def look() -> bool:
            capture = self.capture(call_id)
            if capture is None:
                return False
            return any(
                field["field"] == capture["current"] and field["count"] >= count
                for field in capture["fields"]
            )

        wait_until(look, f"{count} keys of call {call_id}", limit_s)

    def wait_for_outcome(self, call_id: str, limit_s: float = 25.0) -> dict[str, Any]:
        """Return the outcome of a call's capture."""

        def look() -> dict[str, Any] | None:
            capture = self.capture(call_id)
            return capture["outcome"] if capture else None

        return wait_until(look, f"outcome of call {call_id}", limit_s)

    def recording_of(self, call_id: str, limit_s: float = 10.0) -> Path:
        """Return the closed recording of a call that has ended."""
        directory = self.state / "recordings"

        def look() -> Path | None:
            found = [path for path in directory.glob("*.wav") if call_id in path.name]
            return found[0] if found and found[0].stat().st_size > 44 else None

        return wait_until(look, f"recording of call {call_id}", limit_s)

    def listen_to_events(self) -> None:
        """Keep everything the event stream says from now on, through the service's whole life."""

        def read() -> None:
            while not self._stopping:
                try:
                    with httpx.stream(
                        "GET", self._url + "/v1/events", headers=self._headers, timeout=30, trust_env=False
                    ) as response:
                        for part in response.iter_raw():
                            self.said.append(part)
                            if self._stopping:
                                return
                except httpx.HTTPError:
                    time.sleep(POLL_S)

        self._stream = threading.Thread(target=read, daemon=True)
        self._stream.start()

    # TEST gateway

    def gateway(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Speak to the embedded TEST gateway over TLS, as its tests' door is meant."""
        if self._gateway is None:
            certificates = self.state / "dev-certificates"
            user, password = (certificates / "gateway.user").read_text("utf-8").strip().split(":", 1)
            self._gateway = httpx.Client(
                base_url=f"https://localhost:{self.ready['gateway_port']}",
                auth=(user, password),
                verify=ssl.create_default_context(cafile=str(certificates / "ca.pem")),
                trust_env=False,
            )
        response = self._gateway.request(method, path, json=body)
        assert response.status_code == 200, (path, response.status_code)
        answer: dict[str, Any] = response.json()
        return answer

    # Readers

    def _read_events(self) -> None:
        stdout = self._process.stdout
        if stdout is None:
            return
        with stdout:
            for line in stdout:
                self.said.append(line)
                if line.startswith(b"{"):
                    self.events.append((time.monotonic(), json.loads(line)))

    def _read_errors(self) -> None:
        stderr = self._process.stderr
        if stderr is None:
            return
        with stderr:
            for line in stderr:
                self.said.append(line)


def _configuration(
    agents: Mapping[str, str],
    flows: Path,
    sip_listen: tuple[str, ...],
    media: str,
    capture: str,
    api: str,
) -> str:
    listen = ", ".join(f'"{entry}"' for entry in sip_listen)
    lines = [
        "velocity = []",  # every test calls from one number, cards declined on purpose among them
        "[sip]",
        f"listen = [{listen}]",
        "[api]",
        api,
        "[media]",
        media,
    ]
    lines += ["[[trunks]]", 'name = "trunk"', 'networks = ["127.0.0.1/32", "::1/128"]']
    lines += ["[capture]", f'flows_directory = "{flows}"', capture]
    for name, address in agents.items():
        lines += ["[[agents]]", f'name = "{name}"', f'address = "{address}"', f'user = "{name}"']
    for name in agents:
        lines += ["[[routes]]", f'dialled = "pay-{name}"', f'agent = "{name}"', f'capture = "{FLOW}"']
        lines += ["[[routes]]", f'dialled = "{name}"', f'agent = "{name}"']
    return "\n".join(lines) + "\n"


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    """Our environment without what the service refuses, and without what pytest writes into it."""
    refused = {"sslkeylogfile", "http_proxy", "https_proxy", "all_proxy", "pytest_current_test"}
    return {name: value for name, value in os.environ.items() if name.lower() not in refused} | dict(more)
