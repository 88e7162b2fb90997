"""Flows that are stricter than the server, over real calls: who hears whom, what is recorded, who gets the card.

Both phones hum a chord all the time, so that an ear can tell at any moment whether it hears the other side. Each flow
has its twin without the word: there the same ear hears.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from dtmf_shield.phone.door import Door
from dtmf_shield.service.dev_certificates import SERVER_NAME
from dtmf_shield.service.test_gateway.launch import TestGatewayProcess
from tests.interop.callers import expiry
from tests.interop.ears import channels_of, speech_seconds
from tests.interop.phones import AgentCall, Phone, Phones
from tests.interop.running_service import FLOW, SHIPPED_FLOWS, RunningService, asks, wait_until

pytestmark = [pytest.mark.interop, pytest.mark.untimed]

PLAIN = FLOW
WORDS = {
    "deaf-agent": "agent_hears_caller: false",
    "deaf-caller": "caller_hears_agent: false",
    "silent-keys": "agent_hears: silence",
    "off-record": "recording: pause",
}
SECOND = "to-second"
RATE_HZ = 8_000
LISTEN_S = 1.0
SETTLE_S = 0.3
"""What was on its way before the mask: 20 ms of packets each, their reading, and the release of a withheld leg."""
SILENT_PEAK = 16
"""Of digital silence as G.711 decodes it."""
TAIL_S = 1.0


def hum() -> NDArray[np.int16]:
    """A chord that is no key, for as long as it is looped."""
    t = np.arange(10 * RATE_HZ) / RATE_HZ
    return (2_000 * sum(np.sin(2 * np.pi * hz * t) for hz in (310.0, 440.0, 620.0))).astype(np.int16)


def write_strict_flows(directory: Path) -> None:
    directory.mkdir(parents=True)
    text = (SHIPPED_FLOWS / f"{FLOW}.yaml").read_text("utf-8")
    for name, word in WORDS.items():
        strict = text.replace(f"id: {FLOW}", f"id: {name}").replace(
            "\nfields:", f"\nmasking: {{{word}}}\n\nfields:"
        )
        assert word in strict
        (directory / f"{name}.yaml").write_text(strict, "utf-8")
    named = text.replace(f"id: {FLOW}", f"id: {SECOND}").replace(
        "do: tokenize", "do: tokenize\n    gateway: second"
    )
    assert "gateway: second" in named
    (directory / f"{SECOND}.yaml").write_text(named, "utf-8")


@dataclass
class Gateways:
    """Two TEST gateways, each with authority, certificate and user of its own."""

    processes: dict[str, TestGatewayProcess]

    def section(self, key: str, name: str) -> str:
        files, port = self.processes[name].files, self.processes[name].port
        lines = (
            f"[{key}]",
            f'kind = "generic"\nname = "{name}"\ntest = true\nidempotency = "replay"',
            f'address = "127.0.0.1:{port}"\nserver_name = "{SERVER_NAME}"',
            f'ca_file = "{files.ca_file}"\ncredentials_file = "{files.gateway_user_file}"',
            'parameters = {extended = "yes", token_parameter = "token"}',
        )
        return "\n".join(lines) + "\n"

    def methods(self, name: str) -> list[str]:
        """What a gateway was asked for, in order."""
        process = self.processes[name]
        user, password = process.files.gateway_user_file.read_text("utf-8").strip().split(":", 1)
        response = httpx.get(
            f"https://localhost:{process.port}/book",
            auth=(user, password),
            verify=ssl.create_default_context(cafile=str(process.files.ca_file)),
            trust_env=False,
        )
        return [str(operation["method"]) for operation in response.json()["operations"]]


@dataclass(frozen=True)
class Desk:
    """A service with two gateways, one agent behind it and a phone in front; both phones hum."""

    service: RunningService
    gateways: Gateways
    agent: Phone
    caller: Phone


@pytest.fixture(scope="module")
def desk(phones: Phones, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    directory = tmp_path_factory.mktemp("strict-flows")
    write_strict_flows(directory / "flows")
    folders = {name: directory / name for name in ("first", "second")}
    for folder in folders.values():
        folder.mkdir(mode=0o700)
    gateways = Gateways({name: phones.run(TestGatewayProcess.start(folders[name])) for name in folders})
    agent = phones.open(speech=hum())
    sections = gateways.section("gateway", "first") + gateways.section("fallback_gateway", "second")
    service = RunningService(
        directory,
        {"desk": f"127.0.0.1:{agent.port}"},
        sections=sections,
        capture=f"mask_tail_s = {TAIL_S}",
    )
    try:
        yield Desk(service, gateways, agent, phones.open(speech=hum()))
    finally:
        code = service.stop()
        for process in gateways.processes.values():
            phones.run(process.stop())
        assert code == 0, service.log_tail()


@dataclass
class Talk:
    """One call, in which flows are run."""

    desk: Desk
    phones: Phones
    caller: AgentCall
    agent: AgentCall
    call_id: str

    def heard_in(self, leg: AgentCall, seconds: float = LISTEN_S) -> NDArray[np.int16]:
        """Return what one side hears from now on."""
        start = len(leg.call.heard)
        wait_until(lambda: len(leg.call.heard) >= start + seconds * RATE_HZ, "audio goes on", 10.0)
        return leg.call.heard[start:]

    def hears(self, leg: AgentCall) -> bool:
        """Whether one side hears the other now: nearly all the time, or never. Anything between fails."""
        heard = self.heard_in(leg)
        share = speech_seconds(heard) / (len(heard) / RATE_HZ)
        assert share < 0.05 or share > 0.9, share
        return share > 0.9

    def begin(self, flow: str) -> str:
        """Start a flow and return the capture's name once its first question is open."""
        capture_id = self.desk.service.start_capture(self.call_id, flow)
        wait_until(lambda: asks(self.desk.service.capture(self.call_id), "card"), "the flow asks", 15.0)
        time.sleep(SETTLE_S)
        return capture_id

    def cancel(self, capture_id: str) -> None:
        """End a flow and wait until its mask's tail is over."""
        answer = self.desk.service.post(f"/v1/captures/{capture_id}/commands", {"command": "cancel"})
        assert answer.status_code == 202, answer.text
        self.wait_for_guard()

    def shield(self) -> str:
        return str(self.desk.service.get(f"/v1/calls/{self.call_id}")["shield"]["caller"])

    def wait_for_guard(self) -> None:
        wait_until(lambda: self.shield() == "guard", "the mask's tail is over", 15.0)
        time.sleep(SETTLE_S)

    def key(self, step: str, keys: str, door: Door = Door.RFC4733) -> None:
        wait_until(lambda: asks(self.desk.service.capture(self.call_id), step), f"the flow asks in {step}")
        self.phones.run(self.caller.call.keys(keys, door))

    def key_card(self, door: Door = Door.RFC4733) -> dict[str, Any]:
        """Key a card and return how it ended."""
        self.key("card", "4242424242424242#", door)
        self.key("expiry", expiry(), door)
        self.key("cvv", "123", door)
        return self.desk.service.wait_for_outcome(self.call_id)


@pytest.fixture
def talk(desk: Desk, phones: Phones) -> Iterator[Talk]:
    host, port = desk.service.sip
    caller = desk.caller.call(f"sip:desk@{host}:{port}")
    agent = desk.agent.incoming()
    talk = Talk(desk, phones, caller, agent, str(desk.service.call_to("desk")["id"]))
    wait_until(lambda: len(agent.call.heard) > RATE_HZ // 2, "the agent hears the call")
    yield talk
    if not caller.call.ended.is_set():
        desk.caller.hang_up(caller)
    desk.agent.wait_for_end(agent)


@pytest.mark.parametrize(
    ("flow", "agent_hears", "caller_hears"),
    [(PLAIN, True, True), ("deaf-agent", False, True), ("deaf-caller", True, False)],
)
def test_who_hears_whom_before_while_and_after_a_flow(
    talk: Talk, flow: str, agent_hears: bool, caller_hears: bool
) -> None:
    before = (talk.hears(talk.agent), talk.hears(talk.caller))
    capture_id = talk.begin(flow)
    meanwhile = (talk.hears(talk.agent), talk.hears(talk.caller))
    talk.cancel(capture_id)
    after = (talk.hears(talk.agent), talk.hears(talk.caller))

    assert (before, meanwhile, after) == ((True, True), (agent_hears, caller_hears), (True, True))


@pytest.mark.parametrize("door", [Door.INBAND, Door.RFC4733])
def test_a_card_is_keyed_whole_where_the_agent_does_not_hear_the_caller(talk: Talk, door: Door) -> None:
    talk.begin("deaf-agent")
    start = len(talk.agent.call.heard)

    outcome = talk.key_card(door)

    assert (outcome["result"], outcome["last4"]) == ("token", "4242")
    assert speech_seconds(talk.agent.call.heard[start:]) == 0.0


@pytest.mark.parametrize(("flow", "is_silent"), [(PLAIN, False), ("silent-keys", True)])
def test_what_the_agent_hears_in_place_of_a_key_is_what_the_flow_says(
    talk: Talk, flow: str, is_silent: bool
) -> None:
    talk.phones.do(talk.caller.call.talk, np.zeros(RATE_HZ, np.int16))
    capture_id = talk.begin(flow)
    start = len(talk.agent.call.heard)

    talk.key("card", "4242", Door.INBAND)
    time.sleep(SETTLE_S)
    heard = talk.agent.call.heard[start:]
    talk.cancel(capture_id)

    assert len(heard) > RATE_HZ // 2
    assert (int(np.abs(heard.astype(int)).max()) <= SILENT_PEAK) is is_silent


@pytest.mark.parametrize(("flow", "is_paused"), [(PLAIN, False), ("off-record", True)])
def test_nothing_is_recorded_while_a_flow_says_so_and_all_before_and_after_is(
    talk: Talk, flow: str, is_paused: bool
) -> None:
    talk.heard_in(talk.agent)
    capture_id = talk.begin(flow)
    assert talk.hears(talk.agent)  # what is not recorded is heard none the less
    talk.cancel(capture_id)
    talk.heard_in(talk.agent)
    talk.desk.caller.hang_up(talk.caller)

    caller, agent = channels_of(talk.desk.service.recording_of(talk.call_id))

    for side in (caller, agent):
        silences = silent_stretches(side)
        paused = [end - begin for begin, end in silences if end - begin >= (LISTEN_S + TAIL_S) * RATE_HZ]
        assert len(paused) == (1 if is_paused else 0), silences
        if is_paused:
            begin, end = max(silences, key=lambda stretch: stretch[1] - stretch[0])
            assert speech_seconds(side[:begin]) > 0.5
            assert speech_seconds(side[end:]) > 0.5


def silent_stretches(pcm: NDArray[np.int16]) -> list[tuple[int, int]]:
    """Return where a recording holds digital silence for 100 ms or more, in samples."""
    quiet = np.concatenate(([False], np.abs(pcm.astype(int)) <= SILENT_PEAK, [False])).astype(int)
    edges = np.flatnonzero(np.diff(quiet))
    return [(int(b), int(e)) for b, e in zip(edges[::2], edges[1::2], strict=True) if e - b >= RATE_HZ // 10]


def test_a_control_that_dies_leaves_the_agent_deaf_and_takes_the_flow_to_its_end(talk: Talk) -> None:
    capture_id = talk.begin("deaf-agent")
    start = len(talk.agent.call.heard)
    died_at_s = talk.desk.service.kill("control")
    talk.desk.service.wait_for_event("recovered", since_s=died_at_s, limit_s=30.0)
    time.sleep(SETTLE_S)

    hears = talk.hears(talk.agent)
    heard = speech_seconds(talk.agent.call.heard[start:])
    talk.cancel(capture_id)

    assert (hears, heard) == (False, 0.0)
    assert talk.hears(talk.agent)


def test_a_media_that_dies_comes_back_as_strict_to_the_end_of_the_tail(talk: Talk) -> None:
    talk.begin("deaf-agent")
    start = len(talk.agent.call.heard)
    died_at_s = talk.desk.service.kill("media")
    talk.desk.service.wait_for_event("recovered", since_s=died_at_s, limit_s=60.0)
    heard_masked = last_while(lambda: len(talk.agent.call.heard), lambda: talk.shield() == "capture")
    talk.wait_for_guard()

    assert heard_masked > start  # the new media's mask has been heard
    assert speech_seconds(talk.agent.call.heard[start:heard_masked]) == 0.0
    assert talk.hears(talk.agent)


def last_while(look: Callable[[], int], holds: Callable[[], bool], limit_s: float = 10.0) -> int:
    """Return what was last seen before a moment at which something held, as soon as it holds no more."""
    seen, deadline_s = 0, time.monotonic() + limit_s
    while True:
        now = look()
        if not holds():
            return seen
        seen = now
        assert time.monotonic() < deadline_s


@pytest.mark.parametrize(
    ("flow", "asked", "other"), [(PLAIN, "first", "second"), (SECOND, "second", "first")]
)
def test_a_card_goes_to_the_gateway_that_the_flow_names_and_to_no_other(
    talk: Talk, flow: str, asked: str, other: str
) -> None:
    before = {name: len(talk.desk.gateways.methods(name)) for name in (asked, other)}
    talk.begin(flow)

    outcome = talk.key_card()

    assert (outcome["result"], outcome["last4"]) == ("token", "4242")
    assert len(talk.desk.gateways.methods(asked)) == before[asked] + 1
    assert len(talk.desk.gateways.methods(other)) == before[other]
