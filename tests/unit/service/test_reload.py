"""SIGHUP over the real processes: a fresh cde with fresh certificates; a bad configuration changes nothing."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dtmf_shield.service.seal.environment import FORBIDDEN_VARIABLES
from tests.unit.service.cde_driver import Gateway

LIMIT_S = 90.0
FLOW_FILE = Path(__file__).parents[3] / "ivr_flows" / "card-tokenize-agent.yaml"

FLOWS_RELOADED = '"event": "flows_reloaded"'
"""Control says so when it has read them, which is after the supervisor has said that all is reloaded."""


class Service:
    """`dtmf-shield serve` with a configured gateway, seen by its status lines."""

    def __init__(self, directory: Path, gateway: Gateway) -> None:
        self.directory, self.gateway = directory, gateway
        self.authorities, self.user = directory / "ca.pem", directory / "gateway.user"
        shutil.copy(gateway.files.ca_file, self.authorities)
        shutil.copy(gateway.files.gateway_user_file, self.user)
        self.user.chmod(0o600)
        self.flows = directory / "flows"
        self.flows.mkdir()
        shutil.copy(FLOW_FILE, self.flows)
        self.config = directory / "service.toml"
        self.write()
        variables = {key: value for key, value in os.environ.items() if key not in FORBIDDEN_VARIABLES}
        command = [sys.executable, "-m", "dtmf_shield", "serve", "--json", "--config", str(self.config)]
        self._process = subprocess.Popen(
            [*command, "--log-file", str(directory / "log")],
            stdout=subprocess.PIPE,
            env=variables,
        )
        self.events: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.wait_for("ready")
        except BaseException:
            self.stop()
            raise

    def write(self, more: str = "", require: str = "") -> None:
        lines = ["[sip]", 'listen = ["127.0.0.1:0"]', "[api]", 'listen = "127.0.0.1:0"']
        lines += [
            "[gateway]",
            'kind = "generic"',
            "test = true",
            f'address = "127.0.0.1:{self.gateway.port}"',
        ]
        lines += [f'ca_file = "{self.authorities}"', f'credentials_file = "{self.user}"', more]
        lines += ["[capture]", 'flows_directory = "flows"']
        lines += ["[cde]", f"require = [{require}]", "[media]", "calls_max = 2"]
        self.config.write_text("\n".join(lines), "utf-8")

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self.events.append(json.loads(line))

    def wait_for(self, name: str, count: int = 1) -> dict[str, Any]:
        end_s = time.monotonic() + LIMIT_S
        while time.monotonic() < end_s:
            found = [event for event in self.events if event["event"] == name]
            if len(found) >= count:
                return found[count - 1]
            assert self._process.poll() is None, self.log()
            time.sleep(0.02)
        raise AssertionError(f"no {name}: {self.log()}")

    def hang_up(self) -> None:
        self._process.send_signal(signal.SIGHUP)

    def cde_pid(self) -> int:
        return int(self.status()["pid"])

    def status(self) -> dict[str, Any]:
        described: dict[str, Any] = json.loads((self.directory / "state" / "run.json").read_text())
        cde: dict[str, Any] = described["processes"]["cde"]
        return cde

    def log(self) -> str:
        return (self.directory / "log").read_text("utf-8")

    def titles(self) -> list[str]:
        """Ask the API what an agent may start."""
        host, port = self.wait_for("ready")["api"]
        key = (self.directory / "state" / "api.key").read_text("ascii").strip()
        connection = http.client.HTTPConnection(host, port, timeout=10)
        connection.request("GET", "/v1/flows", headers={"Authorization": f"Bearer {key}"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return [flow["title"] for flow in answer["flows"]]

    def pids(self) -> dict[str, int]:
        described = json.loads((self.directory / "state" / "run.json").read_text())
        return {name: each["pid"] for name, each in described["processes"].items()}

    def stop(self) -> int:
        self._process.terminate()
        return self._process.wait(20)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("gateway"))
    yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, gateway: Gateway) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("service"), gateway)
    yield service
    assert service.stop() == 0, service.log()


def test_bad_configuration_certificate_or_key_file_changes_nothing(service: Service) -> None:
    before = service.cde_pid()
    good = service.authorities.read_bytes()

    service.write(more="no_such_key = 1")
    service.hang_up()
    first = service.wait_for("reload_refused", 1)
    service.write()
    service.authorities.write_text("no certificate")
    service.hang_up()
    second = service.wait_for("reload_refused", 2)
    service.authorities.write_bytes(good)
    keys = service.directory / "state" / "kek.json"
    whole_keys = keys.read_bytes()
    keys.write_text("no keys")
    service.hang_up()
    third = service.wait_for("reload_refused", 3)
    keys.write_bytes(whole_keys)

    assert "no_such_key" in first["reason"]
    assert "is no key file" in third["reason"]
    assert "holds no PEM certificate" in second["reason"]
    assert service.cde_pid() == before


def test_reload_starts_a_fresh_cde_that_serves(service: Service) -> None:
    before = service.cde_pid()
    died = len([event for event in service.events if event["event"] == "died"])

    service.hang_up()
    service.wait_for("reloaded")

    assert service.cde_pid() != before
    assert service.status()["ready"] is True
    assert service.status()["protection_missing"] == []
    assert len([event for event in service.events if event["event"] == "died"]) == died
    assert not Path(f"/proc/{before}").exists()


def test_fresh_cde_believes_the_fresh_authorities_alone(service: Service, tmp_path: Path) -> None:
    """The gateway shows a certificate of the former authority: what a reload brought in is really in force."""
    other = Gateway(tmp_path)
    try:
        good = service.authorities.read_bytes()
        shutil.copy(other.files.ca_file, service.authorities)
        service.hang_up()
        service.wait_for("reloaded", 2)
        end_s = time.monotonic() + LIMIT_S
        while '"reason": "tls"' not in service.log() and time.monotonic() < end_s:
            time.sleep(0.05)
        log = service.log()
        service.authorities.write_bytes(good)
        service.hang_up()
        service.wait_for("reloaded", 3)
    finally:
        other.stop()

    assert '"reason": "tls"' in log


def test_sections_that_wait_for_a_restart_are_named(service: Service) -> None:
    service.config.write_text(service.config.read_text().replace("calls_max = 2", "calls_max = 3"))

    service.hang_up()
    service.wait_for("reloaded", 4)

    assert '"sections": ["media"]' in service.log()


def test_flows_are_read_anew_by_the_control_that_runs(service: Service) -> None:
    before, file = service.pids(), service.flows / FLOW_FILE.name
    reloads = len([event for event in service.events if event["event"] == "reloaded"])
    read_before = service.log().count(FLOWS_RELOADED)
    text = file.read_text("utf-8")
    changed = re.sub(r"(?m)^title: .*$", "title: After the reload", text)
    assert changed != text
    file.write_text(changed, "utf-8")
    titles = [service.titles()]

    service.hang_up()
    service.wait_for("reloaded", reloads + 1)
    wait_until(lambda: service.log().count(FLOWS_RELOADED) > read_before)

    titles.append(service.titles())
    assert titles[0] != ["After the reload"]
    assert titles[1] == ["After the reload"]
    assert service.pids()["control"] == before["control"]
    assert '"served": 1, "new": 0, "changed": 1, "gone": 0' in service.log()


def test_a_bad_flow_refuses_the_reload_and_outlives_a_crash_of_control(service: Service) -> None:
    """Control reads copies of what was accepted: a file in the middle of an edit is nothing to one that comes back."""
    refused = len([event for event in service.events if event["event"] == "reload_refused"])
    recovered = len([event for event in service.events if event["event"] == "recovered"])
    served, cde = service.titles(), service.cde_pid()
    (service.flows / FLOW_FILE.name).write_bytes(b"title: caf\xe9\n")

    service.hang_up()
    reason = service.wait_for("reload_refused", refused + 1)["reason"]
    os.kill(service.pids()["control"], signal.SIGKILL)
    service.wait_for("recovered", recovered + 1)

    assert f"{FLOW_FILE.name}: not UTF-8 text" in reason
    assert service.titles() == served
    assert service.cde_pid() == cde


def wait_until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)
