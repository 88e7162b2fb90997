"""Waiting for what no locator shows: a command that came to the service, a line of the console."""

from __future__ import annotations

import time
from collections.abc import Callable

from playwright.sync_api import Page

LIMIT_S = 10.0
STEP_MS = 50


def until(page: Page, holds: Callable[[], object]) -> bool:
    """Let the browser go on until ``holds`` does, LIMIT_S at most; return whether it does."""
    end_s = time.monotonic() + LIMIT_S
    while not (held := bool(holds())) and time.monotonic() < end_s:
        page.wait_for_timeout(STEP_MS)
    return held
