"""Calls without an agent, end to end: a caller pays with nobody on the line; another asks for an agent and gets one.

Scripted phones on both sides; real control, media, cde and TEST gateway between them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dtmf_shield.phone.door import Door
from dtmf_shield.phone.voices import Voice, voice
from tests.interop.ears import NOTHING, channels_of, heard_by_all, speech_seconds
from tests.interop.phones import AgentCall, Phone, Phones
from tests.interop.quick_prompts import write_prompts
from tests.interop.running_service import RunningService, wait_until

pytestmark = pytest.mark.interop

FLOW_FILE = Path(__file__).parent / "flows" / "self-bill.yaml"
ROUTE = '[[routes]]\ndialled = "8000"\nflow = "self-bill"\n'
VISA, ACCOUNT = "4242424242424242", "12345674"
AMOUNT_MINOR = 1253


@pytest.fixture(scope="module")
def service(
    phones: Phones, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningService, Phone]]:
    directory = tmp_path_factory.mktemp("self-service")
    (directory / "flows").mkdir()
    shutil.copy(FLOW_FILE, directory / "flows")
    (directory / "state").mkdir(mode=0o700)
    write_prompts(directory / "state" / "prompts", FLOW_FILE)
    agent = phones.open()
    running = RunningService(directory, {"help": f"127.0.0.1:{agent.port}"}, sections=ROUTE)
    try:
        yield running, agent
    finally:
        assert running.stop() == 0, running.log_tail()


def dial(phones: Phones, service: RunningService) -> tuple[Phone, AgentCall, str]:
    """Call the route; returns once answered and the call is listed."""
    caller = phones.open(speech=voice(Voice.CALLER))
    call = caller.call(f"sip:8000@127.0.0.1:{service.sip[1]}")
    return caller, call, str(service.call_to("8000")["id"])


def key(phones: Phones, call: AgentCall, keys: str) -> None:
    phones.run(call.call.keys(keys, Door.RFC4733))


def wait_for_state(service: RunningService, call_id: str, state: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        capture = service.capture(call_id)
        return capture if capture is not None and capture["state"] == state else None

    return wait_until(look, f"capture of call {call_id} is {state}", 20.0)


def audited(service: RunningService, event: str, call_id: str) -> list[dict[str, Any]]:
    lines = (service.state / "audit.jsonl").read_text("ascii").splitlines()
    return [row for line in lines if (row := json.loads(line))["event"] == event and row["call"] == call_id]


def test_caller_pays_with_nobody_on_the_line(
    phones: Phones, service: tuple[RunningService, Phone], work: Path
) -> None:
    running, agent = service
    caller, call, call_id = dial(phones, running)

    wait_until(lambda: speech_seconds(call.call.heard) > 0.2, "the first prompt")
    running.wait_for_field(call_id, "account", "waiting")
    key(phones, call, ACCOUNT + "#")
    wait_for_state(running, call_id, "choosing")
    key(phones, call, "1")
    for field, keys in (("pan", VISA + "#"), ("expiry", "1230"), ("cvv", "123")):
        running.wait_for_field(call_id, field, "waiting")
        key(phones, call, keys)
    wait_for_state(running, call_id, "choosing")
    heard = speech_seconds(call.call.heard)
    key(phones, call, "1")
    caller.wait_for_end(call)

    booked = [
        row for row in running.gateway("GET", "/book")["operations"] if row["amount_minor"] == AMOUNT_MINOR
    ]
    assert len(booked) == 1
    assert speech_seconds(call.call.heard) > heard  # the last prompt was heard before the BYE
    assert audited(running, "call_ended", call_id)[0]["reason"] == "flow_over"
    assert audited(running, "call_handed_over", call_id) == []
    assert agent.signalling == b""
    assert VISA not in running.log()


def test_recording_of_a_caller_alone_holds_prompts_and_no_key(
    phones: Phones, service: tuple[RunningService, Phone], work: Path
) -> None:
    running, _agent = service
    caller, call, call_id = dial(phones, running)
    running.wait_for_field(call_id, "account", "waiting")
    phones.run(call.call.keys(ACCOUNT, Door.INBAND))
    running.wait_for_count(call_id, len(ACCOUNT))
    caller.hang_up(call)

    channels = channels_of(running.recording_of(call_id))

    assert [heard_by_all(channel, work) for channel in channels] == [NOTHING] * len(channels)
    assert ACCOUNT in heard_by_all(call.call.sent, work)["spandsp"], "the control: it was sent as tones"


def test_lone_agent_key_connects_the_agent_who_hears_no_key(
    phones: Phones, service: tuple[RunningService, Phone], work: Path
) -> None:
    running, agent = service
    caller, call, call_id = dial(phones, running)
    running.wait_for_field(call_id, "account", "waiting")
    phones.run(call.call.keys("0#", Door.INBAND))

    answered = agent.incoming(20.0)
    call.call.talk(voice(Voice.CALLER))
    before = len(call.packets)
    wait_until(lambda: speech_seconds(answered.call.heard) > 1, "the agent hears the caller")
    wait_until(lambda: len(call.packets) > before + 100, "the caller hears the agent")
    phones.run(call.call.keys("4242", Door.INBAND))  # still masked, or at least guarded
    wait_until(lambda: len(answered.packets) > 150, "three seconds of it")
    shown = running.get(f"/v1/calls/{call_id}")
    caller.hang_up(call)
    agent.wait_for_end(answered)

    assert heard_by_all(answered.call.heard, work) == NOTHING
    assert (answered.call.events_received, answered.call.infos_received) == ([], 0)
    assert "0" in heard_by_all(call.call.sent, work)["spandsp"], "the control: it was sent as tones"
    assert speech_seconds(call.call.heard) > 1
    assert shown["state"] == "talking"
    (handed,) = audited(running, "call_handed_over", call_id)
    assert (handed["target"], handed["ok"], handed["reason"]) == ("help", 1, "answered")
