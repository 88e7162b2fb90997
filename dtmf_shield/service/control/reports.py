"""Rows of captures for reports: written at begin and end, counted for the API. A failing disk costs no call."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dtmf_shield.api.ports.reports import ReportsUnavailable
from dtmf_shield.base.clock import Clock
from dtmf_shield.base.log import get_logger
from dtmf_shield.call.events import CallSnapshot
from dtmf_shield.model.capture import CaptureOutcome, CaptureProgress
from dtmf_shield.model.messages import FieldGivenUp
from dtmf_shield.model.report import ReportCounts, ReportRange
from dtmf_shield.service.control.capture_tally import CaptureTallies
from dtmf_shield.store.report_rows import ReportRows

REPORTS_FILE: Final = "reports.sqlite3"
WAIT_FOR_OTHERS_S: Final = 5.0
"""One report is counted at a time; who waits longer than this is asked to come again."""

_log = get_logger("control")


class CaptureReports:
    """Owns the rows. Implements ``api.ports.reports.ReportBook``."""

    def __init__(self, state: Path, clock: Clock) -> None:
        """Open the file in the state directory. Where that fails the service runs without reports, and says so."""
        self._clock = clock
        self._tallies = CaptureTallies()
        self._counting = threading.Lock()
        self._rows: ReportRows | None = None
        self._lost = 0
        try:
            self._rows = ReportRows(state / REPORTS_FILE)
        except (OSError, sqlite3.Error) as error:
            _log.error("reports_missing", file=str(state / REPORTS_FILE), error=type(error).__name__)

    # --- what the process tells ----------------------------------------------------------------------

    def capture_changed(self, call: CallSnapshot) -> None:
        """Take where a call's capture is: its begin, its steps, an end that the call itself has decided."""
        if call.capture is not None and call.capture.outcome is not None:
            if self._tallies.runs(call.capture.capture_id):
                self.ended(call.capture.outcome)
            return
        begin = self._tallies.changed(call, self._clock.wall_s())
        if begin is not None:
            self._write(lambda rows: rows.began(begin))

    def progressed(self, progress: CaptureProgress) -> None:
        """Take how a capture's fields are."""
        self._tallies.progressed(progress, self._clock.now_s())

    def given_up(self, message: FieldGivenUp) -> None:
        """Take that a field's attempts are used up."""
        self._tallies.given_up(message)

    def ended(self, outcome: CaptureOutcome) -> None:
        """Take an end; one that is told again is no news."""
        end = self._tallies.ended(outcome)
        self._write(lambda rows: rows.ended(end))

    def close(self) -> None:
        """Close the file."""
        if self._rows is not None:
            self._rows.close()

    def _write(self, act: Callable[[ReportRows], object]) -> None:
        if self._rows is None:
            self._lost += 1
            return
        try:
            act(self._rows)
        except sqlite3.Error as error:
            self._lost += 1
            _log.error("report_row_not_written", error=type(error).__name__, lost=self._lost)

    # --- what the API asks ---------------------------------------------------------------------------

    @property
    def rows_lost(self) -> int:
        """Rows that could not be written since the process started."""
        return self._lost

    def counts(self, wanted: ReportRange) -> ReportCounts:
        """Count, in the thread that asks."""
        if self._rows is None or not self._counting.acquire(timeout=WAIT_FOR_OTHERS_S):
            raise ReportsUnavailable
        try:
            return self._rows.counts(wanted)
        except sqlite3.Error as error:
            _log.error("report_not_read", error=type(error).__name__)
            raise ReportsUnavailable from None
        finally:
            self._counting.release()
