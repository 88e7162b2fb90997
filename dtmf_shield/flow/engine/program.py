"""A flow made ready to run: each step with its patience, prompts split into pieces, options in order.

A call keeps the program it began with; reloading flows makes new programs for new calls.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dtmf_shield.flow.engine.commands import Exit, ExitCause, Play
from dtmf_shield.flow.language.fields import ACCOUNT_TYPES, CARD_TYPES
from dtmf_shield.flow.language.flow import Flow
from dtmf_shield.flow.language.head import DEFAULT_KEYS, Keys
from dtmf_shield.flow.language.steps import (
    CollectStep,
    ExitStep,
    MenuStep,
    MoneyStep,
    PlayStep,
    PromptRule,
    Step,
)
from dtmf_shield.model.capture import Patience
from dtmf_shield.model.prompt import Formatter, Piece, Recording, Text, ValueReference

SLOW_FACTOR: Final = 2
"""Key timeouts of the slow mode, as a multiple."""
SAID_MAX: Final = 4_096
PATIENCE_MS_MAX: Final = 120_000

_KINDS: Final = {
    "charge": "money",
    "authorise": "money",
    "authorize": "money",
    "tokenize": "money",
    "verify": "money",
}
IMPLICIT: Final = {
    ExitCause.CALLER_GONE: "cancelled",
    ExitCause.AGENT_CANCELLED: "cancelled",
    ExitCause.CAPTURE_ENDED: "failed",
    ExitCause.TOO_MANY_STEPS: "failed",
    ExitCause.TIME_UP: "failed",
}
"""Exits that no step says, and their results."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a menu."""

    target: str
    sets: tuple[tuple[str, str], ...]
    language: str


@dataclass(frozen=True, slots=True)
class CompiledStep:
    """One step. ``next``: outcome to step; what a kind does not use stays empty."""

    name: str
    kind: str
    step: Step | None
    next: dict[str, str]
    patience: Patience | None = None
    slow: Patience | None = None
    field: str = ""
    rules: tuple[PromptRule, ...] = ()
    errors: Mapping[str, str] = dataclasses.field(default_factory=dict)
    barge_in: bool = True
    repeat_after_ms: int = 0
    options: tuple[Option, ...] = ()
    keys: tuple[str, ...] = ()
    agent_option: int = -1
    limit_visits: int = 0
    limit_then: str = ""
    exit: Exit | None = None

    @property
    def data(self) -> Any:
        """The step as the file has it. Exits without a step have none: they are entered and never asked."""
        return self.step


@dataclass(frozen=True, slots=True)
class Prompted:
    """One prompt in one language."""

    pieces: tuple[Piece, ...]
    has_values: bool
    loop: bool
    parts: tuple[tuple[Text | Recording | None, str, Formatter], ...]
    """The pieces once more; without a piece: the reference of a value."""


@dataclass(frozen=True, slots=True)
class Program:
    """A flow, compiled. ``fingerprint`` names its version."""

    flow: Flow
    fingerprint: str
    steps: dict[str, CompiledStep]
    prompts: dict[tuple[str, str], Prompted]
    collects: dict[str, str]
    """Field to the first step that collects it."""
    voided: dict[str, frozenset[str]]
    """Field to all that is worthless once an agent has it keyed again, itself among them."""
    card_fields: frozenset[str]
    """Fields of a card: another card has another expiry and another code."""
    needed: frozenset[str]
    """Fields without which nothing is sent to the gateway: of the card, and of the account."""
    currency: str
    """Literal or reference, for the money formatter; empty without a charge."""
    implicit: dict[ExitCause, CompiledStep]
    said: dict[tuple[str, ...], tuple[Play, ...]] = dataclasses.field(default_factory=dict)
    """What was worked out already: prompts without values, by everything that chooses them. At most SAID_MAX."""
    named: dict[tuple[str, ...], tuple[str, ...]] = dataclasses.field(default_factory=dict)
    """Likewise the names of prompts with values, which are looked up each time."""


def fingerprint(flow: Flow) -> str:
    """Return the SHA-256 over the flow's canonical form: what the audit log names beside the flow's id."""
    return hashlib.sha256(flow.model_dump_json(by_alias=True).encode()).hexdigest()


def compile_flow(flow: Flow) -> Program:
    """Make a checked flow ready to run."""
    defaults = flow.defaults.keys.over(DEFAULT_KEYS)
    steps = {name: _compiled(flow, name, step, defaults) for name, step in flow.steps.items()}
    prompts = {
        (name, language): _prompted(spoken)
        for name, prompt in flow.prompts.items()
        for language, spoken in prompt.root.items()
    }
    money = [step for step in flow.steps.values() if isinstance(step, MoneyStep) and step.currency]
    collects: dict[str, str] = {}
    for name, step in flow.steps.items():
        if isinstance(step, CollectStep):
            collects.setdefault(step.field, name)
    return Program(
        flow=flow,
        fingerprint=fingerprint(flow),
        steps=steps,
        prompts=prompts,
        collects=collects,
        voided={name: _voided(flow, name) for name in flow.fields},
        card_fields=frozenset(name for name, field in flow.fields.items() if field.type in CARD_TYPES),
        needed=frozenset(
            name
            for name, field in flow.fields.items()
            if field.type in CARD_TYPES | ACCOUNT_TYPES and name in collects
        ),
        currency=(money[0].currency or "") if money else "",
        implicit={cause: _implicit(cause, result) for cause, result in IMPLICIT.items()},
    )


def _implicit(cause: ExitCause, result: str) -> CompiledStep:
    to = "hangup" if cause is ExitCause.CALLER_GONE else "agent"
    return CompiledStep(
        name=f"({cause.value})", kind="exit", step=None, next={}, exit=Exit(result, to=to, cause=cause)
    )


def _voided(flow: Flow, field: str) -> frozenset[str]:
    """A new card number makes the old security code worthless (PCI DSS 3.3.1)."""
    if flow.fields[field].type != "card_number":
        return frozenset({field})
    codes = {name for name, other in flow.fields.items() if other.type == "security_code"}
    return frozenset({field} | codes)


def _prompted(spoken: Any) -> Prompted:
    pieces = spoken.pieces()
    parts = tuple(
        (None, piece.reference, piece.formatter)
        if isinstance(piece, ValueReference)
        else (piece, "", Formatter.SPELL)
        for piece in pieces
    )
    return Prompted(pieces, any(part[0] is None for part in parts), spoken.loop, parts)


def _compiled(flow: Flow, name: str, step: Step, keys: Keys) -> CompiledStep:
    common: dict[str, Any] = {"name": name, "kind": _KINDS.get(step.do, step.do), "step": step}
    if isinstance(step, ExitStep):
        way_out = Exit(step.result, step.to, step.target or "", step.alert or "")
        return CompiledStep(**common, next={}, exit=way_out)
    common["next"] = dict(step.next)
    if step.limit is not None:
        common |= {"limit_visits": step.limit.visits, "limit_then": step.limit.then}
    if isinstance(step, CollectStep | MenuStep) and "agent_key" not in step.next:
        keys = keys.model_copy(update={"agent": "none"})  # nowhere to go: the key is a key like any other
    if isinstance(step, CollectStep):
        own = step.keys.over(keys) if step.keys is not None else keys
        return CompiledStep(**common, **_asking(flow, step, own), field=step.field, errors=_errors(step))
    if isinstance(step, MenuStep):
        own = keys.model_copy(update={"agent": step.agent}) if step.agent is not None else keys
        return CompiledStep(**common, **_asking(flow, step, own), **_menu(step), errors=_errors(step))
    if isinstance(step, PlayStep):
        return CompiledStep(**common, barge_in=_barge_in(flow, step.barge_in))
    return CompiledStep(**common)


def _barge_in(flow: Flow, said: bool | None) -> bool:
    return flow.defaults.barge_in if said is None else said


def _errors(step: CollectStep | MenuStep) -> dict[str, str]:
    return {str(reason): prompt for reason, prompt in step.errors.items()}


def _menu(step: MenuStep) -> dict[str, Any]:
    options = tuple(
        Option(target, tuple(step.set.get(key, {}).items()), step.set_language.get(key, ""))
        for key, target in step.keys.items()
    )
    keys = tuple(step.keys)
    agent = keys.index(step.agent_choice) if step.agent_choice in keys else -1
    return {"options": options, "keys": keys, "agent_option": agent}


def _asking(flow: Flow, step: CollectStep | MenuStep, keys: Keys) -> dict[str, Any]:
    defaults = flow.defaults
    settle = step.settle_timeout if isinstance(step, CollectStep) else None
    times = {
        "first_digit_timeout_ms": step.first_digit_timeout or defaults.first_digit_timeout,
        "inter_digit_timeout_ms": step.inter_digit_timeout or defaults.inter_digit_timeout,
        "settle_timeout_ms": settle or defaults.settle_timeout,
    }
    fixed = {
        "attempts": step.attempts or defaults.attempts,
        "total_timeout_ms": step.total_timeout or defaults.total_timeout,
        "type_ahead": step.type_ahead,
        **{name: str(word) for name, word in keys if word is not None},
    }
    patience = Patience(**times, **fixed)  # type: ignore[arg-type]  # the names are the struct's own
    slower = {name: min(SLOW_FACTOR * time_ms, PATIENCE_MS_MAX) for name, time_ms in times.items()}
    slow = patience
    if defaults.patience == "adapt":
        slow = Patience(**slower, **fixed)  # type: ignore[arg-type]  # likewise
    after = defaults.repeat_after if step.repeat_after == "default" else step.repeat_after
    return {
        "patience": patience,
        "slow": slow,
        "rules": step.prompts,
        "barge_in": _barge_in(flow, step.barge_in),
        "repeat_after_ms": after if after and after < times["first_digit_timeout_ms"] else 0,
    }
