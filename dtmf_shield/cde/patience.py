"""What a step's patience means for keys: words of the flow file made key codes, checked once at the door."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.model.capture import CaptureSpec, Patience

DEBOUNCE_MS_MAX: Final = 500
"""Honest presses of the same key are further apart than this, however fast the fingers."""
NO_KEY: Final = 0
"""The code of a key that does not exist: no press has it."""
DIGITS: Final = frozenset(b"0123456789")
KEYPAD: Final = DIGITS | frozenset(b"*#")
"""What a telephone has. A to D come from signalling only and mean nothing."""
_WORDS: Final = {"star": ord("*"), "hash": ord("#"), "none": NO_KEY}
_AGENT_WORDS: Final = {"none": NO_KEY} | {chr(code): code for code in DIGITS}
_RESETS: Final = {"double": True, "none": False}


@dataclass(frozen=True, slots=True)
class StepKeys:
    """Codes of the keys that are no digits of an entry, NO_KEY for none. ``resets``: undo twice empties the field."""

    submit: int
    undo: int
    repeat: int
    agent: int
    resets: bool


def patience_of(spec: CaptureSpec) -> Patience:
    """Return the patience of a step that names none: the capture's, without repeat key and without an agent's."""
    return Patience(
        attempts=spec.attempts,
        first_digit_timeout_ms=spec.first_digit_timeout_ms,
        inter_digit_timeout_ms=spec.inter_digit_timeout_ms,
        settle_timeout_ms=spec.settle_timeout_ms,
        total_timeout_ms=spec.total_timeout_ms,
        submit=spec.submit.value,
        undo=spec.undo.value,
        reset=spec.reset.value,
        repeat="none",
    )


def step_keys(patience: Patience) -> StepKeys:
    """Return the key codes. Raises InvariantError for words, times or meanings that no flow file can have."""
    try:
        keys = StepKeys(
            submit=_WORDS[patience.submit],
            undo=_WORDS[patience.undo],
            repeat=_WORDS[patience.repeat],
            agent=_AGENT_WORDS[patience.agent],
            resets=_RESETS[patience.reset],
        )
    except KeyError:
        raise InvariantError("a step's keys are said by words that no flow file has") from None
    if keys.submit and keys.submit in (keys.undo, keys.repeat):
        raise InvariantError("one key cannot submit and undo or repeat")
    times_ms = (
        patience.first_digit_timeout_ms,
        patience.inter_digit_timeout_ms,
        patience.settle_timeout_ms,
        patience.total_timeout_ms,
    )
    if patience.attempts < 1 or min(times_ms) <= 0 or not 0 <= patience.debounce_ms <= DEBOUNCE_MS_MAX:
        raise InvariantError("a step's attempts and times are beyond their limits")
    return keys
