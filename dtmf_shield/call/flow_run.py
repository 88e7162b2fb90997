"""A flow running in a call: each event goes to the engine, and what the engine asks for is carried out.

What cde has open and what the flow waits for never differ: a question whose step the flow has left is closed before
anything else. Questions wait until media masks the caller and cde listens, and while the agent has paused; whatever
the flow asks for after them waits with them, until the flow is in another step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from dtmf_shield.call import handed_on, handover, prompting
from dtmf_shield.call.call import FLOW_TIMERS, Call, Engagement, Stage, Timer
from dtmf_shield.call.capture_life import arm, capture_over, end_told, lost, mask, over, want_capture
from dtmf_shield.call.context import Context
from dtmf_shield.call.events import CaptureChanged, FlowAlerted, FlowMoved
from dtmf_shield.call.flow_end import result_of
from dtmf_shield.call.strictness import strictness_of
from dtmf_shield.flow.engine import FlowState, advance
from dtmf_shield.flow.engine.commands import (
    CallHook,
    Charge,
    Collect,
    Command,
    Exit,
    OpenMenu,
    Play,
    SetTimer,
    ShowHint,
    StopPrompt,
    Transfer,
)
from dtmf_shield.flow.engine.events import (
    ChargeAnswered,
    ChargeOutcome,
    Event,
    HookAnswered,
    HookOutcome,
    PromptDone,
    TakenOver,
    TransferDone,
    TransferFailed,
)
from dtmf_shield.flow.engine.state import EventRefusedError
from dtmf_shield.flow.engine.telling import accepted
from dtmf_shield.flow.language.steps import DEFAULT_GATEWAY
from dtmf_shield.model.capture import CaptureOutcome, CaptureResult
from dtmf_shield.model.messages import (
    AskChoice,
    CollectField,
    StopAsking,
    SubmitCapture,
)
from dtmf_shield.model.stream import ShieldMode

_QUESTIONS: Final = (Collect, OpenMenu)
_NEVER_WAITS: Final = (Exit, SetTimer, ShowHint, StopPrompt)


# --- in -----------------------------------------------------------------------------------------------------


def happen(ctx: Context, now_s: float, call: Call, event: Event) -> bool:
    """Tell the flow of an event; False where none runs, or its present step does not take that: nothing changes."""
    engagement = call.engagement
    if engagement is None or engagement.stage is Stage.OVER:
        return False
    try:
        state, commands = advance(engagement.state, event)
    except EventRefusedError:
        return False
    go_on(ctx, now_s, call, engagement, state, commands)
    return True


def go_on(
    ctx: Context,
    now_s: float,
    call: Call,
    engagement: Engagement,
    state: FlowState,
    commands: tuple[Command, ...],
) -> None:
    """Take a step of the flow, and every one that follows without waiting. The engine's limit of visits bounds it."""
    answers: deque[Event] = deque()
    while True:
        _move(ctx, call, engagement, state)
        _close_left(ctx, engagement, commands)
        answers.extend(_carry_out(ctx, now_s, call, engagement, commands))
        taken = _next(engagement, answers)
        if taken is None:
            return
        state, commands = taken


def _next(engagement: Engagement, answers: deque[Event]) -> tuple[FlowState, tuple[Command, ...]] | None:
    while answers and engagement.stage is not Stage.OVER:
        try:
            return advance(engagement.state, answers.popleft())
        except EventRefusedError:
            continue  # the step that asked has been left
    return None


def prompt_ended(ctx: Context, now_s: float, call: Call, play_id: int) -> None:
    """The prompt is over at the caller's phone; one that was replaced or stopped by us means nothing any more."""
    engagement = call.engagement
    if engagement is not None and engagement.speaking == play_id and play_id:
        prompting.ended(ctx, call, engagement)
        happen(ctx, now_s, call, PromptDone())


def hook_answered(ctx: Context, now_s: float, call: Call, mark: int, answer: HookAnswered) -> None:
    """Take the answer of a look-up that is still awaited."""
    engagement = call.engagement
    if engagement is not None and engagement.hook_mark == mark:
        engagement.hook_mark = 0
        happen(ctx, now_s, call, answer)


def transferred(ctx: Context, now_s: float, call: Call, *, ok: bool) -> None:
    """The hand-over that the flow asked for is done, or has failed."""
    engagement = call.engagement
    if engagement is not None and engagement.state.at.kind == "transfer":
        engagement.handed_over = ok
        happen(ctx, now_s, call, TransferDone() if ok else TransferFailed())


# --- masking and the capture at cde ---------------------------------------------------------------------------


def masked(ctx: Context, now_s: float, call: Call, engagement: Engagement) -> None:
    """Media masks the caller: let cde listen, if it was waited for."""
    engagement.stage = Stage.RUNNING
    told = arm(ctx, call, engagement)
    if told is not None:
        happen(ctx, now_s, call, told)


def armed(ctx: Context, now_s: float, call: Call, engagement: Engagement) -> None:
    """Keys count from now on: ask what waited for that and is not held since an earlier flow."""
    engagement.stage, engagement.armed = Stage.RUNNING, True
    call.deadlines.pop(Timer.ARM, None)
    progress = engagement.progress
    if progress is not None and progress.accepted:
        # Told before anything was asked: what waits may be the question for one of them.
        fields = tuple(accepted(engagement.flow, name, progress) for name in progress.accepted)
        happen(ctx, now_s, call, TakenOver(fields))
        ctx.changed.add(call.call_id)
    release(ctx, now_s, call, engagement)


def release(ctx: Context, now_s: float, call: Call, engagement: Engagement) -> None:
    """Carry out what has waited."""
    waiting, engagement.waiting = engagement.waiting, ()
    go_on(ctx, now_s, call, engagement, engagement.state, waiting)


def finish(ctx: Context, now_s: float, call: Call, result: CaptureResult) -> None:
    """End a capture from this side; the flow goes on, or ends by that."""
    engagement = call.engagement
    if engagement is None or engagement.stage is Stage.OVER:
        return
    guess = CaptureOutcome(capture_id=engagement.capture_id, result=result)
    told = end_told(engagement, result)
    capture_over(ctx, call, engagement.outcome or guess)
    if not engagement.begun:
        over(ctx, now_s, call, engagement)
    else:
        happen(ctx, now_s, call, told)


# --- moving ---------------------------------------------------------------------------------------------------


def _move(ctx: Context, call: Call, engagement: Engagement, state: FlowState) -> None:
    before, engagement.state = engagement.state, state
    if state.visits != before.visits or state.at is not before.at:
        engagement.waiting, engagement.said = (), None  # of a step that has been left
        ctx.changed.add(call.call_id)
        ctx.events.append(FlowMoved(call.call_id, engagement.flow.id, state.step))
        ctx.events.append(CaptureChanged(call.call_id, engagement.capture_id))
    if state.masking:
        call.deadlines.pop(Timer.TAIL, None)  # of the flow before: it must not lower the mask of this one
        if call.caller.shield is not ShieldMode.CAPTURE or call.strictness != strictness_of(engagement.flow):
            mask(ctx, call)


def _close_left(ctx: Context, engagement: Engagement, commands: tuple[Command, ...]) -> None:
    """Close what cde has open for a step that has been left. The next question closes it as well, if it may be put."""
    if not engagement.opened or not engagement.armed or engagement.opened == engagement.state.step:
        return
    put = any(isinstance(command, _QUESTIONS) for command in commands) and not engagement.paused
    if not put and not engagement.state.over:
        ctx.capture.send(StopAsking(engagement.capture_id))
        engagement.opened = ""


def _carry_out(
    ctx: Context, now_s: float, call: Call, engagement: Engagement, commands: tuple[Command, ...]
) -> list[Event]:
    """Return what is answered at once."""
    answers: list[Event] = []
    for place, command in enumerate(commands):
        if engagement.stage is Stage.OVER:
            break
        unheard = isinstance(command, _QUESTIONS) and not engagement.armed
        if not isinstance(command, _NEVER_WAITS) and (unheard or engagement.paused or engagement.waiting):
            engagement.waiting += commands[place:]
            answer = want_capture(ctx, now_s, call, engagement) if unheard else None
            return answers if answer is None else [*answers, answer]
        answer = _CARRY_OUT[type(command)](ctx, now_s, call, engagement, command)
        if answer is not None:
            answers.append(answer)
    return answers


# --- the commands, each returning what is answered at once -----------------------------------------------------


def _collect(
    ctx: Context, _now_s: float, call: Call, engagement: Engagement, command: Collect
) -> Event | None:
    asked = CollectField(
        engagement.capture_id, command.field, command.patience, command.attempt, command.patience_only
    )
    return _ask(ctx, call, engagement, asked)


def _open_menu(
    ctx: Context, _now_s: float, call: Call, engagement: Engagement, command: OpenMenu
) -> Event | None:
    return _ask(ctx, call, engagement, AskChoice(engagement.capture_id, command.keys, command.patience))


def _ask(
    ctx: Context, call: Call, engagement: Engagement, question: CollectField | AskChoice
) -> Event | None:
    engagement.opened, engagement.given_up = engagement.state.step, None
    return None if ctx.capture.send(question) else lost(ctx, call, engagement)


def _play(ctx: Context, now_s: float, call: Call, engagement: Engagement, command: Play) -> Event | None:
    engagement.said = command
    return None if prompting.play(ctx, now_s, call, engagement, command) else PromptDone()


def _stop_prompt(
    ctx: Context, _now_s: float, call: Call, engagement: Engagement, _command: StopPrompt
) -> None:
    prompting.stop(ctx, call, engagement)


def _charge(ctx: Context, _now_s: float, call: Call, engagement: Engagement, command: Charge) -> Event | None:
    if not engagement.armed:
        return ChargeAnswered(ChargeOutcome.GATEWAY_DOWN)  # nothing is held, so nothing is sent
    ctx.changed.add(call.call_id)
    ctx.save_changed()  # whoever comes after us must know that the step was reached: it is not sent twice
    order = SubmitCapture(
        capture_id=engagement.capture_id,
        reference=engagement.reference or command.reference,
        operation=command.operation,
        amount_minor=command.amount_minor,
        currency=command.currency,
        gateway="" if command.gateway == DEFAULT_GATEWAY else command.gateway,
    )
    engagement.sending = True
    return None if ctx.capture.send(order) else lost(ctx, call, engagement)


def _call_hook(
    ctx: Context, _now_s: float, call: Call, engagement: Engagement, command: CallHook
) -> Event | None:
    if ctx.hooks is None:
        return HookAnswered(HookOutcome.ERROR)
    call.marks += 1
    engagement.hook_mark = call.marks
    ctx.hooks.ask(call.call_id, engagement.hook_mark, command)
    return None


def _set_timer(_ctx: Context, now_s: float, call: Call, engagement: Engagement, command: SetTimer) -> None:
    engagement.marks[command.timer] = command.mark
    call.deadlines[FLOW_TIMERS[command.timer]] = now_s + command.delay_ms / 1000


def _transfer(ctx: Context, now_s: float, call: Call, _engagement: Engagement, command: Transfer) -> None:
    handover.hand_over(ctx, now_s, call, command.to, command.target)


def _show_hint(ctx: Context, _now_s: float, call: Call, engagement: Engagement, command: ShowHint) -> None:
    engagement.hint = command.hint
    ctx.events.append(CaptureChanged(call.call_id, engagement.capture_id))


def _exit(ctx: Context, now_s: float, call: Call, engagement: Engagement, command: Exit) -> None:
    result = result_of(engagement, command)
    to_another = handed_on.leads_to_another(command, alone=call.alone, handed_over=engagement.handed_over)
    keeps = to_another and handed_on.keeps(result) and not engagement.state.settled
    held = engagement.live and not engagement.sending  # what is at the gateway gets its answer
    if keeps:
        handed_on.remember(now_s, call, engagement, held=held)
    if held:
        ctx.end_capture(engagement.capture_id, result, keeps=keeps)
    if engagement.outcome is None:
        engagement.outcome = CaptureOutcome(capture_id=engagement.capture_id, result=result)
    if command.alert:
        ctx.events.append(FlowAlerted(call.call_id, engagement.capture_id, engagement.flow.id, command.alert))
    over(ctx, now_s, call, engagement)
    if to_another and not engagement.handed_over:
        handover.hand_over(ctx, now_s, call, command.to, command.target)


_CARRY_OUT: Final[dict[type, Callable[[Context, float, Call, Engagement, Any], Event | None]]] = {
    Collect: _collect,
    OpenMenu: _open_menu,
    Play: _play,
    StopPrompt: _stop_prompt,
    Charge: _charge,
    CallHook: _call_hook,
    SetTimer: _set_timer,
    Transfer: _transfer,
    ShowHint: _show_hint,
    Exit: _exit,
}
