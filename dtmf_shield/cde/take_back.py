"""Money nobody waited for is taken back: voided where the gateway can, else refunded; once, and until it is done.

The caller hung up after the authorisation or charge was sent and before anybody told him of it; the ledger row says
``unwanted``. What to do next is a plain function of the row's children.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from dtmf_shield.base.clock import Clock
from dtmf_shield.base.log import get_logger
from dtmf_shield.cde.gateways.base import Capabilities, GatewayResultKind
from dtmf_shield.cde.operations import Operations
from dtmf_shield.model.capture import CaptureResult
from dtmf_shield.model.ids import OperationId
from dtmf_shield.model.payment import OperationKind, OperationState
from dtmf_shield.store.abandoned import end_of_money
from dtmf_shield.store.operation_rows import TAKEN_BACK, NewOperation, OperationRow

TRIES_MAX: Final = 16
"""Tries that failed before anything was sent, or for our credentials; then a person decides. With the waits between:
about nine hours."""
TRY_WAIT_S_FIRST: Final = 15.0
TRY_WAIT_S_MAX: Final = 3_600.0
SEND_TIME_MAX_S: Final = 20.0

_log = get_logger("payments")


_CREDENTIALS_REFUSED: Final = frozenset({"http_401", "http_403"})
"""Codes of a gateway that refused us before it looked at what was asked: somebody mends that."""


class Plan(enum.Enum):
    """What to do next about money that nobody waited for."""

    VOID = OperationKind.VOID
    REFUND = OperationKind.REFUND
    WAIT = "wait"
    DONE = "done"
    """Or under way: an unknown void is reconciled like any operation."""
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Tried:
    """A child of the unwanted operation. ``code``: the ledger's, of one that was declined or refused."""

    kind: OperationKind
    state: OperationState
    age_s: float
    code: str = ""

    @property
    def failed(self) -> bool:
        """Whether it never came to what the gateway thinks of it: tried again, the same may be done."""
        return self.state is OperationState.FAILED_BEFORE_SEND or (
            self.state is OperationState.DECLINED and self.code in _CREDENTIALS_REFUSED
        )


_TAKES_OR_MOVES: Final = frozenset({OperationKind.VOID, OperationKind.REFUND, OperationKind.CAPTURE})
_STANDS: Final = frozenset({OperationState.INTENT, OperationState.UNKNOWN, OperationState.APPROVED})


def plan(kind: OperationKind, capabilities: Capabilities, tried: Sequence[Tried]) -> Plan:
    """Return the next step for an approved, unwanted operation of ``kind``."""
    tried = [each for each in tried if each.kind in _TAKES_OR_MOVES]
    if any(each.state in _STANDS for each in tried):
        return Plan.DONE
    failed = [each for each in tried if each.failed]
    if len(failed) >= TRIES_MAX:
        return Plan.PERSON
    wait_s = min(TRY_WAIT_S_FIRST * 2.0 ** len(failed), TRY_WAIT_S_MAX)
    if failed and min(each.age_s for each in failed) < wait_s:
        return Plan.WAIT
    refused = {each.kind for each in tried if not each.failed}
    if kind in capabilities.voids and OperationKind.VOID not in refused:
        return Plan.VOID
    can_refund = kind is OperationKind.CHARGE and OperationKind.REFUND in capabilities.operations
    if can_refund and OperationKind.REFUND not in refused:
        return Plan.REFUND
    return Plan.PERSON


class TakeBack:
    """Takes back one process's unwanted operations."""

    def __init__(self, operations: Operations, clock: Clock) -> None:
        self._operations, self._clock = operations, clock
        self._alarmed: set[str] = set()

    async def take_back(self, row: OperationRow) -> CaptureResult:
        """Void or refund ``row``. Raises sqlite3.Error.

        Returns what is then true of the money: CANCELLED where it was certainly taken back; UNKNOWN where that is in
        doubt or will be tried again; APPROVED where it stands, for only a person can take it back, or somebody used it.

        A void that was declined (such as one too late) is followed by a refund at once.
        """
        while isinstance(step := self._begin(row), OperationRow):
            until_s = self._clock.now_s() + SEND_TIME_MAX_S
            result = await self._operations.deliver(step, sends_until_s=until_s)
            if result.kind is GatewayResultKind.APPROVED:
                return CaptureResult.CANCELLED
            if result.kind is not GatewayResultKind.DECLINED:
                break
        return self._end(row)

    def _end(self, row: OperationRow) -> CaptureResult:
        ledger, operation_id = self._operations.ledger, OperationId(row.operation_id)
        current, children = ledger.operation(operation_id) or row, ledger.children(operation_id)
        if self._plan(current, children) is not Plan.PERSON:
            return end_of_money(replace(current, unwanted=True), children)
        if row.operation_id not in self._alarmed:
            self._alarmed.add(row.operation_id)
            _log.error("payment_not_taken_back", operation_id=row.operation_id, gateway=row.gateway)
            self._operations.tell(row, OperationState.APPROVED, "not_taken_back")
        return CaptureResult.APPROVED

    def _begin(self, row: OperationRow) -> OperationRow | Plan:
        """Return the intent of the next void or refund, or why there is none now.

        The question and the intent are one step of the ledger: since ``row`` was read, a person may have closed it.
        """
        ledger = self._operations.ledger
        with ledger.one_step():
            current = ledger.operation(OperationId(row.operation_id)) or row
            children = ledger.children(OperationId(row.operation_id))
            step = self._plan(current, children)
            if step not in (Plan.VOID, Plan.REFUND):
                return step
            taken = ledger.intend(self._new(current, OperationKind(step.value), children))
        if taken is None:
            return Plan.WAIT
        self._operations.tell(taken, OperationState.INTENT)
        return taken

    def _plan(self, row: OperationRow, children: Sequence[OperationRow]) -> Plan:
        if row.decline_code == TAKEN_BACK:
            return Plan.DONE
        gateway = self._operations.gateways.get(row.gateway)
        if gateway is None:
            return Plan.PERSON
        wall_s = self._clock.wall_s()
        tried = [
            Tried(
                OperationKind(child.kind),
                OperationState(child.state),
                wall_s - child.sent_at,
                child.decline_code,
            )
            for child in children
        ]
        return plan(OperationKind(row.kind), gateway.connector.capabilities, tried)

    def _new(self, row: OperationRow, kind: OperationKind, children: Sequence[OperationRow]) -> NewOperation:
        keys, parent_id = self._operations.ledger.keys, OperationId(row.operation_id)
        operation_id = keys.take_back_id(parent_id, kind, sum(child.kind == kind for child in children))
        return NewOperation(
            operation_id=operation_id,
            parent_id=parent_id,
            capture_id=row.capture_id,
            kind=kind,
            idem_key=keys.of_order(operation_id, kind, row.amount_minor, row.currency),
            gateway=row.gateway,
            amount_minor=row.amount_minor,
            currency=row.currency,
            reference=row.reference,
        )
