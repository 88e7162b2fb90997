"""The real cde process: tokens, refusals, faults, crashes of its peers, and a memory without the card afterwards."""

from __future__ import annotations

import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtmf_shield.account_data import slots
from dtmf_shield.model.capture import CaptureOutcome, CaptureProgress, CaptureResult, CaptureState
from dtmf_shield.model.ids import CallId, CaptureId, LegRole
from dtmf_shield.model.messages import (
    CancelCapture,
    CapturesPaused,
    DisarmSlot,
    Drain,
    Drained,
    GatewayResolved,
    ResumeCapture,
    StarCodeKeyed,
    StartCapture,
    SubmitCapture,
)
from dtmf_shield.service.dev_certificates import ensure_dev_certificates
from dtmf_shield.service.seal.environment import SCRIBBLE_ON_FREE
from tests.leak.memory_scanner import scan
from tests.unit.service.cde_driver import CODE, PAN, SPEC, CdeDriver, Gateway

VISA, MASTERCARD, DECLINED = "4242424242424242", "5555555555554444", "4000000000000002"
DISCOVER_REFUSED = "6011000990139424"


@pytest.fixture(scope="module")
def state_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def gateway(state_directory: Path) -> Iterator[Gateway]:
    gateway = Gateway(state_directory)
    yield gateway
    gateway.stop()


@pytest.fixture
def cde(tmp_path: Path, gateway: Gateway) -> Iterator[CdeDriver]:
    driver = CdeDriver(tmp_path, gateway)
    yield driver
    driver.close()


def ledger_states(directory: Path) -> list[tuple[str, str | None]]:
    with sqlite3.connect(directory / "ledger.sqlite3") as database:
        return list(database.execute("SELECT state, decline_code FROM operations ORDER BY id"))


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_card_keyed_by_media_becomes_a_token(cde: CdeDriver, gateway: Gateway, tmp_path: Path) -> None:
    outcome = cde.pay("token-1", VISA)

    assert outcome.result is CaptureResult.TOKEN
    assert outcome.token.startswith("tok_TEST_")
    assert (outcome.brand, outcome.last4, outcome.test) == ("visa", "4242", True)
    assert [entry for entry in gateway.book()["operations"] if entry["token"] == outcome.token]
    assert ledger_states(tmp_path) == [("approved", None)]


def test_card_keyed_by_info_becomes_a_token(cde: CdeDriver) -> None:
    assert cde.pay("info-1", VISA, by_info=True).result is CaptureResult.TOKEN


def test_declined_card_is_told_with_its_code(cde: CdeDriver, tmp_path: Path) -> None:
    outcome = cde.pay("declined-1", DECLINED)

    assert (outcome.result, outcome.gateway_code, outcome.token) == (
        CaptureResult.DECLINED,
        "card_declined",
        "",
    )
    assert ledger_states(tmp_path) == [("declined", "card_declined")]


def test_real_looking_number_is_refused_by_the_test_gateway(cde: CdeDriver, gateway: Gateway) -> None:
    assert cde.pay("not-published", DISCOVER_REFUSED).gateway_code == "test_card_required"
    assert "9424" not in str(gateway.book())


def test_gateway_down_ends_the_capture_and_nothing_was_sent(tmp_path: Path, gateway: Gateway) -> None:
    cde = CdeDriver(tmp_path, gateway, gateway_port=closed_port())

    assert cde.pay("down-1", VISA).result is CaptureResult.GATEWAY_UNREACHABLE
    assert ledger_states(tmp_path) == [("failed_before_send", "refused")]
    cde.close()


def test_gateway_that_moved_is_followed(tmp_path: Path, gateway: Gateway) -> None:
    cde = CdeDriver(tmp_path, gateway)
    cde.supervisor.send(GatewayResolved(gateway="embedded", addresses=("127.0.0.2",)))
    gone = cde.pay("moved-1", VISA).result
    cde.supervisor.send(GatewayResolved(gateway="embedded", addresses=("127.0.0.1",)))

    assert gone is CaptureResult.GATEWAY_UNREACHABLE
    assert cde.pay("moved-2", VISA).result is CaptureResult.TOKEN
    cde.close()


def test_many_captures_share_a_kept_connection(tmp_path: Path, gateway: Gateway) -> None:
    cde = CdeDriver(tmp_path, gateway)
    cde.pay("kept-1", VISA)
    before = gateway.book()["connections"]
    for number in range(2, 6):
        assert cde.pay(f"kept-{number}", VISA).result is CaptureResult.TOKEN

    # One of ours that asked for the book, and one of a probe that may have come by.
    assert gateway.book()["connections"] <= before + 2
    cde.close()


def test_live_service_refuses_the_test_gateway(tmp_path: Path, gateway: Gateway) -> None:
    with pytest.raises(OSError, match="authority of the embedded TEST gateway"):
        CdeDriver(tmp_path, gateway, test=False)


def test_gateway_with_a_certificate_of_another_authority_gets_nothing(
    tmp_path: Path, gateway: Gateway
) -> None:
    booked = len(gateway.book()["operations"])
    believed = ensure_dev_certificates(tmp_path / "other").ca_file
    cde = CdeDriver(tmp_path, gateway, ca_file=believed)

    assert cde.pay("impostor", VISA).result is CaptureResult.GATEWAY_UNREACHABLE
    assert ledger_states(tmp_path) == [("failed_before_send", "tls")]
    assert len(gateway.book()["operations"]) == booked
    cde.close()


def test_lost_answer_is_asked_for_once_more_with_the_same_key(cde: CdeDriver, gateway: Gateway) -> None:
    before = gateway.book()
    gateway.fault("reset")

    outcome = cde.pay("lost-1", VISA)

    after = gateway.book()
    assert outcome.result is CaptureResult.TOKEN
    assert len(after["operations"]) == len(before["operations"]) + 1
    assert after["replayed"] == before["replayed"] + 1


@pytest.mark.parametrize("fault", ["reset", "garbage", "error500"])
def test_no_answer_without_idempotency_is_unknown_and_never_sent_again(
    tmp_path: Path, gateway: Gateway, fault: str
) -> None:
    cde = CdeDriver(tmp_path, gateway, idempotency="none")
    before = len(gateway.book()["operations"])
    gateway.fault(fault)

    assert cde.pay(f"{fault}-1", VISA).result is CaptureResult.UNKNOWN
    assert len(gateway.book()["operations"]) <= before + 1
    assert [state for state, _ in ledger_states(tmp_path)] == ["unknown"]
    cde.close()


def test_cancel_wipes_the_slot_and_disarms_media(cde: CdeDriver) -> None:
    capture_id = cde.start("cancel-1")
    cde.collect(capture_id, PAN)
    cde.wait_for_state(CaptureState.WAITING)
    cde.key("42424242")
    cde.wait_for_state(CaptureState.KEYING)

    cde.control.send(CancelCapture(capture_id))

    assert cde.wait_for(CaptureOutcome).result is CaptureResult.CANCELLED
    assert isinstance(cde.media.receive()[0], DisarmSlot)
    assert bytes(cde.slots.view) == bytes(len(cde.slots.view))


def test_media_that_dies_ends_captures_interrupted(cde: CdeDriver) -> None:
    capture_id = cde.start("media-1")
    cde.collect(capture_id, PAN)
    cde.wait_for_state(CaptureState.WAITING)
    cde.key("4242")

    cde.media.close()

    assert cde.wait_for(CaptureOutcome).result is CaptureResult.INTERRUPTED
    assert bytes(cde.slots.view) == bytes(len(cde.slots.view))
    cde.connect_media()
    assert cde.pay("media-2", VISA).result is CaptureResult.TOKEN


def test_control_that_dies_leaves_captures_running_and_is_told_again(cde: CdeDriver) -> None:
    ended = cde.pay("control-1", VISA)
    cde.media.receive()
    capture_id = cde.start("control-2")
    cde.collect(capture_id, PAN)
    cde.wait_for_state(CaptureState.WAITING)

    cde.control.close()
    cde.key(MASTERCARD)
    cde.connect_control()

    assert cde.wait_for(CaptureOutcome) == ended
    progress = cde.wait_for(CaptureProgress)
    assert (progress.capture_id, progress.field) == (capture_id, PAN)


def test_cde_that_was_killed_tells_how_its_captures_ended_when_it_is_back(
    tmp_path: Path, gateway: Gateway
) -> None:
    killed = CdeDriver(tmp_path, gateway)
    killed.start("killed-keying")
    killed.process.kill()
    killed.close()

    cde = CdeDriver(tmp_path, gateway)

    outcome = cde.wait_for(CaptureOutcome)
    assert (outcome.capture_id, outcome.result) == ("killed-keying", CaptureResult.INTERRUPTED)
    assert cde.pay("after", VISA).result is CaptureResult.TOKEN
    cde.close()


def test_token_that_was_asked_for_when_cde_was_killed_costs_nothing_and_may_be_asked_for_again(
    tmp_path: Path, gateway: Gateway
) -> None:
    killed = CdeDriver(tmp_path, gateway)
    gateway.fault("hang")
    booked = len(gateway.book()["operations"])
    killed.hold("killed-sending", VISA)
    killed.control.send(SubmitCapture(CaptureId("killed-sending")))
    while len(gateway.book()["operations"]) == booked:
        pass  # The gateway books it before it hangs.
    killed.process.kill()
    killed.close()

    cde = CdeDriver(tmp_path, gateway)

    assert cde.wait_for(CaptureOutcome).result is CaptureResult.INTERRUPTED
    assert ledger_states(tmp_path) == [("unknown", None)]
    cde.close()


def test_input_that_does_not_fit_is_refused_and_the_capture_goes_on(cde: CdeDriver) -> None:
    capture_id = cde.start("early-1")
    cde.control.send(ResumeCapture(capture_id))
    cde.collect(capture_id, CODE)

    assert cde.wait_for_state(CaptureState.WAITING).field == CODE


def test_submit_that_comes_too_early_ends_its_capture_for_no_answer_would_come(cde: CdeDriver) -> None:
    capture_id = cde.start("early-2", row=1)
    cde.control.send(SubmitCapture(capture_id))

    assert cde.wait_for(CaptureOutcome).result is CaptureResult.REFUSED


def test_star_code_of_the_agent_by_info_is_recognised(cde: CdeDriver) -> None:
    cde.key_by_info("*1", role=LegRole.AGENT)

    assert cde.wait_for(StarCodeKeyed).code_index == 0


def test_missing_protections_are_named_with_their_reasons(cde: CdeDriver) -> None:
    missing = dict(each.split(": ", 1) for each in cde.weaker)

    assert "dumpable" in missing, "a memory scan reads it"
    assert not {"landlock", "landlock_tcp", "seccomp", "one_thread"} & set(missing)
    assert all(missing.values())


def test_sealed_process_with_nothing_missing_takes_a_card(tmp_path: Path, gateway: Gateway) -> None:
    cde = CdeDriver(tmp_path, gateway, scan_mode=False, environment=dict(SCRIBBLE_ON_FREE))
    try:
        assert cde.weaker == ()
        assert cde.pay("secret-1", VISA).result is CaptureResult.TOKEN
        status = Path(f"/proc/{cde.process.pid}/status").read_text()
        assert "Seccomp:\t2\n" in status
        assert "NoNewPrivs:\t1\n" in status
        assert "Threads:\t1\n" in status
    finally:
        cde.close()


def test_step_that_is_required_and_missing_stops_the_start(tmp_path: Path, gateway: Gateway) -> None:
    with pytest.raises(OSError, match=r"StopService.*cde\.require: dumpable.*doctor.*left with 2"):
        CdeDriver(tmp_path, gateway, require=("dumpable", "seccomp"))


def test_environment_that_leaks_is_refused(tmp_path: Path, gateway: Gateway) -> None:
    with pytest.raises(OSError, match=r"StopService.*SSLKEYLOGFILE.*left with 2"):
        CdeDriver(tmp_path, gateway, environment={"SSLKEYLOGFILE": str(tmp_path / "keys")})


@pytest.mark.parametrize(
    ("number", "result"),
    [(DISCOVER_REFUSED, CaptureResult.DECLINED), (VISA, CaptureResult.TOKEN)],
    ids=[
        "declined",
        "token",
    ],  # Not the number: pytest puts the test's name into the environment of children.
)
@pytest.mark.parametrize("by_info", [False, True])
def test_memory_and_log_hold_no_card_after_the_outcome(
    cde: CdeDriver, number: str, result: CaptureResult, by_info: bool
) -> None:
    capture_id = cde.start("control")
    cde.collect(capture_id, PAN)
    cde.wait_for_state(CaptureState.WAITING)
    cde.key(number)
    cde.wait_for_state(CaptureState.KEYING)
    held = scan(cde.process.pid, number)
    cde.control.send(CancelCapture(capture_id))
    cde.wait_for(CaptureOutcome)
    cde.media.receive()

    assert cde.pay("scanned", number, by_info=by_info).result is result

    # The positive control: while it is keyed, the scanner sees it in the slot, and nowhere else.
    assert {finding.mapping for finding in held if finding.form == "ascii"} == {
        "/memfd:dtmf-shield-slots (deleted)"
    }
    assert scan(cde.process.pid, number) == []
    assert number not in cde.log()


def test_exchange_that_breaks_ends_its_capture_and_wipes_its_card(cde: CdeDriver) -> None:
    capture_id = cde.hold("c1", "4242424242424242")
    assert cde.arm is not None

    # Far beyond what the API lets in: longer than the page in which the body is built.
    cde.control.send(SubmitCapture(capture_id, "x" * 5_000))

    assert cde.wait_for(CaptureOutcome).result is CaptureResult.UNKNOWN
    start = cde.arm.slot * slots.SLOT_BYTES
    assert not any(cde.slots.view[start : start + slots.SLOT_BYTES])
    assert '"error": "InvariantError"' in cde.log()


def test_draining_cde_lets_a_capture_end_and_takes_no_new_one(cde: CdeDriver) -> None:
    running = cde.hold("running", VISA)
    cde.supervisor.send(Drain())
    cde.wait_for(CapturesPaused)
    cde.control.send(StartCapture(CaptureId("late"), CallId("call-2"), 8, SPEC))
    refused = cde.wait_for(CaptureOutcome)
    assert not told_drained(cde, 0.3)

    cde.control.send(SubmitCapture(running))
    paid = cde.wait_for(CaptureOutcome)

    assert (refused.capture_id, refused.result) == ("late", CaptureResult.REFUSED)
    assert (paid.capture_id, paid.result) == (running, CaptureResult.TOKEN)
    assert told_drained(cde, 5.0)


def test_idle_cde_is_drained_at_once(cde: CdeDriver) -> None:
    cde.supervisor.send(Drain())

    assert told_drained(cde, 5.0)


def told_drained(cde: CdeDriver, limit_s: float) -> bool:
    end_s = time.monotonic() + limit_s
    while (left_s := end_s - time.monotonic()) > 0:
        try:
            message, _ = cde.supervisor.receive(left_s)
        except TimeoutError:
            return False
        if isinstance(message, Drained):
            return True
    return False


def test_rehearsal_reads_everything_and_touches_nothing(tmp_path: Path, gateway: Gateway) -> None:
    good, bad = rehearsed(tmp_path, gateway), rehearsed(tmp_path, gateway, ca_file=tmp_path / "none.pem")

    assert (good, bad) == (0, 2)
    assert not (tmp_path / "ledger.sqlite3").exists()


def test_rehearsal_refuses_what_the_service_would_for_the_memory_of_its_digits(
    tmp_path: Path, gateway: Gateway
) -> None:
    """Ordinary memory, as the memory scans use it. A reload that passed here was refused after the drain only."""
    codes = [rehearsed(tmp_path, gateway, require=(step,)) for step in ("memfd_secret", "mlock")]

    assert codes == [2, 0]


def rehearsed(
    directory: Path, gateway: Gateway, ca_file: Path | None = None, require: tuple[str, ...] = ()
) -> int:
    """Return the exit code of a rehearsal."""
    with pytest.raises(OSError, match=r"left with \d") as left:
        CdeDriver(directory, gateway, rehearsal=True, ca_file=ca_file, require=require)
    return int(str(left.value)[-1])
