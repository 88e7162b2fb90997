"""The audit log as the API shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtmf_shield.api.ports.audit import AuditUnreadable
from dtmf_shield.audit.chain import AuditLog
from dtmf_shield.service.control.audit_reader import AuditFile


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "audit.jsonl"
    rows = AuditLog(path)
    for number in range(30):
        rows.append("shield" if number % 3 else "payment", 1_000.0 + number, call=f"c{number}", ok=number)
    rows.close()
    return path


def test_pages_meet_and_are_intact(log: Path) -> None:
    audit, numbers, cursor = AuditFile(log), [], None
    for _ in range(4):
        page = audit.page(before=cursor, rows=8)
        numbers += [row.number for row in page.rows]
        assert page.intact
        cursor = int(page.next_cursor) if page.next_cursor else 0

    assert numbers == list(range(29, -1, -1))
    assert cursor == 0


def test_a_row_has_its_facts_apart_by_kind(log: Path) -> None:
    (row,) = AuditFile(log).page(before=None, rows=1).rows

    assert (row.event, row.texts, row.numbers) == ("shield", {"call": "c29"}, {"ok": 29})
    assert row.at.timestamp() == 1_029.0


def test_rows_of_one_event(log: Path) -> None:
    page = AuditFile(log).page(before=None, rows=4, event="payment")

    assert [row.number for row in page.rows] == [27, 24, 21, 18]


def test_a_page_with_a_changed_row_is_not_intact(log: Path) -> None:
    log.write_bytes(log.read_bytes().replace(b'"ok": 28', b'"ok": 29'))

    assert not AuditFile(log).page(before=None, rows=5).intact
    assert AuditFile(log).page(before=None, rows=1).intact


def test_a_log_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(AuditUnreadable):
        AuditFile(tmp_path / "none").page(before=None, rows=5)
