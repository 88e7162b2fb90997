"""Which ended calls a page keeps: those that ended last, and the one looked at; what comes late makes no call again."""

from __future__ import annotations

from typing import Any

from page_node import run

KEPT_MAX = 20
LATE = {
    "shield": "{call: 'c0', state: 'off'}",
    "line": "{call: 'c0', caller: {codec: 'PCMU', doors: []}, agent: null}",
    "capture": "{call: 'c0', capture: 'cap1', state: 'sending', step: null}",
    "field": "{call: 'c0', capture: 'cap1', field: 'pan', state: 'valid'}",
    "payment": "{call: 'c0', capture: 'cap1', result: 'declined'}",
}


def house(show: str, calls: int = 25, ends: str = "n", chosen: str = "null") -> Any:
    """Let calls c0, c1, ... begin in this order and end in the order ``ends`` of ``n``; ``show`` of the state ``s``."""
    script = f"""((show) => {{
      let s = {{ ...m.emptyState(), chosen: {chosen} }};
      const tell = (type, data) => {{ s = m.reduce(s, type, {{ v: 1, ...data }}); }};
      const ids = [...Array({calls}).keys()];
      for (const n of ids) tell("call", {{ id: `c${{n}}`, state: "talking" }});
      tell("call", {{ id: "mine", state: "talking" }});
      s.selected = "mine";
      for (const n of ids.map((n) => {ends})) tell("call", {{ id: `c${{n}}`, state: "ended" }});
      return show(s, tell, () => s);
    }})((s, tell, now) => {show})"""
    return run("agent/store.js", script)


IDS = "[...s.calls.keys()].filter((id) => id !== 'mine')"


def test_of_ended_calls_the_last_to_end_are_kept() -> None:
    assert house(IDS) == [f"c{n}" for n in range(5, 25)]
    assert house(IDS, ends="24 - n") == [f"c{n}" for n in range(20)]


def test_the_call_a_supervisor_looks_at_is_kept() -> None:
    kept = house(IDS, chosen="'c0'")

    assert kept == ["c0", *(f"c{n}" for n in range(5, 25))]


def test_the_order_of_calls_that_a_page_shows_is_not_changed_by_their_ends() -> None:
    assert house(IDS, calls=KEPT_MAX, ends="(7 * n) % 20") == [f"c{n}" for n in range(KEPT_MAX)]


def test_what_comes_late_of_a_call_that_was_let_go_makes_no_call_of_it() -> None:
    late = ", ".join(f"['{name}', {data}]" for name, data in LATE.items())
    for_each = f"for (const [type, data] of [{late}]) tell(type, data);"

    assert house(f"(() => {{ {for_each} return [now().calls.has('c0'), now().calls.size]; }})()") == [
        False,
        21,
    ]
    # The control: the same of a call that is there is taken in.
    there = house(f"(() => {{ {for_each} return now().calls.get('c0'); }})()", chosen="'c0'")
    assert (there["shield"]["state"], there["line"]["caller"]["codec"]) == ("off", "PCMU")
    assert (there["capture"]["fields"][0]["state"], there["capture"]["outcome"]["result"]) == (
        "valid",
        "declined",
    )
