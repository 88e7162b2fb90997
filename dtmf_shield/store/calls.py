"""The call registry: what control must know to take up calls again after its own death. SQLite, one file.

Records are opaque bytes made by the call core; by their type they hold no digit and no card data.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from dtmf_shield.model.ids import CallId

RECORD_BYTES_MAX: Final = 32_768


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    # The registry outlives kill -9 of control; after a crash of the machine the calls are gone anyway.
    database.execute("PRAGMA synchronous=NORMAL")
    database.execute("CREATE TABLE IF NOT EXISTS calls (id TEXT PRIMARY KEY, record BLOB NOT NULL)")
    return database


class CallRegistry:
    """Insert or replace, delete, read all. Durable against the death of the process, not of the machine."""

    def __init__(self, path: Path) -> None:
        """Open or create the file. One that is no database is moved aside: calls can be lost, not the service."""
        try:
            self._database = _open(path)
        except sqlite3.DatabaseError:
            path.replace(path.with_suffix(".broken"))
            self._database = _open(path)

    def put(self, call_id: CallId, record: bytes) -> None:
        """Write one call's record. Raises ValueError over RECORD_BYTES_MAX."""
        if len(record) > RECORD_BYTES_MAX:
            raise ValueError(f"call record of {len(record)} bytes, at most {RECORD_BYTES_MAX}")
        self._database.execute("INSERT OR REPLACE INTO calls VALUES (?, ?)", (call_id, record))

    def remove(self, call_id: CallId) -> None:
        """Forget one call."""
        self._database.execute("DELETE FROM calls WHERE id = ?", (call_id,))

    def records(self) -> list[bytes]:
        """All records, oldest first."""
        return [row[0] for row in self._database.execute("SELECT record FROM calls ORDER BY rowid")]

    def clear(self) -> None:
        """Forget all: at the start of the service no call can be alive."""
        self._database.execute("DELETE FROM calls")

    def close(self) -> None:
        """Close the file."""
        self._database.close()
