"""The caller's side of a simulation: one capture machine with its slot, and keys pressed into it.

The slot is ordinary memory of this process: test cards only. What the machine does not know yet (menus, the way to an
agent, the repeat key) is matched here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import dtmf_shield.cde.card as card_module
from dtmf_shield.account_data import slots
from dtmf_shield.cde.capture import Capture
from dtmf_shield.cde.card import IinTable
from dtmf_shield.flow.engine.commands import Collect, OpenMenu
from dtmf_shield.flow.engine.events import AgentKeyPressed, ChoiceRejected, Chosen, Event, RepeatAsked
from dtmf_shield.flow.engine.telling import events_between
from dtmf_shield.flow.language import Flow
from dtmf_shield.model.capture import CaptureProgress, CaptureState, ChoiceFault
from dtmf_shield.model.ids import CaptureId

CAPTURE: Final = CaptureId("simulated")
TOTAL_MS: Final = 3_600_000
"""The flow's own limits end it first."""
ATTEMPTS_MAX: Final = 10
_OPEN: Final = frozenset({CaptureState.WAITING, CaptureState.KEYING})
_OVER: Final = frozenset({CaptureState.DONE, CaptureState.FAILED})


class Caller:
    """Presses keys into the real capture machine and into menus, and tells what came of it. Times in seconds."""

    def __init__(self, flow: Flow, today: tuple[int, int]) -> None:
        self._flow, self._today = flow, today
        self._table = IinTable(Path(card_module.__file__).with_name("iin.toml").read_text("utf-8"))
        self._slot = memoryview(bytearray(slots.SLOT_BYTES))
        self._head = 0
        self._capture: Capture | None = None
        self._seen = CaptureProgress(capture_id=CAPTURE, state=CaptureState.HELD)
        self._asked: Collect | None = None
        self._menu: OpenMenu | None = None
        self._menu_ends_s = 0.0
        self._agent_key_held = False
        self._agent_key_ends_s = 0.0
        self._swallow = False

    @property
    def listening(self) -> bool:
        """Whether a key would be of use now."""
        return self._menu is not None or (self._capture is not None and self._capture.state in _OPEN)

    @property
    def next_timer_s(self) -> float | None:
        """When silence means something."""
        times = [self._menu_ends_s] if self._menu is not None else []
        if self._agent_key_held:
            times.append(self._agent_key_ends_s)
        elif self._menu is None and self._capture is not None and self._capture.next_timer_s is not None:
            times.append(self._capture.next_timer_s)
        return min(times, default=None)

    def collect(self, command: Collect, now_s: float) -> tuple[Event, ...]:
        """Listen for a field; keys typed ahead may complete it at once."""
        capture = self._machine(now_s)
        self._asked, self._menu, self._agent_key_held = command, None, False
        capture.collect(command.field, now_s)
        self._seen = CaptureProgress(
            capture_id=CAPTURE, state=CaptureState.WAITING, field=command.field, accepted=self._kept(command)
        )
        return self._news()

    def _kept(self, command: Collect) -> tuple[str, ...]:
        return tuple(name for name in self._seen.accepted if name != command.field)

    def _machine(self, now_s: float) -> Capture:
        if self._capture is None or self._capture.state in _OVER:
            spec = self._flow.capture_spec()
            changes = {"attempts": ATTEMPTS_MAX, "total_timeout_ms": TOTAL_MS}
            fields = {name: getattr(spec, name) for name in spec.__struct_fields__} | changes
            self._slot[:] = bytes(len(self._slot))
            self._head = 0
            self._capture = Capture(
                CAPTURE,
                type(spec)(**fields),
                self._slot,
                self._table,
                now_s=now_s,
                today=self._today,
                test=True,
            )
            self._capture.armed()
        return self._capture

    def open_menu(self, command: OpenMenu, now_s: float) -> None:
        """Listen for an option."""
        self._menu, self._asked, self._agent_key_held = command, None, False
        self._menu_ends_s = now_s + command.patience.first_digit_timeout_ms / 1000

    def closed(self) -> None:
        """Listen for nothing: the flow has gone on."""
        self._menu = None

    def restart_silence(self, now_s: float) -> None:
        """A menu's patience begins when its prompt has ended."""
        if self._menu is not None:
            self._menu_ends_s = now_s + self._menu.patience.first_digit_timeout_ms / 1000

    def press(self, key: str, now_s: float) -> tuple[Event, ...]:
        """Press one key."""
        if self._menu is not None:
            return self._press_menu(self._menu, key)
        if self._asked is None or self._capture is None:
            return ()
        patience = self._asked.patience
        empty = self._capture.state is CaptureState.WAITING and not self._agent_key_held
        if empty and key == patience.agent:
            self._agent_key_held = True
            self._agent_key_ends_s = now_s + patience.inter_digit_timeout_ms / 1000
            return ()
        if self._agent_key_held:
            self._agent_key_held = False
            if key == "#" and patience.submit == "hash":
                return (AgentKeyPressed(),)
            self._feed(patience.agent, now_s)
        if empty and key == "*" and patience.repeat == "star":
            return (RepeatAsked(),)
        self._feed(key, now_s)
        news = self._news()
        self._swallow = bool(news) and key != "#"
        return news

    def _press_menu(self, menu: OpenMenu, key: str) -> tuple[Event, ...]:
        swallow, self._swallow = self._swallow, False
        if swallow and key == "#":
            return ()  # right after an entry that submitted itself
        if key in menu.keys:
            return (Chosen(menu.keys.index(key)),)
        if key == "*" and menu.patience.repeat == "star":
            return (RepeatAsked(),)
        if key == menu.patience.agent:
            return (AgentKeyPressed(),)
        return (ChoiceRejected(ChoiceFault.WRONG_KEY),)

    def type_ahead(self, key: str, now_s: float) -> None:
        """Press a key while nothing listens: it waits in the machine's slot."""
        if self._capture is not None and self._capture.state is CaptureState.HELD:
            self._feed(key, now_s)

    def silent_until(self, now_s: float) -> tuple[Event, ...]:
        """Let time pass."""
        if self._menu is not None and now_s >= self._menu_ends_s:
            self._menu = None
            return (ChoiceRejected(ChoiceFault.TIMEOUT),)
        if self._agent_key_held and now_s >= self._agent_key_ends_s:
            self._agent_key_held = False
            return (AgentKeyPressed(),)
        if self._capture is None or self._menu is not None or self._agent_key_held:
            return ()
        self._capture.handle_timer(now_s)
        return self._news()

    def _feed(self, key: str, now_s: float) -> None:
        if self._capture is None:
            return
        self._slot[slots.RING_AT + self._head] = ord(key)
        self._head = (self._head + 1) % slots.RING_KEYS
        self._slot[slots.HEAD_AT] = self._head
        self._capture.take_media_keys(self._head, False, now_s)

    def _news(self) -> tuple[Event, ...]:
        if self._capture is None:
            return ()
        self._capture.take_change()
        before, self._seen = self._seen, self._capture.progress()
        return events_between(self._flow, before, self._seen)

    def __repr__(self) -> str:
        return "<Caller of a simulation>"
