"""What the call core tells its consumers, and the view of a call: frozen, without digits and without SIP."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from dtmf_shield.flow.language import Flow
from dtmf_shield.model.capture import CaptureOutcome, CaptureProgress, CaptureState, Hint
from dtmf_shield.model.ids import CallId, CaptureId, LegRole
from dtmf_shield.model.payment import NO_MONEY, Money
from dtmf_shield.model.stream import AS_THE_SERVER_SAYS, Codec, ShieldMode, Strictness


class CallPhase(enum.StrEnum):
    """Where a call is."""

    RINGING = "ringing"
    EARLY = "early"
    TALKING = "talking"
    HELD = "held"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A caller's INVITE was accepted; the agent is being called, if the route names one."""

    call_id: CallId


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """Both sides talk, or a caller without an agent hears us. Also told of a restored call, with ``restored``."""

    call_id: CallId
    row: int
    restored: bool = False


@dataclass(frozen=True, slots=True)
class CallPhaseChanged:
    """Early media, hold or resume."""

    call_id: CallId
    phase: CallPhase


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The call is over. ``status`` is the SIP status that ended it, 0 for BYE; ``reason`` from a closed set.

    ``capture``: how its last capture ended, as far as is known: ``unknown`` where money was at the gateway.
    """

    call_id: CallId
    status: int
    reason: str
    capture: CaptureOutcome | None = None


@dataclass(frozen=True, slots=True)
class CallHandedOver:
    """A call was handed to an agent or a queue, or that failed: ``reason`` from a closed set, with a SIP ``status``
    where one says it.
    """

    call_id: CallId
    target: str
    ok: bool
    reason: str
    status: int = 0


@dataclass(frozen=True, slots=True)
class CaptureChanged:
    """A capture was asked for, has progressed or has ended; the snapshot has the whole."""

    call_id: CallId
    capture_id: CaptureId


@dataclass(frozen=True, slots=True)
class CaptureNotStarted:
    """A route or a star code asked for a flow that did not begin. ``faults``: unfit inputs, without values."""

    call_id: CallId
    flow_id: str
    reason: str
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShieldStateChanged:
    """The media process treats audio from ``role`` in this way from now on."""

    call_id: CallId
    role: LegRole
    mode: ShieldMode


@dataclass(frozen=True, slots=True)
class FlowMoved:
    """A flow is in another step, or has ended in it."""

    call_id: CallId
    flow_id: str
    step: str


@dataclass(frozen=True, slots=True)
class FlowAlerted:
    """A flow ended where a person must look at its payment. ``alert``: the word of the flow's exit, a closed set."""

    call_id: CallId
    capture_id: CaptureId
    flow_id: str
    alert: str


CallEvent = (
    CallStarted
    | CallAnswered
    | CallPhaseChanged
    | CallEnded
    | CallHandedOver
    | CaptureChanged
    | FlowMoved
    | FlowAlerted
    | CaptureNotStarted
    | ShieldStateChanged
)


@dataclass(frozen=True, slots=True)
class CaptureSnapshot:
    """The last capture of a call. ``say`` is what the agent tells the caller now.

    ``step``: where the flow is, empty once it is over; it may go on after the capture's ``outcome``. ``can_pay``: the
    flow waits at the menu whose choice the agent may take. ``hint``: what is wrong with how the keys arrive.
    ``reference``: the merchant's own name for the payment, where one was said. ``gateway_down``: no gateway that the
    flow asks answers.
    """

    capture_id: CaptureId
    flow_id: str
    state: CaptureState
    say: str = ""
    progress: CaptureProgress | None = None
    outcome: CaptureOutcome | None = None
    amount: Money = NO_MONEY
    step: str = ""
    can_pay: bool = False
    hint: Hint | None = None
    flow: Flow | None = None
    """The version that runs, which may be no more the one that a capture would begin with now."""
    flow_fingerprint: str = ""
    reference: str = ""
    gateway_down: bool = False


@dataclass(frozen=True, slots=True)
class LegLine:
    """What one leg has agreed on. ``codec``: None before that, and where nobody is on it.

    ``telephone_event``: RFC 4733 events may come. ``info``: SIP INFO has brought keys.
    """

    codec: Codec | None = None
    telephone_event: bool = False
    info: bool = False


@dataclass(frozen=True, slots=True)
class CallSnapshot:
    """One call. ``caller_masked`` holds the last two characters of the caller's user part at most."""

    call_id: CallId
    row: int
    trunk: str
    agent_name: str
    """Empty while the caller is alone."""
    dialled: str
    caller_masked: str
    phase: CallPhase
    started_at_s: float
    """Seconds since 1970."""
    shield_caller: ShieldMode
    shield_agent: ShieldMode
    capture: CaptureSnapshot | None = None
    line_caller: LegLine = LegLine()
    line_agent: LegLine = LegLine()
    strictness: tuple[Strictness, Strictness] = (AS_THE_SERVER_SAYS, AS_THE_SERVER_SAYS)
    """Of caller and agent, as media was last told."""


def masked_user(user: str) -> str:
    """Return ``••12``: the caller's number is personal data."""
    if not user or user.lower() == "anonymous":
        return "anonymous"
    return "••" + (user[-2:] if len(user) >= 6 else "")
