"""The whole service with an agent's telephone behind it and a caller's in front: a page watches a real call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dtmf_shield.flow.loader import load_flow
from dtmf_shield.phone.door import Door
from dtmf_shield.phone.voices import Voice, voice
from tests.interop.beeps import write_beeps
from tests.interop.callers import SECURITY_CODE, expiry
from tests.interop.phones import AgentCall, Phone, Phones
from tests.interop.running_service import SHIPPED_FLOWS, RunningService, asks, wait_until

PAYMENT = "card-payment-agent"
"""The flow whose menu lets the agent take the payment."""
DESK = "desk"


class WholeSite:
    """One service, two telephones."""

    def __init__(self, directory: Path) -> None:
        text = (SHIPPED_FLOWS / f"{PAYMENT}.yaml").read_text("utf-8")
        flows = directory / "flows"
        flows.mkdir(parents=True)
        (flows / f"{PAYMENT}.yaml").write_text(text, "utf-8")
        write_beeps(directory / "state" / "prompts", load_flow(text, file=PAYMENT))
        self.phones = Phones()
        self.agent: Phone = self.phones.open()
        self.caller: Phone = self.phones.open()
        self.service = RunningService(directory, {DESK: f"127.0.0.1:{self.agent.port}"})
        self.service.listen_to_events()

    @property
    def login_url(self) -> str:
        """The one-time link that the service printed."""
        return str(self.service.ready["login_url"])

    @contextmanager
    def call(self) -> Iterator[tuple[AgentCall, str]]:
        """Connect caller and agent; give the caller's side and the call's id, and hang up in the end."""
        caller = self.caller.call(f"sip:{DESK}@127.0.0.1:{self.service.sip[1]}")
        try:
            caller.call.talk(voice(Voice.CALLER))
            agent = self.agent.incoming()
            yield caller, str(self.service.call_to(DESK)["id"])
        finally:
            self.caller.hang_up(caller)
        self.agent.wait_for_end(agent)

    def key(self, caller: AgentCall, call_id: str, step: str, keys: str) -> None:
        """Key by telephone events once the flow asks in ``step``."""
        wait_until(lambda: asks(self.service.capture(call_id), step), f"the flow asks in {step}", 25.0)
        self.phones.run(caller.call.keys(keys, Door.RFC4733))

    def key_card(self, caller: AgentCall, call_id: str, number: str) -> None:
        """Key card, expiry and security code."""
        for step, keys in (("card", number + "#"), ("expiry", expiry()), ("cvv", SECURITY_CODE)):
            self.key(caller, call_id, step, keys)

    def booked(self, amount_minor: int) -> list[dict[str, Any]]:
        """Return what the TEST gateway has booked of one amount."""
        operations = self.service.gateway("GET", "/book")["operations"]
        return [one for one in operations if one["amount_minor"] == amount_minor]

    def random_names(self) -> set[str]:
        """Return the identifiers that the service drew and showed."""
        names: set[str] = set()
        for call in self.service.calls():
            names.add(call["id"])
            if call["capture"] is not None:
                names.add(call["capture"]["id"])
                names.add((call["capture"]["outcome"] or {}).get("operation_id") or call["id"])
        return names

    def said(self) -> str:
        """Return everything the service answered by HTTP or told by events."""
        return b"\n".join(self.service.said).decode("utf-8", "replace")

    def close(self) -> None:
        """End all. Fails where the service does not leave cleanly."""
        self.phones.close()
        assert self.service.stop() == 0, self.service.log_tail()


def request_keys(network: list[str]) -> set[str]:
    """Return the idempotency keys that a page drew: random too."""
    keys = set()
    for line in network:
        if line.startswith("{") and "idempotency-key" in line:
            keys.add(str(json.loads(line).get("idempotency-key")))  # a list of words has it in a word's name
    return keys
