"""What the agent's page makes of a state: the badge, what happens now, why a payment waits, what is read aloud."""

from __future__ import annotations

import json
from typing import Any

import pytest
from page_node import a_call, a_capture, a_field, a_state, run

STATES = "agent/state_words.js"
VALID = [a_field(name, "valid", count=3) for name in ("pan", "expiry", "cvv")]
DECLINED = {"result": "declined"}


def pay(capture: dict[str, Any], **more: Any) -> Any:
    call = a_call(capture=capture)
    return run(STATES, f"((s) => m.payOf(s, s.calls.get('c1')))({a_state(call, **more)})")


@pytest.mark.parametrize(
    ("more", "shown"),
    [
        ({}, "on"),
        ({"connection": "lost"}, "unknown"),
        ({"connection": "connecting"}, "unknown"),
        ({"silent": True}, "fault"),
        ({"service": {"shield": "fault", "gateway": "up"}}, "fault"),
        ({"service": {"shield": "unknown", "gateway": "up"}}, "unknown"),
    ],
)
def test_the_badge_is_on_only_where_everything_says_so(more: dict[str, Any], shown: str) -> None:
    assert run(STATES, f"m.badgeState({a_state(a_call(), **more)})") == shown


def test_the_badge_follows_the_call_in_hand() -> None:
    fault = a_state(a_call(shield={"state": "fault"}))
    ended = a_state(a_call(state="ended", shield={"state": "on"}))
    unheard = a_state(a_call(shield={}))

    assert run(STATES, f"[{fault}, {ended}].map(m.badgeState)") == ["fault", "off"]
    assert (
        run(STATES, f"m.badgeState({unheard})") == "on"
    )  # the service's own word, until the call's is there


def test_a_card_is_asked_for_only_in_a_call_that_talks_under_a_shield_that_is_on() -> None:
    def may(call: dict[str, Any], **more: Any) -> Any:
        return run(STATES, f"((s) => m.mayStart(s, s.calls.get('c1')) ?? false)({a_state(call, **more)})")

    assert may(a_call()) is True
    assert may(a_call(state="held")) is False
    assert may(a_call(shield={"state": "fault"})) is False
    assert may(a_call(), connection="lost") is False


@pytest.mark.parametrize(
    ("result", "may"), [("unknown", False), ("velocity", False), ("declined", True), ("approved", True)]
)
def test_no_further_card_is_asked_for_where_money_may_have_moved_or_a_rule_stopped_it(
    result: str, may: bool
) -> None:
    """The one rule for the agent's form, the supervisor's, and a page around the panel."""
    over = a_state(a_call(capture=a_capture(outcome={"result": result})))

    assert run(STATES, f"((s) => m.mayStart(s, s.calls.get('c1')))({over})") is may


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"state": "waiting", "fields": [a_field("pan", "waiting")]}, "stage.waiting"),
        ({"state": "keying", "fields": [a_field("pan", "keying", count=2)]}, "stage.keying"),
        ({"state": "keying", "fields": [a_field("pan", "invalid", reason="luhn")]}, "stage.waiting"),
        ({"state": "choosing", "current": None}, "stage.choosing"),
        ({"state": "choosing", "can_pay": True}, "stage.confirm"),
        ({"state": "held", "can_pay": True}, "stage.confirm"),
        ({"state": "held"}, "stage.held"),
        ({"state": "held", "current": None}, "stage.flow"),
        ({"state": "paused"}, "stage.paused"),
        ({"state": "sending"}, "stage.sending"),
        ({"state": "paying"}, "stage.paying"),
        ({"state": "settling"}, "stage.settling"),
        ({"state": "idle"}, "stage.idle"),
        ({"state": "done", "outcome": {"result": "approved"}}, "stage.receipt"),
        ({"state": "failed", "outcome": DECLINED}, "stage.after"),
    ],
)
def test_the_page_says_what_happens_now(changed: dict[str, Any], key: str) -> None:
    call = json.dumps(a_call(capture=a_capture(**changed)))

    assert run(STATES, f"m.stageOf({call})")[1] == key


@pytest.mark.parametrize(
    "more",
    [
        {"connection": "lost"},
        {"silent": True},
        {"service": {"shield": "fault", "gateway": "up"}},
        {"service": {"shield": "unknown", "gateway": "up"}},
    ],
)
def test_in_doubt_nothing_is_said_of_the_caller_and_nothing_is_to_be_said(more: dict[str, Any]) -> None:
    """A field that was keyed, a line to say and audio that was shielded are old news then."""
    capture = a_capture(say="Please key it.", fields=[a_field("pan", "keying", count=2)])
    known, doubt = a_state(a_call(capture=capture)), a_state(a_call(capture=capture), **more)
    shown = "((s) => [m.stageShown(s, s.calls.get('c1'))[1], m.sayOf(s, s.calls.get('c1')), m.audioOf(s, 'guard')])"

    assert run(STATES, f"{shown}({known})") == ["stage.keying", "Please key it.", "shield.mode.guard"]
    assert run(STATES, f"{shown}({doubt})") == ["stage.unsure", "", "shield.mode.unknown"]


def test_audio_that_was_never_told_of_has_no_word() -> None:
    assert run(STATES, f"m.audioOf({a_state(a_call())}, undefined)") is None


def test_nothing_happens_after_the_flow_is_over_or_the_call_has_ended() -> None:
    over = json.dumps(a_call(capture=a_capture(step=None, outcome=DECLINED)))
    ended = json.dumps(a_call(state="ended"))
    held = json.dumps(a_call(state="held"))

    assert run(STATES, f"[{over}, {ended}, {{}}].map(m.stageOf)") == [None, None, None]
    assert run(STATES, f"m.stageOf({held})")[:2] == ["warn", "stage.held_call"]


def test_a_payment_says_what_it_waits_for() -> None:
    part = [*VALID[:2], a_field("cvv", "keying", count=2)]

    assert pay(a_capture(fields=part))[:2] == [False, "pay.wait.field"]
    assert pay(a_capture(fields=part))[2]["field"] == "cvv"
    assert pay(a_capture(fields=VALID)) == [False, "pay.wait.confirm", None]
    assert pay(a_capture(fields=VALID, can_pay=True)) == [True, "pay.ready", None]
    assert pay(a_capture(fields=VALID, can_pay=True, state="paying")) == [False, "note.sending", None]
    assert pay(a_capture(fields=VALID, can_pay=True, state="paused")) == [False, "pay.wait.paused", None]
    assert pay(a_capture(fields=VALID, can_pay=True), silent=True) == [False, "note.shield", None]


def test_a_flow_whose_payment_the_agent_cannot_take_has_no_such_button() -> None:
    flows = [{"id": "pay", "agent_pays": False}]

    assert pay(a_capture(), flows=flows) is None
    assert pay(a_capture(outcome=DECLINED)) is None
    assert pay(a_capture(can_pay=True), flows=flows) == [
        True,
        "pay.ready",
        None,
    ]  # the running version knows better


def alert(call: dict[str, Any] | None, **more: Any) -> str:
    words: str = run("agent/announce.js", f"m.alertWords({a_state(call, **more)})")
    return words


def test_the_gravest_alert_is_said_first() -> None:
    refused = a_call(capture=a_capture(fields=[a_field("pan", "invalid", reason="expired")]))
    unknown = a_call(capture=a_capture(outcome={"result": "unknown"}))
    down = {"service": {"shield": "on", "gateway": "down"}}

    assert alert(refused) == "Card number: Expired"
    assert alert(refused, **down) == "Card number: Expired"
    assert alert(a_call(), **down).startswith("Payment service down")
    assert "Do not take payment again" in alert(unknown)
    assert alert(refused, connection="lost") == "Connection lost, reconnecting"
    assert alert(refused, connection="signed-out", silent=True).startswith("Your session has ended")
    assert alert(refused, connection="lost", silent=True) == (
        "Connection lost, reconnecting. Shield FAULT – stop taking card details. Ask the caller not to press any key."
    )
    assert alert(None) == alert(a_call()) == alert(a_call(capture=None)) == ""


def status(before: dict[str, Any], after: dict[str, Any]) -> str:
    states = f"{a_state(a_call(capture=before))}, {a_state(a_call(capture=after))}"
    words: str = run("agent/announce.js", f"m.statusWords({states})")
    return words


def test_every_fourth_key_is_read_aloud_and_no_other() -> None:
    def keyed(count: int) -> dict[str, Any]:
        return a_capture(fields=[a_field("pan", "keying", count=count, of=16)])

    read = [status(keyed(count - 1), keyed(count)) for count in (1, 3, 4, 5, 8)]
    batch = [status(keyed(3), keyed(5)), status(keyed(5), keyed(7)), status(keyed(9), keyed(1))]

    assert read == ["", "", "Card number: 4 of 16 digits", "", "Card number: 8 of 16 digits"]
    assert batch == ["Card number: 5 of 16 digits", "", ""]


def test_what_matters_is_read_aloud_once() -> None:
    keying = a_capture(fields=[a_field("pan", "keying", count=15)])
    valid = a_capture(fields=[a_field("pan", "valid", count=16, brand="visa")])
    approved = a_capture(fields=VALID, outcome={"result": "approved"})
    unknown = a_capture(fields=VALID, outcome={"result": "unknown"})

    assert status(keying, valid) == "Card number: Visa, valid"
    assert status(valid, {**valid, "step": "expiry"}) == ""
    assert status(valid, {**valid, "state": "paying"}) == "Payment on its way"
    assert status(valid, {**valid, "can_pay": True}) == "The caller is asked to confirm the payment"
    assert status(valid, {**valid, "hint": "weak_tones"}).startswith("Key tones are faint")
    assert status(valid, {**valid, "state": "paused"}) == "Capture paused"
    assert status(valid, approved) == "Payment approved"
    assert status(valid, unknown) == ""  # it is an alert already
    assert status(approved, {**approved, "step": "receipt"}) == ""


@pytest.mark.parametrize(
    ("call", "more", "stands"),
    [
        (a_call(capture=a_capture()), {}, ""),
        (a_call(capture=a_capture(state="paused")), {}, "paused"),
        (a_call(capture=a_capture(), shield={"state": "fault"}), {}, "fault"),
        (a_call(capture=a_capture(state="paused"), shield={"state": "fault"}), {}, "fault"),
        (a_call(capture=a_capture()), {"service": {"shield": "fault", "gateway": "up"}}, "fault"),
        (a_call(capture=a_capture(outcome=DECLINED), shield={"state": "fault"}), {}, ""),
        (a_call(), {"silent": True}, "fault"),
        (a_call(capture=None), {"silent": True}, ""),
        (a_call(), {"connection": "lost"}, "unsure"),
        (a_call(capture=a_capture(state="paused")), {"connection": "lost"}, "unsure"),
    ],
)
def test_a_capture_stands_still_under_a_fault_and_in_a_pause(call, more, stands) -> None:
    assert run(STATES, f"((s) => m.standsOf(s, s.calls.get('c1')))({a_state(call, **more)})") == stands
