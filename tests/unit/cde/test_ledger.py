"""The ledger as payments use it: sealed tokens, failures that stop a send, outcomes that wait for the disk."""

from __future__ import annotations

import sqlite3
import uuid
from pathlib import Path

import pytest

from dtmf_shield.cde.gateways.base import GatewayResult, GatewayResultKind
from dtmf_shield.cde.idempotency import Keys
from dtmf_shield.cde.ledger import STATES, Ledger
from dtmf_shield.model.capture import CaptureOutcome, CaptureResult
from dtmf_shield.model.ids import CallId, CaptureId, OperationId
from dtmf_shield.model.payment import OperationKind
from dtmf_shield.store.ledger_rows import LedgerRows
from dtmf_shield.store.operation_rows import NewOperation, Settlement
from tests.unit.cde.payment_room import PlainCipher

CALL, CAPTURE = CallId("call-1"), CaptureId("c1")
K, R = OperationKind, GatewayResultKind
TOKENIZE = NewOperation("op-1", "c1", "tokenize", "k1", "g")
CHARGE = NewOperation("op-2", "c1", "charge", "k2", "g", "op-1", 100, "EUR")


class StoppedClock:
    def now_s(self) -> float:
        return 5.0

    def wall_s(self) -> float:
        return 1_800_000_000.0


def ledger(directory: Path) -> tuple[Ledger, LedgerRows]:
    rows = LedgerRows(directory / "ledger.sqlite3")
    book = Ledger(rows, StoppedClock(), PlainCipher(), test=True)
    book.capture_started(book.new_capture(CAPTURE, CALL))
    return book, rows


def test_whole_life_of_an_operation_is_written_and_its_token_sealed(tmp_path: Path) -> None:
    book, rows = ledger(tmp_path)
    row = book.intend(TOKENIZE)
    assert row is not None

    assert book.settle(row, GatewayResult(R.APPROVED, token="tok_TEST_1"))
    book.capture_ended(CaptureOutcome(capture_id=CAPTURE, result=CaptureResult.TOKEN, last4="4242"))

    stored = rows.operations.by_id("op-1")
    assert stored is not None
    assert b"tok_TEST_1" not in stored.token
    assert book.token(stored) == "tok_TEST_1"
    database = sqlite3.connect(tmp_path / "ledger.sqlite3")
    assert database.execute("SELECT result FROM captures").fetchone() == ("token",)
    database.close()


@pytest.mark.parametrize(("expiry", "stored"), [((12, 30), (12, 30)), ((0, 0), (None, None))])
def test_expiry_is_in_the_row_of_the_end(
    tmp_path: Path, expiry: tuple[int, int], stored: tuple[int | None, int | None]
) -> None:
    book, rows = ledger(tmp_path)

    book.note_expiry(CAPTURE, expiry)
    book.capture_ended(CaptureOutcome(capture_id=CAPTURE, result=CaptureResult.TOKEN, last4="4242"))

    rows.close()
    database = sqlite3.connect(tmp_path / "ledger.sqlite3")
    assert database.execute("SELECT exp_month, exp_year FROM captures").fetchone() == stored
    database.close()


def test_child_has_its_parents_token(tmp_path: Path) -> None:
    book, _ = ledger(tmp_path)
    parent = book.intend(TOKENIZE)
    assert parent is not None
    book.settle(parent, GatewayResult(R.APPROVED, token="tok_TEST_1"))
    child = book.intend(CHARGE)
    assert child is not None

    assert book.token(child) == "tok_TEST_1"


def test_row_a_person_settled_first_stays_as_it_is(tmp_path: Path) -> None:
    book, rows = ledger(tmp_path)
    row = book.intend(CHARGE)
    assert row is not None
    rows.operations.settle("k2", Settlement("declined", reason="the gateway's hotline"), wall_s=1.0)

    assert not book.settle(row, GatewayResult(R.APPROVED))
    stored = rows.operations.by_id("op-2")
    assert stored is not None
    assert stored.state == "declined"


def test_intent_that_cannot_be_written_forbids_sending(tmp_path: Path) -> None:
    book, rows = ledger(tmp_path)
    assert book.intend(TOKENIZE) is not None
    assert book.intend(TOKENIZE) is None

    rows.close()
    assert book.intend(CHARGE) is None


def test_closed_ledger_disturbs_no_capture(tmp_path: Path) -> None:
    book, _rows = ledger(tmp_path)
    row = book.intend(TOKENIZE)
    assert row is not None
    book.close()

    book.capture_started(book.new_capture(CAPTURE, CALL))
    book.settle(row, GatewayResult(R.UNKNOWN))
    book.save_again()
    book.unwanted(CAPTURE)
    book.capture_ended(CaptureOutcome(capture_id=CAPTURE, result=CaptureResult.UNKNOWN))
    assert book.token(row) == ""
    assert (book.unknown_money(), book.to_take_back(), book.attempts_since(0.0, 1)) == ((), (), ())
    assert not book.count_attempt(row)


def test_every_kind_of_result_has_its_state_and_unknown_has_its_own() -> None:
    assert set(STATES) == set(GatewayResultKind)
    assert [kind for kind, state in STATES.items() if state.value == "unknown"] == [R.UNKNOWN]
    assert {kind for kind, state in STATES.items() if state.value == "declined"} == {R.DECLINED, R.REFUSED}


def test_tokens_of_a_version_without_encryption_are_sealed_at_the_start(tmp_path: Path) -> None:
    book, rows = ledger(tmp_path)
    assert book.intend(TOKENIZE) is not None
    rows.operations.settle("k1", Settlement("approved", token=b"tok_TEST_clear"), wall_s=1.0)
    rows.close()

    again, rows = ledger(tmp_path)

    stored = rows.operations.by_id("op-1")
    assert stored is not None
    assert b"tok_TEST_clear" not in stored.token
    assert again.token(stored) == "tok_TEST_clear"


def test_refusing_disk_inside_a_step_is_told_to_who_asks(tmp_path: Path) -> None:
    book, rows = ledger(tmp_path)
    rows.close()

    with pytest.raises(sqlite3.Error), book.one_step():
        pass


# --- keys ------------------------------------------------------------------------------------------------


def test_same_operation_has_the_same_key_also_after_a_restart(tmp_path: Path) -> None:
    first, second = ledger(tmp_path)[0].keys, ledger(tmp_path)[0].keys

    assert first.of_capture(CALL, CAPTURE, K.TOKENIZE, "g") == second.of_capture(
        CALL, CAPTURE, K.TOKENIZE, "g"
    )


def test_another_installation_has_other_keys(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    keys = {ledger(tmp_path / name)[0].keys.of_capture(CALL, CAPTURE, K.CHARGE, "g") for name in "ab"}

    assert len(keys) == 2


def test_whatever_makes_an_operation_another_one_makes_its_key_another_one() -> None:
    keys = Keys(uuid.UUID(int=7))
    one = keys.of_capture(CALL, CAPTURE, K.CHARGE, "g", amount_minor=100, currency="EUR")
    others = [
        keys.of_capture(CallId("call-2"), CAPTURE, K.CHARGE, "g", amount_minor=100, currency="EUR"),
        keys.of_capture(CALL, CaptureId("c2"), K.CHARGE, "g", amount_minor=100, currency="EUR"),
        keys.of_capture(CALL, CAPTURE, K.AUTHORIZE, "g", amount_minor=100, currency="EUR"),
        keys.of_capture(CALL, CAPTURE, K.CHARGE, "fallback", amount_minor=100, currency="EUR"),
        keys.of_capture(CALL, CAPTURE, K.CHARGE, "g", amount_minor=101, currency="EUR"),
        keys.of_capture(CALL, CAPTURE, K.CHARGE, "g", amount_minor=100, currency="USD"),
        keys.of_order(OperationId("c1"), K.CHARGE, 100, "EUR"),
        keys.operation_id(one),
        keys.take_back_id(OperationId(one), K.VOID, 0),
        keys.take_back_id(OperationId(one), K.VOID, 1),
    ]

    assert len({one, *others}) == len(others) + 1
    assert all(uuid.UUID(key).version == 5 for key in (one, *others))


def test_no_two_lists_of_parts_make_the_same_key() -> None:
    keys = Keys(uuid.UUID(int=7))

    one = keys.of_capture(CallId("a|b"), CaptureId("c"), K.CHARGE, "g")
    other = keys.of_capture(CallId("a"), CaptureId("b|c"), K.CHARGE, "g")

    assert one != other
