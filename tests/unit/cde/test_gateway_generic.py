"""The generic connector: its body, byte for byte, and every answer a gateway may give."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtmf_shield.account_data import slots
from dtmf_shield.base.errors import InvariantError
from dtmf_shield.cde.gateways.base import (
    Answer,
    CardInSlot,
    GatewayResult,
    GatewayResultKind,
    Idempotency,
    Order,
    build_body,
)
from dtmf_shield.cde.gateways.generic import GenericConnector
from dtmf_shield.model.payment import OperationKind

CONNECTOR = GenericConnector("embedded", Idempotency.REPLAY, "/pay")


def order(reference: str = "", code: bytes = b"123") -> Order:
    slot = bytearray(slots.SLOT_BYTES)
    slot[slots.CARD_NUMBER_AT : slots.CARD_NUMBER_AT + 16] = b"4242424242424242"
    slot[slots.EXPIRY_AT : slots.EXPIRY_AT + 4] = b"1230"
    slot[slots.SECURITY_CODE_AT : slots.SECURITY_CODE_AT + len(code)] = code
    card = CardInSlot(memoryview(slot), 16, 4, len(code))
    return Order(OperationKind.TOKENIZE, "key-1", card=card, reference=reference)


def body(order: Order) -> bytes:
    page = memoryview(bytearray(4096))
    return bytes(build_body(page, CONNECTOR.request(order).body, order.card))


def test_body_is_the_documented_json() -> None:
    assert json.loads(body(order("order 17"))) == {
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


def test_body_is_the_same_for_every_send() -> None:
    assert body(order("a")) == body(order("a"))


@given(st.text(max_size=200))
def test_reference_is_escaped(reference: str) -> None:
    assert json.loads(body(order(reference)))["description"] == reference


def test_field_that_was_not_keyed_is_empty() -> None:
    assert json.loads(body(order(code=b"")))["cvv"] == ""


def test_body_longer_than_its_page_is_our_mistake() -> None:
    with pytest.raises(InvariantError):
        body(order("x" * 5_000))


def test_no_part_of_an_order_shows_a_digit() -> None:
    one = order()
    shown = repr(one) + repr(CONNECTOR.request(one))
    assert "4242" not in shown


def test_key_stands_in_the_header_too() -> None:
    assert ("Idempotency-Key", "key-1") in CONNECTOR.request(order()).headers


@pytest.mark.parametrize(
    ("status", "answer", "kind", "code"),
    [
        (200, b'{"token_id":"tok_1","error_code":null,"error_message":null}', GatewayResultKind.APPROVED, ""),
        (200, b'{"token_id":null,"error_code":"card_declined"}', GatewayResultKind.DECLINED, "card_declined"),
        (200, b'{"token_id":null,"error_code":"bad card 4242"}', GatewayResultKind.DECLINED, "other"),
        (200, b'{"token_id":null,"error_code":51}', GatewayResultKind.DECLINED, "other"),
        (200, b'{"token_id":null,"error_code":null}', GatewayResultKind.UNKNOWN, ""),
        (200, b'{"token_id":"","error_code":null}', GatewayResultKind.UNKNOWN, ""),
        (200, b'{"token_id":"tok 1\\n","error_code":null}', GatewayResultKind.UNKNOWN, ""),
        (200, b'{"token_id":"4242424242424242"}', GatewayResultKind.REFUSED, "token_like_card"),
        (200, b"<html>", GatewayResultKind.UNKNOWN, ""),
        (200, b"\xff\xfe", GatewayResultKind.UNKNOWN, ""),
        (200, b"", GatewayResultKind.UNKNOWN, ""),
        (500, b"{}", GatewayResultKind.UNKNOWN, ""),
        (503, b"", GatewayResultKind.UNKNOWN, ""),
        (302, b"", GatewayResultKind.UNKNOWN, ""),
        (401, b"", GatewayResultKind.REFUSED, "http_401"),
        (404, b"", GatewayResultKind.REFUSED, "http_404"),
    ],
)
def test_answer_is_read(status: int, answer: bytes, kind: GatewayResultKind, code: str) -> None:
    result = CONNECTOR.result(order(), Answer(status, answer))

    assert (result.kind, result.code) == (kind, code)


@given(st.integers(100, 599), st.binary(max_size=200))
def test_any_answer_gives_a_result(status: int, answer: bytes) -> None:
    assert isinstance(CONNECTOR.result(order(), Answer(status, answer)), GatewayResult)
