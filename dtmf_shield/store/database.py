"""SQLite as the ledger needs it: write-ahead log, full synchronisation, owner-only file, a versioned schema.

One connection, one thread, one writer process a file. It knows nothing of what the rows mean.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from dtmf_shield.base.errors import OperatorError

BUSY_TIMEOUT_MS: Final = 2_000
SCHEMA_VERSION: Final = 1

_SCHEMA: Final = """
CREATE TABLE captures (
  id TEXT PRIMARY KEY, call_id TEXT NOT NULL, flow TEXT NOT NULL DEFAULT '', started REAL NOT NULL, ended REAL,
  state TEXT NOT NULL, brand TEXT NOT NULL DEFAULT '', last4 TEXT NOT NULL DEFAULT '',
  exp_month INTEGER, exp_year INTEGER, result TEXT, test INTEGER NOT NULL
) STRICT;
CREATE TABLE operations (
  id INTEGER PRIMARY KEY, capture_id TEXT NOT NULL REFERENCES captures(id), kind TEXT NOT NULL,
  idem_key TEXT NOT NULL UNIQUE, amount_minor INTEGER, currency TEXT, gateway TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('intent','approved','declined','failed_before_send','unknown')),
  token TEXT, dek_id TEXT, decline_code TEXT, avs TEXT, cvc_check TEXT, gw_ref TEXT, net_txn_id TEXT,
  sent_at REAL NOT NULL, settled_at REAL
) STRICT;
CREATE INDEX operations_by_state ON operations(state);
CREATE TABLE installation (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""

_DEK_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS deks (
  id TEXT PRIMARY KEY, created REAL NOT NULL, kek_id TEXT NOT NULL, wrapped BLOB NOT NULL
) STRICT;
"""
"""Added to a ledger of any schema version: it stands beside the other tables and changes none."""


def open_ledger_database(path: Path) -> sqlite3.Connection:
    """Open ``path``, made with mode 0600 where missing.

    Write-ahead log and shared memory files are open after this, so that a sealed process can go on.
    Raises OperatorError where the file cannot be opened or is of another schema.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)
        _prepare(connection)
    except (OSError, sqlite3.Error) as error:
        raise OperatorError(f"{path}: cannot open the ledger ({error}); check the state directory") from error
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA_VERSION:
        connection.close()
        raise OperatorError(f"{path}: ledger schema {version}, this version reads {SCHEMA_VERSION}")
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "temp_store=MEMORY", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
    connection.executescript(_DEK_SCHEMA)
    connection.execute("INSERT OR IGNORE INTO installation VALUES ('opened', '')")
    connection.execute("SELECT count(*) FROM installation").fetchone()
