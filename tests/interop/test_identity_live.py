"""Identity of a running service: users of the command line, sessions over deaths of control, TLS on a public name."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from running_service import RunningService, wait_until

from dtmf_shield.service.certificates import SERVER_AUTH, issue_leaf, make_authority

pytestmark = [pytest.mark.interop, pytest.mark.untimed]
PASSWORD = "seven green kites 4"
AGENTS = {"agent": "127.0.0.1:5070"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("identity"), AGENTS)
    yield running
    running.stop()


def command(service: RunningService, *words: str) -> Any:
    """Run the command line beside the service, as an operator does."""
    line = [sys.executable, "-m", "dtmf_shield", *words, "--state-directory", str(service.state)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if "--json" in words else done.stdout


def rows(service: RunningService) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (service.state / "audit.jsonl").read_text("ascii").splitlines()]


def a_browser(origin: str, verify: ssl.SSLContext | bool = True) -> httpx.Client:
    headers = {"origin": origin, "sec-fetch-site": "same-origin"}
    return httpx.Client(base_url=origin, headers=headers, timeout=10, trust_env=False, verify=verify)


def origin_of(service: RunningService) -> str:
    host, port = service.ready["api"]
    return f"http://{host}:{port}"


def welcomed(browser: httpx.Client, link: str, password: str = PASSWORD) -> None:
    secret = link.partition("#")[2]
    answer = browser.post("/v1/password", json={"link": secret, "password": password})
    assert answer.status_code == 204, answer.text


def test_a_user_of_the_command_line_signs_in_and_is_out_within_a_second_of_being_disabled(
    service: RunningService,
) -> None:
    link = command(service, "users", "add", "ada", "--role", "agent", "--agent", "agent", "--json")["link"]
    assert link.startswith(origin_of(service) + "/welcome#")
    with a_browser(origin_of(service)) as ada:
        welcomed(ada, link)
        assert ada.get("/v1/me").json()["agents"] == ["agent"]
        with ada.stream("GET", "/v1/events") as stream:
            lines = stream.iter_lines()
            while next(lines) != "event: resync":
                pass
            command(service, "users", "disable", "ada")
            began_s = time.monotonic()
            for _ in lines:
                pass  # until the service ends it
            took_s = time.monotonic() - began_s
        assert ada.get("/v1/me").status_code == 401

    assert took_s < 5
    told = {(row["event"], row.get("user")): row for row in rows(service)}
    assert told["user_made", "ada"]["by"].startswith("command-line:")
    assert ("user_disabled", "ada") in told
    assert PASSWORD not in json.dumps(rows(service))
    assert PASSWORD not in service.log_file.read_text("utf-8")


def test_a_session_outlives_a_death_of_control_and_the_link_does_not_come_back(
    service: RunningService,
) -> None:
    with a_browser(origin_of(service)) as browser, a_browser(origin_of(service)) as other:
        assert browser.get(service.ready["login_url"]).status_code == 303
        before = browser.get("/v1/me").json()
        assert before["roles"] == ["admin", "agent", "auditor", "engineer", "supervisor"]
        control = service.pids()["control"]
        os.kill(control, signal.SIGKILL)
        wait_until(lambda: service.pids()["control"] != control, "another control")

        def again() -> dict[str, Any] | None:
            try:
                answer = browser.get("/v1/me")
            except httpx.TransportError:
                return None
            return answer.json() if answer.status_code == 200 else None

        assert wait_until(again, "the session goes on")["name"] == before["name"]
        assert other.get(service.ready["login_url"]).status_code == 401


def test_a_fresh_link_and_a_key_of_the_command_line_open(service: RunningService) -> None:
    link = command(service, "users", "link", "--json")["link"]
    key = command(service, "api-keys", "add", "crm", "--role", "supervisor", "--json")["key"]
    with a_browser(origin_of(service)) as browser:
        assert browser.get(link).status_code == 303
        assert browser.get("/v1/users").status_code == 200
    headers = {"authorization": f"Bearer {key}"}
    calls = f"{origin_of(service)}/v1/calls"

    def opens() -> bool:
        return httpx.get(calls, headers=headers, trust_env=False).status_code == 200

    wait_until(opens, "the key of the command line opens")
    assert "crm  good  supervisor" in command(service, "api-keys", "list")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with ca.pem, cert.pem and key.pem for pay.test."""
    directory = tmp_path_factory.mktemp("tls")
    root = make_authority("test root")
    leaf = issue_leaf(root, "pay.test", [x509.DNSName("pay.test")], [SERVER_AUTH])
    (directory / "ca.pem").write_bytes(root.certificate_pem())
    (directory / "cert.pem").write_bytes(leaf.certificate_pem())
    (directory / "key.pem").write_bytes(leaf.key_pem())
    (directory / "key.pem").chmod(0o600)
    return directory


def test_by_tls_on_another_address_cookies_are_for_this_host_alone(tmp_path: Path, authority: Path) -> None:
    api = f"""
listen = "0.0.0.0:0"
public_url = "https://pay.test"
tls_certificate_file = "{authority}/cert.pem"
tls_key_file = "{authority}/key.pem"
"""
    state = tmp_path / "state"
    state.mkdir()
    line = [sys.executable, "-m", "dtmf_shield", "users", "add", "root", "--role", "admin", "--json"]
    made = subprocess.run(
        [*line, "--state-directory", str(state)], capture_output=True, timeout=60, check=True
    )
    secret = json.loads(made.stdout)["link"].partition("#")[2]
    running = RunningService(tmp_path, AGENTS, api=api)
    try:
        port = running.ready["api"][1]
        assert running.ready["login_url"].startswith("https://pay.test/login?ticket=")
        context = ssl.create_default_context(cafile=str(authority / "ca.pem"))
        sni = {"sni_hostname": "pay.test"}
        with a_browser(f"https://127.0.0.1:{port}", context) as browser:
            browser.headers.update({"host": "pay.test", "origin": "https://pay.test"})
            body = {"link": secret, "password": PASSWORD}
            opened = browser.post("/v1/password", json=body, extensions=sni)
            foreign = browser.get("/v1/login", headers={"host": "evil.test"}, extensions=sni)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False)
    finally:
        running.stop()

    assert opened.status_code == 204, opened.text
    cookie = opened.headers["set-cookie"]
    assert cookie.startswith("__Host-dtmf_shield_session=")
    assert {"Secure", "HttpOnly", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "domain" not in cookie.lower()
    assert opened.headers["strict-transport-security"] == "max-age=31536000"
    assert foreign.status_code == 421
