"""What is kept of a confirmed call against a crash of control: enough to go on with both dialogs.

No digits, no SDP texts, no messages: values of dialogs and streams. Calls that were still ringing are not kept: their
peers' INVITE transactions time out or are cancelled by their owners, and their media rows are free again.
"""

from __future__ import annotations

import msgspec

from dtmf_shield.call.onward import Onward
from dtmf_shield.model.ids import CallId, CaptureId
from dtmf_shield.model.payment import NO_MONEY, Money
from dtmf_shield.model.stream import Codec, MediaPorts, ShieldMode
from dtmf_shield.sip.dialog import Dialog
from dtmf_shield.sip.offer_answer import Negotiation


class LegRecord(msgspec.Struct, kw_only=True):
    """One leg. ``dialog``: None for the agent's side of a caller who is alone."""

    dialog: Dialog | None
    negotiation: Negotiation
    shield: ShieldMode
    media_host: str
    codec: Codec | None = None
    takes_update: bool = False


class CallRecord(msgspec.Struct, kw_only=True):
    """One confirmed call. ``capture_id`` is empty unless a capture ran; ``masked_longer``: or its tail.

    ``agent_name`` is empty while the caller is alone.
    """

    call_id: CallId
    ports: MediaPorts
    trunk: str
    agent_name: str
    dialled: str
    caller_user: str
    started_s: float
    caller: LegRecord
    agent: LegRecord
    onward: Onward = Onward()
    handed_to: str = ""
    """Who was being called for the caller."""
    capture_id: CaptureId = CaptureId("")
    flow_id: str = ""
    reference: str = ""
    amount: Money = NO_MONEY
    masked_longer: bool = False
