"""The audit log as the API reads it."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dtmf_shield.api.ports.audit import EVERY_ROW, AuditFilter, AuditUnreadable
from dtmf_shield.api.views import AuditPage, AuditRowView
from dtmf_shield.audit.reading import AuditRow, rows_before

_WORD: Final = re.compile(r"[a-z_]{1,40}")
DAY_S: Final = 86_400.0
_FRAME: Final = frozenset({"n", "at", "event"})


class AuditFile:
    """Implements ``api.ports.AuditReader`` over the log file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def page(self, *, before: int | None, rows: int, wanted: AuditFilter = EVERY_ROW) -> AuditPage:
        """Return the newest rows before a cursor, those that ``wanted`` asks for alone."""
        begins, ends = _seconds_of(wanted.day)
        shown: list[AuditRowView] = []
        intact, cursor = True, 0
        try:
            for found in rows_before(self._path, before):
                intact, cursor = intact and found.fits, found.offset
                if found.row and float(found.row["at"]) < begins:
                    cursor = 0  # rows stand in the order of their times: there is nothing older of that day
                    break
                if found.row and float(found.row["at"]) < ends and _fits(found.row, wanted):
                    shown.append(_view(found))
                if len(shown) == rows:
                    break
        except (OSError, ValueError, TypeError):
            raise AuditUnreadable from None
        return AuditPage(rows=tuple(shown), intact=intact, next_cursor=str(cursor) if cursor else None)


def _seconds_of(day: datetime.date | None) -> tuple[float, float]:
    """Return where a day begins and ends, seconds since 1970; all of time for None."""
    if day is None:
        return -math.inf, math.inf
    begins = datetime.datetime.combine(day, datetime.time(), datetime.UTC)
    return begins.timestamp(), begins.timestamp() + DAY_S


def _fits(row: Mapping[str, str | int | float], wanted: AuditFilter) -> bool:
    return (
        wanted.event in ("", row.get("event"))
        and wanted.call in ("", row.get("call"))
        and wanted.person in ("", row.get("by"), row.get("user"))
    )


def _view(found: AuditRow) -> AuditRowView:
    facts: Mapping[str, str | int | float] = {
        name: value for name, value in found.row.items() if name not in _FRAME and _WORD.fullmatch(name)
    }
    return AuditRowView(
        number=int(found.row["n"]),
        at=datetime.datetime.fromtimestamp(float(found.row["at"]), datetime.UTC),
        event=str(found.row["event"]),
        texts={name: value for name, value in facts.items() if isinstance(value, str)},
        numbers={name: int(value) for name, value in facts.items() if not isinstance(value, str)},
        hash=found.digest,
    )
