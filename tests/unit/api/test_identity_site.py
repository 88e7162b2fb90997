"""The public name, cookies by TLS, and whose word about addresses is believed."""

from __future__ import annotations

import ipaddress

import httpx
import pytest
from api_desk import ApiHouse, a_call

from dtmf_shield.api.site import LOOPBACK, Site

pytestmark = pytest.mark.anyio
PUBLIC = Site("https://pay.test", frozenset({"pay.test"}), (ipaddress.ip_network("192.0.2.0/28"),))
HEADERS = {"host": "pay.test", "origin": "https://pay.test"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def client(house: ApiHouse, peer: str = "192.0.2.1", **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=house.app, client=(peer, 40_000))
    return httpx.AsyncClient(transport=transport, base_url="http://10.0.0.1", headers={**HEADERS, **headers})


@pytest.mark.parametrize("host", ["pay.test", "PAY.test:443", "127.0.0.1:8080", "localhost", "[::1]:8080"])
def test_its_own_names_are_answered(host: str) -> None:
    assert PUBLIC.answers_to(host)


@pytest.mark.parametrize(
    "host", ["evil.test", "pay.test.evil.test", "192.0.2.9", "", "[::2]", "pay.test@evil.test"]
)
def test_other_names_are_not(host: str) -> None:
    assert not PUBLIC.answers_to(host)
    assert not LOOPBACK.answers_to("pay.test")


def test_an_address_is_read_from_the_right_until_one_that_is_no_proxy() -> None:
    for forwarded, address in (
        ("203.0.113.5", "203.0.113.5"),
        ("1.1.1.1, 203.0.113.5", "203.0.113.5"),  # what the client wrote itself stands to the left
        ("203.0.113.5, 192.0.2.3", "203.0.113.5"),
        ("203.0.113.5, nonsense", "192.0.2.1"),
        ("", "192.0.2.1"),
    ):
        assert PUBLIC.client("192.0.2.1", forwarded) == address
    assert PUBLIC.client("203.0.113.9", "1.1.1.1") == "203.0.113.9"
    assert LOOPBACK.client("127.0.0.1", "1.1.1.1") == "127.0.0.1"


async def test_a_line_that_the_proxy_adds_behind_the_clients_own_is_believed() -> None:
    house = ApiHouse(a_call(), site=PUBLIC)
    async with client(house) as browser:
        lines = [*HEADERS.items(), ("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "203.0.113.5")]
        await browser.post("/v1/login", json={"name": "ada", "password": "x"}, headers=lines)

    assert house.noted[-1]["address"] == "203.0.113.5"


async def test_behind_a_proxy_nobody_else_is_answered() -> None:
    house = ApiHouse(a_call(), site=PUBLIC)
    answers = {}
    for peer in ("192.0.2.1", "203.0.113.9", "127.0.0.1"):
        async with client(house, peer) as asking:
            answers[peer] = (await asking.get("/livez")).status_code

    assert answers == {"192.0.2.1": 200, "203.0.113.9": 403, "127.0.0.1": 200}


async def test_behind_a_proxy_a_login_is_by_the_public_origin_and_its_cookie_for_this_host() -> None:
    house = ApiHouse(a_call(), site=PUBLIC)
    secret = house.identity.users.make("ada", ["agent"], None)
    body = {"link": secret, "password": "seven green kites 4"}
    async with client(house, **{"x-forwarded-for": "203.0.113.5"}) as browser:
        plain = await browser.post("/v1/password", json=body, headers={"origin": "http://pay.test"})
        opened = await browser.post("/v1/password", json=body)

    assert plain.status_code == 403
    cookie = opened.headers["set-cookie"]
    assert cookie.startswith("__Host-dtmf_shield_session=")
    assert "secure" in cookie.lower()
    assert "domain" not in cookie.lower()
    assert opened.headers["strict-transport-security"].startswith("max-age=")
    assert house.noted[-1]["address"] == "203.0.113.5"


async def test_a_cookie_without_the_prefix_opens_nothing_there() -> None:
    house = ApiHouse(a_call(), site=PUBLIC)
    cookie = house.login.redeem(house.login.issue())
    async with client(house) as browser:
        named = [f"{name}={cookie}" for name in ("dtmf_shield_session", "__Host-dtmf_shield_session")]
        found = [(await browser.get("/v1/me", headers={"cookie": one})).status_code for one in named]

    assert found == [401, 200]
