"""A whole flow over real calls: prompts to the caller alone, keys, a menu, the payment, the receipt."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from dtmf_shield.flow.loader import load_flow
from dtmf_shield.phone.door import Door
from tests.interop.beeps import beep_frames, write_beeps
from tests.interop.phones import AgentCall, Phone, Phones
from tests.interop.running_service import SHIPPED_FLOWS, RunningService, asks, wait_until

pytestmark = [pytest.mark.interop, pytest.mark.untimed]

PAYMENT = "card-payment-agent"
SILENCE = np.zeros(8_000, np.int16)
MONEY: dict[str, str | int] = {"reference": "A-1", "amount_minor": 1_250, "currency": "GBP"}


@dataclass(frozen=True)
class Desk:
    """A service with prompts, one agent behind it and a phone in front of it; both phones are silent."""

    service: RunningService
    phones: Phones
    agent: Phone
    caller: Phone


@pytest.fixture(scope="module")
def desk(phones: Phones, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    directory = tmp_path_factory.mktemp("flow-calls")
    text = (SHIPPED_FLOWS / f"{PAYMENT}.yaml").read_text("utf-8")
    flows = directory / "flows"
    flows.mkdir()
    (flows / f"{PAYMENT}.yaml").write_text(text, "utf-8")
    write_beeps(directory / "state" / "prompts", load_flow(text, file=PAYMENT))
    agent = phones.open(speech=SILENCE)
    service = RunningService(directory, {"desk": f"127.0.0.1:{agent.port}"})
    try:
        yield Desk(service, phones, agent, phones.open(speech=SILENCE))
    finally:
        assert service.stop() == 0, service.log_tail()


@dataclass
class Talk:
    """One call with the payment flow running."""

    desk: Desk
    caller: AgentCall
    agent: AgentCall
    call_id: str

    def shown(self) -> dict[str, Any]:
        """Return the capture as the agent sees it."""
        return self.desk.service.capture(self.call_id) or {}

    def wait_for_step(self, step: str | None) -> dict[str, Any]:
        """Return the capture once its flow is in a step; None: over."""

        def look() -> dict[str, Any] | None:
            shown = self.shown()
            return shown if shown.get("step") == step else None

        return wait_until(look, f"the flow is in {step}", 25.0)

    def key(self, step: str, keys: str) -> None:
        """Key once the flow asks."""
        wait_until(lambda: asks(self.shown() or None, step), f"the flow asks in {step}", 25.0)
        self.desk.phones.run(self.caller.call.keys(keys, Door.RFC4733))


@pytest.fixture
def talk(desk: Desk) -> Iterator[Talk]:
    host, port = desk.service.sip
    caller = desk.caller.call(f"sip:desk@{host}:{port}")
    agent = desk.agent.incoming()
    call_id = str(desk.service.call_to("desk")["id"])
    desk.service.start_capture(call_id, PAYMENT, **MONEY)
    yield Talk(desk, caller, agent, call_id)
    desk.caller.hang_up(caller)
    desk.agent.wait_for_end(agent)


def test_a_payment_with_prompts_a_menu_and_a_receipt(talk: Talk) -> None:
    talk.wait_for_step("card")
    wait_until(lambda: beep_frames(talk.caller.call.heard) > 5, "the caller hears the first prompt")
    talk.key("card", "4242424242424242#")
    talk.key("expiry", "1230")
    talk.key("cvv", "123")
    before = talk.wait_for_step("confirm")
    frames = beep_frames(talk.caller.call.heard)
    wait_until(
        lambda: beep_frames(talk.caller.call.heard) > frames + 20, "the caller hears what is to be paid"
    )
    talk.key("confirm", "1")
    outcome = talk.desk.service.wait_for_outcome(talk.call_id)
    told_at_s = time.monotonic()
    said = beep_frames(talk.caller.call.heard)
    after = talk.wait_for_step(None)

    assert (before["state"], before["can_pay"]) == ("choosing", True)
    assert (outcome["result"], outcome["last4"]) == ("approved", "4242")
    assert after["outcome"] == outcome
    assert beep_frames(talk.caller.call.heard) > said + 20  # the receipt, after the outcome was told
    assert time.monotonic() - told_at_s < 20
    assert beep_frames(talk.agent.call.heard) == 0
    wait_until(lambda: caller_shield(talk) == "guard", "the mask's tail is over")


def caller_shield(talk: Talk) -> str:
    return str(talk.desk.service.get(f"/v1/calls/{talk.call_id}")["shield"]["caller"])


def test_the_agent_takes_the_payment_at_the_menu(talk: Talk) -> None:
    talk.key("card", "4242424242424242#")
    talk.key("expiry", "1230")
    talk.key("cvv", "123")
    capture = talk.wait_for_step("confirm")

    answer = talk.desk.service.post(f"/v1/captures/{capture['id']}/pay", {})

    assert answer.status_code == 202, answer.text
    assert talk.desk.service.wait_for_outcome(talk.call_id)["result"] == "approved"
    again = talk.desk.service.post(f"/v1/captures/{capture['id']}/pay", {})
    assert again.status_code == 409


def test_control_that_dies_at_the_menu_asks_again_and_the_payment_goes_on(talk: Talk) -> None:
    talk.key("card", "4242424242424242#")
    talk.key("expiry", "1230")
    talk.key("cvv", "123")
    first = talk.wait_for_step("confirm")["id"]
    died_at_s = talk.desk.service.kill("control")
    talk.desk.service.wait_for_event("recovered", since_s=died_at_s, limit_s=30.0)
    said = beep_frames(talk.caller.call.heard)
    wait_until(lambda: beep_frames(talk.caller.call.heard) > said + 20, "the menu's prompt is said again")

    talk.key("confirm", "1")

    outcome = talk.desk.service.wait_for_outcome(talk.call_id)
    assert (outcome["result"], outcome["last4"]) == ("approved", "4242")
    assert talk.wait_for_step(None)["id"] == first
