"""The crash bench finds nothing with the rules as they are, and finds double charges where they are broken."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.crash_books import compare
from dtmf_shield.store.ledger_rows import LedgerRows, NewCapture
from dtmf_shield.store.operation_rows import NewOperation, Settlement

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> tuple[int, dict[str, int]]:
    result = subprocess.run(
        [sys.executable, "-m", "bench.crash_payments", "--json", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.stdout, result.stderr[-3_000:]
    return result.returncode, json.loads(result.stdout)


def test_no_payment_is_double_lost_or_left_unknown() -> None:
    code, found = run("--payments", "100", "--seed", "7", "--kill-chance", "0.003")

    assert found == {"payments": 100, "double": 0, "lost": 0, "unknown_left": 0}
    assert code == 0


def test_a_new_key_for_each_send_is_seen_as_double_charges() -> None:
    plan = ("--payments", "120", "--seed", "7", "--kill-chance", "0.001", "--broken", "new_key")

    # With the rules broken, some operations never settle: they are not waited for.
    code, found = run(*plan, "--settle-s", "5")

    assert found["double"] > 0
    assert code == 1


# --- the comparison itself -------------------------------------------------------------------------------


def ledger(directory: Path, *charges: tuple[str, int, str]) -> Path:
    rows = LedgerRows(directory / "ledger.sqlite3")
    rows.start_capture(NewCapture("c", "call"), wall_s=1.0)
    for name, amount_minor, state in charges:
        rows.operations.insert(
            NewOperation(name, "c", "charge", name, "g", amount_minor=amount_minor, currency="EUR"),
            wall_s=1.0,
        )
        rows.operations.settle(name, Settlement(state), wall_s=2.0)
    rows.close()
    return directory / "ledger.sqlite3"


def booked(
    charge_id: str, method: str, amount_minor: int, parent: str = "", state: str = "approved"
) -> dict[str, Any]:
    return {
        "charge_id": charge_id,
        "method": method,
        "amount_minor": amount_minor,
        "parent": parent,
        "state": state,
    }


def test_books_that_agree_have_nothing_to_tell(tmp_path: Path) -> None:
    book = [
        booked("1", "charge", 100),
        booked("", "charge", 200, state="declined"),
        booked("t", "tokenize", 0),
    ]

    found = compare(book, [ledger(tmp_path, ("a", 100, "approved"), ("b", 200, "declined"))])

    assert (found.double, found.lost, found.unknown_left, found.effects) == (0, 0, 0, 1)


def test_each_kind_of_disagreement_is_counted(tmp_path: Path) -> None:
    book = [booked("1", "charge", 100), booked("2", "charge", 100), booked("3", "charge", 200)]
    states = (("a", 100, "approved"), ("b", 200, "declined"), ("c", 300, "approved"), ("d", 400, "unknown"))

    found = compare(book, [ledger(tmp_path, *states)])

    assert (found.double, found.lost, found.unknown_left) == (1, 2, 1)


def test_refund_done_twice_and_money_nobody_waited_for_are_counted(tmp_path: Path) -> None:
    path = ledger(tmp_path, ("a", 100, "approved"), ("b", 200, "approved"))
    with sqlite3.connect(path) as database:
        database.execute("UPDATE operations SET unwanted = 1 WHERE operation_id = 'b'")
    rows = LedgerRows(path)
    rows.operations.insert(NewOperation("r", "c", "refund", "r", "g", "a", 11, "EUR"), wall_s=1.0)
    rows.operations.settle("r", Settlement("approved"), wall_s=2.0)
    rows.close()
    book = [booked("1", "charge", 100), booked("2", "charge", 200)]
    book += [booked("3", "refund", 11, "1"), booked("4", "refund", 11, "1")]

    found = compare(book, [path])

    assert (found.double, found.lost, found.kept) == (1, 1, 1)
