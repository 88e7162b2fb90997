"""The simulation: commands of the flow carried out on virtual time, things of the script done when the flow waits."""

from __future__ import annotations

import heapq
from collections import deque
from typing import Final

from dtmf_shield.call.flow_end import result_of_exit
from dtmf_shield.call.handed_on import keeps, known_values, leads_to_another
from dtmf_shield.flow.engine import advance, begin, compile_flow, restore
from dtmf_shield.flow.engine.commands import (
    CallHook,
    Charge,
    Collect,
    Command,
    Exit,
    OpenMenu,
    Play,
    SetTimer,
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
    Resumed,
    TimerFired,
    Timers,
    TransferDone,
    TransferFailed,
)
from dtmf_shield.flow.engine.state import EventRefusedError
from dtmf_shield.flow.inputs import accept_inputs
from dtmf_shield.flow.language import Flow
from dtmf_shield.service.flows.simulation.caller import Caller
from dtmf_shield.service.flows.simulation.script import AUTH_CODE, Crash, Press, Script, Wait
from dtmf_shield.service.flows.simulation.transcript import (
    Transcript,
    nothing_kept,
    of_command,
    of_event,
    of_kept,
    spoken,
)

KEY_MS: Final = 250
"""From one key to the next."""
WORD_MS: Final = 380
"""About 160 words a minute."""
RECORDING_MS: Final = 4_000
GATEWAY_MS: Final = 1_500
HOOK_MS: Final = 500
TRANSFER_MS: Final = 1_000
HAPPENINGS_MAX: Final = 20_000
TODAY: Final = (2026, 11)
"""The month of every simulation, so that a transcript stays true."""


def simulate(flow: Flow, script: Script) -> Transcript:
    """Run a flow to its end. Raises OperatorError for inputs that the flow does not take."""
    simulation = Simulation(flow, script)
    simulation.run_out()
    return simulation.transcript


class Simulation:
    """One run. ``script`` may get more actions while it runs."""

    def __init__(self, flow: Flow, script: Script) -> None:
        """Begin. Raises OperatorError for inputs that the flow does not take."""
        self._flow, self._script = flow, script
        self._inputs = accept_inputs(flow, script.inputs)
        self._program = compile_flow(flow)
        self._caller = Caller(flow, TODAY)
        self._actions = deque(script.actions)
        script.actions = []
        self._now_ms, self._happenings = 0, 0
        self._due: list[tuple[int, int, Event]] = []
        self._prompt: PromptDone | None = None
        self._pending_keys = ""
        self._handed_over = False
        self.transcript = Transcript()
        self._state, commands = begin(
            self._program, self._inputs, language=script.language, dialled=script.dialled
        )
        self._note("flow", f"{flow.id} in {self._state.language}, step {self._state.step}")
        self._carry_out(commands)

    @property
    def over(self) -> bool:
        """Whether the flow has ended."""
        return self._state.over

    @property
    def masking(self) -> bool:
        """Whether keys are masked now."""
        return self._state.masking

    @property
    def where(self) -> str:
        """Name of the present step."""
        return self._state.step

    def take(self, script: Script) -> None:
        """Take over what was added to a script."""
        self._actions += script.actions
        script.actions = []

    def run_out(self) -> None:
        """Run to the end; silence after the last line of the script."""
        while not self.over and self._happenings < HAPPENINGS_MAX:
            if not self._act() and not self._pass_time():
                self._note("stop", "nothing more would happen")
                return

    def run_until_idle(self) -> None:
        """Run until the flow waits for a key and the script has nothing to do."""
        while not self.over and self._happenings < HAPPENINGS_MAX:
            if self._act():
                continue
            if self._caller.listening and self._prompt is None:
                return
            if not self._pass_time():
                return

    # --- the script ---------------------------------------------------------------------------------------

    def _act(self) -> bool:
        """Do the next thing of the script where it is its time."""
        if self._pending_keys:
            if not self._caller.listening or self._prompt is not None:
                return False
            key, self._pending_keys = self._pending_keys[0], self._pending_keys[1:]
            self._press(key)
            return True
        if not self._actions:
            return False
        action = self._actions[0]
        at_once = isinstance(action, Press) and action.at_once
        waits = self._prompt is not None or not self._caller.listening
        if waits and not at_once and not (self._state.in_flight and not isinstance(action, Press | Wait)):
            return False
        self._actions.popleft()
        self._do(action)
        return True

    def _do(self, action: object) -> None:
        match action:
            case Press(keys, True):
                for key in keys:
                    self._press(key)
            case Press(keys, _):
                self._pending_keys = keys
            case Wait(duration_ms):
                self._wait(duration_ms)
            case Crash():
                self._crash()
            case _:
                self._happen(action)  # type: ignore[arg-type]  # what is left of Action is an event

    def _press(self, key: str) -> None:
        self._to(self._now_ms + KEY_MS)
        if self.over:
            return
        self._note("keys", "•")
        if self._caller.listening and self._state.at.barge_in:
            self._end_prompt()
        for event in self._caller.press(key, self._now_ms / 1000):
            self._happen(event)

    def _wait(self, duration_ms: int) -> None:
        end_ms = self._now_ms + duration_ms
        while not self.over and (due_ms := self._next_ms()) is not None and due_ms <= end_ms:
            self._pass_time()
        self._now_ms = max(self._now_ms, end_ms)

    def _crash(self) -> None:
        saved, held = self._state.saved(), tuple(sorted(self._state.accepted))
        self._state = restore(self._program, saved, self._inputs)
        self._happen(Resumed(held))

    # --- time ---------------------------------------------------------------------------------------------

    def _next_ms(self) -> int | None:
        silence_s = self._caller.next_timer_s if self._caller.listening else None
        times = [self._due[0][0]] if self._due else []
        if silence_s is not None:
            times.append(max(round(silence_s * 1000) + 1, self._now_ms))
        return min(times, default=None)

    def _pass_time(self) -> bool:
        """Go to the next thing that is due. Returns whether there is one."""
        next_ms = self._next_ms()
        if next_ms is None:
            return False
        self._to(next_ms)
        return True

    def _to(self, at_ms: int) -> None:
        """Let time pass to ``at_ms``; what is due on the way happens."""
        self._happenings += 1
        while self._due and self._due[0][0] <= at_ms and not self.over:
            due_ms, _, event = heapq.heappop(self._due)
            self._now_ms = max(self._now_ms, due_ms)
            if isinstance(event, PromptDone):
                if event is self._prompt:
                    self._end_prompt()
            else:
                self._happen(event)
        self._now_ms = max(self._now_ms, at_ms)
        if not self.over and self._caller.listening:
            for event in self._caller.silent_until(self._now_ms / 1000):
                self._happen(event)

    def _later(self, after_ms: int, event: Event) -> None:
        self._happenings += 1
        heapq.heappush(self._due, (self._now_ms + after_ms, self._happenings, event))

    def _end_prompt(self) -> None:
        if self._prompt is not None:
            self._silence()
            self._happen(PromptDone())

    def _silence(self) -> None:
        """Nothing is said any more."""
        if self._prompt is not None:
            self._prompt = None
            self._caller.prompt_said(self._now_ms / 1000, over=True)

    # --- the flow -----------------------------------------------------------------------------------------

    def _happen(self, event: Event) -> None:
        if self.over:
            return
        if told := of_event(event):
            self._note(*told)
        elif (
            isinstance(event, TimerFired)
            and event.timer is Timers.ANSWER
            and event.mark == self._state.visits
        ):
            self._note("silence", "no answer in time")
        self._handed_over |= isinstance(event, TransferDone)
        step = self._state.step
        try:
            self._state, commands = advance(self._state, event)
        except EventRefusedError as error:
            self._note("refused", str(error))
            return
        if self._state.step != step and not self.over:
            self._caller.closed()
            self._note("step", self._state.step)
        self._carry_out(commands)

    def _carry_out(self, commands: tuple[Command, ...]) -> None:
        for command in commands:
            self._happenings += 1
            self._note_command(command)
            match command:
                case Play():
                    self._play(command)
                case StopPrompt():
                    self._silence()
                case Collect():
                    self._collect(command)
                case OpenMenu():
                    for event in self._caller.open_menu(command, self._now_ms / 1000):
                        self._later(0, event)
                case SetTimer():
                    self._later(command.delay_ms, TimerFired(command.timer, command.mark))
                case Charge():
                    self._answer_charge()
                case CallHook():
                    self._answer_hook()
                case Transfer():
                    failed = self._script.transfers_fail
                    self._later(TRANSFER_MS, TransferFailed() if failed else TransferDone())
                case Exit():
                    self._prompt = None

    def _note_command(self, command: Command) -> None:
        if isinstance(command, Exit):
            self._note_kept(command)
        if told := of_command(command):
            self._note(*told)

    def _note_kept(self, way_out: Exit) -> None:
        """Say what the flow that the next agent starts need not ask, where this one leads to another agent."""
        alone = self._flow.mode == "self_service"
        if not leads_to_another(way_out, alone=alone, handed_over=self._handed_over):
            return
        if not keeps(result_of_exit(way_out, handed_over=self._handed_over)) or self._state.settled:
            self._note(*nothing_kept())
            return
        kinds = {spec.name: spec.kind for spec in self._flow.capture_spec().fields}
        fields = [(name, kinds[name]) for name in self._caller.held]
        self._note(*of_kept(fields, sorted(known_values(self._state.values))))

    def _collect(self, command: Collect) -> None:
        for event in self._caller.collect(command, self._now_ms / 1000):
            self._later(0, event)

    def _play(self, command: Play) -> None:
        said = spoken(command.pieces)
        self._note("hears", said + (" (again and again)" if command.loop else ""))
        self._silence()
        if not command.loop:
            self._prompt = PromptDone()
            self._caller.prompt_said(self._now_ms / 1000, over=False)
            words = len(said.split())
            self._later(words * WORD_MS, self._prompt)

    def _answer_charge(self) -> None:
        self._caller.sent()
        outcome = self._script.gateway.pop(0) if self._script.gateway else ChargeOutcome.APPROVED
        if outcome is ChargeOutcome.UNKNOWN:
            return  # no answer: the flow's own timer says so
        code = AUTH_CODE if outcome is ChargeOutcome.APPROVED else ""
        self._later(GATEWAY_MS, ChargeAnswered(outcome, auth_code=code))

    def _answer_hook(self) -> None:
        answer = self._script.hooks.pop(0) if self._script.hooks else HookAnswered(HookOutcome.ERROR)
        if answer is not None:
            self._later(HOOK_MS, answer)

    def _note(self, verb: str, text: str) -> None:
        self.transcript.add(self._now_ms, verb, text)
