"""Schemathesis over every route but the event stream, in process: what is answered is what the document says.

It makes requests that fit the document and requests that do not, and holds every answer against it: status, media type,
headers, body. The desk is held in memory; the clock is moved, so that no rate limit answers instead of a route.
"""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from api_desk import API_KEY
from full_house import full_house
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from dtmf_shield.api.site import COOKIE

EXAMPLES = 12
QUICK = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
HOUSE = full_house()
SCHEMA = schemathesis.openapi.from_dict(HOUSE.app.openapi())
SCHEMA.app = HOUSE.app
RULES = positive_data_acceptance
"""Rules between members (an amount needs a currency) and of flows cannot be written in the document: 422 as well."""
HOST = {"host": "127.0.0.1:8080"}
HEADERS = {"host": "127.0.0.1:8080", "authorization": f"Bearer {API_KEY}"}
STREAM = "/v1/events"
OF_PEOPLE = r"^/v1/(keys|users|sessions|me|account|login|logout|password)"
"""What no key may ask, or what answers a person otherwise."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@SCHEMA.exclude(path=STREAM).parametrize()
@QUICK
def test_every_answer_is_the_documented_one(case: Any) -> None:
    HOUSE.clock.seconds += 1
    case.call_and_validate(headers=HEADERS, excluded_checks=[RULES])


@SCHEMA.include(path_regex=OF_PEOPLE).parametrize()
@QUICK
def test_every_answer_to_a_person_is_the_documented_one(case: Any) -> None:
    """As an administrator, from our own page; a session of its own each time, for some requests end theirs."""
    HOUSE.clock.seconds += 1
    house, person = HOUSE.identity, HOUSE.login.redeem(HOUSE.login.issue())
    house.users.disable("ada") if house.users.find("ada") else house.users.make("ada", ["agent"], None)
    own_page = {"cookie": f"{COOKIE}={person}", "origin": "http://127.0.0.1:8080"}
    case.call_and_validate(headers=HOST | own_page, excluded_checks=[RULES])


@pytest.mark.anyio
async def test_a_person_is_let_in() -> None:
    """The walk above asks as somebody who may: else each answer would be the documented 403."""
    asked = {operation.ok().path for operation in SCHEMA.include(path_regex=OF_PEOPLE).get_all_operations()}
    HOUSE.clock.seconds += 60
    async with HOUSE.browser() as client:
        paths = ("/v1/keys", "/v1/users", "/v1/sessions", "/v1/me")
        answers = [(await client.get(path)).status_code for path in paths]

    assert len(asked) == 16
    assert answers == [200] * 4


def test_every_route_but_the_stream_is_asked() -> None:
    asked = {operation.ok().path for operation in SCHEMA.exclude(path=STREAM).get_all_operations()}

    assert asked == set(HOUSE.app.openapi()["paths"]) - {STREAM}
    assert len(asked) > 20
