"""The gate: identifiers of a provider are no card numbers, and no encoding of a body hides one."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import httpx
import pytest
from api_desk import API_KEY, TEST_PAN, ApiHouse, a_call

from dtmf_shield.api.gate import Gate
from dtmf_shield.api.identity.oidc import Person
from dtmf_shield.base.log import holds_card_number

pytestmark = pytest.mark.anyio
CALLBACK = "/login/oidc/callback"
CARD_LIKE = "230d977e-e225-4159-8720-771f8ca81811"
"""A random UUID of version 4, as one in 142 is."""
STARTS = "/v1/calls/c1/captures"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Provider:
    """The step of a provider that the callback page knows."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    async def finish(self, _state: str, code: str, _issuer: str, _browser: str) -> Person:
        self.codes.append(code)
        return Person("oidc:ada", frozenset({"agent"}), ())


async def come_back(query: str) -> tuple[httpx.Response, Provider]:
    house, provider = ApiHouse(a_call()), Provider()
    house.identity.oidc = provider  # type: ignore[assignment]  # a double
    async with house.client() as browser:
        return await browser.get(f"{CALLBACK}?{query}"), provider


def problem(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).rpartition(":")[2]


@pytest.mark.parametrize("place", ["code", "session_state", "state"])
async def test_identifiers_of_a_provider_are_no_card_numbers(
    place: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert holds_card_number(CARD_LIKE)
    others = "5b2c66e1-0f5d-4f0e-9f43-aaaaaaaaaaaa"
    told = {
        "state": "s",
        "code": f"{others}.{others}.{others}",
        "session_state": others,
        "iss": "https://p.test",
    }
    told[place] = f"{CARD_LIKE}.{others}" if place == "code" else CARD_LIKE

    answer, provider = await come_back(urlencode(told))

    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/")
    assert provider.codes == [told["code"]]
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("httpx")]
    assert CARD_LIKE not in "".join(ours)


@pytest.mark.parametrize(
    "query",
    [
        f"code={TEST_PAN}&state=s",
        "code=4242-4242-4242-4242",
        "state=4242+4242+4242+4242",
        TEST_PAN,
        f"{TEST_PAN}=x",
    ],
)
async def test_a_plain_card_number_is_refused_there_too(query: str) -> None:
    answer, provider = await come_back(query)

    assert (answer.status_code, problem(answer)) == (422, "card-number")
    assert provider.codes == []


async def test_elsewhere_a_query_is_looked_at_as_a_whole() -> None:
    async with ApiHouse().machine() as client:
        answer = await client.get("/v1/calls?q=x4242-4242-4242-4242y")

    assert problem(answer) == "card-number"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "latin-1"])
async def test_a_body_that_is_not_utf_8_is_refused_whatever_is_in_it(encoding: str) -> None:
    house = ApiHouse(a_call())
    body = json.dumps(
        {"flow": "card-payment", "inputs": {"customer": "Zoë"}}, ensure_ascii=encoding != "latin-1"
    )
    headers = {"idempotency-key": "key-00000001", "content-type": "application/json"}
    async with house.machine() as client:
        refused = await client.post(STARTS, content=body.encode(encoding), headers=headers)
        taken = await client.post(STARTS, content=body.encode(), headers=headers)

    assert (refused.status_code, problem(refused)) == (400, "not-utf-8")
    assert taken.status_code == 201
    assert len(house.desk.asked) == 2  # the capture and what it was told, once


async def test_a_body_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    house = ApiHouse(a_call())

    async def endless() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    transport = httpx.ASGITransport(app=Gate(house.app, body_time_max_s=0.05))
    headers = {"authorization": f"Bearer {API_KEY}", "idempotency-key": "key-00000001"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8080", headers=headers
    ) as client:
        async with asyncio.timeout(10):
            answer = await client.post(STARTS, content=endless())

    assert (answer.status_code, problem(answer), answer.headers["connection"]) == (
        408,
        "body-too-slow",
        "close",
    )
    assert house.desk.asked == []
    assert not re.search(r"\d{3}", answer.json()["title"])
