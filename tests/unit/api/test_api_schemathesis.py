"""Schemathesis over every route but the event stream, in process: what is answered is what the document says.

It makes requests that fit the document and requests that do not, and holds every answer against it: status, media type,
headers, body. The desk is held in memory; the clock is moved, so that no rate limit answers instead of a route.
"""

from __future__ import annotations

from typing import Any

import schemathesis
from api_desk import API_KEY
from full_house import full_house
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

EXAMPLES = 12
HOUSE = full_house()
SCHEMA = schemathesis.openapi.from_dict(HOUSE.app.openapi())
SCHEMA.app = HOUSE.app
RULES = positive_data_acceptance
"""Rules between members (an amount needs a currency) and of flows cannot be written in the document: 422 as well."""
HEADERS = {"host": "127.0.0.1:8080", "authorization": f"Bearer {API_KEY}"}
STREAM = "/v1/events"


@SCHEMA.exclude(path=STREAM).parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_the_documented_one(case: Any) -> None:
    HOUSE.clock.seconds += 1
    case.call_and_validate(headers=HEADERS, excluded_checks=[RULES])


def test_every_route_but_the_stream_is_asked() -> None:
    asked = {operation.ok().path for operation in SCHEMA.exclude(path=STREAM).get_all_operations()}

    assert asked == set(HOUSE.app.openapi()["paths"]) - {STREAM}
    assert len(asked) > 20
