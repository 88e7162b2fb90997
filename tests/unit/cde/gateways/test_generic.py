"""The generic connector: its bodies, byte for byte, and every answer a gateway may give."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.cde.gateways.base import Answer, GatewayResultKind, Idempotency, Order
from dtmf_shield.model.payment import OperationKind
from tests.unit.cde.gateways.orders import body_of, card, connector, usual_connector

CONNECTOR = usual_connector("generic")
PLAIN = connector("generic", {})
CHARGE = Order(
    OperationKind.CHARGE, "key-2", token="tok_1", amount_minor=1000, currency="USD", reference="order 17"
)


def tokenize(reference: str = "", code: bytes = b"123") -> Order:
    return Order(OperationKind.TOKENIZE, "key-1", card=card(expiry=b"1230", code=code), reference=reference)


def test_tokenize_is_the_documented_json() -> None:
    assert json.loads(body_of(CONNECTOR, tokenize("order 17"))) == {
        "transaction_id": "key-1",
        "method": "tokenize",
        "cardnumber": "4242424242424242",
        "cvv": "123",
        "expiry_month": "12",
        "expiry_year": "30",
        "postal_code": None,
        "description": "order 17",
        "parameters": {},
    }


def test_charge_by_token_names_it_in_the_configured_parameter() -> None:
    assert json.loads(body_of(CONNECTOR, CHARGE)) == {
        "transaction_id": "key-2",
        "method": "charge",
        "cardnumber": None,
        "cvv": None,
        "expiry_month": None,
        "expiry_year": None,
        "postal_code": None,
        "amount": "10.00",
        "currency_code": "USD",
        "description": "order 17",
        "parameters": {"payment_token": "tok_1"},
    }


def test_without_a_token_parameter_only_the_card_can_be_charged() -> None:
    assert PLAIN.capabilities.tokenizes
    assert OperationKind.CHARGE in PLAIN.capabilities.by_card
    assert OperationKind.CHARGE not in PLAIN.capabilities.by_token
    assert PLAIN.capabilities.operations == {OperationKind.TOKENIZE, OperationKind.CHARGE}
    with pytest.raises(InvariantError):
        PLAIN.request(CHARGE)


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (1000, "USD", "10.00"),
        (5, "EUR", "0.05"),
        (1000, "JPY", "1000"),
        (1005, "KWD", "1.005"),
        (9_999_999_999, "GBP", "99999999.99"),
    ],
)
def test_amounts_are_decimals_of_the_currency(amount: int, currency: str, written: str) -> None:
    order = Order(OperationKind.CHARGE, "k", card=card(), amount_minor=amount, currency=currency)

    assert json.loads(body_of(CONNECTOR, order))["amount"] == written


@given(st.text(max_size=200))
def test_reference_is_escaped(reference: str) -> None:
    assert json.loads(body_of(CONNECTOR, tokenize(reference)))["description"] == reference


def test_field_that_was_not_keyed_is_empty() -> None:
    assert json.loads(body_of(CONNECTOR, tokenize(code=b"")))["cvv"] == ""


def test_body_longer_than_its_page_is_our_mistake() -> None:
    with pytest.raises(InvariantError):
        body_of(CONNECTOR, tokenize("x" * 5_000))


def test_a_lookup_asks_by_our_key() -> None:
    order = Order(OperationKind.LOOKUP, "key-2", of=OperationKind.CHARGE)

    assert json.loads(body_of(CONNECTOR, order)) == {
        "transaction_id": "key-2",
        "method": "lookup",
        "parameters": {},
    }
    assert OperationKind.CHARGE in CONNECTOR.capabilities.lookup_by_key


def test_idempotency_is_as_configured() -> None:
    assert CONNECTOR.capabilities.idempotency is Idempotency.NONE
    assert connector("generic", {}, idempotency="replay").capabilities.idempotency is Idempotency.REPLAY


LOOKUP = Order(OperationKind.LOOKUP, "key-2", of=OperationKind.CHARGE)


@pytest.mark.parametrize(
    ("order", "status", "answer", "kind", "code"),
    [
        (tokenize(), 200, b'{"token_id":"tok_1","error_code":null}', "approved", ""),
        (tokenize(), 200, b'{"token_id":null,"error_code":"card_declined"}', "declined", "card_declined"),
        (tokenize(), 200, b'{"token_id":null,"error_code":"bad card 4242"}', "declined", "other"),
        (tokenize(), 200, b'{"token_id":null,"error_code":51}', "declined", "other"),
        (tokenize(), 200, b'{"token_id":"tok_1","error_code":"expired_card"}', "declined", "expired_card"),
        (tokenize(), 200, b'{"token_id":null,"error_code":"processing"}', "unknown", ""),
        (tokenize(), 200, b'{"token_id":null,"error_code":null}', "unknown", ""),
        (tokenize(), 200, b'{"token_id":"","error_code":null}', "unknown", ""),
        (tokenize(), 200, b'{"token_id":"tok 1\\n","error_code":null}', "unknown", ""),
        (tokenize(), 200, b'{"token_id":"4242424242424242"}', "refused", "token_like_card"),
        (tokenize(), 200, b'{"token_id":"t-42424242-x"}', "refused", "token_like_card"),
        (tokenize(), 200, b'{"token_id":4242424242424242}', "refused", "token_like_card"),
        (tokenize(), 200, b'{"charge_id":"ch_1"}', "unknown", ""),
        (tokenize(), 200, b"<html>", "unknown", ""),
        (tokenize(), 200, b"\xff\xfe", "unknown", ""),
        (tokenize(), 200, b"", "unknown", ""),
        (tokenize(), 500, b"{}", "unknown", ""),
        (tokenize(), 503, b"", "unknown", ""),
        (tokenize(), 409, b"", "unknown", ""),
        (tokenize(), 302, b"", "unknown", ""),
        (tokenize(), 401, b"", "refused", "http_401"),
        (tokenize(), 404, b"", "refused", "http_404"),
        (tokenize(), 429, b"", "busy", ""),
        (CHARGE, 200, b'{"charge_id":"ch_1","error_code":null}', "approved", ""),
        (CHARGE, 200, b'{"charge_id":17,"error_code":null}', "approved", ""),
        (CHARGE, 200, b'{"charge_id":null,"error_code":null}', "unknown", ""),
        (
            CHARGE,
            200,
            b'{"charge_id":"ch_1","error_code":"insufficient_funds"}',
            "declined",
            "insufficient_funds",
        ),
        (CHARGE, 200, b'{"error_code":"authentication_required"}', "action_required", ""),
        (CHARGE, 200, b'{"error_code":"unsupported_method"}', "refused", "unsupported_method"),
        (CHARGE, 200, b'{"error_code":"not_found"}', "declined", "other"),
        (LOOKUP, 200, b'{"error_code":"not_found"}', "not_found", ""),
        (LOOKUP, 200, b'{"charge_id":"ch_1","error_code":null}', "approved", ""),
        (LOOKUP, 200, b'{"error_code":"card_declined"}', "declined", "card_declined"),
    ],
)
def test_answer_is_read(order: Order, status: int, answer: bytes, kind: str, code: str) -> None:
    result = CONNECTOR.result(order, Answer(status, answer))

    assert (result.kind, result.code) == (GatewayResultKind(kind), code)


def test_a_charge_that_was_taken_back_says_so() -> None:
    result = CONNECTOR.result(LOOKUP, Answer(200, b'{"charge_id":"ch_1","error_code":null,"voided":true}'))

    assert (result.kind, result.reference, result.voided) == (GatewayResultKind.APPROVED, "ch_1", True)
