"""Deliveries that wait for their receivers: a queue for each, in one SQLite file, with counters that outlive a restart.

Durable against the death of the process, not of the machine. What the bodies mean is not known here.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

WAITING_MAX: Final = 10_000
"""Of one receiver: a day of a hundred payments an hour, four times. One more drops the oldest, which is counted."""
SEQUENCES_A_SECOND: Final = 10

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS deliveries (
  seq INTEGER PRIMARY KEY, hook TEXT NOT NULL, event_id TEXT NOT NULL, body BLOB NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL, UNIQUE (hook, event_id)
) STRICT;
CREATE INDEX IF NOT EXISTS deliveries_by_due ON deliveries(hook, due, seq);
CREATE TABLE IF NOT EXISTS receivers (
  hook TEXT PRIMARY KEY, delivered INTEGER NOT NULL DEFAULT 0, dropped INTEGER NOT NULL DEFAULT 0,
  given_up INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS sequences (hook TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One body for one receiver. ``due``: seconds since 1970; ``attempts``: those that have failed."""

    seq: int
    event_id: str
    body: bytes
    attempts: int
    due: float


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one receiver, since the file was made; ``waiting`` now."""

    waiting: int
    delivered: int
    dropped: int
    given_up: int


class WebhookQueue:
    """The file. Every method may raise sqlite3.Error: disk full, file gone."""

    def __init__(self, path: Path, waiting_max: int = WAITING_MAX) -> None:
        """Open or create the file. One that is no database is moved aside: deliveries can be lost, not the service."""
        self._waiting_max = waiting_max
        try:
            self._database = _open(path)
        except sqlite3.DatabaseError:
            path.replace(path.with_suffix(".broken"))
            self._database = _open(path)

    def put(self, hook: str, event_id: str, body_of: Callable[[int], bytes], wall_s: float) -> None:
        """Queue one delivery, its body made with its sequence number; one that waits already stays as it is.

        Numbers of a receiver rise by one, beginning with the tenths of seconds since 1970: where the file is lost they
        go on above those that were (up to ten events a second), and have fewer digits than a card.
        """
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._add(hook, event_id, body_of, wall_s)
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk may have rolled back already
                self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def _add(self, hook: str, event_id: str, body_of: Callable[[int], bytes], wall_s: float) -> None:
        waits = self._database.execute(
            "SELECT 1 FROM deliveries WHERE hook = ? AND event_id = ?", (hook, event_id)
        ).fetchone()
        if waits is not None:
            return
        (number,) = self._database.execute(
            "INSERT INTO sequences VALUES (?, ?) ON CONFLICT DO UPDATE SET last = last + 1 RETURNING last",
            (hook, int(wall_s * SEQUENCES_A_SECOND)),
        ).fetchone()
        self._database.execute(
            "INSERT INTO deliveries (hook, event_id, body, due) VALUES (?, ?, ?, ?)",
            (hook, event_id, body_of(number), wall_s),
        )
        over = self._waiting(hook) - self._waiting_max
        if over > 0:
            self._database.execute(
                "DELETE FROM deliveries WHERE seq IN (SELECT seq FROM deliveries WHERE hook = ? ORDER BY seq LIMIT ?)",
                (hook, over),
            )
            self._count(hook, "dropped", over)

    def next(self, hook: str) -> Delivery | None:
        """Return what is due first, whether it is due already or not."""
        row = self._database.execute(
            "SELECT seq, event_id, body, attempts, due FROM deliveries WHERE hook = ? ORDER BY due, seq LIMIT 1",
            (hook,),
        ).fetchone()
        return Delivery(*row) if row else None

    def delivered(self, hook: str, seq: int) -> None:
        """It has arrived."""
        self._remove(seq)
        self._count(hook, "delivered", 1)

    def given_up(self, hook: str, seq: int) -> None:
        """It is not tried again."""
        self._remove(seq)
        self._count(hook, "given_up", 1)

    def failed(self, seq: int, due_s: float) -> None:
        """It is tried again at ``due_s``."""
        self._database.execute(
            "UPDATE deliveries SET attempts = attempts + 1, due = ? WHERE seq = ?", (due_s, seq)
        )

    def counts(self, hook: str) -> Counts:
        """Return what became of a receiver's deliveries."""
        row = self._database.execute(
            "SELECT delivered, dropped, given_up FROM receivers WHERE hook = ?", (hook,)
        ).fetchone()
        return Counts(self._waiting(hook), *(row or (0, 0, 0)))

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _waiting(self, hook: str) -> int:
        found = self._database.execute("SELECT count(*) FROM deliveries WHERE hook = ?", (hook,)).fetchone()
        return int(found[0])

    def _remove(self, seq: int) -> None:
        self._database.execute("DELETE FROM deliveries WHERE seq = ?", (seq,))

    def _count(self, hook: str, column: str, number: int) -> None:
        self._database.execute(
            f"INSERT INTO receivers (hook, {column}) VALUES (?, ?)"  # noqa: S608 - own names
            f" ON CONFLICT (hook) DO UPDATE SET {column} = {column} + excluded.{column}",
            (hook, number),
        )


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=NORMAL")
    database.executescript(_SCHEMA)
    return database
