"""The ledger as captures use it: keys that repeat and cannot be guessed, failures that stop a send."""

from __future__ import annotations

from pathlib import Path

from dtmf_shield.cde.gateways.base import GatewayResult, GatewayResultKind
from dtmf_shield.cde.ledger import Ledger
from dtmf_shield.model.capture import CaptureOutcome, CaptureResult
from dtmf_shield.model.ids import CallId, CaptureId
from dtmf_shield.store.ledger_rows import LedgerRows

CALL, CAPTURE = CallId("call-1"), CaptureId("c1")


class StoppedClock:
    def now_s(self) -> float:
        return 5.0

    def wall_s(self) -> float:
        return 1_800_000_000.0


def ledger(directory: Path) -> tuple[Ledger, LedgerRows]:
    rows = LedgerRows(directory / "ledger.sqlite3")
    return Ledger(rows, StoppedClock(), gateway="g", test=True), rows


def test_same_operation_has_the_same_key_also_after_a_restart(tmp_path: Path) -> None:
    first, second = ledger(tmp_path)[0], ledger(tmp_path)[0]

    assert first.tokenize_key(CALL, CAPTURE) == second.tokenize_key(CALL, CAPTURE)
    assert first.tokenize_key(CALL, CaptureId("c2")) != first.tokenize_key(CALL, CAPTURE)


def test_another_installation_has_other_keys(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    keys = {ledger(tmp_path / name)[0].tokenize_key(CALL, CAPTURE) for name in "ab"}

    assert len(keys) == 2


def test_whole_life_of_an_operation_is_written(tmp_path: Path) -> None:
    book, rows = ledger(tmp_path)
    book.capture_started(CAPTURE, CALL)

    assert book.intend(CAPTURE, "k1", (12, 30))
    book.settle("k1", GatewayResult(GatewayResultKind.APPROVED, token="tok_TEST_1"))
    book.capture_ended(CaptureOutcome(capture_id=CAPTURE, result=CaptureResult.TOKEN, last4="4242"))

    assert rows.operations("c1")[0].state == "approved"
    assert rows.capture_result("c1") == "token"


def test_intent_that_cannot_be_written_forbids_sending(tmp_path: Path) -> None:
    book, rows = ledger(tmp_path)
    book.capture_started(CAPTURE, CALL)
    assert book.intend(CAPTURE, "k1", (0, 0))
    assert not book.intend(CAPTURE, "k1", (0, 0))

    rows.close()
    assert not book.intend(CAPTURE, "k2", (0, 0))


def test_closed_ledger_disturbs_no_capture(tmp_path: Path) -> None:
    book, _rows = ledger(tmp_path)
    book.close()

    book.capture_started(CAPTURE, CALL)
    book.settle("k1", GatewayResult(GatewayResultKind.UNKNOWN))
    book.capture_ended(CaptureOutcome(capture_id=CAPTURE, result=CaptureResult.UNKNOWN))
