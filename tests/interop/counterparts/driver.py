"""A connector and its sender against a counterpart: orders in, results out, by the one way that cards are sent."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from dtmf_shield.account_data import slots
from dtmf_shield.account_data.slots import Region, create_region
from dtmf_shield.cde.gateways.authentication import read_credentials
from dtmf_shield.cde.gateways.base import Answer, CardInSlot, GatewayResult, GatewayResultKind, Order
from dtmf_shield.cde.gateways.opening import open_sender
from dtmf_shield.cde.gateways.sender import BUILD_PAGE_BYTES, GatewaySender
from dtmf_shield.cde.gateways.template import TemplateConnector, open_connector
from dtmf_shield.model.gateway import GatewaySettings
from dtmf_shield.model.payment import OperationKind

_numbers = itertools.count(1)


def card(number: str, expiry: str = "1234", code: str = "123") -> CardInSlot:
    """A published test card in a slot."""
    slot = bytearray(slots.SLOT_BYTES)
    for at, field in (
        (slots.CARD_NUMBER_AT, number),
        (slots.EXPIRY_AT, expiry),
        (slots.SECURITY_CODE_AT, code),
    ):
        slot[at : at + len(field)] = field.encode()
    return CardInSlot(memoryview(slot), len(number), len(expiry), len(code))


def new_key() -> str:
    """A key nobody has used."""
    return f"key-{next(_numbers)}"


class Driver:
    """Does orders, one after the other."""

    def __init__(self, connector: TemplateConnector, sender: GatewaySender) -> None:
        self.connector, self.sender = connector, sender

    async def do(self, order: Order) -> GatewayResult:
        """Send once."""
        answer = await self.sender.exchange(self.connector.request(order), order.card)
        if isinstance(answer, Answer):
            return self.connector.result(order, answer)
        kind = GatewayResultKind.UNKNOWN if answer.sent else GatewayResultKind.FAILED_BEFORE_SEND
        return GatewayResult(kind, code=answer.reason)

    async def tokenize(self, number: str, **more: str) -> GatewayResult:
        """Get a token for a test card."""
        return await self.do(Order(OperationKind.TOKENIZE, new_key(), card=card(number, **more)))

    async def money(
        self, kind: OperationKind, token: str, key: str = "", amount_minor: int = 1000
    ) -> GatewayResult:
        """Charge or authorize with a token."""
        return await self.do(
            Order(
                kind,
                key or new_key(),
                token=token,
                amount_minor=amount_minor,
                currency="EUR",
                reference="order 17",
            )
        )

    async def later(
        self, kind: OperationKind, reference: str, of: OperationKind | None = None
    ) -> GatewayResult:
        """Capture, refund, void or look up."""
        return await self.do(Order(kind, new_key(), gateway_reference=reference, of=of, currency="EUR"))


def drive(
    settings: GatewaySettings, scenario: Callable[[Driver], Awaitable[Any]], page: Region | None = None
) -> Any:
    """Run ``scenario`` with a driver for ``settings``; return what it returns."""
    connector = open_connector(settings)
    credentials = read_credentials(Path(settings.credentials_file), connector.authentication)
    fd, _ = create_region(BUILD_PAGE_BYTES, allow_secret=False)
    region = page or Region(fd, BUILD_PAGE_BYTES)

    async def run() -> Any:
        sender = open_sender(settings, region, credentials.headers, credentials.signing_key, test=True)
        try:
            return await scenario(Driver(connector, sender))
        finally:
            sender.close()

    return asyncio.run(run())
