"""How events change the agent's page: what was refused is remembered, steps have a clock, calls of others leave."""

from __future__ import annotations

import json
from typing import Any

import pytest
from page_node import a_call, a_capture, a_field, a_state, run

CALL = {"v": 1, "id": "c1", "state": "talking", "caller_masked": "••12", "dialled": "1", "trunk": "t"}
THREE = (("c0", "ended"), ("c1", "held"), ("c2", "talking"))
Event = tuple[str, dict[str, Any], int]


def after(*events: Event, show: str = "s") -> Any:
    """Apply events of ``(type, data, ms)`` to an empty page and show what ``show`` says of the state ``s``."""
    script = (
        f"{json.dumps(events)}.reduce((s, [type, data, at]) => m.reduce(s, type, data, at), m.emptyState())"
    )
    return run("agent/store.js", f"((s) => {show})({script})")


def resync(*calls: dict[str, Any]) -> Event:
    return ("resync", {"service": {"shield": "on", "gateway": "up"}, "flows": [], "calls": list(calls)}, 1)


def capture(at_ms: int, capture_id: str = "cap1", **more: Any) -> Event:
    summary = {
        key: value for key, value in a_capture(**more).items() if key not in {"id", "fields", "outcome"}
    }
    return ("capture", {"v": 1, "capture": capture_id, **summary}, at_ms)


def field(at_ms: int, state: str, capture_id: str = "cap1", **more: Any) -> Event:
    return ("field", {"v": 1, "call": "c1", "capture": capture_id, **a_field("pan", state, **more)}, at_ms)


def payment(at_ms: int, result: str, capture_id: str = "cap1") -> Event:
    return ("payment", {"v": 1, "call": "c1", "capture": capture_id, "result": result}, at_ms)


@pytest.mark.parametrize(("pinned", "in_hand"), [("c1", "c1"), ("c0", "c2"), ("c9", "c2")])
def test_a_page_that_was_for_one_call_has_the_call_in_hand_again(pinned: str, in_hand: str) -> None:
    """That one while it goes on; where it has ended or never came, the newest."""
    calls = resync(*({**CALL, "id": name, "state": state} for name, state in reversed(THREE)))

    assert after(calls, show=f"m.inHand({{...s, selected: '{pinned}'}}).selected") == in_hand


def test_a_page_that_was_for_one_call_has_none_in_hand_where_none_goes_on() -> None:
    calls = resync({**CALL, "state": "ended"})

    assert after(calls, show="m.inHand({...s, selected: 'c1'}).selected") is None


HISTORY = "m.historyOf(s).map(({kind, at, field, result}) => [kind, at, field?.reason ?? result ?? ''])"


def test_each_refusal_is_remembered_once_with_its_moment() -> None:
    seen = after(
        resync(),
        ("call", CALL, 2),
        capture(3),
        field(4, "keying", count=3),
        field(5, "invalid", reason="luhn"),
        field(6, "invalid", reason="luhn", brand="visa"),
        field(7, "keying", count=1),
        field(8, "timeout", reason="timeout"),
        show=HISTORY,
    )

    assert seen == [["refused", 5, "luhn"], ["refused", 8, "timeout"]]


def test_the_end_of_a_capture_is_history_once_another_has_begun() -> None:
    first = (resync(), ("call", CALL, 2), capture(3), field(4, "keying"), payment(5, "unknown"))
    mended = (*first, payment(6, "declined"))

    assert after(*mended, show=HISTORY) == []
    assert after(*mended, capture(7, "cap2"), show=HISTORY) == [["ended", 6, "declined"]]


def test_history_is_bounded_and_goes_with_its_call() -> None:
    slips = [
        event
        for n in range(30)
        for event in (field(10 * n + 10, "invalid", reason="luhn"), field(10 * n + 11, "keying", count=1))
    ]
    begun = (resync(), ("call", CALL, 2), capture(3), field(4, "keying", count=1))

    seen = after(*begun, *slips, show=HISTORY)
    gone = after(*begun, *slips, ("gone", {"v": 1, "call": "c1"}, 999), show="[s.history.size, s.calls.size]")

    assert len(seen) == 12
    assert seen[-1] == ["refused", 300, "luhn"]
    assert gone == [0, 0]


def test_a_step_has_a_clock_from_the_event_that_began_it() -> None:
    begun = (resync(), ("call", CALL, 2), capture(3, step="card"), field(4, "keying"))

    steps = "s.steps.get('c1')?.at ?? null"
    assert after(*begun, show=steps) == 3
    assert after(*begun, capture(9, step="card", state="waiting"), show=steps) == 3
    assert after(*begun, capture(9, step="expiry"), show=steps) == 9
    assert after(*begun, payment(9, "cancelled"), capture(10, step=None), show=steps) is None


def test_a_page_that_comes_late_knows_no_beginning_of_the_step_and_does_not_invent_one() -> None:
    running = a_call()

    assert after(resync(running), show="s.steps.get('c1').at") is None
    assert after(resync(running), capture(9, step="expiry"), show="s.steps.get('c1').at") == 9
    assert (
        after(resync(running), capture(9, step="expiry"), resync(running), show="s.steps.get('c1').at")
        is None
    )


def test_a_resync_in_the_same_step_keeps_its_clock() -> None:
    running = a_call(capture=a_capture(step="expiry"))

    steps = after(resync(a_call()), capture(9, step="expiry"), resync(running), show="s.steps.get('c1').at")

    assert steps == 9


def test_a_call_in_hand_stays_in_hand_while_others_come_and_a_new_one_takes_an_empty_desk() -> None:
    second = {**CALL, "id": "c2"}

    assert after(resync(), ("call", CALL, 2), ("call", second, 3), show="s.selected") == "c1"
    assert (
        after(
            resync(), ("call", CALL, 2), ("call", second, 3), ("gone", {"call": "c1"}, 4), show="s.selected"
        )
        == "c2"
    )


def call(at_ms: int, call_id: str, state: str) -> Event:
    return ("call", {**CALL, "id": call_id, "state": state}, at_ms)


PAID = (resync(), call(2, "c1", "talking"), capture(3), payment(4, "approved"))
OVER = (*PAID, call(5, "c1", "ended"))
SELECTED = "[s.selected, s.opened]"


@pytest.mark.parametrize(
    ("events", "shown"),
    [
        ((*PAID, call(5, "c2", "talking")), "c1"),
        (OVER, "c1"),
        ((*OVER, call(6, "c2", "ringing")), "c1"),
        ((*OVER, call(6, "c2", "ringing"), call(7, "c2", "talking")), "c2"),
        ((*PAID, call(5, "c2", "held"), call(6, "c1", "ended")), "c2"),
        ((resync(), call(2, "c1", "talking"), call(3, "c1", "ended"), call(4, "c2", "ringing")), "c2"),
    ],
    ids=["goes-on", "alone", "rings", "connected", "held-before", "no-result"],
)
def test_an_ended_call_gives_way_and_one_with_a_result_to_a_connected_one_only(
    events: tuple[Event, ...], shown: str
) -> None:
    assert after(*events, show=SELECTED) == [shown, shown]


def test_a_call_looked_back_at_stays_until_another_is_connected_anew() -> None:
    held, third = ({**CALL, "id": "c2", "state": "held"}, {**CALL, "id": "c3"})
    shown = f"{json.dumps([held, third])}.map((one) => m.reduce(m.choose(s, 'c1'), 'call', one))"

    seen = after(*OVER, call(6, "c2", "talking"), show=f"{shown}.map((one) => [one.selected, one.opened])")

    assert seen == [["c1", None], ["c3", "c3"]]


def test_what_was_told_of_one_call_is_not_said_of_the_next() -> None:
    told = "m.kept(s, {...m.choose(s, %s), told: 'x', confirming: 'cap1', problem: {words: 'y', field: ''}})"
    shown = (
        f"[{told % json.dumps('c2')}, {told % json.dumps('c1')}].map((one) => [one.told, one.problem.words])"
    )

    assert after(*PAID, show=shown) == [["", ""], ["x", "y"]]


PENDING = "agent/pending.js"


def test_a_command_is_pending_until_it_is_refused_or_seen() -> None:
    ready, paying = a_call(capture=a_capture(can_pay=True)), a_call(capture=a_capture(can_pay=False))
    begun = f"m.asked({a_state(ready)}, {json.dumps(ready)}, 'pay')"
    taken = f"m.answered({begun}, {json.dumps(ready)}, 'pay', true)"
    refused = f"m.answered({begun}, {json.dumps(ready)}, 'pay', false)"
    seen = f"m.settled({{...{taken}, calls: new Map([['c1', {json.dumps(paying)}]])}})"
    gone = f"m.settled({{...{begun}, calls: new Map()}})"

    states = f"[{begun}, {taken}, {refused}, {seen}, {gone}]"
    assert run(PENDING, f"{states}.map((s) => m.isPending(s, {{id: 'c1'}}, 'pay'))") == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert run(PENDING, f"['start', 'pause'].map((what) => m.isPending({begun}, {{id: 'c1'}}, what))") == [
        False,
        False,
    ]


def test_a_start_is_pending_until_its_capture_is_there_and_a_pause_until_it_is_answered() -> None:
    idle = a_call(capture=None)

    def taken(what: str, capture_now: Any) -> str:
        begun = f"m.asked({a_state(idle)}, {json.dumps(idle)}, '{what}')"
        answered = f"m.answered({begun}, {json.dumps(idle)}, '{what}', true)"
        now = json.dumps(a_call(capture=capture_now))
        return f"m.isPending(m.settled({{...{answered}, calls: new Map([['c1', {now}]])}}), {{id: 'c1'}}, '{what}')"

    shown = [taken("start", None), taken("start", a_capture()), taken("pause", None)]

    assert run(PENDING, f"[{', '.join(shown)}]") == [True, False, False]


def test_a_whole_snapshot_ends_the_wait_for_what_was_taken() -> None:
    wait = "{...s, pending: [{call: 'c1', what: 'pay', mark: 'x', taken: true}]}"
    shown = f"m.reduce({wait}, 'resync', {json.dumps(resync(a_call())[1])}).pending"

    assert after(*PAID, show=shown) == []
