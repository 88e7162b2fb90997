"""Rows of captures for reports: written at begin and end, counted for the API. A failing disk costs no call."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from dtmf_shield.api.ports.reports import ReportsUnavailable, ReportTooLong
from dtmf_shield.base.clock import Clock
from dtmf_shield.base.log import get_logger
from dtmf_shield.call.events import CallSnapshot
from dtmf_shield.model.capture import CaptureOutcome, CaptureProgress
from dtmf_shield.model.messages import FieldGivenUp
from dtmf_shield.model.report import OutcomeLine, ReportCounts, ReportRange
from dtmf_shield.service.control.capture_tally import CaptureTallies
from dtmf_shield.store.report_counts import TooManyLines, read_counts, read_lines
from dtmf_shield.store.report_rows import REPORT_DAYS_MAX, ReportRows

REPORTS_FILE: Final = "reports.sqlite3"
WAIT_FOR_OTHERS_S: Final = 5.0
"""One report is counted at a time; who waits longer than this is asked to come again."""
TIDY_INTERVAL_S: Final = 3_600.0
"""So often rows that are too old, or open for too long, are looked for."""
TIDY_PAUSE_S: Final = 0.05
"""Between two steps of it: calls come first."""

T = TypeVar("T")
_log = get_logger("control")


class CaptureReports:
    """Owns the rows. Implements ``api.ports.reports.ReportBook``."""

    def __init__(self, state: Path, clock: Clock, keep_days: int = REPORT_DAYS_MAX) -> None:
        """Open the file in the state directory. Where that fails the service runs without reports, and says so.

        What was open when the service or control ended is closed as of unknown end; a capture that still runs is
        opened again with the first that is heard of it, and an end that cde tells of it counts as always.
        """
        self._clock, self._path = clock, state / REPORTS_FILE
        self._tallies = CaptureTallies()
        self._counting = threading.Lock()
        self._rows: ReportRows | None = None
        self._lost = 0
        try:
            self._rows = ReportRows(self._path, keep_days=keep_days)
            closed = self._rows.close_left_open()
        except (OSError, sqlite3.Error) as error:
            _log.error("reports_missing", file=str(self._path), error=type(error).__name__)
            return
        if closed:
            _log.info("reports_left_open", captures=closed)

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

    async def keep_tidy(self) -> None:
        """Take away rows that are too old, and close those that are open for too long, until cancelled."""
        while True:
            while self.tidy():
                await asyncio.sleep(TIDY_PAUSE_S)
            await asyncio.sleep(TIDY_INTERVAL_S)

    def tidy(self) -> bool:
        """Do a little of it. Returns whether there may be more to do."""
        if self._rows is None:
            return False
        try:
            return self._rows.tidy(int(self._clock.wall_s()))
        except sqlite3.Error as error:
            _log.error("reports_not_tidied", error=type(error).__name__)
            return False

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
        return self._read(read_counts, wanted)

    def lines(self, wanted: ReportRange) -> tuple[OutcomeLine, ...]:
        """Return the finest table, in the thread that asks."""
        try:
            return self._read(read_lines, wanted)
        except TooManyLines:
            raise ReportTooLong from None

    def _read(self, read: Callable[[Path, ReportRange], T], wanted: ReportRange) -> T:
        if self._rows is None or not self._counting.acquire(timeout=WAIT_FOR_OTHERS_S):
            raise ReportsUnavailable
        try:
            return read(self._path, wanted)
        except sqlite3.Error as error:
            _log.error("report_not_read", error=type(error).__name__)
            raise ReportsUnavailable from None
        finally:
            self._counting.release()
