"""The ledger's tables, and the way from each older version to the next. What the rows mean is not known here.

No column holds a card number, a security code, a hash or a prefix of one. ``operations.token`` is sealed bytes wherever
``dek_id`` names a data key; rows of version 1 without one are in clear until the ledger seals them.
"""

from __future__ import annotations

import sqlite3
from typing import Final

SCHEMA_VERSION: Final = 2

_CAPTURES: Final = """
CREATE TABLE captures (
  id TEXT PRIMARY KEY, call_id TEXT NOT NULL, flow TEXT NOT NULL DEFAULT '', started REAL NOT NULL, ended REAL,
  state TEXT NOT NULL, brand TEXT NOT NULL DEFAULT '', last4 TEXT NOT NULL DEFAULT '',
  exp_month INTEGER, exp_year INTEGER, result TEXT, test INTEGER NOT NULL,
  caller TEXT NOT NULL DEFAULT '', agent TEXT NOT NULL DEFAULT ''
) STRICT;
"""
_OPERATIONS: Final = """
CREATE TABLE operations (
  id INTEGER PRIMARY KEY, operation_id TEXT NOT NULL UNIQUE, parent_id TEXT NOT NULL DEFAULT '',
  capture_id TEXT NOT NULL REFERENCES captures(id),
  kind TEXT NOT NULL CHECK (kind IN ('verify','tokenize','authorize','charge','capture','refund','void')),
  idem_key TEXT NOT NULL UNIQUE,
  amount_minor INTEGER NOT NULL DEFAULT 0 CHECK (amount_minor >= 0), currency TEXT NOT NULL DEFAULT '',
  reference TEXT NOT NULL DEFAULT '', gateway TEXT NOT NULL,
  state TEXT NOT NULL CHECK
    (state IN ('intent','approved','declined','action_required','failed_before_send','unknown')),
  token BLOB, dek_id TEXT, decline_code TEXT, gw_ref TEXT NOT NULL DEFAULT '',
  auth_code TEXT NOT NULL DEFAULT '', net_txn_id TEXT NOT NULL DEFAULT '', avs TEXT NOT NULL DEFAULT '',
  cvc_check TEXT NOT NULL DEFAULT '', attempts INTEGER NOT NULL DEFAULT 1, unwanted INTEGER NOT NULL DEFAULT 0,
  reason TEXT NOT NULL DEFAULT '', sent_at REAL NOT NULL, settled_at REAL
) STRICT;
CREATE INDEX operations_by_state ON operations(state);
CREATE INDEX operations_by_parent ON operations(parent_id);
CREATE INDEX operations_by_capture ON operations(capture_id);
"""
INDEX_UNWANTED: Final = (
    "CREATE INDEX IF NOT EXISTS operations_unwanted ON operations(state) WHERE unwanted = 1;"
)
"""Few are unwanted, and all of them are looked through once a minute. Added to a ledger that has none: it changes no
table, so it is no version of its own.
"""
INDEXES_READ: Final = (
    "CREATE INDEX IF NOT EXISTS operations_by_reference ON operations(reference);"
    "CREATE INDEX IF NOT EXISTS operations_by_time ON operations(sent_at);"
)
"""What people look for payments by. Added like INDEX_UNWANTED."""
_INSTALLATION: Final = "CREATE TABLE installation (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;"

_FROM_1_TO_2: Final = f"""
ALTER TABLE captures ADD COLUMN caller TEXT NOT NULL DEFAULT '';
ALTER TABLE captures ADD COLUMN agent TEXT NOT NULL DEFAULT '';
DROP INDEX operations_by_state;
ALTER TABLE operations RENAME TO operations_1;
{_OPERATIONS}
INSERT INTO operations (id, operation_id, capture_id, kind, idem_key, amount_minor, currency, gateway, state, token,
  dek_id, decline_code, gw_ref, net_txn_id, avs, cvc_check, sent_at, settled_at)
SELECT id, 'v1-' || id, capture_id, kind, idem_key, coalesce(amount_minor, 0), coalesce(currency, ''), gateway, state,
  CAST(token AS BLOB), dek_id, decline_code, coalesce(gw_ref, ''), coalesce(net_txn_id, ''),
  coalesce(avs, ''), coalesce(cvc_check, ''), sent_at, settled_at
FROM operations_1;
DROP TABLE operations_1;
"""  # noqa: S608 - own text
"""SQLite cannot change a CHECK: the table is made anew. Version 1 only ever tokenised."""

_STEPS: Final = {0: _CAPTURES + _OPERATIONS + _INSTALLATION, 1: _FROM_1_TO_2}
_VERSION_AFTER: Final = {0: SCHEMA_VERSION, 1: 2}


def migrate(connection: sqlite3.Connection) -> int:
    """Bring the file to SCHEMA_VERSION, each step in one transaction. Return the version it has then.

    A version that is not known is left as it is: its number is returned.
    """
    while (version := int(connection.execute("PRAGMA user_version").fetchone()[0])) in _STEPS:
        after = _VERSION_AFTER[version]
        connection.executescript(f"BEGIN IMMEDIATE; {_STEPS[version]} PRAGMA user_version={after}; COMMIT;")
    return version
