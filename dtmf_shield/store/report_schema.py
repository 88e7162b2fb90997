"""The file of reports: rows of captures, and the counts of each day that are kept beside them.

A report of a quarter reads counts, some thousand rows, and not captures, which are hundreds of thousands with three
fields each. Counts change in the transaction that changes the row, so they are always what counting anew would give
(``rebuild`` counts anew; the tests compare). The counts of fields know no agent: with fifty agents there would be as
many counts as rows. One agent's fields are counted from the rows, which an index leads to.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from dtmf_shield.model.capture import CaptureResult

DAY_S: Final = 86_400
BUSY_TIMEOUT_S: Final = 0.2
"""There is one writer; who reads holds nobody up (write-ahead log)."""
COUNTS_VERSION: Final = 1
"""PRAGMA user_version of a file whose counts are there; one without them is counted once, when it is opened."""
COUNT_TABLES: Final = ("day_outcomes", "day_gone", "day_fields", "day_seconds", "day_rejects")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS captures (
  id TEXT PRIMARY KEY, began INTEGER NOT NULL, flow TEXT NOT NULL, agent TEXT NOT NULL,
  result TEXT NOT NULL DEFAULT '', step TEXT NOT NULL DEFAULT '', brand TEXT NOT NULL DEFAULT '',
  test INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS captures_began ON captures (began);
CREATE INDEX IF NOT EXISTS captures_agent ON captures (agent, began);
CREATE INDEX IF NOT EXISTS captures_open ON captures (began) WHERE result = '';
CREATE TABLE IF NOT EXISTS fields (
  capture TEXT NOT NULL, field TEXT NOT NULL, kind TEXT NOT NULL, attempts INTEGER NOT NULL, seconds INTEGER,
  PRIMARY KEY (capture, field)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rejects (
  capture TEXT NOT NULL, field TEXT NOT NULL, reason TEXT NOT NULL, times INTEGER NOT NULL,
  PRIMARY KEY (capture, field, reason)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS day_outcomes (
  day INTEGER NOT NULL, flow TEXT NOT NULL, agent TEXT NOT NULL, result TEXT NOT NULL,
  captures INTEGER NOT NULL, test INTEGER NOT NULL, PRIMARY KEY (day, flow, agent, result)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS day_gone (
  day INTEGER NOT NULL, flow TEXT NOT NULL, step TEXT NOT NULL, captures INTEGER NOT NULL,
  PRIMARY KEY (day, flow, step)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS day_fields (
  day INTEGER NOT NULL, flow TEXT NOT NULL, field TEXT NOT NULL, kind TEXT NOT NULL,
  asked INTEGER NOT NULL, attempts INTEGER NOT NULL, PRIMARY KEY (day, flow, field, kind)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS day_seconds (
  day INTEGER NOT NULL, flow TEXT NOT NULL, field TEXT NOT NULL, seconds INTEGER NOT NULL,
  captures INTEGER NOT NULL, PRIMARY KEY (day, flow, field, seconds)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS day_rejects (
  day INTEGER NOT NULL, flow TEXT NOT NULL, field TEXT NOT NULL, reason TEXT NOT NULL,
  times INTEGER NOT NULL, PRIMARY KEY (day, flow, field, reason)
) STRICT, WITHOUT ROWID;
"""
_GONE: Final = CaptureResult.CALLER_GONE.value
_REBUILD: Final = f"""
DELETE FROM day_outcomes; DELETE FROM day_gone; DELETE FROM day_fields;
DELETE FROM day_seconds; DELETE FROM day_rejects;
INSERT INTO day_outcomes SELECT began / {DAY_S}, flow, agent, result, count(*), sum(test) FROM captures
  GROUP BY 1, 2, 3, 4;
INSERT INTO day_gone SELECT began / {DAY_S}, flow, step, count(*) FROM captures WHERE result = '{_GONE}'
  GROUP BY 1, 2, 3;
INSERT INTO day_fields SELECT c.began / {DAY_S}, c.flow, f.field, f.kind, count(*), sum(f.attempts)
  FROM fields f JOIN captures c ON c.id = f.capture GROUP BY 1, 2, 3, 4;
INSERT INTO day_seconds SELECT c.began / {DAY_S}, c.flow, f.field, f.seconds, count(*)
  FROM fields f JOIN captures c ON c.id = f.capture WHERE f.seconds IS NOT NULL GROUP BY 1, 2, 3, 4;
INSERT INTO day_rejects SELECT c.began / {DAY_S}, c.flow, r.field, r.reason, sum(r.times)
  FROM rejects r JOIN captures c ON c.id = r.capture GROUP BY 1, 2, 3, 4;
PRAGMA user_version = {COUNTS_VERSION};
"""  # noqa: S608 - own text


def open_reports(path: Path) -> sqlite3.Connection:
    """Open or create the file, for its owner alone; one of before counts were kept is counted. Raises sqlite3.Error."""
    database = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S)
    database.execute("PRAGMA journal_mode=WAL")
    # Survives the death of the process; a crash of the machine may cost the last rows, which no money hangs on.
    database.execute("PRAGMA synchronous=NORMAL")
    database.executescript(_SCHEMA)
    if database.execute("PRAGMA user_version").fetchone()[0] < COUNTS_VERSION:
        rebuild(database)
    path.chmod(0o600)
    return database


def rebuild(database: sqlite3.Connection) -> None:
    """Count every day anew from its rows, in one transaction. Raises sqlite3.Error."""
    database.executescript(f"BEGIN IMMEDIATE; {_REBUILD} COMMIT;")
