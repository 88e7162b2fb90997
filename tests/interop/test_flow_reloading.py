"""A flow is edited while a capture runs by it: the call goes on, it by its own version, the next by the new."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from dtmf_shield.audit.chain import verify
from dtmf_shield.phone.door import Door
from dtmf_shield.phone.voices import Voice, voice
from tests.interop.conftest import Exchange
from tests.interop.phones import AgentCall
from tests.interop.running_service import FLOW, SHIPPED_FLOWS, RunningService, wait_until

pytestmark = [pytest.mark.interop, pytest.mark.untimed]

EDITED = "edited-while-it-runs"
RELOAD_LIMIT_S = 30.0


def write(service: RunningService, old: str = "", new: str = "") -> Path:
    text = (SHIPPED_FLOWS / f"{FLOW}.yaml").read_text("utf-8").replace(f"id: {FLOW}", f"id: {EDITED}")
    path = service.state.parent / "flows" / f"{EDITED}.yaml"
    path.write_text(text.replace(old, new) if old else text, "utf-8")
    return path


def hang_up(service: RunningService) -> float:
    at_s = time.monotonic()
    os.kill(service.supervisor_pid, signal.SIGHUP)
    return at_s


def wait_for_flows(service: RunningService, since_s: float, count: int) -> None:
    service.wait_for_event("reloaded", since_s=since_s, limit_s=RELOAD_LIMIT_S)
    wait_until(lambda: service.log().count('"event": "flows_reloaded"') >= count, "control has the flows")


def fields(exchange: Exchange, call_id: str) -> list[str]:
    capture = exchange.service.capture(call_id)
    return [field["field"] for field in capture["fields"]] if capture else []


def key(exchange: Exchange, caller: AgentCall, call_id: str, field: str, keys: str) -> None:
    exchange.service.wait_for_field(call_id, field, "waiting")
    exchange.phones.run(caller.call.keys(keys, Door.RFC4733))


def test_a_flow_edited_in_the_middle_of_a_capture_drops_neither_capture_nor_call(exchange: Exchange) -> None:
    service = exchange.service
    path = write(service)
    before = service.log().count('"event": "flows_reloaded"')
    wait_for_flows(service, hang_up(service), before + 1)

    caller = exchange.caller.call(exchange.uri("talking"))
    try:
        caller.call.talk(voice(Voice.CALLER))
        agent = exchange.agents["talking"].incoming()
        call_id = str(service.call_to("talking")["id"])
        first = service.start_capture(call_id, EDITED)
        key(exchange, caller, call_id, "pan", "4242424242424242#")
        service.wait_for_field(call_id, "expiry", "waiting")

        write(service, "cvv", "code")
        drains = service.log().count('"event": "cde_draining"')
        since_s = hang_up(service)
        wait_until(lambda: service.log().count('"event": "cde_draining"') > drains, "cde drains")
        key(exchange, caller, call_id, "expiry", "1230")
        key(exchange, caller, call_id, "cvv", "123")
        outcome = service.wait_for_outcome(call_id)
        old_fields = fields(exchange, call_id)

        wait_for_flows(service, since_s, before + 2)
        second = service.start_capture(call_id, EDITED)
        service.wait_for_field(call_id, "pan", "waiting")
        new_fields = fields(exchange, call_id)
        assert service.post(f"/v1/captures/{second}/commands", {"command": "cancel"}).status_code == 202
        assert service.wait_for_outcome(call_id)["result"] == "cancelled"
    finally:
        exchange.caller.hang_up(caller)
        path.unlink()
    exchange.agents["talking"].wait_for_end(agent)

    assert (outcome["result"], outcome["last4"]) == ("token", "4242")
    assert old_fields == ["pan", "expiry", "cvv"]
    assert new_fields == ["pan", "expiry", "code"]
    assert versions(service, first) != versions(service, second)


def versions(service: RunningService, capture_id: str) -> list[str]:
    """Return the versions in the rows of a capture's start; each is the name of a text that is kept."""
    rows = [row for row, _ in verify(service.state / "audit.jsonl") if row["event"] == "capture_started"]
    found = [str(row["version"]) for row in rows if row["capture"] == capture_id]
    assert all((service.state / "flows" / f"{EDITED}.{version}.yaml").is_file() for version in found)
    assert len(found) == 1
    return found
