"""Payments of captures: order, re-sends, the fallback, hang-ups, what is unknown, what survives a death."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from dtmf_shield.account_data import slots
from dtmf_shield.cde.gateways.base import (
    EXCHANGE_TIME_MAX_S,
    CardInSlot,
    GatewayResultKind,
    Idempotency,
    SlotField,
)
from dtmf_shield.cde.ledger import LEFT_BEFORE_S
from dtmf_shield.cde.payments import DIRECT_SENDS_S_MAX, PAYMENT_TIME_MAX_S
from dtmf_shield.cde.velocity import Counted, Per, Rule
from dtmf_shield.model.capture import CaptureOutcome, CaptureResult
from dtmf_shield.model.ids import CaptureId
from dtmf_shield.model.payment import OperationKind, OperationState
from tests.unit.cde.payment_room import CALL, FakeGateway, Room, VirtualLoop, capable, run

K, R, S = OperationKind, GatewayResultKind, OperationState
MONEY = frozenset({K.CHARGE, K.AUTHORIZE})
REPLAY, SUCCESS_ONLY, NONE = Idempotency.REPLAY, Idempotency.SUCCESS_ONLY, Idempotency.NONE


def in_room(
    tmp_path: Path, *gateways: FakeGateway, **more: Any
) -> Callable[[Callable[[Room], Coroutine[Any, Any, None]]], None]:
    """Run a story in a room."""

    def tell(story: Callable[[Room], Coroutine[Any, Any, None]]) -> None:
        async def whole(loop: VirtualLoop) -> None:
            room = Room(tmp_path, loop, *gateways, **more)
            try:
                await story(room)
            finally:
                await room.close()

        run(whole)

    return tell


async def hang_up_while(room: Room, kind: OperationKind, name: str = "c1") -> None:
    """Hang up as soon as the gateway works on ``kind``."""
    while not any(order.kind is kind for order in room.gateway.asked):
        await asyncio.sleep(0.001)
    room.payments.stopped(CaptureId(name), caller_gone=True)


def test_card_is_tokenised_then_wiped_then_charged_by_token(tmp_path: Path) -> None:
    @in_room(tmp_path)
    async def story(room: Room) -> None:
        result = await room.pay()

        assert (result.kind, result.token) == (R.APPROVED, "tok-1")
        assert [(order.kind, order.card is None) for order in room.gateway.asked] == [
            (K.TOKENIZE, False),
            (K.CHARGE, True),
        ]
        assert room.captures.told == [("c1", "tokenized"), ("c1", "answered")]
        assert room.states() == [("tokenize", "approved"), ("charge", "approved")]


def test_a_person_is_verified_at_once_as_there_is_no_token_of_one(tmp_path: Path) -> None:
    @in_room(tmp_path)
    async def story(room: Room) -> None:
        submission = room.submission(kind=K.VERIFY, amount_minor=0)
        born = {SlotField.DATE_OF_BIRTH: (slots.OTHER_FIELDS_AT, 8)}
        room.payments.prepare(submission.capture_id, CALL)
        await room.payments.pay(replace(submission, card=CardInSlot(submission.card.slot, others=born)))
        room.payments.ended(submission.capture_id)

        assert [(order.kind, order.card is None) for order in room.gateway.asked] == [(K.VERIFY, False)]
        assert room.captures.outcomes["c1"][0].kind is R.APPROVED
        assert sorted(room.states()) == [("tokenize", "failed_before_send"), ("verify", "approved")]


def test_every_state_is_told_to_control_and_told_again_to_a_fresh_one(tmp_path: Path) -> None:
    @in_room(tmp_path)
    async def story(room: Room) -> None:
        await room.pay()
        told = [(change.kind, change.state) for change in room.told]
        room.told.clear()

        room.operations.tell_again()

        assert told == [
            (K.TOKENIZE, S.INTENT),
            (K.TOKENIZE, S.APPROVED),
            (K.CHARGE, S.INTENT),
            (K.CHARGE, S.APPROVED),
        ]
        assert [(change.kind, change.state) for change in room.told] == [told[1], told[3]]
        assert room.told[1].operation_id == room.operation_of()
        assert (room.told[1].amount_minor, room.told[1].currency, room.told[1].test) == (1_000, "EUR", True)


def test_token_lies_sealed_in_the_ledger_and_opens_for_the_charge(tmp_path: Path) -> None:
    @in_room(tmp_path)
    async def story(room: Room) -> None:
        await room.pay()

        row = room.rows.operations.of_capture("c1")[0]
        assert b"tok-1" not in row.token
        assert row.dek_id == "day-1"
        assert room.gateway.asked[1].token == "tok-1"


@pytest.mark.parametrize("mishap", ["lost", "before", "error", "conflict", "busy", "refused", "processing"])
def test_charge_meets_a_mishap_and_is_done_once_under_one_key_with_the_same_bytes(
    tmp_path: Path, mishap: str
) -> None:
    @in_room(tmp_path, FakeGateway(mishaps=[mishap, mishap], mishaps_of=MONEY))
    async def story(room: Room) -> None:
        result = await room.pay()

        assert result.kind is R.APPROVED
        assert len(room.gateway.effective(K.CHARGE)) == 1
        assert {len(requests) for requests in room.gateway.bytes_of.values()} == {1}
        assert room.row(room.operation_of()).attempts == 3


@pytest.mark.parametrize("idempotency", [SUCCESS_ONLY, NONE])
@pytest.mark.parametrize("mishap", ["lost", "before", "error", "processing"])
def test_without_replay_a_charge_without_answer_is_unknown_and_never_sent_again(
    tmp_path: Path, idempotency: Idempotency, mishap: str
) -> None:
    gateway = FakeGateway(capabilities=capable(idempotency), mishaps=[mishap], mishaps_of=MONEY)

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        result = await room.pay()
        await asyncio.sleep(7_200)

        assert result.kind is R.UNKNOWN
        assert [order.kind for order in gateway.asked] == [K.TOKENIZE, K.CHARGE]
        assert room.states()[-1] == ("charge", "unknown")
        assert ("c1", "settling") in room.captures.told
        assert [change.code for change in room.told if change.code == "needs_person"] == ["needs_person"]


def test_what_is_unknown_is_looked_up_while_the_caller_waits(tmp_path: Path) -> None:
    gateway = FakeGateway(capabilities=capable(NONE, lookup=True), mishaps=["lost"], mishaps_of=MONEY)

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        result = await room.pay()

        assert (result.kind, result.reference) == (R.APPROVED, "ref-1")
        assert room.loop.time() < 5
        assert len(gateway.effective(K.CHARGE)) == 1
        assert room.states()[-1] == ("charge", "approved")


def test_look_up_comes_before_a_resend_and_a_missing_operation_is_then_sent(tmp_path: Path) -> None:
    gateway = FakeGateway(capabilities=capable(REPLAY, lookup=True), mishaps=["before"] * 4, mishaps_of=MONEY)

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        result = await room.pay()

        assert result.kind is R.APPROVED
        assert [order.kind for order in gateway.asked][-2:] == [K.LOOKUP, K.CHARGE]
        assert len(gateway.effective(K.CHARGE)) == 1


def test_operation_the_gateway_does_not_know_for_long_was_not_done(tmp_path: Path) -> None:
    gateway = FakeGateway(capabilities=capable(NONE, lookup=True), mishaps=["before"], mishaps_of=MONEY)

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        result = await room.pay()
        assert result.kind is R.UNKNOWN
        await asyncio.sleep(300)
        assert room.states()[-1] == ("charge", "unknown")
        await room.until_known()

        assert room.states()[-1] == ("charge", "failed_before_send")
        assert room.told[-1].code == "not_found"


def test_answer_that_comes_late_is_still_told(tmp_path: Path) -> None:
    """The gateway was away for an hour; the caller was told that it is being checked."""
    mishaps = ["lost"] + ["before"] * 12

    @in_room(tmp_path, FakeGateway(mishaps=mishaps, mishaps_of=MONEY))
    async def story(room: Room) -> None:
        result = await room.pay()
        assert result.kind is R.UNKNOWN
        assert room.loop.time() <= PAYMENT_TIME_MAX_S + 15

        await room.until_known()

        assert room.told[-1].state is S.APPROVED
        assert len(room.gateway.effective(K.CHARGE)) == 1


def test_caller_is_never_kept_longer_than_the_payments_time(tmp_path: Path) -> None:
    gateway = FakeGateway(mishaps=["before"] * 500, mishaps_of=MONEY)

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        assert (await room.pay()).kind is R.UNKNOWN
        assert room.loop.time() <= PAYMENT_TIME_MAX_S + 1


@pytest.mark.parametrize("tokenized_after_s", [0.01, 10.0])
def test_caller_is_told_in_time_where_every_exchange_takes_as_long_as_it_may(
    tmp_path: Path, tokenized_after_s: float
) -> None:
    takes_s = {K.TOKENIZE: tokenized_after_s, K.CHARGE: EXCHANGE_TIME_MAX_S}
    gateway = FakeGateway(mishaps=["before"] * 500, mishaps_of=MONEY, takes_s=takes_s)

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        assert (await room.pay()).kind is R.UNKNOWN
        assert room.loop.time() <= PAYMENT_TIME_MAX_S


def test_second_gateway_gets_no_card_to_charge_later_than_the_first_may(tmp_path: Path) -> None:
    direct = capable(REPLAY, by_token=False)
    primary = FakeGateway(capabilities=direct, mishaps=["refused"] * 9, takes_s={K.CHARGE: 6.0})
    fallback = FakeGateway("fallback", capabilities=direct)

    @in_room(tmp_path, primary, fallback)
    async def story(room: Room) -> None:
        assert (await room.pay()).kind is R.FAILED_BEFORE_SEND
        assert room.loop.time() > DIRECT_SENDS_S_MAX
        assert fallback.asked == []


@pytest.mark.parametrize("mishap", ["busy", "unauthorized", "refused"])
def test_doubt_is_not_taken_away_by_what_a_later_try_says(tmp_path: Path, mishap: str) -> None:
    gateway = FakeGateway(mishaps=["lost"] + [mishap] * 500, mishaps_of=MONEY)

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        assert (await room.pay()).kind is R.UNKNOWN
        assert room.states()[-1] == ("charge", "unknown")


def test_declined_charge_is_declined_and_its_card_counts(tmp_path: Path) -> None:
    @in_room(tmp_path, FakeGateway(mishaps=["decline"], mishaps_of=MONEY))
    async def story(room: Room) -> None:
        result = await room.pay()

        assert (result.kind, result.code) == (R.DECLINED, "card_declined")
        assert room.states()[-1] == ("charge", "declined")


def test_lost_token_costs_nothing_and_forbids_no_other_try(tmp_path: Path) -> None:
    gateway = FakeGateway(capabilities=capable(NONE), mishaps=["lost"])

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        result = await room.pay()

        assert (result.kind, result.code) == (R.FAILED_BEFORE_SEND, "token_lost")
        assert room.states() == [("tokenize", "unknown")]
        assert (await room.pay("c2")).kind is R.APPROVED


def test_charge_that_cannot_be_said_to_the_gateway_is_refused_and_not_unknown(tmp_path: Path) -> None:
    @in_room(tmp_path)
    async def story(room: Room) -> None:
        submission = room.submission()
        order = structs.replace(submission.order, currency="KWD")

        await room.payments.pay(replace(submission, order=order))

        result = room.captures.outcomes["c1"][0]
        assert (result.kind, result.code) == (R.REFUSED, "currency")
        assert room.states() == [("tokenize", "approved"), ("charge", "declined")]
        assert room.gateway.effective(K.CHARGE) == []


# --- the fallback ----------------------------------------------------------------------------------------


def two(mishaps: list[str], **more: Any) -> tuple[FakeGateway, FakeGateway]:
    return FakeGateway(mishaps=mishaps, **more), FakeGateway("fallback")


@pytest.mark.parametrize("mishap", ["refused", "busy"])
def test_fallback_takes_the_card_where_the_primary_certainly_did_nothing(tmp_path: Path, mishap: str) -> None:
    primary, fallback = two([mishap] * 9)

    @in_room(tmp_path, primary, fallback)
    async def story(room: Room) -> None:
        assert (await room.pay()).kind is R.APPROVED

        assert primary.book == []
        assert [booked.kind for booked in fallback.book] == [K.TOKENIZE, K.CHARGE]
        keys = {order.key for order in primary.asked} & {order.key for order in fallback.asked}
        assert keys == set()


@pytest.mark.parametrize("mishap", ["lost", "before", "error", "unauthorized", "decline"])
def test_fallback_is_not_used_where_the_primary_may_have_done_or_has_decided_something(
    tmp_path: Path, mishap: str
) -> None:
    primary, fallback = two([mishap] * 9, capabilities=capable(NONE))

    @in_room(tmp_path, primary, fallback)
    async def story(room: Room) -> None:
        await room.pay()

        assert fallback.asked == []


def test_fallback_never_gets_a_charge_whose_card_is_a_token_of_the_primary(tmp_path: Path) -> None:
    primary, fallback = two(["refused"] * 9, mishaps_of=MONEY)

    @in_room(tmp_path, primary, fallback)
    async def story(room: Room) -> None:
        assert (await room.pay()).kind is R.FAILED_BEFORE_SEND

        assert fallback.asked == []
        assert primary.effective(K.CHARGE) == []


# --- direct ----------------------------------------------------------------------------------------------


def test_gateway_without_charge_by_token_gets_the_card_and_no_digit_is_wiped_before(tmp_path: Path) -> None:
    @in_room(tmp_path, FakeGateway(capabilities=capable(REPLAY, by_token=False), mishaps=["lost"]))
    async def story(room: Room) -> None:
        assert (await room.pay()).kind is R.APPROVED

        assert [(order.kind, order.card is None) for order in room.gateway.asked] == [(K.CHARGE, False)] * 2
        assert len(room.gateway.effective(K.CHARGE)) == 1
        assert room.captures.told == [("c1", "answered")]


def test_direct_charge_that_is_unknown_wipes_and_is_never_sent_again_without_its_card(tmp_path: Path) -> None:
    gateway = FakeGateway(capabilities=capable(REPLAY, by_token=False), mishaps=["lost"] * 500)

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        assert (await room.pay()).kind is R.UNKNOWN
        await asyncio.sleep(3_600)

        assert ("c1", "settling") in room.captures.told
        assert all(order.card is not None for order in gateway.asked)
        assert room.states() == [("charge", "unknown")]


# --- death of the process --------------------------------------------------------------------------------


def test_charge_under_way_at_a_death_is_unknown_at_the_start_and_found_out(tmp_path: Path) -> None:
    gateway = FakeGateway()

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        paying = asyncio.ensure_future(room.pay())
        while not any(order.kind is K.CHARGE for order in gateway.asked):
            await asyncio.sleep(0.001)
        room.die()
        await asyncio.gather(paying, return_exceptions=True)

        again = await room.again()
        at_start = again.states()
        await again.until_known()

        assert [outcome.result for outcome in again.earlier] == [CaptureResult.UNKNOWN]
        assert at_start == [("tokenize", "approved"), ("charge", "unknown")]
        assert again.states()[-1] == ("charge", "approved")
        assert len(gateway.effective(K.CHARGE)) == 1
        await again.close()


async def pay_and_die_at(room: Room, state: tuple[OperationKind, str], *, hung_up: bool = False) -> None:
    """The process dies with ``state`` on disk and nothing told of it: a row's commit is not yet the capture's end."""
    settle = room.rows.operations.settle

    def dying(idem_key: str, *arguments: Any, **named: Any) -> bool:
        done = settle(idem_key, *arguments, **named)
        if room.states()[-1] == state:
            raise asyncio.CancelledError
        return done

    room.rows.operations.settle = dying
    paying = asyncio.ensure_future(room.pay())
    if hung_up:
        await hang_up_while(room, K.CHARGE)
    await asyncio.gather(paying, return_exceptions=True)
    room.die()


def test_charge_settled_at_a_death_ends_its_capture_approved_so_that_nobody_charges_again(
    tmp_path: Path,
) -> None:
    @in_room(tmp_path)
    async def story(room: Room) -> None:
        await pay_and_die_at(room, (K.CHARGE, "approved"))

        again = await room.again()
        again.operations.tell_again()

        [outcome] = again.earlier
        charge = again.rows.operations.of_capture("c1")[1]
        assert (outcome.result, outcome.operation_id) == (CaptureResult.APPROVED, charge.operation_id)
        assert outcome.token == "tok-1"
        assert [(told.operation_id, told.state) for told in again.told] == [
            (charge.operation_id, OperationState.APPROVED)
        ]
        await again.close()


def test_what_was_settled_at_an_orderly_end_is_told_to_the_next_control_and_nothing_older(
    tmp_path: Path,
) -> None:
    @in_room(tmp_path)
    async def story(room: Room) -> None:
        for name in ("older", "at-leaving"):
            await asyncio.sleep(LEFT_BEFORE_S + 1)
            await room.pay(name)
            room.ledger.capture_ended(
                CaptureOutcome(capture_id=CaptureId(name), result=CaptureResult.APPROVED)
            )
        told = room.told[-1]
        room.ledger.note_leaving()
        room.die()

        again = await room.again()
        again.operations.keep_settled_at_leaving()
        again.operations.tell_again()
        assert again.told == [told]
        again.die()

        after_a_death = await again.again()
        after_a_death.operations.keep_settled_at_leaving()
        after_a_death.operations.tell_again()
        assert after_a_death.told == []
        await after_a_death.close()


def test_charge_voided_at_a_death_ends_its_capture_cancelled(tmp_path: Path) -> None:
    @in_room(tmp_path)
    async def story(room: Room) -> None:
        await pay_and_die_at(room, (K.VOID, "approved"), hung_up=True)

        again = await room.again()

        assert [outcome.result for outcome in again.earlier] == [CaptureResult.CANCELLED]
        assert again.earlier[0].token == ""
        await again.close()


@pytest.mark.parametrize(
    ("kind", "at", "ended"),
    [
        (K.CHARGE, K.TOKENIZE, (R.FAILED_BEFORE_SEND, "token_lost")),
        (K.AUTHORIZE, K.TOKENIZE, (R.FAILED_BEFORE_SEND, "token_lost")),
        (K.CHARGE, K.CHARGE, (R.UNKNOWN, "broken")),
        (K.TOKENIZE, K.TOKENIZE, (R.UNKNOWN, "broken")),
    ],
)
def test_payment_cut_off_by_the_end_of_the_service_is_unknown_only_where_money_was_asked_for(
    tmp_path: Path, kind: OperationKind, at: OperationKind, ended: tuple[GatewayResultKind, str]
) -> None:
    @in_room(tmp_path)
    async def story(room: Room) -> None:
        paying = asyncio.ensure_future(room.pay(kind=kind))
        while not any(order.kind is at for order in room.gateway.asked):
            await asyncio.sleep(0.001)

        paying.cancel()
        await asyncio.gather(paying, return_exceptions=True)

        result = room.captures.outcomes["c1"][0]
        assert (result.kind, result.code) == ended
        assert bool(room.rows.operations.unknown_money()) == (at is K.CHARGE)


def test_key_older_than_the_gateway_keeps_it_is_never_used_again(tmp_path: Path) -> None:
    gateway = FakeGateway(mishaps=["lost"] * 500, mishaps_of=MONEY)

    @in_room(tmp_path, gateway)
    async def story(room: Room) -> None:
        await room.pay()
        room.die()
        gateway.mishaps.clear()
        gateway.keys_forgotten = True
        asked = len(gateway.asked)

        again = await room.again(ahead_s=86_400.0)
        await asyncio.sleep(7_200)

        assert len(gateway.asked) == asked
        assert again.states()[-1] == ("charge", "unknown")
        assert "needs_person" in [change.code for change in again.told]
        await again.close()


def test_prepared_intent_serves_the_tokenisation_and_is_settled_where_nothing_was_sent(
    tmp_path: Path,
) -> None:
    @in_room(tmp_path)
    async def story(room: Room) -> None:
        submission = room.submission("c1")
        room.payments.prepare(CaptureId("c1"), CALL)
        room.payments.prepare(CaptureId("c1"), CALL)
        assert room.states() == [("tokenize", "intent")]
        await room.payments.pay(submission)
        room.payments.ended(CaptureId("c1"))
        assert room.states() == [("tokenize", "approved"), ("charge", "approved")]

        room.submission("c2")
        room.payments.prepare(CaptureId("c2"), CALL)
        room.payments.ended(CaptureId("c2"))

        assert room.states("c2") == [("tokenize", "failed_before_send")]


def test_intent_that_cannot_be_written_forbids_the_send(tmp_path: Path) -> None:
    @in_room(tmp_path)
    async def story(room: Room) -> None:
        submission = room.submission()
        room.rows.close()

        await room.payments.pay(submission)

        assert room.captures.outcomes["c1"][0].code == "ledger"
        assert room.gateway.asked == []


def test_outcome_that_cannot_be_written_is_written_later(tmp_path: Path) -> None:
    @in_room(tmp_path)
    async def story(room: Room) -> None:
        room.gateway.hold = asyncio.Event()
        paying = asyncio.ensure_future(room.pay(kind=K.TOKENIZE))
        await asyncio.sleep(1)
        settle, room.rows.operations.settle = room.rows.operations.settle, _full
        room.gateway.hold.set()
        assert (await paying).kind is R.APPROVED
        assert room.states() == [("tokenize", "intent")]

        room.rows.operations.settle = settle
        await asyncio.sleep(120)

        assert room.states() == [("tokenize", "approved")]


def _full(*_: object, **__: object) -> bool:
    import sqlite3

    raise sqlite3.OperationalError("database or disk is full")


# --- velocity --------------------------------------------------------------------------------------------


def test_attempt_beyond_a_rule_is_stopped_before_a_byte_is_sent(tmp_path: Path) -> None:
    rule = Rule("caller-declined", Per.CALLER, Counted.DECLINED, 2, 3_600)
    gateway = FakeGateway(mishaps=["decline", "decline"])

    @in_room(tmp_path, gateway, rules=(rule,))
    async def story(room: Room) -> None:
        for name in ("c1", "c2"):
            await room.payments.pay(room.submission(name, caller="hash"))
        asked = len(gateway.asked)

        await room.payments.pay(room.submission("c3", caller="hash"))

        assert len(gateway.asked) == asked
        assert room.captures.told[-1] == ("c3", "velocity_stopped")
        assert [(stop.capture_id, stop.rule) for stop in room.stopped_by] == [("c3", "caller-declined")]
        assert room.states("c3") == []
        await room.payments.pay(room.submission("c4", caller="other"))
        assert room.captures.outcomes["c4"][0].kind is R.APPROVED
