"""Times of the step that is asked for: the silence that means something, and the end of the step with all its attempts.

While a prompt is said the silence before the first key stands still, for a caller listens before he keys.
"""

from __future__ import annotations

from typing import Final

from dtmf_shield.model.capture import Patience

PROMPT_S_MAX: Final = 60.0
"""Longest prompt believed. Nobody says that it is over: then the silence begins all the same."""


class StepClock:
    """``silence_s``: when silence means something. ``ends_s``: when the step's time is used up. None: never."""

    __slots__ = ("_prompt_until_s", "_since_s", "ends_s", "silence_s")

    def __init__(self) -> None:
        self.silence_s: float | None = None
        self.ends_s: float | None = None
        self._since_s = self._prompt_until_s = 0.0

    def begin(self, patience: Patience, now_s: float) -> None:
        """Begin a step."""
        self.ends_s = now_s + patience.total_timeout_ms / 1000

    def expect_first_key(self, patience: Patience, now_s: float) -> None:
        """Begin the silence before the first key: now, or when the prompt is over."""
        self._since_s = max(now_s, self._prompt_until_s)
        self.silence_s = self._since_s + patience.first_digit_timeout_ms / 1000

    def expect_next_key(self, silence_ms: int, now_s: float) -> None:
        """Begin the silence after a key."""
        self._since_s = now_s
        self.silence_s = now_s + silence_ms / 1000

    def prompt_said(self, over: bool, now_s: float) -> None:
        """A prompt begins or is over."""
        self._prompt_until_s = now_s if over else now_s + PROMPT_S_MAX

    def share_waited(self, now_s: float) -> float:
        """Return how much of the silence has gone by, 0 to 1."""
        if self.silence_s is None or self.silence_s <= self._since_s:
            return 0.0
        return (now_s - self._since_s) / (self.silence_s - self._since_s)

    def shift(self, paused_s: float) -> None:
        """Take out a pause: everything has as long to run as it had."""
        self._since_s += paused_s
        self._prompt_until_s += paused_s
        if self.silence_s is not None:
            self.silence_s += paused_s
        if self.ends_s is not None:
            self.ends_s += paused_s

    def close(self) -> None:
        """Nothing is asked for any more."""
        self.silence_s = self.ends_s = None
