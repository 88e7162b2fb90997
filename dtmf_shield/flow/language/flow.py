"""One flow file whole, and what cde needs of it."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from dtmf_shield.flow.language.fields import LABELS, CardNumberField, FlowField
from dtmf_shield.flow.language.head import DEFAULT_KEYS, Defaults, Languages, Masking, MaxDuration
from dtmf_shield.flow.language.inputs import Input
from dtmf_shield.flow.language.prompts import Prompt
from dtmf_shield.flow.language.steps import Step
from dtmf_shield.flow.language.words import ID_PATTERN, FieldName, Model, Name, PromptName, StepName
from dtmf_shield.model.capture import CaptureSpec, FieldKind, FieldSpec, UndoKey

STEPS_MAX: Final = 64
FIELDS_MAX: Final = 8
INPUTS_MAX: Final = 32
PROMPTS_MAX: Final = 200


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

    def label(self, field: str) -> str:
        """Return what the agent's page calls a field."""
        found = self.fields[field]
        return found.label or LABELS[found.type]

    def capture_spec(self) -> CaptureSpec:
        """The whole capture as cde needs it. Raises ValueError for a kind of field that cde does not know."""
        fields = tuple(field_spec(name, field) for name, field in self.fields.items())
        keys = self.defaults.keys.over(DEFAULT_KEYS)
        return CaptureSpec(
            fields=fields,
            attempts=self.defaults.attempts,
            first_digit_timeout_ms=self.defaults.first_digit_timeout,
            inter_digit_timeout_ms=self.defaults.inter_digit_timeout,
            settle_timeout_ms=self.defaults.settle_timeout,
            total_timeout_ms=self.defaults.total_timeout,
            undo=UndoKey.STAR if keys.undo == "star" else UndoKey.NONE,
        )


def field_spec(name: str, field: FlowField) -> FieldSpec:
    """Return one field as cde needs it."""
    brands = field.brands if isinstance(field, CardNumberField) else ()
    return FieldSpec(name=name, kind=FieldKind(field.type), brands=brands)
