"""Rows for reports: what is counted is what a slow and obvious twin counts; limits, restart, failing disk."""

from __future__ import annotations

import math
import random
import sqlite3
from collections import Counter
from datetime import UTC, datetime

import pytest

from dtmf_shield.api.views.reports import SUCCEEDED, capture_report, quantile_s
from dtmf_shield.model.capture import CaptureResult, FieldKind, RejectReason
from dtmf_shield.model.ids import CaptureId
from dtmf_shield.model.report import CaptureBegin, CaptureEnd, FieldTally, ReportRange
from dtmf_shield.store.report_rows import DAY_S, PRUNED_AT_ONCE, REPORT_DAYS_MAX, ReportRows

DAY = 1_767_225_600
"""2026-01-01 00:00 UTC."""
ALL = ReportRange(0, 2**40)
FLOWS, AGENTS, STEPS = ("card", "refund"), ("ann", "bob", ""), ("ask_card", "ask_code", "")


@pytest.fixture
def rows(tmp_path):
    rows = ReportRows(tmp_path / "reports.sqlite3")
    yield rows
    rows.close()


def begin(name: str, at: int = DAY, flow: str = "card", agent: str = "ann") -> CaptureBegin:
    return CaptureBegin(CaptureId(name), at, flow, agent)


def end(name: str, result: CaptureResult = CaptureResult.APPROVED, **facts) -> CaptureEnd:
    return CaptureEnd(CaptureId(name), result, **facts)


def result_of(rows: ReportRows, name: str) -> str:
    return rows._database.execute("SELECT result FROM captures WHERE id = ?", (name,)).fetchone()[0]


def drawn(seed: int, many: int) -> list[tuple[CaptureBegin, CaptureEnd | None]]:
    """Draw captures of four days."""
    draw = random.Random(seed)
    made = []
    for place in range(many):
        name = f"cap{place}"
        started = begin(name, DAY + draw.randrange(4 * DAY_S), draw.choice(FLOWS), draw.choice(AGENTS))
        fields = tuple(
            FieldTally(
                field,
                kind,
                draw.randrange(1, 5),
                draw.choice((None, draw.randrange(60))),
                tuple((reason, draw.randrange(1, 4)) for reason in draw.sample(tuple(RejectReason), 2)),
            )
            for field, kind in (("pan", FieldKind.CARD_NUMBER), ("cvv", FieldKind.SECURITY_CODE))
            if draw.random() < 0.8
        )
        ended = end(
            name,
            draw.choice(tuple(CaptureResult)),
            step=draw.choice(STEPS),
            test=draw.random() < 0.2,
            fields=fields,
        )
        made.append((started, None if draw.random() < 0.1 else ended))
    return made


def obvious(captures, wanted: ReportRange) -> dict:
    """Count in the plainest way there is: one list, filtered over and over."""
    mine = [
        (started, ended)
        for started, ended in captures
        if wanted.from_s <= started.began_s < wanted.to_s
        and (wanted.flow is None or started.flow == wanted.flow)
        and (wanted.agent is None or started.agent == wanted.agent)
    ]
    ends = [ended for _, ended in mine if ended is not None]
    tallies = [tally for ended in ends for tally in ended.fields]
    fields = {}
    for name in {tally.field for tally in tallies}:
        own = [tally for tally in tallies if tally.field == name]
        took = sorted(tally.seconds for tally in own if tally.seconds is not None)
        reasons = Counter()
        for tally in own:
            reasons.update(dict(tally.rejects))
        fields[name] = {
            "asked": len(own),
            "accepted": len(took),
            "attempts": sum(tally.attempts for tally in own),
            "median_s": took[math.ceil(0.5 * len(took)) - 1] if took else None,
            "p90_s": took[math.ceil(0.9 * len(took)) - 1] if took else None,
            "rejects": dict(reasons),
        }
    days = Counter(datetime.fromtimestamp(started.began_s, UTC).date().isoformat() for started, _ in mine)
    return {
        "begun": len(mine),
        "ended": len(ends),
        "succeeded": len([ended for ended in ends if ended.result in SUCCEEDED]),
        "test": len([ended for ended in ends if ended.test]),
        "outcomes": Counter(ended.result for ended in ends),
        "fields": fields,
        "days": dict(days),
        "flows": dict(Counter(started.flow for started, _ in mine)),
        "agents": dict(Counter(started.agent for started, _ in mine)),
        "gone": Counter(
            (started.flow, ended.step)
            for started, ended in mine
            if ended is not None and ended.result is CaptureResult.CALLER_GONE
        ),
    }


@pytest.mark.parametrize(
    "wanted",
    [
        ALL,
        ReportRange(DAY + DAY_S, DAY + 2 * DAY_S),
        ReportRange(DAY, DAY + 4 * DAY_S, flow="refund"),
        ReportRange(DAY, DAY + 4 * DAY_S, agent="bob"),
        ReportRange(DAY, DAY + 4 * DAY_S, flow="card", agent=""),
        ReportRange(0, DAY),
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_report_is_what_its_slow_twin_says(rows, wanted, seed):
    captures = drawn(seed, 300)
    for started, ended in captures:
        rows.began(started)
        if ended is not None:
            rows.ended(ended)

    report = capture_report(rows.counts(wanted), from_day="2026-01-01", to_day="2026-01-04")
    slow = obvious(captures, wanted)

    assert {name: getattr(report, name) for name in ("begun", "ended", "succeeded", "test")} == {
        name: slow[name] for name in ("begun", "ended", "succeeded", "test")
    }
    assert [one.result for one in report.outcomes] == list(CaptureResult)
    assert {one.result: one.captures for one in report.outcomes if one.captures} == slow["outcomes"]
    assert {one.field for one in report.fields} == set(slow["fields"])
    for one in report.fields:
        twin = dict(slow["fields"][one.field])
        rejects = {reject.reason: reject.times for reject in one.rejects}
        assert rejects == twin.pop("rejects")
        assert {name: getattr(one, name) for name in twin} == twin
    for group in ("days", "flows", "agents"):
        assert {one.name: one.begun for one in getattr(report, group)} == slow[group]
        assert sum(one.succeeded for one in getattr(report, group)) == slow["succeeded"]
        for one in getattr(report, group):
            assert one.succeeded + one.unknown + one.failed <= one.begun
    assert {(one.flow, one.step): one.captures for one in report.abandoned} == slow["gone"]


@pytest.mark.parametrize(
    ("values", "median_s", "p90_s"),
    [
        ([], None, None),
        ([7], 7, 7),
        ([1, 2], 1, 2),
        ([1, 2, 3], 2, 3),
        (list(range(1, 11)), 5, 9),
        ([0] * 9 + [60], 0, 0),
    ],
)
def test_quantiles_are_by_nearest_rank(values, median_s, p90_s):
    histogram = Counter(values)

    assert (quantile_s(histogram, 0.5), quantile_s(histogram, 0.9)) == (median_s, p90_s)


def test_unknown_is_neither_success_nor_failure(rows):
    for name, result in (
        ("a", CaptureResult.UNKNOWN),
        ("b", CaptureResult.DECLINED),
        ("c", CaptureResult.TOKEN),
    ):
        rows.began(begin(name))
        rows.ended(end(name, result))

    (day,) = capture_report(rows.counts(ALL), from_day="2026-01-01", to_day="2026-01-01").days

    assert (day.succeeded, day.unknown, day.failed) == (1, 1, 1)


def test_the_truth_replaces_a_guess_and_nothing_replaces_the_truth(rows):
    rows.began(begin("a"))

    told = [
        rows.ended(end("a", CaptureResult.INTERRUPTED)),
        rows.ended(end("a", CaptureResult.INTERRUPTED)),
        rows.ended(end("a", CaptureResult.APPROVED, brand="visa")),
        rows.ended(end("a", CaptureResult.CANCELLED)),
    ]

    assert told == [True, False, True, False]
    assert result_of(rows, "a") == "approved"


def test_an_end_without_a_begin_is_no_row(rows):
    assert rows.ended(end("nobody")) is False
    assert rows.counts(ALL).outcomes == ()


def test_rows_outlive_the_process_and_a_begin_told_again_changes_nothing(tmp_path):
    first = ReportRows(tmp_path / "r.sqlite3")
    first.began(begin("a"))
    first.began(begin("b"))
    first.ended(end("b"))
    del first  # without a farewell, as after kill -9

    second = ReportRows(tmp_path / "r.sqlite3")
    second.began(begin("b", at=DAY + 5))
    second.ended(end("a", CaptureResult.TOKEN))

    assert {(cell.result, cell.captures) for cell in second.counts(ALL).outcomes} == {
        ("approved", 1),
        ("token", 1),
    }


def test_the_oldest_go_when_they_are_too_old(rows):
    field = FieldTally("pan", FieldKind.CARD_NUMBER, 2, 9, ((RejectReason.LUHN, 1),))
    for place in range(3):
        rows.began(begin(f"old{place}", at=DAY + place))
        rows.ended(end(f"old{place}", fields=(field,)))

    rows.began(begin("new", at=DAY + REPORT_DAYS_MAX * DAY_S + 2))

    counts = rows.counts(ALL)
    assert sum(cell.captures for cell in counts.outcomes) == 2
    assert [(one.asked, one.attempts) for one in counts.fields] == [(1, 2)]
    assert counts.rejects == (("pan", "luhn", 1),)


def test_the_oldest_go_when_they_are_too_many(tmp_path):
    rows = ReportRows(tmp_path / "r.sqlite3", captures_max=5)
    for place in range(40):
        rows.began(begin(f"cap{place}", at=DAY + place))

    kept = {row[0] for row in rows._database.execute("SELECT id FROM captures")}

    assert kept == {f"cap{place}" for place in range(35, 40)}


def test_a_limit_that_was_lowered_is_reached_a_little_at_a_time(tmp_path):
    rows = ReportRows(tmp_path / "r.sqlite3")
    for place in range(PRUNED_AT_ONCE + 30):
        rows.began(begin(f"cap{place}", at=DAY + place))
    rows.close()

    smaller = ReportRows(tmp_path / "r.sqlite3", captures_max=5)
    sizes = []
    for place in range(2):
        smaller.began(begin(f"new{place}", at=DAY + 1_000 + place))
        sizes.append(sum(cell.captures for cell in smaller.counts(ALL).outcomes))

    assert sizes == [31, 5]


def test_a_file_that_is_no_database_is_moved_aside(tmp_path):
    path = tmp_path / "r.sqlite3"
    path.write_bytes(b"no database at all, but long enough to be looked at" * 40)

    ReportRows(path).began(begin("a"))

    assert path.with_suffix(".broken").exists()


def test_the_file_is_for_its_owner_alone(rows, tmp_path):
    assert (tmp_path / "reports.sqlite3").stat().st_mode & 0o777 == 0o600


def test_a_failed_write_leaves_the_rows_as_they_were(rows):
    rows.began(begin("a"))
    twice = FieldTally("pan", FieldKind.CARD_NUMBER, None, 9)  # type: ignore[arg-type]

    with pytest.raises(sqlite3.IntegrityError):
        rows.ended(end("a", fields=(twice,)))

    assert result_of(rows, "a") == ""
    assert rows.ended(end("a")) is True
