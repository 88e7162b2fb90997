"""Reports of captures as the API needs them of the service."""

from __future__ import annotations

from typing import Protocol

from dtmf_shield.api.ports.refusals import DeskRefusal
from dtmf_shield.model.report import OutcomeLine, ReportCounts, ReportRange


class ReportsUnavailable(DeskRefusal):
    """The rows cannot be read just now: the file is away, or others are being counted."""

    status, slug, title = 503, "reports-unavailable", "No report can be made just now. Try again in a moment."


class ReportTooLong(DeskRefusal):
    """The finest table would have more lines than one answer should."""

    status, slug, title = (
        422,
        "report-too-long",
        "Too many lines for one file: ask for fewer days, one flow or one agent.",
    )


class ReportBook(Protocol):
    """Counts captures of the past. Called from threads of the server, one report after the other."""

    def counts(self, wanted: ReportRange) -> ReportCounts:
        """Count what is asked for; takes as long as the disk does. Raises ReportsUnavailable."""

    def lines(self, wanted: ReportRange) -> tuple[OutcomeLine, ...]:
        """Return one line a day, flow, agent and result. Raises ReportsUnavailable, ReportTooLong."""

    @property
    def rows_lost(self) -> int:
        """Rows that could not be written since the service started: the report lacks them."""


class NoReports:
    """A service that keeps no rows."""

    rows_lost = 0

    def counts(self, wanted: ReportRange) -> ReportCounts:
        """Refuse."""
        del wanted
        raise ReportsUnavailable

    def lines(self, wanted: ReportRange) -> tuple[OutcomeLine, ...]:
        """Refuse."""
        del wanted
        raise ReportsUnavailable
