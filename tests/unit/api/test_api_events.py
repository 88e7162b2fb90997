"""Server-Sent Events: what is told, in which order, and how a reader comes back without losing anything."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from api_desk import ANYBODY, ApiHouse, a_call, a_capture

from dtmf_shield.api.events import (
    EVENT_ID_CHARACTERS_MAX,
    STREAMS_OF_PERSON_MAX,
    SUBSCRIBERS_MAX,
    EventRing,
    changes,
)
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.site import COOKIE
from dtmf_shield.api.tickets import TICKET_LIFETIME_S
from dtmf_shield.api.views import (
    CallState,
    Door,
    FlowView,
    LegLineView,
    LineQuality,
    LineView,
    PaymentNews,
    ServiceView,
    ShieldState,
    ShieldView,
    Snapshot,
    capture_after_outcome,
    capture_after_progress,
)
from dtmf_shield.model.capture import CaptureOutcome, CaptureProgress, CaptureResult, CaptureState
from dtmf_shield.model.ids import CaptureId
from dtmf_shield.model.payment import OperationKind, OperationState
from dtmf_shield.model.stream import Codec

pytestmark = pytest.mark.anyio
CAP = CaptureId("cap1")
KEYING = capture_after_progress(
    a_capture(),
    CaptureProgress(capture_id=CAP, state=CaptureState.KEYING, field="pan", count=12, usual=16, brand="visa"),
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def a_ring(**limits: Any) -> EventRing:
    snapshot = Snapshot(service=ServiceView(shield=ShieldState.ON), flows=(), calls=(a_call(),))
    return EventRing(lambda: snapshot, life="life1", **{"heartbeat_s": 0.001, **limits})


def place(event_id: str) -> tuple[str, int]:
    """Life and number of an event's id; the mark of rights between them is another in each process."""
    life, _mark, number = event_id.split("-")
    return life, int(number)


async def an_id(ring: EventRing, number: int, principal: Principal = ANYBODY) -> str:
    """Return the id of event ``number`` as ``principal`` was given it."""
    stream = ring.stream(None, principal, lambda: True)
    await anext(stream)
    (event_id, _, _), *_ = events_of((await anext(stream)).decode())
    await stream.aclose()
    return f"{event_id.rpartition('-')[0]}-{number}"


def events_of(text: str) -> list[tuple[str, str, Any]]:
    """``(id, type, data)`` of each event in a stream's text."""
    events = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in lines:
            events.append((lines.get("id", ""), lines["event"], json.loads(lines["data"])))
    return events


async def read(
    ring: EventRing, last_event_id: str | None = None, principal: Principal = ANYBODY
) -> list[tuple[str, str, Any]]:
    """Read what a reader is due now, and one heartbeat, which says that no more is due."""
    stream = ring.stream(last_event_id, principal, lambda: True)
    text = ""
    while "event: heartbeat" not in text:
        text += (await anext(stream)).decode()
    await stream.aclose()
    return events_of(text)[:-1]


def types(before: Any, after: Any) -> list[str]:
    return [event.type for event in changes(before, after)]


def test_a_new_call_is_told_with_its_shield() -> None:
    assert types(None, a_call()) == ["call", "shield"]


def test_only_what_changed_is_told() -> None:
    keyed = a_call(capture=KEYING)
    fault = ShieldView(state=ShieldState.FAULT)
    more = capture_after_progress(
        KEYING, CaptureProgress(capture_id=CAP, state=CaptureState.KEYING, field="pan", count=13)
    )

    assert types(a_call(), a_call()) == []
    assert types(a_call(), a_call(state=CallState.HELD)) == ["call"]
    assert types(a_call(), a_call(shield=fault)) == ["shield"]
    assert types(a_call(), keyed) == ["capture", "field", "field", "field"]
    assert types(keyed, a_call(capture=more)) == ["field"]


def test_a_line_has_an_event_of_its_own_so_that_figures_tell_no_call_anew() -> None:
    leg = LegLineView(codec=Codec.PCMU, doors=(Door.TONES,), quality=LineQuality.GOOD, recent_loss_permille=0)
    before = a_call(line=LineView(caller=leg))
    worse = leg.model_copy(update={"quality": LineQuality.POOR, "recent_loss_permille": 58})
    after = a_call(line=LineView(caller=worse))

    (event,) = changes(before, after)

    assert types(None, before) == ["call", "shield", "line"]
    assert types(a_call(), before) == ["line"]
    assert (event.type, event.data["call"], event.data["agent"]) == ("line", "c1", None)
    assert event.data["caller"]["doors"] == ["tones"]
    assert (event.data["caller"]["quality"], event.data["caller"]["recent_loss_permille"]) == ("poor", 58)
    assert list(changes(after, after)) == []


def test_what_a_flow_withholds_is_told_with_the_shield() -> None:
    shield = ShieldView(state=ShieldState.ON, caller_withheld=True, unrecorded=True)

    (event,) = changes(a_call(shield=ShieldView(state=ShieldState.ON)), a_call(shield=shield))

    assert event.type == "shield"
    assert [event.data[name] for name in ("caller_withheld", "agent_withheld", "unrecorded")] == [
        True,
        False,
        True,
    ]


def test_an_outcome_is_told_once_as_payment() -> None:
    outcome = CaptureOutcome(capture_id=CAP, result=CaptureResult.DECLINED, gateway_code="expired_card")
    over = a_call(capture=capture_after_outcome(KEYING, outcome))

    assert types(a_call(capture=KEYING), over) == [
        "capture",
        "field",
        "payment",
    ]  # the half-keyed field is wiped
    assert types(over, over) == []


def test_a_second_capture_on_the_call_is_told_whole() -> None:
    again = a_call(capture=a_capture("cap2"))

    assert types(a_call(capture=KEYING), again) == ["capture", "field", "field", "field"]


def test_a_field_event_has_count_mask_and_brand() -> None:
    fields = [event.data for event in changes(a_call(), a_call(capture=KEYING)) if event.type == "field"]

    assert fields[0] == {
        "call": "c1",
        "capture": "cap1",
        "field": "pan",
        "kind": "card_number",
        "label": "Card number",
        "named": False,
        "state": "keying",
        "count": 12,
        "of": None,
        "of_usual": 16,
        "masked": "•••• •••• ••••",
        "brand": "visa",
        "last4": None,
        "reason": None,
        "value": None,
    }


async def test_a_reader_without_an_id_gets_a_snapshot() -> None:
    ring = a_ring()

    events = await read(ring)

    assert [(place(event_id), kind) for event_id, kind, _ in events] == [(("life1", 0), "resync")]
    assert events[0][2]["calls"][0]["id"] == "c1"


async def test_a_reader_that_comes_back_gets_just_what_it_missed() -> None:
    ring = a_ring()
    ring.call_changed(a_call())
    last_seen = (await read(ring))[-1][0]

    ring.call_changed(a_call(state=CallState.HELD))
    ring.call_changed(a_call(state=CallState.ENDED))
    events = await read(ring, last_seen)

    assert [(kind, data["state"]) for _, kind, data in events] == [("call", "held"), ("call", "ended")]
    assert [place(event_id) for event_id, _, _ in events] == [("life1", 3), ("life1", 4)]
    assert await read(ring, await an_id(ring, 4)) == []


@pytest.mark.parametrize("number", ["99", "", "x", "²", "-1", "1" * 100])
async def test_a_number_that_cannot_be_resumed_gets_a_snapshot(number: str) -> None:
    ring = a_ring()
    ring.call_changed(a_call())
    whose = (await an_id(ring, 0)).rpartition("-")[0]

    assert await read(ring, f"{whose}-2") == []
    assert [kind for _, kind, _ in await read(ring, f"{whose}-{number}")] == ["resync"]


@pytest.mark.parametrize(
    "change", ["life0-{mark}-1", "{mark}-1", "life1-1", "life1--1", "life1-{mark}x-1", ""]
)
async def test_an_id_of_another_life_or_without_its_mark_gets_a_snapshot(change: str) -> None:
    ring = a_ring()
    ring.call_changed(a_call())
    mark = (await an_id(ring, 0)).split("-")[1]

    assert await read(ring, f"life1-{mark}-2") == []
    assert [kind for _, kind, _ in await read(ring, change.format(mark=mark))] == ["resync"]


ADA = Principal(
    "ada",
    frozenset({Role.AGENT}),
    by_cookie=True,
    ends_s=float("inf"),
    agents=frozenset({"desk-1", "desk-2"}),
)


@pytest.mark.parametrize(
    "comes_back",
    [
        replace(ADA, name="bob"),
        replace(ADA, agents=frozenset({"desk-1"})),
        replace(ADA, agents=None),
        replace(ADA, roles=frozenset({Role.SUPERVISOR})),
        replace(ADA, roles=frozenset({Role.AGENT, Role.SUPERVISOR})),
    ],
    ids=["somebody-else", "fewer-agents", "every-agent", "another-role", "one-more-role"],
)
async def test_who_comes_back_under_other_rights_forgets_what_was_shown(comes_back: Principal) -> None:
    ring = a_ring()
    ring.call_changed(a_call(agent="desk-1"))
    last_seen = await an_id(ring, 2, ADA)
    ring.call_changed(a_call("c2", agent="desk-2"))

    same = await read(ring, last_seen, replace(ADA, proof=b"another session", language="de"))
    other = await read(ring, last_seen, comes_back)

    assert [kind for _, kind, _ in same] == ["call", "shield"]
    assert [kind for _, kind, _ in other] == ["resync"]


async def test_the_mark_in_an_id_says_nothing_of_who_reads_and_has_no_digit() -> None:
    first, again = await an_id(a_ring(), 0, ADA), await an_id(a_ring(), 0, ADA)

    mark = first.split("-")[1]
    assert first != again  # of another process: nobody can try names
    assert mark.isalpha()
    assert len(mark) == 16
    assert len(first) + len(str(10**12)) < EVENT_ID_CHARACTERS_MAX


async def test_flows_of_a_reload_are_told_to_those_who_may_ask_for_them() -> None:
    told = {}
    for role in Role:
        ring = a_ring()
        ring.call_changed(a_call())
        principal = replace(ANYBODY, roles=frozenset({role}))
        last_seen = await an_id(ring, 2, principal)
        ring.flows_changed([FlowView(id="new", title="New")])
        told[role] = await read(ring, last_seen, principal)

    for role in (Role.AGENT, Role.SUPERVISOR, Role.ENGINEER):
        ((_, kind, data),) = told[role]
        assert kind == "flows"
        assert [flow["id"] for flow in data["flows"]] == ["new"]
    assert told[Role.AUDITOR] == told[Role.ADMIN] == []


async def test_a_gap_gets_a_snapshot_and_then_goes_on() -> None:
    ring = a_ring(events_max=4)
    for state in (CallState.HELD, CallState.TALKING) * 4:
        ring.call_changed(a_call(state=state))

    assert [kind for _, kind, _ in await read(ring, await an_id(ring, 1))] == ["resync"]
    assert len(await read(ring, await an_id(ring, 5))) == 4


async def test_a_reader_that_falls_behind_while_connected_is_told_by_a_snapshot() -> None:
    ring = a_ring(events_max=2)
    stream = ring.stream(None, ANYBODY, lambda: True)
    await anext(stream)
    await anext(stream)

    for state in (CallState.HELD, CallState.TALKING, CallState.HELD, CallState.ENDED):
        ring.call_changed(a_call(state=state))

    assert b"event: resync" in await anext(stream)
    ring.call_changed(a_call(state=CallState.TALKING))
    assert b'"state":"talking"' in await anext(stream)
    await stream.aclose()


async def test_silence_is_filled_with_heartbeats() -> None:
    stream = a_ring().stream(None, ANYBODY, lambda: True)

    chunks = [await anext(stream) for _ in range(4)]

    assert chunks[0] == b"retry: 1000\n\n"
    assert chunks[2] == chunks[3] == b'event: heartbeat\ndata: {"v":1}\n\n'
    await stream.aclose()


async def test_a_reader_waiting_is_woken_by_an_event() -> None:
    ring = a_ring(heartbeat_s=30)
    stream = ring.stream(None, ANYBODY, lambda: True)
    await anext(stream)
    await anext(stream)

    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    ring.service_changed(ServiceView(shield=ShieldState.FAULT, gateway="down"))

    told = [(place(event_id), kind, data) for event_id, kind, data in events_of((await waiting).decode())]
    assert told == [
        (("life1", 1), "shield", {"v": 1, "call": None, "state": "fault"}),
        (("life1", 2), "payment", {"v": 1, "call": None, "gateway": "down"}),
    ]
    await stream.aclose()


async def test_readers_are_bounded_and_leave_no_trace() -> None:
    ring = a_ring(subscribers_max=1)
    stream = ring.stream(None, ANYBODY, lambda: True)
    await anext(stream)

    assert ring.full
    assert [chunk async for chunk in ring.stream(None, ANYBODY, lambda: True)] == []
    await stream.aclose()
    assert not ring.full


async def test_the_route_streams_resumes_and_ends_with_the_session() -> None:
    house = ApiHouse(a_call())
    house.desk.change(a_call(state=CallState.HELD))
    async with house.browser() as client:
        first = await _stream(house, client)
        last_seen = events_of(first.text)[0][0]
        house.desk.change(a_call(state=CallState.ENDED))
        again = await _stream(house, client, {"last-event-id": last_seen})
        house.clock.seconds += 13 * 3_600
        late = await client.get("/v1/events")

    assert first.headers["content-type"].startswith("text/event-stream")
    assert first.headers["x-accel-buffering"] == "no"
    assert [kind for _, kind, _ in events_of(first.text)] == ["resync"]
    assert [(kind, data["state"]) for _, kind, data in events_of(again.text)] == [("call", "ended")]
    assert late.status_code == 401


async def test_the_route_gives_an_agent_of_other_calls_a_snapshot_and_the_same_agent_what_was_missed() -> (
    None
):
    house = ApiHouse(a_call(agent="desk-1"), a_call("c2", agent="desk-2"))
    house.identity.users.make("root", ["admin"], None)
    link = house.identity.users.make("ada", ["agent"], ["desk-1"])
    house.identity.users.set_password(link, "kept")
    cookie = house.identity.sessions.open("ada", "local")
    async with house.client(cookie=f"{COOKIE}={cookie}") as client:
        first = await _stream(house, client)
        last_seen = {"last-event-id": events_of(first.text)[0][0]}
        same = await _stream(house, client, last_seen)
        house.identity.users.change("ada", agents=["desk-2"])
        other = await _stream(house, client, last_seen)

    assert [kind for _, kind, _ in events_of(same.text)] == ["heartbeat"]  # it stands, and nothing was missed
    ((_, kind, whole),) = events_of(other.text)
    assert (kind, [call["id"] for call in whole["calls"]]) == ("resync", ["c2"])


async def _stream(house: ApiHouse, client: Any, headers: dict[str, str] | None = None) -> Any:
    """Open the stream and end it once it waits; the in-process transport gives whole answers only."""
    house.ring._heartbeat_s = 30
    asking = asyncio.ensure_future(client.get("/v1/events", headers=headers or {}))
    while not house.ring.readers:
        await asyncio.sleep(0)
    house.ring.end_streams()
    return await asking


async def test_too_many_streams_are_refused() -> None:
    house = ApiHouse()
    streams = [house.ring.stream(None, ANYBODY, lambda: True) for _ in range(SUBSCRIBERS_MAX)]
    assert len(streams) >= 200
    for stream in streams:
        await anext(stream)
    async with house.machine() as client:
        answer = await client.get("/v1/events")
    for stream in streams:
        await stream.aclose()

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


@pytest.mark.parametrize("role", Role)
async def test_a_snapshot_has_flows_for_those_alone_who_may_ask_for_them(role: Role) -> None:
    flows = (FlowView(id="card-payment", title="Card payment"),)
    snapshot = Snapshot(service=ServiceView(shield=ShieldState.ON), flows=flows, calls=())
    stream = EventRing(lambda: snapshot, life="life1").stream(
        None, replace(ANYBODY, roles=frozenset({role})), lambda: True
    )
    await anext(stream)
    ((_, kind, whole),) = events_of((await anext(stream)).decode())
    await stream.aclose()

    may = role in (Role.AGENT, Role.SUPERVISOR, Role.ENGINEER)
    assert (kind, [flow["id"] for flow in whole["flows"]]) == ("resync", ["card-payment"] if may else [])


async def test_one_person_holds_so_many_streams_and_leaves_room_for_others() -> None:
    ring = a_ring()
    session, other = replace(ANYBODY, by_cookie=True), replace(ANYBODY, name="other", by_cookie=True)
    streams = [ring.stream(None, session, lambda: True) for _ in range(STREAMS_OF_PERSON_MAX)]
    for stream in streams:
        await anext(stream)

    assert not ring.takes(session)
    assert ring.takes(other)
    for stream in streams:
        await stream.aclose()
    assert ring.takes(session)


async def test_a_reader_sleeps_through_what_it_may_not_see_and_is_not_behind_after_it() -> None:
    ring = a_ring(heartbeat_s=30, events_max=8)
    agent = replace(ANYBODY, roles=frozenset({Role.AGENT}), agents=frozenset({"desk-1"}))
    stream = ring.stream(await an_id(ring, 0, agent), agent, lambda: True)
    assert b"retry" in await anext(stream)
    assert b"heartbeat" in await anext(stream)  # at once, to who missed nothing
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    for number in range(50):
        ring.call_changed(a_call(f"x{number}", agent="desk-2"))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert ring.lag_events == 0

    ring.call_changed(a_call("mine", agent="desk-1"))
    events = events_of((await waiting).decode())
    await stream.aclose()

    # A ring of eight has turned over many times; still nothing is missing and no snapshot is needed.
    assert [(kind, data.get("id", data.get("call"))) for _, kind, data in events] == [
        ("call", "mine"),
        ("shield", "mine"),
    ]


async def test_what_becomes_of_a_payment_is_for_supervisors() -> None:
    ring = a_ring()
    news = PaymentNews(id="o-abc", kind=OperationKind.REFUND, state=OperationState.UNKNOWN, amount_minor=5)
    ring.payment_changed(news)
    told = []
    for role in (Role.SUPERVISOR, Role.AGENT):
        reader = replace(ANYBODY, roles=frozenset({role}))
        stream = ring.stream(await an_id(ring, 0, reader), reader, lambda: True)
        await anext(stream)
        told.append(events_of((await anext(stream)).decode()))
        await stream.aclose()

    assert told[0][0][1:] == (
        "payment",
        {"v": 1, "call": None, "gateway": "unknown", "operation": news.model_dump(mode="json")},
    )
    assert [kind for _, kind, _ in told[1]] == ["heartbeat"]


async def test_a_ticket_opens_one_stream_once() -> None:
    house = ApiHouse(a_call())
    async with house.machine() as machine, house.client() as stranger:
        issued = await machine.post("/v1/events/tickets", json={}, headers={"idempotency-key": "ticket-1"})
        query = f"/v1/events?ticket={issued.json()['ticket']}"
        house.ring._heartbeat_s = 30
        asking = asyncio.ensure_future(stranger.get(query))
        while not house.ring.readers:
            await asyncio.sleep(0)
        house.ring.end_streams()
        first, again = await asking, await stranger.get(query)
        refused = await stranger.post("/v1/events/tickets", json={}, headers={"idempotency-key": "ticket-2"})
        late = await machine.post("/v1/events/tickets", json={}, headers={"idempotency-key": "ticket-3"})
        house.clock.seconds += TICKET_LIFETIME_S
        old = await stranger.get(f"/v1/events?ticket={late.json()['ticket']}")
        elsewhere = await stranger.get(f"/v1/calls?ticket={late.json()['ticket']}")

    assert issued.status_code == 201
    assert [kind for _, kind, _ in events_of(first.text)] == ["resync"]
    assert (again.status_code, old.status_code) == (401, 401)
    assert again.json()["type"].endswith(":ticket-spent")
    assert (refused.status_code, elsewhere.status_code) == (401, 401)
