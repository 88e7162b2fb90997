"""The generic connector and the TEST gateway speak the same language: every operation, answered by the book itself."""

from __future__ import annotations

import json

import pytest

from dtmf_shield.cde.gateways.base import Answer, GatewayResult, Order
from dtmf_shield.cde.gateways.base import GatewayResultKind as R
from dtmf_shield.cde.gateways.template import open_connector
from dtmf_shield.model.payment import DeclineCode
from dtmf_shield.model.payment import OperationKind as K
from dtmf_shield.service.test_gateway.book import Book
from tests.unit.cde.gateways.orders import body_of, card, settings

CONNECTOR = open_connector(
    settings(
        "generic",
        path="/pay",
        idempotency="replay",
        parameters=(("extended", "yes"), ("token_parameter", "token")),
    )
)


class House:
    """A book, asked by the connector."""

    def __init__(self) -> None:
        self.book = Book()
        self._keys = 0

    def do(self, kind: K, key: str = "", **order) -> GatewayResult:
        self._keys += 1
        asked = Order(kind, key or f"key-{self._keys}", **order)
        status, answer = self.book.take(body_of(CONNECTOR, asked))
        return CONNECTOR.result(asked, Answer(status, json.dumps(answer).encode()))

    def charge(
        self, token: str, kind: K = K.CHARGE, amount_minor: int = 1000, key: str = ""
    ) -> GatewayResult:
        return self.do(kind, key, token=token, amount_minor=amount_minor, currency="EUR")


def test_a_token_is_charged_looked_up_refunded_and_not_refunded_twice() -> None:
    house = House()
    token = house.do(K.TOKENIZE, card=card())
    charge = house.charge(token.token, key="charge-1")
    found = house.do(K.LOOKUP, "charge-1", of=K.CHARGE)
    refund = house.do(K.REFUND, gateway_reference=charge.reference)
    twice = house.do(K.REFUND, gateway_reference=charge.reference)

    assert token.token.startswith("tok_TEST_")
    assert (charge.kind, charge.auth_code[:4], bool(charge.network_transaction_id)) == (
        R.APPROVED,
        "TEST",
        True,
    )
    assert (found.kind, found.reference, found.voided) == (R.APPROVED, charge.reference, False)
    assert refund.kind is R.APPROVED
    assert (twice.kind, twice.code) == (R.DECLINED, DeclineCode.NOT_PERMITTED)


def test_money_is_held_then_taken_or_let_go() -> None:
    house = House()
    token = house.do(K.TOKENIZE, card=card()).token
    held, other = house.charge(token, K.AUTHORIZE), house.charge(token, K.AUTHORIZE, key="other")
    capture = house.do(K.CAPTURE, gateway_reference=held.reference, amount_minor=500, currency="EUR")
    void = house.do(K.VOID, gateway_reference=other.reference, of=K.AUTHORIZE)
    too_late = house.do(K.VOID, gateway_reference=held.reference, of=K.AUTHORIZE)

    assert [each.kind for each in (held, other, capture, void)] == [R.APPROVED] * 4
    assert house.do(K.LOOKUP, "other", of=K.AUTHORIZE).voided
    assert (too_late.kind, too_late.code) == (R.DECLINED, DeclineCode.NOT_PERMITTED)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (b"4000000000000002", DeclineCode.CARD_DECLINED),
        (b"4000000000009995", DeclineCode.INSUFFICIENT_FUNDS),
        (b"4000000000000127", DeclineCode.INCORRECT_CVC),
        (b"4000000000000069", DeclineCode.EXPIRED_CARD),
        (b"4000000000000119", DeclineCode.PROCESSING_ERROR),
        (b"4000000000000010", DeclineCode.TEST_CARD_REQUIRED),
    ],
)
def test_declines_are_told_by_their_codes(number: bytes, code: DeclineCode) -> None:
    result = House().do(K.TOKENIZE, card=card(number))

    assert (result.kind, result.code) == (R.DECLINED, code)


@pytest.mark.parametrize("kind", [K.VERIFY, K.CHARGE, K.AUTHORIZE])
def test_a_card_itself_is_verified_charged_and_authorized(kind: K) -> None:
    money = {} if kind is K.VERIFY else {"amount_minor": 1000, "currency": "JPY"}

    result = House().do(kind, card=card(), **money)

    assert (result.kind, result.cvc_check) == (R.APPROVED, "pass")


def test_a_repeated_key_gets_its_first_answer_and_another_body_under_it_none() -> None:
    house = House()
    token = house.do(K.TOKENIZE, card=card()).token
    first, again = house.charge(token, key="same"), house.charge(token, key="same")
    other = house.charge(token, key="same", amount_minor=2000)

    assert again == first
    assert house.book.replayed == 1
    assert other.kind is R.UNKNOWN


def test_what_the_gateway_does_not_know() -> None:
    house = House()

    assert house.do(K.LOOKUP, "nobody", of=K.CHARGE).kind is R.NOT_FOUND
    assert house.do(K.LOOKUP, "nobody", of=K.TOKENIZE).kind is R.NOT_FOUND
    unknown = house.charge("tok_TEST_unknown")
    assert (unknown.kind, unknown.code) == (R.REFUSED, "unknown_token")
    unknown = house.do(K.REFUND, gateway_reference="ch_TEST_unknown")
    assert (unknown.kind, unknown.code) == (R.REFUSED, "unknown_reference")


def test_a_card_that_wants_its_holder_elsewhere() -> None:
    house = House()
    token = house.do(K.TOKENIZE, card=card(b"4000002500003155")).token

    assert house.charge(token).kind is R.ACTION_REQUIRED
