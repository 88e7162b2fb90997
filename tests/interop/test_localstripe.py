"""The Stripe template against localstripe 1.15.10, a stateful Stripe: its own process, its own temporary folder.

What it wrongly accepts or refuses, and what is done about it:

=========================================  =================================================================
error_on_requires_action, description,     refused with 400; the relay takes them out on their way
cancellation_reason, metadata of capture
moto flag                                  ignored, whatever it is
a decline                                  has type invalid_request_error where Stripe says card_error, no decline_code
                                           and no PaymentIntent: what we cannot believe stays unknown
declined cards (4000000000000002 ...)      pass a PaymentIntent; only 4000000000000341 is declined at a charge
Idempotency-Key                            ignored: no test of replay here
SetupIntent of a card, with moto           refused with 400: ``verify`` is not tested here
=========================================  =================================================================

It writes numbers in the clear to localstripe.pickle in its temporary folder, which is deleted.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtmf_shield.cde.gateways.base import GatewayResultKind as R
from dtmf_shield.model.gateway import GatewaySettings
from dtmf_shield.model.payment import OperationKind as K
from dtmf_shield.service.dev_certificates import SERVER_NAME, ensure_dev_certificates
from tests.interop.counterparts.driver import Driver, drive
from tests.interop.counterparts.installed import localstripe
from tests.interop.counterparts.relay import Relay
from tests.interop.counterparts.running import free_port, running

pytestmark = [pytest.mark.interop, pytest.mark.untimed]

UNKNOWN_FIELDS = frozenset(
    {"error_on_requires_action", "description", "cancellation_reason", "metadata[dtmf_shield_key]"}
)


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewaySettings]:
    folder = tmp_path_factory.mktemp("localstripe")
    files = ensure_dev_certificates(tmp_path_factory.mktemp("certificates"))
    (folder / "key").write_text("sk_test_12345\n")
    port = free_port()
    command = [str(localstripe()), "--port", str(port), "--from-scratch"]
    with running(command, port, folder):
        relay = Relay(port, files, UNKNOWN_FIELDS)
        try:
            yield GatewaySettings(
                name="localstripe",
                template="stripe",
                addresses=("127.0.0.1",),
                port=relay.port,
                server_name=SERVER_NAME,
                ca_file=str(files.ca_file),
                credentials_file=str(folder / "key"),
            )
        finally:
            relay.close()
    shutil.rmtree(folder)


def test_a_card_becomes_a_token_and_the_token_is_charged_and_refunded(stripe: GatewaySettings) -> None:
    async def scenario(driver: Driver) -> None:
        token = await driver.tokenize("4242424242424242")
        charge = await driver.money(K.CHARGE, token.token)
        found = await driver.later(K.LOOKUP, charge.reference, K.CHARGE)
        refund = await driver.later(K.REFUND, charge.reference)

        assert (token.kind, token.token[:3]) == (R.APPROVED, "pm_")
        assert (charge.kind, charge.reference[:3], charge.token) == (R.APPROVED, "pi_", token.token)
        assert (found.kind, found.reference) == (R.APPROVED, charge.reference)
        assert (refund.kind, refund.reference[:3]) == (R.APPROVED, "re_")

    drive(stripe, scenario)


def test_money_is_held_then_taken_or_let_go(stripe: GatewaySettings) -> None:
    async def scenario(driver: Driver) -> None:
        token = (await driver.tokenize("4242424242424242")).token
        taken = await driver.money(K.AUTHORIZE, token)
        capture = await driver.later(K.CAPTURE, taken.reference)
        let_go = await driver.money(K.AUTHORIZE, token)
        void = await driver.later(K.VOID, let_go.reference, K.AUTHORIZE)
        found = await driver.later(K.LOOKUP, let_go.reference, K.AUTHORIZE)
        too_late = await driver.later(K.VOID, taken.reference, K.AUTHORIZE)

        assert [each.kind for each in (taken, capture, let_go, void)] == [R.APPROVED] * 4
        assert (found.kind, found.voided) == (R.APPROVED, True)
        assert too_late.kind is R.REFUSED  # localstripe says 400 and no code; Stripe names the state

    drive(stripe, scenario)


def test_a_decline_of_another_type_than_stripes_is_not_believed(stripe: GatewaySettings) -> None:
    async def scenario(driver: Driver) -> None:
        token = await driver.tokenize("4000000000000341")
        charge = await driver.money(K.CHARGE, token.token)

        assert token.kind is R.APPROVED
        assert (charge.kind, charge.code) == (R.UNKNOWN, "")

    drive(stripe, scenario)


def test_a_card_that_wants_its_holder_elsewhere(stripe: GatewaySettings) -> None:
    async def scenario(driver: Driver) -> None:
        token = await driver.tokenize("4000002500003155")
        charge = await driver.money(K.CHARGE, token.token)
        found = await driver.later(K.LOOKUP, charge.reference, K.CHARGE)

        assert charge.kind is R.ACTION_REQUIRED
        assert found.kind is R.ACTION_REQUIRED

    drive(stripe, scenario)


def test_what_stripe_does_not_know_is_refused_and_never_read_as_declined(stripe: GatewaySettings) -> None:
    async def scenario(driver: Driver) -> None:
        charge = await driver.money(K.CHARGE, "pm_unknown")
        found = await driver.later(K.LOOKUP, "pi_unknown", K.CHARGE)

        assert (charge.kind, charge.code) == (R.REFUSED, "http_404")
        assert (found.kind, found.code) == (R.UNKNOWN, "missing")

    drive(stripe, scenario)


def test_a_wrong_key_is_refused(stripe: GatewaySettings, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("wrong\n")
    wrong = {
        **{name: getattr(stripe, name) for name in stripe.__struct_fields__},
        "credentials_file": str(tmp_path / "key"),
    }

    async def scenario(driver: Driver) -> None:
        result = await driver.tokenize("4242424242424242")
        assert (result.kind, result.code) == (R.REFUSED, "http_401")

    drive(GatewaySettings(**wrong), scenario)
