"""Calls without an agent, end to end: a caller pays with nobody on the line; others ask for an agent, get one, and key
nothing twice.

Scripted phones on both sides; real control, media, cde and TEST gateway between them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dtmf_shield.flow.loader import load_flow
from dtmf_shield.phone.door import Door
from dtmf_shield.phone.voices import Voice, voice
from tests.interop.beeps import beep_frames, write_beeps
from tests.interop.ears import NOTHING, channels_of, heard_by_all, speech_seconds
from tests.interop.phones import AgentCall, Phone, Phones
from tests.interop.running_service import CHARGE_FLOW, RunningService, asks, wait_until

pytestmark = [pytest.mark.interop, pytest.mark.untimed]

FLOW_FILE = Path(__file__).parent / "flows" / "self-bill.yaml"
ROUTE = '[[routes]]\ndialled = "8000"\nflow = "self-bill"\n'
VISA, MASTERCARD, ACCOUNT = "4242424242424242", "5555555555554444", "12345674"
AMOUNT_MINOR = 1253
QUIET_LOOKS = 10
"""Half a second: more than any pause in a prompt."""


@dataclass
class Line:
    """The service, the one agent that flows may call, and the call at hand."""

    service: RunningService
    phones: Phones
    agent: Phone
    caller: Phone
    call: AgentCall
    call_id: str

    def wait_for_step(self, step: str) -> None:
        def look() -> bool:
            capture = self.service.capture(self.call_id)
            return capture is not None and capture["step"] == step

        wait_until(look, f"the flow is in {step}", 25.0)

    def key(self, step: str, keys: str, door: Door = Door.RFC4733) -> None:
        """Key once the flow asks."""
        wait_until(lambda: asks(self.service.capture(self.call_id), step), f"the flow asks in {step}", 25.0)
        self.phones.run(self.call.call.keys(keys, door))

    def audited(self, event: str) -> list[dict[str, Any]]:
        lines = (self.service.state / "audit.jsonl").read_text("ascii").splitlines()
        rows = [json.loads(line) for line in lines]
        return [row for row in rows if row["event"] == event and row.get("call") == self.call_id]

    def ended_for(self) -> list[str]:
        """Return the reasons of the call's end once the audit log tells them: the phones know of it before."""
        wait_until(lambda: self.audited("call_ended"), "the audit log tells the end of the call")
        return [str(row["reason"]) for row in self.audited("call_ended")]


@pytest.fixture(scope="module")
def service(
    phones: Phones, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningService, Phone]]:
    directory = tmp_path_factory.mktemp("self-service")
    (directory / "flows").mkdir()
    shutil.copy(FLOW_FILE, directory / "flows")
    write_beeps(directory / "state" / "prompts", load_flow(FLOW_FILE.read_text("utf-8"), file="flow"))
    agent = phones.open(speech=voice(Voice.AGENT))
    running = RunningService(directory, {"help": f"127.0.0.1:{agent.port}"}, sections=ROUTE)
    try:
        yield running, agent
    finally:
        assert running.stop() == 0, running.log_tail()


@contextmanager
def dialled(phones: Phones, service: tuple[RunningService, Phone]) -> Iterator[Line]:
    """Call the route: answered, with nobody called for it."""
    running, agent = service
    caller = phones.open(speech=voice(Voice.CALLER))
    call = caller.call(f"sip:8000@127.0.0.1:{running.sip[1]}")
    line = Line(running, phones, agent, caller, call, str(running.call_to("8000")["id"]))
    try:
        yield line
    finally:
        caller.hang_up(call)


def until_said(line: Line) -> int:
    """Wait until the prompt is over; return how much the caller has heard."""
    heard: list[int] = []

    def quiet() -> bool:
        heard.append(beep_frames(line.call.call.heard))
        return len(heard) > QUIET_LOOKS and heard[-1] == heard[-QUIET_LOOKS]

    wait_until(quiet, "the prompt ends")
    return heard[-1]


def test_caller_pays_with_nobody_on_the_line(phones: Phones, service: tuple[RunningService, Phone]) -> None:
    with dialled(phones, service) as line:
        wait_until(lambda: beep_frames(line.call.call.heard) > 5, "the caller hears the first prompt")
        line.key("account", ACCOUNT + "#")
        line.key("what", "1")
        for step, keys in (("card", VISA + "#"), ("expiry", "1230"), ("cvv", "123")):
            line.key(step, keys)
        line.wait_for_step("confirm")
        said = beep_frames(line.call.call.heard)
        wait_until(lambda: beep_frames(line.call.call.heard) > said + 10, "the caller hears what is paid")
        said = until_said(line)
        line.key("confirm", "1")
        line.caller.wait_for_end(line.call)

    operations = line.service.gateway("GET", "/book")["operations"]
    assert len([each for each in operations if each["amount_minor"] == AMOUNT_MINOR]) == 1
    assert beep_frames(line.call.call.heard) > said + 5, "the last prompt is heard before the BYE"
    assert line.ended_for() == ["flow_over"]
    assert line.audited("call_handed_over") == []
    assert VISA not in line.service.log()


def charges(line: Line) -> int:
    operations = line.service.gateway("GET", "/book")["operations"]
    return len([each for each in operations if each["amount_minor"] == AMOUNT_MINOR])


def test_caller_pays_though_control_is_killed_in_the_middle_of_a_field(
    phones: Phones, service: tuple[RunningService, Phone]
) -> None:
    """The second half of the date is keyed while nobody at all is there to be told of it."""
    with dialled(phones, service) as line:
        before = charges(line)
        line.key("account", ACCOUNT + "#")
        line.key("what", "1")
        line.key("card", VISA + "#")
        line.key("expiry", "12")
        line.service.wait_for_count(line.call_id, 2)

        killed_s = line.service.kill("control")
        line.phones.run(line.call.call.keys("30", Door.RFC4733))
        line.service.wait_for_event("recovered", since_s=killed_s)
        line.key("cvv", "123")
        line.wait_for_step("confirm")
        until_said(line)
        line.key("confirm", "1")
        line.caller.wait_for_end(line.call)

    assert charges(line) == before + 1
    assert line.ended_for() == ["flow_over"]
    assert line.audited("call_handed_over") == []


def test_recording_of_a_caller_alone_holds_no_key(
    phones: Phones, service: tuple[RunningService, Phone], work: Path
) -> None:
    with dialled(phones, service) as line:
        line.call.call.talk(voice(Voice.CALLER))
        wait_until(lambda: speech_seconds(line.call.call.sent) > 2, "the caller has talked")
        line.key("account", ACCOUNT, Door.INBAND)
        line.service.wait_for_count(line.call_id, len(ACCOUNT))

    channels = channels_of(line.service.recording_of(line.call_id))
    assert [heard_by_all(channel, work) for channel in channels] == [NOTHING] * len(channels)
    assert max(speech_seconds(channel) for channel in channels) > 1, "the caller's voice is there"
    assert ACCOUNT in heard_by_all(line.call.call.sent, work)["spandsp"], "the control: it was sent as tones"


def test_hold_and_resume_without_an_agent(phones: Phones, service: tuple[RunningService, Phone]) -> None:
    with dialled(phones, service) as line:
        line.caller.hold(line.call)
        assert line.service.call_to("8000", "held")["id"] == line.call_id
        line.caller.hold(line.call, "sendrecv")
        assert line.service.call_to("8000")["id"] == line.call_id
        line.key("account", ACCOUNT + "#")
        line.wait_for_step("what")


def test_lone_agent_key_connects_the_agent_who_hears_no_key(
    phones: Phones, service: tuple[RunningService, Phone], work: Path
) -> None:
    with dialled(phones, service) as line:
        line.key("account", "0#", Door.INBAND)
        agent = line.agent.incoming(20.0)
        line.call.call.talk(voice(Voice.CALLER))
        before = speech_seconds(line.call.call.heard)
        wait_until(lambda: speech_seconds(agent.call.heard) > 1, "the agent hears the caller")
        wait_until(lambda: speech_seconds(line.call.call.heard) > before + 1, "the caller hears the agent")
        phones.run(line.call.call.keys("4242", Door.INBAND))
        wait_until(lambda: len(agent.packets) > 250, "five seconds of it")
    line.agent.wait_for_end(agent)

    assert heard_by_all(agent.call.heard, work) == NOTHING
    assert (agent.call.events_received, agent.call.infos_received) == ([], 0)
    assert "04242" in heard_by_all(line.call.call.sent, work)["spandsp"].replace("#", ""), "the control"
    (handed,) = wait_until(
        lambda: line.audited("call_handed_over"), "the audit log says where the caller went"
    )
    assert (handed["target"], handed["ok"], handed["reason"]) == ("help", 1, "answered")


def test_who_asks_for_an_agent_keys_no_field_twice_and_the_agent_takes_the_payment(
    phones: Phones, service: tuple[RunningService, Phone], work: Path
) -> None:
    with dialled(phones, service) as line:
        line.key("account", ACCOUNT + "#")
        line.key("what", "1")
        line.key("card", MASTERCARD + "#", Door.INBAND)
        line.key("expiry", "0#", Door.INBAND)
        agent = line.agent.incoming(20.0)
        line.call.call.talk(voice(Voice.CALLER))
        wait_until(lambda: speech_seconds(agent.call.heard) > 1, "the agent hears the caller")

        inputs = {"amount": "21.07", "currency": "GBP"}
        line.service.start_capture(line.call_id, CHARGE_FLOW, **inputs)
        shown = line.service.wait_for_field(line.call_id, "expiry", "waiting")
        assert fields_of(shown)["pan"]["last4"] == MASTERCARD[-4:]
        line.key("expiry", "1230", Door.INBAND)
        line.key("cvv", "123", Door.INBAND)
        outcome = line.service.wait_for_outcome(line.call_id)
        wait_until(lambda: speech_seconds(agent.call.heard) > 3, "the agent goes on hearing the caller")
    line.agent.wait_for_end(agent)

    assert outcome["result"] == "approved"
    operations = line.service.gateway("GET", "/book")["operations"]
    taken = [each for each in operations if each["amount_minor"] == 2107]
    assert [each["last4"] for each in taken] == [MASTERCARD[-4:]], (
        "once, and of the card that was keyed alone"
    )
    assert heard_by_all(agent.call.heard, work) == NOTHING
    assert (agent.call.events_received, agent.call.infos_received) == ([], 0)
    sent = heard_by_all(line.call.call.sent, work)["spandsp"].replace("#", "")
    assert sent.count(MASTERCARD) == 1, "the control: it was sent as tones, once"
    assert [each["last4"] for each in operations].count(MASTERCARD[-4:]) >= 1
    assert all(MASTERCARD not in said for said in (line.service.log(), agent.payload_bytes.decode("latin-1")))


def fields_of(capture: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {field["field"]: field for field in capture["fields"]}
