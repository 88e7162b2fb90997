"""A payment through a call, end to end: amount by the API, card by keys, a pause between, what the gateway books."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dtmf_shield.phone.door import Door
from dtmf_shield.phone.voices import Voice, voice
from tests.interop.conftest import Exchange
from tests.interop.phones import AgentCall
from tests.interop.running_service import CHARGE_FLOW, FLOW, wait_until

pytestmark = [pytest.mark.interop, pytest.mark.untimed]

VISA, DECLINED = "4242424242424242", "4000000000000002"


@contextmanager
def payment(exchange: Exchange, amount_minor: int) -> Iterator[tuple[AgentCall, str, str]]:
    """Connect a call and start a payment in it; give the caller, the call's id and the capture's."""
    caller = exchange.caller.call(exchange.uri("talking"))
    try:
        caller.call.talk(voice(Voice.CALLER))
        agent = exchange.agents["talking"].incoming()
        call_id = str(exchange.service.call_to("talking")["id"])
        capture_id = exchange.service.start_capture(
            call_id, CHARGE_FLOW, amount_minor=amount_minor, currency="EUR"
        )
        yield caller, call_id, capture_id
    finally:
        exchange.caller.hang_up(caller)
    exchange.agents["talking"].wait_for_end(agent)


def key(exchange: Exchange, caller: AgentCall, call_id: str, field: str, keys: str) -> None:
    exchange.service.wait_for_field(call_id, field, "waiting")
    exchange.phones.run(caller.call.keys(keys, Door.RFC4733))


def key_card(exchange: Exchange, caller: AgentCall, call_id: str, number: str) -> None:
    for field, keys in (("pan", number + "#"), ("expiry", "1230"), ("cvv", "123")):
        key(exchange, caller, call_id, field, keys)


def booked(exchange: Exchange, amount_minor: int) -> list[dict[str, Any]]:
    """What the gateway's book has of one amount."""
    operations = exchange.service.gateway("GET", "/book")["operations"]
    return [operation for operation in operations if operation["amount_minor"] == amount_minor]


def audited(exchange: Exchange, event: str) -> list[dict[str, Any]]:
    lines = (exchange.service.state / "audit.jsonl").read_text("ascii").splitlines()
    return [row for line in lines if (row := json.loads(line))["event"] == event]


def test_card_is_charged_once_for_the_amount_and_every_book_says_so(exchange: Exchange) -> None:
    with payment(exchange, 1051) as (caller, call_id, capture_id):
        key_card(exchange, caller, call_id, VISA)
        outcome = exchange.service.wait_for_outcome(call_id)
        shown = exchange.service.get(f"/v1/captures/{capture_id}")

    assert (outcome["result"], outcome["brand"], outcome["last4"]) == ("approved", "visa", "4242")
    assert (shown["state"], shown["amount_minor"], shown["currency"]) == ("done", 1051, "EUR")
    assert len(booked(exchange, 1051)) == 1
    rows = [row for row in audited(exchange, "payment") if row["capture"] == capture_id]
    charge = [row for row in rows if row["kind"] == "charge"][-1]
    assert (charge["state"], charge["amount_minor"], charge["currency"]) == ("approved", 1051, "EUR")
    assert charge["operation"] == outcome["operation_id"]


def test_declined_card_is_not_charged(exchange: Exchange) -> None:
    with payment(exchange, 1052) as (caller, call_id, _):
        key_card(exchange, caller, call_id, DECLINED)
        outcome = exchange.service.wait_for_outcome(call_id)

    assert (outcome["result"], outcome["gateway_code"]) == ("declined", "card_declined")
    assert [each for each in booked(exchange, 1052) if each["state"] == "approved"] == []


def test_a_hang_up_with_the_money_on_its_way_is_unknown_until_all_was_taken_back(exchange: Exchange) -> None:
    """Nobody is told that nothing was taken while the gateway may be taking it."""
    slow = {"fault": "slow", "delay_ms": 3_000, "count": 1, "methods": ["charge"]}
    exchange.service.gateway("POST", "/faults", {"faults": [slow]})
    with payment(exchange, 1055) as (caller, call_id, capture_id):
        key_card(exchange, caller, call_id, VISA)
        wait_until(lambda: booked(exchange, 1055), "the gateway has taken the money and not said so")

    def told() -> str | None:
        outcome = exchange.service.get(f"/v1/captures/{capture_id}")["outcome"]
        return outcome["result"] if outcome else None

    first = wait_until(told, "an outcome with the end of the call")
    truth = wait_until(lambda: (result := told()) != "unknown" and result, "the truth")

    assert (first, truth) == ("unknown", "caller_gone")
    assert [each["voided"] for each in booked(exchange, 1055) if each["method"] == "charge"] == [True]
    ends = [row["result"] for row in audited(exchange, "capture_ended") if row["capture"] == capture_id]
    assert ends == ["caller_gone"]


def test_keys_of_a_pause_count_for_nothing_and_the_rest_goes_on(exchange: Exchange) -> None:
    with payment(exchange, 1053) as (caller, call_id, capture_id):
        commands = f"/v1/captures/{capture_id}/commands"
        key(exchange, caller, call_id, "pan", VISA[:8])
        exchange.service.wait_for_count(call_id, 8)

        assert exchange.service.post(commands, {"command": "pause"}).status_code == 202
        wait_until(
            lambda: (exchange.service.capture(call_id) or {})["state"] == "paused", "the capture pauses"
        )
        exchange.phones.run(caller.call.keys("999", Door.RFC4733))
        shields = exchange.service.get(f"/v1/calls/{call_id}")["shield"]
        assert exchange.service.post(commands, {"command": "resume"}).status_code == 202

        wait_until(
            lambda: (exchange.service.capture(call_id) or {})["state"] == "keying", "the capture goes on"
        )
        exchange.phones.run(caller.call.keys(VISA[8:] + "#", Door.RFC4733))
        for field, keys in (("expiry", "1230"), ("cvv", "123")):
            key(exchange, caller, call_id, field, keys)
        outcome = exchange.service.wait_for_outcome(call_id)

    assert (outcome["result"], outcome["last4"]) == ("approved", "4242")
    assert (shields["caller"], shields["agent"]) == ("capture", "capture")


def test_payment_without_an_amount_and_a_token_with_one_are_refused(exchange: Exchange) -> None:
    with payment(exchange, 1054) as (_, call_id, capture_id):
        exchange.service.post(f"/v1/captures/{capture_id}/commands", {"command": "cancel"})
        exchange.service.wait_for_outcome(call_id)
        path = f"/v1/calls/{call_id}/captures"
        without = exchange.service.post(path, {"flow": CHARGE_FLOW})
        with_one = exchange.service.post(
            path, {"flow": FLOW, "inputs": {"amount_minor": 5, "currency": "EUR"}}
        )

    assert [answer.json()["type"].rpartition(":")[2] for answer in (without, with_one)] == [
        "amount-needed",
        "amount-not-taken",
    ]
    assert booked(exchange, 1054) == []
