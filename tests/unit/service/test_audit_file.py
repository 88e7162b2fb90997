"""The audit log as the API shows it."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from dtmf_shield.api.ports.audit import AuditFilter, AuditUnreadable
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
    page = AuditFile(log).page(before=None, rows=4, wanted=AuditFilter(event="payment"))

    assert [row.number for row in page.rows] == [27, 24, 21, 18]


def test_rows_of_a_person_a_call_and_a_day(tmp_path: Path) -> None:
    path, day_s = tmp_path / "audit.jsonl", 86_400.0
    rows = AuditLog(path)
    for number in range(9):
        facts = (
            {"by": "ada"} if number % 3 == 0 else {"user": "ada"} if number % 3 == 1 else {"by": "key:crm"}
        )
        rows.append("user_changed", day_s * (1 + number // 3) + number, call=f"c{number}", **facts)
    rows.close()

    def numbers(**wanted: str | datetime.date) -> list[int]:
        return [
            row.number for row in AuditFile(path).page(before=None, rows=9, wanted=AuditFilter(**wanted)).rows
        ]

    assert numbers(person="ada") == [7, 6, 4, 3, 1, 0]
    assert numbers(person="key:crm", day=datetime.date(1970, 1, 3)) == [5]
    assert numbers(call="c4") == [4]
    assert numbers(day=datetime.date(1970, 1, 3)) == [5, 4, 3]
    newest = AuditFile(path).page(before=None, rows=2, wanted=AuditFilter(day=datetime.date(1970, 1, 4)))
    older = AuditFile(path).page(
        before=int(newest.next_cursor or 0), rows=2, wanted=AuditFilter(day=datetime.date(1970, 1, 4))
    )
    assert ([row.number for row in older.rows], older.next_cursor) == (
        [6],
        None,
    )  # the day before is not read


def test_a_page_with_a_changed_row_is_not_intact(log: Path) -> None:
    log.write_bytes(log.read_bytes().replace(b'"ok": 28', b'"ok": 29'))

    assert not AuditFile(log).page(before=None, rows=5).intact
    assert AuditFile(log).page(before=None, rows=1).intact


def test_a_log_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(AuditUnreadable):
        AuditFile(tmp_path / "none").page(before=None, rows=5)
