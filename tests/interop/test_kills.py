"""Each process killed in the middle of a capture, and the gateway with them: masking holds, talk goes on, all is back.

A killed process leaves no chance to tidy up (SIGKILL). The caller goes on keying through the kill. A second call
without a capture runs beside it. The bound of 3 s is the service's promise, read from its own reports.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dtmf_shield.phone.door import Door
from dtmf_shield.phone.voices import Voice, voice
from dtmf_shield.service.witness.attacker import attack
from dtmf_shield.service.witness.independent import HeardKey
from tests.interop.attacking import let_fragments_through, louder_than_noise, on_the_clock, presses_in
from tests.interop.callers import VISA, Material, card_fields, keying_caller, make_material
from tests.interop.ears import NOTHING, SAMPLE_RATE_HZ, channels_of, heard_by_all, speech_seconds
from tests.interop.phones import AgentCall, Packet, Phone, Phones
from tests.interop.running_service import RunningService, wait_until
from tests.interop.sipp import SippCaller

pytestmark = pytest.mark.interop

BACK_MAX_S = 3.0
KEYS_BEFORE = 6
VOICE_AFTER_S = 1.5
"""Heard after the second stretch, so that its keys can be placed by the voice around them."""
KILLED = ("control", "media", "cde")


@dataclass(frozen=True)
class Stage:
    """The service that is killed, its agents, and a phone in front of it."""

    service: RunningService
    paying: Phone
    other: Phone
    caller: Phone


@dataclass
class Bystanders:
    """A call without a capture: both ends."""

    caller: AgentCall
    agent: AgentCall


@dataclass(frozen=True)
class Killed:
    """What one kill left: how long until the service was whole, outcomes, and what everybody received."""

    back_s: float
    first: dict[str, Any]
    second: dict[str, Any] | None
    agent: AgentCall
    bystanders: Bystanders
    killed_s: float
    recordings: list[Path]


@pytest.fixture(scope="module")
def stage(phones: Phones, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    paying, other = phones.open(), phones.open()
    service = RunningService(
        tmp_path_factory.mktemp("stage"),
        {"paying": f"127.0.0.1:{paying.port}", "other": f"127.0.0.1:{other.port}"},
    )
    try:
        yield Stage(service, paying, other, phones.open())
    finally:
        assert service.stop() == 0, service.log_tail()


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """The card keyed once more, with other phases and another voice passage."""
    return make_material(tmp_path_factory.mktemp("again"), card_fields(VISA), seed=8)


@pytest.fixture(scope="module", params=KILLED)
def killed(
    request: pytest.FixtureRequest,
    stage: Stage,
    material: Material,
    again: Material,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, Killed]]:
    name: str = request.param
    yield name, kill_in_a_capture(stage, name, (material, again), tmp_path_factory.mktemp(f"kill-{name}"))


def kill_in_a_capture(stage: Stage, name: str, stretches: tuple[Material, Material], work: Path) -> Killed:
    """Kill ``name`` after six keys; where the capture is lost, take a second one on the same call to its token."""
    service = stage.service
    bystanders = talk(stage)
    first_stretch, second_stretch = stretches
    survives = name == "control"
    scenario = keying_caller(Door.INBAND, first_stretch, *(() if survives else (second_stretch,)))
    caller = SippCaller(work, scenario, service.sip, dialled="paying")
    try:
        agent = stage.paying.incoming()
        call_id = service.call_to("paying")["id"]
        service.start_capture(call_id)
        service.wait_for_field(call_id, "pan", "waiting")
        caller.go()
        keyed_out_s = time.monotonic() + len(first_stretch.pcm) / SAMPLE_RATE_HZ + 0.5
        service.wait_for_count(call_id, KEYS_BEFORE)

        killed_s = service.kill(name)
        died = service.wait_for_event("died", since_s=killed_s)
        recovered = service.wait_for_event("recovered", since_s=killed_s)
        first = service.wait_for_outcome(call_id)
        # A caller who is still keying the first stretch would key it into the second capture.
        wait_until(lambda: time.monotonic() > keyed_out_s, "the end of the first stretch")
        second = None if survives else second_capture(service, call_id, caller, first)
        said_s = speech_seconds(agent.call.heard)
        wait_until(
            lambda: survives or speech_seconds(agent.call.heard) > said_s + VOICE_AFTER_S,
            "the voice after it",
        )

        caller.go()
        caller.finish()
        stage.paying.wait_for_end(agent)
    finally:
        caller.stop()
        stage.caller.hang_up(bystanders.caller)
    stage.other.wait_for_end(bystanders.agent)
    recordings = wait_until(
        lambda: sorted((service.state / "recordings").glob(f"*{call_id}*.wav")), "a recording"
    )
    back_s = recovered["at_s"] - died["at_s"]
    return Killed(back_s, first, second, agent, bystanders, killed_s, recordings)


def second_capture(
    service: RunningService, call_id: str, caller: SippCaller, first: dict[str, Any]
) -> dict[str, Any]:
    capture_id = service.start_capture(call_id)
    service.wait_for_field(call_id, "pan", "waiting")
    caller.go()

    def look() -> dict[str, Any] | None:
        capture = service.capture(call_id)
        return capture["outcome"] if capture and capture["id"] == capture_id else None

    return wait_until(look, "the second capture's outcome", 25.0)


def talk(stage: Stage) -> Bystanders:
    """Connect the bystanders."""
    host, port = stage.service.sip
    caller = stage.caller.call(f"sip:other@{host}:{port}")
    caller.call.talk(voice(Voice.CALLER))
    agent = stage.other.incoming()
    wait_until(lambda: len(caller.packets) > 10 and len(agent.packets) > 10, "the bystanders talk")
    return Bystanders(caller, agent)


def first_after(packets: list[Packet], at_s: float) -> float:
    """Return seconds from ``at_s`` to the first packet after it that is not part of what was already under way."""
    return next((packet.at_s - at_s for packet in packets if packet.at_s > at_s + 0.1), float("inf"))


def test_service_is_whole_again_within_three_seconds(killed: tuple[str, Killed]) -> None:
    assert killed[1].back_s < BACK_MAX_S


def test_agent_hears_no_key_before_during_or_after_the_kill(
    killed: tuple[str, Killed], tmp_path: Path
) -> None:
    agent = killed[1].agent

    assert heard_by_all(agent.call.heard, tmp_path) == NOTHING
    assert {packet.payload_type for packet in agent.packets} == {0}


def test_attacker_who_knows_the_key_times_is_no_better_than_luck(
    killed: tuple[str, Killed], material: Material, again: Material
) -> None:
    """Detectors miss the few milliseconds that a mask could let through as its process dies or comes back."""
    audio, presses = around_the_kill(killed[1], material, again)
    leaky = audio
    for stretch, pressed in presses:
        leaky = let_fragments_through(leaky, pressed, stretch)
    every = [press for _, pressed in presses for press in pressed]

    result, control = attack(audio, every, 0), attack(leaky, every, 0)

    assert result.of == sum(len(stretch.places) for stretch, _ in presses)
    assert not result.beats_luck, f"{result.guessed} of {result.of} keys guessed"
    assert control.beats_luck, f"only {control.guessed} of {control.of} keys guessed"


def test_agent_hears_nothing_but_noise_while_a_key_is_pressed(
    killed: tuple[str, Killed], material: Material, again: Material
) -> None:
    audio, presses = around_the_kill(killed[1], material, again)

    for stretch, pressed in presses:
        assert louder_than_noise(audio, pressed, stretch) == []
        leaky = let_fragments_through(audio, pressed, stretch)
        assert len(louder_than_noise(leaky, pressed, stretch)) == len(pressed), "the control"


def around_the_kill(
    result: Killed, material: Material, again: Material
) -> tuple[NDArray[np.int16], list[tuple[Material, list[HeardKey]]]]:
    """Return the agent's audio, and where in it each stretch's keys were pressed."""
    audio = on_the_clock(result.agent.packets)
    presses = [(material, presses_in(audio, material))]
    if result.second is not None:
        after = presses[0][1][0].start - material.places[0][1] + len(material.pcm)
        presses.append((again, presses_in(audio, again, after)))
    return audio, presses


def test_recordings_hold_no_key(killed: tuple[str, Killed], tmp_path: Path) -> None:
    for path in killed[1].recordings:
        for channel in channels_of(path):
            assert heard_by_all(channel, tmp_path) == NOTHING


def test_capture_ends_clearly_and_another_try_gets_a_token(killed: tuple[str, Killed]) -> None:
    name, result = killed

    if name == "control":
        # Digits and timers are not control's: the capture goes on while it is away.
        assert (result.first["result"], result.first["last4"]) == ("token", VISA[-4:])
        return
    assert result.first["result"] == "interrupted"
    assert result.second is not None
    assert (result.second["result"], result.second["last4"]) == ("token", VISA[-4:])


def test_call_without_a_capture_keeps_talking(killed: tuple[str, Killed]) -> None:
    name, result = killed
    for end in (result.bystanders.caller, result.bystanders.agent):
        assert first_after(end.packets, result.killed_s) < (BACK_MAX_S if name == "media" else 0.5)
        after = [packet for packet in end.packets if packet.at_s > result.killed_s + BACK_MAX_S]
        assert len(after) > 25
        assert speech_seconds(end.call.heard) > 1


def test_gateway_that_is_gone_ends_the_capture_and_keeps_the_call(
    stage: Stage, material: Material, tmp_path: Path
) -> None:
    """Last in this module: the gateway does not come back."""
    service = stage.service
    os.kill(service.ready["gateway_pid"], signal.SIGKILL)
    caller = SippCaller(tmp_path, keying_caller(Door.INBAND, material), service.sip, dialled="paying")
    try:
        agent = stage.paying.incoming()
        call_id = service.call_to("paying")["id"]
        service.start_capture(call_id)
        service.wait_for_field(call_id, "pan", "waiting")
        caller.go()
        outcome = service.wait_for_outcome(call_id, 40.0)
        ended_s = time.monotonic()
        wait_until(lambda: first_after(agent.packets, ended_s) < 1, "the agent still hears the caller")
        state = service.get(f"/v1/calls/{call_id}")["state"]
        caller.go()
        caller.finish()
        stage.paying.wait_for_end(agent)
    finally:
        caller.stop()

    assert (outcome["result"], state) == ("gateway_unreachable", "talking")
    assert heard_by_all(agent.call.heard, tmp_path) == NOTHING
