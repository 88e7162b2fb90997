"""The ledger as a reader sees it: operations with their captures, newest first, without tokens and keys.

Each question opens the file read-only and closes it: it may be asked from any thread, and writers never wait for it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LEDGER_FILE: Final = "ledger.sqlite3"
"""In the state directory."""
BUSY_TIMEOUT_S: Final = 1.0
_COLUMNS: Final = (
    "operations.id, operation_id, parent_id, capture_id, call_id, flow, agent, kind, operations.state,"
    " coalesce(decline_code, ''), amount_minor, currency, reference, gateway, brand, last4, sent_at,"
    " settled_at, attempts, test"
)
_FROM: Final = "operations JOIN captures ON captures.id = capture_id"


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """One operation. ``place``: of its row. ``sent_at``, ``settled_at``: seconds since 1970, the latter None while
    it is open."""

    place: int
    operation_id: str
    parent_id: str
    capture_id: str
    call_id: str
    flow: str
    agent: str
    kind: str
    state: str
    code: str
    amount_minor: int
    currency: str
    reference: str
    gateway: str
    brand: str
    last4: str
    sent_at: float
    settled_at: float | None
    attempts: int
    test: int


class PaymentRows:
    """Reads the ledger file. Every method may raise sqlite3.Error. A file that is not there has no rows."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def page(
        self,
        kinds: Collection[str],
        *,
        reference: str = "",
        state: str = "",
        from_s: float | None = None,
        until_s: float | None = None,
        before: int | None = None,
        rows: int,
    ) -> tuple[PaymentRow, ...]:
        """Return the newest ``rows`` that fit every condition that is given."""
        conditions: dict[str, object] = {
            "reference = ?": reference or None,
            "operations.state = ?": state or None,
            "sent_at >= ?": from_s,
            "sent_at < ?": until_s,
            "operations.id < ?": before,
        }
        given = {text: value for text, value in conditions.items() if value is not None}
        where = " AND ".join([f"kind IN ({', '.join('?' * len(kinds))})", *given])
        return self._select(
            f"{where} ORDER BY operations.id DESC LIMIT ?", (*sorted(kinds), *given.values(), rows)
        )

    def by_id(self, operation_id: str) -> PaymentRow | None:
        """Return one operation."""
        rows = self._select("operation_id = ?", (operation_id,))
        return rows[0] if rows else None

    def children(self, operation_id: str) -> tuple[PaymentRow, ...]:
        """Return what was done with an operation, oldest first."""
        return self._select("parent_id = ? ORDER BY operations.id", (operation_id,))

    def _select(self, where: str, values: tuple[object, ...]) -> tuple[PaymentRow, ...]:
        if not self._path.exists():
            return ()
        address = f"{self._path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT_S)) as database:
            found = database.execute(f"SELECT {_COLUMNS} FROM {_FROM} WHERE {where}", values)  # noqa: S608 - own text
            return tuple(PaymentRow(*row) for row in found.fetchall())
