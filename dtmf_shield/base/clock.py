"""The clock as a protocol: cores are given ``now_s``, shells are given a Clock."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Seconds that never go backwards (monotonic) and seconds since 1970 (wall)."""

    def now_s(self) -> float:
        """Monotonic time in seconds; only differences mean anything."""

    def wall_s(self) -> float:
        """Seconds since 1970-01-01 UTC."""
