"""Control's audit trail: captures with their flow, roots from start to stop, faults that stop nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dtmf_shield.audit.anchor import FileAnchor, SyslogAnchor
from dtmf_shield.audit.chain import verify
from dtmf_shield.audit.roots import read_roots
from dtmf_shield.base.config import AuditSection
from dtmf_shield.base.system_clock import SystemClock
from dtmf_shield.call.events import CallPhase, CallSnapshot, CaptureSnapshot
from dtmf_shield.model.capture import CaptureOutcome, CaptureResult, CaptureState
from dtmf_shield.model.ids import CallId, CaptureId, OperationId
from dtmf_shield.model.messages import PaymentChanged
from dtmf_shield.model.payment import OperationKind, OperationState
from dtmf_shield.model.stream import ShieldMode
from dtmf_shield.service.control import audit_memory, audit_trail
from dtmf_shield.service.control.audit_trail import AuditTrail, anchor_of

FINGERPRINT = "0123456789" * 6 + "0123"


def trail(state: Path, section: AuditSection | None = None) -> AuditTrail:
    return AuditTrail(state, section or AuditSection(), SystemClock())


def rows(state: Path) -> list[dict[str, Any]]:
    return [dict(row) for row, _ in verify(state / "audit.jsonl")]


def call(
    name: str = "cap-1", result: CaptureResult | None = None, fingerprint: str = FINGERPRINT
) -> CallSnapshot:
    outcome = CaptureOutcome(capture_id=CaptureId(name), result=result) if result else None
    capture = CaptureSnapshot(
        CaptureId(name), "card", CaptureState.WAITING, outcome=outcome, flow_fingerprint=fingerprint
    )
    return CallSnapshot(
        call_id=CallId("call-1"),
        row=0,
        trunk="t",
        agent_name="a",
        dialled="1",
        caller_masked="••12",
        phase=CallPhase.TALKING,
        started_at_s=1.0,
        shield_caller=ShieldMode.CAPTURE,
        shield_agent=ShieldMode.CAPTURE,
        capture=capture,
    )


def test_a_capture_starts_and_ends_once_with_its_flow(tmp_path: Path) -> None:
    audit = trail(tmp_path)
    outcome = CaptureOutcome(capture_id=CaptureId("cap-1"), result=CaptureResult.TOKEN)

    for _ in range(3):
        audit.capture_changed(call())
    audit.capture_ended(outcome, told_by_cde=True)
    audit.capture_changed(call(result=CaptureResult.TOKEN))
    audit.close()

    assert [{key: row[key] for key in row if key not in ("at", "n")} for row in rows(tmp_path)] == [
        {
            "event": "capture_started",
            "capture": "cap-1",
            "call": "call-1",
            "flow": "card",
            "version": "012345678901",
        },
        {"event": "capture_ended", "capture": "cap-1", "call": "call-1", "flow": "card", "result": "token"},
    ]


def test_the_version_in_a_row_is_too_short_to_be_taken_for_a_card_number(tmp_path: Path) -> None:
    """A fingerprint may have a run of digits; the second lock of the log would remove it."""
    audit = trail(tmp_path)

    audit.capture_changed(call(fingerprint="4242" * 16))
    audit.close()

    assert [row["version"] for row in rows(tmp_path)] == ["424242424242"]


def test_an_end_that_only_the_call_knows_is_noted(tmp_path: Path) -> None:
    audit = trail(tmp_path)

    audit.capture_changed(call())
    audit.capture_changed(call(result=CaptureResult.INTERRUPTED))
    audit.close()

    assert [(row["event"], row.get("result")) for row in rows(tmp_path)] == [
        ("capture_started", None),
        ("capture_ended", "interrupted"),
    ]


def test_an_end_of_a_capture_of_an_earlier_control_is_noted_without_its_flow(tmp_path: Path) -> None:
    audit = trail(tmp_path)

    audit.capture_ended(
        CaptureOutcome(capture_id=CaptureId("old"), result=CaptureResult.UNKNOWN), told_by_cde=True
    )
    audit.close()

    assert [(row["capture"], row["result"], "flow" in row) for row in rows(tmp_path)] == [
        ("old", "unknown", False)
    ]


def ended(name: str, result: CaptureResult) -> CaptureOutcome:
    return CaptureOutcome(capture_id=CaptureId(name), result=result)


def paid(state: OperationState, operation: str = "op-1") -> PaymentChanged:
    return PaymentChanged(operation_id=OperationId(operation), kind=OperationKind.CHARGE, state=state)


def noted(state: Path, *keys: str) -> list[tuple[object, ...]]:
    return [tuple(row.get(key) for key in ("event", *keys)) for row in rows(state)]


def test_an_end_that_the_call_decides_and_cde_repeats_is_one_row(tmp_path: Path) -> None:
    """An agent cancels: the call knows at once, and cde answers the cancel."""
    audit = trail(tmp_path)
    audit.capture_changed(call())

    audit.capture_changed(call(result=CaptureResult.CANCELLED))
    audit.capture_ended(ended("cap-1", CaptureResult.CANCELLED), told_by_cde=True)
    audit.close()

    assert noted(tmp_path, "result") == [("capture_started", None), ("capture_ended", "cancelled")]


def test_a_truth_that_replaces_a_guess_is_a_row_of_its_own_with_call_and_flow(tmp_path: Path) -> None:
    audit = trail(tmp_path)
    audit.capture_changed(call())
    audit.capture_changed(call(result=CaptureResult.UNKNOWN))

    audit.capture_ended(ended("cap-1", CaptureResult.APPROVED), told_by_cde=True)
    audit.capture_ended(ended("cap-1", CaptureResult.INTERRUPTED), told_by_cde=True)
    audit.close()

    assert noted(tmp_path, "result", "call", "flow")[1:] == [
        ("capture_ended", "unknown", "call-1", "card"),
        ("capture_ended", "approved", "call-1", "card"),
    ]


def test_a_fresh_control_writes_nothing_twice_of_what_cde_tells_it_again(tmp_path: Path) -> None:
    """cde tells every fresh control its last 64 outcomes and how its operations stand."""
    for _ in range(3):
        audit = trail(tmp_path)
        for number in range(64):
            audit.capture_ended(ended(f"cap-{number}", CaptureResult.TOKEN), told_by_cde=True)
            audit.payment_changed(paid(OperationState.APPROVED, f"op-{number}"))
        audit.close()

    assert len(rows(tmp_path)) == 2 * 64


def test_a_fresh_control_knows_the_captures_that_run_with_their_flow(tmp_path: Path) -> None:
    first = trail(tmp_path)
    first.capture_changed(call())
    first.close()

    again = trail(tmp_path)
    again.capture_changed(call())
    again.capture_ended(ended("cap-1", CaptureResult.TOKEN), told_by_cde=True)
    again.close()

    assert noted(tmp_path, "capture", "flow") == [
        ("capture_started", "cap-1", "card"),
        ("capture_ended", "cap-1", "card"),
    ]


def test_each_new_state_of_an_operation_is_a_row_and_the_same_one_told_again_is_none(tmp_path: Path) -> None:
    audit = trail(tmp_path)

    for state in (
        OperationState.INTENT,
        OperationState.UNKNOWN,
        OperationState.UNKNOWN,
        OperationState.APPROVED,
    ):
        audit.payment_changed(paid(state))
    audit.close()

    assert noted(tmp_path, "state") == [
        ("payment", "intent"),
        ("payment", "unknown"),
        ("payment", "approved"),
    ]


def test_same_state_with_another_code_is_a_row_and_is_still_known_after_a_restart(tmp_path: Path) -> None:
    """Such as money that a person took back: it stays approved, and its code says the rest."""
    told = [
        (OperationState.UNKNOWN, ""),
        (OperationState.UNKNOWN, "needs_person"),
        (OperationState.APPROVED, "not_taken_back"),
        (OperationState.APPROVED, "voided"),
    ]
    audit = trail(tmp_path)
    for state, code in told:
        audit.payment_changed(replace(paid(state), code=code))
    audit.close()

    again = trail(tmp_path)
    again.payment_changed(replace(paid(OperationState.APPROVED), code="voided"))
    again.payment_changed(replace(paid(OperationState.APPROVED), code="other"))
    again.close()

    assert noted(tmp_path, "state", "code") == [
        *(("payment", state.value, code) for state, code in told),
        ("payment", "approved", "other"),
    ]


def test_what_is_remembered_of_ends_and_operations_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_memory, "KNOWN_MAX", 2)
    audit = trail(tmp_path)

    for number in range(5):
        audit.capture_ended(ended(f"cap-{number}", CaptureResult.TOKEN), told_by_cde=True)
        audit.payment_changed(paid(OperationState.APPROVED, f"op-{number}"))

    assert audit._memory.sizes() == (0, 2, 2)


def test_only_the_tail_of_a_long_log_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh control must be back within a fraction of a second, however long the log is."""
    first = trail(tmp_path)
    for number in range(100):
        first.capture_ended(ended(f"cap-{number}", CaptureResult.TOKEN), told_by_cde=True)
    first.close()
    monkeypatch.setattr(audit_trail, "TAIL_BYTES", 2_000)

    again = trail(tmp_path)
    known = again._memory.sizes()[1]
    again.capture_ended(ended("cap-99", CaptureResult.TOKEN), told_by_cde=True)
    again.close()

    assert 0 < known < 20
    assert len(rows(tmp_path)) == 100


def test_rows_that_others_wrote_keep_no_trail_from_opening(tmp_path: Path) -> None:
    """Of another version, or without the fields of ours: the chain is for `audit verify` to judge."""
    first = trail(tmp_path)
    first.note("capture_started", capture=1)
    first.note("capture_ended", capture="cap-1", result="no such result")
    first.note("payment")
    first.close()

    again = trail(tmp_path)
    again.capture_ended(ended("cap-1", CaptureResult.TOKEN), told_by_cde=True)
    again.close()

    assert len(rows(tmp_path)) == 4


def test_known_captures_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_memory, "KNOWN_MAX", 2)
    audit = trail(tmp_path)

    for number in range(5):
        audit.capture_changed(call(f"cap-{number}"))

    assert audit._memory.sizes() == (2, 0, 0)


def test_every_row_is_under_a_root_when_the_process_has_left(tmp_path: Path) -> None:
    for _ in range(2):
        audit = trail(tmp_path, AuditSection(anchor="file", anchor_file=str(tmp_path / "anchored")))
        audit.start()
        audit.note("control_started", restored=0)
        audit.close()

    roots = list(read_roots(tmp_path / "audit.roots.jsonl"))
    assert [(root.first, root.last) for root in roots][-1][1] == 1
    assert (tmp_path / "anchored").read_text() == (tmp_path / "audit.roots.jsonl").read_text()
    assert (tmp_path / "audit.key").stat().st_mode & 0o777 == 0o600


def test_roots_of_another_log_are_set_aside_and_that_is_a_row(tmp_path: Path) -> None:
    first = trail(tmp_path)
    first.start()
    first.note("one")
    first.close()
    (tmp_path / "audit.jsonl").unlink()

    again = trail(tmp_path)
    again.start()
    again.close()

    (row,) = rows(tmp_path)
    assert row["event"] == "audit_roots_set_aside"
    assert (tmp_path / str(row["now"])).exists()
    assert [root.first for root in read_roots(tmp_path / "audit.roots.jsonl")] == [0]


def test_without_a_key_rows_are_written_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "audit.key").write_text("no key")

    audit = trail(tmp_path)
    audit.start()
    audit.note("one")
    audit.close()

    assert [row["event"] for row in rows(tmp_path)] == ["one"]
    assert not (tmp_path / "audit.roots.jsonl").exists()


def test_a_full_disk_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audit = trail(tmp_path)

    def full(*_arguments: object, **_facts: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(audit._rows, "append", full)

    audit.note("one")


def test_the_anchor_is_the_one_of_the_configuration() -> None:
    syslog = AuditSection(anchor="syslog", syslog_address="192.0.2.9:514")

    assert anchor_of(AuditSection()) is None
    assert isinstance(anchor_of(AuditSection(anchor="file", anchor_file="/mnt/a")), FileAnchor)
    assert isinstance(anchor := anchor_of(syslog), SyslogAnchor)
    assert anchor.name == "syslog tcp 192.0.2.9 port 514"
