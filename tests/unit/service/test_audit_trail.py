"""Control's audit trail: captures with their flow, roots from start to stop, faults that stop nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dtmf_shield.audit.anchor import FileAnchor, SyslogAnchor
from dtmf_shield.audit.chain import verify
from dtmf_shield.audit.roots import read_roots
from dtmf_shield.base.config import AuditSection
from dtmf_shield.base.system_clock import SystemClock
from dtmf_shield.call.events import CallPhase, CallSnapshot, CaptureSnapshot
from dtmf_shield.model.capture import CaptureOutcome, CaptureResult, CaptureState
from dtmf_shield.model.ids import CallId, CaptureId
from dtmf_shield.model.stream import ShieldMode
from dtmf_shield.service.control import audit_trail
from dtmf_shield.service.control.audit_trail import AuditTrail, anchor_of


def trail(state: Path, section: AuditSection | None = None) -> AuditTrail:
    return AuditTrail(state, section or AuditSection(), SystemClock())


def rows(state: Path) -> list[dict[str, Any]]:
    return [dict(row) for row, _ in verify(state / "audit.jsonl")]


def call(name: str = "cap-1", result: CaptureResult | None = None) -> CallSnapshot:
    outcome = CaptureOutcome(capture_id=CaptureId(name), result=result) if result else None
    capture = CaptureSnapshot(CaptureId(name), "card", CaptureState.WAITING, outcome=outcome)
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
        {"event": "capture_started", "capture": "cap-1", "call": "call-1", "flow": "card"},
        {"event": "capture_ended", "capture": "cap-1", "call": "call-1", "flow": "card", "result": "token"},
    ]


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


def test_known_captures_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_trail, "CAPTURES_KNOWN_MAX", 2)
    audit = trail(tmp_path)

    for number in range(5):
        audit.capture_changed(call(f"cap-{number}"))

    assert list(audit._running) == ["cap-3", "cap-4"]


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
