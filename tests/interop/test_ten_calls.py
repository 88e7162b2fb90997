"""Ten simultaneous SIPp calls with captures: each ends with a token, and no key reaches any agent."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtmf_shield.phone.door import Door
from tests.interop.callers import Material, keying_caller
from tests.interop.conftest import Exchange
from tests.interop.ears import NOTHING, channels_of, heard_by_all
from tests.interop.running_service import wait_until
from tests.interop.sipp import SippCaller

pytestmark = pytest.mark.interop

CALLS = 10


def test_ten_calls_at_once_end_with_tokens_and_agents_hear_no_key(
    exchange: Exchange, material: Material, work: Path
) -> None:
    service, phone = exchange.service, exchange.agents["ten"]
    scenario = keying_caller(Door.INBAND, material)
    callers = SippCaller(work, scenario, service.sip, dialled="ten", calls=CALLS)
    try:
        agents = [phone.incoming() for _ in range(CALLS)]

        def talking() -> list[str] | None:
            ids = [
                call["id"]
                for call in service.calls()
                if (call["dialled"], call["state"]) == ("ten", "talking")
            ]
            return ids if len(ids) == CALLS else None

        calls = wait_until(talking, "ten calls talk")
        for call in calls:
            service.start_capture(call)
        for call in calls:
            service.wait_for_field(call, "pan", "waiting")
        for number in range(1, CALLS + 1):
            callers.go(number)
        outcomes = [service.wait_for_outcome(call, 40.0) for call in calls]
        for number in range(1, CALLS + 1):
            callers.go(number)
        callers.finish()
        for agent in agents:
            phone.wait_for_end(agent)
    finally:
        callers.stop()

    assert [outcome["result"] for outcome in outcomes] == ["token"] * CALLS
    assert len({outcome["token_reference"] for outcome in outcomes}) == CALLS
    assert [heard_by_all(agent.call.heard, work) for agent in agents] == [NOTHING] * CALLS
    for call in calls:
        for channel in channels_of(service.recording_of(call)):
            assert heard_by_all(channel, work) == NOTHING
