"""The whole code flow at a certified provider: npm oidc-provider 9.13.3 (MIT), a process of its own on loopback."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest
from counterparts.installed import need, node_program

from dtmf_shield.api.app import create_app
from dtmf_shield.api.openapi import EmptyDesk
from dtmf_shield.api.server import serve
from dtmf_shield.base.config import Config, load_config
from dtmf_shield.base.system_clock import SystemClock
from dtmf_shield.service import start
from dtmf_shield.service.control.identity import ControlIdentity

pytestmark = [pytest.mark.interop, pytest.mark.untimed, pytest.mark.anyio]
PROVIDER = "oidc-provider@9.13.3"
SECRET = "a secret of the test, with + and % in it: 7"
SCRIPT = Path(__file__).with_name("counterparts") / "oidc_provider.mjs"
STEPS_MAX = 12


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


@pytest.fixture(scope="module")
def issuer(listening: socket.socket) -> Iterator[str]:
    redirect = f"http://127.0.0.1:{listening.getsockname()[1]}/login/oidc/callback"
    module = node_program(PROVIDER, "lib/index.js")
    line = [need("node"), str(SCRIPT), str(module), redirect, SECRET]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        assert running.stdout is not None
        port = running.stdout.readline().strip()
        assert port, "the provider did not start"
        yield f"http://127.0.0.1:{port}"
        running.terminate()


class House:
    """The API over nothing, as control makes it from a configuration file."""

    def __init__(self, issuer: str, directory: Path, **more: str) -> None:
        (directory / "secret").write_text(more.pop("secret", SECRET) + "\n", "utf-8")
        (directory / "secret").chmod(0o600)
        file = directory / "service.toml"
        keys = "".join(f'{key} = "{value}"\n' for key, value in more.items())
        file.write_text(
            f'[oidc]\nissuer = "{issuer}"\nclient_id = "dtmf-shield"\nclient_secret_file = "secret"\n{keys}'
            'roles = { "card-agents" = "agent", "card-admins" = "admin" }\n',
            "utf-8",
        )
        assert start.check(load_config(file), directory) == []
        config = Config.model_validate(start._resolved(load_config(file), directory))
        self.noted: list[dict[str, Any]] = []
        self.parts = ControlIdentity(config, directory, SystemClock(), self._note, "k" * 43)
        self.app = create_app(EmptyDesk(), self.parts.identity, site=self.parts.site)

    def _note(self, event: str, **facts: Any) -> None:
        self.noted.append({"event": event, **facts})


@asynccontextmanager
async def running(house: House, listening: socket.socket) -> AsyncIterator[httpx.AsyncClient]:
    """Serve on a copy of the socket, for the provider knows its port, and yield a browser."""
    stop = asyncio.Event()
    copy = listening.dup()
    copy.setblocking(False)
    serving = asyncio.create_task(serve(house.app, copy, stop))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as browser:
            yield browser
    finally:
        stop.set()
        await serving
        house.parts.close()


async def walked(browser: httpx.AsyncClient, name: str, stop_at: str = "/ui/") -> httpx.Response:
    """Follow the flow as a browser does, filling in the provider's forms; end where ``stop_at`` would be asked."""
    answer = await browser.get("/login/oidc")
    for _ in range(STEPS_MAX):
        if answer.is_redirect:
            target = urljoin(str(answer.url), answer.headers["location"])
            if urlsplit(target).path == stop_at:
                return answer
            answer = await browser.get(target)
            continue
        form = re.search(r'<form[^>]*action="([^"]+)"', answer.text)
        assert form is not None, answer.text[:500]
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)"', answer.text))
        if fields.get("prompt") == "login":
            fields |= {"login": name, "password": "any"}
        answer = await browser.post(urljoin(str(answer.url), form[1]), data=fields)
    raise AssertionError(f"not at {stop_at} after {STEPS_MAX} steps")


async def test_a_person_signs_in_with_the_roles_and_calls_of_their_claims(
    issuer: str, listening: socket.socket, tmp_path: Path
) -> None:
    house = House(issuer, tmp_path)
    async with running(house, listening) as browser:
        ways = (await browser.get("/v1/login")).json()
        answer = await walked(browser, "ada")
        me = (await browser.get("/v1/me")).json()

    assert ways == {"passwords": False, "oidc": "your work account"}
    assert answer.headers["location"] == "/ui/"
    assert (me["name"], me["roles"], me["agents"]) == ("oidc:ada", ["agent"], ["desk-ada"])
    login = house.noted[-1]
    assert (login["event"], login["user"], login["how"], login["roles"]) == (
        "login",
        "oidc:ada",
        "oidc",
        "agent",
    )


async def test_two_groups_are_two_roles(issuer: str, listening: socket.socket, tmp_path: Path) -> None:
    async with running(House(issuer, tmp_path), listening) as browser:
        await walked(browser, "root")
        assert (await browser.get("/v1/me")).json()["roles"] == ["admin", "agent"]


async def test_who_has_no_role_is_not_let_in_and_told_so(
    issuer: str, listening: socket.socket, tmp_path: Path
) -> None:
    house = House(issuer, tmp_path)
    async with running(house, listening) as browser:
        answer = await walked(browser, "eve")
        me = await browser.get("/v1/me")

    assert answer.headers["location"] == "/ui/?failed=no-role"
    assert me.status_code == 401
    assert house.noted == [
        {"event": "login_failed", "user": "oidc", "address": "127.0.0.1", "reason": "no_role"}
    ]


async def test_a_code_is_good_once_and_in_the_browser_that_went(
    issuer: str, listening: socket.socket, tmp_path: Path
) -> None:
    house = House(issuer, tmp_path)
    async with running(house, listening) as browser:
        back = await walked(browser, "ada", stop_at="/login/oidc/callback")
        callback = back.headers["location"]
        assert parse_qs(urlsplit(callback).query)["iss"] == [issuer]
        async with httpx.AsyncClient(trust_env=False) as thief:
            stolen = await thief.get(callback)
        again = await browser.get(callback)  # the state is spent by the attempt

    assert stolen.headers["location"] == again.headers["location"] == "/ui/?failed=other"
    assert [row["reason"] for row in house.noted] == ["another_browser", "state_unknown"]


async def test_a_wrong_secret_and_a_provider_that_is_away_are_told(
    issuer: str, listening: socket.socket, tmp_path: Path
) -> None:
    wrong = House(issuer, tmp_path, secret="not this one")
    async with running(wrong, listening) as browser:
        answer = await walked(browser, "ada")
    away = House("http://127.0.0.1:9", tmp_path)
    async with running(away, listening) as browser:
        nobody = await browser.get("/login/oidc")

    assert answer.headers["location"] == "/ui/?failed=other"
    assert wrong.noted[-1]["reason"] == "token_status_401"
    assert nobody.headers["location"] == "/ui/?failed=provider"
    assert away.noted[-1]["reason"] == "ConnectionRefusedError"
