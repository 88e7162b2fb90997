"""A desk held in memory, a clock set by hand, and a client in the same process: what the API's tests share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx

from dtmf_shield.api.app import create_app
from dtmf_shield.api.events import EventRing
from dtmf_shield.api.identity.identity import Identity
from dtmf_shield.api.identity.passwords import Passwords
from dtmf_shield.api.identity.principal import EVERY_ROLE, Principal
from dtmf_shield.api.play import PlayPhones
from dtmf_shield.api.ports import (
    NOTHING_GIVEN,
    AmountNeeded,
    AmountNotTaken,
    CallNotFound,
    CallNotTalking,
    CaptureNotFound,
    CaptureRunning,
    DeskListener,
    FieldUnknown,
    FlowUnknown,
    InputRefused,
    TokenNotThere,
)
from dtmf_shield.api.ports.backing import Backing
from dtmf_shield.api.site import LOOPBACK, Site
from dtmf_shield.api.views import (
    CallState,
    CallView,
    CaptureView,
    FlowView,
    ServiceView,
    ShieldState,
    ShieldView,
    new_capture,
)
from dtmf_shield.model.capture import FieldKind, FieldSpec
from dtmf_shield.model.ids import CallId, CaptureId, Token
from dtmf_shield.model.payment import NO_MONEY, Money
from dtmf_shield.model.stream import ShieldMode
from dtmf_shield.store.identity_rows import IdentityRows

TEST_PAN = "4242424242424242"
API_KEY = "k-test-of-the-api-0123456789abcdef"
ANYBODY = Principal("anybody", roles=EVERY_ROLE, by_cookie=False, ends_s=float("inf"))
BASE_URL = "http://127.0.0.1:8080"
OURS = {"origin": BASE_URL, "sec-fetch-site": "same-origin"}
"""What a browser says of a request from our own page."""
PASSWORD = "seven green kites 4"
FIELDS = (
    FieldSpec(name="pan", kind=FieldKind.CARD_NUMBER),
    FieldSpec(name="expiry", kind=FieldKind.EXPIRY),
    FieldSpec(name="cvv", kind=FieldKind.SECURITY_CODE),
)


class HandClock:
    """Time moves when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def now_s(self) -> float:
        return self.seconds

    def wall_s(self) -> float:
        return self.seconds


def a_call(call_id: str = "c1", state: CallState = CallState.TALKING, **changed: Any) -> CallView:
    return CallView(
        **{
            "id": CallId(call_id),
            "trunk": "carrier-a",
            "dialled": "+441632960001",
            "caller_masked": "••12",
            "state": state,
            "started_at": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
            "shield": ShieldView(state=ShieldState.ON, caller=ShieldMode.GUARD, agent=ShieldMode.GUARD),
            **changed,
        }
    )


def a_capture(capture_id: str = "cap1", call_id: str = "c1") -> CaptureView:
    return new_capture(
        capture_id=CaptureId(capture_id), call_id=CallId(call_id), flow_id="card-payment", fields=FIELDS
    )


class MemoryDesk:
    """Keeps calls in a dict and writes down what it was told to do."""

    def __init__(self, *calls: CallView) -> None:
        self.table = {call.id: call for call in calls}
        self.asked: list[tuple[str, ...]] = []
        self.shield = ShieldState.ON
        self.listener: DeskListener | None = None

    def calls(self) -> Sequence[CallView]:
        return tuple(self.table.values())

    def call(self, call_id: CallId) -> CallView:
        if call_id not in self.table:
            raise CallNotFound
        return self.table[call_id]

    def capture(self, capture_id: CaptureId) -> CaptureView:
        for call in self.table.values():
            if call.capture is not None and call.capture.id == capture_id:
                return call.capture
        raise CaptureNotFound

    def token(self, capture_id: CaptureId) -> Token:
        if self.capture(capture_id).outcome is None:
            raise TokenNotThere
        return Token("tok_TEST_whole")

    def start_capture(
        self,
        call_id: CallId,
        flow_id: str,
        reference: str,
        amount: Money = NO_MONEY,
        given: Mapping[str, str] = NOTHING_GIVEN,
        language: str = "",
    ) -> CaptureId:
        call = self.call(call_id)
        if given.get("customer") == "UNFIT":
            raise InputRefused(["input customer: text that matches [A-Z]{3}"])
        if flow_id not in ("card-payment", "card-charge"):
            raise FlowUnknown
        if flow_id == "card-charge" and not amount:
            raise AmountNeeded
        if flow_id == "card-payment" and amount:
            raise AmountNotTaken
        if call.state is not CallState.TALKING:
            raise CallNotTalking
        if call.capture is not None and call.capture.outcome is None:
            raise CaptureRunning
        self.asked.append(("start", call_id, flow_id, reference))
        if amount:
            self.asked.append(("amount", str(amount.minor), amount.currency))
        if given or language:
            self.asked.append(("told", language, *(f"{name}={value}" for name, value in given.items())))
        begun = a_capture(call_id=call_id).model_copy(update={"reference": reference})
        self.change(call.model_copy(update={"capture": begun}))
        return CaptureId("cap1")

    def request_field(self, capture_id: CaptureId, field: str) -> None:
        if field not in {one.field for one in self.capture(capture_id).fields}:
            raise FieldUnknown
        self.asked.append(("request", capture_id, field))

    def take_payment(self, capture_id: CaptureId) -> None:
        self.capture(capture_id)
        self.asked.append(("pay", capture_id))

    def pause_capture(self, capture_id: CaptureId) -> None:
        self.asked.append(("pause", capture_id))

    def resume_capture(self, capture_id: CaptureId) -> None:
        self.asked.append(("resume", capture_id))

    def cancel_capture(self, capture_id: CaptureId) -> None:
        self.asked.append(("cancel", capture_id))

    def flows(self) -> Sequence[FlowView]:
        return (FlowView(id="card-payment", title="Card payment"),)

    def service(self) -> ServiceView:
        return ServiceView(shield=self.shield, gateway="up")

    def subscribe(self, listener: DeskListener) -> None:
        self.listener = listener

    def change(self, call: CallView) -> None:
        self.table[call.id] = call
        if self.listener is not None:
            self.listener.call_changed(call)


class ApiHouse:
    """The application over a memory desk, and clients for it."""

    def __init__(
        self,
        *calls: CallView,
        api_key: str | None = API_KEY,
        rows: IdentityRows | None = None,
        site: Site = LOOPBACK,
        play: PlayPhones | None = None,
        **ports: Any,
    ) -> None:
        self.clock, self.site = HandClock(), site
        self.desk = MemoryDesk(*calls)
        self.noted: list[dict[str, Any]] = []
        self.rows = rows or IdentityRows(None)
        self.identity = Identity(
            self.rows,
            self.clock,
            api_key=api_key,
            passwords=Passwords(memory_kib=8, time_cost=1),
            note=lambda event, **facts: self.noted.append({"event": event, **facts}),
        )
        self.login = self.identity.login
        self.app = create_app(
            self.desk,
            self.identity,
            site=site,
            clock=self.clock,
            heartbeat_s=0.01,
            backing=Backing(**ports),
            play=play,
        )
        self.ring: EventRing = self.app.state.context.ring

    def client(self, **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=BASE_URL, headers=headers)

    def machine(self) -> httpx.AsyncClient:
        return self.client(authorization=f"Bearer {API_KEY}")

    def browser(self) -> httpx.AsyncClient:
        client = self.client()
        client.cookies.set(self.site.cookie(), self.login.redeem(self.login.issue()) or "")
        return client


async def house_of_ada() -> ApiHouse:
    """A house in which ada, an agent, has PASSWORD; nobody is signed in and nothing is noted yet."""
    house = ApiHouse(a_call())
    secret = house.identity.users.make("ada", ["agent"], None)
    await house.identity.set_password(secret, PASSWORD, "127.0.0.1")
    house.identity.sessions.close_all_of("ada")
    house.noted.clear()
    return house
