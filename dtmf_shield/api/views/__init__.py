"""Response models of the API, and the pure functions that turn messages of the service into them."""

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
from dtmf_shield.api.views.payments import PaymentEvent, PaymentNews, PaymentPage, PaymentView
from dtmf_shield.api.views.webhooks import WebhookList, WebhookView
from dtmf_shield.api.views.words import View, Word

__all__ = [
    "CallList",
    "CallState",
    "CallView",
    "CaptureView",
    "FieldState",
    "FieldView",
    "FlowList",
    "FlowView",
    "InputView",
    "OutcomeView",
    "PaymentEvent",
    "PaymentNews",
    "PaymentPage",
    "PaymentView",
    "ServiceView",
    "ShieldState",
    "ShieldView",
    "Snapshot",
    "TokenView",
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
