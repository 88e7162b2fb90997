"""An operator's own template against stripe-stateful-mock 0.0.16 (MIT): keys, replays and declines by test tokens.

What it wrongly accepts or lacks:

====================================  ======================================================================
payment methods, PaymentIntents       not there: the older charges API is spoken, by ``stripe_charges.toml``
Idempotent-Replayed                   not said: a replay is told by its charge's id
====================================  ======================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dtmf_shield.cde.gateways.base import GatewayResultKind as R
from dtmf_shield.cde.gateways.base import Order
from dtmf_shield.model.gateway import GatewaySettings
from dtmf_shield.model.payment import DeclineCode
from dtmf_shield.model.payment import OperationKind as K
from dtmf_shield.service.dev_certificates import SERVER_NAME, ensure_dev_certificates
from tests.interop.counterparts.driver import Driver, drive, new_key
from tests.interop.counterparts.installed import STRIPE_STATEFUL_MOCK, need, node_program
from tests.interop.counterparts.relay import Relay
from tests.interop.counterparts.running import free_port, running

pytestmark = [pytest.mark.interop, pytest.mark.untimed]

TEMPLATE = Path(__file__).parent / "counterparts" / "stripe_charges.toml"


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    folder = tmp_path_factory.mktemp("stripe-stateful-mock")
    files = ensure_dev_certificates(folder)
    port = free_port()
    program = node_program(STRIPE_STATEFUL_MOCK, "dist/cli.js")
    with running([need("node"), str(program)], port, folder, PORT=str(port), LOG_LEVEL="silent"):
        server = Relay(port, files, frozenset())
        try:
            yield server
        finally:
            server.close()


@pytest.fixture
def stripe(relay: Relay, tmp_path: Path) -> GatewaySettings:
    (tmp_path / "key").write_text("sk_test_12345\n")
    return GatewaySettings(
        name="charges",
        template=str(TEMPLATE),
        addresses=("127.0.0.1",),
        port=relay.port,
        server_name=SERVER_NAME,
        ca_file=str(relay.ca_file),
        credentials_file=str(tmp_path / "key"),
    )


def test_a_lost_answer_is_asked_again_and_charged_once(relay: Relay, stripe: GatewaySettings) -> None:
    async def scenario(driver: Driver) -> None:
        key = new_key()
        relay.lose = 1
        lost = await driver.money(K.CHARGE, "tok_visa", key)
        again = await driver.money(K.CHARGE, "tok_visa", key)
        once_more = await driver.money(K.CHARGE, "tok_visa", key)

        assert (lost.kind, again.kind) == (R.UNKNOWN, R.APPROVED)
        assert again.reference == once_more.reference
        assert relay.keys[key] == 3

    drive(stripe, scenario)


def test_another_amount_under_the_same_key_is_unknown(stripe: GatewaySettings) -> None:
    async def scenario(driver: Driver) -> None:
        key = new_key()
        charge = await driver.money(K.CHARGE, "tok_visa", key)
        other = await driver.money(K.CHARGE, "tok_visa", key, amount_minor=2000)

        assert (charge.kind, other.kind) == (R.APPROVED, R.UNKNOWN)

    drive(stripe, scenario)


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("tok_chargeDeclined", DeclineCode.CARD_DECLINED),
        ("tok_chargeDeclinedInsufficientFunds", DeclineCode.INSUFFICIENT_FUNDS),
        ("tok_chargeDeclinedIncorrectCvc", DeclineCode.INCORRECT_CVC),
        ("tok_chargeDeclinedExpiredCard", DeclineCode.EXPIRED_CARD),
        ("tok_chargeDeclinedProcessingError", DeclineCode.PROCESSING_ERROR),
        ("tok_chargeDeclinedFraudulent", DeclineCode.SUSPECTED_FRAUD),
    ],
)
def test_declines_are_replayed_too(stripe: GatewaySettings, token: str, code: DeclineCode) -> None:
    async def scenario(driver: Driver) -> None:
        key = new_key()
        first, again = await driver.money(K.CHARGE, token, key), await driver.money(K.CHARGE, token, key)

        assert (first.kind, first.code, first.reference) == (R.DECLINED, code, again.reference)
        assert again == first

    drive(stripe, scenario)


def test_busy_and_broken_are_not_declines(stripe: GatewaySettings) -> None:
    async def scenario(driver: Driver) -> None:
        assert (await driver.money(K.CHARGE, "tok_429")).kind is R.BUSY
        assert (await driver.money(K.CHARGE, "tok_500")).kind is R.UNKNOWN

    drive(stripe, scenario)


def test_a_charge_is_found_and_refunded_once(stripe: GatewaySettings) -> None:
    async def scenario(driver: Driver) -> None:
        charge = await driver.money(K.CHARGE, "tok_visa")
        found = await driver.later(K.LOOKUP, charge.reference, K.CHARGE)
        order = Order(K.REFUND, new_key(), gateway_reference=charge.reference)
        refund, replayed = await driver.do(order), await driver.do(order)
        twice = await driver.later(K.REFUND, charge.reference)

        assert (found.kind, found.reference) == (R.APPROVED, charge.reference)
        assert refund.kind is R.APPROVED
        assert replayed == refund
        assert (twice.kind, twice.code) == (R.DECLINED, DeclineCode.NOT_PERMITTED)

    drive(stripe, scenario)
