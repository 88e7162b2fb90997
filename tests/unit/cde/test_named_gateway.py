"""An order that names its gateway: that one and no other, for all that follows, and after the death of the process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from dtmf_shield.cde.gateways.base import GatewayResult, GatewayResultKind
from dtmf_shield.model.ids import CaptureId
from dtmf_shield.model.payment import OperationKind
from tests.unit.cde.payment_room import CALL, FakeGateway, Room, VirtualLoop, run

K, R = OperationKind, GatewayResultKind
MONEY = frozenset({K.CHARGE, K.AUTHORIZE})
FIRST, SECOND = "primary", "second"


def in_room(
    tmp_path: Path, *gateways: FakeGateway
) -> Callable[[Callable[[Room], Coroutine[Any, Any, None]]], None]:
    def tell(story: Callable[[Room], Coroutine[Any, Any, None]]) -> None:
        async def whole(loop: VirtualLoop) -> None:
            room = Room(tmp_path, loop, *gateways)
            try:
                await story(room)
            finally:
                await room.close()

        run(whole)

    return tell


def two(first: list[str] | None = None, second: list[str] | None = None, **more: Any) -> list[FakeGateway]:
    return [
        FakeGateway(FIRST, mishaps=first or [], **more),
        FakeGateway(SECOND, mishaps=second or [], **more),
    ]


async def pay(
    room: Room, gateway: str, *, kind: OperationKind = K.CHARGE, prepared: bool = True
) -> GatewayResult:
    submission = room.submission(kind=kind)
    order = structs.replace(submission.order, gateway=gateway)
    if prepared:
        room.payments.prepare(submission.capture_id, CALL)
    await room.payments.pay(replace(submission, order=order))
    room.payments.ended(submission.capture_id)
    return room.captures.outcomes["c1"][0]


def kinds(gateway: FakeGateway) -> list[OperationKind]:
    return [order.kind for order in gateway.asked]


@pytest.mark.parametrize(("named", "place"), [("", 0), (FIRST, 0), (SECOND, 1)])
def test_the_named_gateway_is_asked_and_no_other(tmp_path: Path, named: str, place: int) -> None:
    gateways = two()

    @in_room(tmp_path, *gateways)
    async def story(room: Room) -> None:
        assert (await pay(room, named)).kind is R.APPROVED

        assert kinds(gateways[place]) == [K.TOKENIZE, K.CHARGE]
        assert kinds(gateways[1 - place]) == []
        assert room.row(room.operation_of()).gateway == gateways[place].name


@pytest.mark.parametrize("mishap", ["refused", "busy"])
@pytest.mark.parametrize(("named", "place"), [(FIRST, 0), (SECOND, 1)])
def test_where_the_named_one_does_nothing_no_other_is_asked(
    tmp_path: Path, named: str, place: int, mishap: str
) -> None:
    mishaps = ([mishap] * 9, [mishap] * 9)
    gateways = two(mishaps[0] if place == 0 else [], mishaps[1] if place == 1 else [])

    @in_room(tmp_path, *gateways)
    async def story(room: Room) -> None:
        assert (await pay(room, named)).kind in (R.FAILED_BEFORE_SEND, R.BUSY)

        assert kinds(gateways[1 - place]) == []


def test_without_a_name_the_fallback_is_asked_in_the_same_case(tmp_path: Path) -> None:
    gateways = two(["refused"] * 9)

    @in_room(tmp_path, *gateways)
    async def story(room: Room) -> None:
        assert (await pay(room, "")).kind is R.APPROVED

        assert kinds(gateways[1]) == [K.TOKENIZE, K.CHARGE]


def test_what_lay_ready_for_the_first_is_settled_before_a_byte_is_sent_to_the_second(tmp_path: Path) -> None:
    gateways = two()
    seen = []

    @in_room(tmp_path, *gateways)
    async def story(room: Room) -> None:
        gateways[1].exchange, exchange = None, gateways[1].exchange

        async def watched(request: Any, card: Any) -> Any:
            rows = room.rows.operations.of_capture("c1")
            seen.append({row.gateway: row.state for row in rows if row.kind == K.TOKENIZE})
            return await exchange(request, card)

        gateways[1].exchange = watched
        await pay(room, SECOND)

    assert seen[0] == {FIRST: "failed_before_send", SECOND: "intent"}


def test_a_name_that_is_no_gateways_any_more_gets_nothing_sent_to_anybody(tmp_path: Path) -> None:
    gateways = two()

    @in_room(tmp_path, *gateways)
    async def story(room: Room) -> None:
        result = await pay(room, "gone")

        assert (result.kind, result.code) == (R.FAILED_BEFORE_SEND, "gateway_unknown")
        assert [kinds(gateway) for gateway in gateways] == [[], []]
        assert room.states() == [("tokenize", "failed_before_send")]


def test_a_lost_answer_is_asked_for_again_at_the_named_one_alone_and_charged_once(tmp_path: Path) -> None:
    gateways = two(second=["lost", "lost"], mishaps_of=MONEY)

    @in_room(tmp_path, *gateways)
    async def story(room: Room) -> None:
        assert (await pay(room, SECOND)).kind is R.APPROVED

        assert kinds(gateways[0]) == []
        assert len(gateways[1].effective(K.CHARGE)) == 1
        assert {len(requests) for requests in gateways[1].bytes_of.values()} == {1}


@pytest.mark.parametrize("swapped", [False, True])
def test_what_a_dead_process_had_under_way_is_found_out_where_it_was_begun(
    tmp_path: Path, swapped: bool
) -> None:
    gateways = two()

    @in_room(tmp_path, *gateways)
    async def story(room: Room) -> None:
        paying = asyncio.ensure_future(pay(room, SECOND))
        while K.CHARGE not in kinds(gateways[1]):
            await asyncio.sleep(0.001)
        room.die()
        await asyncio.gather(paying, return_exceptions=True)
        if swapped:
            room.gateways = tuple(reversed(room.gateways))

        again = await room.again()
        assert ("charge", "unknown") in again.states()
        await again.until_known()

        assert again.states()[-1] == ("charge", "approved")
        assert kinds(gateways[1]) == [K.TOKENIZE, K.CHARGE, K.CHARGE]
        assert kinds(gateways[0]) == []
        assert len(gateways[1].effective(K.CHARGE)) == 1
        await again.close()


@pytest.mark.parametrize("order", [K.REFUND, K.VOID, K.CHARGE])
def test_orders_that_follow_go_where_the_payment_was_made(tmp_path: Path, order: OperationKind) -> None:
    gateways = two()

    @in_room(tmp_path, *gateways)
    async def story(room: Room) -> None:
        await pay(room, SECOND, kind=K.TOKENIZE if order is K.CHARGE else K.CHARGE)

        await room.order(order, room.operation_of(), "o1", 0 if order is K.VOID else 500)

        assert room.row("o1").gateway == SECOND
        assert kinds(gateways[1])[-1] is order
        assert kinds(gateways[0]) == []


def test_money_nobody_waited_for_is_taken_back_where_it_was_taken(tmp_path: Path) -> None:
    gateways = two()

    @in_room(tmp_path, *gateways)
    async def story(room: Room) -> None:
        paying = asyncio.ensure_future(pay(room, SECOND))
        while K.CHARGE not in kinds(gateways[1]):
            await asyncio.sleep(0.001)
        room.payments.stopped(CaptureId("c1"), caller_gone=True)

        assert (await paying).voided
        assert kinds(gateways[1])[-1] is K.VOID
        assert kinds(gateways[0]) == []
