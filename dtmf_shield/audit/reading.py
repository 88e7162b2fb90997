"""Rows of an audit log from its end backwards, each with whether it fits the row before it. Reads a little of the file.

The whole proof is ``verification.py``; this is for looking.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dtmf_shield.audit.chain import FIRST_HASH, parse_row, row_hash

BLOCK_BYTES: Final = 65_536
SCAN_BYTES_MAX: Final = 4 * 1_024 * 1_024
"""Of one look: some 16,000 rows."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One line. ``offset``: where it begins; ``row`` is empty where it is no audit row, and ``fits`` False."""

    offset: int
    row: dict[str, str | int | float]
    digest: str
    fits: bool


def rows_before(path: Path, before: int | None) -> Iterator[AuditRow]:
    """Yield rows that end at or before byte ``before`` (None: the end), newest first, within SCAN_BYTES_MAX.

    A row that is being written is passed over. Raises OSError.
    """
    newer: tuple[int, bytes] | None = None
    for offset, line in _lines_before(path, before):
        if newer is not None:
            yield _row(*newer, line)
        newer = (offset, line)
    if newer is not None and newer[0] == 0:
        yield _row(*newer, None)


def _row(offset: int, line: bytes, line_before: bytes | None) -> AuditRow:
    try:
        row, digest = parse_row(line)
        previous = FIRST_HASH if line_before is None else parse_row(line_before)[1]
        return AuditRow(offset, row, digest, fits=row_hash(previous, row) == digest)
    except ValueError:
        return AuditRow(offset, {}, "", fits=False)


def _lines_before(path: Path, before: int | None) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, line) of whole lines, last first. The last of a look may lack its row: there is no more to it."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        end = end if before is None else min(before, end)
        start, held, first = end, b"", True
        while start > 0 and end - start < SCAN_BYTES_MAX:
            begin = max(0, start - BLOCK_BYTES)
            file.seek(begin)
            held, start = file.read(start - begin) + held, begin
            lines = held.split(b"\n")
            held = lines[0] if start else b""
            place = start + len(lines[0]) + 1 if start else 0
            found: list[tuple[int, bytes]] = []
            for line in lines[1:] if start else lines:
                found.append((place, line))
                place += len(line) + 1
            if found and first and found[-1][1]:
                found.pop()  # not ended: it is being written, or the cursor is none of ours
            first = False
            yield from ((offset, line) for offset, line in reversed(found) if line)
