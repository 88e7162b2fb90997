"""One flow file whole, and what cde needs of it."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from dtmf_shield.flow.language.fields import FlowField, field_spec
from dtmf_shield.flow.language.head import DEFAULT_KEYS, Defaults, Languages, Masking, MaxDuration
from dtmf_shield.flow.language.inputs import Input
from dtmf_shield.flow.language.prompts import Prompt
from dtmf_shield.flow.language.steps import CollectStep, MoneyStep, Step
from dtmf_shield.flow.language.words import ID_PATTERN, FieldName, Model, Name, PromptName, StepName
from dtmf_shield.model.capture import FIELDS_MAX, CaptureSpec, ResetKeys, SubmitKey, UndoKey

STEPS_MAX: Final = 64
INPUTS_MAX: Final = 32
PROMPTS_MAX: Final = 200
CAPTURE_MARGIN_MS: Final = 60_000
"""A flow whose time is up may still say so and hand the call over before cde ends the capture."""
CAPTURE_MS_MAX: Final = 1_800_000
"""How long cde holds what a flow without max_duration has collected; each step has a time of its own."""


class Flow(Model):
    """One flow file."""

    flow: Literal["v1"]
    """Version of the language."""
    id: Annotated[str, Field(pattern=ID_PATTERN)]
    """Name by which the flow is started, logged and audited."""
    title: Annotated[str, Field(min_length=1, max_length=80)]
    """What the agent's page calls it."""
    mode: Literal["agent_assisted", "self_service"]
    """agent_assisted: an agent stays on the line; self_service: nobody else is there."""
    agent_requests: (
        Literal["any", "none"] | Annotated[tuple[FieldName, ...], Field(max_length=FIELDS_MAX)]
    ) = "any"
    """Fields the agent may ask for again, in any order."""
    prompts_heard_by: Literal["caller", "both"] = "caller"
    """Who hears the prompts; both: the agent as well, while one is on the line."""
    max_duration: MaxDuration | None = None
    languages: Languages = Languages()
    inputs: Annotated[dict[Name, Input], Field(max_length=INPUTS_MAX)] = Field(default_factory=dict)
    defaults: Defaults = Defaults()
    masking: Masking = Masking()
    fields: Annotated[dict[FieldName, FlowField], Field(min_length=1, max_length=FIELDS_MAX)]
    prompts: Annotated[dict[PromptName, Prompt], Field(max_length=PROMPTS_MAX)] = Field(default_factory=dict)
    start: StepName
    """The first step."""
    steps: Annotated[dict[StepName, Step], Field(min_length=2, max_length=STEPS_MAX)]

    @property
    def moves_money(self) -> bool:
        """Whether a step charges or authorises."""
        return any(step.moves_money for step in self.money_steps)

    @property
    def money_steps(self) -> tuple[MoneyStep, ...]:
        """Return the steps at the gateway."""
        return tuple(step for step in self.steps.values() if isinstance(step, MoneyStep))

    @property
    def needs_amount(self) -> bool:
        """Whether whoever starts the flow must say an amount: the call does not bring it, and the flow has none."""
        amounts = (step.amount or "" for step in self.money_steps)
        named = (path.partition(".")[2] for path in amounts if path.startswith("inputs."))
        return any(name in self.inputs and self.inputs[name].origin == "api" for name in named)

    @property
    def reference_inputs(self) -> frozenset[str]:
        """Return the inputs that are the merchant's own name for the payment."""
        references = (step.reference or "" for step in self.money_steps)
        return frozenset(path.partition(".")[2] for path in references if path.startswith("inputs."))

    @property
    def required_inputs(self) -> tuple[str, ...]:
        """Return the inputs without which the flow does not start."""
        return tuple(name for name, given in self.inputs.items() if given.required)

    @property
    def asked_inputs(self) -> tuple[str, ...]:
        """Return the inputs that whoever starts the flow must say; the others come with the call."""
        return tuple(name for name, given in self.inputs.items() if given.required and given.origin == "api")

    def capture_spec(self) -> CaptureSpec:
        """The whole capture as cde needs it: fields that no step collects are none of its business."""
        collected = {
            step.field for step in self.steps.values() if isinstance(step, CollectStep)
        } or self.fields
        fields = tuple(field_spec(name, field) for name, field in self.fields.items() if name in collected)
        keys = self.defaults.keys.over(DEFAULT_KEYS)
        return CaptureSpec(
            fields=fields,
            attempts=self._attempts_max(),
            first_digit_timeout_ms=self.defaults.first_digit_timeout,
            inter_digit_timeout_ms=self.defaults.inter_digit_timeout,
            settle_timeout_ms=self.defaults.settle_timeout,
            total_timeout_ms=self._capture_ms(),
            pause_timeout_ms=self.defaults.pause_timeout,
            undo=UndoKey(keys.undo or "star"),
            reset=ResetKeys(keys.reset or "double"),
            submit=SubmitKey(keys.submit or "hash"),
        )

    def _capture_ms(self) -> int:
        return CAPTURE_MS_MAX if self.max_duration is None else self.max_duration.time + CAPTURE_MARGIN_MS

    def _attempts_max(self) -> int:
        """Return the attempts of the most patient step: the flow counts them, cde only bounds them."""
        said = [step.attempts for step in self.steps.values() if isinstance(step, CollectStep)]
        return max(attempts or self.defaults.attempts for attempts in said or [None])
