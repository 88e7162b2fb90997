"""Every POST of the document: an Idempotency-Key is needed, carried out once, and belongs to one request."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from api_desk import API_KEY, ApiHouse
from full_house import full_house

from dtmf_shield.api.identity.principal import Role
from dtmf_shield.api.openapi import openapi_text
from dtmf_shield.api.role_table import accesses

pytestmark = pytest.mark.anyio
WITHOUT_KEY = {
    "/v1/login": {"name": "nobody", "password": "no password 1"},
    "/v1/logout": {},
    "/v1/password": {"link": "none", "password": "no password 1"},
    "/v1/account/password": {"current": "no password 1", "password": "no password 2"},
    "/v1/account/second-factor": {"current": "no password 1"},
    "/v1/account/second-factor/confirm": {"code": "abc"},
    "/v1/account/second-factor/remove": {"current": "no password 1"},
    "/v1/account/sessions/commands": {"command": "end_others"},
}
"""A password, a secret or a code must not lie in a table of answers, and twice is once."""
FIRST_AND_SECOND = {
    "/v1/login": [401, 401],
    "/v1/logout": [204, 401],
    "/v1/password": [403, 403],
    "/v1/account/sessions/commands": [202, 202],
}
"""Who came by a link has neither password nor second factor here: 409."""
ANSWERED_ONCE = {"/v1/keys": "secret", "/v1/users": "link"}
"""Where the answer has a secret: its member, which the repeated answer has not."""
EVERY_POST = {path for path, methods in json.loads(openapi_text())["paths"].items() if "post" in methods}
POSTS = sorted(EVERY_POST - set(WITHOUT_KEY))
PLACES = {"call_id": "c2", "capture_id": "cap1", "operation_id": "charge-1", "name": "crm"}
ORIGIN = {"origin": "http://127.0.0.1:8080"}
ADMIN = {(access.method, access.path) for access in accesses() if access.roles == {Role.ADMIN}}
"""No key may ask these: a person does, from a page of ours."""
BODIES: dict[str, dict[str, Any]] = {
    "/v1/calls/{call_id}/captures": {"flow": "card-payment"},
    "/v1/captures/{capture_id}/commands": {"command": "redo", "field": "pan"},
    "/v1/keys": {"name": "warehouse", "roles": ["agent"]},
    "/v1/keys/{name}/commands": {"command": "revoke"},
    "/v1/sessions/commands": {"command": "sign_out", "name": "crm"},
    "/v1/users": {"name": "ada", "roles": ["agent"]},
    "/v1/users/{name}/commands": {"command": "disable"},
    "/v1/flow-drafts/check": {"text": "flow: v1"},
    "/v1/flow-drafts/graph": {"text": "flow: v1"},
    "/v1/flow-drafts/simulate": {"text": "flow: v1", "script": "card visa"},
}
COUNTED = {
    "/v1/calls/{call_id}/captures",
    "/v1/captures/{capture_id}/commands",
    "/v1/captures/{capture_id}/pay",
    "/v1/webhooks/{name}/test",
}
"""What is carried out at the desk in memory, or is a row of the audit log. The other ports of the full house keep no
account."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def house() -> ApiHouse:
    """One of everything; a user, a key and a session of the name ``crm`` as well."""
    house = full_house()
    house.identity.users.make("crm", ["agent"], None)
    house.identity.keys.make("crm", ["agent"])
    house.identity.sessions.open("crm", "oidc", ["agent"])
    return house


def address(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: PLACES[match[1]], path)


def may(house: ApiHouse, path: str) -> httpx.AsyncClient:
    """Return a client that may ask: a program, or a person where none may."""
    if ("POST", path) not in ADMIN:
        return house.machine()
    client = house.browser()
    client.headers.update(ORIGIN)
    return client


def done_so_far(house: ApiHouse) -> tuple[Any, ...]:
    """Return all that a POST may have changed here: the desk, the people, the keys, sessions, what was noted."""
    identity = house.identity
    open_ones = [(row.name, row.created) for row in identity.sessions.all() if row.name == "crm"]
    return list(house.desk.asked), identity.users.all(), identity.keys.all(), open_ones, list(house.noted)


def key(text: str) -> dict[str, str]:
    return {"idempotency-key": text}


def problem(answer: Any) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["type"]).rpartition(":")[2]


@pytest.mark.parametrize("path", POSTS)
async def test_without_a_key_or_with_an_unfit_one_nothing_is_done(house: ApiHouse, path: str) -> None:
    body = BODIES.get(path, {})
    async with may(house, path) as client:
        before = done_so_far(house)
        without = await client.post(address(path), json=body)
        unfit = [
            await client.post(address(path), json=body, headers=key(text)) for text in ("short", "x" * 65)
        ]

    assert (without.status_code, problem(without)) == (422, "invalid-request")
    assert [(answer.status_code, problem(answer)) for answer in unfit] == [(422, "idempotency-key-form")] * 2
    assert done_so_far(house) == before


@pytest.mark.parametrize("path", POSTS)
async def test_the_same_request_is_carried_out_once_and_another_with_its_key_never(
    house: ApiHouse, path: str
) -> None:
    body = BODIES.get(path, {})
    async with may(house, path) as client:
        before = done_so_far(house)
        first = await client.post(address(path), json=body, headers=key("key-00000001"))
        done = done_so_far(house)
        again = await client.post(address(path), json=body, headers=key("key-00000001"))
        other = await client.post(
            address(path),
            content=json.dumps(body) + " ",
            headers=key("key-00000001") | {"content-type": "application/json"},
        )

    assert first.status_code in (200, 201, 202)
    shown = first.json()
    if path in ANSWERED_ONCE:
        shown |= {ANSWERED_ONCE[path]: None, "already_shown": True}
    assert (again.status_code, again.json()) == (first.status_code, shown)
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert (other.status_code, problem(other)) == (409, "idempotency-key-reused")
    assert done_so_far(house) == done
    assert (done != before) is (("POST", path) in ADMIN or path in COUNTED)


@pytest.mark.parametrize("path", POSTS)
async def test_a_session_needs_its_own_page_and_a_stranger_gets_nowhere(house: ApiHouse, path: str) -> None:
    body = BODIES.get(path, {})
    async with house.browser() as browser, house.client() as stranger:
        cross = await browser.post(address(path), json=body, headers=key("key-00000001"))
        own = await browser.post(address(path), json=body, headers=key("key-00000001") | ORIGIN)
        nobody = await stranger.post(address(path), json=body, headers=key("key-00000001"))
        wrong = await stranger.post(
            address(path), json=body, headers=key("key-00000001") | {"authorization": f"Bearer x{API_KEY}"}
        )

    assert (cross.status_code, problem(cross)) == (403, "cross-site")
    assert own.status_code in (200, 201, 202)
    assert (nobody.status_code, wrong.status_code) == (401, 401)


def test_the_posts_without_a_key_are_eight() -> None:
    assert set(WITHOUT_KEY) < EVERY_POST
    assert len(POSTS) == len(EVERY_POST) - 8
    assert {path for _, path in ADMIN} >= {"/v1/keys", "/v1/users", "/v1/sessions/commands"}


@pytest.mark.parametrize("path", WITHOUT_KEY)
async def test_without_a_key_by_decision_twice_is_once_and_another_page_gets_nowhere(
    house: ApiHouse, path: str
) -> None:
    async with house.browser() as browser:
        before = done_so_far(house)
        cross = await browser.post(path, json=WITHOUT_KEY[path])
        signed_in = (await browser.get("/v1/me")).status_code
        untouched = done_so_far(house)
        own = [await browser.post(path, json=WITHOUT_KEY[path], headers=ORIGIN) for _ in range(2)]
    changed = done_so_far(house)

    assert (cross.status_code, problem(cross), signed_in) == (403, "cross-site", 200)
    assert untouched == before
    assert [answer.status_code for answer in own] == FIRST_AND_SECOND.get(path, [409, 409])
    assert changed[:4] == before[:4]
    assert "idempotency-replayed" not in own[1].headers
