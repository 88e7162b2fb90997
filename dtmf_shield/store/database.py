"""SQLite as the ledger needs it: write-ahead log, full synchronisation, owner-only file, a versioned schema.

One connection, one thread, one writer process a file. It knows nothing of what the rows mean.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.store.ledger_schema import INDEX_UNWANTED, INDEXES_READ, SCHEMA_VERSION, migrate

BUSY_TIMEOUT_MS: Final = 2_000

_DEK_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS deks (
  id TEXT PRIMARY KEY, created REAL NOT NULL, kek_id TEXT NOT NULL, wrapped BLOB NOT NULL
) STRICT;
"""
"""Added to a ledger of any schema version: it stands beside the other tables and changes none."""


def open_ledger_database(path: Path) -> sqlite3.Connection:
    """Open ``path``, made with mode 0600 where missing, brought to the schema of this version where it is older.

    Write-ahead log and shared memory files are open after this, so that a sealed process can go on.
    Raises OperatorError where the file cannot be opened or is of another schema.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)
        version = _prepare(connection)
    except (OSError, sqlite3.Error) as error:
        raise OperatorError(f"{path}: cannot open the ledger ({error}); check the state directory") from error
    if version != SCHEMA_VERSION:
        connection.close()
        raise OperatorError(f"{path}: ledger schema {version}, this version reads {SCHEMA_VERSION}")
    return connection


def _prepare(connection: sqlite3.Connection) -> int:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "temp_store=MEMORY", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    version = migrate(connection)
    if version == SCHEMA_VERSION:
        connection.executescript(_DEK_SCHEMA + INDEX_UNWANTED + INDEXES_READ)
        # One write and one read: the write-ahead log and its shared memory are open from here on.
        connection.execute("INSERT OR IGNORE INTO installation VALUES ('opened', '')")
        connection.execute("SELECT count(*) FROM installation").fetchone()
    return version
