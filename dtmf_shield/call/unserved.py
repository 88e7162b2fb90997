"""What a flow may ask for that the call does not serve yet, and what the flow is told instead.

The one place for it: whoever serves a command takes its row out. Prompts are not played yet, so each has ended as soon
as it is asked for; menus, look-ups and transfers answer as failed; timers do not run.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from dtmf_shield.flow.engine import FlowState, advance
from dtmf_shield.flow.engine.commands import (
    CallHook,
    Charge,
    Collect,
    Command,
    Exit,
    OpenMenu,
    Play,
    Transfer,
)
from dtmf_shield.flow.engine.events import (
    ChoiceRejected,
    Event,
    HookAnswered,
    HookOutcome,
    PromptDone,
    TransferFailed,
)
from dtmf_shield.flow.language import Flow
from dtmf_shield.model.capture import ChoiceFault

Served = Collect | Charge | Exit
_ANSWERS: Final[dict[type, Event]] = {
    Play: PromptDone(),
    OpenMenu: ChoiceRejected(ChoiceFault.TIMEOUT),
    CallHook: HookAnswered(HookOutcome.ERROR),
    Transfer: TransferFailed(),
}


UNSERVED_STEPS: Final = frozenset({"menu", "http", "transfer"})
"""What a flow cannot do without: a call does not begin one that has such a step."""


def unserved_reason(flow: Flow) -> str:
    """Return why a call cannot begin a flow yet, empty where it can."""
    steps = sorted(name for name, step in flow.steps.items() if step.do in UNSERVED_STEPS)
    return f"steps not served in a call yet: {', '.join(steps)}" if steps else ""


def answer_unserved(state: FlowState, commands: tuple[Command, ...]) -> tuple[FlowState, tuple[Served, ...]]:
    """Answer what nobody serves until only what the call serves is left. The flow's limit of visits bounds it."""
    waiting, served = deque(commands), []
    while waiting:
        command = waiting.popleft()
        answer = _ANSWERS.get(type(command))
        if isinstance(command, Served):
            served.append(command)
        elif answer is not None and not (isinstance(command, Play) and command.loop):
            state, more = advance(state, answer)
            waiting.extend(more)
    return state, tuple(served)
