"""Where the service says no, and what it says when the gateway fails: every end is clear and every call goes on.

RFC 3261 sections 21.4.26 (488) and 21.5.4 (503 with Retry-After). The gateway hangs for half a minute (the same
key is asked again as long as a card may be sent); everything else here happens meanwhile.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dtmf_shield.cde.payments import CARD_SENDS_S_MAX
from dtmf_shield.cde.retry import SENDS_MAX
from dtmf_shield.phone.door import Door
from dtmf_shield.phone.scripted import CallRefusedError, ScriptedCall
from dtmf_shield.phone.voices import Voice, voice
from tests.interop.callers import VISA, card_fields
from tests.interop.conftest import Exchange
from tests.interop.ears import NOTHING, heard_by_all
from tests.interop.phones import AgentCall, Phone, Phones
from tests.interop.running_service import RunningService, wait_until
from tests.interop.sipp import G729, Scenario, SippCaller

pytestmark = pytest.mark.interop

FAULTS = {"hang": "unknown", "decline": "declined", "reset": "unknown", "reset-once": "token"}
"""What the gateway does to a call's card, and how the capture ends. One lost at every send is unknown."""
FIELD_PAUSE_S = 0.5
OUTCOME_LIMIT_S = 5.0
HANG_LIMIT_S = CARD_SENDS_S_MAX + 15.0
"""The last send begins by then and waits for its answer."""
ROW_REST_LIMIT_S = 10.0
"""A row of a call that has ended is used again after five seconds."""
SILENCE_MAX_S = 0.5


@dataclass(frozen=True)
class Desk:
    """A service with room for four calls, its agents, and a phone in front of it."""

    service: RunningService
    phones: Phones
    agents: dict[str, Phone]
    caller: Phone

    def uri(self, dialled: str) -> str:
        """Return what the caller dials."""
        host, port = self.service.sip
        return f"sip:{dialled}@{host}:{port}"


@dataclass
class Talk:
    """One call: both ends and its id."""

    caller: AgentCall
    agent: AgentCall
    call_id: str


@dataclass(frozen=True)
class Ends:
    """How the captures ended, in which state that left their calls, and what new callers got meanwhile."""

    outcomes: dict[str, dict[str, Any]]
    states: dict[str, str]
    talks: dict[str, Talk]
    hang_s: float
    served_after_s: float


@pytest.fixture(scope="module")
def desk(phones: Phones, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    agents = {name: phones.open() for name in (*FAULTS, "one-more")}
    service = RunningService(
        tmp_path_factory.mktemp("desk"),
        {name: f"127.0.0.1:{phone.port}" for name, phone in agents.items()},
        calls_max=len(FAULTS),
    )
    try:
        yield Desk(service, phones, agents, phones.open())
    finally:
        assert service.stop() == 0, service.log_tail()


@pytest.fixture(scope="module")
def ends(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Ends:
    """Fill the desk, key a card in each call, let the gateway fail each; call once more while it hangs."""
    service, work = desk.service, tmp_path_factory.mktemp("limits")
    talks = {name: begin(desk, name) for name in FAULTS}
    refused(desk, work)
    set_fault(desk, "hang")
    key_all(desk, talks)
    wait_until(lambda: service.gateway("GET", "/book")["operations"], "the gateway took a card, and hangs")
    hangs_s = time.monotonic()
    outcomes = {}
    for name, fault, count in (
        ("decline", "decline", 1),
        ("reset", "reset", SENDS_MAX),
        ("reset-once", "reset", 1),
    ):
        set_fault(desk, fault, count)
        press_last_key(desk, talks[name])
        outcomes[name] = service.wait_for_outcome(talks[name].call_id, OUTCOME_LIMIT_S)
    set_fault(desk, "hang")
    served_after_s = call_once_more(desk, talks["reset-once"], work)
    outcomes["hang"] = service.wait_for_outcome(talks["hang"].call_id, HANG_LIMIT_S)
    hang_s = time.monotonic() - hangs_s
    states = {name: service.get(f"/v1/calls/{talk.call_id}")["state"] for name, talk in talks.items()}
    for name in FAULTS:
        desk.caller.hang_up(talks[name].caller)
        desk.agents[name].wait_for_end(talks[name].agent)
    return Ends(outcomes, states, talks, hang_s, served_after_s)


def begin(desk: Desk, name: str) -> Talk:
    caller = desk.caller.call(desk.uri(name))
    caller.call.talk(voice(Voice.CALLER))
    agent = desk.agents[name].incoming()
    call_id = str(desk.service.call_to(name)["id"])
    desk.service.start_capture(call_id)
    desk.service.wait_for_field(call_id, "pan", "waiting")
    return Talk(caller, agent, call_id)


def key_all(desk: Desk, talks: dict[str, Talk]) -> None:
    """Key everything in every call at once; all but the one that is to hang keep back the last key."""

    async def key(name: str, call: ScriptedCall) -> None:
        *fields, code = card_fields(VISA)
        for field in (*fields, code if name == "hang" else code[:-1]):
            await call.keys(field, Door.RFC4733)
            await asyncio.sleep(FIELD_PAUSE_S)

    async def everybody() -> None:
        await asyncio.gather(*(key(name, talk.caller.call) for name, talk in talks.items()))

    desk.phones.run(everybody())


def press_last_key(desk: Desk, talk: Talk) -> None:
    desk.phones.run(talk.caller.call.keys(card_fields(VISA)[-1][-1], Door.RFC4733))


def set_fault(desk: Desk, fault: str, count: int = 99) -> None:
    desk.service.gateway("POST", "/faults", {"fault": fault, "count": count})


def refused(desk: Desk, work: Path) -> None:
    """Call with an independent phone, which insists on 503 and Retry-After."""
    scenario = Scenario().invite(ringing=False).refused(503, with_header="Retry-After")
    SippCaller(work, scenario, desk.service.sip, dialled="one-more").finish()


def call_once_more(desk: Desk, done: Talk, work: Path) -> float:
    """End a call; return after how many seconds another is served. Its row rests first: a caller is still refused."""
    desk.caller.hang_up(done.caller)
    ended_s = time.monotonic()
    wait_until(lambda: desk.service.get(f"/v1/calls/{done.call_id}")["state"] == "ended", "the end")
    refused(desk, work)

    def served() -> AgentCall | None:
        try:
            return desk.caller.call(desk.uri("one-more"))
        except CallRefusedError as error:
            assert error.status == 503
            return None

    caller = wait_until(served, "the next call is served", ROW_REST_LIMIT_S)
    after_s = time.monotonic() - ended_s
    agent = desk.agents["one-more"].incoming()
    wait_until(lambda: len(agent.packets) > 10, "the agent of the next call is sent audio")
    desk.caller.hang_up(caller)
    desk.agents["one-more"].wait_for_end(agent)
    return after_s


@pytest.mark.parametrize("fault", FAULTS)
def test_gateway_that_fails_ends_the_capture_clearly(ends: Ends, fault: str) -> None:
    outcome = ends.outcomes[fault]

    assert outcome["result"] == FAULTS[fault]
    assert bool(outcome["token_reference"]) == (FAULTS[fault] == "token")


@pytest.mark.parametrize("fault", FAULTS)
def test_call_goes_on_while_the_gateway_fails_and_afterwards(ends: Ends, fault: str) -> None:
    arrivals = [packet.at_s for packet in ends.talks[fault].agent.packets]

    assert ends.states[fault] == ("ended" if fault == "reset-once" else "talking")
    assert max(after - before for before, after in itertools.pairwise(arrivals)) < SILENCE_MAX_S


@pytest.mark.parametrize("fault", FAULTS)
def test_agent_hears_no_key_whatever_the_gateway_does(ends: Ends, fault: str, work: Path) -> None:
    agent = ends.talks[fault].agent

    assert heard_by_all(agent.call.heard, work) == NOTHING
    assert agent.call.events_received == []


def test_gateway_that_hangs_is_given_up_within_the_patience_for_a_card(ends: Ends) -> None:
    assert 8 < ends.hang_s < HANG_LIMIT_S


def test_call_beyond_the_limit_is_refused_with_503_and_served_when_a_row_has_rested(ends: Ends) -> None:
    assert ends.served_after_s < ROW_REST_LIMIT_S


def test_offer_without_a_codec_of_ours_gets_488_and_rings_nobody(exchange: Exchange, work: Path) -> None:
    known = len(exchange.service.calls())

    scenario = Scenario(codec=G729).invite(ringing=False).refused(488)
    SippCaller(work, scenario, exchange.service.sip, dialled="talking").finish()

    assert len(exchange.service.calls()) == known
