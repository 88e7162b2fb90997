"""``dtmf-shield payments``: what is unknown is shown, settled once with a reason, and nothing else can be."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dtmf_shield.cli.main import app
from dtmf_shield.service.payments import amount_text
from dtmf_shield.store.ledger_rows import LedgerRows, NewCapture
from dtmf_shield.store.operation_rows import NewOperation, Settlement

REASON = ("--reason", "Eve looked at the gateway's dashboard")


def run(*arguments: str | Path, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["payments", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def state(tmp_path: Path) -> Path:
    rows = LedgerRows(tmp_path / "ledger.sqlite3")
    rows.start_capture(NewCapture("c1", "call-1"), wall_s=1.0)
    for name, end in (("asked", "unknown"), ("done", "approved"), ("sending", "intent"), ("lost", "unknown")):
        kind = "tokenize" if name == "lost" else "charge"
        rows.operations.insert(
            NewOperation(name, "c1", kind, f"key-{name}", "g", amount_minor=1_050, currency="EUR"), wall_s=2.0
        )
        rows.operations.settle(f"key-{name}", Settlement(end, token=b"sealed-token", dek_id="d"), wall_s=3.0)
    rows.close()
    return tmp_path


def test_what_is_unknown_is_listed_and_the_exit_code_says_so(state: Path) -> None:
    found = json.loads(run("list", "--state-directory", state, "--json", code=1).stdout)

    assert [(row["operation"], row["amount"], row["currency"]) for row in found["unknown"]] == [
        ("asked", "10.50", "EUR")
    ]
    assert found["to_take_back"] == []
    text = run("list", "--state-directory", state, code=1).stdout
    assert "asked  charge 10.50 EUR  unknown" in text
    assert "sealed-token" not in text


def test_it_is_settled_once_with_its_reason_in_the_ledger(state: Path) -> None:
    where = ("--state-directory", state)

    settled = json.loads(run("settle", "asked", "approved", *REASON, *where, "--json").stdout)
    again = run("settle", "asked", "declined", *REASON, *where, code=2)

    assert settled["state"] == "approved"
    assert "is approved" in again.stderr
    run("list", *where)
    with sqlite3.connect(state / "ledger.sqlite3") as database:
        row = database.execute(
            "SELECT state, decline_code, reason, settled_at > 3 FROM operations WHERE operation_id = 'asked'"
        ).fetchone()
    assert row == ("approved", "by_hand", REASON[1], 1)


@pytest.mark.parametrize(
    ("outcome", "state_after"), [("declined", "declined"), ("not-done", "failed_before_send")]
)
def test_other_outcomes(state: Path, outcome: str, state_after: str) -> None:
    where = ("--state-directory", state)

    assert (
        json.loads(run("settle", "asked", outcome, *REASON, *where, "--json").stdout)["state"] == state_after
    )


@pytest.fixture
def unwanted(state: Path) -> Path:
    """Of ``state``, with the operation ``done`` left over by a caller who hung up, and its void declined."""
    rows = LedgerRows(state / "ledger.sqlite3")
    rows.operations.settle("key-asked", Settlement("declined"), wall_s=4.0)
    rows.operations.mark_unwanted("c1")
    rows.operations.insert(NewOperation("void", "c1", "void", "key-void", "g", "done"), wall_s=4.0)
    rows.operations.settle("key-void", Settlement("declined"), wall_s=5.0)
    rows.close()
    return state


def test_money_a_person_took_back_is_closed_and_listed_no_more(unwanted: Path) -> None:
    where = ("--state-directory", unwanted)
    found = json.loads(run("list", *where, "--json", code=1).stdout)
    assert [row["operation"] for row in found["to_take_back"]] == ["done"]

    closed = json.loads(run("settle", "done", "taken-back", *REASON, *where, "--json").stdout)

    assert (closed["state"], closed["code"]) == ("approved", "voided")
    run("list", *where)
    with sqlite3.connect(unwanted / "ledger.sqlite3") as database:
        row = database.execute(
            "SELECT state, decline_code, reason, settled_at FROM operations WHERE operation_id = 'done'"
        ).fetchone()
    assert row == ("approved", "voided", REASON[1], 3.0)
    assert "is approved, voided" in run("settle", "done", "taken-back", *REASON, *where, code=2).stderr


@pytest.mark.parametrize("operation", ["done", "asked", "sending"])
def test_only_what_is_listed_as_to_be_taken_back_is_closed_so(state: Path, operation: str) -> None:
    refused = run("settle", operation, "taken-back", *REASON, "--state-directory", state, code=2)

    assert "to be taken back" in " ".join(refused.stderr.split())
    with sqlite3.connect(state / "ledger.sqlite3") as database:
        assert database.execute("SELECT count(*) FROM operations WHERE reason <> ''").fetchone() == (0,)


def test_what_is_being_taken_back_is_not_closed_beside_it(unwanted: Path) -> None:
    rows = LedgerRows(unwanted / "ledger.sqlite3")
    rows.operations.insert(NewOperation("refund", "c1", "refund", "key-refund", "g", "done"), wall_s=6.0)
    rows.close()

    assert "to be taken back" in " ".join(
        run("settle", "done", "taken-back", *REASON, "--state-directory", unwanted, code=2).stderr.split()
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("done", "declined", *REASON), "only what is unknown"),
        (("sending", "declined", *REASON), "only what is unknown"),
        (("nobody", "approved", *REASON), "no such operation"),
        (("asked", "perhaps", *REASON), "allowed: approved, declined, not-done, taken-back"),
        (("asked", "approved", "--reason", " "), "who looked where"),
        (("asked", "approved", "--reason", "x" * 201), "who looked where"),
        (("asked", "approved", "--reason", "card 4242 4242 4242 4242"), "holds a card number"),
    ],
)
def test_anything_else_is_refused_and_changes_nothing(
    state: Path, arguments: tuple[str, ...], said: str
) -> None:
    refused = run("settle", *arguments, "--state-directory", state, code=2)

    assert said in " ".join(refused.stderr.split())
    assert len(json.loads(run("list", "--state-directory", state, "--json", code=1).stdout)["unknown"]) == 1


def test_directory_without_a_ledger_is_told_and_gets_none(tmp_path: Path) -> None:
    assert "there is no ledger" in run("list", "--state-directory", tmp_path, code=2).stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [(1_050, "EUR", "10.50"), (5, "EUR", "0.05"), (1_050, "JPY", "1050"), (1_050, "KWD", "1.050")],
)
def test_amounts_are_written_as_people_write_them(amount_minor: int, currency: str, text: str) -> None:
    assert amount_text(amount_minor, currency) == text
