"""What is kept of a confirmed call against a crash of control: enough to go on with both dialogs.

No digits, no SDP texts, no messages: values of dialogs and streams. Calls that were still ringing are not kept: their
peers' INVITE transactions time out or are cancelled by their owners, and their media rows are free again.
"""

from __future__ import annotations

import msgspec

from dtmf_shield.call.onward import Onward
from dtmf_shield.flow.engine import SavedState
from dtmf_shield.model.capture import CaptureResult
from dtmf_shield.model.ids import NO_CAPTURE, CallId, CaptureId
from dtmf_shield.model.payment import NO_MONEY, Money
from dtmf_shield.model.stream import AS_THE_SERVER_SAYS, Codec, MediaPorts, ShieldMode, Strictness
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
    info: bool = False


class CallRecord(msgspec.Struct, kw_only=True):
    """One confirmed call. What is of a flow is empty unless one runs; ``masked_longer``: or the tail of one.

    ``capture_live``: cde has a capture of it, which tells where it is. ``flow_begun``: the first step was entered.
    ``flow_ends_s``: when its longest duration is over. ``flow_paused``: by the agent. ``result``: how its capture has
    ended, where the flow goes on.
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
    handed_tone: int = 0
    """The ringing tone that the caller heard of that."""
    capture_id: CaptureId = CaptureId("")
    capture_live: bool = False
    flow: SavedState | None = None
    flow_begun: bool = False
    flow_ends_s: float | None = None
    flow_paused: bool = False
    result: CaptureResult | None = None
    reference: str = ""
    amount: Money = NO_MONEY
    inputs: dict[str, str] = {}
    """What the flow was told when it began."""
    headers: dict[str, str] = {}
    """Headers of the INVITE that a flow may still be told."""
    language: str = ""
    """Of the capture that runs, else of the call."""
    masked_longer: bool = False
    kept: CaptureId = NO_CAPTURE
    """The capture whose fields cde keeps for the next flow; what they are only cde knows."""
    strictness: tuple[Strictness, Strictness] = (AS_THE_SERVER_SAYS, AS_THE_SERVER_SAYS)
    """Of caller and agent, of the flow that runs or whose tail it is."""

    @property
    def flow_id(self) -> str:
        """Of the flow that ran, empty where none did."""
        return self.flow.flow if self.flow is not None else ""

    @property
    def flow_fingerprint(self) -> str:
        """Of the version that ran, empty where none did."""
        return self.flow.fingerprint if self.flow is not None else ""
