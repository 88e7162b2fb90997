"""The application over ports held in memory that all have something to show: what walks of every route share."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

from api_desk import ApiHouse, a_call, a_capture

from dtmf_shield.api.ports.audit import EVERY_ROW, AuditFilter, NoAudit
from dtmf_shield.api.ports.flow_bench import NoFlowBench
from dtmf_shield.api.ports.payments import NoPayments, PaymentOrder, PaymentQuery
from dtmf_shield.api.ports.recordings import NoRecordings
from dtmf_shield.api.views import (
    AuditPage,
    AuditRowView,
    FindingView,
    FlowCheckView,
    FlowDrawingView,
    FlowGraphView,
    FlowSourceView,
    FlowVersionView,
    PaymentPage,
    PaymentView,
    RecordingPage,
    RecordingView,
    TranscriptLineView,
    TranscriptView,
    WebhookView,
    flow_source,
)
from dtmf_shield.api.views import test_calls as views
from dtmf_shield.model.capture import FieldKind
from dtmf_shield.model.ids import CallId, OperationId
from dtmf_shield.model.payment import OperationKind, OperationState
from dtmf_shield.model.report import FieldCount, OutcomeCount, OutcomeLine, ReportCounts, ReportRange

MOMENT = datetime.datetime(2026, 3, 29, 9, 12, tzinfo=datetime.UTC)
PAYMENT = PaymentView(
    id="charge-1",
    kind=OperationKind.CHARGE,
    state=OperationState.UNKNOWN,
    amount_minor=1_050,
    currency="EUR",
    call=CallId("c1"),
    brand="visa",
    last4="4242",
    token_reference="tok_…9f3a",
    sent_at=MOMENT,
)
RECORDING = RecordingView(
    id="2026-03-29T09-12-00-c1", call=CallId("c1"), started_at=MOMENT, duration_ms=1_000, size_bytes=32_044
)
WEBHOOK = WebhookView(
    name="crm",
    url="https://crm.example.com/x",
    events=("call",),
    waiting=0,
    delivered=0,
    dropped=0,
    given_up=0,
)


class Payments(NoPayments):
    def page(self, _query: PaymentQuery) -> PaymentPage:
        return PaymentPage(payments=(PAYMENT,), next_cursor="7")

    def payment(self, _operation_id: OperationId) -> PaymentView:
        return PAYMENT

    async def order(self, _order: PaymentOrder) -> PaymentView:
        return PAYMENT


class Recordings(NoRecordings):
    def page(self, *, before: str, rows: int, call: str = "") -> RecordingPage:
        del before, rows, call
        return RecordingPage(recordings=(RECORDING,), next_cursor=RECORDING.id)

    def recording(self, _recording_id: str) -> RecordingView:
        return RECORDING

    def file(self, _recording_id: str) -> Path:
        return Path(__file__)


class Webhooks:
    def webhooks(self) -> Sequence[WebhookView]:
        return (WEBHOOK,)

    def test(self, _name: str) -> WebhookView:
        return WEBHOOK


class Audit(NoAudit):
    def page(self, *, before: int | None, rows: int, wanted: AuditFilter = EVERY_ROW) -> AuditPage:
        del before, rows, wanted
        row = AuditRowView(
            number=0, at=MOMENT, event="shield", texts={"call": "c1"}, numbers={"ok": 1}, hash="0f" * 32
        )
        return AuditPage(rows=(row,), intact=True, next_cursor="42")


GRAPH = FlowGraphView.model_validate(
    {
        "id": "pay",
        "title": "Pay",
        "start": "card",
        "nodes": [{"name": "card", "do": "collect", "about": "pan"}, {"name": "end", "do": "exit"}],
        "edges": [{"source": "card", "target": "end", "label": "ok"}],
    }
)
FINDING = FindingView(
    file="flow.yaml",
    line=3,
    column=5,
    severity="error",
    rule="unknown-step",
    key="start",
    found="x",
    allowed="y",
)


class Bench(NoFlowBench):
    """``told``: texts and scripts, in the order in which they came."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def versions(self) -> Sequence[FlowVersionView]:
        return (
            FlowVersionView(
                id="pay",
                title="Pay",
                version="0f" * 6,
                mode="self_service",
                languages=("en-GB",),
                steps=2,
                served=False,
                reasons=("flow pay: no hook is named 'x'",),
            ),
        )

    def source(self, flow_id: str) -> FlowSourceView:
        return flow_source(flow_id, "0f" * 6, "flow: v1\n# 4242 4242 4242 4242\n")

    def graph(self, _flow_id: str) -> FlowGraphView:
        return GRAPH

    def picture(self, _flow_id: str) -> str:
        return "<svg xmlns='http://www.w3.org/2000/svg'><text>4242424242424242</text></svg>"

    async def check(self, text: str) -> FlowCheckView:
        self.told.append(text)
        return FlowCheckView(findings=(FINDING,))

    async def draw(self, text: str) -> FlowDrawingView:
        self.told.append(text)
        return FlowDrawingView(graph=GRAPH, svg=self.picture(""))

    async def simulate(self, text: str, script: str) -> TranscriptView:
        self.told += [text, script]
        return TranscriptView(lines=(TranscriptLineView(at_s=0.5, verb="keys", text="••••"),), ended=True)


class Reports:
    """One capture that came to its good end."""

    rows_lost = 0

    def counts(self, wanted: ReportRange) -> ReportCounts:
        del wanted
        return ReportCounts(
            days=(OutcomeCount("2026-01-30", "approved", 1, 1),),
            flows=(OutcomeCount("card-payment", "approved", 1, 1),),
            agents=(OutcomeCount("ann", "approved", 1, 1),),
            fields=(FieldCount("pan", "card_number", 1, 2),),
            seconds=(("pan", 10, 1),),
            rejects=(("pan", "luhn", 1),),
        )

    def lines(self, wanted: ReportRange) -> tuple[OutcomeLine, ...]:
        del wanted
        return (OutcomeLine("2026-01-30", "card-payment", "ann", "approved", 1),)


TEST_CALL = views.TestCallView(
    id="abcdefgh",
    started_at=MOMENT,
    state="ready",
    door="inband",
    fingers="normal",
    line="clean",
    duration_ms=60_000,
    keys_sent=24,
    keys_caller=24,
    keys_agent=0,
    verdict="clean",
)


class PlayedCalls:
    """One call of the play phones."""

    async def calls(self) -> views.TestCallList:
        return views.TestCallList(calls=(TEST_CALL,))

    async def evidence(self, _call_id: str) -> views.TestCallEvidence:
        side = views.TestCallSideView(
            side="caller", keys=(views.DetectorView(detector="FFT", keys=24),), events=0, low=(-3,), high=(4,)
        )
        press = views.KeyPressView(
            field=FieldKind.CARD_NUMBER,
            door="inband",
            start_ms=1_000,
            end_ms=1_100,
            heard_at_caller=True,
            heard_at_agent=False,
        )
        return views.TestCallEvidence(
            call=TEST_CALL,
            duration_ms=60_000,
            cut=False,
            lag_ms=40,
            peak_ms=10,
            column_ms=10,
            sides=(side,),
            presses=(press,),
        )

    async def picture(self, _call_id: str, _side: str) -> bytes:
        return b"\x89PNG\r\n\x1a\n"


def full_house() -> ApiHouse:
    """Two calls that talk, the first with a capture; and one of everything else."""
    return ApiHouse(
        a_call(capture=a_capture()),
        a_call("c2"),
        payments=Payments(),
        recordings=Recordings(),
        webhooks=Webhooks(),
        audit=Audit(),
        reports=Reports(),
        flow_bench=Bench(),
        test_calls=PlayedCalls(),
    )
