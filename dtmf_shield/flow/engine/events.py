"""What can happen to a running flow: told by cde, media, the agent's page and the call."""

from __future__ import annotations

import enum

import msgspec

from dtmf_shield.model.capture import CaptureResult, ChoiceFault, Hint, RejectReason


class ChargeOutcome(enum.StrEnum):
    """What the gateway says. UNKNOWN is never to be read as declined."""

    APPROVED = "approved"
    DECLINED = "declined"
    UNKNOWN = "unknown"
    GATEWAY_DOWN = "gateway_down"
    ACTION_REQUIRED = "action_required"
    STOPPED = "stopped"


class HookOutcome(enum.StrEnum):
    """How a look-up ended; no answer in time is ERROR."""

    OK = "ok"
    NOT_FOUND = "not_found"
    ERROR = "error"


class Timers(enum.StrEnum):
    """What the engine waits for; key timers are cde's."""

    REPEAT = "repeat"
    ANSWER = "answer"
    MAX_DURATION = "max_duration"


class Armed(msgspec.Struct, frozen=True, tag=True, gc=False):
    """cde listens for the field that was asked for."""


class Progressed(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Keys have come: how many, never which. Batched at 100-250 ms, as key timing is information."""

    field: str
    count: int
    brand: str = ""


class Accepted(msgspec.Struct, frozen=True, tag=True, gc=False):
    """cde holds the field. ``value``: only of a field that is not sensitive, money as "12.50"."""

    field: str
    brand: str = ""
    last4: str = ""
    value: str = ""


class TakenOver(msgspec.Struct, frozen=True, tag=True, gc=False):
    """cde holds these from the flow before, without an agent: they are not asked for the first time they come up."""

    fields: tuple[Accepted, ...]


class Rejected(msgspec.Struct, frozen=True, tag=True, gc=False):
    """An entry was refused and wiped; cde waits for the next one."""

    field: str
    reason: RejectReason


class FieldLost(msgspec.Struct, frozen=True, tag=True, gc=False):
    """cde holds the field no more: another one made it worthless."""

    field: str


class FieldFailed(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Attempts or time of the field are used up. ``reason``: of the last refusal."""

    field: str
    reason: RejectReason | None = None


class Undone(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The caller took back keys: ``count`` are left, of ``of`` (0: not yet certain)."""

    field: str
    count: int
    of: int = 0


class RepeatAsked(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The repeat key before the first digit, or in a menu."""


class Chosen(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The place of the option in the menu, from 0; not its key."""

    ordinal: int


class ChoiceRejected(msgspec.Struct, frozen=True, tag=True, gc=False):
    """No option of the menu was chosen."""

    reason: ChoiceFault


class AgentKeyPressed(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The key that leads to an agent, pressed alone."""


class PromptDone(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The prompt has ended, by itself or by a key."""


class ChargeAnswered(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The gateway's answer, or that there is none."""

    outcome: ChargeOutcome
    auth_code: str = ""
    code: str = ""


class HookAnswered(msgspec.Struct, frozen=True, tag=True, gc=False):
    """A look-up's answer; names to short texts."""

    outcome: HookOutcome
    values: tuple[tuple[str, str], ...] = ()


class TransferFailed(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Nobody took the call."""


class TransferDone(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The call is with the agent or in the queue."""


class AgentRedo(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The agent has the present field keyed again."""


class FieldRequested(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The agent asks for a field, the first time or again."""

    field: str


class AgentCancelled(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The agent ends the flow."""


class AgentChose(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The agent pressed what the menu calls agent_choice."""


class CallerGone(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The caller hung up."""


class Resumed(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The flow goes on in another process; ``accepted`` is what cde still holds, ``told`` what it says of it again."""

    accepted: tuple[str, ...] = ()
    told: tuple[Accepted, ...] = ()


class TimerFired(msgspec.Struct, frozen=True, tag=True, gc=False):
    """A timer that was set with this ``mark``; one that was set for something past means nothing."""

    timer: Timers
    mark: int


class QualityHinted(msgspec.Struct, frozen=True, tag=True, gc=False):
    """How the keys arrive."""

    hint: Hint


class GatewayChanged(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Whether the gateway answers at all."""

    up: bool


class CaptureEnded(msgspec.Struct, frozen=True, tag=True, gc=False):
    """cde has ended the whole capture; nothing is held any more."""

    result: CaptureResult


Event = (
    Armed | Progressed | Accepted | TakenOver | Rejected | FieldLost | FieldFailed | Undone | RepeatAsked | Chosen
    | ChoiceRejected | AgentKeyPressed | PromptDone | ChargeAnswered | HookAnswered | TransferFailed | TransferDone
    | AgentRedo | FieldRequested | AgentCancelled | AgentChose | CallerGone | Resumed | TimerFired | QualityHinted
    | GatewayChanged | CaptureEnded
)  # fmt: skip
