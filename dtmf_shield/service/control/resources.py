"""What the API shows and orders beside calls and captures, put together from the parts that do it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dtmf_shield.api.events import SUBSCRIBERS_MAX, EventRing
from dtmf_shield.api.ports.backing import Backing
from dtmf_shield.api.ports.reports import ReportBook
from dtmf_shield.api.ports.test_calls import EvidenceDesk
from dtmf_shield.api.views import ReadersView, Snapshot
from dtmf_shield.base.clock import Clock
from dtmf_shield.base.config import Config
from dtmf_shield.model.messages import PaymentChanged
from dtmf_shield.service.control.audit_reader import AuditFile
from dtmf_shield.service.control.audit_trail import AUDIT_FILE, AuditTrail
from dtmf_shield.service.control.capture_port import CdeCaptures
from dtmf_shield.service.control.desk import Desk
from dtmf_shield.service.control.flow_bench import FlowBench
from dtmf_shield.service.control.node import NodeMonitor
from dtmf_shield.service.control.payment_book import PaymentBook
from dtmf_shield.service.control.recordings import RecordingFolder
from dtmf_shield.service.control.webhook_settings import webhooks_of
from dtmf_shield.service.control.webhooks import ControlWebhooks
from dtmf_shield.store.payment_rows import LEDGER_FILE, PaymentRows
from dtmf_shield.store.webhook_queue import WebhookQueue

WEBHOOKS_FILE: Final = "webhooks.sqlite3"


class Resources:
    """One of each; the process tells them what happens."""

    def __init__(
        self,
        config: Config,
        state: Path,
        clock: Clock,
        captures: CdeCaptures,
        desk: Desk,
        audit: AuditTrail,
        flow_bench: FlowBench,
        weaker: tuple[str, ...] = (),
    ) -> None:
        self._desk = desk
        self.payments = PaymentBook(
            PaymentRows(state / LEDGER_FILE), captures.order, desk.token_reference, audit.payment_ordered
        )
        self.webhooks = ControlWebhooks(webhooks_of(config), WebhookQueue(state / WEBHOOKS_FILE), clock)
        self.recordings = RecordingFolder(state / config.recording.directory, audit.recording_taken)
        self.nodes = NodeMonitor(config, state, clock, weaker)
        desk.subscribe(self.nodes)
        self.flow_bench = flow_bench
        self.audit = AuditFile(state / AUDIT_FILE)

    def backing(self, reports: ReportBook, test_calls: EvidenceDesk) -> Backing:
        """Return all of them as the API knows them."""
        return Backing(
            payments=self.payments,
            recordings=self.recordings,
            webhooks=self.webhooks,
            nodes=self.nodes,
            audit=self.audit,
            reports=reports,
            flow_bench=self.flow_bench,
            test_calls=test_calls,
        )

    def start(self, ring: EventRing) -> None:
        """Begin to tell events on."""
        ring.tap(lambda event: self.webhooks.published(event.type, event.data))
        self.webhooks.start()
        self.nodes.look_at(
            lambda: Snapshot(service=self._desk.service(), flows=(), calls=tuple(self._desk.calls())),
            lambda: ReadersView(
                streams=ring.readers, streams_max=SUBSCRIBERS_MAX, lag_events=ring.lag_events
            ),
            lambda: sum(hook.waiting for hook in self.webhooks.webhooks()),
        )

    def payment_changed(self, change: PaymentChanged) -> None:
        """An operation at the gateway has a new state."""
        self.payments.changed(change)
        self.nodes.payment_changed(change)

    async def close(self) -> None:
        """Stop telling."""
        await self.webhooks.close()
        await self.flow_bench.close()
