"""Orders without a caller: what may follow what, never more than there is, asked twice and done once."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from dtmf_shield.cde.gateways.base import Idempotency
from dtmf_shield.cde.order_rules import EXCLUDED_BY, FOLLOWS, Done, OrderRefusal, Wanted, refusal
from dtmf_shield.model.ids import OperationId
from dtmf_shield.model.payment import AMOUNT_MINOR_MAX, OperationKind, OperationState
from tests.unit.cde.payment_room import FakeGateway, Room, capable
from tests.unit.cde.test_payments import in_room

K, S, W = OperationKind, OperationState, OrderRefusal
CHARGED = Done(K.CHARGE, S.APPROVED, 1_000, "EUR")
HELD = Done(K.AUTHORIZE, S.APPROVED, 1_000, "EUR")
TOKEN = Done(K.TOKENIZE, S.APPROVED, 0, has_token=True)
STANDING = (S.INTENT, S.UNKNOWN, S.APPROVED)


# --- the rules -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wanted", "parent"), list(itertools.product(K, K)))
def test_only_what_follows_may_follow(wanted: OperationKind, parent: OperationKind) -> None:
    why = refusal(Wanted(wanted, 1, "EUR"), Done(parent, S.APPROVED, 1_000, "EUR", has_token=True), [])

    if wanted not in FOLLOWS:
        assert why is W.NOT_ORDERED_HERE
    else:
        assert (why is None) == (parent in FOLLOWS[wanted])


@pytest.mark.parametrize("state", S)
@pytest.mark.parametrize("kind", [K.CAPTURE, K.VOID, K.REFUND])
def test_only_what_is_approved_can_be_captured_voided_or_refunded(
    kind: OperationKind, state: OperationState
) -> None:
    parent = replace(HELD if kind is K.CAPTURE else CHARGED, state=state)

    why = refusal(Wanted(kind, 1, "EUR"), parent, [])

    assert why == (None if state is S.APPROVED else W.PARENT_NOT_APPROVED)


@pytest.mark.parametrize(("kind", "state"), list(itertools.product(EXCLUDED_BY, S)))
def test_what_is_done_or_in_doubt_forbids_what_contradicts_it(
    kind: OperationKind, state: OperationState
) -> None:
    parent = HELD if kind is K.CAPTURE else CHARGED

    for child in EXCLUDED_BY[kind]:
        why = refusal(Wanted(kind, 1, "EUR"), parent, [Done(child, state, 1, "EUR")])

        assert why == (W.ALREADY_DONE if state in STANDING else None)


def test_what_the_gateway_took_back_is_not_refunded() -> None:
    assert refusal(Wanted(K.REFUND, 1, "EUR"), replace(CHARGED, taken_back=True), []) is W.ALREADY_DONE


@pytest.mark.parametrize("state", S)
def test_refunds_in_doubt_count_as_done(state: OperationState) -> None:
    earlier = [Done(K.REFUND, state, 600, "EUR"), Done(K.REFUND, S.DECLINED, 400, "EUR")]

    assert refusal(Wanted(K.REFUND, 400, "EUR"), CHARGED, earlier) is None
    why = refusal(Wanted(K.REFUND, 401, "EUR"), CHARGED, earlier)
    assert why == (W.AMOUNT if state in STANDING else None)


@pytest.mark.parametrize("amount_minor", [0, -1, 1_001])
@pytest.mark.parametrize(("kind", "parent"), [(K.CAPTURE, HELD), (K.REFUND, CHARGED)])
def test_amount_is_more_than_nothing_and_no_more_than_there_is(
    kind: OperationKind, parent: Done, amount_minor: int
) -> None:
    assert refusal(Wanted(kind, amount_minor, "EUR"), parent, []) is W.AMOUNT
    assert refusal(Wanted(kind, 1_000, "USD"), parent, []) is W.CURRENCY


@pytest.mark.parametrize(
    ("amount_minor", "currency", "why"),
    [
        (1, "EUR", None),
        (0, "EUR", W.AMOUNT),
        (AMOUNT_MINOR_MAX + 1, "EUR", W.AMOUNT),
        (1, "", W.CURRENCY),
        (1, "eur", W.CURRENCY),
    ],
)
def test_charge_by_stored_token(amount_minor: int, currency: str, why: OrderRefusal | None) -> None:
    assert refusal(Wanted(K.CHARGE, amount_minor, currency), TOKEN, []) == why


def test_charge_needs_a_token_and_none_in_doubt_on_the_same_card() -> None:
    wanted = Wanted(K.CHARGE, 1, "EUR")

    assert refusal(wanted, replace(TOKEN, has_token=False), []) is W.NO_TOKEN
    for state in (S.INTENT, S.UNKNOWN):
        assert refusal(wanted, TOKEN, [Done(K.CHARGE, state, 5, "EUR")]) is W.IN_DOUBT
        assert refusal(wanted, Done(K.CHARGE, state, 5, "EUR", has_token=True), []) is W.IN_DOUBT
    assert refusal(wanted, TOKEN, [Done(K.CHARGE, S.DECLINED, 5, "EUR")]) is None


# --- through ledger and gateway --------------------------------------------------------------------------


def told_of(room: Room, name: str) -> list[tuple[OperationState, str]]:
    return [(change.state, change.code) for change in room.told if change.operation_id == name]


def test_authorisation_is_captured_for_less_and_then_refunded_up_to_that(tmp_path: Path) -> None:
    @in_room(tmp_path)
    async def story(room: Room) -> None:
        await room.pay(kind=K.AUTHORIZE)
        await room.order(K.CAPTURE, room.operation_of(), "capture", 700)
        await room.order(K.REFUND, "capture", "refund-1", 500)
        await room.order(K.REFUND, "capture", "refund-2", 201)
        await room.order(K.REFUND, "capture", "refund-3", 200)

        assert told_of(room, "capture") == [(S.INTENT, ""), (S.APPROVED, "")]
        assert told_of(room, "refund-2") == [(S.FAILED_BEFORE_SEND, "amount")]
        assert sum(booked.amount_minor for booked in room.gateway.effective(K.REFUND)) == 700
        assert {booked.about for booked in room.gateway.effective(K.REFUND)} == {"ref-2"}


def test_the_same_order_twice_is_done_once_and_told_twice(tmp_path: Path) -> None:
    @in_room(tmp_path)
    async def story(room: Room) -> None:
        await room.pay()
        charge = room.operation_of()

        await asyncio.gather(*(room.order(K.REFUND, charge, "refund", 400) for _ in range(3)))
        await room.order(K.REFUND, charge, "refund", 400)

        assert len(room.gateway.effective(K.REFUND)) == 1
        assert told_of(room, "refund")[-2:] == [(S.APPROVED, ""), (S.APPROVED, "")]


def test_two_refunds_at_once_cannot_both_take_the_same_money(tmp_path: Path) -> None:
    @in_room(tmp_path)
    async def story(room: Room) -> None:
        await room.pay()
        charge = room.operation_of()

        await asyncio.gather(*(room.order(K.REFUND, charge, f"refund-{n}", 600) for n in range(4)))

        assert [booked.amount_minor for booked in room.gateway.effective(K.REFUND)] == [600]


def test_charge_is_voided_once_and_not_refunded_after(tmp_path: Path) -> None:
    @in_room(tmp_path, FakeGateway(mishaps=["lost"], mishaps_of=frozenset({K.VOID})))
    async def story(room: Room) -> None:
        await room.pay()
        charge = room.operation_of()

        await room.order(K.VOID, charge, "void-1")
        await room.order(K.VOID, charge, "void-2")
        await room.order(K.REFUND, charge, "refund", 1)

        assert [booked.amount_minor for booked in room.gateway.effective(K.VOID)] == [1_000]
        assert told_of(room, "void-2") == [(S.FAILED_BEFORE_SEND, "already_done")]
        assert told_of(room, "refund") == [(S.FAILED_BEFORE_SEND, "already_done")]


def test_card_is_charged_again_by_its_stored_token(tmp_path: Path) -> None:
    @in_room(tmp_path)
    async def story(room: Room) -> None:
        await room.pay(kind=K.TOKENIZE)

        await room.order(K.CHARGE, room.operation_of(), "again", 250)
        await room.order(K.CHARGE, "again", "and-again", 260)

        assert [(b.amount_minor, b.token) for b in room.gateway.effective(K.CHARGE)] == [
            (250, "tok-1"),
            (260, "tok-1"),
        ]


def test_charge_in_doubt_forbids_another_by_whatever_operation_of_its_card_it_is_asked(
    tmp_path: Path,
) -> None:
    """The charge in doubt is a child of the first charge; its token is the tokenisation's, and every child's."""
    gateway = FakeGateway(
        capabilities=capable(Idempotency.NONE), mishaps=["", "", "lost"], mishaps_of=frozenset({K.CHARGE})
    )

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        await room.pay(kind=K.TOKENIZE)
        token = room.operation_of()
        await room.order(K.CHARGE, token, "first", 250)
        await room.order(K.CHARGE, token, "second", 250)
        await room.order(K.CHARGE, "first", "in-doubt", 250)

        for number, parent in enumerate((token, "second", "first", "in-doubt")):
            await room.order(K.CHARGE, parent, f"again-{number}", 250)

            assert told_of(room, f"again-{number}") == [(S.FAILED_BEFORE_SEND, "in_doubt")]
        assert len(gateway.effective(K.CHARGE)) == 3


def test_order_that_is_unknown_is_found_out_and_holds_its_money_until_then(tmp_path: Path) -> None:
    gateway = FakeGateway(
        capabilities=capable(Idempotency.NONE, lookup=True),
        mishaps=["before"],
        mishaps_of=frozenset({K.REFUND}),
    )

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        await room.pay()
        charge = room.operation_of()
        await room.order(K.REFUND, charge, "refund-1", 1_000)
        await room.order(K.REFUND, charge, "refund-2", 1)
        assert told_of(room, "refund-2") == [(S.FAILED_BEFORE_SEND, "amount")]

        await room.until_known()
        await room.order(K.REFUND, charge, "refund-3", 1_000)

        assert told_of(room, "refund-1")[-1] == (S.FAILED_BEFORE_SEND, "not_found")
        assert [booked.amount_minor for booked in gateway.effective(K.REFUND)] == [1_000]


@pytest.mark.parametrize(
    ("kind", "parent", "code"),
    [
        (K.REFUND, "nobody", "no_such_operation"),
        (K.LOOKUP, "", "not_ordered_here"),
        (K.CAPTURE, "", "does_not_follow"),
    ],
)
def test_order_that_makes_no_sense_is_refused_with_its_reason(
    tmp_path: Path, kind: OperationKind, parent: str, code: str
) -> None:
    @in_room(tmp_path)
    async def story(room: Room) -> None:
        await room.pay()
        asked = len(room.gateway.asked)

        await room.order(kind, parent or room.operation_of(), "order", 1)

        assert told_of(room, "order") == [(S.FAILED_BEFORE_SEND, code)]
        assert len(room.gateway.asked) == asked


def test_order_to_a_gateway_that_cannot_is_refused(tmp_path: Path) -> None:
    @in_room(tmp_path, FakeGateway(capabilities=capable(Idempotency.REPLAY, refunds=False)))
    async def story(room: Room) -> None:
        await room.pay()

        await room.order(K.REFUND, room.operation_of(), "refund", 1)

        assert told_of(room, "refund") == [(S.FAILED_BEFORE_SEND, "gateway_cannot")]


def test_order_the_ledger_cannot_keep_is_not_sent(tmp_path: Path) -> None:
    @in_room(tmp_path)
    async def story(room: Room) -> None:
        await room.pay()
        charge, asked = room.operation_of(), len(room.gateway.asked)
        room.rows.close()

        await room.order(K.REFUND, charge, "refund", 1)

        assert told_of(room, "refund") == [(S.FAILED_BEFORE_SEND, "ledger")]
        assert len(room.gateway.asked) == asked


def test_order_under_way_at_a_death_is_found_out_after(tmp_path: Path) -> None:
    @in_room(tmp_path)
    async def story(room: Room) -> None:
        await room.pay()
        refunding = asyncio.ensure_future(room.order(K.REFUND, room.operation_of(), "refund", 400))
        while room.gateway.asked[-1].kind is not K.REFUND:
            await asyncio.sleep(0.001)
        room.die()
        await asyncio.gather(refunding, return_exceptions=True)

        again = await room.again()
        await again.order(K.REFUND, again.rows.operations.of_capture("c1")[1].operation_id, "refund", 400)
        await again.until_known()

        assert again.row(OperationId("refund")).state == "approved"
        assert len(again.gateway.effective(K.REFUND)) == 1
        await again.close()
