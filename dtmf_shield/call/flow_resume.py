"""A flow taken up again after a crash of control: its step is stored, what is held cde tells.

The step is begun anew, so its question and its prompt come again; but a field that the caller is keying stays as it
is. What was sent to the gateway is not sent again.
"""

from __future__ import annotations

from collections.abc import Iterable

from dtmf_shield.call.call import Call, Engagement, Stage, Timer
from dtmf_shield.call.context import Context
from dtmf_shield.call.events import CaptureChanged
from dtmf_shield.call.flow_run import go_on
from dtmf_shield.flow.engine import advance
from dtmf_shield.flow.engine.asking import told_again
from dtmf_shield.flow.engine.commands import Collect, Command, Play, SetTimer
from dtmf_shield.flow.engine.entering import Step, begin_again
from dtmf_shield.flow.engine.events import Resumed
from dtmf_shield.flow.engine.telling import accepted
from dtmf_shield.model.capture import CaptureProgress, CaptureState

AT_GATEWAY = frozenset({CaptureState.SENDING, CaptureState.PAYING, CaptureState.SETTLING})
_OPEN = frozenset({CaptureState.WAITING, CaptureState.KEYING, CaptureState.PAUSED})


def resume(ctx: Context, now_s: float, call: Call, engagement: Engagement, progress: CaptureProgress) -> None:
    """Go on with a capture that cde still runs."""
    engagement.progress = progress
    engagement.sending = progress.state in AT_GATEWAY
    # Where nothing is open there was nothing for cde to pause: what is stored counts.
    stored = engagement.paused and progress.state in (CaptureState.IDLE, CaptureState.HELD)
    engagement.paused = stored or progress.state is CaptureState.PAUSED
    if progress.state is CaptureState.IDLE:
        engagement.stage = Stage.ARMING  # CaptureArmed is still to come, within the deadline that stands
    else:
        engagement.stage, engagement.armed = Stage.RUNNING, True
        call.deadlines.pop(Timer.ARM, None)
    ctx.events.append(CaptureChanged(call.call_id, engagement.capture_id))
    state, commands = _resumed(engagement, progress)
    if engagement.sending and state.in_flight:
        commands = tuple(command for command in commands if isinstance(command, SetTimer))
    elif progress.state in _OPEN and progress.field and progress.field not in progress.accepted:
        engagement.opened = state.step if state.at.field == progress.field else "another"
        commands = tuple(_not_open_yet(commands, progress))
    go_on(ctx, now_s, call, engagement, state, commands)


def resume_alone(ctx: Context, now_s: float, call: Call, engagement: Engagement) -> None:
    """Go on where cde had no capture: before one was wanted, or after its end."""
    engagement.stage = Stage.RUNNING
    state, commands = advance(engagement.state, Resumed())
    go_on(ctx, now_s, call, engagement, state, commands)


def _resumed(engagement: Engagement, progress: CaptureProgress) -> Step:
    state = engagement.state
    told = tuple(accepted(engagement.flow, name, progress) for name in progress.accepted)
    if not state.in_flight or engagement.sending:
        return advance(state, Resumed(progress.accepted, told))
    # It died before cde was told to send: cde holds everything still.
    for event in told:
        state = told_again(state, event)
    return begin_again(state)


def _not_open_yet(commands: Iterable[Command], progress: CaptureProgress) -> Iterable[Command]:
    """Leave out the question that is open already, and its prompt where the caller is answering it."""
    for command in commands:
        if isinstance(command, Collect) and command.field == progress.field:
            continue
        if isinstance(command, Play) and progress.count:
            continue
        yield command
