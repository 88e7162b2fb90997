"""The head of a flow: duration, languages, patience, keys and how strictly keys are masked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, Strict, WithJsonSchema

from dtmf_shield.flow.language.words import (
    DURATION_SCHEMA,
    DurationMs,
    Flag,
    Key,
    KeyWord,
    LanguageTag,
    LongDurationMs,
    Model,
    StarWord,
    StepName,
)


class MaxDuration(Model):
    """The longest a flow may take."""

    time: LongDurationMs
    """Counted from the first step."""
    then: StepName
    """Where to go when time is up. A charge in flight is never cut: its answer is waited for."""


class Languages(Model):
    """Which languages the prompts are spoken in."""

    default: LanguageTag = "en-GB"
    """Spoken where nothing else is chosen."""
    offered: Annotated[tuple[LanguageTag, ...], Field(min_length=1, max_length=12)] = ("en-GB",)
    """Every prompt must exist in each of them."""
    choose_by: Literal["call.language", "menu", "did"] = "call.language"
    """call.language: told with the call; menu: a menu with set_language; did: by the dialled number."""
    did: dict[Annotated[str, Field(pattern=r"^\+?[0-9]{1,18}\*?$")], LanguageTag] = Field(
        default_factory=dict
    )
    """Dialled number, or its beginning and a star, in quotes, to language."""
    fallback: dict[LanguageTag, LanguageTag] = Field(default_factory=dict)
    """A language that is not offered to one that is."""

    def resolve(self, wanted: str) -> str:
        """Return the offered language for ``wanted``: exact, fallback, same primary language, default."""
        if not wanted or wanted in self.offered:
            return wanted or self.default
        primary = wanted.partition("-")[0]
        candidates = [wanted, self.fallback.get(wanted, "")]
        candidates += [tag for tag in self.offered if tag.partition("-")[0] == primary]
        return next((tag for tag in candidates if tag in self.offered), self.default)

    def of_dialled(self, number: str) -> str:
        """Return the language of a dialled number; the longest beginning that matches wins."""
        for pattern in sorted(self.did, key=len, reverse=True):
            if number == pattern or (pattern.endswith("*") and number.startswith(pattern[:-1])):
                return self.resolve(self.did[pattern])
        return self.default


class Keys(Model):
    """What the keys that are no digits do, and the way out. Words, see the traps of YAML."""

    submit: KeyWord = None
    """Ends an entry. hash where nothing is said."""
    undo: KeyWord = None
    """Takes back the last digit. star where nothing is said."""
    reset: Literal["double", "none"] | None = None
    """double: the undo key twice in a row empties the field."""
    repeat: StarWord = None
    """Pressed before the first digit: the prompt is said again; so two stars empty a field and repeat its prompt."""
    agent: Key | Literal["none"] | None = None
    """A digit in quotes that leads to an agent: only pressed alone, then hash or silence. none: no such key."""

    def over(self, below: Keys) -> Keys:
        """Return these keys with ``below`` where they say nothing: merged key by key."""
        said = {name: value for name, value in self if value is not None}
        return below.model_copy(update=said)


DEFAULT_KEYS = Keys(submit="hash", undo="star", reset="double", repeat="star", agent="none")


def _repeat_after(value: object) -> object:
    return None if value == "none" else value


Attempts = Annotated[int, Strict(), Field(ge=1, le=10)]
RepeatAfterMs = Annotated[
    DurationMs | None,
    BeforeValidator(_repeat_after),
    WithJsonSchema({"anyOf": [DURATION_SCHEMA, {"const": "none"}]}),
]


class Defaults(Model):
    """Attempts, patience and keys of every step that does not say otherwise."""

    attempts: Attempts = 3
    """Entries before a step ends as failed."""
    first_digit_timeout: DurationMs = 20_000
    """How long the first key may take, and a pause below the shortest accepted length."""
    inter_digit_timeout: DurationMs = 6_000
    """Silence that submits an entry of an accepted length."""
    settle_timeout: DurationMs = 2_000
    """Silence that submits a card number of the brand's usual length whose check digit is right."""
    total_timeout: DurationMs = 300_000
    """How long a collect step may take with all its attempts."""
    pause_timeout: DurationMs = 300_000
    """How long the agent may pause and talk; keys are masked and dropped meanwhile."""
    repeat_after: RepeatAfterMs = 10_000
    """Silence after a prompt before it is said once more, without costing an attempt; none: never."""
    patience: Literal["adapt", "fixed"] = "adapt"
    """adapt: double every key timeout for callers whose fingers are slow or whose keys come twice."""
    keys: Keys = Keys()
    """What the keys do. A step's keys are merged over these, key by key."""
    barge_in: Flag = True
    """Whether a key stops the prompt. Keys typed during a prompt count either way."""


class Masking(Model):
    """How keys are hidden. The server's policy is a floor: a flow may only be stricter.

    What is said here holds with the mask: from where ``scope`` says to the end of the tail after the flow.
    """

    agent_hears: Literal["silence", "flat_tone", "comfort_noise"] | None = None
    """What the agent hears in place of a key; the server's `media.mask_style` where that tells less: silence tells
    least, then comfort_noise, then flat_tone. Nothing said: as the server says."""
    agent_sees: tuple[Literal["count", "brand", "last4"], ...] = ("count", "brand", "last4")
    """What the agent's page shows of an entry; last4 once the number is accepted."""
    caller_hears_agent: Flag = True
    """false: the caller hears prompts and, in place of all that the agent says, what stands in place of a key."""
    agent_hears_caller: Flag = True
    """true: voice passes, keys do not. false: nothing of the caller passes; keys count as ever."""
    recording: Literal["mask", "pause"] = "mask"
    """mask: voices are recorded as the other side hears them. pause: silence, for both sides, is recorded instead."""
    scope: Literal["whole_flow", "collect_steps"] = "whole_flow"
    """collect_steps: masked from the first step that takes keys to the end of the flow; whole_flow is stricter."""
