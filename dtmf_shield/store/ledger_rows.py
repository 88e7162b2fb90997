"""Ledger rows: captures and gateway operations. Never a card number, a security code, a hash or a prefix of one.

Each call is one committed transaction: when it returns the row is on disk. Tokens are stored as they are in this
version; encryption at rest comes with key management, for which ``token`` and ``dek_id`` stand ready.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dtmf_shield.store.database import open_ledger_database


@dataclass(frozen=True, slots=True)
class OperationRow:
    """One gateway operation as stored. ``state``: intent approved declined failed_before_send unknown."""

    capture_id: str
    kind: str
    idem_key: str
    gateway: str
    state: str
    token: str
    decline_code: str


@dataclass(frozen=True, slots=True)
class AbandonedCapture:
    """A capture that ran when its process died. ``sent``: an operation may have reached the gateway."""

    capture_id: str
    sent: bool


class LedgerRows:
    """The ledger file. Every method may raise sqlite3.Error: disk full, file gone."""

    def __init__(self, path: Path) -> None:
        """Raises OperatorError where the file cannot be used."""
        self._database = open_ledger_database(path)

    def installation_value(self, name: str, fresh: str) -> str:
        """Return the stored value of ``name``, storing ``fresh`` the first time."""
        self._database.execute("INSERT OR IGNORE INTO installation VALUES (?, ?)", (name, fresh))
        row = self._database.execute("SELECT value FROM installation WHERE name = ?", (name,)).fetchone()
        return str(row[0])

    def start_capture(self, capture_id: str, call_id: str, *, test: bool, wall_s: float) -> None:
        """Store that a capture runs. A repeated id changes nothing."""
        self._database.execute(
            "INSERT OR IGNORE INTO captures (id, call_id, started, state, test) VALUES (?, ?, ?, 'running', ?)",
            (capture_id, call_id, wall_s, int(test)),
        )

    def end_capture(self, capture_id: str, *, result: str, brand: str, last4: str, wall_s: float) -> None:
        """Store how a capture ended."""
        self._database.execute(
            "UPDATE captures SET state = 'ended', ended = ?, result = ?, brand = ?, last4 = ? WHERE id = ?",
            (wall_s, result, brand, last4, capture_id),
        )

    def intend(
        self,
        capture_id: str,
        *,
        kind: str,
        idem_key: str,
        gateway: str,
        expiry: tuple[int, int],
        wall_s: float,
    ) -> None:
        """Store that an operation is about to be sent. ``expiry``: (month, two-digit year), (0, 0) for none.

        Raises sqlite3.IntegrityError for a key that was used.
        """
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.execute(
                "INSERT INTO operations (capture_id, kind, idem_key, gateway, state, sent_at)"
                " VALUES (?, ?, ?, ?, 'intent', ?)",
                (capture_id, kind, idem_key, gateway, wall_s),
            )
            if expiry[0]:
                self._database.execute(
                    "UPDATE captures SET exp_month = ?, exp_year = ? WHERE id = ?", (*expiry, capture_id)
                )

    def settle(self, idem_key: str, *, state: str, token: str, decline_code: str, wall_s: float) -> None:
        """Store an operation's outcome."""
        self._database.execute(
            "UPDATE operations SET state = ?, token = ?, decline_code = ?, settled_at = ? WHERE idem_key = ?",
            (state, token or None, decline_code or None, wall_s, idem_key),
        )

    def abandon(self, wall_s: float) -> tuple[AbandonedCapture, ...]:
        """End what a process that died left running: captures interrupted, intents ``unknown``. Oldest first."""
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            rows = self._database.execute(
                "SELECT id, EXISTS (SELECT 1 FROM operations WHERE capture_id = captures.id AND state = 'intent')"
                " FROM captures WHERE state = 'running' ORDER BY started"
            )
            abandoned = tuple(AbandonedCapture(row[0], bool(row[1])) for row in rows)
            self._database.execute(
                "UPDATE captures SET state = 'ended', ended = ?,"
                " result = CASE WHEN EXISTS (SELECT 1 FROM operations WHERE capture_id = captures.id"
                " AND operations.state = 'intent') THEN 'unknown' ELSE 'interrupted' END WHERE state = 'running'",
                (wall_s,),
            )
            self._database.execute(
                "UPDATE operations SET state = 'unknown', settled_at = ? WHERE state = 'intent'", (wall_s,)
            )
        return abandoned

    def operations(self, capture_id: str) -> tuple[OperationRow, ...]:
        """Return a capture's operations, oldest first."""
        rows = self._database.execute(
            "SELECT capture_id, kind, idem_key, gateway, state, coalesce(token, ''), coalesce(decline_code, '')"
            " FROM operations WHERE capture_id = ? ORDER BY id",
            (capture_id,),
        )
        return tuple(OperationRow(*row) for row in rows)

    def capture_result(self, capture_id: str) -> str | None:
        """Return how a capture ended, None while it runs or where it is not known."""
        row = self._database.execute("SELECT result FROM captures WHERE id = ?", (capture_id,)).fetchone()
        return str(row[0]) if row and row[0] is not None else None

    def close(self) -> None:
        """Close the file."""
        self._database.close()
