"""All that stands behind the API beside calls and captures. What a service lacks answers that it has nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from dtmf_shield.api.ports.audit import AuditReader, NoAudit
from dtmf_shield.api.ports.flow_bench import FlowBench, NoFlowBench
from dtmf_shield.api.ports.nodes import NodeDesk, NoNodes
from dtmf_shield.api.ports.payments import NoPayments, PaymentDesk
from dtmf_shield.api.ports.recordings import NoRecordings, RecordingDesk
from dtmf_shield.api.ports.reports import NoReports, ReportBook
from dtmf_shield.api.ports.test_calls import EvidenceDesk, NoTestCalls
from dtmf_shield.api.ports.webhooks import NoWebhooks, WebhookDesk


@dataclass(frozen=True, slots=True)
class Backing:
    """One port a resource."""

    payments: PaymentDesk = field(default_factory=NoPayments)
    recordings: RecordingDesk = field(default_factory=NoRecordings)
    webhooks: WebhookDesk = field(default_factory=NoWebhooks)
    nodes: NodeDesk = field(default_factory=NoNodes)
    audit: AuditReader = field(default_factory=NoAudit)
    reports: ReportBook = field(default_factory=NoReports)
    flow_bench: FlowBench = field(default_factory=NoFlowBench)
    test_calls: EvidenceDesk = field(default_factory=NoTestCalls)
