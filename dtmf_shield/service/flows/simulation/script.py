"""What happens in a simulation: lines of a script, or what the command line says.

A script has one line for each thing; a line that begins with # is a comment; what follows a line of --- is the expected
transcript and no script::

    input amount=12.50          what the flow is told          language fr-FR, dialled 4420
    gateway unknown             the next answer of the gateway, in order: approved declined unknown down ...
    hook ok balance=87.20       the next answer of a look-up: ok, not_found, error, none
    keys 4242424242424242#      keys after the prompt          type 1230: at once, over the prompt
    card visa                   the published test card of a brand, then #: no number need stand in the script
    wait 12s                    nothing, for a while
    agent redo                  agent ask pan, agent choose, agent cancel
    hint duplicate_keys         hangup, crash, transfer failed
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.flow.engine.events import (
    AgentCancelled,
    AgentChose,
    AgentRedo,
    CallerGone,
    ChargeOutcome,
    Event,
    FieldRequested,
    HookAnswered,
    HookOutcome,
    QualityHinted,
)
from dtmf_shield.flow.language.words import duration_ms
from dtmf_shield.model.capture import Hint
from dtmf_shield.phone.test_cards import CARDS_BY_NAME, KEYS, KeyGuard

LINES_MAX: Final = 500
KEYS_MAX: Final = 500
ALLOWED: Final = (
    "keys, type, card BRAND, wait, input NAME=VALUE, language, dialled, gateway OUTCOME, hook OUTCOME NAME=VALUE, "
    "agent redo|ask FIELD|choose|cancel, hint HINT, hangup, crash, transfer failed"
)
AUTH_CODE: Final = "T3ST01"
"""What the simulated gateway says with approved."""
_OUTCOMES: Final = {"down": ChargeOutcome.GATEWAY_DOWN} | {
    outcome.value: outcome for outcome in ChargeOutcome
}


@dataclass(frozen=True, slots=True)
class Press:
    """Keys: after the prompt, or ``at_once``. Test cards only."""

    keys: str
    at_once: bool = False

    def __repr__(self) -> str:
        return f"<Press of {len(self.keys)} keys>"


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing happens for a while."""

    duration_ms: int


@dataclass(frozen=True, slots=True)
class Crash:
    """The control process dies and another takes the run up from what is stored."""


Action = Press | Wait | Crash | Event


@dataclass(slots=True)
class Script:
    """Everything a simulation is told."""

    inputs: dict[str, str] = field(default_factory=dict)
    language: str = ""
    dialled: str = ""
    gateway: list[ChargeOutcome] = field(default_factory=list)
    hooks: list[HookAnswered | None] = field(default_factory=list)
    """None: no answer at all."""
    transfers_fail: bool = False
    actions: list[Action] = field(default_factory=list)


def parse_script(text: str) -> Script:
    """Read a script. Raises OperatorError with the line; a card number that is no test number is not repeated."""
    script, guard = Script(), KeyGuard()
    lines = text.splitlines()
    if len(lines) > LINES_MAX:
        raise OperatorError(f"script: more than {LINES_MAX} lines")
    for number, line in enumerate(lines, 1):
        if line.startswith("---"):
            break
        words = line.partition("#")[0].split() if not line.startswith(("keys", "type")) else line.split()[:2]
        if words:
            try:
                _take(script, guard, words)
            except ValueError as error:
                raise OperatorError(f"script line {number}: {error}") from None
    return script


def parse_line(script: Script, line: str) -> None:
    """Take one more line into a script. Raises OperatorError."""
    words = line.split()
    if words and all(key in KEYS for key in words[0]):
        words = ["keys", *words]
    try:
        _take(script, KeyGuard(), words)
    except ValueError as error:
        raise OperatorError(str(error)) from None


def _take(script: Script, guard: KeyGuard, words: list[str]) -> None:
    match words:
        case ["keys" | "type" as how, keys] if len(keys) <= KEYS_MAX:
            guard.new_entry()
            guard.admit(keys)
            script.actions.append(Press(keys, at_once=how == "type"))
        case ["card", brand] if brand in CARDS_BY_NAME:
            script.actions.append(Press(CARDS_BY_NAME[brand] + "#"))
        case ["wait", time]:
            script.actions.append(Wait(duration_ms(time)))
        case ["input", pair] if "=" in pair:
            name, _, value = pair.partition("=")
            script.inputs[name] = value
        case ["language", tag]:
            script.language = tag
        case ["dialled", number]:
            script.dialled = number
        case ["gateway", *outcomes] if outcomes and all(word in _OUTCOMES for word in outcomes):
            script.gateway += [_OUTCOMES[word] for word in outcomes]
        case ["hook", outcome, *pairs]:
            script.hooks.append(_hook(outcome, pairs))
        case ["transfer", "failed"]:
            script.transfers_fail = True
        case ["crash"]:
            script.actions.append(Crash())
        case _:
            script.actions.append(_event(words))


def _hook(outcome: str, pairs: list[str]) -> HookAnswered | None:
    if outcome == "none":
        return None
    values = tuple((name, value) for name, _, value in (pair.partition("=") for pair in pairs))
    return HookAnswered(HookOutcome(outcome), values)


def _event(words: list[str]) -> Event:
    match words:
        case ["agent", "redo"]:
            return AgentRedo()
        case ["agent", "ask", field_name]:
            return FieldRequested(field_name)
        case ["agent", "choose"]:
            return AgentChose()
        case ["agent", "cancel"]:
            return AgentCancelled()
        case ["hangup"]:
            return CallerGone()
        case ["hint", hint]:
            return QualityHinted(Hint(hint))
    raise ValueError(f"{' '.join(words)[:40]!r} is no line of a script; allowed: {ALLOWED}")
