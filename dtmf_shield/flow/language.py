"""The flow language ``flow: v1``: pydantic models, the one source for loader, checker and editor schema.

This version knows the step kinds ``collect``, ``tokenize``, ``verify``, ``authorize``, ``charge`` and ``exit``.
Outcomes are a closed set per step kind; ``unknown`` is never ``declined``. Unknown keys are refused.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from dtmf_shield.model.capture import (
    FIELDS_MAX,
    CaptureSpec,
    DateFormat,
    FieldCheck,
    FieldKind,
    FieldSpec,
    ResetKeys,
    SubmitKey,
    UndoKey,
)
from dtmf_shield.model.field_rules import fault_of_fields
from dtmf_shield.model.payment import AMOUNT_MINOR_MAX, MOVES_MONEY, OperationKind

STEPS_MAX = 64
DURATION_MS_MAX = 900_000

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
FieldName = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,31}$")]
"""No digit: it is shown and logged where no digit may be."""


def _duration_ms(value: Any) -> int:
    match = re.fullmatch(r"(\d{1,6})(ms|s|m)", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('a duration such as "500ms", "15s" or "2m"')
    duration_ms = int(match[1]) * {"ms": 1, "s": 1_000, "m": 60_000}[match[2]]
    if not 0 < duration_ms <= DURATION_MS_MAX:
        raise ValueError(f"a duration of at most {DURATION_MS_MAX // 60_000}m")
    return duration_ms


DurationMs = Annotated[int, BeforeValidator(_duration_ms)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Keys(_Model):
    """What the keys do. Words, because a bare # is a comment in YAML."""

    submit: Literal["hash", "star", "none"] = "hash"
    undo: Literal["star", "hash", "none"] = "star"
    reset: Literal["double", "none"] = "double"
    """``double``: the undo key twice in a row empties the field."""

    @model_validator(mode="after")
    def _apart(self) -> Keys:
        if self.submit == self.undo != "none":
            raise ValueError("two keys for submit and undo: one key cannot do both")
        return self


class Defaults(_Model):
    """Attempts and patience, for every collect step."""

    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    first_digit_timeout: DurationMs = 20_000
    inter_digit_timeout: DurationMs = 6_000
    settle_timeout: DurationMs = 2_000
    total_timeout: DurationMs = 300_000
    pause_timeout: DurationMs = 300_000
    keys: Keys = Keys()


class FlowField(_Model):
    """One field that the caller keys. Parameters as ``model.capture.FieldSpec`` has them, by kind."""

    type: FieldKind
    label: Annotated[str, Field(min_length=1, max_length=40)]
    brands: tuple[Annotated[str, Field(pattern=r"^[a-z_]{2,20}$")], ...] = ()
    lengths: tuple[Annotated[int, Field(ge=12, le=19)], ...] = ()
    length_min: Annotated[int, Field(ge=0)] = 0
    length_max: Annotated[int, Field(ge=0)] = 0
    check: FieldCheck = FieldCheck.NONE
    value_min: Annotated[int, Field(ge=0)] = 0
    value_max: Annotated[int, Field(ge=0)] = 0
    currency: Annotated[str, Field(pattern=r"^([A-Z]{3})?$")] = ""
    country: Annotated[str, Field(pattern=r"^([A-Z]{2})?$")] = ""
    format: DateFormat = DateFormat.DDMMYYYY
    optional: bool = False
    sensitive: bool = True

    def spec(self, name: str) -> FieldSpec:
        """The field as cde needs it."""
        return FieldSpec(name=name, kind=self.type, **self.model_dump(exclude={"type", "label"}))


class Amount(_Model):
    """What is charged or authorized, where the flow and not the merchant's program says it."""

    minor: Annotated[int, Field(ge=1, le=AMOUNT_MINOR_MAX)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class CollectStep(_Model):
    """Ask for a field. ``failed``: attempts or time used up."""

    do: Literal["collect"]
    field: Name
    say: Annotated[str, Field(max_length=300)] = ""
    """What the agent tells the caller; shown on the agent's page."""
    next: dict[Literal["ok", "failed"], Name]

    @model_validator(mode="after")
    def _complete(self) -> CollectStep:
        return _require(self, "ok", "failed")


class TokenizeStep(_Model):
    """Exchange the collected card for a token."""

    do: Literal["tokenize"]
    say: Annotated[str, Field(max_length=300)] = ""
    next: dict[Literal["approved", "declined", "unknown", "gateway_down"], Name]

    @model_validator(mode="after")
    def _complete(self) -> TokenizeStep:
        return _require(self, "approved", "declined", "unknown", "gateway_down")


class PaymentStep(_Model):
    """Check the collected card, hold the amount on it, or take the amount."""

    do: Literal["verify", "authorize", "charge"]
    say: Annotated[str, Field(max_length=300)] = ""
    next: dict[Literal["approved", "declined", "action_required", "unknown", "gateway_down"], Name]

    @model_validator(mode="after")
    def _complete(self) -> PaymentStep:
        return _require(self, "approved", "declined", "action_required", "unknown", "gateway_down")


class ExitStep(_Model):
    """The end of the flow."""

    do: Literal["exit"]
    result: Literal["tokenized", "verified", "paid", "failed", "cancelled", "unknown"]
    say: Annotated[str, Field(max_length=300)] = ""


GatewayStep = TokenizeStep | PaymentStep
Step = Annotated[CollectStep | TokenizeStep | PaymentStep | ExitStep, Field(discriminator="do")]


_StepT = TypeVar("_StepT", CollectStep, TokenizeStep, PaymentStep)


def _require(step: _StepT, *outcomes: str) -> _StepT:
    missing = [name for name in outcomes if name not in step.next]
    if missing:
        raise ValueError(f"next must also say where to go on: {', '.join(missing)}")
    return step


class Flow(_Model):
    """One flow file."""

    flow: Literal["v1"]
    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
    title: Annotated[str, Field(min_length=1, max_length=80)]
    mode: Literal["agent_assisted"]
    defaults: Defaults = Defaults()
    fields: dict[FieldName, FlowField] = Field(min_length=1, max_length=FIELDS_MAX)
    amount: Amount | None = None
    """None: whoever starts the capture says it, if a step needs one."""
    start: Name
    steps: dict[Name, Step] = Field(min_length=2, max_length=STEPS_MAX)

    @model_validator(mode="after")
    def _closed(self) -> Flow:
        targets = {self.start: "start"}
        for name, step in self.steps.items():
            if isinstance(step, ExitStep):
                continue
            targets |= {target: f"steps.{name}.next.{outcome}" for outcome, target in step.next.items()}
            if isinstance(step, CollectStep) and step.field not in self.fields:
                raise ValueError(f"steps.{name}.field: no field is named {step.field!r}")
            if isinstance(step, GatewayStep):
                unknown = self.steps.get(step.next["unknown"])
                if not (isinstance(unknown, ExitStep) and unknown.result == "unknown"):
                    raise ValueError(f"steps.{name}.next.unknown must lead to an exit with result: unknown")
        for target, place in targets.items():
            if target not in self.steps:
                raise ValueError(f"{place}: no step is named {target!r}")
        if unreached := self.steps.keys() - targets.keys():
            raise ValueError(f"steps never reached: {', '.join(sorted(unreached))}")
        collected = {step.field for step in self.steps.values() if isinstance(step, CollectStep)}
        if never := self.fields.keys() - collected:
            raise ValueError(f"fields never collected: {', '.join(sorted(never))}")
        if fault := fault_of_fields(self._specs()):
            raise ValueError(f"fields: {fault}")
        if self.amount is not None and not self.moves_money:
            raise ValueError("amount: no step charges or authorizes; remove it")
        return self

    @property
    def moves_money(self) -> bool:
        """Whether a step charges or authorizes."""
        return any(
            isinstance(step, PaymentStep) and OperationKind(step.do) in MOVES_MONEY
            for step in self.steps.values()
        )

    @property
    def needs_amount(self) -> bool:
        """Whether whoever starts the capture must say an amount."""
        return self.moves_money and self.amount is None

    def _specs(self) -> tuple[FieldSpec, ...]:
        return tuple(field.spec(name) for name, field in self.fields.items())

    def capture_spec(self) -> CaptureSpec:
        """The whole capture as cde needs it."""
        return CaptureSpec(
            fields=self._specs(),
            attempts=self.defaults.attempts,
            first_digit_timeout_ms=self.defaults.first_digit_timeout,
            inter_digit_timeout_ms=self.defaults.inter_digit_timeout,
            settle_timeout_ms=self.defaults.settle_timeout,
            total_timeout_ms=self.defaults.total_timeout,
            pause_timeout_ms=self.defaults.pause_timeout,
            undo=UndoKey(self.defaults.keys.undo),
            reset=ResetKeys(self.defaults.keys.reset),
            submit=SubmitKey(self.defaults.keys.submit),
        )
