"""The state table of a capture, and its drawing for docs/reference/capture.md."""

from __future__ import annotations

import enum
from typing import Final

from dtmf_shield.model.capture import CaptureState


class Input(enum.Enum):
    """What can happen to a capture."""

    ARMED = "armed"
    COLLECT = "collect"
    MENU = "menu"
    DIGIT = "digit"
    EMPTIED = "emptied"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    GIVEN_UP = "given up"
    CHOSEN = "chosen"
    NOT_CHOSEN = "not chosen"
    AGENT_KEY = "agent key"
    CLOSED = "stop asking"
    PAUSE = "pause"
    RESUME_HELD = "resume, no field open"
    RESUME_WAITING = "resume, field empty"
    RESUME_KEYING = "resume, field begun"
    RESUME_CHOOSING = "resume, menu open"
    SUBMIT = "submit"
    VELOCITY = "stopped by a rule against card testing"
    TOKENIZED = "tokenized"
    SETTLING = "no believable answer"
    APPROVED = "approved"
    NOT_APPROVED = "not approved"
    STOP = "stop"


class Change(enum.IntEnum):
    """Whether there is news for control. LATER may be batched; NOW is an edge that must not be lost."""

    NONE = 0
    LATER = 1
    NOW = 2


_S = CaptureState
_I = Input
TRANSITIONS: Final[dict[tuple[CaptureState, Input], CaptureState]] = {
    (_S.IDLE, _I.ARMED): _S.HELD,
    (_S.IDLE, _I.STOP): _S.FAILED,
    (_S.HELD, _I.COLLECT): _S.WAITING,
    (_S.HELD, _I.MENU): _S.CHOOSING,
    # It crossed what closed the field or the menu.
    (_S.HELD, _I.CLOSED): _S.HELD,
    (_S.HELD, _I.PAUSE): _S.PAUSED,
    (_S.HELD, _I.SUBMIT): _S.SENDING,
    (_S.HELD, _I.STOP): _S.FAILED,
    (_S.WAITING, _I.COLLECT): _S.WAITING,
    (_S.WAITING, _I.MENU): _S.CHOOSING,
    (_S.WAITING, _I.DIGIT): _S.KEYING,
    # The submit key on an empty field that is optional.
    (_S.WAITING, _I.ACCEPTED): _S.HELD,
    (_S.WAITING, _I.REFUSED): _S.WAITING,
    (_S.WAITING, _I.GIVEN_UP): _S.HELD,
    (_S.WAITING, _I.CLOSED): _S.HELD,
    (_S.WAITING, _I.PAUSE): _S.PAUSED,
    (_S.WAITING, _I.STOP): _S.FAILED,
    (_S.KEYING, _I.COLLECT): _S.WAITING,
    (_S.KEYING, _I.MENU): _S.CHOOSING,
    (_S.KEYING, _I.DIGIT): _S.KEYING,
    (_S.KEYING, _I.EMPTIED): _S.WAITING,
    (_S.KEYING, _I.ACCEPTED): _S.HELD,
    (_S.KEYING, _I.REFUSED): _S.WAITING,
    (_S.KEYING, _I.GIVEN_UP): _S.HELD,
    # Alone in the field, then the submit key or silence.
    (_S.KEYING, _I.AGENT_KEY): _S.HELD,
    (_S.KEYING, _I.CLOSED): _S.HELD,
    (_S.KEYING, _I.PAUSE): _S.PAUSED,
    (_S.KEYING, _I.STOP): _S.FAILED,
    (_S.CHOOSING, _I.COLLECT): _S.WAITING,
    (_S.CHOOSING, _I.MENU): _S.CHOOSING,
    (_S.CHOOSING, _I.CHOSEN): _S.HELD,
    (_S.CHOOSING, _I.NOT_CHOSEN): _S.HELD,
    (_S.CHOOSING, _I.AGENT_KEY): _S.HELD,
    (_S.CHOOSING, _I.CLOSED): _S.HELD,
    (_S.CHOOSING, _I.PAUSE): _S.PAUSED,
    # The agent took the choice on his page: the menu goes, what is held is sent.
    (_S.CHOOSING, _I.SUBMIT): _S.SENDING,
    (_S.CHOOSING, _I.STOP): _S.FAILED,
    (_S.PAUSED, _I.RESUME_HELD): _S.HELD,
    (_S.PAUSED, _I.RESUME_WAITING): _S.WAITING,
    (_S.PAUSED, _I.RESUME_KEYING): _S.KEYING,
    # Who asks for a field wants it keyed: that resumes too.
    (_S.PAUSED, _I.COLLECT): _S.WAITING,
    (_S.PAUSED, _I.MENU): _S.CHOOSING,
    (_S.PAUSED, _I.RESUME_CHOOSING): _S.CHOOSING,
    (_S.PAUSED, _I.CLOSED): _S.PAUSED,
    (_S.PAUSED, _I.STOP): _S.FAILED,
    (_S.SENDING, _I.VELOCITY): _S.FAILED,
    (_S.SENDING, _I.TOKENIZED): _S.PAYING,
    (_S.SENDING, _I.SETTLING): _S.SETTLING,
    (_S.SENDING, _I.APPROVED): _S.DONE,
    (_S.SENDING, _I.NOT_APPROVED): _S.FAILED,
    # What is on its way cannot be called back: the answer ends the capture, and says whether money moved.
    (_S.SENDING, _I.STOP): _S.SENDING,
    (_S.PAYING, _I.SETTLING): _S.SETTLING,
    (_S.PAYING, _I.APPROVED): _S.DONE,
    (_S.PAYING, _I.NOT_APPROVED): _S.FAILED,
    (_S.PAYING, _I.STOP): _S.PAYING,
    (_S.SETTLING, _I.SETTLING): _S.SETTLING,
    (_S.SETTLING, _I.APPROVED): _S.DONE,
    (_S.SETTLING, _I.NOT_APPROVED): _S.FAILED,
    (_S.SETTLING, _I.STOP): _S.SETTLING,
}
MASKING: Final = frozenset(CaptureState) - {CaptureState.IDLE, CaptureState.DONE, CaptureState.FAILED}
"""States in which the caller may be keying: the mask is on in each of them."""
ENDED: Final = frozenset(CaptureState) - MASKING - {CaptureState.IDLE}
FIELD_OPEN: Final = frozenset({CaptureState.WAITING, CaptureState.KEYING})
ASKING: Final = FIELD_OPEN | {CaptureState.CHOOSING}
TAKING_KEYS: Final = ASKING | {CaptureState.HELD}
AT_GATEWAY: Final = frozenset({CaptureState.SENDING, CaptureState.PAYING, CaptureState.SETTLING})
"""A stop is only noted here."""


def mermaid() -> str:
    """Draw the table as a Mermaid state diagram: one arrow for each pair of states, its inputs on it."""
    inputs: dict[tuple[CaptureState, CaptureState], list[str]] = {}
    for (state, by), target in TRANSITIONS.items():
        inputs.setdefault((state, target), []).append(by.value)
    lines = ["stateDiagram-v2", f"    [*] --> {_S.IDLE.value}"]
    lines += [f"    {a.value} --> {b.value}: {' / '.join(words)}" for (a, b), words in inputs.items()]
    lines += [f"    {state.value} --> [*]" for state in CaptureState if state in ENDED]
    return "\n".join(lines) + "\n"


def text_table() -> str:
    """Write the table as Markdown: a row for each state, with what each input it takes leads to."""
    lines = ["| state | mask | input: next state |", "|---|---|---|"]
    for state in CaptureState:
        taken = [f"{by.value}: {target.value}" for (a, by), target in TRANSITIONS.items() if a is state]
        mask = "on" if state in MASKING else "tail, then off" if state in ENDED else "as before"
        lines.append(f"| {state.value} | {mask} | {'; '.join(taken) or 'none: the end'} |")
    return "\n".join(lines) + "\n"
