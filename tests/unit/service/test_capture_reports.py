"""Reports of control: rows survive a restart; a failing disk is told and counted, and stops nothing."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3

import pytest
from test_capture_tally import CAP, call, progress

from dtmf_shield.api.ports.reports import ReportsUnavailable, ReportTooLong
from dtmf_shield.model.capture import CaptureOutcome, CaptureResult
from dtmf_shield.model.report import END_UNKNOWN, ReportRange
from dtmf_shield.service.control.reports import REPORTS_FILE, CaptureReports
from dtmf_shield.store.report_rows import OPEN_MAX_S

ALL = ReportRange(0, 2**40)


class StillClock:
    """Says the same time for ever."""

    def now_s(self) -> float:
        return 5.0

    def wall_s(self) -> float:
        return 1_767_225_600.0


def outcome(result: CaptureResult = CaptureResult.APPROVED) -> CaptureOutcome:
    return CaptureOutcome(capture_id=CAP, result=result)


def results(reports: CaptureReports) -> dict[str, int]:
    return {cell.result: cell.captures for cell in reports.counts(ALL).days}


def test_a_capture_is_counted_from_begin_to_end(tmp_path):
    reports = CaptureReports(tmp_path, StillClock())
    reports.capture_changed(call())
    running = results(reports)
    reports.progressed(progress(accepted=("pan",)))
    reports.ended(outcome())
    reports.ended(outcome())

    assert (running, results(reports)) == ({"": 1}, {"approved": 1})
    assert reports.counts(ALL).seconds == (("pan", 0, 1),)
    assert reports.rows_lost == 0


def test_an_end_that_the_call_decided_counts_and_the_truth_comes_later(tmp_path):
    reports = CaptureReports(tmp_path, StillClock())
    reports.capture_changed(call())
    reports.capture_changed(call(outcome=outcome(CaptureResult.INTERRUPTED)))
    guessed = results(reports)
    reports.ended(outcome(CaptureResult.APPROVED))
    reports.capture_changed(call(outcome=outcome(CaptureResult.INTERRUPTED)))

    assert (guessed, results(reports)) == ({"interrupted": 1}, {"approved": 1})


def test_a_capture_that_outlives_control_ends_in_its_row(tmp_path):
    CaptureReports(tmp_path, StillClock()).capture_changed(call())

    fresh = CaptureReports(tmp_path, StillClock())
    fresh.ended(outcome(CaptureResult.DECLINED))

    assert results(fresh) == {"declined": 1}


def test_what_was_open_when_control_was_killed_has_an_unknown_end_until_it_is_heard_of(tmp_path):
    CaptureReports(tmp_path, StillClock()).capture_changed(call())

    fresh = CaptureReports(tmp_path, StillClock())
    closed = results(fresh)
    fresh.capture_changed(call())

    assert (closed, results(fresh)) == ({END_UNKNOWN: 1}, {"": 1})


def test_what_is_open_for_a_day_is_closed_while_the_service_runs(tmp_path):
    clock = StillClock()
    reports = CaptureReports(tmp_path, clock)
    reports.capture_changed(call())
    young = (reports.tidy(), results(reports))
    clock.wall_s = lambda: StillClock().wall_s() + OPEN_MAX_S + 1

    async def runs_a_moment():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reports.keep_tidy(), 0.01)

    asyncio.run(runs_a_moment())

    assert young == (False, {"": 1})
    assert results(reports) == {END_UNKNOWN: 1}


def test_days_kept_are_those_of_the_configuration(tmp_path):
    clock = StillClock()
    reports = CaptureReports(tmp_path, clock, keep_days=7)
    reports.capture_changed(call())
    clock.wall_s = lambda: StillClock().wall_s() + 8 * 86_400
    reports.tidy()

    assert results(reports) == {}


def test_a_table_that_is_too_long_is_refused_and_not_cut(tmp_path, monkeypatch):
    reports = CaptureReports(tmp_path, StillClock())
    reports.capture_changed(call())
    whole = reports.lines(ALL)
    monkeypatch.setattr("dtmf_shield.store.report_counts.LINES_MAX", 0)

    assert len(whole) == 1
    with pytest.raises(ReportTooLong):
        reports.lines(ALL)


def test_a_disk_that_fails_is_counted_and_stops_nothing(tmp_path, monkeypatch):
    reports = CaptureReports(tmp_path, StillClock())

    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(reports._rows, "began", full)
    monkeypatch.setattr(reports._rows, "ended", full)
    monkeypatch.setattr("dtmf_shield.service.control.reports.read_counts", full)
    reports.capture_changed(call())
    reports.ended(outcome())

    assert reports.rows_lost == 2
    with pytest.raises(ReportsUnavailable):
        reports.counts(ALL)


def test_without_a_file_the_service_runs_without_reports(tmp_path):
    (tmp_path / REPORTS_FILE).mkdir()

    reports = CaptureReports(tmp_path, StillClock())
    reports.capture_changed(call())
    reports.ended(outcome())
    reports.close()

    assert reports.rows_lost == 2
    with pytest.raises(ReportsUnavailable):
        reports.counts(ALL)


def test_one_report_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr("dtmf_shield.service.control.reports.WAIT_FOR_OTHERS_S", 0.01)
    reports = CaptureReports(tmp_path, StillClock())

    with reports._counting, pytest.raises(ReportsUnavailable):
        reports.counts(ALL)

    assert reports.counts(ALL).days == ()
