"""The machine's clock."""

from __future__ import annotations

import time


class SystemClock:
    """CLOCK_MONOTONIC and CLOCK_REALTIME."""

    def now_s(self) -> float:
        """Monotonic time in seconds."""
        return time.monotonic()

    def wall_s(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return time.time()
