"""Rows of gateway operations: written before the first byte leaves, settled once, never deleted.

Each call is one committed transaction unless it stands inside ``transaction()``. A row that is settled stays as it is:
only ``intent`` and ``unknown`` may change, but for what a person took back at the gateway.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any, Final

ROWS_MAX: Final = 10_000
"""Rows of one answer: more unknown operations than that are taken up in turns."""
OPEN_STATES: Final = ("intent", "unknown")
TAKEN_BACK: Final = "voided"
"""``decline_code`` of an approved operation that was taken back since: the gateway says so, or a person did it."""


@dataclass(frozen=True, slots=True)
class OperationRow:
    """One gateway operation as stored; kinds and states are those of ``model.payment``.

    ``token`` is sealed where ``dek_id`` names its data key. ``unwanted``: the caller was gone before it was told of it.
    ``sent_at``, ``settled_at``: seconds since 1970, the latter 0 while it is open. ``test``: of the TEST gateway.
    """

    operation_id: str
    parent_id: str
    capture_id: str
    kind: str
    idem_key: str
    amount_minor: int
    currency: str
    reference: str
    gateway: str
    state: str
    token: bytes
    dek_id: str
    decline_code: str
    gw_ref: str
    attempts: int
    unwanted: bool
    sent_at: float
    settled_at: float
    test: bool


@dataclass(frozen=True, slots=True)
class NewOperation:
    """What is known of an operation before it is sent."""

    operation_id: str
    capture_id: str
    kind: str
    idem_key: str
    gateway: str
    parent_id: str = ""
    amount_minor: int = 0
    currency: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is known of it after. ``reason``: of a person who settled it by hand."""

    state: str
    token: bytes = b""
    dek_id: str = ""
    decline_code: str = ""
    gw_ref: str = ""
    auth_code: str = ""
    net_txn_id: str = ""
    avs: str = ""
    cvc_check: str = ""
    reason: str = ""


_COLUMNS: Final = (
    "operation_id, parent_id, capture_id, kind, idem_key, amount_minor, currency, reference, gateway, operations.state,"
    " coalesce(token, x''), coalesce(dek_id, ''), coalesce(decline_code, ''), gw_ref, attempts, unwanted, sent_at,"
    " coalesce(settled_at, 0.0), (SELECT test FROM captures WHERE captures.id = capture_id)"
)
_NEW_COLUMNS: Final = tuple(field.name for field in fields(NewOperation))
_SETTLE: Final = (
    "UPDATE operations SET state = ?, token = coalesce(?, token), dek_id = coalesce(?, dek_id), decline_code = ?,"
    " gw_ref = CASE WHEN ? = '' THEN gw_ref ELSE ? END, auth_code = ?, net_txn_id = ?, avs = ?, cvc_check = ?,"
    " reason = ?, settled_at = ? WHERE idem_key = ?"
)

_TO_TAKE_BACK: Final = (
    f"operations.state = 'approved' AND unwanted = 1 AND coalesce(decline_code, '') <> '{TAKEN_BACK}'"  # noqa: S608 - own text
    " AND NOT EXISTS (SELECT 1 FROM operations AS child WHERE child.parent_id = operations.operation_id"
    " AND child.kind IN ('void', 'refund', 'capture') AND child.state IN ('intent', 'unknown', 'approved'))"
)


class OperationRows:
    """The table of operations. Every method may raise sqlite3.Error: disk full, file gone."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the write lock: what is read and written inside is one step for every process."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def insert(self, new: NewOperation, *, wall_s: float) -> None:
        """Store an intent. Raises sqlite3.IntegrityError for a key or an id that was used."""
        values = [getattr(new, name) for name in _NEW_COLUMNS]
        self._database.execute(
            f"INSERT INTO operations ({', '.join(_NEW_COLUMNS)}, state, sent_at)"  # noqa: S608 - own names
            f" VALUES ({', '.join('?' * len(values))}, 'intent', ?)",
            (*values, wall_s),
        )

    def count_attempt(self, idem_key: str) -> None:
        """Note that the same bytes are about to be sent once more."""
        self._database.execute(
            "UPDATE operations SET attempts = attempts + 1 WHERE idem_key = ?", (idem_key,)
        )

    def settle(self, idem_key: str, settlement: Settlement, *, wall_s: float) -> bool:
        """Store an outcome. False: the row is settled already, or is not there; it stays as it is."""
        return self._settle("state IN ('intent', 'unknown')", idem_key, settlement, wall_s)

    def settle_unknown(self, idem_key: str, settlement: Settlement, *, wall_s: float) -> bool:
        """Store an outcome where it is unknown. False: the row is settled or being sent, or is not there."""
        return self._settle("state = 'unknown'", idem_key, settlement, wall_s)

    def _settle(self, while_it_is: str, idem_key: str, settlement: Settlement, wall_s: float) -> bool:
        changed = self._database.execute(
            f"{_SETTLE} AND {while_it_is}",
            (
                settlement.state,
                settlement.token or None,
                settlement.dek_id or None,
                settlement.decline_code or None,
                settlement.gw_ref,
                settlement.gw_ref,
                settlement.auth_code,
                settlement.net_txn_id,
                settlement.avs,
                settlement.cvc_check,
                settlement.reason,
                None if settlement.state in OPEN_STATES else wall_s,
                idem_key,
            ),
        )
        return changed.rowcount == 1

    def close_taken_back(self, idem_key: str, reason: str) -> bool:
        """Note that a person took back what is ``to_take_back``. False: it is not; the row stays as it is."""
        changed = self._database.execute(
            f"UPDATE operations SET decline_code = ?, reason = ? WHERE idem_key = ? AND {_TO_TAKE_BACK}",  # noqa: S608 - own text
            (TAKEN_BACK, reason, idem_key),
        )
        return changed.rowcount == 1

    def mark_unwanted(self, capture_id: str) -> None:
        """Note that nobody waits any more for the money of a capture: it is to be taken back once it is known."""
        self._database.execute(
            "UPDATE operations SET unwanted = 1 WHERE capture_id = ? AND kind IN ('authorize', 'charge')"
            " AND state IN ('intent', 'unknown', 'approved')",
            (capture_id,),
        )

    def seal_token(self, idem_key: str, sealed: bytes, dek_id: str) -> None:
        """Put a sealed token in the place of one in clear."""
        self._database.execute(
            "UPDATE operations SET token = ?, dek_id = ? WHERE idem_key = ? AND dek_id IS NULL",
            (sealed, dek_id, idem_key),
        )

    # --- questions ---------------------------------------------------------------------------------------

    def by_id(self, operation_id: str) -> OperationRow | None:
        """Return one operation."""
        rows = self._select("operation_id = ?", (operation_id,))
        return rows[0] if rows else None

    def of_capture(self, capture_id: str) -> tuple[OperationRow, ...]:
        """Return a capture's operations, oldest first."""
        return self._select("capture_id = ?", (capture_id,))

    def children(self, operation_id: str) -> tuple[OperationRow, ...]:
        """Return what was done with an operation, oldest first."""
        return self._select("parent_id = ?", (operation_id,))

    def unknown_money(self) -> tuple[OperationRow, ...]:
        """Return operations that may have moved money, oldest first, at most ROWS_MAX."""
        return self._select("operations.state = 'unknown' AND kind NOT IN ('tokenize', 'verify')", ())

    def settled_since(self, wall_s: float, *, sent_s: float) -> tuple[OperationRow, ...]:
        """Return operations settled since ``wall_s`` of those first sent since ``sent_s``, oldest first."""
        return self._select("sent_at >= ? AND settled_at >= ?", (sent_s, wall_s))

    def to_take_back(self) -> tuple[OperationRow, ...]:
        """Return approved operations that nobody waited for and that stand as they were made, oldest first."""
        return self._select(_TO_TAKE_BACK, ())

    def clear_tokens(self) -> tuple[OperationRow, ...]:
        """Return rows whose token is in clear, at most ROWS_MAX."""
        return self._select("token IS NOT NULL AND dek_id IS NULL", ())

    def _select(self, where: str, values: tuple[object, ...]) -> tuple[OperationRow, ...]:
        rows = self._database.execute(
            f"SELECT {_COLUMNS} FROM operations WHERE {where} ORDER BY id LIMIT {ROWS_MAX}",  # noqa: S608 - own text
            values,
        )
        return tuple(_row(row) for row in rows)


def _row(values: tuple[Any, ...]) -> OperationRow:
    row = OperationRow(*values)
    return replace(row, unwanted=bool(row.unwanted), test=bool(row.test))
