"""One call and its two legs: plain state, changed by setup, midcall and engagement."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dtmf_shield.call.events import CallPhase, LegLine
from dtmf_shield.call.onward import Onward
from dtmf_shield.call.settings import AgentTarget, Trunk
from dtmf_shield.flow.engine import FlowState, Program
from dtmf_shield.flow.engine.commands import Command, Play
from dtmf_shield.flow.engine.events import Timers
from dtmf_shield.flow.language import Flow
from dtmf_shield.model.capture import CaptureOutcome, CaptureProgress, CaptureResult, Hint
from dtmf_shield.model.ids import NO_CAPTURE, CallId, CaptureId, LegRole
from dtmf_shield.model.payment import Money
from dtmf_shield.model.stream import (
    AS_THE_SERVER_SAYS,
    TELEPHONE_EVENT_NONE,
    Codec,
    MediaPorts,
    ShieldMode,
    Strictness,
)
from dtmf_shield.sip.dialog import Dialog
from dtmf_shield.sip.events import TransactionId
from dtmf_shield.sip.message import Request
from dtmf_shield.sip.offer_answer import Negotiation


class Timer(enum.Enum):
    """What a call waits for."""

    RING = "ring limit (RFC 3261 timer C)"
    HANDOVER = "ring limit of whom the call is handed to"
    ARM = "capture armed"
    TAIL = "capture shielding after a capture"
    FLOW_REPEAT = "silence before a flow says its prompt again"
    FLOW_ANSWER = "answer of a gateway or a look-up that a flow waits for"
    FLOW_END = "the longest a flow may take"
    KEPT = "what a caller has told a flow is kept for the next one"


FLOW_TIMERS: Final = {
    Timers.REPEAT: Timer.FLOW_REPEAT,
    Timers.ANSWER: Timer.FLOW_ANSWER,
    Timers.MAX_DURATION: Timer.FLOW_END,
}


class Stage(enum.Enum):
    """Where an engagement is."""

    RESUMING = "waiting for cde to tell where a capture is that outlived this process"
    REJOINING = "waiting for media, without which nothing can be said, after this process has died"
    SHIELDING = "waiting for media to mask"
    ARMING = "waiting for cde to listen"
    RUNNING = "the flow runs, with or without a capture at cde"
    OVER = "ended"


@dataclass(slots=True)
class Engagement:
    """A flow that runs in a call, and the capture that it has at cde now or had last.

    A capture is for one card. A flow that asks for another after the gateway's answer gets a new one.
    """

    capture_id: CaptureId
    program: Program
    reference: str
    amount: Money
    state: FlowState
    stage: Stage = Stage.SHIELDING
    inputs: Mapping[str, str] = field(default_factory=dict)
    """What the flow was told when it began."""
    language: str = ""
    """As told with the call or the capture; what is spoken is the state's."""
    begun: bool = False
    """Whether the flow has entered its first step; before that ``state`` only shows what it will be."""
    armed: bool = False
    """Whether cde listens for this capture."""
    opened: str = ""
    """The step whose field or menu cde has open, as far as we know."""
    progress: CaptureProgress | None = None
    outcome: CaptureOutcome | None = None
    """Of the capture. The flow may go on after it: say the receipt, or ask for another card."""
    sending: bool = False
    paused: bool = False
    given_up: CaptureResult | None = None
    """Why the last question went unanswered."""
    handed_over: bool = False
    hint: Hint | None = None
    speaking: int = 0
    """The prompt that media plays now, 0 for none."""
    said: Play | None = None
    """What the present step has said last: said again after a pause."""
    marks: dict[Timers, int] = field(default_factory=dict)
    """Of the timers that run, as the flow set them."""
    hook_mark: int = 0
    """The look-up whose answer is awaited."""
    waiting: tuple[Command, ...] = ()
    """What the flow wants once cde listens, or once the pause is over."""

    @property
    def flow(self) -> Flow:
        """The version it began with."""
        return self.program.flow

    @property
    def over(self) -> bool:
        """Whether the flow has ended."""
        return self.stage is Stage.OVER

    @property
    def unsent(self) -> bool:
        """Whether the flow is at a payment that waits for the end of the agent's pause: nothing was sent yet."""
        return self.state.in_flight and self.paused and not self.sending

    @property
    def money_awaited(self) -> bool:
        """Whether the gateway may be moving money: what became of it cde alone can say, nothing told before is true.

        Of a capture being taken up again cde has not yet told whether it was sent: what the flow was at counts.
        """
        resuming = self.stage is Stage.RESUMING and (self.state.moving_money or self.state.settled)
        return self.flow.moves_money and (self.sending or resuming)

    @property
    def live(self) -> bool:
        """Whether cde has a capture of ours, or is about to."""
        return self.armed or self.stage is Stage.ARMING or self.stage is Stage.RESUMING


@dataclass(slots=True)
class Leg:
    """One side. ``dialog`` is None until there is one; ``shield`` is what media was last told."""

    role: LegRole
    negotiation: Negotiation
    media_host: str
    dialog: Dialog | None = None
    shield: ShieldMode = ShieldMode.MUTE
    shield_confirmed: ShieldMode = ShieldMode.MUTE
    codec: Codec | None = None
    """What it speaks; None until an answer says so."""
    takes_update: bool = False
    invite: TransactionId | None = None
    """The initial INVITE while it is pending."""
    unacknowledged: TransactionId | None = None
    """An INVITE that we answered with a 2xx whose ACK is still to come."""
    bye_wanted: bool = False
    """RFC 3261 section 15: no BYE before that ACK."""
    answer_in_ack: bool = False
    """That 2xx held an offer of our own."""
    info: bool = False
    """SIP INFO has brought keys from it."""

    @property
    def line(self) -> LegLine:
        """Return what it has agreed on; before that, what its last answer would make of it."""
        remote = self.negotiation.agreed_remote or self.negotiation.remote
        events = remote is not None and remote.telephone_event_payload_type != TELEPHONE_EVENT_NONE
        return LegLine(self.codec, events, self.info) if self.codec is not None else LegLine()


@dataclass(slots=True)
class Handover:
    """An agent or a queue being called for a call that talks already. ``leg`` takes its place once it answers."""

    target: AgentTarget
    leg: Leg
    rings: bool = False
    """The called side says so."""
    tone: int = 0
    """The ringing tone that a caller who is alone hears, by its number in media; 0: none, or a prompt."""


@dataclass(slots=True)
class Exchange:
    """A re-INVITE or UPDATE on its way from one leg to the other."""

    origin: LegRole
    server: TransactionId
    request: Request
    client: TransactionId
    late: bool
    """As Call.late, and so late_ack."""
    late_ack: tuple[TransactionId, int] | None = None
    cancelled: bool = False


@dataclass(slots=True)
class Call:
    """A caller and an agent, or a caller alone."""

    call_id: CallId
    trunk: Trunk
    target: AgentTarget | None
    """Whom the caller is called for or talks to; None: nobody, we answer the caller ourselves."""
    dialled: str
    caller_user: str
    started_s: float
    ports: MediaPorts
    caller: Leg
    agent: Leg
    """Without a dialog and without a stream while the caller is alone."""
    onward: Onward = field(default_factory=Onward)
    invite_request: Request | None = None
    engage_flow: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """What flows may be told of the INVITE: headers that some flow names."""
    language: str = ""
    """As the route says; empty: each flow's default."""
    phase: CallPhase = CallPhase.RINGING
    confirmed: bool = False
    late: bool = False
    """The caller's INVITE had no offer: the agent's 2xx brings it, the caller's ACK the answer."""
    late_ack: tuple[TransactionId, int] | None = None
    """Our INVITE and its CSeq number, whose ACK waits for that answer."""
    exchange: Exchange | None = None
    handover: Handover | None = None
    engagement: Engagement | None = None
    kept: CaptureId = NO_CAPTURE
    """The capture whose fields cde keeps since the caller was handed on: the next flow takes them over."""
    known: Mapping[str, str] = field(default_factory=dict)
    """What that flow knew by then, by name: for inputs of the next one that nobody says. Never written to disk."""
    deadlines: dict[Timer, float] = field(default_factory=dict)
    strictness: tuple[Strictness, Strictness] = (AS_THE_SERVER_SAYS, AS_THE_SERVER_SAYS)
    """Of caller and agent, as media was last told: what the flow asks for beyond the server's policy."""
    marks: int = 0
    """Prompts and look-ups so far: each has a number of its own in the call."""
    over: bool = False
    """Ended for everyone but a leg whose ACK is still to come."""

    def leg(self, role: LegRole) -> Leg:
        """Return one of the two."""
        return self.caller if role is LegRole.CALLER else self.agent

    @property
    def alone(self) -> bool:
        """Whether nobody but us is on the other side."""
        return self.target is None

    @property
    def agent_name(self) -> str:
        """Return the configuration's name of the agent or queue; empty while the caller is alone."""
        return self.target.name if self.target is not None else ""

    @property
    def legs(self) -> tuple[Leg, Leg]:
        """Caller, agent."""
        return (self.caller, self.agent)

    @property
    def row(self) -> int:
        """Row in the media tables."""
        return self.ports.row
