"""The caller's side of a simulation: one capture machine with its slot, and keys pressed into it.

The slot is ordinary memory of this process: test cards only.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import dtmf_shield.cde.card as card_module
from dtmf_shield.account_data import slots
from dtmf_shield.cde.capture import Capture
from dtmf_shield.cde.capture_news import CaptureMessage
from dtmf_shield.cde.capture_table import ASKING, ENDED
from dtmf_shield.cde.card import IinTable
from dtmf_shield.flow.engine.commands import Collect, OpenMenu
from dtmf_shield.flow.engine.events import (
    AgentKeyPressed,
    CaptureEnded,
    ChoiceRejected,
    Chosen,
    Event,
    FieldFailed,
    QualityHinted,
    RepeatAsked,
)
from dtmf_shield.flow.engine.telling import events_between
from dtmf_shield.flow.language import Flow
from dtmf_shield.model.capture import CaptureProgress, CaptureState, ControlKey
from dtmf_shield.model.ids import CaptureId
from dtmf_shield.model.messages import ChoiceMade, ChoiceRefused, ControlKeyed, FieldGivenUp, KeysHinted

CAPTURE: Final = CaptureId("simulated")


@cache
def _brands() -> IinTable:
    """Read once: the workbench simulates where no file can be opened any more."""
    return IinTable(Path(card_module.__file__).with_name("iin.toml").read_text("utf-8"))


class Caller:
    """Presses keys into the real capture machine, and tells what came of it. Times in seconds."""

    def __init__(self, flow: Flow, today: tuple[int, int]) -> None:
        self._flow, self._today = flow, today
        self._table = _brands()
        self._slot = memoryview(bytearray(slots.SLOT_BYTES))
        self._head = 0
        self._capture: Capture | None = None
        self._seen = CaptureProgress(capture_id=CAPTURE, state=CaptureState.HELD)

    @property
    def listening(self) -> bool:
        """Whether a key would be of use now."""
        return self._capture is not None and self._capture.state in ASKING

    @property
    def next_timer_s(self) -> float | None:
        """When silence means something."""
        return self._capture.next_timer_s if self._capture is not None else None

    @property
    def held(self) -> tuple[str, ...]:
        """Names of the fields that cde would hold now, in the order of their acceptance."""
        return self._capture.progress().accepted if self._capture is not None else ()

    def collect(self, command: Collect, now_s: float) -> tuple[Event, ...]:
        """Listen for a field; keys typed ahead may complete it at once."""
        machine = self._machine(now_s)
        if command.patience_only:
            machine.wait_on(command.field, command.patience, command.attempt, now_s)
        else:
            machine.collect(command.field, now_s, command.patience, command.attempt)
        accepted = tuple(name for name in self._seen.accepted if name != command.field)
        self._seen = CaptureProgress(
            capture_id=CAPTURE,
            state=CaptureState.WAITING,
            field=command.field,
            attempt=command.attempt,
            accepted=accepted,
        )
        return self._news()

    def open_menu(self, command: OpenMenu, now_s: float) -> tuple[Event, ...]:
        """Listen for an option; a key typed ahead may be it."""
        self._machine(now_s).ask_choice(command.keys, command.patience, now_s)
        return self._news()

    def sent(self) -> None:
        """Hold nothing more: the gateway has it, and cde wipes its slot. The next field begins another capture."""
        self._capture = None
        self._seen = CaptureProgress(capture_id=CAPTURE, state=CaptureState.HELD)

    def closed(self) -> None:
        """Listen for nothing: the flow has gone on."""
        if self._capture is not None and self.listening:
            self._capture.stop_asking()

    def prompt_said(self, now_s: float, *, over: bool) -> None:
        """Tell the machine of a prompt: the silence before the first key counts from its end."""
        self._machine(now_s).prompt_said(over, now_s)

    def press(self, key: str, now_s: float) -> tuple[Event, ...]:
        """Press one key. While nothing listens it waits in the machine's slot."""
        capture = self._machine(now_s)
        self._slot[slots.RING_AT + self._head] = ord(key)
        self._head = (self._head + 1) % slots.RING_KEYS
        self._slot[slots.HEAD_AT] = self._head
        capture.take_media_keys(self._head, False, now_s)
        return self._news()

    def silent_until(self, now_s: float) -> tuple[Event, ...]:
        """Let time pass."""
        if self._capture is None:
            return ()
        self._capture.handle_timer(now_s)
        return self._news()

    def _machine(self, now_s: float) -> Capture:
        if self._capture is None:
            self._slot[:] = bytes(len(self._slot))
            self._head = 0
            self._capture = Capture(
                CAPTURE,
                self._flow.capture_spec(),
                self._slot,
                self._table,
                now_s=now_s,
                today=self._today,
                test=True,
            )
            self._capture.armed()
        return self._capture

    def _news(self) -> tuple[Event, ...]:
        if self._capture is None:
            return ()
        self._capture.take_change()
        told = tuple(_event_of(message) for message in self._capture.take_messages())
        if self._capture.state in ENDED:
            ended = CaptureEnded(self._capture.outcome.result)
            self._capture = None
            return (*told, ended)
        before, self._seen = self._seen, self._capture.progress()
        return (*events_between(self._flow, before, self._seen), *told)

    def __repr__(self) -> str:
        return "<Caller of a simulation>"


def _event_of(message: CaptureMessage) -> Event:
    """Return what a flow is told by a message of cde."""
    match message:
        case FieldGivenUp():
            return FieldFailed(message.field, message.reason)
        case ChoiceMade():
            return Chosen(message.ordinal)
        case ChoiceRefused():
            return ChoiceRejected(message.reason)
        case ControlKeyed():
            return RepeatAsked() if message.key is ControlKey.REPEAT else AgentKeyPressed()
        case KeysHinted():
            return QualityHinted(message.hint)
