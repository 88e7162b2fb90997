"""Rows for reports: what is counted is what a slow and obvious twin counts; limits, restart, failing disk."""

from __future__ import annotations

import math
import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dtmf_shield.api.views.reports import SUCCEEDED, capture_report, quantile_s
from dtmf_shield.model.capture import CaptureResult, FieldKind, RejectReason
from dtmf_shield.model.ids import CaptureId
from dtmf_shield.model.report import (
    END_UNKNOWN,
    CaptureBegin,
    CaptureEnd,
    FieldTally,
    ReportCounts,
    ReportRange,
)
from dtmf_shield.store import report_counts
from dtmf_shield.store.report_counts import TooManyLines, read_counts, read_lines
from dtmf_shield.store.report_rows import OPEN_MAX_S, PRUNED_AT_ONCE, REPORT_DAYS_MAX, ReportRows
from dtmf_shield.store.report_schema import COUNT_TABLES, DAY_S, rebuild

DAY = 1_767_225_600
"""2026-01-01 00:00 UTC."""
ALL = ReportRange(0, 2**40)
DIES = f"""
import os, signal, sys
from pathlib import Path
from dtmf_shield.model.capture import CaptureResult
from dtmf_shield.model.report import CaptureBegin, CaptureEnd
from dtmf_shield.store.report_rows import ReportRows
rows = ReportRows(Path(sys.argv[1]))
for name in ("lost", "goes-on", "told-late", "ended"):
    rows.began(CaptureBegin(name, {DAY}, "card", "ann"))
rows.ended(CaptureEnd("ended", CaptureResult.DECLINED))
os.kill(os.getpid(), signal.SIGKILL)
"""
"""A control that is killed while three captures run."""
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


def counted(rows: ReportRows, wanted: ReportRange = ALL) -> ReportCounts:
    return read_counts(path_of(rows), wanted)


def path_of(rows: ReportRows) -> Path:
    return Path(rows._database.execute("PRAGMA database_list").fetchone()[2])


def kept_counts(rows: ReportRows) -> dict[str, list[tuple]]:
    """Every count of every day, as it is kept."""
    return {
        table: rows._database.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - own names
        for table in COUNT_TABLES
    }


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

    report = capture_report(counted(rows, wanted), from_day="2026-01-01", to_day="2026-01-04")
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

    (day,) = capture_report(counted(rows), from_day="2026-01-01", to_day="2026-01-01").days

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
    assert counted(rows).days == ()


def test_rows_outlive_the_process_and_a_begin_told_again_changes_nothing(tmp_path):
    first = ReportRows(tmp_path / "r.sqlite3")
    first.began(begin("a"))
    first.began(begin("b"))
    first.ended(end("b"))
    del first  # without a farewell, as after kill -9

    second = ReportRows(tmp_path / "r.sqlite3")
    second.began(begin("b", at=DAY + 5))
    second.ended(end("a", CaptureResult.TOKEN))

    assert {(cell.result, cell.captures) for cell in counted(second).days} == {
        ("approved", 1),
        ("token", 1),
    }


def test_the_oldest_go_when_they_are_too_old(rows):
    field = FieldTally("pan", FieldKind.CARD_NUMBER, 2, 9, ((RejectReason.LUHN, 1),))
    for place in range(3):
        rows.began(begin(f"old{place}", at=DAY + place))
        rows.ended(end(f"old{place}", fields=(field,)))

    rows.began(begin("new", at=DAY + REPORT_DAYS_MAX * DAY_S + 2))

    counts = counted(rows)
    assert sum(cell.captures for cell in counts.days) == 2
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
        sizes.append(sum(cell.captures for cell in counted(smaller).days))

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
    twice = FieldTally("pan", FieldKind.CARD_NUMBER, None, 9)  # type: ignore[arg-type]  # what the file must refuse

    with pytest.raises(sqlite3.IntegrityError):
        rows.ended(end("a", fields=(twice,)))

    assert result_of(rows, "a") == ""
    assert rows.ended(end("a")) is True


@pytest.mark.parametrize("seed", range(4))
def test_the_counts_of_days_are_what_counting_anew_gives(tmp_path, seed):
    """Begins, ends, truths after guesses, ends that nobody tells, restarts, rows that go: in any order."""
    draw = random.Random(seed)
    rows = ReportRows(tmp_path / "r.sqlite3", captures_max=150)
    results = (CaptureResult.INTERRUPTED, CaptureResult.CALLER_GONE, CaptureResult.APPROVED)
    for started, ended in drawn(seed, 300):
        rows.began(started)
        if draw.random() < 0.3:
            rows.ended(end(started.capture_id, draw.choice(results), step=draw.choice(STEPS)))
        if ended is not None:
            rows.ended(ended)
        if draw.random() < 0.05:
            rows.close_left_open()
            rows.began(started)
        if draw.random() < 0.02:
            rows.tidy(DAY + draw.randrange(2 * DAY_S))

    kept = kept_counts(rows)
    rebuild(rows._database)

    assert all(kept.values())
    assert kept == kept_counts(rows)


def test_a_file_of_before_counts_were_kept_is_counted_when_it_is_opened(tmp_path):
    old = ReportRows(tmp_path / "r.sqlite3")
    for started, ended in drawn(5, 60):
        old.began(started)
        if ended is not None:
            old.ended(ended)
    before = counted(old)
    for table in COUNT_TABLES:
        old._database.execute(f"DROP TABLE {table}")
    old._database.execute("PRAGMA user_version = 0")
    old.close()

    assert before.fields and counted(ReportRows(tmp_path / "r.sqlite3")) == before


def test_what_was_open_when_control_died_has_an_unknown_end(tmp_path):
    killed = subprocess.run([sys.executable, "-c", DIES, str(tmp_path / "r.sqlite3")], check=False)
    assert killed.returncode == -signal.SIGKILL

    second = ReportRows(tmp_path / "r.sqlite3")
    closed = second.close_left_open()
    second.began(begin("goes-on", at=DAY + 9))
    field = FieldTally("pan", FieldKind.CARD_NUMBER, 1, 9)
    told = second.ended(end("told-late", CaptureResult.APPROVED, step="paid", fields=(field,)))
    report = capture_report(counted(second), from_day="2026-01-01", to_day="2026-01-01")

    assert (closed, told) == (3, True)
    assert [result_of(second, name) for name in ("lost", "goes-on", "told-late", "ended")] == [
        END_UNKNOWN,
        "",
        "approved",
        "declined",
    ]
    assert (report.begun, report.ended, report.open, report.end_unknown) == (4, 2, 1, 1)
    assert report.success_rate == 0.5  # of those that ended: what nobody knows is neither
    assert [(day.failed, day.end_unknown) for day in report.days] == [(1, 1)]
    assert [one.accepted for one in report.fields] == [1]
    assert second.ended(end("ended", CaptureResult.DECLINED)) is False


def test_what_is_open_longer_than_any_capture_lasts_is_closed(rows):
    rows.began(begin("old", at=DAY))
    rows.began(begin("young", at=DAY + 2))

    more = rows.tidy(DAY + OPEN_MAX_S + 1)

    assert (more, result_of(rows, "old"), result_of(rows, "young")) == (False, END_UNKNOWN, "")


def test_tidying_takes_a_little_at_a_time_until_nothing_is_left_to_do(tmp_path):
    rows = ReportRows(tmp_path / "r.sqlite3", keep_days=10)
    for place in range(PRUNED_AT_ONCE + 5):
        rows.began(begin(f"old{place}", at=DAY + place))
    rows.began(begin("new", at=DAY + 9 * DAY_S))

    steps = [rows.tidy(DAY + 11 * DAY_S) for _ in range(3)]

    assert steps == [True, False, False]
    assert kept_counts(rows)["day_outcomes"] == [
        ((DAY + 9 * DAY_S) // DAY_S, "card", "ann", END_UNKNOWN, 1, 0)
    ]


def test_rows_older_than_the_days_kept_go_with_the_next_capture(tmp_path):
    rows = ReportRows(tmp_path / "r.sqlite3", keep_days=30)
    rows.began(begin("old", at=DAY))
    rows.began(begin("edge", at=DAY + DAY_S))

    rows.began(begin("new", at=DAY + 31 * DAY_S))

    assert {row[0] for row in rows._database.execute("SELECT id FROM captures")} == {"edge", "new"}


def test_the_finest_table_has_a_line_a_day_flow_agent_and_result_and_a_limit(rows, monkeypatch):
    for name, at, agent in (("a", DAY, "ann"), ("b", DAY, "ann"), ("c", DAY + DAY_S, "bob")):
        rows.began(begin(name, at=at, agent=agent))
    rows.ended(end("a", CaptureResult.TOKEN))

    lines = [(one.day, one.agent, one.result, one.captures) for one in read_lines(path_of(rows), ALL)]
    monkeypatch.setattr(report_counts, "LINES_MAX", 2)

    assert lines == [
        ("2026-01-01", "ann", "", 1),
        ("2026-01-01", "ann", "token", 1),
        ("2026-01-02", "bob", "", 1),
    ]
    with pytest.raises(TooManyLines):
        read_lines(path_of(rows), ALL)


@pytest.mark.parametrize("agent", [None, "ann"])
def test_no_report_reads_every_capture(rows, agent):
    """One flow or all: counts of days. One agent: that agent's rows, by their index."""
    queries = report_counts._OF_ALL if agent is None else report_counts._OF_ONE
    asked = {"first": 0, "end": 9, "flow": "card", "agent": agent}
    for query in (report_counts._BY_DAY, report_counts._LINES, *queries):
        plan = [row[3] for row in rows._database.execute(f"EXPLAIN QUERY PLAN {query}", asked)]
        assert not [step for step in plan if step.startswith("SCAN")], (query, plan)
        assert agent is not None or not [step for step in plan if " captures" in step or " c " in step]
