"""Roles: default deny, own calls only, and no news of calls that are another's."""

from __future__ import annotations

import pytest
from api_desk import ANYBODY, ApiHouse, a_call, a_capture

from dtmf_shield.api import access
from dtmf_shield.api.events import EventRing
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.views import CallView, ServiceView, ShieldState, Snapshot
from dtmf_shield.model.ids import CallId

pytestmark = pytest.mark.anyio
HEADERS = {"idempotency-key": "abcdefgh"}


def somebody(*roles: Role, agents: frozenset[str] | None = None) -> Principal:
    return Principal("somebody", roles=frozenset(roles), by_cookie=False, ends_s=float("inf"), agents=agents)


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> ApiHouse:
    house = ApiHouse(
        a_call("c1", agent="desk-1", capture=a_capture("cap1", "c1")),
        a_call("c2", agent="desk-2", capture=a_capture("cap2", "c2")),
    )
    monkeypatch.setattr(access, "principal_of", lambda request: house.asks)
    return house


@pytest.mark.parametrize("role", [Role.ENGINEER, Role.AUDITOR, Role.ADMIN])
@pytest.mark.parametrize("path", ["/v1/calls", "/v1/calls/c1", "/v1/captures/cap1"])
async def test_calls_are_for_agents_and_supervisors(house: ApiHouse, role: Role, path: str) -> None:
    house.asks = somebody(role)
    async with house.client() as client:
        refused = await client.get(path)
        house.asks = somebody(Role.SUPERVISOR)
        allowed = await client.get(path)

    assert (refused.status_code, allowed.status_code) == (403, 200)
    assert refused.json()["type"].endswith(":role-missing")


async def test_an_agent_sees_own_calls_and_the_others_are_not_there(house: ApiHouse) -> None:
    house.asks = somebody(Role.AGENT, agents=frozenset({"desk-1"}))
    async with house.client() as client:
        listed = (await client.get("/v1/calls")).json()["calls"]
        own, other = await client.get("/v1/captures/cap1"), await client.get("/v1/captures/cap2")
        command = {"command": "cancel"}
        stolen = await client.post("/v1/captures/cap2/commands", json=command, headers=HEADERS)
        begun = await client.post("/v1/calls/c2/captures", json={"flow": "card-payment"}, headers=HEADERS)

    assert [call["id"] for call in listed] == ["c1"]
    assert (own.status_code, other.status_code, stolen.status_code, begun.status_code) == (200, 404, 404, 404)
    assert house.desk.asked == []


def a_ring(*calls: CallView) -> EventRing:
    return EventRing(lambda: Snapshot(service=ServiceView(shield=ShieldState.ON), flows=(), calls=calls), "l")


async def told(ring: EventRing, reader: Principal, *, since: int | None) -> str:
    """Return what a reader is told who comes back after event ``since``; None: who comes for the first time."""
    first = await _read(ring, reader, None)
    whose = first.removeprefix("id: ").partition("\n")[0].rpartition("-")[0]
    return first if since is None else await _read(ring, reader, f"{whose}-{since}")


async def _read(ring: EventRing, reader: Principal, last_event_id: str | None) -> str:
    stream = ring.stream(last_event_id, reader, lambda: True)
    await anext(stream)
    text = (await anext(stream)).decode()
    await stream.aclose()
    return text


async def test_the_stream_tells_an_agent_of_own_calls_alone() -> None:
    mine, other = a_call("c1", agent="desk-1"), a_call("c2", agent="desk-2")
    ring = a_ring(mine, other)
    ring.call_changed(other)
    ring.call_changed(mine)
    agent = somebody(Role.AGENT, agents=frozenset({"desk-1"}))

    for since in (None, 0):
        everything, own = await told(ring, ANYBODY, since=since), await told(ring, agent, since=since)
        assert '"c1"' in own
        assert '"c2"' not in own
        assert '"c2"' in everything  # the same stream, unfiltered, holds it


async def test_a_call_that_goes_to_another_agent_is_gone_for_one_and_whole_for_the_other() -> None:
    ring = a_ring()
    ring.call_changed(a_call("c1", agent="desk-1"))
    ring.call_changed(a_call("c1", agent="desk-2"))

    before = await told(ring, somebody(Role.AGENT, agents=frozenset({"desk-1"})), since=0)
    after = await told(ring, somebody(Role.AGENT, agents=frozenset({"desk-2"})), since=0)

    assert before.count("event: call\n") == 1
    assert before.count("event: gone\n") == 1
    assert "event: gone" not in after
    assert after.count("event: call\n") == after.count("event: shield\n") == 1


def test_without_the_role_no_call_is_an_own_call() -> None:
    call = a_call(agent="desk-1")

    assert not somebody(Role.ENGINEER).sees(call)
    assert somebody(Role.SUPERVISOR, agents=frozenset()).sees(call)
    assert not somebody(Role.AGENT, agents=frozenset({CallId("c1")})).sees(call)
