"""Joining doors: one press may come by the audio (in-band, RFC 4733) and by SIP INFO (RFC 6086); it counts once.

Media joins its own two doors. Here keys of media and keys of INFO are paired by order: equal code, not of the same
door, arrived within PAIR_WINDOW_S, each key in one pair at most. An INFO sent at the release tells how long the key
was held; its press began so much earlier. Codes of keys that may still find their pair lie in the slot; arrival times
and doors lie beside them as plain values.

Digits that are wiped from a field are wiped here too. What stays says only that a key came, when and by which door: it
pairs with a key of any code, so that the late second arrival of a wiped key does not begin the next entry.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Final

from dtmf_shield.account_data import slots

PAIR_WINDOW_S: Final = 2.5
"""Longest time between the two arrivals of one press. RFC 3261 17.1.2.2 repeats an unanswered INFO after 0.5 and 1.5 s:
two lost in a row, and a second for the way. A long window joins no two presses: on a trunk that reports its keys by
INFO every press has one, so each pair leaves its key counted once, whichever of two equal presses it was."""
HELD_S_MAX: Final = 5.0
"""Longest hold believed of an INFO sent at the release."""
_WIPED: Final = 0
"""In the cell of an unpaired key: its code is gone. No key has it."""


class Door(enum.Enum):
    """Where a key came in."""

    MEDIA = 0
    INFO = 1


def keys_up_to(head: int, page: memoryview) -> Iterator[tuple[int, bool]]:
    """Take the codes that media wrote into a slot's ring up to ``head`` (mod 64), and whether more are there."""
    head %= slots.RING_KEYS
    tail = page[slots.TAIL_AT] % slots.RING_KEYS
    while tail != head:
        code = page[slots.RING_AT + tail]
        page[slots.RING_AT + tail] = 0
        tail = (tail + 1) % slots.RING_KEYS
        page[slots.TAIL_AT] = tail
        yield code, tail != head


class KeyJoiner:
    """The joiner of one capture. ``cells`` is its part of the slot, one code a byte; zero: empty or wiped."""

    __slots__ = ("_arrivals", "_cells")

    def __init__(self, cells: memoryview) -> None:
        self._cells = cells
        self._arrivals: list[tuple[Door, float]] = []

    def is_new(self, code: int, door: Door, now_s: float, held_s: float = 0.0) -> bool:
        """Take a key. False where it is the second arrival of a press already counted.

        ``held_s``: how long before ``now_s`` the press may have begun, as an INFO tells it.
        """
        self.forget(now_s)
        reach_s = PAIR_WINDOW_S + min(held_s, HELD_S_MAX)
        for index, (other, arrived_s) in enumerate(self._arrivals):
            fits = self._cells[index] in (code, _WIPED)
            if other is not door and fits and now_s - arrived_s <= reach_s:
                # Older unpaired keys lost their pair: arrivals of one door keep their order.
                self._drop(index + 1)
                return False
        if len(self._arrivals) == len(self._cells):
            self._drop(1)
        self._cells[len(self._arrivals)] = code
        self._arrivals.append((door, now_s))
        return True

    def forget(self, now_s: float) -> None:
        """Zero the codes whose time to find a pair is over."""
        old = 0
        while old < len(self._arrivals) and self._lapses_s(old) <= now_s:
            old += 1
        if old:
            self._drop(old)

    def wipe(self) -> None:
        """Zero all codes at once; each unpaired key still finds its pair, by order alone."""
        for index in range(len(self._cells)):
            self._cells[index] = _WIPED

    @property
    def next_timer_s(self) -> float | None:
        """When ``forget`` has something to do."""
        return self._lapses_s(0) if self._arrivals else None

    def _lapses_s(self, index: int) -> float:
        door, arrived_s = self._arrivals[index]
        return arrived_s + PAIR_WINDOW_S + (HELD_S_MAX if door is Door.MEDIA else 0.0)

    def _drop(self, count: int) -> None:
        kept = len(self._arrivals) - count
        del self._arrivals[:count]
        for index in range(kept):
            self._cells[index] = self._cells[index + count]
        for index in range(kept, len(self._cells)):
            self._cells[index] = 0

    def __repr__(self) -> str:
        return f"<KeyJoiner: {len(self._arrivals)} unpaired>"
