"""What a flow does, one model a step kind. Outcomes are a closed set per kind; the bold ones must be there."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field, Strict, model_validator

from dtmf_shield.flow.language.fields import Brand
from dtmf_shield.flow.language.head import Attempts, Keys, RepeatAfterMs
from dtmf_shield.flow.language.prompts import AttemptWord, ErrorWord
from dtmf_shield.flow.language.words import (
    Currency,
    DurationMs,
    FieldName,
    Flag,
    Key,
    LanguageTag,
    Model,
    Money,
    Name,
    PromptName,
    ReferencePath,
    StepName,
)

PROMPT_RULES_MAX: Final = 24
SEND_MAX: Final = 16
SERVICE_TARGET_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"

Visits = Annotated[int, Strict(), Field(ge=1, le=20)]
DEFAULT_GATEWAY: Final = "default"
Target = Annotated[str, Field(pattern=SERVICE_TARGET_PATTERN)]
ExitResult = Literal[
    "paid", "authorised", "tokenized", "verified", "completed", "failed", "cancelled", "unknown"
]


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class Limit(Model):
    """How often a step may be entered."""

    visits: Visits
    then: StepName
    """Where to go instead when it is entered once more."""


class PromptRule(Model):
    """One prompt and when it is said; the first rule that fits is taken."""

    play: PromptName
    attempt: AttemptWord | None = None
    """The attempt in quotes or not, as 1; 2+ means the second and every later one."""
    brand: Annotated[
        tuple[Brand, ...],
        BeforeValidator(_one_or_more, json_schema_input_type=Brand | tuple[Brand, ...]),
    ] = ()
    """Only for a card of one of these brands."""
    error: Annotated[
        tuple[ErrorWord, ...],
        BeforeValidator(_one_or_more, json_schema_input_type=ErrorWord | tuple[ErrorWord, ...]),
    ] = ()
    """Only after an entry was refused for one of these reasons."""

    @model_validator(mode="before")
    @classmethod
    def _attempt_as_text(cls, data: Any) -> Any:
        # The one place where a bare number is plainly no digit of anyone: attempt: 1
        if isinstance(data, dict) and type(data.get("attempt")) is int:
            return {**data, "attempt": str(data["attempt"])}
        return data

    def fits(self, attempt: int, brand: str, error: str) -> bool:
        """Whether this prompt is the one for the state of the entry."""
        if self.attempt is not None:
            wanted = int(self.attempt.rstrip("+"))
            if not (attempt >= wanted if self.attempt.endswith("+") else attempt == wanted):
                return False
        return (not self.brand or brand in self.brand) and (not self.error or error in self.error)


PromptRules = Annotated[tuple[PromptRule, ...], Field(max_length=PROMPT_RULES_MAX)]


class _Step(Model):
    REQUIRED: ClassVar[tuple[str, ...]] = ()

    say: Annotated[str, Field(max_length=300)] = ""
    """What the agent tells the caller; shown on the agent's page, not spoken by the service."""


class _Going(_Step):
    limit: Limit | None = None
    """Bounds a loop: after so many visits the flow goes elsewhere."""

    @model_validator(mode="after")
    def _complete(self) -> Any:
        outcomes = getattr(self, "next", {})  # each kind has its own closed set
        missing = [name for name in self.REQUIRED if name not in outcomes]
        if missing:
            raise ValueError(f"next must also say where to go on: {', '.join(missing)}")
        return self


class _Asking(_Going):
    prompts: PromptRules = ()
    """What is said when the step begins and after each refused entry."""
    attempts: Attempts | None = None
    first_digit_timeout: DurationMs | None = None
    inter_digit_timeout: DurationMs | None = None
    total_timeout: DurationMs | None = None
    repeat_after: RepeatAfterMs | Literal["default"] = "default"
    """Silence before the prompt is said once more; none: never."""
    barge_in: Flag | None = None
    type_ahead: Literal["keep", "drop"] = "keep"
    """drop: keys typed before the step begins do not count. Needed before a menu that leads to money."""


class CollectStep(_Asking):
    """Ask for a field until it is accepted or the attempts are used up."""

    REQUIRED = ("ok", "failed")

    do: Literal["collect"]
    field: FieldName
    """The field to be keyed. Held already (asked for out of order): the step is passed."""
    settle_timeout: DurationMs | None = None
    errors: dict[ErrorWord, PromptName] = Field(default_factory=dict)
    """Reason of a refused entry to the prompt that says so, before the step's own prompt."""
    keys: Keys | None = None
    """Merged key by key over those of defaults."""
    next: dict[
        Literal[
            "ok", "failed", "agent_redo", "agent_cancel", "agent_key", "gateway_down", "use_other_channel"
        ],
        StepName,
    ]
    """ok, failed (attempts or time used up); gateway_down: known to be down, the field is not asked for."""


class MenuStep(_Asking):
    """Let the caller choose by one key. Only the option's place leaves cde, not the key."""

    REQUIRED = ("failed",)

    do: Literal["menu"]
    keys: Annotated[dict[Key, StepName], Field(min_length=1, max_length=10)]
    """Key in quotes to step."""
    set: dict[Key, dict[Name, ReferencePath]] = Field(default_factory=dict)
    """Key to what it sets: vars name to reference."""
    set_language: dict[Key, LanguageTag] = Field(default_factory=dict)
    """Key to the language spoken from then on."""
    agent_choice: Key | None = None
    """The key that a press of the agent's page stands for ("Take payment")."""
    agent: Key | Literal["none"] | None = None
    """Key to an agent in this menu, else as defaults.keys.agent."""
    errors: dict[Literal["timeout", "wrong_key"], PromptName] = Field(default_factory=dict)
    next: dict[Literal["failed", "agent_redo", "agent_cancel", "agent_key"], StepName]


class PlayStep(_Going):
    """Say something, values included."""

    REQUIRED = ("ok",)

    do: Literal["play"]
    prompt: PromptName
    barge_in: Flag | None = None
    next: dict[Literal["ok", "agent_cancel"], StepName]


class SetStep(_Going):
    """Set variables from references."""

    REQUIRED = ("ok",)

    do: Literal["set"]
    set: Annotated[dict[Name, ReferencePath], Field(min_length=1, max_length=SEND_MAX)]
    """vars name to reference."""
    language: LanguageTag | None = None
    """Spoken from then on."""
    next: dict[Literal["ok"], StepName]


class HookRequest(Model):
    """What is asked of whom."""

    hook: Name
    """Name of a hook in the server's configuration, which holds its address: never a URL in a flow."""
    send: Annotated[tuple[ReferencePath, ...], Field(max_length=SEND_MAX)] = ()
    """Inputs, variables and released fields. Card data cannot be named here."""


class HttpStep(_Going):
    """Look something up at the merchant's. Never with card data."""

    REQUIRED = ("ok", "error")

    do: Literal["http"]
    request: HookRequest
    save: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")] = "answer"
    """Name under which the answer's values are referred to."""
    timeout: DurationMs = 4_000
    while_waiting: PromptName | None = None
    next: dict[Literal["ok", "not_found", "error", "agent_cancel"], StepName]
    """error includes no answer in time."""


class MoneyStep(_Going):
    """Do something with the card at the gateway, once. Not cancellable once sent."""

    REQUIRED = ("approved", "declined", "unknown", "gateway_down")

    do: Literal["charge", "authorise", "authorize", "tokenize", "verify"]
    """charge takes money, authorise holds it, tokenize exchanges the card for a token, verify checks it."""
    gateway: Target = DEFAULT_GATEWAY
    """Name of a gateway of the server's configuration: that one is asked and no other. default: the first, and the
    fallback where the first has certainly done nothing."""
    amount: Money | ReferencePath | None = None
    """Reference to money, or a fixed price in quotes. For charge and authorise."""
    currency: Currency | ReferencePath | None = None
    """Three capitals, or a reference to an input of that type. For charge and authorise."""
    reference: ReferencePath | None = None
    """Reference to the merchant's own name for the payment."""
    idempotency: Literal["call_and_attempt"] = "call_and_attempt"
    """The only value: the key is stable per call, capture, operation, amount, currency and card."""
    while_waiting: PromptName | None = None
    """Said until the answer is there."""
    timeout: DurationMs = 30_000
    """No answer within it is unknown, which is not declined."""
    next: dict[
        Literal["approved", "declined", "unknown", "gateway_down", "action_required", "stopped"], StepName
    ]
    """action_required (the bank wants another channel) and stopped (a velocity rule: too many cards were tried) go to
    declined where not said. Say stopped where declined asks for another card: that would be stopped as well."""

    @model_validator(mode="after")
    def _amount_where_money_moves(self) -> MoneyStep:
        moves = self.do in ("charge", "authorise", "authorize")
        if moves and (self.amount is None or self.currency is None):
            raise ValueError(f"{self.do} needs amount and currency")
        if not moves and (self.amount is not None or self.currency is not None):
            raise ValueError(f"{self.do} moves no money: no amount and no currency")
        return self

    @property
    def moves_money(self) -> bool:
        """Whether the caller's money is touched."""
        return self.amount is not None


class TransferStep(_Going):
    """Hand the caller to an agent or a queue; entered fields stay with cde. Ends the flow where it works."""

    REQUIRED = ("failed",)

    do: Literal["transfer"]
    to: Literal["agent", "queue"]
    target: Target | None = None
    """Name of an agent or queue of the server's configuration."""
    result: ExitResult = "failed"
    """How the flow ended where the transfer works."""
    next: dict[Literal["failed"], StepName]


class RepeatStep(_Going):
    """Go again to a step, a counted number of times, then on."""

    REQUIRED = ("done",)

    do: Literal["repeat"]
    step: StepName
    times: Visits
    next: dict[Literal["done"], StepName]


class ExitStep(_Step):
    """The end of the flow."""

    do: Literal["exit"]
    result: ExitResult
    """How it ended. unknown only, and always, where a charge got no answer."""
    to: Literal["agent", "queue", "hangup"] = "agent"
    """Who has the call then: the agent who has it already, a queue, nobody."""
    target: Target | None = None
    """Name of the queue."""
    alert: Literal["reconcile"] | None = None
    """reconcile: a person must look at the payment: `flow_alert` in log and audit log."""


Step = Annotated[
    CollectStep | MenuStep | PlayStep | SetStep | HttpStep | MoneyStep | TransferStep | RepeatStep | ExitStep,
    Field(discriminator="do"),
]
GoingStep = CollectStep | MenuStep | PlayStep | SetStep | HttpStep | MoneyStep | TransferStep | RepeatStep


def targets_of(step: Step) -> dict[str, str]:
    """Return every way out of a step, by the path of the key that names it, to the step it leads to."""
    if isinstance(step, ExitStep):
        return {}
    ways = {f"next.{outcome}": target for outcome, target in step.next.items()}
    if isinstance(step, MenuStep):
        ways |= {f"keys.{key}": target for key, target in step.keys.items()}
    if isinstance(step, RepeatStep):
        ways["step"] = step.step
    if step.limit is not None:
        ways["limit.then"] = step.limit.then
    return ways


def prompts_of(step: Step) -> dict[str, str]:
    """Return every prompt a step names, by the path of the key that names it."""
    named: dict[str, str] = {}
    if isinstance(step, CollectStep | MenuStep):
        named |= {f"prompts.{place}.play": rule.play for place, rule in enumerate(step.prompts)}
        named |= {f"errors.{reason}": prompt for reason, prompt in step.errors.items()}
    if isinstance(step, PlayStep):
        named["prompt"] = step.prompt
    if isinstance(step, HttpStep | MoneyStep) and step.while_waiting is not None:
        named["while_waiting"] = step.while_waiting
    return named
