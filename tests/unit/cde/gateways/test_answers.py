"""What answers mean: every rule of every template, real shapes of each gateway, and random bytes that never leak."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtmf_shield.cde.gateways.answers import AnswerSet, Rule, echoes, is_card_like
from dtmf_shield.cde.gateways.base import Answer, GatewayResult, GatewayResultKind, Order
from dtmf_shield.cde.gateways.json_reader import JsonReader
from dtmf_shield.cde.gateways.language import Operation
from dtmf_shield.cde.gateways.template_file import find_template
from dtmf_shield.model.payment import DeclineCode, OperationKind
from tests.unit.cde.gateways.golden_requests import NAMES
from tests.unit.cde.gateways.orders import card, operations_of, order_for, usual_connector

K, R = OperationKind, GatewayResultKind


# --- every rule -------------------------------------------------------------------------------------------


def put(data: Any, path: tuple[str, ...], value: Any) -> Any:
    """Return ``data`` with ``value`` at ``path``; digits in a path are places of an array."""
    if not path:
        return value if data is None or not isinstance(data, dict | list) else data
    name, rest = path[0], path[1:]
    if name.isdigit():
        items = list(data) if isinstance(data, list) else []
        items += [{}] * (int(name) + 1 - len(items))
        items[int(name)] = put(items[int(name)] or None, rest, value)
        return items
    members = dict(data) if isinstance(data, dict) else {}
    members[name] = put(members.get(name), rest, value)
    return members


LEVELS: dict[str, Any] = {"edges": [], "transaction": {}}
"""Names at which there is more, not a value."""


def answer_to(rule: Rule, answers: AnswerSet) -> Answer:
    """Make the answer that ``rule`` describes."""
    body: Any = {}
    for condition in rule.equals:
        body = put(body, condition.path, condition.values[0])
    for path in rule.present:
        body = put(body, path, LEVELS.get(path[-1], "tok_17"))
    if rule.result is R.APPROVED:
        for path in answers.token.paths[:1]:
            body = put(body, path, "tok_17")
    return Answer(rule.statuses[0][0], json.dumps(body).encode())


def rules_of(name: str) -> list[Any]:
    found = {}
    for operation, about in operations_of(find_template(name)):
        for at, rule in enumerate(operation.answers.rules):
            asked = frozenset({operation.kind, about or operation.kind})
            if not rule.kinds or rule.kinds & asked:
                found.setdefault((operation.answers_name, at), (operation, about, rule))
    return [
        pytest.param(name, *case, id=f"{name}-{answers}-{at}-{case[2].result}")
        for (answers, at), case in found.items()
    ]


@pytest.mark.parametrize(
    ("name", "operation", "about", "rule"), [each for n in NAMES for each in rules_of(n)]
)
def test_every_rule_is_reached_and_gives_its_result(
    name: str, operation: Operation, about, rule: Rule
) -> None:
    result = usual_connector(name).result(order_for(operation, about), answer_to(rule, operation.answers))

    assert result.kind is rule.result
    assert result.voided is rule.voided
    if rule.code:
        assert result.code == rule.code


@pytest.mark.parametrize("name", NAMES)
def test_no_rule_is_one_that_no_operation_can_meet(name: str) -> None:
    template = find_template(name)
    asked: dict[str, set[OperationKind]] = {}
    for operation, about in operations_of(template):
        asked.setdefault(operation.answers_name, set()).update({operation.kind, about or operation.kind})

    for operation in template.operations:
        for rule in operation.answers.rules:
            assert rule.kinds <= asked[operation.answers_name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("status", [409, 500, 502, 503, 504, 302, 418])
@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b"null", b'{"error":null}'])
def test_what_no_rule_knows_is_unknown(name: str, status: int, body: bytes) -> None:
    for operation, about in operations_of(find_template(name)):
        assert (
            usual_connector(name).result(order_for(operation, about), Answer(status, body)).kind is R.UNKNOWN
        )


@pytest.mark.parametrize("name", NAMES)
def test_too_many_requests_is_busy_and_says_how_long(name: str) -> None:
    for operation, about in operations_of(find_template(name)):
        result = usual_connector(name).result(
            order_for(operation, about), Answer(429, b"{}", retry_after_s=3.0)
        )

        assert (result.kind, result.retry_after_s) == (R.BUSY, 3.0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("status", range(200, 206))
@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"true", b"<html></html>", b'{"data":{}}'])
def test_no_success_is_read_into_an_empty_answer(name: str, status: int, body: bytes) -> None:
    for operation, about in operations_of(find_template(name)):
        assert (
            usual_connector(name).result(order_for(operation, about), Answer(status, body)).kind is R.UNKNOWN
        )


# --- shapes as the gateways document them -----------------------------------------------------------------

TOKENIZE = Order(K.TOKENIZE, "key", card=card())
CHARGE = Order(K.CHARGE, "key", token="tok", amount_minor=1000, currency="EUR")
AUTHORIZE = Order(K.AUTHORIZE, "key", token="tok", amount_minor=1000, currency="EUR")
CAPTURE = Order(K.CAPTURE, "key", gateway_reference="ref", amount_minor=1000, currency="EUR")
REFUND = Order(K.REFUND, "key", gateway_reference="ref", amount_minor=1000, currency="EUR")
VOID = Order(K.VOID, "key", gateway_reference="ref", of=K.AUTHORIZE)


def lookup(of: OperationKind) -> Order:
    return Order(K.LOOKUP, "key", gateway_reference="ref", of=of)


def stripe_error(**error: Any) -> dict[str, Any]:
    return {"error": {"message": "Your card 4242 was declined.", "param": "number", **error}}


PM = {"id": "pm_1Abc", "object": "payment_method", "card": {"last4": "4242", "checks": {"cvc_check": "pass"}}}
PI = {"id": "pi_1Abc", "object": "payment_intent", "payment_method": "pm_1Abc", "latest_charge": "ch_1"}
TX = {"id": "dHJhbnNhY3Rpb25fMTIz", "status": "SUBMITTED_FOR_SETTLEMENT"}
DECLINED_EVENT = {"processorResponse": {"legacyCode": "2001", "cvvResponse": "DOES_NOT_MATCH"}}
SPREEDLY = {"token": "Rs0JRsByYUEPqh3wL0hPzG6oBcW", "succeeded": True, "state": "succeeded"}

DOCUMENTED: list[tuple[str, Order, int, Any, GatewayResult]] = [
    ("stripe", TOKENIZE, 200, PM, GatewayResult(R.APPROVED, token="pm_1Abc", cvc_check="pass")),
    (
        "stripe",
        TOKENIZE,
        402,
        stripe_error(type="card_error", code="card_declined", decline_code="insufficient_funds"),
        GatewayResult(R.DECLINED, code=DeclineCode.INSUFFICIENT_FUNDS),
    ),
    (
        "stripe",
        TOKENIZE,
        402,
        stripe_error(type="card_error", code="card_declined", decline_code="a_new_one"),
        GatewayResult(R.DECLINED, code=DeclineCode.CARD_DECLINED),
    ),
    (
        "stripe",
        TOKENIZE,
        402,
        stripe_error(type="card_error", code="a_new_one"),
        GatewayResult(R.DECLINED, code=DeclineCode.OTHER),
    ),
    (
        "stripe",
        TOKENIZE,
        401,
        stripe_error(type="invalid_request_error"),
        GatewayResult(R.REFUSED, code="http_401"),
    ),
    (
        "stripe",
        CHARGE,
        200,
        {**PI, "status": "succeeded"},
        GatewayResult(R.APPROVED, token="pm_1Abc", reference="pi_1Abc"),
    ),
    ("stripe", CHARGE, 200, {**PI, "status": "processing"}, GatewayResult(R.UNKNOWN)),
    ("stripe", CHARGE, 200, {**PI, "status": "requires_capture"}, GatewayResult(R.UNKNOWN)),
    (
        "stripe",
        AUTHORIZE,
        200,
        {**PI, "status": "requires_capture"},
        GatewayResult(R.APPROVED, token="pm_1Abc", reference="pi_1Abc"),
    ),
    (
        "stripe",
        CHARGE,
        402,
        stripe_error(type="card_error", code="authentication_required", payment_intent={"id": "pi_2"}),
        GatewayResult(R.ACTION_REQUIRED, reference="pi_2"),
    ),
    ("stripe", CHARGE, 400, stripe_error(type="idempotency_error"), GatewayResult(R.UNKNOWN)),
    (
        "stripe",
        VOID,
        400,
        stripe_error(type="invalid_request_error", code="payment_intent_unexpected_state"),
        GatewayResult(R.DECLINED, code=DeclineCode.NOT_PERMITTED),
    ),
    (
        "stripe",
        REFUND,
        200,
        {"id": "re_1", "object": "refund", "status": "succeeded"},
        GatewayResult(R.APPROVED, reference="re_1"),
    ),
    (
        "stripe",
        lookup(K.CHARGE),
        200,
        {**PI, "status": "canceled"},
        GatewayResult(R.APPROVED, token="pm_1Abc", reference="pi_1Abc", voided=True),
    ),
    (
        "stripe",
        lookup(K.CHARGE),
        200,
        {**PI, "status": "requires_payment_method", "last_payment_error": {"code": "expired_card"}},
        GatewayResult(R.DECLINED, code=DeclineCode.EXPIRED_CARD, reference="pi_1Abc"),
    ),
    (
        "stripe",
        lookup(K.CHARGE),
        404,
        stripe_error(code="resource_missing"),
        GatewayResult(R.UNKNOWN, code="missing"),
    ),
    ("adyen", TOKENIZE, 201, {"id": "M5N7TQ4TG5PFWR50"}, GatewayResult(R.APPROVED, token="M5N7TQ4TG5PFWR50")),
    ("adyen", TOKENIZE, 201, {"id": "8415736344864224"}, GatewayResult(R.REFUSED, code="token_like_card")),
    (
        "adyen",
        TOKENIZE,
        422,
        {"status": 422, "errorCode": "101", "message": "Invalid card number", "errorType": "validation"},
        GatewayResult(R.DECLINED, code=DeclineCode.INCORRECT_NUMBER),
    ),
    (
        "adyen",
        CHARGE,
        200,
        {
            "resultCode": "Authorised",
            "pspReference": "993617895204576J",
            "additionalData": {
                "authCode": "090774",
                "cvcResult": "1 Matches",
                "avsResult": "3 AVS unavailable",
                "networkTxReference": "MCC123456789012",
            },
        },
        GatewayResult(
            R.APPROVED,
            reference="993617895204576J",
            auth_code="090774",
            cvc_check="pass",
            avs="unchecked",
            network_transaction_id="MCC123456789012",
        ),
    ),
    (
        "adyen",
        CHARGE,
        200,
        {"resultCode": "Refused", "refusalReason": "Not enough balance", "refusalReasonCode": "12"},
        GatewayResult(R.DECLINED, code=DeclineCode.INSUFFICIENT_FUNDS),
    ),
    ("adyen", CHARGE, 200, {"resultCode": "ChallengeShopper"}, GatewayResult(R.ACTION_REQUIRED)),
    (
        "adyen",
        CHARGE,
        200,
        {"resultCode": "Pending", "pspReference": "V4HZ4RBFJGXXGN82"},
        GatewayResult(R.UNKNOWN),
    ),
    ("adyen", CHARGE, 200, {"resultCode": "Received"}, GatewayResult(R.UNKNOWN)),
    ("adyen", CHARGE, 422, {"errorCode": "704"}, GatewayResult(R.UNKNOWN)),
    ("adyen", CHARGE, 403, {"errorCode": "901"}, GatewayResult(R.REFUSED, code="http_403")),
    (
        "adyen",
        CAPTURE,
        201,
        {"status": "received", "pspReference": "V4HZ4RBFJGXXGN82"},
        GatewayResult(R.APPROVED, reference="V4HZ4RBFJGXXGN82"),
    ),
    (
        "braintree",
        TOKENIZE,
        200,
        {"data": {"result": {"paymentMethod": {"id": "tokencc_bh_abc"}}}},
        GatewayResult(R.APPROVED, token="tokencc_bh_abc"),
    ),
    (
        "braintree",
        TOKENIZE,
        200,
        {"data": None, "errors": [{"extensions": {"errorClass": "VALIDATION", "legacyCode": "81715"}}]},
        GatewayResult(R.DECLINED, code=DeclineCode.INCORRECT_NUMBER),
    ),
    (
        "braintree",
        TOKENIZE,
        200,
        {"data": None, "errors": [{"extensions": {"errorClass": "VALIDATION", "legacyCode": "99999"}}]},
        GatewayResult(R.REFUSED, code="graphql"),
    ),
    (
        "braintree",
        CHARGE,
        200,
        {"data": {"result": {"transaction": TX}}},
        GatewayResult(R.APPROVED, reference="dHJhbnNhY3Rpb25fMTIz"),
    ),
    (
        "braintree",
        CHARGE,
        200,
        {
            "data": {
                "result": {
                    "transaction": {**TX, "status": "PROCESSOR_DECLINED", "statusHistory": [DECLINED_EVENT]}
                }
            }
        },
        GatewayResult(
            R.DECLINED,
            code=DeclineCode.INSUFFICIENT_FUNDS,
            reference="dHJhbnNhY3Rpb25fMTIz",
            cvc_check="fail",
        ),
    ),
    (
        "braintree",
        CHARGE,
        200,
        {
            "errors": [{"extensions": {"errorClass": "VALIDATION"}}]
        },  # the first request is still at work, perhaps
        GatewayResult(R.UNKNOWN),
    ),
    (
        "braintree",
        CHARGE,
        200,
        {"errors": [{"extensions": {"errorClass": "INTERNAL"}}]},
        GatewayResult(R.UNKNOWN),
    ),
    (
        "braintree",
        lookup(K.CHARGE),
        200,
        {"data": {"result": {"transactions": {"edges": []}}}},
        GatewayResult(R.NOT_FOUND),
    ),
    (
        "braintree",
        lookup(K.CHARGE),
        200,
        {"data": {"result": {"transactions": {"edges": [{"node": TX}]}}}},
        GatewayResult(R.APPROVED, reference="dHJhbnNhY3Rpb25fMTIz"),
    ),
    (
        "spreedly",
        TOKENIZE,
        201,
        {"transaction": {"succeeded": True, "payment_method": {"token": "56wyNnSmuA6CWYP7w0MiYCVIbW6"}}},
        GatewayResult(R.APPROVED, token="56wyNnSmuA6CWYP7w0MiYCVIbW6"),
    ),
    (
        "spreedly",
        TOKENIZE,
        422,
        {"errors": [{"attribute": "number", "key": "errors.invalid"}]},
        GatewayResult(R.DECLINED, code=DeclineCode.INCORRECT_NUMBER),
    ),
    (
        "spreedly",
        CHARGE,
        200,
        {"transaction": {**SPREEDLY, "response": {"avs_code": None, "cvv_code": "M"}}},
        GatewayResult(R.APPROVED, reference="Rs0JRsByYUEPqh3wL0hPzG6oBcW", cvc_check="pass"),
    ),
    (
        "spreedly",
        CHARGE,
        422,
        {
            "transaction": {
                "token": "Rs0JRsBy",
                "succeeded": False,
                "state": "gateway_processing_failed",
                "response": {"error_code": "insufficient_funds"},
            }
        },
        GatewayResult(R.DECLINED, code=DeclineCode.INSUFFICIENT_FUNDS, reference="Rs0JRsBy"),
    ),
    (
        "spreedly",
        CHARGE,
        422,
        {
            "transaction": {
                "succeeded": False,
                "state": "gateway_processing_failed",
                "response": {"result_unknown": True},
            }
        },
        GatewayResult(R.UNKNOWN),
    ),
    (
        "spreedly",
        CHARGE,
        200,
        {"transaction": {"succeeded": False, "state": "pending"}},
        GatewayResult(R.UNKNOWN),
    ),
    (
        "spreedly",
        CHARGE,
        402,
        {"errors": [{"key": "errors.account_inactive"}]},
        GatewayResult(R.REFUSED, code="http_402"),
    ),
]


@pytest.mark.parametrize(("name", "order", "status", "body", "expected"), DOCUMENTED)
def test_a_documented_answer_is_read(
    name: str, order: Order, status: int, body: Any, expected: GatewayResult
) -> None:
    result = usual_connector(name).result(order, Answer(status, json.dumps(body).encode()))

    if expected.kind is R.UNKNOWN and not expected.reference:
        assert (result.kind, result.code) == (R.UNKNOWN, expected.code)
    else:
        assert result == expected


@pytest.mark.parametrize("name", NAMES)
def test_every_decline_code_of_a_template_is_of_the_closed_list(name: str) -> None:
    for operation in find_template(name).operations:
        assert all(isinstance(code, DeclineCode) for code in operation.answers.decline_codes.values())


# --- nothing leaks ----------------------------------------------------------------------------------------

CANARY = "4000002500001001"
CANARY_ORDER = Order(K.TOKENIZE, "key", card=card(CANARY.encode()))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=12),
    st.just(CANARY),
    st.just(int(CANARY)),
    st.just(f"tok_{CANARY}"),
    st.just(f"card {CANARY} was declined"),
    st.just(CANARY[2:12]),
)
WORDS = [
    "id", "object", "status", "error", "type", "code", "decline_code", "transaction", "token", "succeeded", "state",
    "data", "result", "paymentMethod", "errors", "extensions", "legacyCode", "resultCode", "pspReference", "token_id",
    "charge_id", "error_code", "payment_method", "card", "checks", "additionalData", "authCode", "auth_code",
    "response",
]  # fmt: skip
LIKELY = st.sampled_from(
    [
        "payment_method",
        "payment_intent",
        "succeeded",
        "Authorised",
        "SUBMITTED_FOR_SETTLEMENT",
        "card_error",
        True,
        CANARY,
    ]
)
BODIES = st.recursive(
    st.one_of(SCALARS, LIKELY),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(WORDS), inner, max_size=8)
    ),
    max_leaves=25,
)


def assert_told_nothing(result: GatewayResult) -> None:
    """No eight digits of the canary in a row are anywhere in ``result``."""
    shown = repr(result)
    assert not any(CANARY[at : at + 8] in shown for at in range(len(CANARY) - 7))


@settings(max_examples=300, deadline=None)
@given(status=st.sampled_from([200, 201, 400, 402, 404, 422, 429, 500]), body=BODIES)
def test_a_gateway_that_echoes_the_card_leaves_no_trace_in_a_result(status: int, body: Any) -> None:
    answer = Answer(status, json.dumps(body).encode())

    for name in NAMES:
        assert_told_nothing(usual_connector(name).result(CANARY_ORDER, answer))
    assert CANARY not in repr(answer)


OPERATIONS = [
    (usual_connector(name), order_for(operation, about))
    for name in NAMES
    for operation, about in operations_of(find_template(name))
]


@settings(max_examples=200, deadline=None)
@given(
    status=st.integers(100, 599),
    body=st.one_of(st.binary(max_size=300), BODIES.map(lambda body: json.dumps(body).encode())),
)
def test_any_answer_gives_a_result(status: int, body: bytes) -> None:
    for speaker, order in OPERATIONS:
        assert isinstance(speaker.result(order, Answer(status, body)), GatewayResult)


def test_the_canary_would_be_seen() -> None:
    """The positive control: a result that held it would fail the test above."""
    with pytest.raises(AssertionError):
        assert_told_nothing(GatewayResult(R.APPROVED, token=f"tok_{CANARY}"))


@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_a_deep_answer_is_no_answer(depth: int) -> None:
    for body in (b"[" * depth, b'{"id":' * depth, b'{"id":' + b"[" * depth + b"]" * depth + b"}"):
        assert usual_connector("stripe").result(CHARGE, Answer(200, body)).kind is R.UNKNOWN


def test_long_values_are_not_taken() -> None:
    body = {**PM, "id": "pm_" + "x" * 3_000}

    assert (
        usual_connector("stripe").result(TOKENIZE, Answer(200, json.dumps(body).encode())).kind is R.UNKNOWN
    )


@pytest.mark.parametrize(
    ("text", "strict", "card_like"),
    [
        ("tok_1234", True, False),
        ("123456789012", True, True),
        ("123456789012", False, False),
        ("4242424242424242", False, True),
        ("ref4242424242424242x", False, True),
        ("993617895204576J", False, False),
        ("309123456789012", False, False),
        ("6200000000000000", False, True),
        ("00004242424242424242", False, False),
    ],
)
def test_card_like(text: str, strict: bool, card_like: bool) -> None:
    assert is_card_like(text, strict=strict) is card_like


def test_eight_digits_of_the_card_in_a_row_are_its_echo() -> None:
    complete = card(CANARY.encode())

    assert echoes(f"x{CANARY[3:11]}y", complete)
    assert not echoes(f"x{CANARY[3:10]}y{CANARY[11:]}", complete)
    assert not echoes("anything", card(b""))


# --- the reader -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (
            b'{"a":{"b":1,"z":2},"e":[{"c":"q"},{"d":true}],"x":null,"y":5}',
            {("a", "b"): 1, ("e", "0", "c"): "q"},
        ),
        (b'{"e":[]}', {}),
        (b'{"e":[{"d":1}]}', {}),
        (b"{}", {}),
    ],
)
def test_named_places_are_read_and_nothing_else(body: bytes, found: dict[tuple[str, ...], Any]) -> None:
    reader = JsonReader([("a", "b"), ("e", "0", "c"), ("e", "1", "d"), ("x",)])

    read = reader.read(body)

    assert read is not None
    leaves = {path: value for path, value in read.items() if path in [("a", "b"), ("e", "0", "c"), ("x",)]}
    assert leaves == found


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"3", b'{"a":3}', b'{"e":{}}', b'{"a":{"b":1}', b'{"x":"\xff"}']
)
def test_another_shape_is_not_read(body: bytes) -> None:
    assert JsonReader([("a", "b"), ("e", "0", "c"), ("x",)]).read(body) is None
