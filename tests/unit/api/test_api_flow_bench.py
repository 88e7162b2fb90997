"""Flows for who writes them, through the API: for engineers alone, drafts kept out of every other store, no digit."""

from __future__ import annotations

from typing import Any

import pytest
from api_desk import TEST_PAN, ApiHouse
from full_house import Bench, full_house

from dtmf_shield.api import access
from dtmf_shield.api.app import DRAFT_ANSWERS_MAX
from dtmf_shield.api.identity.principal import EVERY_ROLE, Principal, Role
from dtmf_shield.api.ports.flow_bench import SimulationRefused
from dtmf_shield.api.resources.flow_bench import DRAFT_CHARACTERS_MAX

pytestmark = pytest.mark.anyio
DRAFTS = ("check", "graph", "simulate")
READS = ("/v1/flow-versions", "/v1/flows/pay", "/v1/flows/pay/graph", "/v1/flows/pay/picture")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def house() -> ApiHouse:
    return full_house()


def bench_of(house: ApiHouse) -> Bench:
    bench = house.app.state.context.backing.flow_bench
    assert isinstance(bench, Bench)
    return bench


async def drafted(house: ApiHouse, what: str, key: str = "key-00000001", **body: Any) -> Any:
    async with house.machine() as client:
        return await client.post(f"/v1/flow-drafts/{what}", json=body, headers={"idempotency-key": key})


async def test_flows_are_for_engineers_alone(house: ApiHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def become(*roles: Role) -> None:
        somebody = Principal("somebody", roles=frozenset(roles), by_cookie=False, ends_s=float("inf"))
        monkeypatch.setattr(access, "principal_of", lambda request: somebody)

    for roles, status in ((EVERY_ROLE - {Role.ENGINEER}, 403), ({Role.ENGINEER}, 200)):
        become(*roles)
        async with house.client() as client:
            got = [(await client.get(path)).status_code for path in READS]
        posted = [
            (await drafted(house, what, f"key-{what:-<9}", text="flow: v1")).status_code for what in DRAFTS
        ]

        assert set(got + posted) == {status}


async def test_no_flow_of_that_name_is_a_problem() -> None:
    house = ApiHouse()
    async with house.machine() as client:
        answers = [await client.get(path) for path in READS[1:]]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert {answer.json()["type"].rpartition(":")[2] for answer in answers} == {"flow-not-found"}


async def test_a_long_number_of_a_flow_is_drawn_over_and_that_is_said(house: ApiHouse) -> None:
    async with house.machine() as client:
        source = (await client.get("/v1/flows/pay")).json()
        picture = await client.get("/v1/flows/pay/picture")

    assert source["text"] == "flow: v1\n# ••••\n"
    assert source["drawn_over"] is True
    assert picture.headers["content-type"] == "image/svg+xml"
    assert "4242" not in picture.text
    assert "<text>••••</text>" in picture.text


@pytest.mark.parametrize("what", DRAFTS)
async def test_a_card_number_in_a_draft_is_refused_before_it_is_read(house: ApiHouse, what: str) -> None:
    for text in (f"# {TEST_PAN}", "x: 4242 4242 4242 4242"):
        answer = await drafted(house, what, text=text)

        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (422, "card-number")
    script = await drafted(house, "simulate", text="flow: v1", script=f"keys {TEST_PAN}#")
    assert script.status_code == 422
    assert bench_of(house).told == []


async def test_drafts_may_be_long_and_have_a_limit(house: ApiHouse) -> None:
    long = "# ".ljust(DRAFT_CHARACTERS_MAX, "x")

    assert (await drafted(house, "check", text=long)).status_code == 200
    assert (await drafted(house, "check", "key-00000002", text=long + "x")).status_code == 422
    assert (await drafted(house, "check", "key-00000003", text=long * 2)).status_code == 413
    assert bench_of(house).told == [long]


async def test_drafts_push_no_answer_of_a_command_out(house: ApiHouse) -> None:
    begun = {"flow": "card-payment"}
    async with house.machine() as client:
        headers = {"idempotency-key": "key-of-a-capture"}
        first = await client.post("/v1/calls/c2/captures", json=begun, headers=headers)
        for place in range(DRAFT_ANSWERS_MAX + 5):
            await drafted(house, "check", f"key-{place:08}", text="flow: v1")
        again = await client.post("/v1/calls/c2/captures", json=begun, headers=headers)

    assert (first.status_code, again.headers.get("idempotency-replayed")) == (201, "true")
    told = len(bench_of(house).told)
    await drafted(house, "check", "key-00000000", text="flow: v1")
    assert len(bench_of(house).told) == told + 1  # the oldest draft's answer is forgotten: it is checked anew


async def test_why_a_draft_cannot_be_simulated_is_told(
    house: ApiHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_arguments: str) -> None:
        raise SimulationRefused(["script line 1: 'x' is no line of a script"])

    monkeypatch.setattr(bench_of(house), "simulate", refuse)

    answer = await drafted(house, "simulate", text="flow: v1", script="x")

    assert (answer.status_code, answer.json()["findings"]) == (
        422,
        ["script line 1: 'x' is no line of a script"],
    )


@pytest.mark.parametrize("what", DRAFTS)
async def test_a_card_number_written_in_escapes_is_refused_before_it_is_read(
    house: ApiHouse, what: str
) -> None:
    hidden = "".join(f"\\u{ord(digit):04x}" for digit in TEST_PAN)
    bodies = [f'{{"text": "flow: v1 # {hidden}"}}', f'{{"text": "flow: v1", "script": "keys {hidden}#"}}']
    headers = {"idempotency-key": "key-00000001", "content-type": "application/json"}
    async with house.machine() as client:
        answers = [
            await client.post(f"/v1/flow-drafts/{what}", content=body, headers=headers) for body in bodies
        ]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert "4242" not in answers[0].text + answers[1].text
    assert bench_of(house).told == []
