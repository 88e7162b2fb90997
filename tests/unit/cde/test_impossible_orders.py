"""An order that a gateway has no words for is refused before anything is sent, and never read as done or declined."""

from __future__ import annotations

import asyncio

import pytest

from dtmf_shield.cde.delivery import Delivery, Gateway, Limits
from dtmf_shield.cde.gateways.base import Answer, GatewayResult, GatewayResultKind, Order
from dtmf_shield.model.payment import OperationKind
from tests.unit.cde.gateways.orders import usual_connector


class Nobody:
    """A way that must not be taken."""

    health = "ok"
    sent = 0

    async def exchange(self, request, card) -> Answer:
        self.sent += 1
        return Answer(200, b"{}")


class Noon:
    """A clock that stands."""

    def now_s(self) -> float:
        return 0.0

    def wall_s(self) -> float:
        return 0.0


@pytest.mark.parametrize(
    ("name", "currency", "amount_minor", "code"),
    [("braintree", "USD", 1000, "currency"), ("adyen", "IDR", 150_001, "amount")],
)
@pytest.mark.parametrize("in_doubt", [False, True])
def test_it_is_refused_unsent(name: str, currency: str, amount_minor: int, code: str, in_doubt: bool) -> None:
    nobody = Nobody()
    order = Order(OperationKind.CHARGE, "key", token="tok", amount_minor=amount_minor, currency=currency)
    limits = Limits(sends_until_s=10.0, in_doubt=in_doubt)

    result = asyncio.run(Delivery(Noon()).deliver(Gateway(usual_connector(name), nobody), order, limits))

    expected = GatewayResultKind.UNKNOWN if in_doubt else GatewayResultKind.REFUSED
    assert result == GatewayResult(expected, code=code)
    assert nobody.sent == 0
