"""What a running flow asks for: of cde, of media, of the call and of the shell's clock."""

from __future__ import annotations

import enum

import msgspec

from dtmf_shield.flow.engine.events import Timers
from dtmf_shield.model.capture import Hint, Patience
from dtmf_shield.model.payment import OperationKind
from dtmf_shield.model.prompt import SpokenPiece


class Collect(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Let cde collect this field now. ``patience_only``: it is asked for already, go on at ``attempt`` with this."""

    field: str
    patience: Patience
    attempt: int = 1
    patience_only: bool = False


class OpenMenu(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Let cde match one key against ``keys`` (of the flow file); it answers with the place."""

    keys: tuple[str, ...]
    patience: Patience


class Play(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Say these pieces in a language. Replaces what is being said."""

    pieces: tuple[SpokenPiece, ...]
    language: str
    barge_in: bool = True
    loop: bool = False


class StopPrompt(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Say nothing more."""


class Charge(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Let cde do the operation with what it holds. Money in minor units; ``attempt`` counts cards of this call."""

    operation: OperationKind
    gateway: str
    amount_minor: int = 0
    currency: str = ""
    reference: str = ""
    attempt: int = 1


class CallHook(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Ask a hook of the configuration; ``send`` are names and texts of the flow, never account data."""

    hook: str
    send: tuple[tuple[str, str], ...]
    timeout_ms: int


class SetTimer(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Answer with TimerFired after ``delay_ms``; the shell owns the clock."""

    timer: Timers
    delay_ms: int
    mark: int


class Transfer(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Hand the call to an agent or a queue; cde keeps what it holds."""

    to: str
    target: str = ""


class ShowHint(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Tell the agent how the keys arrive."""

    hint: Hint


class ExitCause(enum.StrEnum):
    """Whether the flow ended where its file says, or without a step that does."""

    STEP = "step"
    CALLER_GONE = "caller_gone"
    AGENT_CANCELLED = "agent_cancelled"
    TOO_MANY_STEPS = "too_many_steps"
    TIME_UP = "time_up"


class Exit(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The flow is over."""

    result: str
    to: str = "agent"
    target: str = ""
    alert: str = ""
    cause: ExitCause = ExitCause.STEP


Command = (
    Collect | OpenMenu | Play | StopPrompt | Charge | CallHook | SetTimer | Transfer | ShowHint | Exit
)  # fmt: skip
