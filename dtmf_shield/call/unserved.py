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
    ChoiceFault,
    ChoiceRejected,
    Event,
    HookAnswered,
    HookOutcome,
    PromptDone,
    TransferFailed,
)

Served = Collect | Charge | Exit
_ANSWERS: Final[dict[type, Event]] = {
    Play: PromptDone(),
    OpenMenu: ChoiceRejected(ChoiceFault.TIMEOUT),
    CallHook: HookAnswered(HookOutcome.ERROR),
    Transfer: TransferFailed(),
}


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
