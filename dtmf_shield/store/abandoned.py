"""How a capture ends whose process died: as its money did, which stands in its operations. Rows in, an end out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dtmf_shield.model.capture import CaptureResult
from dtmf_shield.model.payment import OperationKind, OperationState
from dtmf_shield.store.operation_rows import OPEN_STATES, TAKEN_BACK, OperationRow

_MONEY: Final = (OperationKind.AUTHORIZE, OperationKind.CHARGE)
_TAKES_BACK: Final = (OperationKind.VOID, OperationKind.REFUND)
_NOT_DONE: Final = (
    OperationState.DECLINED,
    OperationState.ACTION_REQUIRED,
    OperationState.FAILED_BEFORE_SEND,
)


@dataclass(frozen=True, slots=True)
class AbandonedCapture:
    """A capture that ran when its process died, and how it ends.

    ``operation_id``: of its authorization or charge, where that moved or may have moved money.
    """

    capture_id: str
    result: CaptureResult
    operation_id: str = ""


def end_of(capture_id: str, operations: Sequence[OperationRow]) -> AbandonedCapture:
    """Say how a capture ends. ``operations``: all of it, oldest first.

    UNKNOWN where an authorization or charge, or what takes it back, is in doubt; CANCELLED where it was taken back;
    APPROVED where it stands. Without any of it INTERRUPTED: a token that was lost costs nothing.
    """
    money = next((row for row in operations if row.kind in _MONEY and row.state not in _NOT_DONE), None)
    if money is None:
        return AbandonedCapture(capture_id, CaptureResult.INTERRUPTED)
    taking = [row for row in operations if row.parent_id == money.operation_id and row.kind in _TAKES_BACK]
    if any(row.state in OPEN_STATES for row in (money, *taking)):
        result = CaptureResult.UNKNOWN
    else:
        result = CaptureResult.CANCELLED if _is_taken_back(money, taking) else CaptureResult.APPROVED
    return AbandonedCapture(capture_id, result, money.operation_id)


def _is_taken_back(money: OperationRow, taking: Sequence[OperationRow]) -> bool:
    done = [row for row in taking if row.state == OperationState.APPROVED]
    refunded_minor = sum(row.amount_minor for row in done if row.kind == OperationKind.REFUND)
    return (
        money.decline_code == TAKEN_BACK
        or any(row.kind == OperationKind.VOID for row in done)
        or refunded_minor >= money.amount_minor > 0
    )
