"""What the pages say of a line: the worse leg counts, figures in words, the filters of the supervisor's table."""

from __future__ import annotations

import json
from typing import Any

import pytest
from page_node import a_call, a_state, run

from dtmf_shield.api.views import Door, LegLineView, LineQuality, LineView
from dtmf_shield.model.stream import Codec

GOOD = LegLineView(
    codec=Codec.PCMU,
    telephone_event=True,
    doors=(Door.TONES, Door.EVENTS),
    quality=LineQuality.GOOD,
    recent_loss_permille=0,
    loss_permille=4,
    late=2,
    jitter_ms=3,
)
POOR = GOOD.model_copy(update={"quality": LineQuality.POOR})
UNMEASURED = LegLineView(codec=Codec.G722)


def line(caller: LegLineView, agent: LegLineView | None = None) -> dict[str, Any]:
    return LineView(caller=caller, agent=agent).model_dump(mode="json")


def said(expression: str, value: Any, language: str = "en") -> Any:
    """Run ``expression`` of shared/line.js over ``value``, as ``x``."""
    return run("shared/line.js", f"((x) => {expression})({json.dumps(value)})", language)


@pytest.mark.parametrize(
    ("caller", "agent", "quality", "whose"),
    [
        (GOOD, GOOD, "good", "caller"),
        (GOOD, POOR, "poor", "agent"),
        (POOR, GOOD, "poor", "caller"),
        (GOOD, None, "good", "caller"),
        (UNMEASURED, GOOD, "good", "agent"),
        (UNMEASURED, None, "unknown", "caller"),
    ],
)
def test_a_call_is_as_good_as_its_worse_leg(
    caller: LegLineView, agent: LegLineView | None, quality: str, whose: str
) -> None:
    assert said("[m.qualityOf(x), m.worseOf(x)]", line(caller, agent)) == [quality, whose]


def test_a_call_without_a_line_was_not_measured() -> None:
    assert said("[m.qualityOf(x), m.pathWords(x?.caller), m.figureWords(x?.caller)]", None) == [
        "unknown",
        "",
        "",
    ]


def test_codec_and_doors_are_said_and_figures_in_words() -> None:
    leg = line(GOOD)["caller"]

    assert said("m.pathWords(x)", leg) == "PCMU · tones + events"
    assert (
        said("m.figureWords(x)", leg) == "0.0% lost lately, jitter 3 ms · 0.4% of the call, late packets: 2"
    )
    assert "0,4" in said("m.figureWords(x)", leg, "de")
    assert said("m.pathWords(x)", line(UNMEASURED)["caller"]) == "G722 · no keys yet"
    held = GOOD.model_copy(update={"recent_loss_permille": None, "jitter_ms": None})
    assert said("m.figureWords(x)", line(held)["caller"]) == "0.4% of the call, late packets: 2"


def test_every_word_the_service_says_of_a_line_has_a_word_on_the_page() -> None:
    doors, qualities = [door.value for door in Door], [quality.value for quality in LineQuality]

    assert said("[m.DOORS, m.QUALITIES]", None) == [doors, qualities]
    keys = [*(f"line.door.{door}" for door in doors), *(f"line.quality.{quality}" for quality in qualities)]
    assert said("x.map(i18n.has)", keys) == [True] * len(keys)


def test_notices_are_of_what_is_withheld_and_of_nothing_else() -> None:
    shield = {"state": "on", "caller_withheld": True, "agent_withheld": False, "unrecorded": True}

    assert said("m.noticesOf(x)", {"shield": shield}) == ["notice.caller", "notice.unrecorded"]
    assert said("m.noticesOf(x)", {"shield": {"state": "on"}}) == []
    assert said("m.noticesOf(x)", None) == []


def test_what_is_withheld_is_read_aloud_once() -> None:
    plain, withheld = a_state(a_call()), a_state(a_call(shield={"state": "on", "caller_withheld": True}))

    read = run(
        "agent/announce.js", f"[m.statusWords({plain}, {withheld}), m.statusWords({withheld}, {withheld})]"
    )

    assert read == ["Caller’s voice is withheld", ""]


CALLS = {
    "tones": line(GOOD.model_copy(update={"doors": (Door.TONES,)})),
    "both": line(GOOD),
    "poor": line(POOR.model_copy(update={"codec": Codec.PCMA})),
    "quiet": line(UNMEASURED),
    "ringing": None,
}


@pytest.mark.parametrize(
    ("chosen", "shown"),
    [
        ({}, set(CALLS)),
        ({"quality": "poor"}, {"poor"}),
        ({"quality": "good"}, {"tones", "both"}),
        ({"quality": "unknown"}, {"quiet", "ringing"}),
        ({"codec": "PCMA"}, {"poor"}),
        ({"door": "tones"}, {"tones", "both", "poor"}),
        ({"door": "events"}, {"both", "poor"}),
        ({"door": "none"}, {"quiet"}),
        ({"door": "tones", "codec": "PCMU", "quality": "good"}, {"tones", "both"}),
    ],
)
def test_the_table_is_filtered_by_quality_codec_and_door(chosen: dict[str, str], shown: set[str]) -> None:
    calls = [a_call(id=name, line=told, started_at="2026-01-02T03:04:05Z") for name, told in CALLS.items()]

    found = run(
        "supervisor/live.js",
        f"{json.dumps(calls)}.filter((call) => m.isShown({{}}, call, {{...m.NO_FILTER, ...{json.dumps(chosen)}}}))"
        ".map((call) => call.id)",
    )

    assert set(found) == shown


def test_the_table_is_ordered_by_quality_the_worst_first() -> None:
    calls = [
        [name, a_call(id=name, line=told, started_at="2026-01-02T03:04:05Z")] for name, told in CALLS.items()
    ]

    found = run(
        "supervisor/live.js",
        f"m.rowsOf({{calls: new Map({json.dumps(calls)})}}, m.NO_FILTER, {{by: 'path', down: false}})"
        ".map((call) => call.id)",
    )

    assert found[0] == "poor"
    assert set(found[-2:]) == {"quiet", "ringing"}


def test_a_line_event_changes_the_line_and_a_call_event_leaves_it() -> None:
    events = [
        ["call", {"v": 1, "id": "c1", "state": "talking"}],
        ["line", {"v": 1, "call": "c1", **line(GOOD)}],
        ["call", {"v": 1, "id": "c1", "state": "held"}],
        [
            "shield",
            {
                "v": 1,
                "call": "c1",
                "state": "on",
                "caller": "capture",
                "agent": "capture",
                "unrecorded": True,
            },
        ],
    ]

    call = run(
        "agent/store.js",
        f"{json.dumps(events)}.reduce((s, [type, data]) => m.reduce(s, type, data), m.emptyState()).calls.get('c1')",
    )

    assert (call["state"], call["line"]) == ("held", line(GOOD))
    assert call["shield"] == {"state": "on", "caller": "capture", "agent": "capture", "unrecorded": True}
