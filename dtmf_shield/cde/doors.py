"""Joining doors: one press may come by the audio (in-band, RFC 4733) and by SIP INFO (RFC 6086); it counts once.

Media joins its own two doors. Here keys of media and keys of INFO are paired by order: equal code, not of the same
door, arrived within PAIR_WINDOW_S, each key in one pair at most. Codes of keys that may still find their pair lie in
the slot; arrival times and doors lie beside them as plain values.
"""

from __future__ import annotations

import enum
from typing import Final

PAIR_WINDOW_S: Final = 0.4
"""Longest time between the two arrivals of one press. To be measured against real trunks."""


class Door(enum.Enum):
    """Where a key came in."""

    MEDIA = 0
    INFO = 1


class KeyJoiner:
    """The joiner of one capture. ``cells`` is its part of the slot, one code a byte; zero is empty."""

    __slots__ = ("_arrivals", "_cells")

    def __init__(self, cells: memoryview) -> None:
        self._cells = cells
        self._arrivals: list[tuple[Door, float]] = []

    def is_new(self, code: int, door: Door, now_s: float) -> bool:
        """Take a key. False where it is the second arrival of a press already counted."""
        self.forget(now_s)
        for index, (other, _) in enumerate(self._arrivals):
            if other is not door and self._cells[index] == code:
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
        while old < len(self._arrivals) and self._arrivals[old][1] + PAIR_WINDOW_S < now_s:
            old += 1
        if old:
            self._drop(old)

    @property
    def next_timer_s(self) -> float | None:
        """When ``forget`` has something to do."""
        return self._arrivals[0][1] + PAIR_WINDOW_S if self._arrivals else None

    def _drop(self, count: int) -> None:
        kept = len(self._arrivals) - count
        del self._arrivals[:count]
        for index in range(kept):
            self._cells[index] = self._cells[index + count]
        for index in range(kept, len(self._cells)):
            self._cells[index] = 0

    def __repr__(self) -> str:
        return f"<KeyJoiner: {len(self._arrivals)} unpaired>"
