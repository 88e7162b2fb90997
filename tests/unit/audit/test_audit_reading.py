"""Rows of the audit log from its end: pages that meet, rows that do not fit, and a row that is just being written."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtmf_shield.audit import reading
from dtmf_shield.audit.chain import AuditLog
from dtmf_shield.audit.reading import rows_before


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "audit.jsonl"
    rows = AuditLog(path)
    for number in range(40):
        rows.append("call_answered" if number % 4 else "control_started", 1_000.0 + number, call="c" * 30)
    rows.close()
    return path


def numbers(path: Path, before: int | None = None) -> list[int]:
    return [int(row.row["n"]) for row in rows_before(path, before)]


@pytest.mark.parametrize("block_bytes", [200, 333, 65_536])
def test_every_row_comes_once_newest_first_whatever_the_blocks(
    log: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    monkeypatch.setattr(reading, "BLOCK_BYTES", block_bytes)

    assert numbers(log) == list(range(39, -1, -1))
    assert all(row.fits for row in rows_before(log, None))


def test_pages_meet_without_gap(log: Path) -> None:
    first = [row for row, _ in zip(rows_before(log, None), range(7), strict=False)]

    assert numbers(log, first[-1].offset) == list(range(32, -1, -1))


def test_a_cursor_in_the_middle_of_a_row_leaves_that_row_out(log: Path) -> None:
    first = next(iter(rows_before(log, None)))

    found = list(rows_before(log, first.offset + 5))
    assert [int(row.row["n"]) for row in found][:2] == [38, 37]
    assert all(row.fits for row in found)


def test_a_changed_row_does_not_fit_and_the_one_after_it_does_not_either_way(log: Path) -> None:
    text = log.read_bytes()
    log.write_bytes(text.replace(b'"at": 1020.0', b'"at": 1021.0'))

    assert [int(row.row["n"]) for row in rows_before(log, None) if not row.fits] == [20]


def test_a_line_that_is_no_row_is_told(log: Path) -> None:
    lines = log.read_bytes().splitlines()
    lines[10] = b"not a row"
    log.write_bytes(b"\n".join(lines) + b"\n")

    unfit = [row for row in rows_before(log, None) if not row.fits]
    assert [row.row.get("n") for row in unfit] == [None, None]  # it, and the one that follows nothing


def test_a_row_that_is_being_written_is_passed_over(log: Path) -> None:
    with log.open("ab") as file:
        file.write(b'{"at": 2000.0, "ev')

    assert numbers(log)[0] == 39


def test_a_look_reads_a_bounded_part(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BLOCK_BYTES", 500)
    monkeypatch.setattr(reading, "SCAN_BYTES_MAX", 1_000)
    looked = list(rows_before(log, None))

    assert 0 < len(looked) < 10
    assert numbers(log, looked[-1].offset)[0] == int(looked[-1].row["n"]) - 1


def test_an_empty_log_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").touch()

    assert numbers(tmp_path / "audit.jsonl") == []
