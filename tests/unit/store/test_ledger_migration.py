"""A ledger of version 1 is brought to version 2: nothing lost, tokens in clear marked to be sealed, all or nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.store.ledger_rows import LedgerRows
from dtmf_shield.store.ledger_schema import SCHEMA_VERSION

VERSION_1 = """
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
INSERT INTO installation VALUES ('idempotency_namespace', '0123');
INSERT INTO captures VALUES ('c1', 'call-1', '', 1.0, 2.0, 'ended', 'visa', '4242', 12, 30, 'token', 1);
INSERT INTO captures VALUES ('c2', 'call-1', '', 3.0, NULL, 'running', '', '', NULL, NULL, NULL, 1);
INSERT INTO operations (capture_id, kind, idem_key, gateway, state, token, sent_at, settled_at)
  VALUES ('c1', 'tokenize', 'k1', 'g', 'approved', 'tok_TEST_1', 1.5, 2.0);
INSERT INTO operations (capture_id, kind, idem_key, gateway, state, decline_code, sent_at, settled_at)
  VALUES ('c1', 'tokenize', 'k2', 'g', 'declined', 'card_declined', 1.5, 2.0);
INSERT INTO operations (capture_id, kind, idem_key, gateway, state, sent_at)
  VALUES ('c2', 'tokenize', 'k3', 'g', 'intent', 3.5);
PRAGMA user_version=1;
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite3"
    database = sqlite3.connect(path)
    database.executescript(VERSION_1)
    database.close()
    return path


def test_every_row_is_there_after(old: Path) -> None:
    rows = LedgerRows(old)

    assert [(row.operation_id, row.state, row.decline_code) for row in rows.operations.of_capture("c1")] == [
        ("v1-1", "approved", ""),
        ("v1-2", "declined", "card_declined"),
    ]
    assert [(row.idem_key, row.sent_at) for row in rows.operations.of_capture("c2")] == [("k3", 3.5)]
    assert rows.installation_value("idempotency_namespace", "fresh") == "0123"
    database = sqlite3.connect(old)
    assert database.execute("SELECT result FROM captures WHERE id = 'c1'").fetchone() == ("token",)
    assert [each.capture_id for each in rows.abandon(9.0)] == ["c2"]


def test_tokens_in_clear_are_found_and_sealed_once(old: Path) -> None:
    rows = LedgerRows(old)
    assert [(row.idem_key, row.token) for row in rows.operations.clear_tokens()] == [("k1", b"tok_TEST_1")]

    rows.operations.seal_token("k1", b"sealed", "day-1")
    rows.operations.seal_token("k1", b"again", "day-2")

    assert rows.operations.clear_tokens() == ()
    assert rows.operations.of_capture("c1")[0].token == b"sealed"


def test_migration_happens_once_and_a_second_start_changes_nothing(old: Path) -> None:
    LedgerRows(old).close()
    rows = LedgerRows(old)

    assert len(rows.operations.of_capture("c1")) == 2
    database = sqlite3.connect(old)
    assert database.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []


def test_migration_that_fails_leaves_the_old_ledger_whole(old: Path) -> None:
    database = sqlite3.connect(old)
    database.execute("CREATE TABLE operations_1 (x)")
    database.commit()

    with pytest.raises(OperatorError, match=r"ledger\.sqlite3"):
        LedgerRows(old)

    assert database.execute("PRAGMA user_version").fetchone() == (1,)
    assert database.execute("SELECT count(*) FROM operations").fetchone() == (3,)
