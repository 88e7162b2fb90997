"""What a flow shows its agent (masking.agent_sees), and the inputs it tells: the desk's views of a running capture."""

from dataclasses import replace
from pathlib import Path

import pytest

from dtmf_shield.api import ports
from dtmf_shield.api.views import Door, LegLineView, LineView
from dtmf_shield.call import errors
from dtmf_shield.call.events import CallPhase, CallSnapshot, CaptureSnapshot
from dtmf_shield.flow.loader import load_flow
from dtmf_shield.model.capture import CaptureOutcome, CaptureProgress, CaptureResult, CaptureState
from dtmf_shield.model.ids import CallId, CaptureId, Token
from dtmf_shield.model.stream import AS_THE_SERVER_SAYS, Codec, ShieldMode, Strictness
from dtmf_shield.service.control import desk as desk_module
from dtmf_shield.service.control.desk import Desk

FLOWS = Path(__file__).parents[3] / "ivr_flows"
TEXT = (FLOWS / "card-tokenize-agent.yaml").read_text("utf-8")
CALL, CAPTURE = CallId("call"), CaptureId("cap")
ALL = ("count", "brand", "last4")
KEYING = CaptureProgress(
    capture_id=CAPTURE, state=CaptureState.KEYING, field="pan", count=6, length=16, usual=16, brand="visa"
)
HELD = CaptureProgress(
    capture_id=CAPTURE, state=CaptureState.HELD, field="pan", count=16, length=16, usual=16, brand="visa",
    last4="4242", accepted=("pan",),
)  # fmt: skip
PAID = CaptureOutcome(
    capture_id=CAPTURE, result=CaptureResult.TOKEN, token=Token("tok_1"), brand="visa", last4="4242"
)


class HandClock:
    def now_s(self):
        return 100.0

    def wall_s(self):
        return 1_700_000_000.0


class Core:
    """One call with one capture."""

    def __init__(self):
        self.progress = self.outcome = self.refusal = None
        self.asked = []

    def snapshots(self):
        return [self.snapshot(CALL)]

    def snapshot(self, call_id):
        shown = CaptureSnapshot(
            CAPTURE, "card-tokenize-agent", CaptureState.WAITING, "", self.progress, self.outcome
        )
        return CallSnapshot(
            call_id, 0, "trunk", "desk", "4420", "••34", CallPhase.TALKING, 1_700_000_000.0,
            ShieldMode.GUARD, ShieldMode.GUARD, shown,
        )  # fmt: skip

    def start_capture(self, now_s, *asked):
        if self.refusal is not None:
            raise self.refusal
        self.asked.append(asked)
        return CAPTURE


class Listener:
    def __init__(self):
        self.calls = []
        self.flows = []

    def call_changed(self, call):
        self.calls.append(call)

    def service_changed(self, service):
        pass

    def flows_changed(self, flows):
        self.flows.append([flow.title for flow in flows])


def desk_of(sees):
    words = ", ".join(sees)
    flow = load_flow(
        TEXT.replace("\nfields:", f"\nmasking: {{agent_sees: [{words}]}}\n\nfields:"), file="flow"
    )
    core, listener = Core(), Listener()
    desk = Desk(core, {flow.id: flow}, HandClock(), lambda: None)
    desk.subscribe(listener)
    desk.call_changed(CALL)
    return core, desk, listener


def run(sees):
    """Key a card and pay; returns every view that anybody was told or could ask for on the way."""
    core, desk, listener = desk_of(sees)
    seen = [desk.capture(CAPTURE), desk.call(CALL).capture]
    for progress in (KEYING, HELD):
        core.progress = progress
        desk.progressed(progress)
        seen += [desk.capture(CAPTURE), desk.call(CALL).capture, desk.calls()[0].capture]
    core.outcome = PAID
    desk.finished(PAID)
    desk.call_changed(CALL)
    seen += [desk.capture(CAPTURE), desk.call(CALL).capture]
    core.snapshot = None
    desk.ended(CALL, None)
    seen += [desk.call(CALL).capture]
    return seen + [call.capture for call in listener.calls]


def shown(views):
    fields = [field for view in views for field in view.fields]
    outcomes = [view.outcome for view in views if view.outcome is not None]
    return {
        "count": {field.count for field in fields if field.count},
        "lengths": {number for field in fields for number in (field.of, field.of_usual) if number},
        "masks": {field.masked for field in fields if field.masked},
        "brand": {item.brand for item in (*fields, *outcomes) if item.brand},
        "last4": {item.last4 for item in (*fields, *outcomes) if item.last4},
    }


@pytest.mark.parametrize(
    "sees", [ALL, ("count", "brand"), ("count", "last4"), ("brand", "last4"), ("last4",), ()]
)
def test_no_view_shows_more_than_the_flow_lets_the_agent_see_and_each_shows_that(sees):
    found = shown(run(sees))

    counts = "count" in sees
    assert found["count"] == ({6, 16} if counts else set())
    assert bool(found["lengths"]) is counts
    assert bool(found["masks"]) is counts
    assert found["brand"] == ({"visa"} if "brand" in sees else set())
    assert found["last4"] == ({"4242"} if "last4" in sees else set())


def test_states_are_shown_whatever_is_hidden():
    views = run(())

    states = {view.fields[0].state.value for view in views}
    assert {"idle", "keying", "valid"} <= states
    assert views[-1].outcome.result is CaptureResult.TOKEN


def test_a_hidden_count_makes_no_event_of_each_key():
    core, desk, _ = desk_of(())
    views = []
    for count in (3, 4, 5):
        core.progress = CaptureProgress(
            capture_id=CAPTURE, state=CaptureState.KEYING, field="pan", count=count, brand="visa"
        )
        desk.progressed(core.progress)
        views.append(desk.capture(CAPTURE))

    assert views[0] == views[1] == views[2]


def test_a_flow_tells_its_inputs_but_those_that_come_with_the_call():
    lines = """inputs:
  amount: {type: money, min: "0.50", max: "9.00", required: true}
  kind: {type: text, allowed: [old, new], length: 3}
  code: {type: digits, pattern: "[0-9]{4}"}
  account: {type: text, from: header, header: X-Account}
fields:"""
    flow = load_flow(TEXT.replace("\nfields:", f"\n{lines}"), file="flow")
    (view,) = Desk(Core(), {flow.id: flow}, HandClock(), lambda: None).flows()

    told = {one.name: one.model_dump(exclude_defaults=True, exclude={"name"}) for one in view.inputs}
    assert told == {
        "amount": {"type": "money", "required": True, "min": "0.50", "max": "9.00", "length": 64},
        "kind": {"type": "text", "required": False, "allowed": ("old", "new"), "length": 3},
        "code": {"type": "digits", "required": False, "pattern": "[0-9]{4}", "length": 64},
    }


def test_inputs_and_language_reach_the_core_and_refusals_come_back_with_their_sentences():
    core, desk, _ = desk_of(ALL)

    desk.start_capture(CALL, "flow", "R1", given={"kind": "old"}, language="fr-FR")
    core.refusal = errors.InputRefused(["input kind: one of old, new"])
    with pytest.raises(ports.InputRefused) as caught:
        desk.start_capture(CALL, "flow", "R1")

    assert core.asked[0][4:] == ({"kind": "old"}, "fr-FR")
    assert caught.value.findings == ["input kind: one of old, new"]


def test_nothing_is_remembered_of_captures_that_are_forgotten(monkeypatch):
    monkeypatch.setattr(desk_module, "CAPTURES_KEPT_MAX", 3)
    core, desk, _ = desk_of(())
    plain = core.snapshot

    for number in range(10):
        capture = replace(plain(CALL).capture, capture_id=CaptureId(f"cap{number}"))
        core.snapshot = lambda call_id, capture=capture: replace(plain(call_id), capture=capture)
        desk.call_changed(CALL)

    assert len(desk._sees) == len(desk._captures) == 3
    assert set(desk._sees) == set(desk._captures)


def test_a_flow_says_whether_the_agent_may_take_its_payment():
    flows = [load_flow((FLOWS / f"{name}.yaml").read_text("utf-8"), file=name) for name in
             ("card-payment-agent", "card-tokenize-agent")]  # fmt: skip

    views = Desk(Core(), {flow.id: flow for flow in flows}, HandClock(), lambda: None).flows()

    assert {view.id: view.agent_pays for view in views} == {
        "card-payment-agent": True, "card-tokenize-agent": False,
    }  # fmt: skip


def test_a_label_is_the_flows_own_only_where_the_file_has_one():
    text = TEXT.replace("type: security_code}", "type: security_code, label: Prüfwert}")
    flow = load_flow(text, file="flow")
    core, listener = Core(), Listener()
    desk = Desk(core, {flow.id: flow}, HandClock(), lambda: None)
    desk.subscribe(listener)
    desk.call_changed(CALL)

    fields = {one.kind.value: (one.label, one.named) for one in desk.capture(CAPTURE).fields}
    assert fields == {
        "card_number": ("Card number", False),
        "expiry": ("Expiry date", False),
        "security_code": ("Prüfwert", True),
    }


def test_the_page_is_told_the_reference_of_a_capture():
    core, desk, listener = desk_of(ALL)
    plain = core.snapshot(CALL)
    other = replace(plain.capture, capture_id=CaptureId("cap2"), reference="88-1932")
    core.snapshot = lambda call_id: replace(plain, capture=other)

    desk.call_changed(CALL)

    assert [call.capture.reference for call in listener.calls] == ["", "88-1932"]


@pytest.mark.parametrize(
    ("caller", "agent", "told"),
    [
        (AS_THE_SERVER_SAYS, AS_THE_SERVER_SAYS, (False, False, False)),
        (Strictness(withheld=True), Strictness(), (True, False, False)),
        (Strictness(), Strictness(withheld=True), (False, True, False)),
        (Strictness(unrecorded=True), Strictness(unrecorded=True), (False, False, True)),
    ],
)
def test_the_page_is_told_what_the_flow_withholds_now(caller, agent, told):
    core, desk, _ = desk_of(ALL)
    plain = core.snapshot(CALL)
    core.snapshot = lambda call_id: replace(plain, strictness=(caller, agent))

    shield = desk.call(CALL).shield

    assert (shield.caller_withheld, shield.agent_withheld, shield.unrecorded) == told


def test_a_line_is_shown_and_stays_with_a_call_that_has_ended():
    core, desk, listener = desk_of(ALL)
    line = LineView(caller=LegLineView(codec=Codec.PCMA, doors=(Door.INFO,)))
    desk.line = lambda call: line if call.call_id == CALL else None

    desk.call_changed(CALL)
    core.snapshot = None
    desk.ended(CALL, None)

    assert [call.line for call in listener.calls] == [None, line, line]


def test_listeners_are_told_of_flows_that_an_agent_sees_differently_and_of_no_others():
    _, desk, listener = desk_of(ALL)
    flow = load_flow(TEXT, file="flow")
    again, renamed = {flow.id: flow}, {flow.id: flow.model_copy(update={"title": "Another title"})}

    desk.flows_changed(again)
    desk.flows_changed(renamed)
    desk.flows_changed(
        renamed | {"dialled": flow.model_copy(update={"id": "dialled", "mode": "self_service"})}
    )
    desk.flows_changed({})

    assert listener.flows == [["Another title"], []]
