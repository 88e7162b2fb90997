"""Ledger rows: durable, private to their owner, keys used once, intents of a dead process become unknown."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.store.database import open_ledger_database
from dtmf_shield.store.ledger_rows import AbandonedCapture, LedgerRows, OperationRow


def ledger(directory: Path) -> LedgerRows:
    rows = LedgerRows(directory / "ledger.sqlite3")
    rows.start_capture("c1", "call-1", test=True, wall_s=1.0)
    return rows


def intend(rows: LedgerRows, key: str = "k1") -> None:
    rows.intend("c1", kind="tokenize", idem_key=key, gateway="g", expiry=(12, 30), wall_s=2.0)


def test_database_syncs_fully_and_belongs_to_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    database = open_ledger_database(path)

    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database.execute("PRAGMA synchronous").fetchone() == (2,)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.with_name("ledger.sqlite3-wal").exists()


def test_intent_is_on_disk_before_it_is_settled(tmp_path: Path) -> None:
    rows = ledger(tmp_path)
    intend(rows)

    assert ledger(tmp_path).operations("c1") == (OperationRow("c1", "tokenize", "k1", "g", "intent", "", ""),)

    rows.settle("k1", state="approved", token="tok_TEST_1", decline_code="", wall_s=3.0)
    assert rows.operations("c1") == (OperationRow("c1", "tokenize", "k1", "g", "approved", "tok_TEST_1", ""),)


def test_key_is_used_once(tmp_path: Path) -> None:
    rows = ledger(tmp_path)
    intend(rows)

    with pytest.raises(sqlite3.IntegrityError):
        intend(rows)
    assert len(rows.operations("c1")) == 1


def test_state_outside_the_closed_set_is_refused(tmp_path: Path) -> None:
    rows = ledger(tmp_path)
    intend(rows)

    with pytest.raises(sqlite3.IntegrityError):
        rows.settle("k1", state="perhaps", token="", decline_code="", wall_s=3.0)


def test_what_a_dead_process_left_is_ended(tmp_path: Path) -> None:
    rows = ledger(tmp_path)
    intend(rows)
    rows.start_capture("c2", "call-1", test=True, wall_s=3.0)

    again = LedgerRows(tmp_path / "ledger.sqlite3")

    assert again.abandon(9.0) == (AbandonedCapture("c1", sent=True), AbandonedCapture("c2", sent=False))
    assert again.operations("c1")[0].state == "unknown"
    assert (again.capture_result("c1"), again.capture_result("c2")) == ("unknown", "interrupted")
    assert again.abandon(10.0) == ()


def test_capture_ends_once_with_its_result(tmp_path: Path) -> None:
    rows = ledger(tmp_path)
    assert rows.capture_result("c1") is None

    rows.end_capture("c1", result="declined", brand="visa", last4="0002", wall_s=4.0)

    assert rows.capture_result("c1") == "declined"


def test_installation_value_is_made_once(tmp_path: Path) -> None:
    rows = ledger(tmp_path)

    assert rows.installation_value("namespace", "first") == "first"
    assert ledger(tmp_path).installation_value("namespace", "second") == "first"


def test_ledger_of_another_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    open_ledger_database(path).execute("PRAGMA user_version=99")

    with pytest.raises(OperatorError, match="schema 99"):
        open_ledger_database(path)


def test_file_that_is_no_database_is_an_operators_error(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(b"no database at all " * 100)

    with pytest.raises(OperatorError, match=r"ledger\.sqlite3"):
        open_ledger_database(path)
