"""Rows of captures for reports: one at each begin, completed at its end. SQLite, one file, one writer.

Kept REPORT_DAYS_MAX days and CAPTURES_MAX captures at most; the oldest go first. Counting is done by SQLite, on a
connection of the reader's own, so that neither a large table nor a slow disk holds up who writes.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dtmf_shield.model.capture import CaptureResult, replaces
from dtmf_shield.model.report import (
    CaptureBegin,
    CaptureEnd,
    FieldCount,
    OutcomeCount,
    ReportCounts,
    ReportRange,
)

REPORT_DAYS_MAX: Final = 400
"""A year can be compared with the one before it, and a little more."""
CAPTURES_MAX: Final = 1_000_000
"""About 250 MB: 2 500 captures a day, every day."""
PRUNED_AT_ONCE: Final = 64
"""Old captures that one begin takes away at most: more than come, so it never falls behind."""
DAY_S: Final = 86_400
BUSY_TIMEOUT_S: Final = 0.2
"""There is one writer; who reads holds nobody up (write-ahead log)."""
CELLS_MAX: Final = 50_000
"""Counts of one kind in one report: days times flows times agents times results."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS captures (
  id TEXT PRIMARY KEY, began INTEGER NOT NULL, flow TEXT NOT NULL, agent TEXT NOT NULL,
  result TEXT NOT NULL DEFAULT '', step TEXT NOT NULL DEFAULT '', brand TEXT NOT NULL DEFAULT '',
  test INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS captures_began ON captures (began);
CREATE TABLE IF NOT EXISTS fields (
  capture TEXT NOT NULL, field TEXT NOT NULL, kind TEXT NOT NULL, attempts INTEGER NOT NULL, seconds INTEGER,
  PRIMARY KEY (capture, field)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rejects (
  capture TEXT NOT NULL, field TEXT NOT NULL, reason TEXT NOT NULL, times INTEGER NOT NULL,
  PRIMARY KEY (capture, field, reason)
) STRICT, WITHOUT ROWID;
"""
_WANTED: Final = (
    "c.began >= :from_s AND c.began < :to_s AND (:flow IS NULL OR c.flow = :flow)"
    " AND (:agent IS NULL OR c.agent = :agent)"
)


def _count(what: str, joined: str = "", also: str = "", by: str = "1, 2", order: str = "1, 2") -> str:
    """Return the query that counts ``what`` over the captures wanted. Every word in it is this file's own."""
    return (
        f"SELECT {what} FROM captures c {joined} WHERE {_WANTED} {also}"  # noqa: S608 - own text
        f" GROUP BY {by} ORDER BY {order} LIMIT {CELLS_MAX}"
    )


_JOIN_FIELDS: Final = "JOIN fields f ON f.capture = c.id"
_OUTCOMES: Final = _count(
    "date(c.began, 'unixepoch'), c.flow, c.agent, c.result, count(*), sum(c.test)",
    by="1, 2, 3, 4",
    order="1, 2, 3, 4",
)
_FIELDS: Final = _count(
    "f.field, max(f.kind), count(*), sum(f.attempts)", _JOIN_FIELDS, by="1", order="count(*) DESC, 1"
)
_SECONDS: Final = _count("f.field, f.seconds, count(*)", _JOIN_FIELDS, "AND f.seconds IS NOT NULL")
_REJECTS: Final = _count("r.field, r.reason, sum(r.times)", "JOIN rejects r ON r.capture = c.id")
_GONE: Final = _count(
    "c.flow, c.step, count(*)",
    also=f"AND c.result = '{CaptureResult.CALLER_GONE.value}'",
    order="count(*) DESC, 1, 2",
)


class ReportRows:
    """Writes rows, keeps within the limits, and counts. Every method may raise sqlite3.Error."""

    def __init__(self, path: Path, *, captures_max: int = CAPTURES_MAX) -> None:
        """Open or create the file. One that is no database is moved aside: a report can be lost, no call."""
        self._path, self._captures_max = path, captures_max
        try:
            self._database = _open(path)
        except sqlite3.OperationalError:
            raise  # a disk that is full or away: what lies there may be whole
        except sqlite3.DatabaseError:
            path.replace(path.with_suffix(".broken"))
            self._database = _open(path)
        self._count = int(self._database.execute("SELECT count(*) FROM captures").fetchone()[0])

    def began(self, begin: CaptureBegin) -> None:
        """Write a capture that runs; one that is there already keeps what it says."""
        values = (begin.capture_id, begin.began_s, begin.flow, begin.agent)
        with self._transaction() as database:
            added = database.execute(
                "INSERT OR IGNORE INTO captures (id, began, flow, agent) VALUES (?, ?, ?, ?)", values
            ).rowcount
            gone = self._prune(begin.began_s - REPORT_DAYS_MAX * DAY_S, self._count + added)
        self._count += added - gone

    def ended(self, end: CaptureEnd) -> bool:
        """Write an end: the first, or the truth after a guess. False where it is no news, or of no capture here."""
        with self._transaction() as database:
            row = database.execute("SELECT result FROM captures WHERE id = ?", (end.capture_id,)).fetchone()
            if row is None or not _may_follow(row[0], end.result):
                return False
            first = not row[0]
            database.execute(
                "UPDATE captures SET result = ? WHERE id = ?", (end.result.value, end.capture_id)
            )
            if end.brand or first:
                facts = (end.brand, int(end.test), end.capture_id)
                database.execute("UPDATE captures SET brand = ?, test = ? WHERE id = ?", facts)
            if first:
                self._fields(database, end)
        return True

    def counts(self, wanted: ReportRange) -> ReportCounts:
        """Count on a connection of its own, which any thread may do while another writes."""
        asked = {"from_s": wanted.from_s, "to_s": wanted.to_s, "flow": wanted.flow, "agent": wanted.agent}
        with contextlib.closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as database:
            database.execute("BEGIN")  # one moment for all of them
            return ReportCounts(
                outcomes=tuple(OutcomeCount(*row) for row in database.execute(_OUTCOMES, asked)),
                fields=tuple(FieldCount(*row) for row in database.execute(_FIELDS, asked)),
                seconds=tuple(database.execute(_SECONDS, asked)),
                rejects=tuple(database.execute(_REJECTS, asked)),
                gone=tuple(database.execute(_GONE, asked)),
            )

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _fields(self, database: sqlite3.Connection, end: CaptureEnd) -> None:
        database.execute("UPDATE captures SET step = ? WHERE id = ?", (end.step, end.capture_id))
        for tally in end.fields:
            row = (end.capture_id, tally.field, tally.kind.value, tally.attempts, tally.seconds)
            database.execute("INSERT OR REPLACE INTO fields VALUES (?, ?, ?, ?, ?)", row)
            for reason, times in tally.rejects:
                refused = (end.capture_id, tally.field, reason.value, times)
                database.execute("INSERT OR REPLACE INTO rejects VALUES (?, ?, ?, ?)", refused)

    def _prune(self, oldest_s: int, count: int) -> int:
        """Take away what is too old, then what is too much, a little at a time. Returns how many captures went."""
        over = max(0, count - self._captures_max)
        old = self._database.execute(
            "SELECT id FROM captures WHERE began < ? ORDER BY began LIMIT ?", (oldest_s, PRUNED_AT_ONCE)
        ).fetchall()
        if len(old) < over:
            many = min(over, PRUNED_AT_ONCE)
            old = self._database.execute("SELECT id FROM captures ORDER BY began LIMIT ?", (many,)).fetchall()
        for table, key in (("captures", "id"), ("fields", "capture"), ("rejects", "capture")):
            self._database.executemany(f"DELETE FROM {table} WHERE {key} = ?", old)  # noqa: S608 - names of ours
        return len(old)

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


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S)
    database.execute("PRAGMA journal_mode=WAL")
    # Survives the death of the process; a crash of the machine may cost the last rows, which no money hangs on.
    database.execute("PRAGMA synchronous=NORMAL")
    database.executescript(_SCHEMA)
    path.chmod(0o600)
    return database


def _may_follow(before: str, result: CaptureResult) -> bool:
    if not before:
        return True
    try:
        return result.value != before and replaces(result, CaptureResult(before))
    except ValueError:  # of another version
        return False
