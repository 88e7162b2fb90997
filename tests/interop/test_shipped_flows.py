"""Every flow in ivr_flows/ driven once over a real call to its good end; the agent's side hears no key of it.

The list is the directory: a flow that is added is driven too, and fails here until it runs. A flow that looks something
up is told in KEYED what its caller keys, because nothing but the look-up's answer says how it goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.steps import ExitStep, HttpStep
from dtmf_shield.flow.loader import load_flow
from dtmf_shield.phone.door import Door
from dtmf_shield.phone.voices import Voice, voice
from dtmf_shield.service.demo.walk import sample_inputs, walk_of
from tests.interop.callers import SECURITY_CODE, VISA, expiry
from tests.interop.ears import NOTHING, channels_of, heard_by_all, speech_seconds
from tests.interop.phones import AgentCall, Phone, Phones
from tests.interop.running_service import SHIPPED_FLOWS, RunningService, asks, wait_until
from tests.unit.service.hook_server import Script, serving

pytestmark = [pytest.mark.interop, pytest.mark.untimed]

FLOWS: Final[dict[str, Flow]] = {
    path.stem: load_flow(path.read_text("utf-8"), file=path.name)
    for path in sorted(SHIPPED_FLOWS.glob("*.yaml"))
}
ALONE: Final = [name for name, flow in FLOWS.items() if flow.mode == "self_service"]
IN_BAND: Final = "verify-identity"
"""Keyed as tones, which an ear could hear; the others as telephone events."""
ACCOUNT, BALANCE, BALANCE_MINOR = "12345674", "87.20", 8_720
KEYED: Final = {
    "card-payment-self-service": (
        *(("language", "1"), ("account", ACCOUNT + "#"), ("balance", "1")),
        *(("card", VISA + "#"), ("expiry", expiry()), ("cvv", SECURITY_CODE), ("confirm", "1")),
    )
}
RESULTS: Final = {
    **{"paid": "approved", "authorised": "approved"},
    **{"tokenized": "token", "verified": "token", "completed": "completed"},
}
"""How a capture must have ended behind each good exit."""
SPEECH_MIN_S = 1.0


def entries_of(flow: Flow) -> tuple[tuple[str, str], ...]:
    """Return the steps that ask and what is keyed at each."""
    if any(isinstance(step, HttpStep) for step in flow.steps.values()):
        assert flow.id in KEYED, f"{flow.id} looks something up: say in KEYED what its caller keys"
        return KEYED[flow.id]
    return tuple((entry.step, entry.keys) for entry in walk_of(flow).entries)


@dataclass(frozen=True)
class House:
    """One service with all shipped flows, one agent's phone and one caller's; both talk all the time."""

    service: RunningService
    phones: Phones
    agent: Phone
    caller: Phone
    looked_up: Script

    def call(self, flow: Flow) -> tuple[str, AgentCall, AgentCall | None]:
        """Begin the flow as it begins in real life; returns the call's id, the caller's side and the agent's."""
        told = sample_inputs(flow)
        headers = {given.header: told[name] for name, given in flow.inputs.items() if given.header}
        dialled = flow.id if flow.id in ALONE else "desk"
        caller = self.caller.call(f"sip:{dialled}@127.0.0.1:{self.service.sip[1]}", headers=headers)
        agent = None if flow.id in ALONE else self.agent.incoming()
        call_id = str(self.service.call_to(dialled)["id"])
        if agent is not None:
            said = {
                name: told[name]
                for name, given in flow.inputs.items()
                if given.origin == "api" and name in told
            }
            body = {"flow": flow.id, "inputs": said}
            answer = self.service.post(f"/v1/calls/{call_id}/captures", body)
            assert answer.status_code == 201, answer.text
        return call_id, caller, agent

    def rows(self, call_id: str, event: str) -> list[dict[str, Any]]:
        """Return the audit log's rows of an event of a call."""
        lines = (self.service.state / "audit.jsonl").read_text("ascii").splitlines()
        rows = [json.loads(line) for line in lines]
        return [row for row in rows if (row["event"], row.get("call")) == (event, call_id)]

    def booked(self) -> list[dict[str, Any]]:
        """Return what the TEST gateway has booked."""
        operations: list[dict[str, Any]] = self.service.gateway("GET", "/book")["operations"]
        return operations

    def step_of(self, call_id: str) -> str | None:
        """Return the step that the flow is in; None: it is over."""
        capture = self.service.capture(call_id)
        return None if capture is None else capture["step"]


@dataclass(frozen=True)
class Driven:
    """What is left of one flow's call."""

    flow: Flow
    door: Door
    keys: str
    caller: AgentCall
    agent: AgentCall | None
    recording: Path
    results: list[str]
    reasons: list[str]
    asked: list[dict[str, str]]
    """What was looked up meanwhile."""
    amounts_minor: list[int]
    """Of what the gateway booked meanwhile."""


@pytest.fixture(scope="module")
def house(phones: Phones, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("shipped")
    (directory / "flows").mkdir()
    for name in FLOWS:
        text = (SHIPPED_FLOWS / f"{name}.yaml").read_text("utf-8")
        (directory / "flows" / f"{name}.yaml").write_text(text, "utf-8")
    agent = phones.open(speech=voice(Voice.AGENT))
    addresses = dict.fromkeys(("desk", "payments-help"), f"127.0.0.1:{agent.port}")
    routes = "".join(f'[[routes]]\ndialled = "{name}"\nflow = "{name}"\n' for name in ALONE)
    looked_up = Script({"balance": BALANCE})
    with serving(looked_up) as port:
        hook = f'[[hooks]]\nname = "account_lookup"\nurl = "http://127.0.0.1:{port}/account"\n'
        service = RunningService(directory, addresses, sections=routes + hook)
        try:
            yield House(service, phones, agent, phones.open(speech=voice(Voice.CALLER)), looked_up)
        finally:
            assert service.stop() == 0, service.log_tail()


@pytest.fixture(scope="module", params=FLOWS)
def driven(request: pytest.FixtureRequest, house: House) -> Driven:
    """Drive a flow from its first question to its end, one key entry a question."""
    flow = FLOWS[request.param]
    door = Door.INBAND if flow.id == IN_BAND else Door.RFC4733
    entries = entries_of(flow)
    asked, booked = len(house.looked_up.asked), len(house.booked())
    call_id, caller, agent = house.call(flow)
    try:
        if agent is None:  # in so short a call the recording would hold little of a voice
            wait_until(lambda: speech_seconds(caller.call.sent) > 2 * SPEECH_MIN_S, "the caller has talked")
        for step, keys in entries:
            wait_until(
                lambda step=step: asks(house.service.capture(call_id), step),
                f"{flow.id} asks in {step}",
                10.0,
            )
            house.phones.run(caller.call.keys(keys, door))
        wait_until(lambda: house.rows(call_id, "capture_ended"), f"{flow.id} ends")
        if agent is None:
            house.caller.wait_for_end(caller)
        else:
            wait_until(lambda: house.step_of(call_id) is None, f"{flow.id} is over")
            talked_s = speech_seconds(agent.call.heard)
            wait_until(lambda: speech_seconds(agent.call.heard) > talked_s + SPEECH_MIN_S, "the talk goes on")
    finally:
        house.caller.hang_up(caller)
        if agent is not None:
            house.agent.wait_for_end(agent)
    wait_until(lambda: house.rows(call_id, "call_ended"), f"the audit log tells the end of {flow.id}'s call")
    recording = house.service.recording_of(call_id)
    results = [str(row["result"]) for row in house.rows(call_id, "capture_ended")]
    reasons = [str(row["reason"]) for row in house.rows(call_id, "call_ended")]
    keyed = "".join(keys for _, keys in entries)
    amounts = [int(each["amount_minor"]) for each in house.booked()[booked:]]
    looked_up = house.looked_up.asked[asked:]
    return Driven(flow, door, keyed, caller, agent, recording, results, reasons, looked_up, amounts)


def test_flow_comes_to_its_good_end(driven: Driven) -> None:
    good = {
        RESULTS[step.result]
        for step in driven.flow.steps.values()
        if isinstance(step, ExitStep) and step.result in RESULTS
    }

    assert set(driven.results) == good, driven.flow.id
    assert len(driven.results) == 1
    assert driven.reasons == (["flow_over"] if driven.agent is None else ["caller_bye"])


def test_agent_hears_the_caller_and_no_key(driven: Driven, work: Path) -> None:
    if driven.agent is None:
        assert driven.flow.id in ALONE  # the recording is all that anybody could hear
        return
    assert speech_seconds(driven.agent.call.heard) > SPEECH_MIN_S
    assert heard_by_all(driven.agent.call.heard, work) == NOTHING
    assert (driven.agent.call.events_received, driven.agent.call.infos_received) == ([], 0)
    if driven.door is Door.INBAND:
        assert heard_by_all(driven.caller.call.sent, work)["spandsp"] == driven.keys, "the control"


def test_recording_holds_the_voice_and_no_key(driven: Driven, work: Path) -> None:
    channels = channels_of(driven.recording)

    assert [heard_by_all(channel, work) for channel in channels] == [NOTHING] * len(channels)
    assert max(speech_seconds(channel) for channel in channels) > SPEECH_MIN_S


def test_what_is_looked_up_is_the_account_and_its_balance_is_paid(driven: Driven) -> None:
    looks_up = driven.flow.id in KEYED

    assert driven.asked == ([{"account": ACCOUNT}] if looks_up else [])
    assert driven.amounts_minor.count(BALANCE_MINOR) == (1 if looks_up else 0)


@pytest.mark.parametrize("door", [Door.INBAND, Door.RFC4733])
def test_same_phone_gets_every_key_without_the_service(phones: Phones, door: Door, work: Path) -> None:
    agent, caller = phones.open(), phones.open(speech=voice(Voice.CALLER))
    placed = caller.call(f"sip:x@127.0.0.1:{agent.port}")
    answered = agent.incoming()
    phones.run(placed.call.keys("12341#", door))
    wait_until(lambda: len(answered.packets) > 125, "two and a half seconds of it")
    caller.hang_up(placed)
    agent.wait_for_end(answered)

    if door is Door.RFC4733:
        assert len(answered.call.events_received) == len("12341#")
    else:
        assert heard_by_all(answered.call.heard, work) == dict.fromkeys(NOTHING, "12341#")
