"""Ledger rows: durable, private to their owner, keys used once, settled once; intents of a dead process are unknown."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.model.capture import CaptureResult
from dtmf_shield.store.abandoned import AbandonedCapture
from dtmf_shield.store.database import open_ledger_database
from dtmf_shield.store.ledger_rows import LedgerRows, NewCapture, PastAttempt
from dtmf_shield.store.operation_rows import NewOperation, Settlement

TOKENIZE = NewOperation("op-1", "c1", "tokenize", "k1", "g", reference="order 1")
CHARGE = NewOperation("op-2", "c1", "charge", "k2", "g", "op-1", 1_000, "EUR", "order 1")
APPROVED = Settlement(
    "approved", b"sealed", "day-1", gw_ref="ch_1", auth_code="A1", net_txn_id="N1", avs="pass"
)


def ledger(directory: Path) -> LedgerRows:
    rows = LedgerRows(directory / "ledger.sqlite3")
    rows.start_capture(NewCapture("c1", "call-1", "flow", "caller", "agent", test=True), wall_s=1.0)
    return rows


def states(rows: LedgerRows, capture_id: str = "c1") -> list[tuple[str, str]]:
    return [(row.kind, row.state) for row in rows.operations.of_capture(capture_id)]


def capture_results(directory: Path) -> dict[str, str | None]:
    with closing(sqlite3.connect(directory / "ledger.sqlite3")) as database:
        return dict(database.execute("SELECT id, result FROM captures").fetchall())


def test_database_syncs_fully_and_belongs_to_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    database = open_ledger_database(path)

    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database.execute("PRAGMA synchronous").fetchone() == (2,)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.with_name("ledger.sqlite3-wal").exists()


def test_intent_is_on_disk_before_it_is_settled(tmp_path: Path) -> None:
    rows = ledger(tmp_path)
    rows.operations.insert(TOKENIZE, wall_s=2.0)
    rows.operations.insert(CHARGE, wall_s=3.0)

    other = ledger(tmp_path)
    row = other.operations.by_id("op-2")

    assert row is not None
    assert (row.state, row.amount_minor, row.currency, row.parent_id) == ("intent", 1_000, "EUR", "op-1")
    assert (row.attempts, row.sent_at, row.settled_at, row.test) == (1, 3.0, 0.0, True)
    assert other.operations.children("op-1") == (row,)


def test_outcome_is_kept_whole_and_settles_once(tmp_path: Path) -> None:
    rows = ledger(tmp_path)
    rows.operations.insert(TOKENIZE, wall_s=2.0)

    assert rows.operations.settle("k1", APPROVED, wall_s=4.0)
    assert not rows.operations.settle("k1", Settlement("declined"), wall_s=5.0)
    assert not rows.operations.settle("nobody's", APPROVED, wall_s=5.0)

    row = rows.operations.by_id("op-1")
    assert row is not None
    assert (row.state, row.token, row.dek_id, row.gw_ref, row.settled_at) == (
        "approved",
        b"sealed",
        "day-1",
        "ch_1",
        4.0,
    )


def test_unknown_stays_open_keeps_what_it_knows_and_is_settled_later(tmp_path: Path) -> None:
    rows = ledger(tmp_path)
    rows.operations.insert(CHARGE, wall_s=2.0)
    rows.operations.settle("k2", Settlement("unknown", decline_code="timeout", gw_ref="pi_1"), wall_s=3.0)
    assert [row.operation_id for row in rows.operations.unknown_money()] == ["op-2"]

    rows.operations.settle("k2", Settlement("declined", decline_code="card_declined"), wall_s=9.0)

    row = rows.operations.by_id("op-2")
    assert row is not None
    assert (row.state, row.gw_ref, row.decline_code, row.settled_at) == (
        "declined",
        "pi_1",
        "card_declined",
        9.0,
    )
    assert rows.operations.unknown_money() == ()


@pytest.mark.parametrize("change", [{"idem_key": "k1"}, {"operation_id": "op-1"}, {"capture_id": "nobody's"}])
def test_key_and_id_are_used_once_by_a_capture_that_is_there(tmp_path: Path, change: dict[str, str]) -> None:
    rows = ledger(tmp_path)
    rows.operations.insert(TOKENIZE, wall_s=2.0)

    with pytest.raises(sqlite3.IntegrityError):
        rows.operations.insert(replace(CHARGE, parent_id="", **change), wall_s=2.0)
    assert len(states(rows)) == 1


@pytest.mark.parametrize(
    "new", [replace(TOKENIZE, kind="lookup"), replace(TOKENIZE, kind=""), replace(TOKENIZE, amount_minor=-1)]
)
def test_kind_and_amount_outside_their_set_are_refused(tmp_path: Path, new: NewOperation) -> None:
    rows = ledger(tmp_path)

    with pytest.raises(sqlite3.IntegrityError):
        rows.operations.insert(new, wall_s=2.0)


def test_state_outside_the_closed_set_is_refused(tmp_path: Path) -> None:
    rows = ledger(tmp_path)
    rows.operations.insert(TOKENIZE, wall_s=2.0)

    with pytest.raises(sqlite3.IntegrityError):
        rows.operations.settle("k1", Settlement("perhaps"), wall_s=3.0)


def test_what_a_dead_process_left_is_ended_and_a_lost_token_is_no_money(tmp_path: Path) -> None:
    rows = ledger(tmp_path)
    rows.operations.insert(TOKENIZE, wall_s=2.0)
    rows.operations.settle("k1", APPROVED, wall_s=2.5)
    rows.operations.insert(CHARGE, wall_s=3.0)
    rows.start_capture(NewCapture("c2", "call-1"), wall_s=3.0)
    rows.operations.insert(replace(TOKENIZE, operation_id="op-3", capture_id="c2", idem_key="k3"), wall_s=4.0)
    rows.start_capture(NewCapture("c3", "call-1"), wall_s=5.0)

    again = LedgerRows(tmp_path / "ledger.sqlite3")

    assert again.abandon(9.0) == (
        AbandonedCapture("c1", CaptureResult.UNKNOWN, "op-2"),
        AbandonedCapture("c2", CaptureResult.INTERRUPTED),
        AbandonedCapture("c3", CaptureResult.INTERRUPTED),
    )
    assert states(again) == [("tokenize", "approved"), ("charge", "unknown")]
    assert states(again, "c2") == [("tokenize", "unknown")]
    assert capture_results(tmp_path) == {"c1": "unknown", "c2": "interrupted", "c3": "interrupted"}
    assert [row.operation_id for row in again.operations.unknown_money()] == ["op-2"]
    assert again.abandon(10.0) == ()


@pytest.mark.parametrize(
    ("charge", "child", "result"),
    [
        (Settlement("approved"), None, "approved"),
        (Settlement("approved"), ("void", "approved"), "cancelled"),
        (Settlement("approved"), ("void", "intent"), "unknown"),
        (Settlement("approved"), ("void", "unknown"), "unknown"),
        (Settlement("approved"), ("void", "declined"), "approved"),
        (Settlement("approved"), ("refund", "approved"), "cancelled"),
        (Settlement("approved", decline_code="voided"), None, "cancelled"),
        (Settlement("unknown"), None, "unknown"),
        (Settlement("declined", decline_code="card_declined"), None, "declined"),
        (Settlement("action_required"), None, "action_required"),
        (Settlement("failed_before_send"), None, "interrupted"),
    ],
)
@pytest.mark.parametrize("kind", ["charge", "authorize"])
def test_capture_of_a_dead_process_ends_as_its_money_did(
    tmp_path: Path, charge: Settlement, child: tuple[str, str] | None, result: str, kind: str
) -> None:
    rows = ledger(tmp_path)
    rows.operations.insert(TOKENIZE, wall_s=2.0)
    rows.operations.settle("k1", APPROVED, wall_s=2.5)
    rows.operations.insert(replace(CHARGE, kind=kind), wall_s=3.0)
    rows.operations.settle("k2", charge, wall_s=4.0)
    if child is not None:
        taken = NewOperation("op-3", "c1", child[0], "k3", "g", "op-2", 1_000, "EUR")
        rows.operations.insert(taken, wall_s=5.0)
        rows.operations.settle("k3", Settlement(child[1]), wall_s=6.0)

    [abandoned] = rows.abandon(9.0)

    assert abandoned.result == result
    assert abandoned.operation_id == ("" if result == "interrupted" else "op-2")
    assert capture_results(tmp_path) == {"c1": result}


@pytest.mark.parametrize(
    ("child", "result"),
    [
        (None, "unknown"),
        (("void", "failed_before_send"), "unknown"),
        (("void", "declined"), "unknown"),
        (("capture", "failed_before_send"), "unknown"),
        (("capture", "unknown"), "unknown"),
        (("capture", "approved"), "approved"),
        (("void", "approved"), "cancelled"),
        (("refund", "approved"), "cancelled"),
    ],
)
def test_money_nobody_waited_for_is_not_told_as_approved_while_it_may_yet_be_taken_back(
    tmp_path: Path, child: tuple[str, str] | None, result: str
) -> None:
    rows = ledger(tmp_path)
    rows.operations.insert(CHARGE, wall_s=3.0)
    rows.operations.mark_unwanted("c1")
    rows.operations.settle("k2", Settlement("approved"), wall_s=4.0)
    if child is not None:
        rows.operations.insert(
            NewOperation("op-3", "c1", child[0], "k3", "g", "op-2", 1_000, "EUR"), wall_s=5.0
        )
        rows.operations.settle("k3", Settlement(child[1]), wall_s=6.0)

    assert rows.abandon(9.0) == (AbandonedCapture("c1", CaptureResult(result), "op-2"),)


def test_second_gateways_charge_ends_the_capture_where_the_first_did_nothing(tmp_path: Path) -> None:
    rows = ledger(tmp_path)
    rows.operations.insert(replace(CHARGE, parent_id=""), wall_s=3.0)
    rows.operations.settle("k2", Settlement("failed_before_send"), wall_s=4.0)
    second = replace(CHARGE, parent_id="", operation_id="op-3", idem_key="k3", gateway="fallback")
    rows.operations.insert(second, wall_s=5.0)
    rows.operations.settle("k3", Settlement("approved"), wall_s=6.0)

    assert rows.abandon(9.0) == (AbandonedCapture("c1", CaptureResult.APPROVED, "op-3"),)


def test_second_gateways_decline_ends_the_capture_where_the_first_did_nothing(tmp_path: Path) -> None:
    rows = ledger(tmp_path)
    rows.operations.insert(replace(CHARGE, parent_id=""), wall_s=3.0)
    rows.operations.settle("k2", Settlement("failed_before_send"), wall_s=4.0)
    second = replace(CHARGE, parent_id="", operation_id="op-3", idem_key="k3", gateway="fallback")
    rows.operations.insert(second, wall_s=5.0)
    rows.operations.settle("k3", Settlement("declined"), wall_s=6.0)

    assert rows.abandon(9.0) == (AbandonedCapture("c1", CaptureResult.DECLINED, "op-3"),)


def test_part_of_the_money_given_back_leaves_the_capture_approved(tmp_path: Path) -> None:
    """The agent's refund of a part, and then a loss of power that took the capture's end with it."""
    rows = ledger(tmp_path)
    rows.operations.insert(CHARGE, wall_s=3.0)
    rows.operations.settle("k2", Settlement("approved"), wall_s=4.0)
    rows.operations.insert(NewOperation("op-3", "c1", "refund", "k3", "g", "op-2", 400, "EUR"), wall_s=5.0)
    rows.operations.settle("k3", Settlement("approved"), wall_s=6.0)

    assert rows.abandon(9.0) == (AbandonedCapture("c1", CaptureResult.APPROVED, "op-2"),)


def test_unwanted_money_is_to_be_taken_back_until_something_stands_against_it(tmp_path: Path) -> None:
    rows = ledger(tmp_path)
    rows.operations.insert(TOKENIZE, wall_s=2.0)
    rows.operations.insert(CHARGE, wall_s=2.0)
    rows.operations.mark_unwanted("c1")
    assert rows.operations.to_take_back() == ()
    rows.operations.settle("k2", Settlement("approved"), wall_s=3.0)
    assert [row.operation_id for row in rows.operations.to_take_back()] == ["op-2"]

    rows.operations.insert(
        replace(CHARGE, operation_id="v", parent_id="op-2", kind="void", idem_key="k3"), wall_s=4.0
    )
    assert rows.operations.to_take_back() == ()
    rows.operations.settle("k3", Settlement("declined"), wall_s=5.0)

    assert [row.operation_id for row in rows.operations.to_take_back()] == ["op-2"]


def test_money_the_gateway_says_was_taken_back_is_left_alone(tmp_path: Path) -> None:
    rows = ledger(tmp_path)
    rows.operations.insert(CHARGE, wall_s=2.0)
    rows.operations.mark_unwanted("c1")
    rows.operations.settle("k2", Settlement("approved", decline_code="voided"), wall_s=3.0)

    assert rows.operations.to_take_back() == ()


@pytest.mark.parametrize("older", [False, True])
def test_what_is_to_be_taken_back_is_found_without_reading_every_approved_operation(
    tmp_path: Path, older: bool
) -> None:
    """It is asked once a minute, of a ledger of years; one written before there was an index gets it when opened."""
    rows = ledger(tmp_path)
    if older:
        rows._database.execute("DROP INDEX operations_unwanted")
        rows = ledger(tmp_path)
    asked: list[str] = []
    rows._database.set_trace_callback(asked.append)
    rows.operations.to_take_back()

    plan = [row[3] for row in rows._database.execute(f"EXPLAIN QUERY PLAN {asked[0]}")]

    assert "SEARCH operations USING INDEX operations_unwanted (state=?)" in plan


def test_question_and_intent_are_one_step_and_undone_together(tmp_path: Path) -> None:
    rows = ledger(tmp_path)

    with pytest.raises(RuntimeError), rows.operations.transaction():
        rows.operations.insert(TOKENIZE, wall_s=2.0)
        raise RuntimeError

    assert states(rows) == []
    with rows.operations.transaction():
        rows.operations.insert(TOKENIZE, wall_s=2.0)
    assert states(ledger(tmp_path)) == [("tokenize", "intent")]


def test_cards_sent_lately_are_told_for_the_velocity_rules(tmp_path: Path) -> None:
    rows = ledger(tmp_path)
    rows.operations.insert(TOKENIZE, wall_s=100.0)
    rows.operations.settle("k1", APPROVED, wall_s=100.0)
    rows.operations.insert(CHARGE, wall_s=101.0)
    rows.operations.settle("k2", Settlement("declined", decline_code="card_declined"), wall_s=101.0)
    rows.start_capture(NewCapture("c2", "call-2", "flow", "other"), wall_s=50.0)
    second = replace(TOKENIZE, operation_id="op-3", capture_id="c2", idem_key="k3")
    rows.operations.insert(second, wall_s=102.0)
    rows.operations.settle("k3", APPROVED, wall_s=102.0)
    unsent = replace(TOKENIZE, operation_id="op-4", capture_id="c2", idem_key="k4")
    rows.operations.insert(unsent, wall_s=103.0)
    rows.operations.settle("k4", Settlement("failed_before_send"), wall_s=103.0)

    assert rows.attempts_since(90.0, 10) == (
        PastAttempt("flow", "caller", "agent", declined=True, at_s=100.0),
        PastAttempt("flow", "other", "", declined=False, at_s=102.0),
    )
    assert rows.attempts_since(101.5, 10)[-1].caller == "other"
    assert len(rows.attempts_since(90.0, 1)) == 1


@pytest.mark.parametrize(
    ("code", "declined"),
    [
        ("card_declined", True),
        ("other", True),
        ("http_401", False),
        ("currency", False),
        ("by_hand", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("new", [TOKENIZE, CHARGE])
def test_what_was_refused_to_us_is_no_decline_of_the_card(
    tmp_path: Path, new: NewOperation, code: str, declined: bool
) -> None:
    """A gateway that refuses our credentials refuses every card: callers and agents are not stopped for it."""
    rows = ledger(tmp_path)
    rows.operations.insert(replace(TOKENIZE, operation_id="op-0", idem_key="k0"), wall_s=100.0)
    rows.operations.settle("k0", APPROVED, wall_s=100.0)
    rows.operations.insert(new, wall_s=101.0)
    rows.operations.settle(new.idem_key, Settlement("declined", decline_code=code), wall_s=101.0)

    assert [past.declined for past in rows.attempts_since(90.0, 10)] == [declined]


def test_what_was_ordered_after_the_capture_had_ended_is_no_callers_attempt(tmp_path: Path) -> None:
    rows = ledger(tmp_path)
    rows.operations.insert(TOKENIZE, wall_s=100.0)
    rows.operations.settle("k1", APPROVED, wall_s=100.0)
    rows.end_capture("c1", result="token", brand="visa", last4="4242", wall_s=101.0)
    rows.operations.insert(CHARGE, wall_s=5_000.0)
    rows.operations.settle("k2", Settlement("declined", decline_code="card_declined"), wall_s=5_000.0)

    assert [past.declined for past in rows.attempts_since(90.0, 10)] == [False]
    assert rows.attempts_since(4_000.0, 10) == ()


def test_capture_ends_once_with_its_result(tmp_path: Path) -> None:
    rows = ledger(tmp_path)
    assert capture_results(tmp_path) == {"c1": None}

    rows.end_capture("c1", result="declined", brand="visa", last4="0002", wall_s=4.0)

    assert capture_results(tmp_path) == {"c1": "declined"}


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


def test_ledger_holds_no_column_for_a_card_number_a_code_or_anything_made_of_them(tmp_path: Path) -> None:
    database = open_ledger_database(tmp_path / "ledger.sqlite3")
    columns = {
        row[1]
        for table in ("captures", "operations")
        for row in database.execute(f"PRAGMA table_info({table})")
    }

    assert not {
        name for name in columns if any(word in name for word in ("pan", "number", "cvc_v", "bin", "hash"))
    }
    assert {"last4", "brand", "token", "dek_id", "idem_key"} <= columns


def test_what_follows_the_end_of_a_capture_is_synchronised_in_full_again(tmp_path: Path) -> None:
    rows = LedgerRows(tmp_path / "ledger.sqlite3")
    rows.start_capture(NewCapture("c1", "call-1"), wall_s=1.0)

    rows.end_capture("c1", result="token", brand="visa", last4="4242", expiry=(12, 30), wall_s=2.0)

    assert rows._database.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
