"""Requests of all shipped templates: byte for byte as reviewed, the same each time, card data in the body alone."""

from __future__ import annotations

import json
import urllib.parse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.cde.gateways.base import CardInSlot, Order, OrderImpossibleError, SlotField
from dtmf_shield.cde.gateways.template_file import find_template
from dtmf_shield.model.payment import OperationKind
from tests.unit.cde.gateways.golden_requests import GOLDEN, NAMES, written
from tests.unit.cde.gateways.orders import (
    NUMBER,
    PARAMETERS,
    body_of,
    card,
    connector,
    operations_of,
    order_for,
    usual_connector,
)

EVERY = [
    pytest.param(name, operation, about, id=f"{name}-{operation.kind}-{operation.source}-{about or 'any'}")
    for name in NAMES
    for operation, about in operations_of(find_template(name))
]
UPDATE = "python -m tests.unit.cde.gateways.golden_requests"


@pytest.mark.parametrize("name", NAMES)
def test_requests_are_those_that_were_reviewed(name: str) -> None:
    assert written(name) == (GOLDEN / f"{name}.txt").read_text("ascii"), (
        f"after a change that is meant: {UPDATE}"
    )


@pytest.mark.parametrize(("name", "operation", "about"), EVERY)
def test_a_request_is_the_same_for_every_send(name, operation, about) -> None:
    one, other = usual_connector(name), connector(name, PARAMETERS.get(name, {}))
    order = order_for(operation, about)

    assert one.request(order) == one.request(order) == other.request(order_for(operation, about))
    assert body_of(one, order) == body_of(other, order_for(operation, about))


@pytest.mark.parametrize(("name", "operation", "about"), EVERY)
def test_card_data_stands_in_the_body_alone_and_there_as_a_name(name, operation, about) -> None:
    speaker, order = usual_connector(name), order_for(operation, about)
    request = speaker.request(order)
    shown = repr(request) + repr(order) + repr(speaker) + request.path + repr(request.headers)

    assert "4242" not in shown
    assert (NUMBER in body_of(speaker, order)) is (order.card is not None)
    if order.card is not None:
        assert SlotField.NUMBER in request.body


@pytest.mark.parametrize("name", NAMES)
def test_whatever_takes_a_card_or_a_token_says_moto_or_why_not(name) -> None:
    for operation in find_template(name).operations:
        if operation.source in ("card", "token"):
            assert bool(operation.moto) != bool(operation.no_moto_because)


@pytest.mark.parametrize("name", NAMES)
def test_a_lookup_does_not_bear_the_key_it_asks_about_as_its_own(name) -> None:
    for operation, about in operations_of(find_template(name)):
        if operation.kind is OperationKind.LOOKUP:
            headers = dict(usual_connector(name).request(order_for(operation, about)).headers)
            assert "Idempotency-Key" not in headers


@pytest.mark.parametrize("name", NAMES)
def test_a_security_code_that_was_not_keyed_is_left_out_or_empty(name) -> None:
    for operation, _ in operations_of(find_template(name)):
        if operation.source == "card":
            order = order_for(operation)
            without = Order(
                order.kind,
                order.key,
                card=card(code=b""),
                amount_minor=order.amount_minor,
                currency=order.currency,
            )
            body = body_of(usual_connector(name), without)

            if operation.encoding == "json":
                json.loads(body)
            assert b"123" not in body
            assert b"[cvc]" not in body


TEXT = st.text(max_size=60)


@settings(max_examples=40, deadline=None)
@given(reference=TEXT, token=TEXT, gateway_reference=TEXT, currency=st.sampled_from(["EUR", "JPY", "KWD"]))
@pytest.mark.parametrize("name", NAMES)
def test_no_value_breaks_out_of_its_place(name, reference, token, gateway_reference, currency) -> None:
    speaker = usual_connector(name)
    for operation, about in operations_of(find_template(name)):
        usual = order_for(operation, about)
        order = Order(
            usual.kind,
            usual.key,
            card=usual.card,
            token=token or "t" if usual.token else "",
            amount_minor=usual.amount_minor,
            currency=currency if name != "braintree" else usual.currency,
            reference=reference,
            gateway_reference=gateway_reference or "r" if usual.gateway_reference else "",
            of=usual.of,
        )
        request = speaker.request(order)

        assert request.path.isascii()
        assert all(32 < ord(character) < 127 for character in request.path)
        assert request.path.count("/") == speaker.request(usual).path.count("/")
        if operation.encoding == "json":
            assert_same_shape(json.loads(body_of(speaker, usual)), json.loads(body_of(speaker, order)))
        elif operation.encoding == "form":
            fields = urllib.parse.parse_qsl(body_of(speaker, order).decode("ascii"), strict_parsing=True)
            assert {field for field, _ in fields} <= {
                field for field, _ in urllib.parse.parse_qsl(body_of(speaker, usual).decode("ascii"))
            }


def assert_same_shape(usual, filled) -> None:
    if isinstance(usual, dict):
        assert set(filled) <= set(usual)
        for member, value in filled.items():
            assert_same_shape(usual[member], value)
    else:
        assert not isinstance(filled, dict | list)


def test_a_request_beyond_a_gateways_abilities_is_our_mistake() -> None:
    with pytest.raises(InvariantError):
        usual_connector("stripe").request(
            Order(OperationKind.VOID, "k", gateway_reference="pi_1", of=OperationKind.CHARGE)
        )
    with pytest.raises(InvariantError):
        usual_connector("spreedly").request(
            Order(OperationKind.CHARGE, "k", card=card(), amount_minor=1, currency="EUR")
        )


def test_a_gateway_of_one_currency_refuses_another() -> None:
    order = Order(OperationKind.CHARGE, "k", token="t", amount_minor=1000, currency="USD")

    with pytest.raises(OrderImpossibleError, match="EUR alone") as caught:
        usual_connector("braintree").request(order)
    assert caught.value.code == "currency"


@pytest.mark.parametrize(
    ("name", "currency", "amount_minor", "written_amount"),
    [
        ("stripe", "JPY", 1000, b"amount=1000&"),
        ("stripe", "ISK", 1000, b"amount=100000&"),
        ("stripe", "KWD", 1000, b"amount=1000&"),
        ("adyen", "CLP", 1000, b'"value":100000}'),
        ("adyen", "IDR", 150000, b'"value":1500}'),
    ],
)
def test_amounts_are_in_the_unit_the_gateway_counts(name, currency, amount_minor, written_amount) -> None:
    order = Order(OperationKind.CHARGE, "k", token="t", amount_minor=amount_minor, currency=currency)

    assert written_amount in body_of(usual_connector(name), order)


def test_an_amount_too_fine_for_the_gateway_is_refused() -> None:
    order = Order(OperationKind.CHARGE, "k", token="t", amount_minor=150001, currency="IDR")

    with pytest.raises(OrderImpossibleError, match="no unit as small"):
        usual_connector("adyen").request(order)


@pytest.mark.parametrize(("expiry", "month", "year"), [(b"0330", b"3", b"30"), (b"122031", b"12", b"31")])
def test_parts_of_an_expiry(expiry: bytes, month: bytes, year: bytes) -> None:
    complete = card(expiry=expiry)

    assert bytes(complete.part(SlotField.EXPIRY_MONTH)) == expiry[:2]
    assert bytes(complete.part(SlotField.EXPIRY_MONTH_NUMBER)) == month
    assert bytes(complete.part(SlotField.EXPIRY_YEAR)) == year
    assert bytes(CardInSlot(complete.slot).part(SlotField.EXPIRY_MONTH_NUMBER)) == b""
