"""A hash chain of rows: ``h_n = SHA-256(h_(n-1) || canonical JSON of row n)``, one JSON line a row.

The chain shows that a row in the middle was changed or removed. Alone it does not stop someone who can write the
file from rewriting its tail; anchoring its head elsewhere is not part of this version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Final

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.base.log import scrub

FIRST_HASH: Final = "0" * 64
ROW_BYTES_MAX: Final = 4_096


def row_hash(previous: str, row: Mapping[str, str | int | float]) -> str:
    """Hash of one row after ``previous`` (64 hex digits)."""
    return hashlib.sha256(bytes.fromhex(previous) + _canonical(row)).hexdigest()


def _canonical(row: Mapping[str, str | int | float]) -> bytes:
    return json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


class AuditLog:
    """Appends rows to one file; goes on where an earlier run ended."""

    def __init__(self, path: Path) -> None:
        """Open or create ``path``. Raises OperatorError where the file in place is no chain."""
        self._last = FIRST_HASH
        self._count = 0
        if path.exists():
            for _row, digest in verify(path):
                self._last, self._count = digest, self._count + 1
        self._file: IO[str] = path.open("a", encoding="ascii")

    def append(self, event: str, wall_s: float, **facts: str | int) -> None:
        """Add one row. Text is scrubbed like a log line."""
        row: dict[str, str | int | float] = {"n": self._count, "at": round(wall_s, 3), "event": event}
        row |= {name: scrub(value) if isinstance(value, str) else value for name, value in facts.items()}
        self._last = row_hash(self._last, row)
        self._count += 1
        self._file.write(json.dumps({**row, "hash": self._last}, sort_keys=True) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def verify(path: Path) -> Iterator[tuple[dict[str, str | int | float], str]]:
    """Yield ``(row, hash)`` of each row. Raises OperatorError at the first row that does not fit."""
    previous = FIRST_HASH
    with path.open(encoding="ascii", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line[: ROW_BYTES_MAX + 1])
                digest = row.pop("hash")
            except (ValueError, KeyError, AttributeError):
                raise OperatorError(
                    f"{path}:{number}: not an audit row; the file was changed or cut"
                ) from None
            if row.get("n") != number - 1 or row_hash(previous, row) != digest:
                raise OperatorError(f"{path}:{number}: the chain is broken here; rows before it are intact")
            previous = digest
            yield row, digest
