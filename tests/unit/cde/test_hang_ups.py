"""Hang-ups and stops while a card is at the gateway: nothing more is asked for, and unwanted money is taken back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dtmf_shield.cde.gateways.base import GatewayResultKind, Idempotency
from dtmf_shield.cde.payments import OnHangUp
from dtmf_shield.cde.reconciler import AT_ONCE
from dtmf_shield.model.capture import CaptureResult
from dtmf_shield.model.ids import CaptureId
from dtmf_shield.model.payment import OperationKind, OperationState
from tests.unit.cde.payment_room import FakeGateway, Room, capable
from tests.unit.cde.test_payments import MONEY, hang_up_while, in_room

K, R, S = OperationKind, GatewayResultKind, OperationState
REPLAY, NONE = Idempotency.REPLAY, Idempotency.NONE


def test_no_charge_follows_a_caller_who_hung_up_while_the_token_was_asked_for(tmp_path: Path) -> None:
    @in_room(tmp_path)
    async def story(room: Room) -> None:
        paying = asyncio.ensure_future(room.pay())
        await hang_up_while(room, K.TOKENIZE)

        result = await paying

        assert (result.kind, result.code) == (R.FAILED_BEFORE_SEND, "stopped")
        assert room.states() == [("tokenize", "approved")]


@pytest.mark.parametrize("kind", [K.CHARGE, K.AUTHORIZE])
def test_money_is_voided_once_where_the_caller_hung_up_before_he_was_told(
    tmp_path: Path, kind: OperationKind
) -> None:
    @in_room(tmp_path)
    async def story(room: Room) -> None:
        paying = asyncio.ensure_future(room.pay(kind=kind))
        await hang_up_while(room, kind)

        result = await paying
        await asyncio.sleep(600)

        assert (result.kind, result.voided) == (R.APPROVED, True)
        assert [booked.about for booked in room.gateway.effective(K.VOID)] == ["ref-1"]
        assert room.states() == [("tokenize", "approved"), (kind, "approved"), ("void", "approved")]


def test_money_is_kept_where_the_policy_says_so(tmp_path: Path) -> None:
    @in_room(tmp_path, on_hang_up=OnHangUp.KEEP)
    async def story(room: Room) -> None:
        paying = asyncio.ensure_future(room.pay())
        await hang_up_while(room, K.CHARGE)

        result = await paying
        await asyncio.sleep(600)

        assert (result.kind, result.voided) == (R.APPROVED, False)
        assert room.gateway.effective(K.VOID) == []


def test_agents_cancel_at_the_gateway_is_no_hang_up(tmp_path: Path) -> None:
    @in_room(tmp_path)
    async def story(room: Room) -> None:
        paying = asyncio.ensure_future(room.pay())
        while not any(order.kind is K.CHARGE for order in room.gateway.asked):
            await asyncio.sleep(0.001)
        room.payments.stopped(CaptureId("c1"), caller_gone=False)

        assert (await paying).voided is False
        assert room.gateway.effective(K.VOID) == []


@pytest.mark.parametrize("voids", [False, True])
def test_charge_that_cannot_be_voided_is_refunded(tmp_path: Path, voids: bool) -> None:
    gateway = FakeGateway(
        capabilities=capable(REPLAY, voids=voids), mishaps=["decline"], mishaps_of=frozenset({K.VOID})
    )

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        paying = asyncio.ensure_future(room.pay())
        await hang_up_while(room, K.CHARGE)

        assert (await paying).voided
        assert [booked.amount_minor for booked in gateway.effective(K.REFUND)] == [1_000]
        assert gateway.effective(K.VOID) == []


def test_void_refused_for_our_credentials_is_done_once_they_are_mended(tmp_path: Path) -> None:
    gateway = FakeGateway(mishaps=["unauthorized"] * 3, mishaps_of=frozenset({K.VOID}))

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        paying = asyncio.ensure_future(room.pay(kind=K.AUTHORIZE))
        await hang_up_while(room, K.AUTHORIZE)

        assert (await paying).voided is False
        await asyncio.sleep(3_600)

        assert len(gateway.effective(K.VOID)) == 1
        assert room.rows.operations.to_take_back() == ()
        assert "not_taken_back" not in [change.code for change in room.told]


def test_void_that_could_not_be_sent_is_tried_until_it_is_done_and_done_once(tmp_path: Path) -> None:
    gateway = FakeGateway(mishaps=["refused"] * 6 + ["lost"], mishaps_of=frozenset({K.VOID}))

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        paying = asyncio.ensure_future(room.pay())
        await hang_up_while(room, K.CHARGE)

        assert (await paying).voided is False
        await asyncio.sleep(3_600)

        assert len(gateway.effective(K.VOID)) == 1
        assert room.states()[-1] == ("void", "approved")


@pytest.mark.parametrize("mishaps", [["refused"] * 6, ["before"] * 40, ["unauthorized"]])
def test_money_that_is_yet_to_be_taken_back_is_told_as_unknown(tmp_path: Path, mishaps: list[str]) -> None:
    """Nothing sent, no answer, refused for our credentials: the void is tried again, so the money does not stand."""
    gateway = FakeGateway(mishaps=mishaps, mishaps_of=frozenset({K.VOID}))

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        paying = asyncio.ensure_future(room.pay())
        await hang_up_while(room, K.CHARGE)

        result = await paying

        assert (result.kind, result.voided) == (R.UNKNOWN, False)
        assert room.row(room.operation_of()).state == S.APPROVED


def test_money_found_approved_by_a_look_up_is_unknown_while_its_void_is_tried_again(tmp_path: Path) -> None:
    gateway = FakeGateway(
        capabilities=capable(NONE, lookup=True),
        mishaps=["lost"] + ["refused"] * 40,
        mishaps_of=frozenset({K.CHARGE, K.VOID}),
    )

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        paying = asyncio.ensure_future(room.pay())
        await hang_up_while(room, K.CHARGE)

        result = await paying

        assert (result.kind, result.voided) == (R.UNKNOWN, False)
        assert room.row(room.operation_of()).state == S.APPROVED
        assert ("void", "failed_before_send") in room.states()


@pytest.mark.parametrize("mishaps", [["decline"], []])
def test_money_that_only_a_person_can_take_back_is_told_as_approved(
    tmp_path: Path, mishaps: list[str]
) -> None:
    gateway = FakeGateway(
        capabilities=capable(REPLAY, voids=bool(mishaps), refunds=False),
        mishaps=mishaps,
        mishaps_of=frozenset({K.VOID}),
    )

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        paying = asyncio.ensure_future(room.pay())
        await hang_up_while(room, K.CHARGE)

        result = await paying

        assert (result.kind, result.voided) == (R.APPROVED, False)
        assert room.told[-1].code == "not_taken_back"


def test_hang_up_while_unknown_is_remembered_over_the_death_of_the_process(tmp_path: Path) -> None:
    gateway = FakeGateway(mishaps=["lost"] + ["before"] * 40, mishaps_of=MONEY)

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        paying = asyncio.ensure_future(room.pay())
        await hang_up_while(room, K.CHARGE)
        await asyncio.sleep(3)
        room.die()
        await asyncio.gather(paying, return_exceptions=True)
        gateway.mishaps.clear()

        again = await room.again()
        await again.until_known()
        await asyncio.sleep(120)

        assert again.states()[1:] == [("charge", "approved"), ("void", "approved")]
        assert len(gateway.effective(K.VOID)) == 1
        await again.close()


@pytest.mark.parametrize("kind", [K.TOKENIZE, K.CHARGE])
@pytest.mark.parametrize("mishap", ["busy", "refused"])
@pytest.mark.parametrize("caller_gone", [True, False])
def test_what_was_certainly_not_done_is_not_sent_again_after_a_stop(
    tmp_path: Path, kind: OperationKind, mishap: str, caller_gone: bool
) -> None:
    gateway = FakeGateway(mishaps=[mishap], mishaps_of=frozenset({kind}))

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        paying = asyncio.ensure_future(room.pay())
        while not any(order.kind is kind for order in gateway.asked):
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)  # the answer is here, and the next send is waited for
        room.payments.stopped(CaptureId("c1"), caller_gone=caller_gone)

        result = await paying
        await asyncio.sleep(600)

        assert (result.kind, result.code) == (R.FAILED_BEFORE_SEND, "stopped")
        assert room.states()[-1] == (kind, "failed_before_send")
        assert gateway.effective(K.CHARGE) == []


def test_what_is_in_doubt_is_sent_again_after_a_stop_for_only_the_answer_ends_doubt(tmp_path: Path) -> None:
    gateway = FakeGateway(mishaps=["lost"], mishaps_of=MONEY)

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        paying = asyncio.ensure_future(room.pay())
        await hang_up_while(room, K.CHARGE)

        assert (await paying).voided
        assert room.row(room.operation_of()).attempts == 2
        assert len(gateway.effective(K.VOID)) == 1


def test_money_a_person_took_back_is_told_on_and_not_asked_for_again(tmp_path: Path) -> None:
    gateway = FakeGateway(capabilities=capable(REPLAY, voids=False))

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        paying = asyncio.ensure_future(room.pay(kind=K.AUTHORIZE))
        await hang_up_while(room, K.AUTHORIZE)
        await paying
        await asyncio.sleep(120)
        held = room.row(room.operation_of())
        assert room.told[-1].code == "not_taken_back"
        asked = len(gateway.asked)

        assert room.rows.operations.close_taken_back(held.idem_key, "Eve, at the gateway")
        await asyncio.sleep(60)
        last, told = room.told[-1], len(room.told)
        assert (last.operation_id, last.state, last.code) == (held.operation_id, S.APPROVED, "voided")
        await asyncio.sleep(600)

        assert (len(gateway.asked), len(room.told)) == (asked, told)
        await room.order(K.CAPTURE, held.operation_id, "capture", 1)
        assert room.told[-1].code == "already_done"


def test_void_is_not_begun_on_what_a_person_closed_since_it_was_listed(tmp_path: Path) -> None:
    @in_room(tmp_path, on_hang_up=OnHangUp.KEEP)
    async def story(room: Room) -> None:
        await room.pay()
        room.ledger.unwanted(CaptureId("c1"))
        [listed] = room.ledger.to_take_back()
        room.rows.operations.close_taken_back(listed.idem_key, "Eve, at the gateway")

        assert await room.take_back.take_back(listed) is CaptureResult.CANCELLED

        assert room.gateway.effective(K.VOID) == []


def test_every_unknown_operation_is_looked_at_before_one_is_looked_at_again(tmp_path: Path) -> None:
    unknown = 2 * AT_ONCE + 1
    gateway = FakeGateway(
        capabilities=capable(NONE, lookup=True),
        mishaps=["lost"] * unknown,
        mishaps_of=MONEY,
        takes_s={K.LOOKUP: 10.0},  # longer than the first waits between two looks
    )

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        gateway.answered = _Forgetful()
        await asyncio.gather(*(room.pay(f"c{number}") for number in range(unknown)))

        looked = [order.key for order in gateway.asked if order.kind is K.LOOKUP]

        assert len(looked) > unknown
        assert len(set(looked[:unknown])) == unknown


class _Forgetful(dict[str, Any]):
    """A gateway's answers, none of which is found again."""

    def get(self, key: str, default: Any = None) -> Any:
        return default


def test_unwanted_money_found_out_is_told_once_and_after_its_void_has_ended(tmp_path: Path) -> None:
    gateway = FakeGateway(
        capabilities=capable(NONE, lookup=True),
        mishaps=["lost", "lost"],
        mishaps_of=MONEY,
        takes_s={K.VOID: 8.0},  # longer than the wait between two looks
    )

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        paying = asyncio.ensure_future(room.pay())
        await hang_up_while(room, K.CHARGE)
        while not any(order.kind is K.VOID for order in gateway.asked):
            await asyncio.sleep(0.1)
        await asyncio.sleep(2)
        await room.pay("c2")  # is followed too, which wakes who follows

        result = await paying

        assert (result.kind, result.voided) == (R.APPROVED, True)
        charge = room.operation_of()
        assert [change.state for change in room.told if change.operation_id == charge] == [
            S.INTENT,
            S.UNKNOWN,
            S.APPROVED,
        ]
        assert len(gateway.effective(K.VOID)) == 1
