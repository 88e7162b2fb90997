"""One lane of crash_payments: a cde process that is killed and replaced, with its peers and callers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.crash_cde import BREAK, DESCRIPTOR, PROBABILITY, SEED
from bench.crash_plan import OrderPlan, PaymentPlan
from dtmf_shield.account_data import slots
from dtmf_shield.account_data.slots import Region, create_region
from dtmf_shield.model.capture import (
    CaptureOutcome,
    CaptureProgress,
    CaptureResult,
    CaptureSpec,
    CaptureState,
    FieldKind,
    FieldSpec,
)
from dtmf_shield.model.ids import CallId, CaptureId, OperationId
from dtmf_shield.model.messages import (
    MAILBOX_BYTES,
    ArmSlot,
    CancelCapture,
    CaptureArmed,
    CdeToControl,
    CdeToMedia,
    CollectField,
    ConfigureCde,
    KeysWritten,
    OrderPayment,
    PaymentChanged,
    PeerConnected,
    ProcessName,
    ProcessReady,
    Shutdown,
    SlotArmed,
    StartCapture,
    SubmitCapture,
    ToSupervisor,
)
from dtmf_shield.model.payment import OperationKind, OperationState
from dtmf_shield.service.channel import CHANNEL_FD_VARIABLE, Channel, connect_pair
from dtmf_shield.service.child import ENVIRONMENT

NUMBER = "4242424242424242"
FIELDS = (("pan", NUMBER + "#"), ("expiry", "1230"), ("code", "123"))
SPEC = CaptureSpec(
    fields=(
        FieldSpec(name="pan", kind=FieldKind.CARD_NUMBER),
        FieldSpec(name="expiry", kind=FieldKind.EXPIRY),
        FieldSpec(name="code", kind=FieldKind.SECURITY_CODE),
    )
)
READY_S_MAX = 30.0
STEP_S_MAX = 75.0
"""Longer than a payment may take: a capture that says nothing for so long is a fault of its own."""
ORDER_S_MAX = 90.0
LOG_LINES_SHOWN = 25
ROWS = 16
"""Captures at once in one lane."""
_OPEN = (OperationState.INTENT, OperationState.UNKNOWN)


class DiedError(Exception):
    """The process was killed in the middle of it."""


@dataclass
class Tally:
    """What the callers saw."""

    outcomes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    orders: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    deaths: int = 0
    silent: int = 0


class Spare:
    """A cde process with everything imported, waiting to be told whose place it takes."""

    def __init__(self, seed: str, probability: float, broken: str, log: Any) -> None:
        self.killed_at, write_end = os.pipe()
        ours, theirs = connect_pair()
        variables = {
            **os.environ,
            **ENVIRONMENT[ProcessName.CDE],
            CHANNEL_FD_VARIABLE: str(theirs.fileno()),
            SEED: seed,
            PROBABILITY: str(probability),
            DESCRIPTOR: str(write_end),
            BREAK: broken,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.crash_cde"],
            pass_fds=[theirs.fileno(), write_end],
            env=variables,
            stderr=log,
        )
        theirs.close()
        os.close(write_end)
        self.supervisor: Channel[ToSupervisor] = Channel(ours, ToSupervisor)

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()
        self.supervisor.close()
        os.close(self.killed_at)


class Life:
    """One configured cde process, from ready to killed."""

    def __init__(self, spare: Spare, region: Region) -> None:
        self._spare, self._region = spare, region
        self._loop = asyncio.get_running_loop()
        self._captures: dict[str, asyncio.Queue[Any]] = {}
        self._leaving = False
        self._arms: dict[str, asyncio.Future[ArmSlot]] = {}
        self.orders: dict[str, asyncio.Queue[PaymentChanged]] = {}
        self.died: asyncio.Future[None] = self._loop.create_future()
        self.control: Channel[CdeToControl] = Channel(self._join(ProcessName.CONTROL), CdeToControl)
        self.media: Channel[CdeToMedia] = Channel(self._join(ProcessName.MEDIA), CdeToMedia)
        self.control.attach(self._loop, self._told, lambda: None)
        self.media.attach(self._loop, self._media_told, lambda: None)
        spare.supervisor.attach(self._loop, lambda *_: None, self.kill)
        self._loop.add_reader(spare.killed_at, self.kill)

    def _join(self, peer: ProcessName) -> Any:
        ours, theirs = connect_pair()
        self._spare.supervisor.send(PeerConnected(peer), (theirs.fileno(),))
        theirs.close()
        return ours

    def kill(self) -> None:
        """kill -9, wherever it is."""
        if self._leaving or self.died.done():
            return
        self._loop.remove_reader(self._spare.killed_at)
        self.control.close()
        self.media.close()
        self._spare.end()
        self.died.set_result(None)

    async def leave(self) -> int:
        """Ask it to leave; return its exit code."""
        self._leaving = True
        self._loop.remove_reader(self._spare.killed_at)
        self._spare.supervisor.send(Shutdown())
        code = await asyncio.to_thread(self._spare.process.wait, 20)
        self.control.close()
        self.media.close()
        self._spare.supervisor.close()
        os.close(self._spare.killed_at)
        if not self.died.done():
            self.died.set_result(None)
        return code

    def _told(self, message: CdeToControl, _fds: tuple[int, ...]) -> None:
        if isinstance(message, PaymentChanged):
            waiting = self.orders.get(message.operation_id)
        else:
            waiting = self._captures.get(getattr(message, "capture_id", ""))
        if waiting is not None:
            waiting.put_nowait(message)

    def _media_told(self, message: CdeToMedia, _fds: tuple[int, ...]) -> None:
        if isinstance(message, ArmSlot) and (arm := self._arms.get(message.call_id)) and not arm.done():
            arm.set_result(message)

    async def or_death(self, work: Any, limit_s: float = STEP_S_MAX) -> Any:
        """Return what ``work`` returns. Raises DiedError, TimeoutError."""
        task = asyncio.ensure_future(work)
        done, _ = await asyncio.wait({task, self.died}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if task in done:
            return task.result()
        task.cancel()
        raise DiedError if self.died.done() else TimeoutError

    # --- one capture --------------------------------------------------------------------------------------

    async def capture(self, plan: PaymentPlan, row: int) -> CaptureOutcome:
        """Key a card, submit it, perhaps hang up, return the outcome."""
        name, call_id = CaptureId(plan.name), CallId(f"call-{plan.name}")
        told = self._captures[name] = asyncio.Queue()
        arm_future = self._arms[call_id] = self._loop.create_future()
        try:
            self.control.send(
                StartCapture(name, call_id, row, SPEC, "bench", f"caller-{plan.number}", f"agent-{row}")
            )
            arm = await self.or_death(arm_future)
            self._region.view[arm.slot * slots.SLOT_BYTES + slots.HEAD_AT] = 0
            self.media.send(SlotArmed(arm.slot, arm.generation, ok=True))
            await self.or_death(_wait(told, CaptureArmed))
            for field_name, keys in FIELDS:
                self.control.send(CollectField(name, field_name))
                await self.or_death(_wait_state(told, CaptureState.WAITING))
                self._key(arm, keys)
                await self.or_death(_wait_state(told, CaptureState.HELD))
            self.control.send(
                SubmitCapture(
                    name, f"order {plan.name}", OperationKind(plan.operation), plan.amount_minor, "EUR"
                )
            )
            if plan.hang_up_after_s is not None:
                await self.or_death(asyncio.sleep(plan.hang_up_after_s))
                self.control.send(CancelCapture(name, result=CaptureResult.CALLER_GONE))
            outcome: CaptureOutcome = await self.or_death(_wait(told, CaptureOutcome))
            return outcome
        finally:
            del self._captures[name], self._arms[call_id]

    def _key(self, arm: ArmSlot, keys: str) -> None:
        base = arm.slot * slots.SLOT_BYTES
        head = self._region.view[base + slots.HEAD_AT]
        for key in keys:
            self._region.view[base + slots.RING_AT + head] = ord(key)
            head = (head + 1) % slots.RING_KEYS
        self._region.view[base + slots.HEAD_AT] = head
        self.media.send(KeysWritten(arm.slot, arm.generation, head))


async def _wait(told: asyncio.Queue[Any], kind: type) -> Any:
    while not isinstance(message := await told.get(), kind):
        if isinstance(message, CaptureOutcome):
            raise TimeoutError(f"ended {message.result} while {kind.__name__} was waited for")
    return message


async def _wait_state(told: asyncio.Queue[Any], state: CaptureState) -> None:
    while (await _wait(told, CaptureProgress)).state is not state:
        pass


class Lane:
    """One ledger and the processes that follow each other on it."""

    def __init__(
        self, directory: Path, configure: ConfigureCde, *, seed: str, probability: float, broken: str
    ) -> None:
        self.directory, self._configure = directory, configure
        self._seed, self.probability, self._broken = seed, probability, broken
        self.tally = Tally()
        self._slots_fd, _ = create_region(allow_secret=False)
        self._mailbox_fd, _ = create_region(MAILBOX_BYTES, allow_secret=False)
        self._region = Region(self._slots_fd)
        self._rows = list(range(ROWS))
        self._room = asyncio.Semaphore(ROWS)
        self._generation = 0
        self._spare: Spare | None = None
        self._log = (directory / "cde.log").open("ab")
        self._life: asyncio.Future[Life] = asyncio.get_running_loop().create_future()
        self._keeper: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start the first process; from then on there is always one, or one to come."""
        self._keeper = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        while True:
            spare = self._spare or self._new_spare()
            self._spare = self._new_spare()
            spare.supervisor.send(self._configure, (self._slots_fd, self._mailbox_fd))
            ready: object = "nothing"
            with contextlib.suppress(EOFError, TimeoutError):
                ready, _ = await asyncio.to_thread(spare.supervisor.receive, READY_S_MAX)
            if not isinstance(ready, ProcessReady):
                lines = (self.directory / "cde.log").read_text("utf-8").splitlines()
                # What is no line of the log is a traceback, perhaps of long ago: a spare waits after its imports.
                last = [line for line in lines if not line.startswith("{")][-LOG_LINES_SHOWN:]
                raise OSError("\n".join([f"cde said {ready} and is {spare.process.poll()}", *last]))
            life = Life(spare, self._region)
            self._life.set_result(life)
            await life.died
            self.tally.deaths += 1
            self._life = asyncio.get_running_loop().create_future()

    def _new_spare(self) -> Spare:
        self._generation += 1
        return Spare(f"{self._seed}:{self._generation}", self.probability, self._broken, self._log)

    def replace_spare(self) -> None:
        """Have a spare of the present ``probability``."""
        if self._spare is not None:
            self._spare.end()
        self._spare = self._new_spare()

    async def life(self) -> Life:
        """Return the process that lives, or the next one."""
        if self._keeper is None:
            raise RuntimeError("a lane is begun before anybody pays")
        while True:
            life = self._life
            await asyncio.wait({life, self._keeper}, return_when=asyncio.FIRST_COMPLETED)
            if self._keeper.done():
                self._keeper.result()
            if not life.result().died.done():
                return life.result()
            await asyncio.sleep(0)  # the keeper is about to see that it is dead

    def kill(self) -> None:
        """kill -9 now, if there is somebody to kill."""
        if self._life.done():
            self._life.result().kill()

    async def pay(self, plan: PaymentPlan) -> None:
        """Do one payment with its orders, over as many deaths as it takes."""
        with contextlib.suppress(TimeoutError):
            async with self._row() as row:
                outcome = await self._capture(plan, row)
            if outcome is not None and outcome.result is CaptureResult.APPROVED:
                for number, order in enumerate(plan.orders):
                    await self._order(plan, number, order, outcome.operation_id)
            return
        self.tally.silent += 1

    async def _capture(self, plan: PaymentPlan, row: int) -> CaptureOutcome | None:
        try:
            outcome = await (await self.life()).capture(plan, row)
        except DiedError:
            self.tally.outcomes["killed"] += 1
            return None
        self.tally.outcomes[outcome.result.value] += 1
        return outcome

    async def _order(
        self, plan: PaymentPlan, number: int, order: OrderPlan, parent_id: OperationId
    ) -> OperationId:
        operation_id = OperationId(f"{plan.name}-{number}-{order.kind}")
        currency = "" if order.kind == "void" else "EUR"
        message = OrderPayment(
            operation_id, parent_id, OperationKind(order.kind), order.amount_minor, currency, plan.name
        )
        while True:
            life = await self.life()
            told = life.orders[operation_id] = asyncio.Queue()
            for _ in range(order.times):
                life.control.send(message)
            try:
                state = await life.or_death(_final(told), ORDER_S_MAX)
            except DiedError:
                continue  # as control would: the same id, to the next process
            self.tally.orders[f"{order.kind} {state}"] += 1
            return operation_id

    @contextlib.asynccontextmanager
    async def _row(self) -> Any:
        async with self._room:
            row = self._rows.pop()
            try:
                yield row
            finally:
                self._rows.append(row)

    async def end(self) -> int:
        """Let the last process leave; return its exit code."""
        life = await self.life()
        if self._keeper is not None:
            self._keeper.cancel()
        code = await life.leave()
        if self._spare is not None:
            self._spare.end()
        self._log.close()
        os.close(self._slots_fd)
        os.close(self._mailbox_fd)
        return code


async def _final(told: asyncio.Queue[PaymentChanged]) -> str:
    while (change := await told.get()).state in _OPEN:
        pass
    return change.state.value


def lanes_of(numbers: list[PaymentPlan], lanes: list[Lane]) -> Iterator[tuple[Lane, PaymentPlan]]:
    """Deal payments out to lanes."""
    for plan in numbers:
        yield lanes[plan.number % len(lanes)], plan
