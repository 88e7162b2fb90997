"""No copy of a card in the cde process after the outcome: by either door, on every end, with two allocators.

The never-reusing allocator keeps every copy that was ever made, so a clean scan there means none was made. The
number is a published test number with few repeated digits; the TEST gateway is told its digest and must have taken it.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dtmf_shield.model.capture import (
    CaptureOutcome,
    CaptureProgress,
    CaptureResult,
    CaptureSpec,
    CaptureState,
    FieldKind,
    FieldSpec,
    Patience,
)
from dtmf_shield.model.ids import CaptureId, LegRole
from dtmf_shield.model.messages import (
    AskChoice,
    CancelCapture,
    CellFreed,
    ChoiceMade,
    CollectField,
    FieldGivenUp,
    InfoMailed,
    SubmitCapture,
)
from tests.leak.memory_scanner import scan
from tests.unit.service.cde_driver import CALL, CODE, EXPIRY, PAN, CdeDriver, Gateway

CANARY = "6011000990139424"
SOURCE = Path(__file__).parent / "never_reusing_allocator.c"
IMPATIENT = Patience(
    attempts=1,
    first_digit_timeout_ms=20_000,
    inter_digit_timeout_ms=20_000,
    settle_timeout_ms=20_000,
    total_timeout_ms=700,
    type_ahead="drop",
    debounce_ms=20,
)
NO_CARD = CaptureSpec(fields=(FieldSpec(name="born", kind=FieldKind.DATE_OF_BIRTH),))
SLOTS = "/memfd:dtmf-shield-slots (deleted)"


@pytest.fixture(scope="module")
def allocator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the never-reusing allocator; without a C compiler the tests that need it fail."""
    library = tmp_path_factory.mktemp("allocator") / "never_reusing.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE)], check=True)
    return library


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("gateway"))
    gateway.ask("POST", "/canaries", {"sha256": hashlib.sha256(CANARY.encode()).hexdigest()})
    yield gateway
    gateway.stop()


@pytest.fixture(params=["normal", "never_reusing"])
def cde(
    request: pytest.FixtureRequest, tmp_path: Path, gateway: Gateway, allocator: Path
) -> Iterator[CdeDriver]:
    environment = {"PYTHONMALLOC": "malloc"}
    if request.param == "never_reusing":
        environment["LD_PRELOAD"] = str(allocator)
    driver = CdeDriver(tmp_path, gateway, environment=environment, idempotency="none")
    yield driver
    driver.close()


def key_number(cde: CdeDriver) -> CaptureId:
    capture_id = cde.start("running")
    cde.collect(capture_id, PAN)
    cde.wait_for_state(CaptureState.WAITING)
    cde.key(CANARY)
    cde.wait_for_state(CaptureState.KEYING)
    return capture_id


def was_booked(gateway: Gateway, outcome: CaptureOutcome) -> bool:
    """Whether the gateway really got the number: else a clean scan might mean that nothing was sent."""
    booked = {entry["token"]: entry["last4"] for entry in gateway.book()["operations"]}
    return outcome.result is CaptureResult.TOKEN and booked[outcome.token] == CANARY[-4:]


def approved(cde: CdeDriver, gateway: Gateway) -> None:
    assert was_booked(gateway, cde.pay("approved", CANARY))


def approved_by_info(cde: CdeDriver, gateway: Gateway) -> None:
    assert was_booked(gateway, cde.pay("approved-info", CANARY, by_info=True))


def declined(cde: CdeDriver, gateway: Gateway) -> None:
    gateway.fault("decline")
    assert cde.pay("declined", CANARY).result is CaptureResult.DECLINED


def answer_lost(cde: CdeDriver, gateway: Gateway) -> None:
    gateway.fault("reset")
    assert cde.pay("lost", CANARY).result is CaptureResult.UNKNOWN


def garbage(cde: CdeDriver, gateway: Gateway) -> None:
    gateway.fault("garbage")
    assert cde.pay("garbage", CANARY).result is CaptureResult.UNKNOWN


def timeout(cde: CdeDriver, gateway: Gateway) -> None:
    gateway.fault("hang")
    assert cde.pay("timeout", CANARY).result is CaptureResult.UNKNOWN


def gateway_stands_still(cde: CdeDriver, gateway: Gateway) -> None:
    """What was sent lies unread in the system's buffers until the time is up."""
    assert was_booked(gateway, cde.pay("before", CANARY))
    capture_id = cde.hold("still", CANARY)
    gateway.stand_still()
    cde.control.send(SubmitCapture(capture_id))
    assert cde.wait_for(CaptureOutcome).result is CaptureResult.UNKNOWN
    gateway.go_on()


def twenty_declines_on_one_connection(cde: CdeDriver, gateway: Gateway) -> None:
    cde.pay("first", CANARY)
    before = gateway.book()["connections"]
    gateway.fault("decline", count=20)
    results = {cde.pay(f"declined-{number}", CANARY).result for number in range(20)}
    assert results == {CaptureResult.DECLINED}
    # Two of ours that set the fault and asked for the book, and one of a probe that may have come by.
    assert gateway.book()["connections"] <= before + 3


def kept_connection_reset_under_the_request(cde: CdeDriver, gateway: Gateway) -> None:
    results = []
    for number in range(3):  # a probe that comes by may take the connection that is closed
        gateway.fault("close_on_next")
        assert was_booked(gateway, cde.pay(f"before-{number}", CANARY))
        results.append(cde.pay(f"reset-{number}", CANARY).result)
        if results[-1] is CaptureResult.UNKNOWN:
            return
    raise AssertionError(results)


def answer_cut_short(cde: CdeDriver, gateway: Gateway) -> None:
    gateway.fault("cut")
    assert cde.pay("cut", CANARY).result is CaptureResult.UNKNOWN


def caller_gone(cde: CdeDriver, gateway: Gateway) -> None:
    cde.control.send(CancelCapture(key_number(cde), result=CaptureResult.CALLER_GONE))
    assert cde.wait_for(CaptureOutcome).result is CaptureResult.CALLER_GONE


def field_asked_again(cde: CdeDriver, gateway: Gateway) -> None:
    cde.collect(key_number(cde), PAN)
    cde.wait_for_state(CaptureState.WAITING)


def field_given_up(cde: CdeDriver, gateway: Gateway) -> None:
    capture_id = cde.start("given up")
    cde.control.send(CollectField(capture_id, PAN, IMPATIENT))
    cde.wait_for_state(CaptureState.WAITING)
    cde.key(CANARY)
    assert cde.wait_for(FieldGivenUp).field == PAN


def menu_over_a_number_half_keyed_and_one_typed_ahead(cde: CdeDriver, gateway: Gateway) -> None:
    capture_id = key_number(cde)
    while cde.wait_for(CaptureProgress).count < len(CANARY):
        pass  # a key on its way would be one of the menu
    cde.control.send(AskChoice(capture_id, ("4", "7"), IMPATIENT))
    cde.wait_for_state(CaptureState.CHOOSING)
    cde.key("7#" + CANARY)
    assert cde.wait_for(ChoiceMade).ordinal == 1
    cde.control.send(CollectField(capture_id, PAN, IMPATIENT))
    assert cde.wait_for(FieldGivenUp).field == PAN


def typed_ahead_and_cancelled(cde: CdeDriver, gateway: Gateway) -> None:
    capture_id = cde.start("ahead")
    cde.key(CANARY + "#")
    cde.control.send(CancelCapture(capture_id))
    assert cde.wait_for(CaptureOutcome).result is CaptureResult.CANCELLED


def media_died(cde: CdeDriver, gateway: Gateway) -> None:
    key_number(cde)
    cde.media.close()
    assert cde.wait_for(CaptureOutcome).result is CaptureResult.INTERRUPTED


def cancelled_while_sending(cde: CdeDriver, gateway: Gateway) -> None:
    gateway.fault("reset")
    capture_id = key_number(cde)
    cde.key("#")
    cde.wait_for_state(CaptureState.HELD)
    for field, keys in ((EXPIRY, "1230"), (CODE, "123")):
        cde.collect(capture_id, field)
        cde.wait_for_state(CaptureState.WAITING)
        cde.key(keys)
        cde.wait_for_state(CaptureState.HELD)
    cde.control.send(SubmitCapture(capture_id))
    cde.control.send(CancelCapture(capture_id))
    assert cde.wait_for(CaptureOutcome).result is CaptureResult.CANCELLED


def keep(cde: CdeDriver) -> CaptureId:
    """The caller has keyed a whole card and is handed to an agent."""
    capture_id = cde.hold("alone", CANARY)
    cde.control.send(CancelCapture(capture_id, CaptureResult.HANDED_OVER, keeps=True))
    assert cde.wait_for(CaptureOutcome).result is CaptureResult.HANDED_OVER
    return capture_id


def kept_and_paid_with_the_agent(cde: CdeDriver, gateway: Gateway) -> None:
    taken = cde.start("with-agent", takes_over=keep(cde))
    cde.control.send(SubmitCapture(taken, "order 17"))
    assert was_booked(gateway, cde.wait_for(CaptureOutcome))


def kept_until_the_caller_hung_up(cde: CdeDriver, gateway: Gateway) -> None:
    cde.control.send(CancelCapture(keep(cde), CaptureResult.CALLER_GONE))
    cde.control.send(InfoMailed(CALL, 7, LegRole.CALLER, 1, 0))
    cde.wait_for(CellFreed)  # so the message before it has been taken


def kept_for_a_flow_that_takes_no_card(cde: CdeDriver, gateway: Gateway) -> None:
    cde.start("with-agent", NO_CARD, takes_over=keep(cde))


ENDS = [
    approved,
    approved_by_info,
    declined,
    answer_lost,
    garbage,
    timeout,
    gateway_stands_still,
    twenty_declines_on_one_connection,
    kept_connection_reset_under_the_request,
    answer_cut_short,
    caller_gone,
    field_asked_again,
    field_given_up,
    menu_over_a_number_half_keyed_and_one_typed_ahead,
    typed_ahead_and_cancelled,
    media_died,
    cancelled_while_sending,
    kept_and_paid_with_the_agent,
    kept_until_the_caller_hung_up,
    kept_for_a_flow_that_takes_no_card,
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_no_copy_is_left(cde: CdeDriver, gateway: Gateway, end: Callable[[CdeDriver, Gateway], None]) -> None:
    end(cde, gateway)

    assert scan(cde.process.pid, CANARY) == []


def test_number_being_keyed_is_found_in_its_slot_and_nowhere_else(cde: CdeDriver) -> None:
    key_number(cde)

    findings = scan(cde.process.pid, CANARY)

    assert "ascii" in {finding.form for finding in findings}
    assert {finding.mapping for finding in findings} == {SLOTS}


def test_number_kept_for_an_agent_is_found_in_its_slot_and_nowhere_else(cde: CdeDriver) -> None:
    keep(cde)

    findings = scan(cde.process.pid, CANARY)

    assert "ascii" in {finding.form for finding in findings}
    assert {finding.mapping for finding in findings} == {SLOTS}


def test_never_reusing_allocator_keeps_what_was_freed(allocator: Path) -> None:
    program = (
        "import sys\nnumber = bytearray(16)\nsys.stdin.buffer.raw.readinto(number)\n"
        "made = number.decode()\ndel made\nfor index in range(16): number[index] = 0\n"
        "print('freed', flush=True)\nsys.stdin.buffer.raw.read(1)\n"
    )
    environment = {"LD_PRELOAD": str(allocator), "PYTHONMALLOC": "malloc"}
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(CANARY.encode())
    process.stdin.flush()
    assert process.stdout.readline() == b"freed\n"

    found = {finding.form for finding in scan(process.pid, CANARY)}

    process.stdin.close()
    process.wait(10)
    process.stdout.close()
    assert "ascii" in found
