"""Reports of control: rows survive a restart; a failing disk is told and counted, and stops nothing."""

from __future__ import annotations

import sqlite3

import pytest
from test_capture_tally import CAP, call, progress

from dtmf_shield.api.ports.reports import ReportsUnavailable
from dtmf_shield.model.capture import CaptureOutcome, CaptureResult
from dtmf_shield.model.report import ReportRange
from dtmf_shield.service.control.reports import REPORTS_FILE, CaptureReports

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
    return {cell.result: cell.captures for cell in reports.counts(ALL).outcomes}


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


def test_a_disk_that_fails_is_counted_and_stops_nothing(tmp_path, monkeypatch):
    reports = CaptureReports(tmp_path, StillClock())

    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(reports._rows, "began", full)
    monkeypatch.setattr(reports._rows, "ended", full)
    monkeypatch.setattr(reports._rows, "counts", full)
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

    assert reports.counts(ALL).outcomes == ()
