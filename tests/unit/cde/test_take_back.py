"""Money nobody waited for: what is done next, for every history."""

from __future__ import annotations

import itertools

import pytest

from dtmf_shield.cde.gateways.base import Idempotency
from dtmf_shield.cde.take_back import TRIES_MAX, TRY_WAIT_S_MAX, Plan, Tried, plan
from dtmf_shield.model.payment import OperationKind, OperationState
from tests.unit.cde.payment_room import capable

K, S = OperationKind, OperationState
ALL = capable(Idempotency.REPLAY)
NO_VOID = capable(Idempotency.REPLAY, voids=False)
NOTHING = capable(Idempotency.REPLAY, voids=False, refunds=False)


def test_it_is_voided_where_the_gateway_can_else_refunded_else_a_persons() -> None:
    assert plan(K.CHARGE, ALL, []) is Plan.VOID
    assert plan(K.CHARGE, NO_VOID, []) is Plan.REFUND
    assert plan(K.CHARGE, NOTHING, []) is Plan.PERSON
    assert plan(K.AUTHORIZE, ALL, []) is Plan.VOID
    assert plan(K.AUTHORIZE, NO_VOID, []) is Plan.PERSON


@pytest.mark.parametrize(
    ("kind", "child", "state"),
    list(itertools.product((K.CHARGE, K.AUTHORIZE), (K.VOID, K.REFUND, K.CAPTURE), S)),
)
def test_nothing_is_sent_beside_what_stands_or_is_in_doubt(
    kind: OperationKind, child: OperationKind, state: OperationState
) -> None:
    found = plan(kind, ALL, [Tried(child, state, 9_999.0)])

    assert (found is Plan.DONE) == (state in (S.APPROVED, S.INTENT, S.UNKNOWN))


def test_void_that_was_declined_is_followed_by_a_refund_and_then_by_a_person() -> None:
    declined = Tried(K.VOID, S.DECLINED, 1.0)

    assert plan(K.CHARGE, ALL, [declined]) is Plan.REFUND
    assert plan(K.AUTHORIZE, ALL, [declined]) is Plan.PERSON
    assert plan(K.CHARGE, ALL, [declined, Tried(K.REFUND, S.DECLINED, 1.0)]) is Plan.PERSON


@pytest.mark.parametrize("code", ["http_401", "http_403"])
def test_refusal_of_our_credentials_is_a_failed_try_and_what_the_gateway_says_of_the_void_is_its_end(
    code: str,
) -> None:
    def refused(code: str, age_s: float, kind: OperationKind = K.VOID) -> Tried:
        return Tried(kind, S.DECLINED, age_s, code)

    assert plan(K.AUTHORIZE, ALL, [refused(code, 1.0)]) is Plan.WAIT
    assert plan(K.AUTHORIZE, ALL, [refused(code, 31.0)]) is Plan.VOID
    assert plan(K.CHARGE, NO_VOID, [refused(code, 31.0, K.REFUND)]) is Plan.REFUND
    assert plan(K.AUTHORIZE, ALL, [refused(code, 99_999.0)] * TRIES_MAX) is Plan.PERSON
    for final in ("not_permitted", "http_404", "http_422"):
        assert plan(K.CHARGE, ALL, [refused(final, 1.0)]) is Plan.REFUND


def test_what_could_not_be_sent_is_tried_again_ever_more_slowly_and_not_for_ever() -> None:
    def failed(number: int, age_s: float) -> list[Tried]:
        return [Tried(K.VOID, S.FAILED_BEFORE_SEND, age_s)] * number

    assert plan(K.CHARGE, ALL, failed(1, 29.0)) is Plan.WAIT
    assert plan(K.CHARGE, ALL, failed(1, 31.0)) is Plan.VOID
    assert plan(K.CHARGE, ALL, failed(4, 31.0)) is Plan.WAIT
    assert plan(K.CHARGE, ALL, failed(TRIES_MAX - 1, TRY_WAIT_S_MAX)) is Plan.VOID
    assert plan(K.CHARGE, ALL, failed(TRIES_MAX, 99_999.0)) is Plan.PERSON
    assert plan(K.CHARGE, ALL, failed(1, -5.0)) is Plan.WAIT
