"""The Stripe template and its sender against WireMock 3.13.2: bodies of 402 and 429, faults of all kinds, mTLS.

It has no business logic: what it answers is what a test told it. Its journal keeps bodies: published test cards alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from dtmf_shield.cde.gateways import sender as sender_module
from dtmf_shield.cde.gateways.base import GatewayResultKind as R
from dtmf_shield.cde.gateways.base import Order
from dtmf_shield.model.payment import DeclineCode
from dtmf_shield.model.payment import OperationKind as K
from tests.interop.counterparts.driver import Driver, card, drive, new_key
from tests.interop.counterparts.wiremock import WireMock, as_json, wiremock

pytestmark = [pytest.mark.interop, pytest.mark.untimed]

METHODS, INTENTS = "/v1/payment_methods", "/v1/payment_intents"
TOKEN = {"id": "pm_1", "object": "payment_method"}
SUCCEEDED = {"id": "pi_1", "object": "payment_intent", "status": "succeeded"}
DECLINED = {
    "error": {
        "type": "card_error",
        "code": "card_declined",
        "decline_code": "insufficient_funds",
        "message": "Your card 4242424242424242 has insufficient funds.",
        "payment_intent": {"id": "pi_2"},
    }
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WireMock]:
    with wiremock(tmp_path_factory.mktemp("wiremock")) as gateway:
        yield gateway


@pytest.fixture
def gateway(running: WireMock) -> WireMock:
    running.reset()
    return running


def test_what_leaves_is_what_the_template_says(gateway: WireMock) -> None:
    gateway.stub(METHODS, as_json(TOKEN))

    async def scenario(driver: Driver) -> None:
        result = await driver.tokenize("4242424242424242")
        assert (result.kind, result.token) == (R.APPROVED, "pm_1")

    drive(gateway.settings(), scenario)

    assert gateway.bodies(METHODS) == [
        "type=card&card[number]=4242424242424242&card[exp_month]=12&card[exp_year]=2034&card[cvc]=123"
    ]


def test_a_decline_and_a_busy_gateway(gateway: WireMock) -> None:
    gateway.stub(INTENTS, as_json(DECLINED, 402))
    gateway.stub(METHODS, {"status": 429, "headers": {"Retry-After": "3"}})

    async def scenario(driver: Driver) -> None:
        declined = await driver.money(K.CHARGE, "pm_1")
        busy = await driver.tokenize("4242424242424242")

        assert (declined.kind, declined.code, declined.reference) == (
            R.DECLINED,
            DeclineCode.INSUFFICIENT_FUNDS,
            "pi_2",
        )
        assert (busy.kind, busy.retry_after_s) == (R.BUSY, 3.0)
        assert "4242" not in repr(declined)

    drive(gateway.settings(), scenario)


@pytest.mark.parametrize(
    ("response", "reasons"),
    [
        ({"fault": "CONNECTION_RESET_BY_PEER"}, {"reset", "garbage", "tls"}),
        ({"fault": "EMPTY_RESPONSE"}, {"reset", "garbage"}),
        ({"fault": "RANDOM_DATA_THEN_CLOSE"}, {"garbage", "reset"}),
        ({"fault": "MALFORMED_RESPONSE_CHUNK", "status": 200}, {"garbage", "reset"}),
        ({"status": 500, "body": "<html>"}, {""}),
        ({"status": 503}, {""}),
        ({"status": 409, "jsonBody": {"error": {"code": "idempotency_key_in_use"}}}, {""}),
        ({"status": 200, "body": "<html>welcome</html>"}, {""}),
        ({"status": 200, "body": ""}, {""}),
        ({"status": 302, "headers": {"Location": "https://elsewhere.example/"}}, {""}),
    ],
    ids=["reset", "empty", "garbage", "bad-chunk", "500", "503", "409", "html", "nothing", "redirect"],
)
def test_a_gateway_that_misbehaves_is_unknown_never_declined(
    gateway: WireMock, response: dict[str, object], reasons: set[str]
) -> None:
    gateway.stub(INTENTS, response)

    async def scenario(driver: Driver) -> None:
        result = await driver.money(K.CHARGE, "pm_1")
        assert (result.kind, result.code in reasons) == (R.UNKNOWN, True), result

    drive(gateway.settings(), scenario)


def test_an_answer_that_comes_too_late_is_unknown(gateway: WireMock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "ANSWER_TIMEOUT_S", 0.5)
    gateway.stub(INTENTS, as_json(SUCCEEDED, fixedDelayMilliseconds=3_000))

    async def scenario(driver: Driver) -> None:
        started = time.monotonic()
        result = await driver.money(K.CHARGE, "pm_1")
        assert (result.kind, result.code) == (R.UNKNOWN, "timeout")
        assert time.monotonic() - started < 2.5

    drive(gateway.settings(), scenario)


def test_an_answer_in_dribbles_is_read_whole(gateway: WireMock) -> None:
    dribble = {"numberOfChunks": 10, "totalDuration": 500}
    gateway.stub(INTENTS, as_json(SUCCEEDED, chunkedDribbleDelay=dribble))

    async def scenario(driver: Driver) -> None:
        result = await driver.money(K.CHARGE, "pm_1")
        assert (result.kind, result.reference) == (R.APPROVED, "pi_1")

    drive(gateway.settings(), scenario)


def test_processed_and_the_answer_lost_then_the_same_bytes_once_more(gateway: WireMock) -> None:
    """The key and every byte of the body are the same, so that Stripe answers with what it did the first time."""
    lost = {"scenarioName": "lost", "requiredScenarioState": "Started", "newScenarioState": "done"}
    gateway.stub(METHODS, {"fault": "EMPTY_RESPONSE"}, **lost)
    gateway.stub(METHODS, as_json(TOKEN), scenarioName="lost", requiredScenarioState="done")
    key = new_key()
    order = Order(K.TOKENIZE, key, card=card("4242424242424242"))

    async def scenario(driver: Driver) -> None:
        first, again = await driver.do(order), await driver.do(order)
        assert (first.kind, again.kind, again.token) == (R.UNKNOWN, R.APPROVED, "pm_1")

    drive(gateway.settings(), scenario)

    assert gateway.times(METHODS, key) == 2
    bodies = gateway.bodies(METHODS)
    assert bodies[0] == bodies[1]


def test_our_certificate_is_shown_where_it_is_wanted(tmp_path_factory: pytest.TempPathFactory) -> None:
    with wiremock(tmp_path_factory.mktemp("wiremock-mutual"), mutual=True) as gateway:
        gateway.stub(METHODS, as_json(TOKEN))
        assert gateway.client_certificate is not None
        certificate, key = map(str, gateway.client_certificate)

        async def with_ours(driver: Driver) -> None:
            assert (await driver.tokenize("4242424242424242")).kind is R.APPROVED

        async def without(driver: Driver) -> None:
            result = await driver.tokenize("4242424242424242")
            # TLS 1.3 tells a missing certificate after the handshake: a byte may have left, so it stays unknown.
            assert result.kind in (R.UNKNOWN, R.FAILED_BEFORE_SEND), result

        drive(gateway.settings(client_certificate_file=certificate, client_key_file=key), with_ours)
        drive(gateway.settings(), without)

        assert len(gateway.bodies(METHODS)) == 1
