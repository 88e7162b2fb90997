"""Orders as the engine gives them, connectors of templates, and the bytes a request becomes."""

from __future__ import annotations

import functools

from dtmf_shield.account_data import slots
from dtmf_shield.cde.gateways.base import CardInSlot, Order, build_body
from dtmf_shield.cde.gateways.language import CARD, KEY, REFERENCE, TOKEN, Operation, Template
from dtmf_shield.cde.gateways.template import TemplateConnector, open_connector
from dtmf_shield.cde.gateways.template_file import find_template
from dtmf_shield.model.gateway import GatewaySettings
from dtmf_shield.model.payment import OperationKind

NUMBER = b"4242424242424242"
PAGE_BYTES = 4096
KEY_OF_ORDER = "5f0c1d3e-0000-5000-8000-000000000017"
PARAMETERS = {
    "adyen": {"merchant_account": "AcmeMoto", "return_url": "https://acme.example/paid"},
    "braintree": {"merchant_account": "acme_eur", "currency": "EUR"},
    "generic": {"token_parameter": "payment_token", "extended": "yes"},
    "spreedly": {"gateway_token": "T11bJAANtTWnxl36GYjKWvbNK0g"},
}
"""What each shipped template wants of the configuration, as a merchant would write it."""


def card(number: bytes = NUMBER, expiry: bytes = b"0330", code: bytes = b"123") -> CardInSlot:
    """A complete card in a slot of its own."""
    slot = bytearray(slots.SLOT_BYTES)
    for at, field in (
        (slots.CARD_NUMBER_AT, number),
        (slots.EXPIRY_AT, expiry),
        (slots.SECURITY_CODE_AT, code),
    ):
        slot[at : at + len(field)] = field
    return CardInSlot(memoryview(slot), len(number), len(expiry), len(code))


def settings(template: str, **more: object) -> GatewaySettings:
    """Settings of a gateway on loopback."""
    return GatewaySettings(
        name=f"test-{template}"[:32],
        template=template,
        addresses=("127.0.0.1",),
        port=443,
        server_name="localhost",
        ca_file="ca.pem",
        credentials_file="user",
        **more,
    )


@functools.cache
def usual_connector(template: str) -> TemplateConnector:
    """The connector of a shipped template with everything it can use, made once."""
    return connector(template, PARAMETERS.get(template, {}))


def connector(template: str, given: dict[str, str], **more: object) -> TemplateConnector:
    """The connector of a shipped template with these parameters."""
    path = "/pay" if find_template(template).uses_path else ""
    return open_connector(settings(template, path=path, parameters=tuple(given.items()), **more))


def order_for(operation: Operation, about: OperationKind | None = None, key: str = KEY_OF_ORDER) -> Order:
    """An order that this operation serves: 10.00 of something, with card, token or reference."""
    takes_amount = operation.kind in (
        OperationKind.AUTHORIZE,
        OperationKind.CHARGE,
        OperationKind.CAPTURE,
        OperationKind.REFUND,
    )
    return Order(
        operation.kind,
        key,
        card=card() if operation.source == CARD else None,
        token="tok_17" if operation.source == TOKEN else "",
        amount_minor=1000 if takes_amount else 0,
        currency="EUR" if takes_amount or operation.kind is OperationKind.VERIFY else "",
        reference="" if operation.source == KEY else 'order 17 "a&b"',
        gateway_reference="ref_17" if operation.source == REFERENCE else "",
        of=about or (sorted(operation.of)[0] if operation.of else None),
        customer="payer-17",
    )


def body_of(connector: TemplateConnector, order: Order) -> bytes:
    """What leaves for ``order``, as the build page has it."""
    page = memoryview(bytearray(PAGE_BYTES))
    return bytes(build_body(page, connector.request(order).body, order.card))


def operations_of(template: Template) -> list[tuple[Operation, OperationKind | None]]:
    """Every operation with each kind it can be about."""
    return [(each, about) for each in template.operations for about in (sorted(each.of) or [None])]
