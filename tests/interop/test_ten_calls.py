"""Ten simultaneous SIPp calls with captures: each ends with a token, and no key reaches any agent.

Detectors hear whole keys; an attacker who knows when each key was pressed needs two milliseconds of one
(generalised likelihood ratio, judged against luck). Both get the agents' audio of all ten calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dtmf_shield.audit.chain import verify
from dtmf_shield.phone.door import Door
from dtmf_shield.service.witness.attacker import attack
from dtmf_shield.service.witness.independent import HeardKey
from tests.interop.attacking import let_fragments_through, presses_in
from tests.interop.callers import Material, keying_caller
from tests.interop.conftest import Exchange
from tests.interop.ears import NOTHING, channels_of, heard_by_all, speech_seconds
from tests.interop.phones import AgentCall
from tests.interop.running_service import FLOW, wait_until
from tests.interop.sipp import SippCaller

pytestmark = pytest.mark.interop

CALLS = 10
SPEECH_S = 2.5
"""Of the caller's voice in each call, so that it can be aligned with what was sent."""


@dataclass(frozen=True)
class TenCalls:
    """What ten calls left."""

    outcomes: list[dict[str, Any]]
    agents: list[AgentCall]
    recordings: list[Path]


@pytest.fixture(scope="module")
def ten(exchange: Exchange, material: Material, tmp_path_factory: pytest.TempPathFactory) -> TenCalls:
    service, phone = exchange.service, exchange.agents["ten"]
    scenario, work = keying_caller(Door.INBAND, material), tmp_path_factory.mktemp("ten")
    callers = SippCaller(work, scenario, service.sip, dialled="ten", calls=CALLS)
    try:
        agents = [phone.incoming() for _ in range(CALLS)]

        def talking() -> list[str] | None:
            wanted = ("ten", "talking")
            ids = [str(call["id"]) for call in service.calls() if (call["dialled"], call["state"]) == wanted]
            return ids if len(ids) == CALLS else None

        calls = wait_until(talking, "ten calls talk")
        for call in calls:
            service.start_capture(call)
        for call in calls:
            service.wait_for_field(call, "pan", "waiting")
        for number in range(1, CALLS + 1):
            callers.go(number)
        outcomes = [service.wait_for_outcome(call, 40.0) for call in calls]
        for agent in agents:
            heard = agent.call
            wait_until(lambda heard=heard: speech_seconds(heard.heard) > SPEECH_S, "a voice")
        for number in range(1, CALLS + 1):
            callers.go(number)
        callers.finish()
        for agent in agents:
            phone.wait_for_end(agent)
    finally:
        callers.stop()
    return TenCalls(outcomes, agents, [service.recording_of(call) for call in calls])


def test_ten_calls_at_once_end_with_ten_tokens(ten: TenCalls) -> None:
    assert [outcome["result"] for outcome in ten.outcomes] == ["token"] * CALLS
    assert len({outcome["token_reference"] for outcome in ten.outcomes}) == CALLS


def test_audit_trail_tells_each_capture_with_its_flow(ten: TenCalls, exchange: Exchange) -> None:
    rows = [row for row, _ in verify(exchange.service.state / "audit.jsonl")]
    started = {
        row["capture"]: (row["call"], row["flow"]) for row in rows if row["event"] == "capture_started"
    }
    ended = {row["capture"]: row for row in rows if row["event"] == "capture_ended"}

    mine = [capture for capture, row in ended.items() if row["result"] == "token" and capture in started]
    assert sum(started[capture][1] == FLOW for capture in mine) >= CALLS
    assert all((ended[capture]["call"], ended[capture]["flow"]) == started[capture] for capture in mine)


def test_no_agent_hears_a_key(ten: TenCalls, work: Path) -> None:
    assert [heard_by_all(agent.call.heard, work) for agent in ten.agents] == [NOTHING] * CALLS


def test_no_recording_holds_a_key(ten: TenCalls, work: Path) -> None:
    channels = [channel for path in ten.recordings for channel in channels_of(path)]

    assert [heard_by_all(channel, work) for channel in channels] == [NOTHING] * 2 * CALLS


def test_attacker_who_knows_the_key_times_is_no_better_than_luck(ten: TenCalls, material: Material) -> None:
    audio, presses = laid_end_to_end(ten, material)

    result = attack(audio, presses, 0)

    assert result.of == CALLS * len(material.places)
    assert not result.beats_luck, f"{result.guessed} of {result.of} keys guessed"


def test_same_attacker_names_keys_of_which_three_milliseconds_are_let_through(
    ten: TenCalls, material: Material
) -> None:
    audio, presses = laid_end_to_end(ten, material)

    result = attack(let_fragments_through(audio, presses, material), presses, 0)

    assert result.beats_luck, f"{result.guessed} of {result.of} keys guessed"


def laid_end_to_end(ten: TenCalls, material: Material) -> tuple[NDArray[np.int16], list[HeardKey]]:
    """Return the agents' audio, one call after the other, and where in it each key was pressed."""
    parts, presses, before = [], [], 0
    for agent in ten.agents:
        heard = agent.call.heard
        presses += [
            HeardKey(press.key, press.start + before, press.end + before)
            for press in presses_in(heard, material)
        ]
        parts.append(heard)
        before += len(heard)
    return np.concatenate(parts), presses
