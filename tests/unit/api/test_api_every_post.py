"""Every POST of the document: an Idempotency-Key is needed, carried out once, and belongs to one request."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from api_desk import API_KEY, ApiHouse
from full_house import full_house

from dtmf_shield.api.openapi import openapi_text

pytestmark = pytest.mark.anyio
POSTS = [path for path, methods in json.loads(openapi_text())["paths"].items() if "post" in methods]
PLACES = {"call_id": "c2", "capture_id": "cap1", "operation_id": "charge-1", "name": "crm"}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/calls/{call_id}/captures": {"flow": "card-payment"},
    "/v1/captures/{capture_id}/commands": {"command": "redo", "field": "pan"},
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def house() -> ApiHouse:
    return full_house()


def address(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: PLACES[match[1]], path)


def key(text: str) -> dict[str, str]:
    return {"idempotency-key": text}


def problem(answer: Any) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["type"]).rpartition(":")[2]


@pytest.mark.parametrize("path", POSTS)
async def test_without_a_key_or_with_an_unfit_one_nothing_is_done(house: ApiHouse, path: str) -> None:
    body = BODIES.get(path, {})
    async with house.machine() as client:
        without = await client.post(address(path), json=body)
        unfit = [
            await client.post(address(path), json=body, headers=key(text)) for text in ("short", "x" * 65)
        ]

    assert (without.status_code, problem(without)) == (422, "invalid-request")
    assert [(answer.status_code, problem(answer)) for answer in unfit] == [(422, "idempotency-key-form")] * 2
    assert house.desk.asked == []


@pytest.mark.parametrize("path", POSTS)
async def test_the_same_request_is_carried_out_once_and_another_with_its_key_never(
    house: ApiHouse, path: str
) -> None:
    body = BODIES.get(path, {})
    async with house.machine() as client:
        first = await client.post(address(path), json=body, headers=key("key-00000001"))
        done = list(house.desk.asked)
        again = await client.post(address(path), json=body, headers=key("key-00000001"))
        other = await client.post(
            address(path),
            content=json.dumps(body) + " ",
            headers=key("key-00000001") | {"content-type": "application/json"},
        )

    assert first.status_code in (201, 202)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert (other.status_code, problem(other)) == (409, "idempotency-key-reused")
    assert house.desk.asked == done


@pytest.mark.parametrize("path", POSTS)
async def test_a_session_needs_its_own_page_and_a_stranger_gets_nowhere(house: ApiHouse, path: str) -> None:
    body, origin = BODIES.get(path, {}), {"origin": "http://127.0.0.1:8080"}
    async with house.browser() as browser, house.client() as stranger:
        cross = await browser.post(address(path), json=body, headers=key("key-00000001"))
        own = await browser.post(address(path), json=body, headers=key("key-00000001") | origin)
        nobody = await stranger.post(address(path), json=body, headers=key("key-00000001"))
        wrong = await stranger.post(
            address(path), json=body, headers=key("key-00000001") | {"authorization": f"Bearer x{API_KEY}"}
        )

    assert (cross.status_code, problem(cross)) == (403, "cross-site")
    assert own.status_code in (201, 202)
    assert (nobody.status_code, wrong.status_code) == (401, 401)
