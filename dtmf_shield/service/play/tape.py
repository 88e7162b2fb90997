"""The tape of the call in progress: what the caller's phone sent, what the agent's received, when keys were pressed.

In the memory of the play process alone, until the evidence has been made of it. It names no key: published TEST cards
are in its sound, and nowhere else of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.model.capture import FieldKind
from dtmf_shield.phone.door import Door
from dtmf_shield.phone.tones import SAMPLE_RATE_HZ

TAPE_S_MAX: Final = 600
"""Ten minutes a side, 9.6 MB; what comes later is not kept, and that is told."""
PRESSES_MAX: Final = 512
"""Later ones are counted and have no mark."""
JUMP_S_MIN: Final = 0.2
"""A side whose packets stay away so long is silent meanwhile; below it packets come early and late as they do."""
_GROW_SAMPLES: Final = 60 * SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Press:
    """One key on the caller's side of the tape, in samples. ``field``: what it was for, as far as the page knew."""

    field: FieldKind | None
    door: Door
    start: int
    end: int


class Side:
    """What one phone sent or received, int16 at 8 kHz."""

    def __init__(self) -> None:
        self.samples = 0
        self.cut = False
        """Whether there was more than there is room for."""
        self._pcm = np.zeros(0, np.int16)

    @property
    def pcm(self) -> NDArray[np.int16]:
        """A copy of all there is, shape (samples,)."""
        return self._pcm[: self.samples].copy()

    def add(self, audio: NDArray[np.int16], at: int) -> None:
        """Append a packet; silence before it where ``at``, its place by the clock, is later by more than JUMP_S_MIN."""
        start = at if at - self.samples > JUMP_S_MIN * SAMPLE_RATE_HZ else self.samples
        end = start + len(audio)
        if end > TAPE_S_MAX * SAMPLE_RATE_HZ:
            self.cut = True
            return
        if end > len(self._pcm):
            self._pcm = np.pad(self._pcm, (0, end - len(self._pcm) + _GROW_SAMPLES))
        self._pcm[start:end] = audio
        self.samples = end


class CallTape:
    """Both sides by one clock, which begins with the first packet of either."""

    def __init__(self) -> None:
        self.caller, self.agent = Side(), Side()
        self.presses: list[Press] = []
        self.keys_sent = 0
        """Presses, with those that have no mark."""
        self.ways: set[tuple[str, str, str]] = set()
        """Door, fingers and line of every press."""
        self._began_s: float | None = None

    def sent(self, audio: NDArray[np.int16], now_s: float) -> None:
        """Take a packet that leaves the caller's phone."""
        self.caller.add(audio, self._at(now_s))

    def heard(self, audio: NDArray[np.int16], now_s: float) -> None:
        """Take a packet that has come to the agent's phone."""
        self.agent.add(audio, self._at(now_s))

    def pressed(self, field: FieldKind | None, door: Door, tone_ms: int) -> None:
        """Mark a key that leaves with the next packet of the caller's phone."""
        self.keys_sent += 1
        if len(self.presses) < PRESSES_MAX and not self.caller.cut:
            start = self.caller.samples
            self.presses.append(Press(field, door, start, start + tone_ms * SAMPLE_RATE_HZ // 1000))

    def _at(self, now_s: float) -> int:
        if self._began_s is None:
            self._began_s = now_s
        return int((now_s - self._began_s) * SAMPLE_RATE_HZ)
