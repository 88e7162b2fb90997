"""What the panel tells the page around it, and takes from it: by name, bounded, no card number either way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from page_node import a_call, a_capture, a_field, a_state, run

MESSAGES, HOST = "embed/messages.js", "embed/host.js"
CRM, HELP = "https://crm.test", "https://help.test"


def told(before: dict[str, Any] | None, after: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run(MESSAGES, f"m.messagesOf({a_state(before)}, {a_state(after)})")
    return found


def wish(data: dict[str, Any]) -> Any:
    return run(MESSAGES, f"m.wishOf({json.dumps({'v': 1, **data})})")


def keyed(count: int, **more: Any) -> dict[str, Any]:
    fields = [
        a_field("pan", "keying", count=count, brand="visa", masked="••", value="41", **more),
        a_field("cvv"),
    ]
    return a_call(capture=a_capture(fields=fields))


def test_only_what_differs_is_told_and_of_a_field_what_the_contract_names() -> None:
    [field] = told(keyed(3), keyed(4))

    assert field == {
        "type": "dtmf-shield.field", "v": 1, "call": "c1", "capture": "cap1", "field": "pan", "state": "keying",
        "count": 4, "brand": "visa", "last4": None,
    }  # fmt: skip
    assert told(keyed(4), keyed(4)) == []
    assert [one["field"] for one in told(None, keyed(4)) if one["type"].endswith("field")] == ["pan", "cvv"]


def test_what_is_no_count_brand_or_last4_is_told_as_none() -> None:
    unfit = {"brand": "visa 4242424242424242", "last4": "42424", "count": "4242"}
    [field] = told(keyed(3), keyed(3, **{key: value for key, value in unfit.items() if key == "last4"})) or [
        None
    ]
    assert field is None  # five digits are no last four, so nothing has changed
    call = json.dumps(a_call(capture=a_capture(fields=[a_field("pan", "keying", **unfit)])))

    shown = run(MESSAGES, f"((call) => m.fieldMessage(call, call.capture.fields[0]))({call})")

    assert (shown["count"], shown["brand"], shown["last4"]) == (None, None, None)


def test_a_result_is_told_once() -> None:
    outcome = {
        "result": "approved",
        "brand": "visa",
        "last4": "4242",
        "token_reference": "tok_…9f3a",
        "more": 1,
    }
    order = {"reference": "88-1932", "fields": []}
    ended = a_call(capture=a_capture(outcome=outcome, **order))
    again = a_call(capture=a_capture(outcome=outcome, step="receipt", **order))

    assert told(a_call(capture=a_capture(**order)), ended) == [
        {"type": "dtmf-shield.result", "v": 1, "call": "c1", "capture": "cap1", "reference": "88-1932",
         "state": "approved", "brand": "visa", "last4": "4242", "token_reference": "tok_…9f3a"}
    ]  # fmt: skip
    assert told(ended, again) == []


def test_a_state_says_shield_connection_and_why_a_start_was_not_followed() -> None:
    found = run(MESSAGES, f"m.stateMessage({a_state(a_call(), connection='lost', silent=True)}, 'not_ready')")

    assert found == {
        "type": "dtmf-shield.state", "v": 1, "call": "c1", "state": "talking", "capture": "cap1",
        "capture_state": "keying", "reference": None, "shield": "fault", "connection": "lost", "start": "not_ready",
    }  # fmt: skip


@pytest.mark.parametrize(("shown", "state"), [("cap2", "keying"), ("cap1", None)])
def test_started_names_the_capture_that_was_made_whichever_is_shown_by_then(shown: str, state: Any) -> None:
    """The event of the new one may come before the answer of the service, or after it."""
    before = a_state(a_call(capture=a_capture(id=shown, reference="88-1")))
    wish = {"call": "c1", "capture": "cap2", "inputs": {"reference": "88-1932"}}

    found = run(MESSAGES, f"m.startedMessage({before}, {json.dumps(wish)})")

    assert (found["start"], found["call"], found["state"]) == ("started", "c1", "talking")
    assert (found["capture"], found["capture_state"], found["reference"]) == ("cap2", state, "88-1932")


@pytest.mark.parametrize("text", ["4242424242424242", "4242-4242-4242-4242", "88 1932", "", None])
def test_what_is_no_reference_is_told_as_none(text: str | None) -> None:
    assert run(MESSAGES, f"m.stateMessage({a_state(a_call(capture=a_capture(reference=text)))})")[
        "reference"
    ] is None  # fmt: skip


START = {"type": "dtmf-shield.start", "flow": "card-payment"}


def test_wishes_are_taken_by_name() -> None:
    inputs = {"reference": "88-1932", "amount_minor": 4250, "currency": "GBP"}

    assert wish({**START, "inputs": inputs}) == {"ask": "start", "flow": "card-payment", "inputs": inputs}
    assert wish(START) == {"ask": "start", "flow": "card-payment", "inputs": {}}
    assert wish({"type": "dtmf-shield.focus"}) == {"ask": "focus"}
    assert wish({"type": "dtmf-shield.call", "id": "c_7f-3"}) == {"ask": "call", "id": "c_7f-3"}
    assert wish({"type": "dtmf-shield.call", "id": None}) == {"ask": "call", "id": None}


@pytest.mark.parametrize(
    "data",
    [
        {**START, "v": 2},
        {"type": "dtmf-shield.call", "id": "c1/../x"},
        {"type": "dtmf-shield.call"},
        {"type": "dtmf-shield.pay"},
        {"type": "start"},
    ],
    ids=str,
)
def test_other_wishes_are_none(data: dict[str, Any]) -> None:
    assert wish(data) is None


@pytest.mark.parametrize(
    ("changed", "unfit"),
    [
        ({"flow": "../x"}, "flow"),
        ({"flow": None}, "flow"),
        ({"inputs": None}, "inputs"),
        ({"inputs": {"reference": "4242424242424242"}}, "inputs.reference"),
        ({"inputs": {"reference": "4242 4242 4242 4242"}}, "inputs.reference"),
        ({"inputs": {"currency": "GBP", "amount_minor": 0}}, "inputs.amount_minor"),
        ({"inputs": {"amount_minor": "4250"}}, "inputs.amount_minor"),
        ({"inputs": {"amount_minor": 4242424242424242}}, "inputs.amount_minor"),
        ({"inputs": {"reference": "x" * 65}}, "inputs.reference"),
        ({"inputs": {f"a{place}": "x" for place in range(33)}}, "inputs: more than 32"),
        ({"inputs": {"__proto__x": "x"}}, "inputs: the name of one"),
        ({"inputs": {"a4242424242424242": "x"}}, "inputs: the name of one"),
    ],
    ids=str,
)
def test_of_a_start_that_is_not_sent_the_member_is_named_and_never_its_value(
    changed: dict[str, Any], unfit: str
) -> None:
    assert wish({**START, **changed}) == {"ask": "start", "unfit": unfit}


@pytest.mark.parametrize(
    ("around", "allowed", "host"),
    [
        ([CRM, None, None], [CRM, HELP], CRM),
        ([None, None, HELP], [CRM, HELP], HELP),
        (["https://evil.test", None, None], [CRM, HELP], None),
        (
            ["https://evil.test", None, CRM],
            [CRM, HELP],
            CRM,
        ),  # then the browser hands nothing over to evil.test
        ([None, None, None], [CRM], CRM),
        ([None, None, None], [CRM, HELP], None),
        ([f"{CRM}.evil.test", "null", ""], [CRM, HELP], None),
    ],
)
def test_the_page_around_is_one_of_those_allowed_or_none(
    around: list[Any], allowed: list[str], host: Any
) -> None:
    assert run(HOST, f"m.hostOf({json.dumps(around)}, {json.dumps(allowed)})") == host
