"""The ledger file: captures here, gateway operations in operation_rows.py. Never a card number, a security code, a hash
or a prefix of one.

Each call is one committed transaction: when it returns the row is on disk (the end of a capture: with the kernel).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from dtmf_shield.model.payment import DeclineCode
from dtmf_shield.store.abandoned import AbandonedCapture, end_of
from dtmf_shield.store.database import open_ledger_database
from dtmf_shield.store.operation_rows import OperationRows


@dataclass(frozen=True, slots=True)
class NewCapture:
    """What is known of a capture when it starts. ``caller``: a keyed hash."""

    capture_id: str
    call_id: str
    flow: str = ""
    caller: str = ""
    agent: str = ""
    test: bool = False


@dataclass(frozen=True, slots=True)
class PastAttempt:
    """A card that was sent to a gateway. ``declined``: it was refused. ``at_s``: seconds since 1970."""

    flow: str
    caller: str
    agent: str
    declined: bool
    at_s: float


_LEAVING = "leaving"
_DECLINE_CODES = ", ".join(f"'{code.value}'" for code in DeclineCode)


class LedgerRows:
    """The ledger file. Every method may raise sqlite3.Error: disk full, file gone."""

    def __init__(self, path: Path) -> None:
        """Raises OperatorError where the file cannot be used."""
        self._database = open_ledger_database(path)
        self.operations = OperationRows(self._database)

    def installation_value(self, name: str, fresh: str) -> str:
        """Return the stored value of ``name``, storing ``fresh`` the first time."""
        self._database.execute("INSERT OR IGNORE INTO installation VALUES (?, ?)", (name, fresh))
        row = self._database.execute("SELECT value FROM installation WHERE name = ?", (name,)).fetchone()
        return str(row[0])

    def note_leaving(self, wall_s: float) -> None:
        """Store when a process was told to leave, to the second, for the next one."""
        self._database.execute(
            "INSERT OR REPLACE INTO installation VALUES (?, ?)", (_LEAVING, str(math.floor(wall_s)))
        )

    def take_leaving(self) -> float | None:
        """Return when the process before was told to leave, once; None where it died or none was there."""
        row = self._database.execute(
            "DELETE FROM installation WHERE name = ? RETURNING value", (_LEAVING,)
        ).fetchone()
        return float(row[0]) if row else None

    def start_capture(self, new: NewCapture, *, wall_s: float) -> None:
        """Store that a capture runs. A repeated id changes nothing."""
        self._database.execute(
            "INSERT OR IGNORE INTO captures (id, call_id, flow, caller, agent, started, state, test)"
            " VALUES (?, ?, ?, ?, ?, ?, 'running', ?)",
            (
                new.capture_id,
                new.call_id,
                new.flow,
                new.caller,
                new.agent,
                wall_s,
                int(new.test),
            ),
        )

    def end_capture(
        self,
        capture_id: str,
        *,
        result: str,
        brand: str,
        last4: str,
        expiry: tuple[int, int] | None = None,
        wall_s: float,
    ) -> None:
        """Store how a capture ended. ``expiry``: (month, two-digit year).

        It outlives the process, and only with the next operation's commit a loss of power: a caller waits. What became
        of money stands in the operations, each synchronised in full; a capture whose end is lost so is ended by
        ``abandon`` as they say, without brand, last4 and expiry.
        """
        month, year = expiry or (None, None)
        self._database.execute("PRAGMA synchronous=NORMAL")
        try:
            self._database.execute(
                "UPDATE captures SET state = 'ended', ended = ?, result = ?, brand = ?, last4 = ?, exp_month = ?,"
                " exp_year = ? WHERE id = ?",
                (wall_s, result, brand, last4, month, year, capture_id),
            )
        finally:
            self._database.execute("PRAGMA synchronous=FULL")

    def abandon(self, wall_s: float) -> tuple[AbandonedCapture, ...]:
        """End what a process that died left running: captures as ``end_of`` says, intents ``unknown``. Oldest first."""
        with self.operations.transaction():
            running = self._database.execute(
                "SELECT id FROM captures WHERE state = 'running' ORDER BY started"
            )
            abandoned = tuple(
                end_of(row[0], self.operations.of_capture(row[0])) for row in running.fetchall()
            )
            self._database.executemany(
                "UPDATE captures SET state = 'ended', ended = ?, result = ? WHERE id = ?",
                [(wall_s, each.result.value, each.capture_id) for each in abandoned],
            )
            self._database.execute("UPDATE operations SET state = 'unknown' WHERE state = 'intent'")
        return abandoned

    def attempts_since(self, wall_s: float, limit: int) -> tuple[PastAttempt, ...]:
        """Return the latest ``limit`` cards sent by callers since ``wall_s``, oldest first.

        Declined is what the gateway says of the card, not what it refused to us; what was ordered by stored token
        after its capture had ended is no caller's attempt.
        """
        rows = self._database.execute(
            "SELECT flow, caller, agent,"  # noqa: S608 - own text
            f" max(operations.state = 'declined' AND coalesce(decline_code, '') IN ({_DECLINE_CODES})), min(sent_at)"
            " FROM operations JOIN captures ON captures.id = capture_id"
            " WHERE sent_at >= ? AND sent_at <= coalesce(ended, sent_at)"
            " AND operations.state NOT IN ('failed_before_send')"
            " AND (parent_id = '' OR (kind IN ('authorize', 'charge') AND operations.state = 'declined'))"
            " GROUP BY capture_id ORDER BY min(sent_at) DESC LIMIT ?",
            (wall_s, limit),
        ).fetchall()
        return tuple(PastAttempt(*row) for row in reversed(rows))

    def close(self) -> None:
        """Close the file."""
        self._database.close()
