"""What an operator may see and settle of payments whose outcome no program can find out: the ledger file, by hand.

It works beside a running service: cde sees within a minute what a person settled, and tells control.
"""

from __future__ import annotations

import datetime
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.base.log import holds_card_number
from dtmf_shield.model.payment import OperationState, currency_exponent
from dtmf_shield.store.ledger_rows import LedgerRows
from dtmf_shield.store.operation_rows import OperationRow, Settlement

LEDGER_FILE: Final = "ledger.sqlite3"
REASON_CHARACTERS_MAX: Final = 200
SETTLED_BY_HAND: Final = "by_hand"
"""``decline_code`` of what a person settled."""
OUTCOMES: Final = {
    "approved": OperationState.APPROVED,
    "declined": OperationState.DECLINED,
    "not-done": OperationState.FAILED_BEFORE_SEND,
}
"""What a person may have found out at the gateway of what is unknown, and the state it becomes."""
TAKEN_BACK: Final = "taken-back"
"""What a person may have done there about money that no program can take back; it stays approved, and is closed."""


def open_payments(state_directory: Path) -> dict[str, list[dict[str, Any]]]:
    """Return what is ``unknown``, and what is to be taken back and is not yet. Raises OperatorError."""
    with _ledger(state_directory) as rows:
        return {
            "unknown": [_shown(row) for row in rows.operations.unknown_money()],
            "to_take_back": [_shown(row) for row in rows.operations.to_take_back()],
        }


def settle(state_directory: Path, operation_id: str, outcome: str, reason: str) -> dict[str, Any]:
    """Settle an ``unknown`` operation as a person found it at the gateway, or close as TAKEN_BACK what is listed as to
    be taken back. Raises OperatorError.
    """
    if outcome not in (*OUTCOMES, TAKEN_BACK):
        raise OperatorError(f"outcome: found {outcome!r}; allowed: {', '.join((*OUTCOMES, TAKEN_BACK))}")
    reason = _checked(reason)
    with _ledger(state_directory) as rows:
        row = rows.operations.by_id(operation_id)
        if row is None:
            raise OperatorError(
                f"{operation_id}: no such operation in this ledger; see dtmf-shield payments list"
            )
        settled = _write(rows, row, outcome, reason)
        current = rows.operations.by_id(operation_id) or row
        if not settled:
            which = "listed as to be taken back" if outcome == TAKEN_BACK else "unknown"
            raise OperatorError(
                f"{operation_id}: is {_state_text(current)}; only what is {which} is settled as {outcome};"
                " see dtmf-shield payments list"
            )
        return _shown(current)


def _write(rows: LedgerRows, row: OperationRow, outcome: str, reason: str) -> bool:
    """Ask and write in one statement: what cde found out or began a moment ago stands, and False is returned."""
    if outcome == TAKEN_BACK:
        return rows.operations.close_taken_back(row.idem_key, reason)
    settlement = Settlement(OUTCOMES[outcome].value, decline_code=SETTLED_BY_HAND, reason=reason)
    return rows.operations.settle_unknown(row.idem_key, settlement, wall_s=time.time())


def _checked(reason: str) -> str:
    reason = reason.strip()
    if not reason or len(reason) > REASON_CHARACTERS_MAX or not reason.isprintable():
        raise OperatorError(
            f"reason: write who looked where, in one line of 1 to {REASON_CHARACTERS_MAX} characters"
        )
    if holds_card_number(reason):
        raise OperatorError("reason: holds a card number; write it without")
    return reason


def _state_text(row: OperationRow) -> str:
    return f"{row.state}, {row.decline_code}" if row.decline_code else row.state


@contextmanager
def _ledger(state_directory: Path) -> Iterator[LedgerRows]:
    file = state_directory / LEDGER_FILE
    if not file.is_file():
        raise OperatorError(f"{file}: there is no ledger; name the state directory of a service that has run")
    with closing(LedgerRows(file)) as rows:
        try:
            yield rows
        except sqlite3.Error as error:
            raise OperatorError(f"{file}: cannot be read or written ({error}); try again") from error


def _shown(row: OperationRow) -> dict[str, Any]:
    sent = datetime.datetime.fromtimestamp(row.sent_at, datetime.UTC)
    return {
        "operation": row.operation_id,
        "kind": row.kind,
        "state": row.state,
        "code": row.decline_code,
        "amount": amount_text(row.amount_minor, row.currency),
        "currency": row.currency,
        "gateway": row.gateway,
        "key": row.idem_key,
        "gateway_reference": row.gw_ref,
        "reference": row.reference,
        "capture": row.capture_id,
        "sent": sent.isoformat(timespec="seconds"),
        "attempts": row.attempts,
        "test": row.test,
    }


def amount_text(amount_minor: int, currency: str) -> str:
    """Return an amount as people write it: 1050 EUR is 10.50, 1050 JPY is 1050."""
    exponent = currency_exponent(currency)
    whole, part = divmod(amount_minor, 10**exponent)
    return f"{whole}.{part:0{exponent}d}" if exponent else str(whole)
