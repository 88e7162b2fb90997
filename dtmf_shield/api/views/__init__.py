"""Response models of the API, and the pure functions that turn messages of the service into them."""

from dtmf_shield.api.views.audit import AuditPage, AuditRowView
from dtmf_shield.api.views.calls import (
    CallList,
    CallState,
    CallView,
    ServiceView,
    ShieldState,
    ShieldView,
    Snapshot,
)
from dtmf_shield.api.views.captures import (
    CaptureView,
    FieldState,
    FieldView,
    OutcomeView,
    TokenView,
    capture_after_outcome,
    capture_after_progress,
    capture_in_flow,
    mask,
    new_capture,
    token_reference,
)
from dtmf_shield.api.views.flows import FlowList, FlowView, InputView
from dtmf_shield.api.views.nodes import (
    CertificateView,
    GatewayHealthView,
    MediaCountersView,
    NodeList,
    NodeView,
    ProcessView,
    ReadersView,
    TrunkView,
)
from dtmf_shield.api.views.payments import PaymentEvent, PaymentNews, PaymentPage, PaymentView
from dtmf_shield.api.views.recordings import RecordingPage, RecordingView
from dtmf_shield.api.views.webhooks import WebhookList, WebhookView
from dtmf_shield.api.views.words import View, Word

__all__ = [
    "AuditPage",
    "AuditRowView",
    "CallList",
    "CallState",
    "CallView",
    "CaptureView",
    "CertificateView",
    "FieldState",
    "FieldView",
    "FlowList",
    "FlowView",
    "GatewayHealthView",
    "InputView",
    "MediaCountersView",
    "NodeList",
    "NodeView",
    "OutcomeView",
    "PaymentEvent",
    "PaymentNews",
    "PaymentPage",
    "PaymentView",
    "ProcessView",
    "ReadersView",
    "RecordingPage",
    "RecordingView",
    "ServiceView",
    "ShieldState",
    "ShieldView",
    "Snapshot",
    "TokenView",
    "TrunkView",
    "View",
    "WebhookList",
    "WebhookView",
    "Word",
    "capture_after_outcome",
    "capture_after_progress",
    "capture_in_flow",
    "mask",
    "new_capture",
    "token_reference",
]
