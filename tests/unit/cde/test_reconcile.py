"""What is done about an unknown operation: every case of the table and of a look-up."""

from __future__ import annotations

import itertools

import pytest

from dtmf_shield.cde.gateways.base import Capabilities, GatewayResultKind, Idempotency
from dtmf_shield.cde.reconcile import (
    FIRST_STEPS,
    NOT_FOUND_BELIEVED_S,
    WAIT_S_MAX,
    After,
    Step,
    after_lookup,
    can_look_up,
    can_send_again,
    wait_s,
)
from dtmf_shield.model.payment import OperationKind

K, R = OperationKind, GatewayResultKind
KNOWN = {R.APPROVED, R.DECLINED, R.ACTION_REQUIRED}


def test_it_is_looked_up_before_it_is_sent_again_and_a_person_decides_where_neither_can_be() -> None:
    assert FIRST_STEPS == {
        (True, True): Step.LOOK_UP,
        (True, False): Step.LOOK_UP,
        (False, True): Step.SEND_AGAIN,
        (False, False): Step.PERSON,
    }


@pytest.mark.parametrize(
    ("found", "wanted", "may_send", "old"),
    list(itertools.product(R, (False, True), (False, True), (False, True))),
)
def test_after_a_look_up(found: GatewayResultKind, wanted: bool, may_send: bool, old: bool) -> None:
    age_s = NOT_FOUND_BELIEVED_S + 1 if old else 1.0

    after = after_lookup(found, wanted=wanted, may_send_again=may_send, age_s=age_s)

    assert (after is After.SETTLE) == (found in KNOWN)
    if after is After.SEND_AGAIN:
        assert may_send
        assert found in (R.NOT_FOUND, R.REFUSED)
    if after is After.NOT_DONE:
        # Money is given up only where the gateway has not known it for long, and nobody would send it now.
        assert found is R.NOT_FOUND
        assert old
        assert not (wanted and may_send)


def test_a_missing_operation_is_not_believed_at_once() -> None:
    assert after_lookup(R.NOT_FOUND, wanted=True, may_send_again=False, age_s=30.0) is After.WAIT
    assert after_lookup(R.NOT_FOUND, wanted=False, may_send_again=True, age_s=30.0) is After.WAIT


def test_unwanted_money_that_never_arrived_is_not_sent() -> None:
    assert after_lookup(R.NOT_FOUND, wanted=False, may_send_again=True, age_s=9_999.0) is After.NOT_DONE


@pytest.mark.parametrize("idempotency", Idempotency)
@pytest.mark.parametrize("by_card", [False, True])
@pytest.mark.parametrize("age_s", [-1.0, 0.0, 50.0, 81.0, 1e6])
def test_it_is_sent_again_only_by_token_to_a_replaying_gateway_within_the_life_of_the_key(
    idempotency: Idempotency, by_card: bool, age_s: float
) -> None:
    capabilities = Capabilities(frozenset(), idempotency, key_ttl_s=100.0)

    allowed = can_send_again(capabilities, by_card=by_card, key_age_s=age_s)

    assert allowed == (idempotency is Idempotency.REPLAY and not by_card and 0 <= age_s <= 80)


def test_it_is_looked_up_by_key_or_by_a_reference_that_is_known() -> None:
    by_key = Capabilities(frozenset(), Idempotency.NONE, lookup_by_key=frozenset({K.CHARGE}))
    by_reference = Capabilities(frozenset(), Idempotency.NONE, lookup_by_reference=frozenset({K.CHARGE}))

    assert can_look_up(by_key, K.CHARGE, has_reference=False)
    assert not can_look_up(by_key, K.REFUND, has_reference=True)
    assert can_look_up(by_reference, K.CHARGE, has_reference=True)
    assert not can_look_up(by_reference, K.CHARGE, has_reference=False)


def test_looks_come_quickly_at_first_and_then_a_few_an_hour() -> None:
    assert wait_s(0, 0.5) == 0.5
    assert wait_s(100, 0.5) == WAIT_S_MAX
    assert sum(wait_s(looks, 1.0) for looks in range(5)) < 20
