"""Payments over HTTP: who may, what is asked of the service, and that an order's name comes from its key."""

from __future__ import annotations

from typing import Any

import pytest
from api_desk import ApiHouse

from dtmf_shield.api import access
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.ports.payments import (
    PaymentListener,
    PaymentNotFound,
    PaymentOrder,
    PaymentQuery,
    PaymentRefused,
)
from dtmf_shield.api.resources.payments import order_id
from dtmf_shield.api.views import PaymentPage, PaymentView
from dtmf_shield.model.ids import OperationId
from dtmf_shield.model.payment import MOVES_MONEY, OperationKind, OperationState

pytestmark = pytest.mark.anyio
KEY = {"idempotency-key": "refund-0001"}
CHARGE = PaymentView(
    id="charge-1",
    kind=OperationKind.CHARGE,
    state=OperationState.UNKNOWN,
    amount_minor=1_050,
    currency="EUR",
    brand="visa",
    last4="4242",
)


class MemoryPayments:
    """One charge, and everything that was asked of it."""

    def __init__(self) -> None:
        self.queries: list[PaymentQuery] = []
        self.orders: list[PaymentOrder] = []
        self.refuse = False
        self.listener: PaymentListener | None = None

    def page(self, query: PaymentQuery) -> PaymentPage:
        self.queries.append(query)
        return PaymentPage(payments=(CHARGE,), next_cursor="17")

    def payment(self, operation_id: OperationId) -> PaymentView:
        if operation_id != CHARGE.id:
            raise PaymentNotFound
        return CHARGE

    async def order(self, order: PaymentOrder) -> PaymentView:
        self.payment(order.parent)
        if self.refuse:
            raise PaymentRefused(["already_done"])
        self.orders.append(order)
        return PaymentView(id=order.id, kind=order.kind, state=OperationState.INTENT, parent=order.parent)

    def subscribe(self, listener: PaymentListener) -> None:
        self.listener = listener


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def payments() -> MemoryPayments:
    return MemoryPayments()


@pytest.fixture
def house(payments: MemoryPayments) -> ApiHouse:
    return ApiHouse(payments=payments)


async def test_filters_reach_the_ledger(house: ApiHouse, payments: MemoryPayments) -> None:
    asked = "?reference=order-7&day=2026-03-29&outcome=unknown&cursor=42&limit=7"
    async with house.machine() as client:
        everything = await client.get("/v1/payments")
        filtered = await client.get(f"/v1/payments{asked}")
        refunds = await client.get("/v1/payments?kind=refund")

    assert everything.json()["payments"][0]["state"] == "unknown"
    assert everything.json()["next_cursor"] == "17"
    assert (filtered.status_code, refunds.status_code) == (200, 200)
    whole, narrow, kind = payments.queries
    assert (whole.kinds, whole.before, whole.from_s) == (MOVES_MONEY, None, None)
    assert (narrow.reference, narrow.state, narrow.before, narrow.rows) == (
        "order-7",
        OperationState.UNKNOWN,
        42,
        7,
    )
    # A day of UTC has 86,400 s, also where clocks are changed.
    assert (narrow.from_s, narrow.until_s) == (1_774_742_400.0, 1_774_828_800.0)
    assert kind.kinds == {OperationKind.REFUND}


@pytest.mark.parametrize(
    "query",
    ["day=yesterday", "outcome=lost", "cursor=x", f"cursor={'1' * 12}", "limit=0", "limit=101", "kind=x"],
)
async def test_unfit_filters_are_refused(house: ApiHouse, payments: MemoryPayments, query: str) -> None:
    async with house.machine() as client:
        assert (await client.get(f"/v1/payments?{query}")).status_code == 422
    assert payments.queries == []


@pytest.mark.parametrize("command", ["refund", "capture", "void"])
async def test_an_order_is_carried_out_once_and_named_by_its_key(
    house: ApiHouse, payments: MemoryPayments, command: str
) -> None:
    body = {} if command == "void" else {"amount_minor": 400}
    async with house.machine() as client:
        first = await client.post(f"/v1/payments/charge-1/{command}", json=body, headers=KEY)
        again = await client.post(f"/v1/payments/charge-1/{command}", json=body, headers=KEY)
        other = await client.post(f"/v1/payments/charge-1/{command}", json={"amount_minor": 1}, headers=KEY)

    assert (first.status_code, first.json()["state"]) == (202, "intent")
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    assert other.status_code == (422 if command == "void" else 409)
    (order,) = payments.orders
    assert order.id == order_id("key", KEY["idempotency-key"], "charge-1", OperationKind(command))
    assert (order.parent, order.amount_minor) == ("charge-1", body.get("amount_minor"))
    assert order.by == "key"
    assert not any(character.isdigit() for character in order.id)


def test_orders_of_others_with_the_same_key_have_other_names() -> None:
    kind = OperationKind.REFUND
    names = {
        order_id("a", "k", "charge-1", kind),
        order_id("b", "k", "charge-1", kind),
        order_id("a", "l", "charge-1", kind),
        order_id("a", "k", "charge-2", kind),
        order_id("a", "k", "charge-1", OperationKind.VOID),
    }

    assert len(names) == 5


@pytest.mark.parametrize("amount", [0, -1, 1.5, "5", 10**10, True])
async def test_unfit_amounts_are_refused(house: ApiHouse, payments: MemoryPayments, amount: Any) -> None:
    async with house.machine() as client:
        answer = await client.post("/v1/payments/charge-1/refund", json={"amount_minor": amount}, headers=KEY)
    assert (answer.status_code, payments.orders) == (422, [])


async def test_refusals_say_why_and_are_not_stored(house: ApiHouse, payments: MemoryPayments) -> None:
    payments.refuse = True
    async with house.machine() as client:
        refused = await client.post("/v1/payments/charge-1/refund", json={}, headers=KEY)
        payments.refuse = False
        again = await client.post("/v1/payments/charge-1/refund", json={}, headers=KEY)
        missing = await client.post(
            "/v1/payments/none/void", json={}, headers={"idempotency-key": "void-0001"}
        )
        shown = await client.get("/v1/payments/none")

    assert (refused.status_code, refused.json()["findings"]) == (409, ["already_done"])
    assert (again.status_code, missing.status_code, shown.status_code) == (202, 404, 404)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SUPERVISOR])
async def test_payments_are_for_supervisors(
    house: ApiHouse, payments: MemoryPayments, monkeypatch: pytest.MonkeyPatch, role: Role
) -> None:
    somebody = Principal("s", roles=frozenset({role}), by_cookie=False, ends_s=float("inf"))
    monkeypatch.setattr(access, "principal_of", lambda _request: somebody)
    async with house.client() as client:
        answers = [
            await client.get("/v1/payments"),
            await client.get("/v1/payments/charge-1"),
            await client.post("/v1/payments/charge-1/refund", json={}, headers=KEY),
        ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert (payments.queries, payments.orders) == ([], [])
