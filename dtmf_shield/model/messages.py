"""Messages between the processes: msgspec structs over Unix SOCK_SEQPACKET, one message a datagram.

No field of any message can carry a digit: str fields are identifiers, names and addresses from closed sets or
from the configuration; numbers are rows, slots, counts, lengths and times. The two exceptions by design are ``last4``
and ``KeyedValue`` in :mod:`dtmf_shield.model.capture`. ``tests/unit/model/test_messages.py`` holds the list.
"""

from __future__ import annotations

import enum

import msgspec

from dtmf_shield.model.capture import (
    CaptureOutcome,
    CaptureProgress,
    CaptureResult,
    CaptureSpec,
    ChoiceFault,
    ControlKey,
    Hint,
    Patience,
    RejectReason,
)
from dtmf_shield.model.gateway import GatewayFound, GatewaySettings, VelocityRule
from dtmf_shield.model.ids import NO_CAPTURE, CallId, CaptureId, LegRole, OperationId
from dtmf_shield.model.keys import KekSettings
from dtmf_shield.model.media_health import AskMediaHealth, MediaHealth
from dtmf_shield.model.payment import OperationKind, OperationState
from dtmf_shield.model.stream import (
    AS_THE_SERVER_SAYS,
    LegStatistics,
    MaskStyle,
    MediaPorts,
    ShieldMode,
    StreamParameters,
    Strictness,
)

MESSAGE_BYTES_MAX = 65_536
"""No message is longer; SEQPACKET refuses rather than cuts."""
HEARTBEAT_INTERVAL_S = 1.0
"""Every child tells the supervisor that often that its loop turns."""
MAILBOX_CELLS = 16
"""Unparsed SIP INFO bodies on their way to cde at once. None free: the INFO is answered 503."""
MAILBOX_CELL_BYTES = 256
"""Longer INFO bodies hold no key: RFC 6086 leaves the size open, an application/dtmf-relay body has 25 bytes."""
MAILBOX_BYTES = MAILBOX_CELLS * MAILBOX_CELL_BYTES


class ProcessName(enum.StrEnum):
    """The three processes under the supervisor."""

    CONTROL = "control"
    MEDIA = "media"
    CDE = "cde"


SOCKETS_PER_ROW = 4
"""RTP sockets of one row of the media tables: caller and agent, IPv4 and IPv6 each."""


def rtp_socket_index(row: int, role: LegRole, *, v6: bool) -> int:
    """Return the place of a leg's socket among those of all rows."""
    return SOCKETS_PER_ROW * row + 2 * (role is LegRole.AGENT) + v6


class SocketKind(enum.StrEnum):
    """What a passed listening socket is for."""

    RTP = "rtp"
    SIP_UDP = "sip_udp"
    HTTP = "http"


# --- supervisor -> any child ------------------------------------------------------------------------------


class PeerConnected(msgspec.Struct, frozen=True, tag=True):
    """A fresh channel to ``peer`` comes with this message as its one file descriptor. Replaces an older one."""

    peer: ProcessName


class SocketsPassed(msgspec.Struct, frozen=True, tag=True):
    """Sockets the supervisor holds come with this message, in the order of ``indexes``.

    For RTP an index is :func:`rtp_socket_index`.
    """

    kind: SocketKind
    indexes: tuple[int, ...]


class GatewayResolved(msgspec.Struct, frozen=True, tag=True):
    """The name of a gateway now leads to ``addresses``, all literals: connect there from now on."""

    gateway: str
    addresses: tuple[str, ...]


class Shutdown(msgspec.Struct, frozen=True, tag=True):
    """Leave: hang up what is yours, close files, exit 0."""


class Drain(msgspec.Struct, frozen=True, tag=True):
    """To cde: another one is to take its place. Take no new capture; say Drained when the last has ended."""


class ConfigureControl(msgspec.Struct, frozen=True, tag=True):
    """First message to control. ``config_json`` is the checked configuration; the one descriptor is the mailbox."""

    config_json: bytes
    state_directory: str
    login_ticket: str
    """Of the one-time link; empty when control starts again."""
    api_key: str
    caller_key: bytes
    """Names callers to cde without their numbers; the same after a restart, for the ledger remembers them by it."""
    play_url: str = ""
    """Where the play phones answer; empty: there are none."""
    play_key: str = ""
    """What a page sends them; it opens nothing else."""


class FlowsServed(msgspec.Struct, frozen=True, tag=True):
    """To control, before it is ready and at each reload: captures begin with these versions of flows from now on.

    ``flow_files``: names of the copies in the state directory, each made of a flow's id and its version. ``gateways``:
    names that a flow's step may ask for by now.
    """

    flow_files: tuple[str, ...]
    gateways: tuple[str, ...]


class PortsAvailable(msgspec.Struct, frozen=True, tag=True):
    """Rows of the media tables and the ports their sockets are bound to. Sent in batches before ProcessReady."""

    ports: tuple[MediaPorts, ...]
    complete: bool
    """True on the last batch."""


class ConfigureCde(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first message cde gets; comes with two file descriptors: digit slots, INFO mailbox.

    ``gateways``: the first is the primary, a second the fallback. ``scan_mode`` is for the memory scan of the tests:
    build pages lie in ordinary locked memory, which a scanner can read.
    """

    state_directory: str
    gateways: tuple[GatewaySettings, ...]
    star_codes: tuple[str, ...] = ("*1",)
    keys: KekSettings = KekSettings()
    velocity: tuple[VelocityRule, ...] = ()
    on_hang_up: str = "void"
    """What becomes of money when the caller hung up before he was told of it: ``void`` or ``keep``."""
    test: bool = False
    scan_mode: bool = False
    require: tuple[str, ...] = ()
    """Steps of the seal without which cde must not serve."""
    rehearsal: bool = False
    """Read everything, seal, and leave with 0: nothing live is touched."""


class ConfigureMedia(msgspec.Struct, frozen=True, tag=True):
    """First message to media; the one descriptor is the digit slots.

    ``star_codes`` are key sequences of the configuration (``*1``), heard on agent legs. The rest is [media] of the
    configuration: what stands in place of a key, how loud at most, and how long its echo is masked.
    """

    calls_max: int
    star_codes: tuple[str, ...] = ()
    mask_style: MaskStyle = MaskStyle.NOISE
    mask_level_dbm0: float = -50.0
    echo_hold_ms: int = 60


# --- any child -> supervisor ------------------------------------------------------------------------------


class ProcessReady(msgspec.Struct, frozen=True, tag=True):
    """The sender serves. Sent once after start."""

    process: ProcessName
    weaker: tuple[str, ...] = ()
    """Protections this kernel could not give, each as ``name: why``, for log and status."""


class Drained(msgspec.Struct, frozen=True, tag=True):
    """Answers Drain: no capture runs and nothing is being sent."""


class Heartbeat(msgspec.Struct, frozen=True, tag=True):
    """Sent every HEARTBEAT_INTERVAL_S; a process that stays silent is killed and started again."""

    process: ProcessName


class PeerLost(msgspec.Struct, frozen=True, tag=True):
    """The sender's channel to ``peer`` has closed. If the peer lives the two are joined anew.

    Of each pair only the first of control, media, cde says so.
    """

    peer: ProcessName


class StopService(msgspec.Struct, frozen=True, tag=True):
    """The sender cannot go on and restarting would not help; ``reason`` is for the operator."""

    reason: str


# --- control -> media -------------------------------------------------------------------------------------


class OpenCall(msgspec.Struct, frozen=True, tag=True):
    """Take ``row`` for a call. Both legs are born MUTE and send nothing before they have stream parameters."""

    call_id: CallId
    row: int


class SetStream(msgspec.Struct, frozen=True, tag=True):
    """Give or change one leg's stream parameters (answer, re-INVITE)."""

    call_id: CallId
    row: int
    role: LegRole
    stream: StreamParameters


class SetShield(msgspec.Struct, frozen=True, tag=True):
    """Change how the audio *coming from* ``role`` is treated. Answered by ShieldChanged.

    ``strictness`` holds until the next one.
    """

    call_id: CallId
    row: int
    role: LegRole
    mode: ShieldMode
    strictness: Strictness = AS_THE_SERVER_SAYS


class StartRecording(msgspec.Struct, frozen=True, tag=True):
    """Record the masked conversation into ``path`` (caller left, agent right)."""

    call_id: CallId
    row: int
    path: str


class LoadPrompts(msgspec.Struct, frozen=True, tag=True):
    """Take the prompts built in ``path`` into the pool. What plays goes on; a piece loaded again is the new one."""

    path: str


class PlayPrompt(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Play ``pieces`` (names of recorded pieces) one after the other to the phone of ``role``; it replaces what played.

    ``barge_in``: a key of that leg ends it. Answered by PromptEnded. ``play_id``: chosen by control.
    """

    call_id: CallId
    row: int
    role: LegRole
    play_id: int
    pieces: tuple[str, ...]
    loop: bool = False
    barge_in: bool = False


class StopPrompt(msgspec.Struct, frozen=True, tag=True):
    """End the prompt ``play_id``, if it still plays."""

    call_id: CallId
    row: int
    role: LegRole
    play_id: int


class CloseCall(msgspec.Struct, frozen=True, tag=True):
    """Free the row. Answered by CallClosed with the last statistics; recording is closed before it."""

    call_id: CallId
    row: int


class AskStatistics(msgspec.Struct, frozen=True, tag=True):
    """Answered by CallStatistics."""

    call_id: CallId
    row: int


# --- media -> control -------------------------------------------------------------------------------------


class ShieldChanged(msgspec.Struct, frozen=True, tag=True):
    """From the next packet on, audio coming from ``role`` is treated by ``mode``."""

    call_id: CallId
    role: LegRole
    mode: ShieldMode


class StarCodeKeyed(msgspec.Struct, frozen=True, tag=True):
    """A configured star code was keyed on a leg, by whichever door. ``code_index`` is its configured place."""

    call_id: CallId
    role: LegRole
    code_index: int


class PromptEnd(enum.StrEnum):
    """Why a prompt ended."""

    DONE = "done"
    STOPPED = "stopped"
    STOPPED_BY_KEY = "stopped_by_key"
    REPLACED = "replaced"
    MISSING = "missing"
    """A piece is not in the pool: nothing was played."""


class PromptEnded(msgspec.Struct, frozen=True, tag=True):
    """The prompt ``play_id`` plays no more."""

    call_id: CallId
    role: LegRole
    play_id: int
    reason: PromptEnd


class PromptsLoaded(msgspec.Struct, frozen=True, tag=True):
    """``count`` pieces of ``path`` lie in the pool; ``reason`` is empty, or a sentence for the operator."""

    path: str
    count: int
    reason: str = ""


class LineHinted(msgspec.Struct, frozen=True, tag=True):
    """How the tones of a leg arrive: short, weak, or in noise. Told once a capture for each hint."""

    call_id: CallId
    role: LegRole
    hint: Hint


class RecordingClosed(msgspec.Struct, frozen=True, tag=True):
    """The file is complete and will not change. ``frames_dropped`` counts frames a slow disk made us leave out.

    ``path`` is empty where the disk refused: what it took before lies beside the asked-for name as ``.part``.
    """

    call_id: CallId
    path: str
    duration_ms: int
    frames_dropped: int


class CallStatistics(msgspec.Struct, frozen=True, tag=True):
    """Counters of both legs."""

    call_id: CallId
    caller: LegStatistics
    agent: LegStatistics


class CallClosed(msgspec.Struct, frozen=True, tag=True):
    """The row is free; its ports may be used again after the quarantine."""

    call_id: CallId
    caller: LegStatistics
    agent: LegStatistics


# --- control -> cde ---------------------------------------------------------------------------------------


class StartCapture(msgspec.Struct, frozen=True, tag=True):
    """Arm a slot for the caller leg of ``row`` and wait for CollectField.

    ``flow``, ``caller`` (a keyed hash of the caller's number) and ``agent`` are what attempts are counted by.
    ``takes_over``: an earlier capture of this call that was cancelled with ``keeps``. What of its fields fits into
    ``spec`` is accepted from the start, which a CaptureProgress before CaptureArmed tells; the rest is wiped.
    """

    capture_id: CaptureId
    call_id: CallId
    row: int
    spec: CaptureSpec
    flow: str = ""
    caller: str = ""
    agent: str = ""
    takes_over: CaptureId = NO_CAPTURE


class CollectField(msgspec.Struct, frozen=True, tag=True):
    """Ask for ``field``: the next one, or any one again (its old content is wiped first).

    ``patience`` None: as the capture's specification has it. ``attempt``: where the count goes on. ``patience_only``:
    the field is not asked for; where it is still the one, only the patience changes, and no key is lost.
    """

    capture_id: CaptureId
    field: str
    patience: Patience | None = None
    attempt: int = 1
    patience_only: bool = False


class AskChoice(msgspec.Struct, frozen=True, tag=True):
    """Match one key against ``keys``, the options of a menu of the flow file. Answered by ChoiceMade or ChoiceRefused.

    The menu is closed then.
    """

    capture_id: CaptureId
    keys: tuple[str, ...]
    patience: Patience


class StopAsking(msgspec.Struct, frozen=True, tag=True):
    """Close the open field or menu, whatever was half keyed is wiped: the flow has gone elsewhere."""

    capture_id: CaptureId


class PromptSaid(msgspec.Struct, frozen=True, tag=True):
    """A prompt has begun, or is ``over``: the silence before the first key counts from its end."""

    capture_id: CaptureId
    over: bool


class SubmitCapture(msgspec.Struct, frozen=True, tag=True):
    """All fields are held: do ``operation`` with them. ``reference`` is the merchant's, digit runs refused by the API.

    ``amount_minor`` and ``currency`` (ISO 4217) for AUTHORIZE and CHARGE. ``gateway``: the only one that is asked, by
    its name; empty: the primary, then the fallback where the first has certainly done nothing.
    """

    capture_id: CaptureId
    reference: str = ""
    operation: OperationKind = OperationKind.TOKENIZE
    amount_minor: int = 0
    currency: str = ""
    gateway: str = ""


class OrderPayment(msgspec.Struct, frozen=True, tag=True):
    """Do something with an earlier operation, without a caller: answered by PaymentChanged.

    ``operation_id`` names the new operation, by whoever asks: the same id twice is done once. ``parent_id``: the
    operation whose token or reference is used. CHARGE, AUTHORIZE, CAPTURE, REFUND, VOID.
    """

    operation_id: OperationId
    parent_id: OperationId
    kind: OperationKind
    amount_minor: int = 0
    currency: str = ""
    reference: str = ""


class CancelCapture(msgspec.Struct, frozen=True, tag=True):
    """Wipe and end. ``result`` tells a hang-up from an agent's cancel and from a flow that ended by itself.

    ``keeps``: accepted fields are kept for a while, for another capture of this call to take over. Sent again for a
    capture that has ended, without it: wipe them.
    """

    capture_id: CaptureId
    result: CaptureResult = CaptureResult.CANCELLED
    keeps: bool = False


class PauseCapture(msgspec.Struct, frozen=True, tag=True):
    """Drop keys and stop the key timers; the mask stays on."""

    capture_id: CaptureId


class ResumeCapture(msgspec.Struct, frozen=True, tag=True):
    """Go on where PauseCapture stopped."""

    capture_id: CaptureId


class InfoMailed(msgspec.Struct, frozen=True, tag=True):
    """A SIP INFO body lies unparsed in ``cell`` of the mailbox page; cde parses it and wipes the cell."""

    call_id: CallId
    row: int
    role: LegRole
    cell: int
    length: int


# --- cde -> control: CaptureProgress, CaptureOutcome, StarCodeKeyed, and ----------------------------------


class CaptureArmed(msgspec.Struct, frozen=True, tag=True):
    """The slot is armed at media too: keys count from now on."""

    capture_id: CaptureId


class FieldGivenUp(msgspec.Struct, frozen=True, tag=True):
    """Attempts or time of ``field`` are used up; it is closed and wiped, everything else is held."""

    capture_id: CaptureId
    field: str
    reason: RejectReason


class ChoiceMade(msgspec.Struct, frozen=True, tag=True):
    """An option of the menu was keyed. ``ordinal``: its place, from 0; never its key."""

    capture_id: CaptureId
    ordinal: int


class ChoiceRefused(msgspec.Struct, frozen=True, tag=True):
    """No option of the menu was keyed."""

    capture_id: CaptureId
    reason: ChoiceFault


class ControlKeyed(msgspec.Struct, frozen=True, tag=True):
    """The caller asks for the prompt again, or for an agent; then the field or menu is closed."""

    capture_id: CaptureId
    key: ControlKey


class KeysHinted(msgspec.Struct, frozen=True, tag=True):
    """How the keys of a capture arrive: told once a field for each hint."""

    capture_id: CaptureId
    hint: Hint


class CellFreed(msgspec.Struct, frozen=True, tag=True):
    """The mailbox cell is wiped and may be used again."""

    cell: int


class PaymentChanged(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An operation at the gateway has a new state; told again where it is settled after its capture has ended."""

    operation_id: OperationId
    kind: OperationKind
    state: OperationState
    parent_id: OperationId = OperationId("")
    capture_id: CaptureId = CaptureId("")
    amount_minor: int = 0
    currency: str = ""
    gateway: str = ""
    code: str = ""
    test: bool = False


class VelocityStopped(msgspec.Struct, frozen=True, tag=True):
    """A rule against card testing has stopped a capture. ``rule``: its name in the configuration."""

    capture_id: CaptureId
    rule: str


class CapturesPaused(msgspec.Struct, frozen=True, tag=True):
    """cde is about to be replaced and starts no capture any more; the next one starts them again."""


class GatewayHealth(msgspec.Struct, frozen=True, tag=True):
    """How each gateway of cde was found last, the primary first: the whole list, at each change."""

    gateways: tuple[GatewayFound, ...]


# --- cde -> media -----------------------------------------------------------------------------------------


class ArmSlot(msgspec.Struct, frozen=True, tag=True):
    """Write keys of the caller leg of ``row`` into ``slot`` from now on. Answered by SlotArmed."""

    slot: int
    generation: int
    call_id: CallId
    row: int


class DisarmSlot(msgspec.Struct, frozen=True, tag=True):
    """Write nothing more into ``slot``."""

    slot: int
    generation: int


# --- media -> cde -----------------------------------------------------------------------------------------


class SlotArmed(msgspec.Struct, frozen=True, tag=True):
    """Keys go to the slot from now on. ``ok`` is False where the row does not hold that call."""

    slot: int
    generation: int
    ok: bool


class KeysWritten(msgspec.Struct, frozen=True, tag=True):
    """The slot's ring has keys up to ``head`` (mod 64). Says how many, never which.

    ``heard_s``: when media had the last of them, by the machine's monotonic clock, for cde may read this late.
    """

    slot: int
    generation: int
    head: int
    overrun: bool = False
    heard_s: float | None = None


ToChild = PeerConnected | SocketsPassed | Shutdown
ToControl = ConfigureControl | FlowsServed | PortsAvailable | ToChild
SupervisorToMedia = ConfigureMedia | PeerConnected | SocketsPassed | Shutdown
SupervisorToCde = ConfigureCde | GatewayResolved | PeerConnected | Drain | Shutdown
ToSupervisor = ProcessReady | Heartbeat | PeerLost | StopService | Drained
ControlToMedia = (
    OpenCall
    | SetStream
    | SetShield
    | StartRecording
    | CloseCall
    | AskStatistics
    | AskMediaHealth
    | LoadPrompts
    | PlayPrompt
    | StopPrompt
)
MediaToControl = (
    ShieldChanged
    | StarCodeKeyed
    | RecordingClosed
    | CallStatistics
    | MediaHealth
    | CallClosed
    | PromptEnded
    | PromptsLoaded
    | LineHinted
)
ControlToCde = (
    StartCapture
    | CollectField
    | AskChoice
    | StopAsking
    | PromptSaid
    | SubmitCapture
    | PauseCapture
    | ResumeCapture
    | CancelCapture
    | InfoMailed
    | OrderPayment
)
CdeToControl = (
    CaptureArmed
    | CaptureProgress
    | CaptureOutcome
    | StarCodeKeyed
    | CellFreed
    | CapturesPaused
    | GatewayHealth
    | PaymentChanged
    | VelocityStopped
    | FieldGivenUp
    | ChoiceMade
    | ChoiceRefused
    | ControlKeyed
    | KeysHinted
)
CdeToMedia = ArmSlot | DisarmSlot
MediaToCde = SlotArmed | KeysWritten
