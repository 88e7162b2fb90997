"""A flow made ready to run: its steps with all that is known before a call, its prompts split into pieces.

A call keeps the program it began with; reloading flows makes new programs for new calls.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dtmf_shield.flow.engine.commands import Collect, Command, Exit, ExitCause, OpenMenu, SetTimer
from dtmf_shield.flow.language.flow import Flow
from dtmf_shield.flow.language.steps import PromptRule, Step
from dtmf_shield.model.capture import Patience
from dtmf_shield.model.payment import OperationKind
from dtmf_shield.model.prompt import Formatter, Piece, Recording, Text

SAID_MAX: Final = 512
"""What is kept of prompts that were worked out, in one step."""
SayingKey = str | tuple[str | int | bool, ...]

Question = Collect | OpenMenu
Row = Mapping[type, Callable[[Any, Any], tuple[Any, tuple[Command, ...]]]]
"""From an event's type to what takes state and event, and returns state and commands."""
Begin = Callable[[Any, "CompiledStep"], tuple[Any, tuple[Command, ...]]]
"""What takes the state in the step that was entered and the step before, and returns state and commands."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a menu."""

    target: str
    sets: tuple[tuple[str, str], ...]
    language: str


@dataclass(frozen=True, slots=True)
class Order:
    """What a money step sends. ``amount``, empty where no money moves, and ``reference`` are literals or references.

    ``keyed``: those of them that the caller keys, with the field.
    """

    operation: OperationKind
    gateway: str
    amount: str
    reference: str
    timeout_ms: int
    keyed: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CompiledStep:
    """One step. ``next``: outcome to step; what a kind does not use stays empty."""

    name: str
    kind: str
    step: Step | None
    next: dict[str, str]
    row: Row = dataclasses.field(repr=False)
    """The handler of each kind of event in this kind of step."""
    begin: Begin = dataclasses.field(repr=False)
    """What this kind of step begins with."""
    patience: Patience | None = None
    slow: Patience | None = None
    field: str = ""
    rules: tuple[PromptRule, ...] = ()
    errors: Mapping[str, str] = dataclasses.field(default_factory=dict)
    barge_in: bool = True
    repeat_after_ms: int = 0
    options: tuple[Option, ...] = ()
    question: Question | None = None
    """What cde is asked at the first attempt, and in the slow mode."""
    slow_question: Question | None = None
    agent_option: int = -1
    order: Order | None = None
    operation: str = ""
    """Of the order, as values tell of it."""
    prompt: str = ""
    """What a play says, or what is said while an answer is waited for."""
    counted: bool = False
    """Whether visits are counted: with a limit, or a repeat."""
    limit_visits: int = 0
    limit_then: str = ""
    exit: Exit | None = None
    said: dict[SayingKey, Saying] = dataclasses.field(default_factory=dict, repr=False)
    """What this step says, as far as it was worked out already, by everything that chooses it. At most SAID_MAX."""

    @property
    def data(self) -> Any:
        """The step as the file has it. Exits without a step have none: they are entered and never asked."""
        return self.step


@dataclass(frozen=True, slots=True)
class Prompted:
    """One prompt in one language."""

    pieces: tuple[Piece, ...]
    loop: bool


@dataclass(frozen=True, slots=True)
class Saying:
    """What is asked and said at one place of a flow, worked out once: nothing of any call is in it."""

    question: tuple[Question, ...]
    pieces: tuple[Text | Recording | None, ...]
    """What is said; None where a value of the call is spoken."""
    gaps: tuple[Gap, ...]
    loop: bool
    commands: tuple[Command, ...]
    """All of it, ready to be given out wherever no value is spoken."""


Gap = tuple[int, str, Formatter]
"""Where in the pieces a value is spoken, its reference, and how it is spoken."""


@dataclass(frozen=True, slots=True)
class Fields:
    """Some fields of the flow, as they are held or forgotten together."""

    names: frozenset[str]
    paths: frozenset[str]
    """The references of all that they told."""
    card: bool
    """Whether the card number is among them."""


@dataclass(frozen=True, slots=True)
class Told:
    """The names under which a field's values are referred to."""

    last4: str
    brand: str
    variable: str
    field: str
    alone: Fields
    """This field and no other."""


@dataclass(frozen=True, slots=True)
class Program:
    """A flow, compiled. ``fingerprint`` names its version."""

    flow: Flow
    fingerprint: str
    start: CompiledStep
    steps: dict[str, CompiledStep]
    prompts: dict[tuple[str, str], Prompted]
    collects: dict[str, str]
    """Field to the first step that collects it."""
    voided: dict[str, Fields]
    """Field to all that is worthless once an agent has it keyed again, itself among them."""
    renewed: dict[str, Fields]
    """Field to all that is keyed anew with it where the caller goes back to it: with a card number all of the card."""
    released: frozenset[str]
    """Fields whose value the flow has once it was told: it is kept when cde holds it no more."""
    kept: frozenset[str]
    """Variables and answers of look-ups that are stored against a crash, as far as they were not keyed."""
    needed: Fields
    """Without which nothing is sent to the gateway."""
    told: dict[str, Told]
    spoken: dict[str, str]
    """Languages that are told with a call to those that are spoken, as far as that needs no working out; none of them
    where the dialled number chooses.
    """
    currency: str
    """Of every amount of the flow; empty without a charge, and where it is an input."""
    currency_from: str
    """Reference to the currency, where it is an input."""
    implicit: dict[ExitCause, CompiledStep]
    time_limit: tuple[SetTimer, ...]
