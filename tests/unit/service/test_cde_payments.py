"""Money through the real cde process and the TEST gateway: charges, orders, hang-ups, velocity, a death in between."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dtmf_shield.model.capture import CaptureOutcome, CaptureResult, CaptureState
from dtmf_shield.model.gateway import GatewayFound, VelocityRule
from dtmf_shield.model.ids import CaptureId, OperationId
from dtmf_shield.model.messages import (
    CancelCapture,
    GatewayHealth,
    OrderPayment,
    PaymentChanged,
    Shutdown,
    SubmitCapture,
    VelocityStopped,
)
from dtmf_shield.model.payment import OperationKind, OperationState
from tests.unit.service.cde_driver import CdeDriver, Gateway

VISA, DECLINED = "4242424242424242", "4000000000000002"
K, S = OperationKind, OperationState


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("state"))
    yield gateway
    gateway.stop()


@pytest.fixture
def cde(tmp_path: Path, gateway: Gateway) -> Iterator[CdeDriver]:
    driver = CdeDriver(tmp_path, gateway)
    yield driver
    driver.close()


def submit(cde: CdeDriver, name: str, amount_minor: int, kind: OperationKind = K.CHARGE) -> None:
    capture_id = cde.hold(name, VISA)
    cde.control.send(SubmitCapture(capture_id, "order 17", kind, amount_minor, "EUR"))


def charge(cde: CdeDriver, name: str, amount_minor: int, kind: OperationKind = K.CHARGE) -> CaptureOutcome:
    submit(cde, name, amount_minor, kind)
    outcome = cde.wait_for(CaptureOutcome)
    cde.media.receive()
    return outcome


def settled(cde: CdeDriver, operation_id: str) -> PaymentChanged:
    while True:
        change = cde.wait_for(PaymentChanged)
        if change.operation_id == operation_id and change.state not in (S.INTENT, S.UNKNOWN):
            return change


def booked(gateway: Gateway, **wanted: Any) -> list[dict[str, Any]]:
    return [each for each in gateway.book()["operations"] if wanted.items() <= each.items()]


def test_card_is_charged_by_its_token_and_refunded_by_order(cde: CdeDriver, gateway: Gateway) -> None:
    outcome = charge(cde, "charge-1", 1_001)
    assert (outcome.result, outcome.last4, outcome.test) == (CaptureResult.APPROVED, "4242", True)
    assert outcome.token.startswith("tok_TEST_")
    refund = OrderPayment(OperationId("refund-1"), outcome.operation_id, K.REFUND, 400, "EUR")

    cde.control.send(refund)
    cde.control.send(refund)
    change = settled(cde, "refund-1")

    assert (change.state, change.parent_id, change.amount_minor) == (S.APPROVED, outcome.operation_id, 400)
    (charged,) = booked(gateway, method="charge", amount_minor=1_001)
    assert charged["refunded_minor"] == 400


def test_each_gateway_is_tried_and_told_of_by_name(tmp_path: Path, gateway: Gateway) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        cde = CdeDriver(tmp_path, gateway, fallback_port=nobody.getsockname()[1])
        try:
            found = cde.wait_for(GatewayHealth).gateways
            while found[1].up:  # not tried yet
                found = cde.wait_for(GatewayHealth).gateways
            again = cde.connect_control().receive(15)[0]
        finally:
            log = cde.log()
            cde.close()

    assert found == (GatewayFound("embedded", "ok"), GatewayFound("fallback", "refused"))
    assert again == GatewayHealth(found), "a fresh control is told at once"
    assert [
        (row["gateway"], row["reason"])
        for row in map(json.loads, log.splitlines())
        if row["event"] == "gateway_health"
    ] == [("fallback", "refused")]


def test_order_beyond_the_charge_is_refused_before_it_is_sent(cde: CdeDriver, gateway: Gateway) -> None:
    outcome = charge(cde, "charge-2", 1_002)
    before = gateway.book()["total"]

    cde.control.send(OrderPayment(OperationId("refund-2"), outcome.operation_id, K.REFUND, 1_003, "EUR"))
    change = settled(cde, "refund-2")

    assert (change.state, change.code) == (S.FAILED_BEFORE_SEND, "amount")
    assert gateway.book()["total"] == before


def test_authorisation_is_captured(cde: CdeDriver, gateway: Gateway) -> None:
    outcome = charge(cde, "authorize-1", 1_004, K.AUTHORIZE)

    cde.control.send(OrderPayment(OperationId("capture-1"), outcome.operation_id, K.CAPTURE, 1_000, "EUR"))

    assert settled(cde, "capture-1").state is S.APPROVED
    assert booked(gateway, method="authorize", amount_minor=1_004)[0]["captured_minor"] == 1_000


@pytest.mark.parametrize("fault", ["reset", "error500_after", "garbage", "conflict", "busy"])
def test_charge_with_a_fault_is_done_once(cde: CdeDriver, gateway: Gateway, fault: str) -> None:
    amount_minor = 2_000 + len(fault)
    gateway.ask("POST", "/faults", {"faults": [{"fault": fault, "count": 1, "methods": ["charge"]}]})

    assert charge(cde, f"fault-{fault}", amount_minor).result is CaptureResult.APPROVED
    assert len(booked(gateway, method="charge", amount_minor=amount_minor)) == 1


def test_charge_of_a_caller_who_hung_up_is_voided(cde: CdeDriver, gateway: Gateway) -> None:
    plan = {"faults": [{"fault": "slow", "delay_ms": 800, "count": 1, "methods": ["charge"]}]}
    gateway.ask("POST", "/faults", plan)
    submit(cde, "hang-up-1", 1_005)
    while not booked(gateway, method="charge", amount_minor=1_005):
        pass  # It is booked before the answer is late.

    cde.control.send(CancelCapture(CaptureId("hang-up-1"), result=CaptureResult.CALLER_GONE))
    outcome = cde.wait_for(CaptureOutcome)

    assert outcome.result is CaptureResult.CALLER_GONE
    assert booked(gateway, method="charge", amount_minor=1_005)[0]["voided"]


def test_charge_under_way_at_a_death_is_found_out_by_the_next_process(
    tmp_path: Path, gateway: Gateway
) -> None:
    gateway.ask("POST", "/faults", {"faults": [{"fault": "hang", "count": 1, "methods": ["charge"]}]})
    killed = CdeDriver(tmp_path, gateway)
    submit(killed, "killed-1", 1_006)
    while not booked(gateway, method="charge", amount_minor=1_006):
        pass
    killed.process.kill()
    killed.close()

    cde = CdeDriver(tmp_path, gateway)
    try:
        outcome = cde.wait_for(CaptureOutcome)
        change = cde.wait_for(PaymentChanged)

        assert outcome.result is CaptureResult.UNKNOWN
        assert (change.capture_id, change.kind, change.state) == ("killed-1", K.CHARGE, S.APPROVED)
        assert len(booked(gateway, method="charge", amount_minor=1_006)) == 1
    finally:
        cde.close()


def test_charge_settled_while_the_service_is_stopped_is_told_by_the_next_process_as_it_was(
    tmp_path: Path, gateway: Gateway
) -> None:
    leaving = CdeDriver(tmp_path, gateway)
    known = charge(leaving, "told-1", 1_009)
    (told,) = [each for each in leaving.told if isinstance(each, PaymentChanged) and each.state is S.APPROVED and
               each.kind is K.CHARGE]  # fmt: skip
    gateway.stand_still()
    submit(leaving, "leaving-1", 1_010)
    leaving.wait_for_state(CaptureState.SENDING)
    leaving.control.close()
    leaving.supervisor.send(Shutdown())
    gateway.go_on()
    assert leaving.process.wait(10) == 0
    leaving.close()

    cde = CdeDriver(tmp_path, gateway)
    try:
        again, missed = cde.wait_for(PaymentChanged), cde.wait_for(PaymentChanged)
    finally:
        cde.close()

    assert again == told  # so it is no news to audit log and receivers
    assert again.operation_id == known.operation_id
    assert (missed.capture_id, missed.kind, missed.state) == ("leaving-1", K.CHARGE, S.APPROVED)


def test_card_testing_is_stopped_before_the_gateway_is_asked(tmp_path: Path, gateway: Gateway) -> None:
    rule = VelocityRule(name="bin-declined", per="bin", counted="declined", limit=1, window_s=60.0)
    cde = CdeDriver(tmp_path, gateway, velocity=(rule,))
    try:
        assert cde.pay("declined-1", DECLINED).result is CaptureResult.DECLINED
        cde.media.receive()
        before = gateway.book()["total"]

        assert cde.pay("declined-2", DECLINED).result is CaptureResult.VELOCITY

        assert [each.rule for each in cde.told if isinstance(each, VelocityStopped)] == ["bin-declined"]
        assert gateway.book()["total"] == before
    finally:
        cde.close()


def test_death_between_token_and_charge_charges_nothing(tmp_path: Path, gateway: Gateway) -> None:
    gateway.ask("POST", "/faults", {"faults": [{"fault": "hang", "count": 1, "methods": ["tokenize"]}]})
    killed = CdeDriver(tmp_path, gateway)
    before = gateway.book()["total"]
    submit(killed, "killed-2", 1_007)
    while gateway.book()["total"] == before:
        pass
    killed.process.kill()
    killed.close()

    cde = CdeDriver(tmp_path, gateway)
    try:
        assert cde.wait_for(CaptureOutcome).result is CaptureResult.INTERRUPTED
        assert charge(cde, "after-2", 1_008).result is CaptureResult.APPROVED
        assert booked(gateway, amount_minor=1_007) == []
    finally:
        cde.close()
