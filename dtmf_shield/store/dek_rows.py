"""Rows of data encryption keys (DEKs), each wrapped by a key encryption key: no key in clear is ever in this file.

A row's bytes mean nothing to this module. ``locked`` takes the ledger's write lock, which is also the lock of the
KEKs: whoever adds, rewraps or removes keys does it under this lock, in whatever process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.store.database import open_ledger_database

SEALED_TABLE: Final = "operations"
SEALED_COLUMN: Final = "token"
"""The one place where sealed values lie. Their row name, part of what seals them, is the operation's ``idem_key``."""
DEKS_MAX: Final = 10_000
"""Days of 27 years. More is a mistake, and would make the start slow."""


@dataclass(frozen=True, slots=True)
class DekRow:
    """One wrapped key. ``created_s``: the start of its UTC day, seconds since 1970."""

    dek_id: str
    created_s: float
    kek_id: str
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class SealedRow:
    """One sealed token as stored."""

    row: str
    sealed: bytes
    dek_id: str


class DekRows:
    """The ``deks`` table of one ledger file. Every method may raise sqlite3.Error."""

    def __init__(self, path: Path) -> None:
        """Raises OperatorError where the file cannot be used."""
        self._database = open_ledger_database(path)
        self.path = path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the write lock; what is written inside is committed at the end, or not at all."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def all(self) -> tuple[DekRow, ...]:
        """Return every row, oldest day first. Raises OperatorError over DEKS_MAX."""
        rows = self._database.execute(
            "SELECT id, created, kek_id, wrapped FROM deks ORDER BY created, rowid LIMIT ?", (DEKS_MAX + 1,)
        ).fetchall()
        if len(rows) > DEKS_MAX:
            raise OperatorError(f"{self.path}: more than {DEKS_MAX} data keys; this ledger was tampered with")
        return tuple(DekRow(*row) for row in rows)

    def insert(self, rows: Sequence[DekRow]) -> None:
        """Add rows."""
        self._database.executemany(
            "INSERT INTO deks (id, created, kek_id, wrapped) VALUES (?, ?, ?, ?)",
            [(row.dek_id, row.created_s, row.kek_id, row.wrapped) for row in rows],
        )

    def rewrap(self, old: DekRow, new: DekRow) -> None:
        """Put ``new`` in the place of ``old``, unless somebody was faster."""
        self._database.execute(
            "UPDATE deks SET kek_id = ?, wrapped = ? WHERE id = ? AND kek_id = ?",
            (new.kek_id, new.wrapped, old.dek_id, old.kek_id),
        )

    def forget_unused(self, before_s: float) -> int:
        """Delete keys of days before ``before_s`` that sealed nothing. Returns how many."""
        unused = "".join(
            f' AND id NOT IN (SELECT dek_id FROM "{table}" WHERE dek_id IS NOT NULL)'  # noqa: S608 - own names
            for table in self._tables_with_dek_id()
        )
        statement = f"DELETE FROM deks WHERE created < ?{unused}"  # noqa: S608 - own names
        return self._database.execute(statement, (before_s,)).rowcount

    def _tables_with_dek_id(self) -> list[str]:
        names = self._database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return [
            str(name)
            for (name,) in names
            if any(column[1] == "dek_id" for column in self._database.execute(f'PRAGMA table_info("{name}")'))
        ]

    def sealed(self) -> Iterator[SealedRow]:
        """Yield each sealed token, oldest first."""
        for row, value, dek_id in self._database.execute(
            "SELECT idem_key, token, dek_id FROM operations WHERE dek_id IS NOT NULL ORDER BY id"
        ):
            yield SealedRow(row, value if isinstance(value, bytes) else b"", dek_id)

    def clear_count(self) -> int:
        """Return how many tokens lie in clear: rows of a version that did not encrypt."""
        row = self._database.execute(
            "SELECT count(*) FROM operations WHERE token IS NOT NULL AND dek_id IS NULL"
        ).fetchone()
        return int(row[0])

    def close(self) -> None:
        """Close the file."""
        self._database.close()
