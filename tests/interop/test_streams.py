"""What streams may do: other codecs and packet times, late offer, codec change, hold, new sources in mid-key.

One in-band card by each, all at once. RFC 3264 sections 5 and 8, RFC 3311, RFC 3550 section 8, RFC 3551, RFC 4566 for
ptime. The same callers straight to agents' phones are the positive control.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dtmf_shield.service.witness.attacker import attack
from tests.interop.attacking import let_fragments_through, louder_than_noise, on_the_clock, presses_in
from tests.interop.callers import (
    CLOSING_MS,
    SPEECH_MS,
    VISA,
    Material,
    card_fields,
    expiry,
    make_material,
)
from tests.interop.conftest import STREAM_AGENTS, Exchange
from tests.interop.ears import NOTHING, channels_of, heard_by_all, speech_seconds
from tests.interop.key_audio import SAMPLES_PER_MS, speech, write_alaw, write_audio_pcap
from tests.interop.phones import AgentCall, Phones
from tests.interop.running_service import wait_until
from tests.interop.sipp import G722, PCMA, PCMU, Scenario, SippCaller

pytestmark = pytest.mark.interop

SPEECH_MIN_S = 1.5
KEYS_BEFORE = 6
"""Pressed before what happens in the middle of the capture."""
KEYS_HELD = 10
"""Pressed in all until the end of the hold."""
PACKETS = {
    **{"ptime-10": (PCMU, 10), "ptime-30": (PCMA, 30), "ptime-40": (PCMU, 40), "ptime-60": (PCMA, 60)},
    **{"g722-10": (G722, 10), "g722-20": (G722, 20), "g722-60": (G722, 60)},
}
"""Codec and packet time in ms."""
CHANGED_OVER = {"g722-to-pcma": PCMA, "g722-to-pcmu": PCMU}
"""A G.722 caller, and what its agent's phone speaks instead."""
NEW_SOURCE_MS = 60
"""So long after the beginning of each key a new source goes on, in the middle of its tone."""
NEXT_PART_AFTER_MS = 200
"""After the last key of a part, in the control."""
LINES = STREAM_AGENTS


@dataclass(frozen=True)
class Line:
    """A caller's script and the parts that it keys; at each go comes the next."""

    scenario: Scenario
    parts: tuple[Material, ...]

    @property
    def keys(self) -> str:
        """All keys in order."""
        return "".join(part.keys for part in self.parts)


@dataclass(frozen=True)
class StreamCall:
    """What one call left behind."""

    outcome: dict[str, Any]
    agent: AgentCall
    recording: Path
    states: tuple[str, ...] = ()
    """The call's states in the middle of the capture."""


@pytest.fixture(scope="module")
def lines(material: Material, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Line]:
    directory = tmp_path_factory.mktemp("lines")
    number, security_code = VISA + "#", card_fields(VISA)[2]
    pieces = number[:KEYS_BEFORE], number[KEYS_BEFORE:KEYS_HELD], number[KEYS_HELD:]
    rest = (expiry(), security_code)
    halves = (
        make_material(directory / "first", (pieces[0],), seed=3),
        make_material(directory / "second", (pieces[1] + pieces[2], *rest), seed=4),
    )
    thirds = (
        halves[0],
        make_material(directory / "held", (pieces[1],), seed=5),
        make_material(directory / "third", (pieces[2], *rest), seed=6),
    )
    made = {name: packet_line(directory, name, material, *PACKETS[name]) for name in PACKETS}
    made |= {name: packet_line(directory, name, material, G722, 20) for name in CHANGED_OVER}
    made["pcma"] = Line(
        keyed(alaw_caller(directory), write_alaw(directory / "keys.al", material.pcm)), (material,)
    )
    made["late-offer"] = Line(keyed(late_caller(material), material.keys_ulaw), (material,))
    made["re-invite"] = Line(changing_caller(directory, halves, Scenario.change_codec), halves)
    made["update"] = Line(changing_caller(directory, halves, Scenario.update), halves)
    made["hold"] = Line(holding_caller(thirds), thirds)
    made["new-source"] = new_source_line(directory, material)
    made["g722-new-source"] = new_source_line(directory, material, G722)
    return made


def keyed(scenario: Scenario, path: Path) -> Scenario:
    """At a go key what ``path`` holds, at one more hang up."""
    return scenario.wait_for_go().stream(path).wait_for_go().bye()


def packet_line(directory: Path, name: str, material: Material, codec: int, ptime_ms: int) -> Line:
    """All packets of one size, played from pcap files: SIPp's own are of 20 ms."""
    talk, keys = (
        write_audio_pcap(
            directory / f"{name}-{part}.pcap", pcm, ssrc=ssrc, payload_type=codec, ptime_ms=ptime_ms
        )
        for part, pcm, ssrc in (("talk", speech(SPEECH_MS), 0x7A1C), ("keys", material.pcm, 0x4E75))
    )
    scenario = Scenario(pcap=True, codec=codec, ptime_ms=ptime_ms).invite().answered().pcap(talk)
    return Line(scenario.wait_for_go().pcap(keys).wait_for_go().bye(), (material,))


def new_source_line(directory: Path, material: Material, codec: int = PCMU) -> Line:
    """In the middle of each tone another SSRC goes on with other sequence numbers and timestamps."""
    name = f"source-{codec}"
    talk = write_audio_pcap(
        directory / f"{name}-talk.pcap", speech(SPEECH_MS), ssrc=0x7A1C, payload_type=codec
    )
    cuts = [start + NEW_SOURCE_MS * SAMPLES_PER_MS for _, start, _ in material.places]
    keys = write_audio_pcap(
        directory / f"{name}-keys.pcap", material.pcm, ssrc=0x4E75, payload_type=codec, new_source_at=cuts
    )
    scenario = Scenario(pcap=True, codec=codec).invite().answered().pcap(talk)
    return Line(scenario.wait_for_go().pcap(keys).wait_for_go().bye(), (material,))


def alaw_caller(directory: Path) -> Scenario:
    talk = write_alaw(directory / "speech.al", speech(SPEECH_MS))
    return Scenario(codec=PCMA).invite().answered().stream(talk, loops=-1)


def late_caller(material: Material) -> Scenario:
    return Scenario().invite(late=True).answered().stream(material.speech_ulaw, loops=-1)


def changing_caller(
    directory: Path, halves: tuple[Material, Material], change: Callable[[Scenario, int], Scenario]
) -> Scenario:
    """Begin in PCMU; after some keys go over to PCMA and key the rest."""
    first, second = halves
    scenario = Scenario().invite().answered().stream(first.speech_ulaw, loops=-1)
    scenario = change(scenario.wait_for_go().stream(first.keys_ulaw).wait_for_go(), PCMA)
    return scenario.stream(write_alaw(directory / "second.al", second.pcm)).wait_for_go().bye()


def holding_caller(thirds: tuple[Material, Material, Material]) -> Scenario:
    """Key some, hold the agent, key on (a holder may send), resume, key the rest."""
    first, held, last = thirds
    scenario = Scenario().invite().answered().stream(first.speech_ulaw, loops=-1)
    scenario = scenario.wait_for_go().stream(first.keys_ulaw).wait_for_go().hold().stream(held.keys_ulaw)
    return scenario.wait_for_go().resume().stream(last.keys_ulaw).wait_for_go().bye()


@pytest.fixture(scope="module")
def shielded(
    exchange: Exchange, lines: dict[str, Line], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, StreamCall]:
    """Place all calls at once and take each to its end."""
    service, directory = exchange.service, tmp_path_factory.mktemp("streams")
    callers = {
        name: SippCaller(directory, line.scenario, service.sip, dialled=name) for name, line in lines.items()
    }
    states: dict[str, tuple[str, ...]] = {}
    try:
        agents = {name: exchange.agents[name].incoming() for name in lines}
        calls = {name: str(service.call_to(name)["id"]) for name in lines}
        for call in calls.values():
            service.start_capture(call)
        for name in lines:
            service.wait_for_field(calls[name], "pan", "waiting")
            callers[name].go()
        for name, line in lines.items():
            if len(line.parts) > 1:
                service.wait_for_count(calls[name], KEYS_BEFORE)
                callers[name].go()
        service.wait_for_count(calls["hold"], KEYS_HELD)
        states["hold"] = (service.get(f"/v1/calls/{calls['hold']}")["state"],)
        callers["hold"].go()
        outcomes = {name: service.wait_for_outcome(calls[name]) for name in lines}
        states["hold"] += (service.get(f"/v1/calls/{calls['hold']}")["state"],)
        for name in lines:
            heard = agents[name].call
            wait_until(lambda heard=heard: speech_seconds(heard.heard) > SPEECH_MIN_S, f"{name}: a voice")
            callers[name].go()
            callers[name].finish()
            exchange.agents[name].wait_for_end(agents[name])
    finally:
        for caller in callers.values():
            caller.stop()
    return {
        name: StreamCall(
            outcomes[name], agents[name], service.recording_of(calls[name]), states.get(name, ())
        )
        for name in lines
    }


@pytest.fixture(scope="module")
def unshielded(
    phones: Phones, lines: dict[str, Line], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, AgentCall]:
    """Place the same calls straight to agents' phones; each part follows when the one before was heard."""
    directory = tmp_path_factory.mktemp("unshielded")
    agents = {name: phones.open(payload_types=(PCMU, PCMA, G722)) for name in lines}

    def dial(name: str) -> SippCaller:
        return SippCaller(directory, lines[name].scenario, ("127.0.0.1", agents[name].port), dialled="x")

    def called(name: str) -> AgentCall:
        try:
            return agents[name].incoming()
        except TimeoutError:  # a caller of sixteen that did not get through; it says nothing about the ears
            callers[name].stop()
            callers[name] = dial(name)
            return agents[name].incoming()

    callers = {name: dial(name) for name in lines}
    try:
        calls = {name: called(name) for name in lines}
        for name, call in calls.items():
            wait_until(lambda call=call: len(call.packets) > 5, f"{name} talks")
        for turn in range(max(len(line.parts) for line in lines.values())):
            playing = [name for name, line in lines.items() if turn < len(line.parts)]
            wanted = {
                name: len(calls[name].call.heard) + length_of(lines[name].parts[turn]) for name in playing
            }
            for name in playing:
                callers[name].go()
            for name in playing:
                wait_until(partial(has_heard, calls[name], wanted[name]), f"{name}: the keys")
        for caller in callers.values():
            caller.go()
            caller.finish()
    finally:
        for caller in callers.values():
            caller.stop()
    return calls


def has_heard(agent: AgentCall, n_samples: int) -> bool:
    return len(agent.call.heard) > n_samples


def length_of(part: Material) -> int:
    """Return samples until its last key is over, and some."""
    return len(part.pcm) - (CLOSING_MS - NEXT_PART_AFTER_MS) * SAMPLES_PER_MS


@pytest.mark.parametrize("name", LINES)
def test_card_ends_with_a_token(shielded: dict[str, StreamCall], name: str) -> None:
    outcome = shielded[name].outcome

    assert (outcome["result"], outcome["brand"], outcome["last4"]) == ("token", "visa", VISA[-4:])


@pytest.mark.parametrize("name", LINES)
def test_agent_hears_the_voice_and_no_key(shielded: dict[str, StreamCall], name: str, work: Path) -> None:
    agent = shielded[name].agent

    assert heard_by_all(agent.call.heard, work) == NOTHING
    assert heard_by_all(on_the_clock(agent.packets), work) == NOTHING
    assert speech_seconds(agent.call.heard) > SPEECH_MIN_S
    assert agent.call.events_received == []


@pytest.mark.parametrize("name", LINES)
def test_recording_holds_no_key(shielded: dict[str, StreamCall], name: str, work: Path) -> None:
    for channel in channels_of(shielded[name].recording):
        assert heard_by_all(channel, work) == NOTHING


@pytest.mark.parametrize("name", LINES)
def test_same_ears_hear_every_key_without_the_shield(
    unshielded: dict[str, AgentCall], lines: dict[str, Line], name: str, work: Path
) -> None:
    heard = heard_by_all(unshielded[name].call.heard, work)

    assert heard == dict.fromkeys(NOTHING, lines[name].keys)


@pytest.mark.parametrize("name", PACKETS)
def test_agents_packets_are_as_long_as_the_callers(shielded: dict[str, StreamCall], name: str) -> None:
    codec, ptime_ms = PACKETS[name]
    packets = shielded[name].agent.packets

    assert {packet.payload_type for packet in packets} == {codec}
    assert {len(packet.payload) for packet in packets} == {ptime_ms * SAMPLES_PER_MS}


@pytest.mark.parametrize(("name", "codec"), list(CHANGED_OVER.items()))
def test_a_wideband_caller_is_heard_by_a_narrowband_agent(
    shielded: dict[str, StreamCall], name: str, codec: int
) -> None:
    packets = shielded[name].agent.packets

    assert {packet.payload_type for packet in packets} == {codec}
    assert {len(packet.payload) for packet in packets} == {160}


@pytest.mark.parametrize("name", ["re-invite", "update"])
def test_codec_changes_on_both_legs(shielded: dict[str, StreamCall], name: str) -> None:
    types = [packet.payload_type for packet in shielded[name].agent.packets]

    changed = types.index(PCMA)
    assert set(types[:changed]) == {PCMU}
    assert set(types[changed:]) == {PCMA}


def test_hold_in_a_capture_is_a_hold_and_ends_with_the_resume(shielded: dict[str, StreamCall]) -> None:
    assert shielded["hold"].states == ("held", "talking")


@pytest.mark.parametrize(
    "name", [*PACKETS, *CHANGED_OVER, "pcma", "late-offer", "new-source", "g722-new-source"]
)
def test_agent_hears_noise_at_each_key_and_an_attacker_is_no_better_than_luck(
    shielded: dict[str, StreamCall], material: Material, name: str
) -> None:
    audio = on_the_clock(shielded[name].agent.packets)
    presses = presses_in(audio, material)

    leaky = let_fragments_through(audio, presses, material)
    result, control = attack(audio, presses, 0), attack(leaky, presses, 0)

    assert result.of == len(material.places)
    assert not result.beats_luck, f"{result.guessed} of {result.of} keys guessed"
    assert control.beats_luck, f"only {control.guessed} of {control.of} keys guessed"
    assert louder_than_noise(audio, presses, material) == []
    assert len(louder_than_noise(leaky, presses, material)) == len(presses), "the control"
