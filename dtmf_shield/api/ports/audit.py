"""The audit log, as the API reads it."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Final, Protocol

from dtmf_shield.api.ports.refusals import DeskRefusal
from dtmf_shield.api.views import AuditPage

AUDIT_ROWS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which rows are wanted; what is empty asks for nothing.

    ``person``: rows that name them as who did it (``by``) or as whom it is about (``user``). ``day``: in UTC.
    """

    event: str = ""
    person: str = ""
    call: str = ""
    day: datetime.date | None = None


EVERY_ROW: Final = AuditFilter()


class AuditReader(Protocol):
    """Reads the log; nothing writes it through the API."""

    def page(self, *, before: int | None, rows: int, wanted: AuditFilter = EVERY_ROW) -> AuditPage:
        """Return the newest rows before a cursor. Reads a file: call it in a thread. Raises AuditUnreadable."""


class AuditUnreadable(DeskRefusal):
    """The file cannot be read, or the cursor leads nowhere."""

    status, slug, title = 503, "audit-unreadable", "The audit log cannot be read just now."


class NoAudit:
    """A service without a log."""

    def page(self, *, before: int | None, rows: int, wanted: AuditFilter = EVERY_ROW) -> AuditPage:
        """Nothing."""
        del before, rows, wanted
        return AuditPage(rows=(), intact=True)
