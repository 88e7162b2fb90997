"""Follows every unknown operation until it is known, across restarts: what to do is reconcile.py's, when is here.

Due times live in memory; what is unknown lives in the ledger, which is swept at the start and every SWEEP_S.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final

from dtmf_shield.base.clock import Clock
from dtmf_shield.base.errors import InvariantError
from dtmf_shield.base.log import get_logger
from dtmf_shield.cde.delivery import Delivery, Gateway, Limits
from dtmf_shield.cde.gateways.base import GatewayResult, GatewayResultKind, Order
from dtmf_shield.cde.operations import Operations
from dtmf_shield.cde.reconcile import (
    ALARM_AFTER_S,
    FIRST_STEPS,
    PERSON_LOOK_S,
    After,
    Step,
    after_lookup,
    can_look_up,
    can_send_again,
    wait_s,
)
from dtmf_shield.model.capture import CaptureResult
from dtmf_shield.model.ids import OperationId
from dtmf_shield.model.payment import MOVES_MONEY, OperationKind, OperationState
from dtmf_shield.store.operation_rows import TAKEN_BACK, OperationRow

SWEEP_S: Final = 60.0
AT_ONCE: Final = 8
"""Operations looked up at the same time: a gateway that comes back is not to be met by a thousand questions."""
WATCHED_MAX: Final = 10_000

_RESULTS: Final = {
    OperationState.APPROVED: GatewayResultKind.APPROVED,
    OperationState.DECLINED: GatewayResultKind.DECLINED,
    OperationState.ACTION_REQUIRED: GatewayResultKind.ACTION_REQUIRED,
    OperationState.FAILED_BEFORE_SEND: GatewayResultKind.FAILED_BEFORE_SEND,
}
_UNKNOWN: Final = GatewayResult(GatewayResultKind.UNKNOWN)

_log = get_logger("reconcile")


@dataclass(slots=True)
class _Watched:
    due_s: float
    looks: int = 0
    alarmed: bool = False
    busy: bool = False
    waiting: list[asyncio.Future[GatewayResult]] = field(default_factory=list)


class Reconciler:
    """The unknown operations of one process. ``take_back`` is called with what is approved and unwanted."""

    def __init__(
        self,
        operations: Operations,
        delivery: Delivery,
        clock: Clock,
        take_back: Callable[[OperationRow], Awaitable[CaptureResult]],
    ) -> None:
        self._operations, self._delivery, self._clock, self._take_back = (
            operations,
            delivery,
            clock,
            take_back,
        )
        self._watched: dict[OperationId, _Watched] = {}
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._taking_back: asyncio.Task[None] | None = None
        self._to_take_back: set[OperationId] = set()
        """As the last sweep found it."""
        self._sweep_at_s = clock.now_s()

    def watch(self, operation_id: OperationId, in_s: float | None = None) -> None:
        """Follow an operation from now on, first after ``in_s``."""
        if operation_id in self._watched or len(self._watched) >= WATCHED_MAX:
            return  # what finds no place is taken up by a later sweep
        first_s = wait_s(0, random.random()) if in_s is None else in_s  # noqa: S311 - jitter
        self._watched[operation_id] = _Watched(self._clock.now_s() + first_s)
        self._wake.set()

    async def settled(self, operation_id: OperationId, until_s: float) -> GatewayResult:
        """Wait for an operation until ``until_s``. Return how it ended; UNKNOWN where it did not."""
        self.watch(operation_id)
        watched = self._watched.get(operation_id)
        if watched is None:
            return _UNKNOWN
        future: asyncio.Future[GatewayResult] = asyncio.get_running_loop().create_future()
        watched.waiting.append(future)
        try:
            async with asyncio.timeout(max(0.0, until_s - self._clock.now_s())):
                return await future
        except TimeoutError:
            return _UNKNOWN
        finally:
            if future in watched.waiting:
                watched.waiting.remove(future)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                self._wake.clear()
                self._start_what_is_due()
                with_time = [each.due_s for each in self._watched.values() if not each.busy]
                until_s = (
                    min([self._sweep_at_s, *with_time]) if len(self._tasks) < AT_ONCE else self._sweep_at_s
                )
                try:
                    async with asyncio.timeout(max(0.001, until_s - self._clock.now_s())):
                        await self._wake.wait()
                except TimeoutError:
                    pass
        finally:
            tasks = [*self._tasks, *([self._taking_back] if self._taking_back is not None else [])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- when ---------------------------------------------------------------------------------------------

    def _start_what_is_due(self) -> None:
        now_s = self._clock.now_s()
        if now_s >= self._sweep_at_s:
            self._sweep_at_s = now_s + SWEEP_S
            self._sweep()
        due = [item for item in self._watched.items() if not item[1].busy and item[1].due_s <= now_s]
        # Those that are due longest first: else the first few, due again and again, would keep the others waiting.
        for operation_id, watched in heapq.nsmallest(
            AT_ONCE - len(self._tasks), due, key=lambda item: item[1].due_s
        ):
            watched.busy = True
            self._spawn(self._look(operation_id, watched))

    def _sweep(self) -> None:
        self._operations.ledger.save_again()
        for row in self._operations.ledger.unknown_money():
            self.watch(OperationId(row.operation_id))
        if self._taking_back is None or self._taking_back.done():
            self._taking_back = asyncio.ensure_future(self._take_back_all())
            self._taking_back.add_done_callback(_tell_if_broken)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()
        _tell_if_broken(task)

    async def _take_back_all(self) -> None:
        """One after the other: after an outage there may be many, and each has its own waits in the ledger."""
        rows = self._operations.ledger.to_take_back()
        self._tell_closed({OperationId(row.operation_id) for row in rows})
        for row in rows:
            await self._take_back(row)

    def _tell_closed(self, still_open: set[OperationId]) -> None:
        """Tell what a person took back since the last sweep."""
        for operation_id in self._to_take_back - still_open:
            row = self._operations.ledger.operation(operation_id)
            if row is not None and row.decline_code == TAKEN_BACK:
                self._operations.tell(row, OperationState(row.state), TAKEN_BACK)
        self._to_take_back = still_open

    # --- one operation ------------------------------------------------------------------------------------

    async def _look(self, operation_id: OperationId, watched: _Watched) -> None:
        """Look once. ``watched`` stays busy until all of it has ended, what is taken back too: else a second look would
        begin beside this one, and tell what was found as not taken back.
        """
        result, in_s = _UNKNOWN, None
        try:
            result, in_s = await self._step(operation_id, watched)
            result = await self._unless_unwanted(operation_id, result)
        except (sqlite3.Error, InvariantError) as error:
            _log.error("reconcile_failed", operation_id=operation_id, error=type(error).__name__)
        finally:
            watched.looks += 1
            wait = in_s if in_s is not None else wait_s(watched.looks, random.random())  # noqa: S311 - jitter
            watched.due_s = self._clock.now_s() + wait
            watched.busy = False
        if result.kind is not GatewayResultKind.UNKNOWN:
            self._forget(operation_id, result)

    async def _unless_unwanted(self, operation_id: OperationId, result: GatewayResult) -> GatewayResult:
        """Take back what is approved and unwanted before who waits is told.

        APPROVED is what it was; whether it stands where it could not be taken back, who waits asks ``take_back``.
        """
        if result.kind is not GatewayResultKind.APPROVED:
            return result
        row = self._operations.ledger.operation(operation_id)
        taken = await self._take_back(row) if row is not None and row.unwanted else None
        was_voided = taken is CaptureResult.CANCELLED
        return replace(result, voided=result.voided or was_voided)

    async def _step(self, operation_id: OperationId, watched: _Watched) -> tuple[GatewayResult, float | None]:
        """Look once. Returns how the operation ended; where it is UNKNOWN, when to look next if not as usual."""
        row = self._operations.ledger.operation(operation_id)
        if row is None:
            return GatewayResult(GatewayResultKind.NOT_FOUND), None
        if row.state != OperationState.UNKNOWN.value:
            # A person, or another process, was faster: what the row says is told.
            state = OperationState(row.state)
            if state is OperationState.INTENT:
                return _UNKNOWN, None
            self._operations.tell(row, state, row.decline_code)
            return GatewayResult(_RESULTS[state], code=row.decline_code), None
        gateway = self._operations.gateways.get(row.gateway)
        step = Step.PERSON if gateway is None else self._first_step(gateway, row)
        self._alarm(row, watched, person=step is Step.PERSON)
        if gateway is None or step is Step.PERSON:
            return _UNKNOWN, PERSON_LOOK_S
        if step is Step.LOOK_UP:
            return await self._look_up(gateway, row), None
        return await self._send_again(row), None

    def _first_step(self, gateway: Gateway, row: OperationRow) -> Step:
        return FIRST_STEPS[self._can_look_up(gateway, row), self._can_send_again(gateway, row)]

    def _can_look_up(self, gateway: Gateway, row: OperationRow) -> bool:
        capabilities = gateway.connector.capabilities
        return can_look_up(capabilities, OperationKind(row.kind), has_reference=bool(row.gw_ref))

    def _can_send_again(self, gateway: Gateway, row: OperationRow) -> bool:
        return can_send_again(
            gateway.connector.capabilities,
            by_card=not row.parent_id,
            key_age_s=self._clock.wall_s() - row.sent_at,
        )

    async def _look_up(self, gateway: Gateway, row: OperationRow) -> GatewayResult:
        found = await self._delivery.deliver(
            gateway, _lookup(gateway, row), Limits(self._clock.now_s(), sends_max=1)
        )
        after = after_lookup(
            found.kind,
            wanted=not row.unwanted,
            may_send_again=self._can_send_again(gateway, row),
            age_s=self._clock.wall_s() - row.sent_at,
        )
        match after:
            case After.SETTLE:
                self._operations.settle(row, found)
                return found
            case After.SEND_AGAIN:
                return await self._send_again(row)
            case After.NOT_DONE:
                result = GatewayResult(GatewayResultKind.NOT_FOUND, code="not_found")
                self._operations.settle(row, result)
                return result
            case After.WAIT:
                return _UNKNOWN

    async def _send_again(self, row: OperationRow) -> GatewayResult:
        if not self._operations.ledger.count_attempt(row):
            return _UNKNOWN
        return await self._operations.deliver(
            row, sends_until_s=self._clock.now_s(), in_doubt=True, sends_max=1
        )

    def _alarm(self, row: OperationRow, watched: _Watched, *, person: bool) -> None:
        if watched.alarmed or not (person or self._clock.wall_s() - row.sent_at >= ALARM_AFTER_S):
            return
        watched.alarmed = True
        code = "needs_person" if person else "unsettled"
        _log.error(
            "payment_unknown",
            operation_id=row.operation_id,
            kind=row.kind,
            gateway=row.gateway,
            code=code,
            moves_money=OperationKind(row.kind) in MOVES_MONEY,
        )
        self._operations.tell(row, OperationState.UNKNOWN, code)

    def _forget(self, operation_id: OperationId, result: GatewayResult) -> None:
        watched = self._watched.pop(operation_id, None)
        for future in watched.waiting if watched is not None else ():
            if not future.done():
                future.set_result(result)


def _tell_if_broken(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("reconcile_broken", error=type(error).__name__)


def _lookup(gateway: Gateway, row: OperationRow) -> Order:
    kind = OperationKind(row.kind)
    order = Order(
        kind=OperationKind.LOOKUP,
        key=row.idem_key,
        amount_minor=row.amount_minor,
        currency=row.currency,
        reference=row.reference,
        of=kind,
    )
    by_reference = row.gw_ref and kind in gateway.connector.capabilities.lookup_by_reference
    return replace(order, gateway_reference=row.gw_ref) if by_reference else order
