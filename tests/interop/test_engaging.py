"""Engaging a capture in a call: by star code from the agent's phone through every door, or by the number dialled.

Both ends are scripted phones, so that the caller's ear can be read too. The API is how the other modules engage.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dtmf_shield.phone.door import Door
from dtmf_shield.phone.voices import Voice, voice
from tests.interop.callers import DOORS
from tests.interop.conftest import Exchange
from tests.interop.ears import NOTHING, heard_by_all, speech_seconds
from tests.interop.phones import AgentCall
from tests.interop.running_service import FLOW, wait_until

pytestmark = [pytest.mark.interop, pytest.mark.untimed]

STAR_CODE = "*1"


@contextmanager
def conversation(exchange: Exchange, dialled: str = "talking") -> Iterator[tuple[AgentCall, AgentCall, str]]:
    """Connect a caller and an agent who hear each other; give both ends and the call's id."""
    caller = exchange.caller.call(exchange.uri(dialled))
    try:
        caller.call.talk(voice(Voice.CALLER))
        agent = exchange.agents["talking"].incoming()
        call_id = str(exchange.service.call_to(dialled)["id"])
        wait_until(lambda: len(caller.packets) > 10 and len(agent.packets) > 10, "both hear each other")
        yield caller, agent, call_id
    finally:
        exchange.caller.hang_up(caller)
    exchange.agents["talking"].wait_for_end(agent)


def cancel(exchange: Exchange, capture_id: str, call_id: str) -> None:
    response = exchange.service.post(f"/v1/captures/{capture_id}/commands", {"command": "cancel"})
    assert response.status_code == 202, response.text
    assert exchange.service.wait_for_outcome(call_id)["result"] == "cancelled"


@pytest.mark.parametrize("door", DOORS)
def test_star_code_keyed_by_the_agent_engages_and_the_caller_hears_none_of_it(
    exchange: Exchange, door: Door, work: Path
) -> None:
    with conversation(exchange) as (caller, agent, call_id):
        exchange.agents["talking"].keys(agent, STAR_CODE, door)
        capture = exchange.service.wait_for_field(call_id, "pan", "waiting")
        wait_until(lambda: speech_seconds(caller.call.heard) > 1, "the agent's voice after the star code")
        cancel(exchange, capture["id"], call_id)

    assert capture["flow"] == FLOW
    assert heard_by_all(caller.call.heard, work) == NOTHING
    assert (caller.call.events_received, caller.call.infos_received) == ([], 0)
    if door is Door.INBAND:
        assert STAR_CODE in heard_by_all(agent.call.sent, work)["spandsp"], (
            "the control: it was sent as tones"
        )


def test_star_code_keyed_by_the_caller_engages_nothing(exchange: Exchange) -> None:
    with conversation(exchange) as (caller, agent, call_id):
        heard = len(agent.packets)
        exchange.phones.run(caller.call.keys(STAR_CODE, Door.RFC4733))
        wait_until(lambda: len(agent.packets) > heard + 50, "a second of the call goes on")

        assert exchange.service.capture(call_id) is None


def test_dialled_number_engages_at_the_answer(exchange: Exchange) -> None:
    with conversation(exchange, "pay-talking") as (_caller, _agent, call_id):
        capture = exchange.service.wait_for_field(call_id, "pan", "waiting")
        cancel(exchange, capture["id"], call_id)

    assert capture["flow"] == FLOW


def test_field_is_asked_again_on_the_agents_wish(exchange: Exchange) -> None:
    with conversation(exchange) as (caller, _agent, call_id):
        capture_id = exchange.service.start_capture(call_id)
        exchange.service.wait_for_field(call_id, "pan", "waiting")
        exchange.phones.run(caller.call.keys("4242", Door.RFC4733))
        exchange.service.wait_for_count(call_id, 4)

        response = exchange.service.post(
            f"/v1/captures/{capture_id}/commands", {"command": "redo", "field": "pan"}
        )

        assert response.status_code == 202, response.text
        capture = exchange.service.wait_for_field(call_id, "pan", "waiting")
        assert next(field["count"] for field in capture["fields"] if field["field"] == "pan") == 0
        cancel(exchange, capture_id, call_id)
