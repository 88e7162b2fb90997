"""Control in long runs and on a full disk: tables that end, records and audit rows that cannot be written."""

import asyncio
import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import AsyncMock, Mock

import pytest
from structlog.testing import capture_logs

from dtmf_shield.base.config import AuditSection
from dtmf_shield.call import errors
from dtmf_shield.call.events import CallPhase, CallSnapshot, CaptureSnapshot
from dtmf_shield.flow.engine.compiler import fingerprint
from dtmf_shield.flow.loader import load_flow
from dtmf_shield.model.capture import CaptureOutcome, CaptureResult, CaptureState
from dtmf_shield.model.ids import CallId, CaptureId, OperationId, Token
from dtmf_shield.model.messages import FlowsServed, PaymentChanged, RecordingClosed, VelocityStopped
from dtmf_shield.model.payment import OperationKind, OperationState
from dtmf_shield.model.stream import ShieldMode
from dtmf_shield.service.channel import connect_pair
from dtmf_shield.service.control import desk as desk_module
from dtmf_shield.service.control import process as process_module
from dtmf_shield.service.control.audit_trail import AUDIT_FILE, AuditTrail
from dtmf_shield.service.control.desk import AWAITED_SHOWN_MAX, ENDED_SHOWN_MAX, Desk
from dtmf_shield.service.control.process import ControlProcess, Registry
from dtmf_shield.service.flows.versions import FlowShelf, take_over
from dtmf_shield.store.calls import RECORD_BYTES_MAX

FLOW_FILE = Path(__file__).parents[3] / "ivr_flows" / "card-tokenize-agent.yaml"
FLOW = load_flow(FLOW_FILE.read_text("utf-8"), file="flow")


class HandClock:
    def now_s(self):
        return 100.0

    def wall_s(self):
        return 1_700_000_000.0


class Core:
    """Calls by name, as snapshots."""

    def __init__(self):
        self.calls = {}

    def put(self, name, capture=""):
        shown = CaptureSnapshot(CaptureId(capture), FLOW.id, CaptureState.WAITING, "", None, None)
        self.calls[name] = CallSnapshot(
            CallId(name), 0, "trunk", "desk", "4420", "••34", CallPhase.TALKING, 1_700_000_000.0,
            ShieldMode.GUARD, ShieldMode.GUARD, shown if capture else None,
        )  # fmt: skip

    def snapshots(self):
        return list(self.calls.values())

    def snapshot(self, call_id):
        if call_id not in self.calls:
            raise errors.CallUnknown
        return self.calls[call_id]


def make_desk():
    core = Core()
    return core, Desk(core, {FLOW.id: FLOW}, HandClock(), lambda: None)


def test_every_capture_of_an_ended_call_is_forgotten_with_it(monkeypatch):
    monkeypatch.setattr(desk_module, "ENDED_KEPT_MAX", ENDED_SHOWN_MAX)
    core, desk = make_desk()

    for number in range(ENDED_SHOWN_MAX + 5):
        name = f"call{number}"
        for attempt in range(3):
            core.put(name, f"{name}-{attempt}")
            desk.call_changed(CallId(name))
        del core.calls[name]
        desk.ended(CallId(name), None)

    assert len(desk._captures) == 3 * ENDED_SHOWN_MAX
    assert len(desk._ended) == ENDED_SHOWN_MAX
    assert desk._last == {}
    assert desk.capture(CaptureId(f"call{ENDED_SHOWN_MAX + 4}-0"))


def test_captures_of_one_long_call_have_an_end(monkeypatch):
    monkeypatch.setattr(desk_module, "CAPTURES_KEPT_MAX", 10)
    core, desk = make_desk()

    for attempt in range(50):
        core.put("call", f"c{attempt}")
        desk.call_changed(CallId("call"))

    assert len(desk._captures) == 10
    assert desk.capture(CaptureId("c49"))


class Record:
    """Stands for a CallRecord whose encoding is too long."""

    call_id = CallId("c1")


@pytest.mark.parametrize("size", [10, RECORD_BYTES_MAX + 1])
def test_a_record_that_cannot_be_written_costs_the_record_and_not_the_process(tmp_path, monkeypatch, size):
    registry = Registry(tmp_path / "calls.sqlite3")
    registry._encoder = type("Encoder", (), {"encode": lambda _self, _record: bytes(size)})()
    if size <= RECORD_BYTES_MAX:
        registry._registry.close()  # every write fails now, as on a full disk
        with pytest.raises(sqlite3.Error):
            registry._registry.put(CallId("c1"), b"")

    registry.put(Record())
    registry.remove(CallId("c1"))


def test_calls_taken_up_again_are_recorded_again_where_media_died_too(monkeypatch):
    core = Core()
    core.put("talking")
    core.put("ringing")
    core.calls["ringing"] = replace(core.calls["ringing"], phase=CallPhase.RINGING)
    core.media_joined = lambda _now_s: None
    process = ControlProcess.__new__(ControlProcess)
    process._resources = Mock()
    process._clock, process._core, process._media_channel = HandClock(), core, None
    process._state = Path("state")
    process._rows = process._desk = process._shell = process._watch = Mock()
    recorded = []
    monkeypatch.setattr(process, "_record", lambda call_id, _row: recorded.append(call_id))

    async def join():
        ours, theirs = connect_pair()
        process._join_media(ours)
        process._media_channel.close()
        theirs.close()

    asyncio.run(join())

    assert recorded == ["talking"]


def test_payments_and_stops_against_card_testing_are_audited(tmp_path):
    process = ControlProcess.__new__(ControlProcess)
    process._clock, process._shell, process._resources = HandClock(), Mock(), Mock()
    process._audit = AuditTrail(tmp_path, AuditSection(), HandClock())
    payment = PaymentChanged(
        operation_id=OperationId("op-1"),
        kind=OperationKind.CHARGE,
        state=OperationState.APPROVED,
        capture_id=CaptureId("c1"),
        amount_minor=1050,
        currency="EUR",
        gateway="main",
        test=True,
    )

    process._cde_message(payment)
    process._cde_message(VelocityStopped(CaptureId("c2"), "caller"))

    process._audit.close()
    rows = [json.loads(line) for line in (tmp_path / AUDIT_FILE).read_text("ascii").splitlines()]
    told = [{key: row[key] for key in row.keys() - {"n", "at", "hash"}} for row in rows]
    assert told == [
        {
            "event": "payment",
            "operation": "op-1",
            "kind": "charge",
            "state": "approved",
            "parent": "",
            "capture": "c1",
            "amount_minor": 1050,
            "currency": "EUR",
            "gateway": "main",
            "code": "",
            "test": 1,
        },
        {"event": "velocity_stopped", "capture": "c2", "rule": "caller"},
    ]


def test_what_cde_says_while_calls_are_hung_up_at_the_end_is_noted_and_told(monkeypatch):
    monkeypatch.setattr(process_module, "FAREWELL_S", 0.05)
    process = ControlProcess.__new__(ControlProcess)
    process._clock, process._core, process._shell = HandClock(), Mock(), Mock()
    process._hooks, process._reports = AsyncMock(), Mock()
    steps = []
    process._audit = Mock(
        payment_changed=lambda _payment: steps.append("noted"), close=lambda: steps.append("audit closed")
    )
    process._resources = Mock(payment_changed=lambda _payment: steps.append("told"))
    process._resources.close = AsyncMock(side_effect=lambda: steps.append("closed"))
    payment = PaymentChanged(
        operation_id=OperationId("op-1"), kind=OperationKind.CHARGE, state=OperationState.APPROVED
    )

    async def serve_a_moment():
        await asyncio.sleep(0.1)
        process._cde_message(payment)

    async def farewell():
        loop = asyncio.get_running_loop()
        process._core.hang_up_all = lambda _now_s: loop.call_soon(process._cde_message, payment)
        await process._farewell(loop.create_task(serve_a_moment()))

    asyncio.run(farewell())

    assert steps == ["noted", "told", "noted", "told", "closed", "audit closed"]


def test_a_recording_that_the_disk_refused_is_told_apart_from_one_that_is_kept(tmp_path):
    process = ControlProcess.__new__(ControlProcess)
    process._clock, process._shell, process._resources = HandClock(), Mock(), Mock()
    process._audit = AuditTrail(tmp_path, AuditSection(), HandClock())

    for path in ("recordings/call.wav", ""):
        process._media_message(RecordingClosed(CallId("c1"), path, duration_ms=60, frames_dropped=1))

    process._audit.close()
    rows = [json.loads(line) for line in (tmp_path / AUDIT_FILE).read_text("ascii").splitlines()]
    assert [(row["event"], row["kept"], row["ms"], row["frames_dropped"]) for row in rows] == [
        ("recording_closed", 1, 60, 1),
        ("recording_closed", 0, 60, 1),
    ]


def end_call(core, desk, name, result):
    """A call with one capture, and its end as the call core tells it."""
    core.put(name, f"cap-{name}")
    desk.call_changed(CallId(name))
    del core.calls[name]
    desk.ended(CallId(name), CaptureOutcome(capture_id=CaptureId(f"cap-{name}"), result=result))


def result_shown(desk, name):
    return desk.call(CallId(name)).capture.outcome.result


def cde_tells(desk, name, result):
    told = CaptureOutcome(
        capture_id=CaptureId(f"cap-{name}"),
        result=result,
        token=Token("tok"),
        operation_id=OperationId("abcd-1"),
    )
    desk.finished(told)


@pytest.mark.parametrize(
    ("first", "truth"),
    [
        (CaptureResult.CALLER_GONE, CaptureResult.APPROVED),
        (CaptureResult.UNKNOWN, CaptureResult.APPROVED),
        (CaptureResult.UNKNOWN, CaptureResult.DECLINED),
        (CaptureResult.UNKNOWN, CaptureResult.CALLER_GONE),
        (CaptureResult.UNKNOWN, CaptureResult.VELOCITY),
    ],
)
def test_what_cde_says_of_money_after_the_call_is_shown_and_told(first, truth):
    core, desk = make_desk()
    told = Mock()
    desk.subscribe(told)
    end_call(core, desk, "call", first)
    assert result_shown(desk, "call") is first
    assert told.call_changed.call_args.args[0].capture.outcome.result is first

    cde_tells(desk, "call", truth)

    assert result_shown(desk, "call") is truth
    assert told.call_changed.call_args.args[0].capture.outcome.result is truth
    assert desk.token(CaptureId("cap-call")) == "tok"


def test_a_call_whose_money_is_unknown_is_kept_until_the_truth_is_told_however_many_end_meanwhile():
    core, desk = make_desk()
    end_call(core, desk, "waits", CaptureResult.UNKNOWN)
    for number in range(3 * ENDED_SHOWN_MAX):
        end_call(core, desk, f"other-{number}", CaptureResult.CALLER_GONE)

    assert len(desk.calls()) == ENDED_SHOWN_MAX + 1
    cde_tells(desk, "waits", CaptureResult.APPROVED)
    assert result_shown(desk, "waits") is CaptureResult.APPROVED

    for number in range(ENDED_SHOWN_MAX):
        end_call(core, desk, f"later-{number}", CaptureResult.CALLER_GONE)
    assert "waits" not in [call.id for call in desk.calls()]


def test_calls_whose_money_stays_unknown_have_an_end_too():
    core, desk = make_desk()

    for number in range(AWAITED_SHOWN_MAX + 5):
        end_call(core, desk, f"call-{number}", CaptureResult.UNKNOWN)

    assert len(desk._ended) == len(desk.calls()) == AWAITED_SHOWN_MAX
    assert result_shown(desk, f"call-{AWAITED_SHOWN_MAX + 4}") is CaptureResult.UNKNOWN


def test_a_capture_that_runs_shows_its_own_flow_after_that_was_removed():
    core, desk = make_desk()
    core.put("call", "cap")
    core.calls["call"] = replace(core.calls["call"], capture=replace(core.calls["call"].capture, flow=FLOW))

    desk.flows_changed({})

    assert desk.flows() == []
    assert desk.call(CallId("call")).capture.title == FLOW.title


def flow_copies(state, *texts):
    (state / "new").mkdir(exist_ok=True)
    for path in (state / "new").iterdir():
        path.unlink()
    for number, text in enumerate(texts):
        (state / "new" / f"{number}.yaml").write_text(text, "utf-8")
    return FlowsServed(take_over(state / "flows", sorted((state / "new").glob("*.yaml"))), ("embedded",))


def serving(state, message):
    """A control that serves the flows of ``message``."""
    process = ControlProcess.__new__(ControlProcess)
    process._shelf, process._core_stands = FlowShelf(state / "flows"), True
    process._shelf.serve(process._shelf.read(message.flow_files))
    process._core, process._desk, process._audit = Mock(), Mock(), Mock()
    process._sip, process._http = [], None
    process._flow_readers, process._flow_reading = set(), asyncio.Lock()
    return process


async def told_flows(process, *messages):
    """Tell them one right after the other; return what was logged in the end."""
    with capture_logs() as logged:
        for message in messages:
            process._supervisor_message(message, ())
        async with asyncio.timeout(10):
            await asyncio.gather(*process._flow_readers)
    return logged


def test_flows_of_a_reload_are_given_to_calls_and_desk_and_noted_with_counts(tmp_path):
    text = FLOW_FILE.read_text("utf-8")
    process = serving(tmp_path, flow_copies(tmp_path, text))
    told = flow_copies(tmp_path, text.replace("attempts: 3", "attempts: 2"), text.replace(FLOW.id, "another"))

    logged = asyncio.run(told_flows(process, told))

    counts = {"served": 2, "new": 1, "changed": 1, "gone": 0}
    assert process._core.flows_changed.call_args.args == (process._shelf.flows,)
    assert process._audit.note.call_args == ((("flows_reloaded"),), counts)
    assert [line for line in logged if line["event"] == "flows_reloaded"] == [
        {"event": "flows_reloaded", "log_level": "info", "module": "control", **counts}
    ]


def test_of_two_reloads_one_right_after_the_other_the_last_is_served(tmp_path):
    """The second has nothing to read that is not there already: it must wait for the first, which has."""
    text = FLOW_FILE.read_text("utf-8")
    first = flow_copies(tmp_path, text)
    process = serving(tmp_path, first)
    second = flow_copies(tmp_path, text.replace("attempts: 3", "attempts: 2"))

    asyncio.run(told_flows(process, second, first))

    assert process._shelf.flows == {FLOW.id: FLOW}
    assert process._core.flows_changed.call_count == 2


def test_flows_that_cannot_be_read_any_more_leave_those_of_before(tmp_path):
    process = serving(tmp_path, flow_copies(tmp_path, FLOW_FILE.read_text("utf-8")))
    before = process._shelf.flows

    logged = asyncio.run(told_flows(process, FlowsServed(("gone.0123456789ab.yaml",), ("embedded",))))

    assert process._shelf.flows is before
    assert not process._core.flows_changed.called
    assert [line["event"] for line in logged] == ["flows_not_reloaded"]


def test_a_control_that_comes_back_finds_the_version_a_capture_began_with(tmp_path):
    text = FLOW_FILE.read_text("utf-8")
    flow_copies(tmp_path, text)
    process = serving(tmp_path, flow_copies(tmp_path, text.replace("attempts: 3", "attempts: 2")))
    began = SimpleNamespace(flow_id=FLOW.id, flow_fingerprint=fingerprint(FLOW))
    none, lost = (
        SimpleNamespace(flow_id="", flow_fingerprint=""),
        SimpleNamespace(flow_id=FLOW.id, flow_fingerprint="0" * 64),
    )

    versions = process._versions([began, none, lost])

    assert versions == {fingerprint(FLOW): FLOW}
    assert process._shelf.flows[FLOW.id] != FLOW
