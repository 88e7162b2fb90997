"""A card keyed by each door through the running service: a token, and nothing of the keys at the agent's side.

Caller: SIPp. Agent: the scripted phone. The same callers straight to an agent's phone, without the service between,
are the positive control: there the same ears hear every key.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dtmf_shield.phone.door import Door
from tests.interop.callers import DOORS, VISA, Material, keying_caller
from tests.interop.conftest import Exchange
from tests.interop.ears import NOTHING, channels_of, heard_by_all, speech_seconds
from tests.interop.key_audio import PACKET_SAMPLES
from tests.interop.phones import AgentCall, Phones
from tests.interop.running_service import wait_until
from tests.interop.sipp import SippCaller

pytestmark = pytest.mark.interop

SPEECH_MIN_S = 1.5
"""Of the caller's voice around the keys; it speaks for some three seconds and more in each call."""
CLOSING_S = 3.0
"""While keys sound the agent's side is muted too: after them it has to be heard."""


@dataclass(frozen=True)
class ShieldedCall:
    """What one call left behind."""

    outcome: dict[str, Any]
    agent: AgentCall
    recording: Path


@pytest.fixture(scope="module")
def shielded(
    exchange: Exchange, material: Material, tmp_path_factory: pytest.TempPathFactory
) -> dict[Door, ShieldedCall]:
    """Place the calls of all doors at once and take each to its end."""
    service, directory = exchange.service, tmp_path_factory.mktemp("doors")
    callers = {
        door: SippCaller(directory, keying_caller(door, material), service.sip, dialled=str(door))
        for door in DOORS
    }
    try:
        agents = {door: exchange.agents[door].incoming() for door in DOORS}
        calls = {door: service.call_to(str(door))["id"] for door in DOORS}
        for call in calls.values():
            service.start_capture(call)
        for door in DOORS:
            service.wait_for_field(calls[door], "pan", "waiting")
            callers[door].go()
        outcomes = {door: service.wait_for_outcome(calls[door]) for door in DOORS}
        time.sleep(CLOSING_S)
        for door in DOORS:
            heard = agents[door].call
            wait_until(lambda heard=heard: speech_seconds(heard.heard) > SPEECH_MIN_S, f"{door}: a voice")
            callers[door].go()
            callers[door].finish()
            exchange.agents[door].wait_for_end(agents[door])
    finally:
        for caller in callers.values():
            caller.stop()
    return {
        door: ShieldedCall(outcomes[door], agents[door], service.recording_of(calls[door])) for door in DOORS
    }


@pytest.fixture(scope="module")
def unshielded(
    phones: Phones, material: Material, tmp_path_factory: pytest.TempPathFactory
) -> dict[Door, AgentCall]:
    """Place the same calls straight to agents' phones."""
    directory = tmp_path_factory.mktemp("unshielded")
    agents = {door: phones.open() for door in DOORS}
    callers = {
        door: SippCaller(
            directory, keying_caller(door, material), ("127.0.0.1", agents[door].port), dialled="x"
        )
        for door in DOORS
    }
    try:
        calls = {door: agents[door].incoming() for door in DOORS}
        for call in calls.values():
            wait_until(lambda call=call: len(call.packets) > 5, "the caller talks")
        packets = calls[Door.INBAND].packets
        began, whole = len(packets), len(material.pcm) // PACKET_SAMPLES
        for caller in callers.values():
            caller.go()
        wait_until(lambda: len(packets) >= began + whole - 10, "the whole in-band stretch")
        wait_until(lambda: len(calls[Door.RFC4733].call.events_received) == len(material.keys), "all events")
        wait_until(lambda: calls[Door.INFO].call.infos_received == len(material.keys), "all INFO")
        for caller in callers.values():
            caller.go()
            caller.finish()
    finally:
        for caller in callers.values():
            caller.stop()
    return calls


@pytest.mark.parametrize("door", DOORS)
def test_card_keyed_by_the_door_ends_with_a_token(shielded: dict[Door, ShieldedCall], door: Door) -> None:
    outcome = shielded[door].outcome

    assert outcome["result"] == "token"
    assert outcome["token_reference"].startswith("tok_")
    assert (outcome["brand"], outcome["last4"], outcome["test"]) == ("visa", VISA[-4:], True)


@pytest.mark.parametrize("door", DOORS)
def test_agent_hears_no_key(shielded: dict[Door, ShieldedCall], door: Door, work: Path) -> None:
    assert heard_by_all(shielded[door].agent.call.heard, work) == NOTHING


@pytest.mark.parametrize("door", DOORS)
def test_recording_holds_no_key(shielded: dict[Door, ShieldedCall], door: Door, work: Path) -> None:
    for channel in channels_of(shielded[door].recording):
        assert heard_by_all(channel, work) == NOTHING


@pytest.mark.parametrize("door", DOORS)
def test_agent_gets_no_telephone_event_and_no_info(shielded: dict[Door, ShieldedCall], door: Door) -> None:
    agent = shielded[door].agent

    assert agent.call.events_received == []
    assert agent.call.infos_received == 0
    assert {packet.payload_type for packet in agent.packets} == {0}


@pytest.mark.parametrize("door", DOORS)
def test_agents_packets_tell_nothing_by_size_source_or_order(
    shielded: dict[Door, ShieldedCall], door: Door
) -> None:
    packets = shielded[door].agent.packets
    steps = {(after.sequence - before.sequence) & 0xFFFF for before, after in itertools.pairwise(packets)}

    assert {len(packet.payload) for packet in packets} == {160}
    assert len({packet.data[8:12] for packet in packets}) == 1, "more than one SSRC"
    assert max(steps) < 0x8000, "a sequence number went back"


@pytest.mark.parametrize("door", DOORS)
def test_agent_hears_the_callers_voice(shielded: dict[Door, ShieldedCall], door: Door) -> None:
    assert speech_seconds(shielded[door].agent.call.heard) > SPEECH_MIN_S


@pytest.mark.parametrize("door", DOORS)
def test_recording_holds_both_voices(shielded: dict[Door, ShieldedCall], door: Door) -> None:
    caller, agent = channels_of(shielded[door].recording)

    assert speech_seconds(caller) > 0.8 * SPEECH_MIN_S
    assert speech_seconds(agent) > 0.8 * SPEECH_MIN_S


def test_same_ears_hear_every_tone_without_the_shield(
    unshielded: dict[Door, AgentCall], material: Material, work: Path
) -> None:
    heard = heard_by_all(unshielded[Door.INBAND].call.heard, work)

    assert heard == dict.fromkeys(NOTHING, material.keys)


def test_same_phone_counts_every_event_and_info_without_the_shield(
    unshielded: dict[Door, AgentCall], material: Material
) -> None:
    assert len(unshielded[Door.RFC4733].call.events_received) == len(material.keys)
    assert unshielded[Door.INFO].call.infos_received == len(material.keys)


def test_gateway_booked_each_card(exchange: Exchange, shielded: dict[Door, ShieldedCall]) -> None:
    booked = exchange.service.gateway("GET", "/book")["operations"]

    tokens = {entry["token"][-4:] for entry in booked if entry["last4"] == VISA[-4:]}
    assert {call.outcome["token_reference"][-4:] for call in shielded.values()} <= tokens
