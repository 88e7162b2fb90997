"""Rows of captures for reports: one at each begin, completed at its end. SQLite, one file, one writer.

Kept so many days as are configured, REPORT_DAYS_MAX at most, and CAPTURES_MAX captures at most; the oldest go first.
A row whose end nobody tells is closed as END_UNKNOWN: those that were open when control died, and those that are open
longer than any capture lasts.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from dtmf_shield.model.capture import CaptureResult, replaces
from dtmf_shield.model.ids import CaptureId
from dtmf_shield.model.report import END_UNKNOWN, CaptureBegin, CaptureEnd, FieldTally
from dtmf_shield.store.report_schema import DAY_S, open_reports

REPORT_DAYS_MAX: Final = 400
"""A year can be compared with the one before it, and a little more."""
CAPTURES_MAX: Final = 1_000_000
"""About 350 MB: 2 500 captures a day, every day."""
PRUNED_AT_ONCE: Final = 64
"""Old captures that one begin takes away at most: more than come, so it never falls behind."""
OPEN_MAX_S: Final = DAY_S
"""A capture that began longer ago has ended, whatever nobody told: a flow's patience and a call are shorter."""


class _Row(NamedTuple):
    """What of a capture is counted."""

    began: int
    flow: str
    agent: str
    result: str
    step: str
    test: int

    @property
    def day(self) -> int:
        return self.began // DAY_S


class ReportRows:
    """Writes rows and the counts of their days, and keeps within the limits. Every method may raise sqlite3.Error."""

    def __init__(
        self, path: Path, *, captures_max: int = CAPTURES_MAX, keep_days: int = REPORT_DAYS_MAX
    ) -> None:
        """Open or create the file. One that is no database is moved aside: a report can be lost, no call."""
        self._captures_max, self._keep_s = captures_max, keep_days * DAY_S
        try:
            self._database = open_reports(path)
        except sqlite3.OperationalError:
            raise  # a disk that is full or away: what lies there may be whole
        except sqlite3.DatabaseError:
            path.replace(path.with_suffix(".broken"))
            self._database = open_reports(path)
        self._count = int(self._database.execute("SELECT count(*) FROM captures").fetchone()[0])

    def began(self, begin: CaptureBegin) -> None:
        """Write a capture that runs; one that is there keeps what it says, but that its end is not known."""
        values = (begin.capture_id, begin.began_s, begin.flow, begin.agent)
        with self._transaction() as database:
            added = database.execute(
                "INSERT OR IGNORE INTO captures (id, began, flow, agent) VALUES (?, ?, ?, ?)", values
            ).rowcount
            if added:
                self._count_row(_Row(begin.began_s, begin.flow, begin.agent, "", "", 0), 1)
            else:
                self._reopen(begin.capture_id)
            gone = self._prune(begin.began_s - self._keep_s, self._count + added)
        self._count += added - gone

    def ended(self, end: CaptureEnd) -> bool:
        """Write an end: the first, or the truth after a guess. False where it is no news, or of no capture here."""
        with self._transaction() as database:
            before = self._row(end.capture_id)
            if before is None or not _may_follow(before.result, end.result):
                return False
            first = before.result in ("", END_UNKNOWN)
            facts = before._replace(result=end.result.value)
            if first:
                facts = facts._replace(step=end.step)
            if end.brand or first:
                facts = facts._replace(test=int(end.test))
                database.execute("UPDATE captures SET brand = ? WHERE id = ?", (end.brand, end.capture_id))
            self._change(end.capture_id, before, facts)
            for tally in end.fields if first else ():
                self._add_field(end.capture_id, facts, tally)
        return True

    def close_left_open(self) -> int:
        """Close every open row: at a start no capture is known to run. One that does run is opened by ``began``."""
        with self._transaction():
            return self._close_open("SELECT id FROM captures WHERE result = ''", ())

    def tidy(self, now_s: int) -> bool:
        """Take away old rows and close those open for too long, PRUNED_AT_ONCE of each. True: there may be more."""
        with self._transaction():
            gone = self._prune(now_s - self._keep_s, self._count)
            closed = self._close_open(
                "SELECT id FROM captures WHERE result = '' AND began < ? LIMIT ?",
                (now_s - OPEN_MAX_S, PRUNED_AT_ONCE),
            )
        self._count -= gone
        return PRUNED_AT_ONCE in (gone, closed)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    # --- rows and their counts -----------------------------------------------------------------------

    def _row(self, capture_id: CaptureId) -> _Row | None:
        found = self._database.execute(
            "SELECT began, flow, agent, result, step, test FROM captures WHERE id = ?", (capture_id,)
        ).fetchone()
        return None if found is None else _Row(*found)

    def _change(self, capture_id: CaptureId, before: _Row, after: _Row) -> None:
        self._database.execute(
            "UPDATE captures SET result = ?, step = ?, test = ? WHERE id = ?",
            (after.result, after.step, after.test, capture_id),
        )
        self._count_row(before, -1)
        self._count_row(after, 1)

    def _count_row(self, row: _Row, sign: int) -> None:
        cell = (row.day, row.flow, row.agent, row.result)
        self._database.execute(
            "INSERT INTO day_outcomes VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET captures = captures + excluded.captures, test = test + excluded.test",
            (*cell, sign, sign * row.test),
        )
        if sign < 0:
            self._database.execute(
                "DELETE FROM day_outcomes WHERE (day, flow, agent, result) = (?, ?, ?, ?) AND captures = 0",
                cell,
            )
        if row.result == CaptureResult.CALLER_GONE.value:
            self._bump("day_gone", "step", "captures", (row.day, row.flow, row.step), sign)

    def _add_field(self, capture_id: CaptureId, row: _Row, tally: FieldTally) -> None:
        kind = tally.kind.value
        self._database.execute(
            "INSERT INTO fields VALUES (?, ?, ?, ?, ?)",
            (capture_id, tally.field, kind, tally.attempts, tally.seconds),
        )
        self._database.executemany(
            "INSERT INTO rejects VALUES (?, ?, ?, ?)",
            [(capture_id, tally.field, reason.value, times) for reason, times in tally.rejects],
        )
        self._count_field(row, (tally.field, kind, tally.attempts, tally.seconds), 1)
        for reason, times in tally.rejects:
            key = (row.day, row.flow, tally.field, reason.value)
            self._bump("day_rejects", "field, reason", "times", key, times)

    def _count_field(self, row: _Row, field: tuple[str, str, int, int | None], sign: int) -> None:
        name, kind, attempts, seconds = field
        cell = (row.day, row.flow, name, kind)
        self._database.execute(
            "INSERT INTO day_fields VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET asked = asked + excluded.asked, attempts = attempts + excluded.attempts",
            (*cell, sign, sign * attempts),
        )
        if sign < 0:
            self._database.execute(
                "DELETE FROM day_fields WHERE (day, flow, field, kind) = (?, ?, ?, ?) AND asked = 0", cell
            )
        if seconds is not None:
            key = (row.day, row.flow, name, seconds)
            self._bump("day_seconds", "field, seconds", "captures", key, sign)

    def _bump(self, table: str, keys: str, counted: str, key: tuple[int | str, ...], change: int) -> None:
        """Change one count of a day and flow by so many; a count of nothing is no row."""
        marks = ", ".join("?" * len(key))
        self._database.execute(
            f"INSERT INTO {table} VALUES ({marks}, ?) ON CONFLICT DO UPDATE"  # noqa: S608 - names of ours
            f" SET {counted} = {counted} + excluded.{counted}",
            (*key, change),
        )
        if change < 0:
            self._database.execute(
                f"DELETE FROM {table} WHERE (day, flow, {keys}) = ({marks}) AND {counted} = 0",  # noqa: S608 - names of ours
                key,
            )

    # --- what nobody tells, and what is too old ------------------------------------------------------

    def _reopen(self, capture_id: CaptureId) -> None:
        row = self._row(capture_id)
        if row is not None and row.result == END_UNKNOWN:
            self._change(capture_id, row, row._replace(result=""))

    def _close_open(self, query: str, values: tuple[int, ...]) -> int:
        found = self._database.execute(query, values).fetchall()
        for (capture_id,) in found:
            row = self._row(capture_id)
            if row is not None:
                self._change(capture_id, row, row._replace(result=END_UNKNOWN))
        return len(found)

    def _prune(self, oldest_s: int, count: int) -> int:
        """Take away what is too old, then what is too much, a little at a time. Returns how many captures went."""
        over = max(0, count - self._captures_max)
        old = self._database.execute(
            "SELECT id FROM captures WHERE began < ? ORDER BY began LIMIT ?", (oldest_s, PRUNED_AT_ONCE)
        ).fetchall()
        if len(old) < over:
            many = min(over, PRUNED_AT_ONCE)
            old = self._database.execute("SELECT id FROM captures ORDER BY began LIMIT ?", (many,)).fetchall()
        for (capture_id,) in old:
            self._take_away(capture_id)
        return len(old)

    def _take_away(self, capture_id: CaptureId) -> None:
        row, mine = self._row(capture_id), (capture_id,)
        if row is None:
            return
        fields = self._database.execute(
            "SELECT field, kind, attempts, seconds FROM fields WHERE capture = ?", mine
        ).fetchall()
        rejects = self._database.execute(
            "SELECT field, reason, times FROM rejects WHERE capture = ?", mine
        ).fetchall()
        self._count_row(row, -1)
        for field in fields:
            self._count_field(row, field, -1)
        for field, reason, times in rejects:
            self._bump("day_rejects", "field, reason", "times", (row.day, row.flow, field, reason), -times)
        self._database.execute("DELETE FROM captures WHERE id = ?", mine)
        self._database.execute("DELETE FROM fields WHERE capture = ?", mine)
        self._database.execute("DELETE FROM rejects WHERE capture = ?", mine)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield self._database
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk may have rolled back already
                self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


def _may_follow(before: str, result: CaptureResult) -> bool:
    if before in ("", END_UNKNOWN):
        return True
    try:
        return result.value != before and replaces(result, CaptureResult(before))
    except ValueError:  # of another version
        return False
