"""A hash chain of rows: ``h_n = SHA-256(h_(n-1) || canonical JSON of row n)``, one JSON line a row.

The chain shows that a row in the middle was changed or removed. Alone it does not stop someone who can write the
file from rewriting its tail: signed roots (``roots.py``), kept where the service cannot write, do.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Final

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.base.log import scrub

FIRST_HASH: Final = "0" * 64
ROW_BYTES_MAX: Final = 4_096
TEXT_CHARACTERS_MAX: Final = 100


def row_hash(previous: str, row: Mapping[str, str | int | float]) -> str:
    """Hash of one row after ``previous`` (64 hex digits)."""
    return hashlib.sha256(bytes.fromhex(previous) + canonical(row)).hexdigest()


def canonical(row: Mapping[str, str | int | float]) -> bytes:
    """Return the one form of a row that is hashed: sorted keys, no blanks, ASCII."""
    return json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


class AuditLog:
    """Appends rows to one file; goes on where an earlier run ended."""

    def __init__(self, path: Path) -> None:
        """Open or create ``path``; only its last row is read. Raises OperatorError where that is no audit row."""
        self._last, self._count, cut = _last_row(path)
        self._file: IO[str] = path.open("a", encoding="ascii")
        if cut:
            # A full disk or a crash of the machine cut the last row: what is left of it is removed and that is told.
            self._file.truncate(path.stat().st_size - cut)
            self.append("audit_row_cut", 0.0, bytes=cut)

    def append(self, event: str, wall_s: float, **facts: str | int) -> None:
        """Add one row. Text is scrubbed like a log line."""
        row: dict[str, str | int | float] = {"n": self._count, "at": round(wall_s, 3), "event": event}
        row |= {name: _short(value) if isinstance(value, str) else value for name, value in facts.items()}
        self._last = row_hash(self._last, row)
        self._count += 1
        self._file.write(json.dumps({**row, "hash": self._last}, sort_keys=True) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _short(text: str) -> str:
    # A dozen of them fit into a row even where every character is written as an escape of six.
    return scrub(text)[:TEXT_CHARACTERS_MAX]


def _last_row(path: Path) -> tuple[str, int, int]:
    """Return (hash of the last whole row, number of rows, bytes of a cut row behind it)."""
    if not path.exists() or path.stat().st_size == 0:
        return FIRST_HASH, 0, 0
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 3 * ROW_BYTES_MAX))
        tail = file.read()
    whole, newline, cut = tail.rpartition(b"\n")
    if not newline:
        return FIRST_HASH, 0, len(cut)
    try:
        row = json.loads(whole.rpartition(b"\n")[2])
        return str(row["hash"]), int(row["n"]) + 1, len(cut)
    except (ValueError, KeyError, TypeError):
        raise OperatorError(f"{path}: its last row is no audit row; move the file away and keep it") from None


def parse_row(line: str | bytes) -> tuple[dict[str, str | int | float], str]:
    """Return ``(row, hash)`` of one line, unchecked. Raises ValueError where it is no row."""
    try:
        row = json.loads(line[: ROW_BYTES_MAX + 1])
        return row, str(row.pop("hash"))
    except (KeyError, AttributeError, TypeError):
        raise ValueError("no audit row") from None


def tail(path: Path, bytes_max: int) -> Iterator[dict[str, str | int | float]]:
    """Yield the whole rows within the last ``bytes_max`` bytes, unchecked; what is no row is passed over."""
    if not path.exists():
        return
    with path.open("rb") as file:
        start = max(0, file.seek(0, os.SEEK_END) - bytes_max)
        file.seek(start)
        lines = file.read(bytes_max).split(b"\n")
    # The first is the end of a row that began before, the last is empty or was cut.
    for line in lines[1 if start else 0 : -1]:
        try:
            yield parse_row(line)[0]
        except ValueError:
            continue


def verify(path: Path) -> Iterator[tuple[dict[str, str | int | float], str]]:
    """Yield ``(row, hash)`` of each row. Raises OperatorError at the first row that does not fit."""
    previous = FIRST_HASH
    with path.open(encoding="ascii", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row, digest = parse_row(line)
            except ValueError:
                raise OperatorError(
                    f"{path}:{number}: not an audit row; the file was changed or cut"
                ) from None
            if row.get("n") != number - 1 or row_hash(previous, row) != digest:
                raise OperatorError(f"{path}:{number}: the chain is broken here; rows before it are intact")
            previous = digest
            yield row, digest
