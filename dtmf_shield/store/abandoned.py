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
_KEEPS: Final = (OperationKind.CAPTURE, OperationKind.REFUND)
_REFUSED: Final[dict[str, CaptureResult]] = {
    OperationState.DECLINED: CaptureResult.DECLINED,
    OperationState.ACTION_REQUIRED: CaptureResult.ACTION_REQUIRED,
}
_NOT_DONE: Final = frozenset({*_REFUSED, OperationState.FAILED_BEFORE_SEND})


@dataclass(frozen=True, slots=True)
class AbandonedCapture:
    """A capture that ran when its process died, and how it ends.

    ``operation_id``: of its authorization or charge, where that moved or may have moved money, or was refused.
    """

    capture_id: str
    result: CaptureResult
    operation_id: str = ""


def end_of(capture_id: str, operations: Sequence[OperationRow]) -> AbandonedCapture:
    """Say how a capture ends. ``operations``: all of it, oldest first.

    Where money was or may have been moved as ``end_of_money`` says, where it was refused DECLINED or ACTION_REQUIRED.
    Where no gateway was asked for any INTERRUPTED: a token that was lost costs nothing.
    """
    asked = [row for row in operations if row.kind in _MONEY]
    money = next((row for row in asked if row.state not in _NOT_DONE), None)
    if money is None:
        refused = next((row for row in asked if row.state in _REFUSED), None)
        if refused is None:
            return AbandonedCapture(capture_id, CaptureResult.INTERRUPTED)
        return AbandonedCapture(capture_id, _REFUSED[refused.state], refused.operation_id)
    children = [row for row in operations if row.parent_id == money.operation_id]
    return AbandonedCapture(capture_id, end_of_money(money, children), money.operation_id)


def end_of_money(money: OperationRow, children: Sequence[OperationRow]) -> CaptureResult:
    """Say what became of an authorization or charge that was, or may have been, done. ``children``: done with it.

    UNKNOWN where it, or what takes it back, is in doubt, and where nobody waited for it: it is taken back yet, so that
    to tell it as approved would be to sell for nothing. CANCELLED where it was taken back; APPROVED where it stands.
    """
    taking = [row for row in children if row.kind in _TAKES_BACK]
    if any(row.state in OPEN_STATES for row in (money, *taking)):
        return CaptureResult.UNKNOWN
    done = [row for row in children if row.state == OperationState.APPROVED]
    if _is_taken_back(money, done):
        return CaptureResult.CANCELLED
    # What was captured, or refunded in part, by an order is not taken back by itself.
    stands = any(row.kind in _KEEPS for row in done)
    return CaptureResult.UNKNOWN if money.unwanted and not stands else CaptureResult.APPROVED


def _is_taken_back(money: OperationRow, done: Sequence[OperationRow]) -> bool:
    refunded_minor = sum(row.amount_minor for row in done if row.kind == OperationKind.REFUND)
    return (
        money.decline_code == TAKEN_BACK
        or any(row.kind == OperationKind.VOID for row in done)
        or refunded_minor >= money.amount_minor > 0
    )
