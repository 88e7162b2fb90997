"""Payments of the cde process, put together: gateways, ledger, reconciliation, orders, velocity, and their tasks.

What each of them decides is in ``cde``; here they are joined, started and ended.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from dtmf_shield.account_data.slots import Region
from dtmf_shield.base.clock import Clock
from dtmf_shield.base.log import get_logger
from dtmf_shield.cde.delivery import Delivery, Gateway
from dtmf_shield.cde.gateways.authentication import read_credentials
from dtmf_shield.cde.gateways.base import Answer, CardInSlot, Connector, Request, Unanswered
from dtmf_shield.cde.gateways.opening import open_sender
from dtmf_shield.cde.gateways.sender import GatewaySender
from dtmf_shield.cde.gateways.template import open_connector
from dtmf_shield.cde.keys.opening import open_token_cipher
from dtmf_shield.cde.ledger import Ledger
from dtmf_shield.cde.operations import Operations
from dtmf_shield.cde.orders import Orders
from dtmf_shield.cde.payments import CapturesPort, OnHangUp, Payments
from dtmf_shield.cde.reconciler import Reconciler
from dtmf_shield.cde.submission import Submission
from dtmf_shield.cde.take_back import TakeBack
from dtmf_shield.cde.velocity import Counted, Per, Rule, Velocity
from dtmf_shield.model.capture import CaptureOutcome
from dtmf_shield.model.gateway import GatewayFound, GatewaySettings, VelocityRule
from dtmf_shield.model.ids import CallId, CaptureId
from dtmf_shield.model.messages import CdeToControl, ConfigureCde, GatewayResolved, OrderPayment, StartCapture
from dtmf_shield.store.ledger_rows import LedgerRows

LEDGER_FILE: Final = "ledger.sqlite3"
ORDERS_AT_ONCE_MAX: Final = 64
"""More orders at the same time are refused as ``busy``."""
RECALLED_ATTEMPTS_MAX: Final = 10_000
"""Cards of before this process whose callers, agents and flows are counted again."""
SENDING_AT_EXIT_S: Final = 3.0
"""What exchanges under way get to end when the process is told to leave; then their rows are unknown."""
_VELOCITY_KEY_BYTES: Final = 32

_log = get_logger("payments")


class CdePayments:
    """All that has to do with gateways in one cde process."""

    def __init__(
        self,
        configure: ConfigureCde,
        page: Region,
        clock: Clock,
        captures: CapturesPort,
        to_control: Callable[[CdeToControl], None],
        changed: Callable[[], None],
    ) -> None:
        """Open everything that needs files. ``changed``: called after each exchange. Raises OperatorError."""
        self._changed = changed
        self._tasks: set[asyncio.Task[None]] = set()
        self._orders_running = 0
        opened = [open_gateway(settings, page, test=configure.test) for settings in configure.gateways]
        self._senders = [sender for _, sender in opened]
        gateways = [Gateway(connector, _Told(sender, changed)) for connector, sender in opened]
        self._ledger = _open_ledger(configure, clock)
        self.earlier: tuple[CaptureOutcome, ...] = self._ledger.take_over()
        """How the captures of a cde that died have ended."""
        delivery = Delivery(clock)
        self._operations = Operations(gateways, self._ledger, delivery, clock, to_control)
        self._operations.keep_settled_at_leaving()
        self._operations.keep_settled(outcome.capture_id for outcome in self.earlier)
        take_back = TakeBack(self._operations, clock)
        self._reconciler = Reconciler(self._operations, delivery, clock, take_back.take_back)
        self._orders = Orders(self._operations, self._reconciler, clock, to_control)
        self._payments = Payments(
            gateways,
            self._operations,
            self._reconciler,
            take_back,
            _open_velocity(configure.velocity, self._ledger, clock),
            captures,
            clock,
            on_hang_up=OnHangUp(configure.on_hang_up),
            tell=to_control,
        )

    # --- captures -----------------------------------------------------------------------------------------

    def started(self, start: StartCapture) -> None:
        """Note a capture."""
        self._ledger.capture_started(
            self._ledger.new_capture(
                start.capture_id, start.call_id, flow=start.flow, caller=start.caller, agent=start.agent
            )
        )

    def last_field(self, capture_id: CaptureId, call_id: CallId) -> None:
        """Do what can be done before the card is complete: the intent on disk, a warm connection to each gateway."""
        self._payments.prepare(capture_id, call_id)
        for sender in self._senders:
            sender.warm()

    def submit(self, submission: Submission) -> None:
        """Begin a payment."""
        self._spawn(self._payments.pay(submission))

    def stopped(self, capture_id: CaptureId, *, caller_gone: bool) -> None:
        """A stop came for a capture at the gateway."""
        self._payments.stopped(capture_id, caller_gone=caller_gone)

    def ended(self, outcome: CaptureOutcome) -> None:
        """Note a capture's end."""
        self._payments.ended(outcome.capture_id)
        self._ledger.capture_ended(outcome)

    # --- control ------------------------------------------------------------------------------------------

    def resolved(self, message: GatewayResolved) -> None:
        """Take a gateway's new addresses."""
        for sender in self._senders:
            if sender.name == message.gateway:
                sender.set_addresses(message.addresses)

    def order(self, message: OrderPayment) -> None:
        """Begin an order without a caller."""
        if self._orders_running >= ORDERS_AT_ONCE_MAX:
            self._orders.refuse(message)
            return
        self._orders_running += 1
        self._spawn(self._order(message))

    def control_connected(self) -> None:
        """Tell a fresh control how operations stand."""
        self._operations.tell_again()

    # --- life ---------------------------------------------------------------------------------------------

    @property
    def health(self) -> tuple[GatewayFound, ...]:
        """How each gateway was found last, the primary first."""
        return tuple(GatewayFound(sender.name, sender.health) for sender in self._senders)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way but reconciliation."""
        return not self._tasks

    async def probe(self) -> None:
        """See whether the gateways can be reached; one that hangs keeps no other waiting."""
        await asyncio.gather(*(sender.probe() for sender in self._senders))

    async def reconcile(self) -> None:
        """Follow unknown operations until cancelled."""
        await self._reconciler.run()

    async def leave(self) -> None:
        """Let what is under way end, for a moment. Control may be gone: the next process tells it."""
        self._ledger.note_leaving()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=SENDING_AT_EXIT_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def close(self) -> None:
        """Close connections and ledger."""
        for sender in self._senders:
            sender.close()
        self._ledger.close()

    async def _order(self, message: OrderPayment) -> None:
        try:
            await self._orders.order(message)
        finally:
            self._orders_running -= 1

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._changed()
        if not task.cancelled() and (error := task.exception()) is not None:
            # The error's text may speak of what was sent: its type says enough.
            _log.error("exchange_broken", error=type(error).__name__)


class _Told:
    """An exchange after which somebody is told."""

    def __init__(self, sender: GatewaySender, changed: Callable[[], None]) -> None:
        self._sender, self._changed = sender, changed

    @property
    def health(self) -> str:
        """As the sender's."""
        return self._sender.health

    async def exchange(self, request: Request, card: CardInSlot | None) -> Answer | Unanswered:
        """Send by the sender."""
        try:
            return await self._sender.exchange(request, card)
        finally:
            self._changed()


def open_gateway(settings: GatewaySettings, page: Region, *, test: bool) -> tuple[Connector, GatewaySender]:
    """Return a gateway's language and the way to it, with the files they need read. Raises OperatorError."""
    connector = open_connector(settings)
    credentials = read_credentials(Path(settings.credentials_file), connector.authentication)
    return connector, open_sender(settings, page, credentials.headers, credentials.signing_key, test=test)


def _open_ledger(configure: ConfigureCde, clock: Clock) -> Ledger:
    file = Path(configure.state_directory) / LEDGER_FILE
    cipher = open_token_cipher(configure.keys, file, clock)
    return Ledger(LedgerRows(file), clock, cipher, test=configure.test)


def _open_velocity(rules: tuple[VelocityRule, ...], ledger: Ledger, clock: Clock) -> Velocity:
    """Count again what the ledger remembers of callers, agents and flows; of BINs it remembers nothing."""
    velocity = Velocity(
        [Rule(rule.name, Per(rule.per), Counted(rule.counted), rule.limit, rule.window_s) for rule in rules],
        os.urandom(_VELOCITY_KEY_BYTES),
    )
    now_s, wall_s = clock.now_s(), clock.wall_s()
    for past in ledger.attempts_since(wall_s - velocity.window_s, RECALLED_ATTEMPTS_MAX):
        subject = velocity.subject(caller=past.caller, agent=past.agent, flow=past.flow)
        velocity.recall(subject, now_s - (wall_s - past.at_s), declined=past.declined)
    return velocity
