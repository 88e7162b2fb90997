"""A room for payments: a real ledger file, a gateway with a book and scripted mishaps, virtual time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dtmf_shield.account_data import slots
from dtmf_shield.cde.delivery import Delivery, Gateway
from dtmf_shield.cde.gateways.base import (
    Answer,
    Capabilities,
    CardInSlot,
    GatewayResult,
    GatewayResultKind,
    Idempotency,
    Order,
    OrderImpossibleError,
    Request,
    SlotField,
    Unanswered,
)
from dtmf_shield.cde.ledger import Ledger
from dtmf_shield.cde.operations import Operations
from dtmf_shield.cde.orders import Orders
from dtmf_shield.cde.payments import OnHangUp, Payments
from dtmf_shield.cde.reconciler import Reconciler
from dtmf_shield.cde.submission import Submission
from dtmf_shield.cde.take_back import TakeBack
from dtmf_shield.cde.velocity import Rule, Velocity
from dtmf_shield.model.ids import CallId, CaptureId, OperationId
from dtmf_shield.model.messages import OrderPayment, PaymentChanged, SubmitCapture, VelocityStopped
from dtmf_shield.model.payment import OperationKind
from dtmf_shield.store.ledger_rows import LedgerRows
from dtmf_shield.store.operation_rows import OperationRow

K, R = OperationKind, GatewayResultKind
NUMBER = b"4242424242424242"
CALL = CallId("call-1")
WALL_S = 1_800_000_000.0
LATE_S = 5.0


class _Jumping(selectors.SelectSelector):
    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout:
            self.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time jumps to whatever is due next."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


class LoopClock:
    """The clock of a VirtualLoop. ``ahead_s``: wall time passed while no process ran."""

    def __init__(self, loop: VirtualLoop, ahead_s: float = 0.0) -> None:
        self.loop, self.ahead_s = loop, ahead_s

    def now_s(self) -> float:
        return self.loop.time()

    def wall_s(self) -> float:
        return WALL_S + self.ahead_s + self.loop.time()


def run(make: Callable[[VirtualLoop], Coroutine[Any, Any, None]]) -> None:
    loop = VirtualLoop()
    try:
        loop.run_until_complete(make(loop))
    finally:
        loop.close()


class PlainCipher:
    """Seals by turning round: enough to see that what lies in the ledger is not the token."""

    def seal(self, token: str, *, row: str) -> tuple[bytes, str]:
        return (row + token)[::-1].encode(), "day-1"

    def open(self, sealed: bytes, dek_id: str, *, row: str) -> str:
        assert dek_id == "day-1"
        return sealed.decode()[::-1].removeprefix(row)


@dataclass
class Booked:
    """One operation done at the gateway. ``about``: the reference of the one it is about."""

    kind: OperationKind
    key: str
    amount_minor: int
    reference: str
    token: str
    about: str
    declined: bool


@dataclass
class FakeGateway:
    """Connector and exchange at once. Its book is what the world believes.

    ``mishaps`` are taken one a request (of ``mishaps_of``, empty for every kind but LOOKUP), then all is well:
    refused, lost (booked, no answer), before (not booked, no answer), busy, conflict, error, unauthorized, decline,
    processing, late (not booked until LATE_S after, no answer).
    """

    name: str = "primary"
    capabilities: Capabilities = field(default_factory=lambda: capable(Idempotency.REPLAY))
    mishaps: list[str] = field(default_factory=list)
    mishaps_of: frozenset[OperationKind] = frozenset()
    book: list[Booked] = field(default_factory=list)
    asked: list[Order] = field(default_factory=list)
    answered: dict[str, GatewayResult] = field(default_factory=dict)
    health: str = "ok"
    keys_forgotten: bool = False
    hold: asyncio.Event | None = None
    takes_s: dict[OperationKind, float] = field(default_factory=dict)
    """How long an exchange of a kind takes; what is not named is at once."""
    bytes_of: dict[str, set[Request]] = field(default_factory=dict)
    """Every request of a key; LOOKUP has the key of what it asks about, and is left out."""
    _orders: dict[Request, Order] = field(default_factory=dict)
    _results: dict[str, GatewayResult] = field(default_factory=dict)

    # --- connector ---
    def request(self, order: Order) -> Request:
        if order.currency == "KWD":
            raise OrderImpossibleError("no amounts of three decimals here", "currency")
        words = (order.kind, order.key, order.token, order.amount_minor, order.currency, order.reference)
        request = Request(
            "POST", "/", (), (repr((*words, order.gateway_reference, order.customer)).encode(),)
        )
        self._orders[request] = order
        return request

    def result(self, order: Order, answer: Answer) -> GatewayResult:
        return self._results[answer.body.decode()]

    # --- exchange ---
    async def exchange(self, request: Request, card: CardInSlot | None) -> Answer | Unanswered:
        order = self._orders[request]
        self.asked.append(order)
        if order.kind is not K.LOOKUP:
            self.bytes_of.setdefault(order.key, set()).add(request)
        if card is not None:
            # Never after it was wiped; a person has none.
            assert bytes(card.part(SlotField.NUMBER)) in (NUMBER, b"")
        await asyncio.sleep(self.takes_s.get(order.kind, 0.01))
        if self.hold is not None:
            await self.hold.wait()
        strikes = order.kind in self.mishaps_of if self.mishaps_of else order.kind is not K.LOOKUP
        mishap = self.mishaps.pop(0) if self.mishaps and strikes else ""
        return self._answer(order, mishap)

    def _answer(self, order: Order, mishap: str) -> Answer | Unanswered:
        match mishap:
            case "refused":
                return Unanswered("refused", sent=False)
            case "before":
                return Unanswered("reset", sent=True)
            case "late":
                asyncio.get_running_loop().call_later(LATE_S, self.done, order)
                return Unanswered("timeout", sent=True)
            case "lost":
                self.done(order)
                return Unanswered("timeout", sent=True)
            case "busy":
                return self._said(429, GatewayResult(R.BUSY, code="busy"), retry_after_s=1.0)
            case "conflict":
                return self._said(409, GatewayResult(R.UNKNOWN))
            case "error":
                return self._said(500, GatewayResult(R.UNKNOWN))
            case "unauthorized":
                return self._said(401, GatewayResult(R.REFUSED, code="http_401"))
            case "processing":
                self.done(order)
                return self._said(200, GatewayResult(R.UNKNOWN, reference="ref-processing"))
            case _:
                return self._said(200, self.done(order, declined=mishap == "decline"))

    def _said(self, status: int, result: GatewayResult, retry_after_s: float = 0.0) -> Answer:
        name = str(len(self._results))
        self._results[name] = result
        return Answer(status, name.encode(), retry_after_s)

    def done(self, order: Order, *, declined: bool = False) -> GatewayResult:
        """Do it, or answer as before where the key is known."""
        if order.kind is K.LOOKUP:
            return self.answered.get(order.key, GatewayResult(R.NOT_FOUND))
        known = self.answered.get(order.key)
        rule = self.capabilities.idempotency
        kept = known is not None and (
            rule is Idempotency.REPLAY or (rule is Idempotency.SUCCESS_ONLY and known.kind is R.APPROVED)
        )
        if known is not None and kept and not self.keys_forgotten:
            return known
        reference = f"ref-{len(self.book)}"
        self.book.append(
            Booked(
                order.kind,
                order.key,
                order.amount_minor,
                reference,
                order.token,
                order.gateway_reference,
                declined,
            )
        )
        token = f"tok-{len(self.book)}" if order.kind is K.TOKENIZE and not declined else ""
        result = (
            GatewayResult(R.DECLINED, code="card_declined", reference=reference)
            if declined
            else GatewayResult(R.APPROVED, token=token, reference=reference)
        )
        self.answered[order.key] = result
        return result

    def effective(self, kind: OperationKind) -> list[Booked]:
        return [each for each in self.book if each.kind is kind and not each.declined]


def capable(
    idempotency: Idempotency,
    *,
    lookup: bool = False,
    by_token: bool = True,
    voids: bool = True,
    refunds: bool = True,
    key_ttl_s: float = 86_400.0,
) -> Capabilities:
    operations = {K.TOKENIZE, K.VERIFY, K.AUTHORIZE, K.CHARGE, K.CAPTURE}
    operations |= {K.VOID} if voids else set()
    operations |= {K.REFUND} if refunds else set()
    kinds = frozenset({K.AUTHORIZE, K.CHARGE, K.CAPTURE, K.REFUND, K.VOID})
    return Capabilities(
        frozenset(operations),
        idempotency,
        key_ttl_s,
        by_card=frozenset({K.TOKENIZE, K.VERIFY, K.AUTHORIZE, K.CHARGE}),
        by_token=frozenset({K.VERIFY, K.AUTHORIZE, K.CHARGE}) if by_token else frozenset(),
        lookup_by_key=kinds if lookup else frozenset(),
        voids=frozenset({K.AUTHORIZE, K.CHARGE}) if voids else frozenset(),
    )


class FakeCaptures:
    """Notes what captures are told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.outcomes: dict[str, tuple[GatewayResult, str]] = {}

    def tokenized(self, capture_id: CaptureId, now_s: float) -> None:
        self.told.append((capture_id, "tokenized"))

    def settling(self, capture_id: CaptureId, now_s: float) -> None:
        self.told.append((capture_id, "settling"))

    def velocity_stopped(self, capture_id: CaptureId, now_s: float) -> None:
        self.told.append((capture_id, "velocity_stopped"))

    def gateway_answered(
        self, capture_id: CaptureId, result: GatewayResult, now_s: float, operation_id: OperationId
    ) -> None:
        self.told.append((capture_id, "answered"))
        self.outcomes[capture_id] = (result, operation_id)


class Room:
    """Everything between captures and gateways. ``again()`` is a new process on the same ledger."""

    def __init__(
        self,
        directory: Path,
        loop: VirtualLoop,
        *gateways: FakeGateway,
        on_hang_up: OnHangUp = OnHangUp.VOID,
        rules: tuple[Rule, ...] = (),
        ahead_s: float = 0.0,
    ) -> None:
        self.directory, self.loop = directory, loop
        self.gateways = gateways or (FakeGateway(),)
        self.on_hang_up, self.rules = on_hang_up, rules
        self.clock = LoopClock(loop, ahead_s)
        self.rows = LedgerRows(directory / "ledger.sqlite3")
        self.ledger = Ledger(self.rows, self.clock, PlainCipher(), test=True)
        self.earlier = self.ledger.take_over()
        self.told: list[PaymentChanged] = []
        self.stopped_by: list[VelocityStopped] = []
        routes = [Gateway(gateway, gateway) for gateway in self.gateways]
        delivery = Delivery(self.clock)
        self.operations = Operations(routes, self.ledger, delivery, self.clock, self.told.append)
        self.operations.keep_settled(outcome.capture_id for outcome in self.earlier)
        self.take_back = TakeBack(self.operations, self.clock)
        self.reconciler = Reconciler(self.operations, delivery, self.clock, self.take_back.take_back)
        self.orders = Orders(self.operations, self.reconciler, self.clock, self.told.append)
        self.captures = FakeCaptures()
        self.velocity = Velocity(rules, bytes(32))
        self.payments = Payments(
            routes,
            self.operations,
            self.reconciler,
            self.take_back,
            self.velocity,
            self.captures,
            self.clock,
            on_hang_up=on_hang_up,
            tell=self.stopped_by.append,
        )
        self.background = loop.create_task(self.reconciler.run())

    @property
    def gateway(self) -> FakeGateway:
        return self.gateways[0]

    def die(self) -> None:
        """The process is gone, whatever it was doing."""
        for task in asyncio.all_tasks(self.loop):
            if task is not asyncio.current_task(self.loop):
                task.cancel()
        self.rows.close()

    async def again(self, ahead_s: float = 1.0) -> Room:
        await asyncio.sleep(0)
        return Room(
            self.directory,
            self.loop,
            *self.gateways,
            on_hang_up=self.on_hang_up,
            rules=self.rules,
            ahead_s=self.clock.ahead_s + ahead_s,
        )

    async def close(self) -> None:
        self.background.cancel()
        await asyncio.gather(self.background, return_exceptions=True)

    def submission(
        self,
        name: str = "c1",
        kind: OperationKind = K.CHARGE,
        amount_minor: int = 1_000,
        *,
        caller: str = "",
    ) -> Submission:
        page = memoryview(bytearray(slots.SLOT_BYTES))
        page[slots.CARD_NUMBER_AT : slots.CARD_NUMBER_AT + len(NUMBER)] = NUMBER
        capture_id = CaptureId(name)
        self.ledger.capture_started(self.ledger.new_capture(capture_id, CALL, caller=caller))
        return Submission(
            capture_id,
            CALL,
            CardInSlot(page, len(NUMBER), 4, 3),
            (12, 30),
            SubmitCapture(capture_id, f"order-{name}", kind, amount_minor, "EUR"),
            caller=caller,
        )

    async def pay(
        self, name: str = "c1", kind: OperationKind = K.CHARGE, amount_minor: int = 1_000
    ) -> GatewayResult:
        await self.payments.pay(self.submission(name, kind, amount_minor))
        return self.captures.outcomes[name][0]

    def operation_of(self, name: str = "c1") -> OperationId:
        return OperationId(self.captures.outcomes[name][1])

    async def order(self, kind: OperationKind, parent: str, name: str, amount_minor: int = 0) -> None:
        currency = "" if kind is K.VOID else "EUR"
        await self.orders.order(
            OrderPayment(OperationId(name), OperationId(parent), kind, amount_minor, currency)
        )

    def row(self, operation_id: str) -> OperationRow:
        row = self.rows.operations.by_id(operation_id)
        assert row is not None
        return row

    def states(self, name: str = "c1") -> list[tuple[str, str]]:
        return [(row.kind, row.state) for row in self.rows.operations.of_capture(name)]

    async def until_known(self, limit_s: float = 3_600.0) -> None:
        """Wait until nothing is unknown, at most ``limit_s``."""
        end_s = self.loop.time() + limit_s
        while self.rows.operations.unknown_money() and self.loop.time() < end_s:
            await asyncio.sleep(0.25)
