"""The thread that puts the audit log under signed roots and sends them to the anchor; it never makes anyone wait.

Its memory is on disk: the roots file says what has a root, ``audit.anchored`` which root the anchor has had. So a crash
forgets nothing, and an anchor that is away costs time only. Failures are logged once, and again when they are over.
"""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import Final

from dtmf_shield.audit.anchor import Anchor
from dtmf_shield.audit.roots import Root, RootWriter, last_roots
from dtmf_shield.base.clock import Clock
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.base.log import get_logger

ANCHORED_FILE: Final = "audit.anchored"
BACKLOG_ROOTS_MAX: Final = 1_000
"""Roots sent to an anchor that was away. Older ones are left out: each root vouches for all before it."""
RETRY_S_MIN: Final = 5.0
RETRY_S_MAX: Final = 300.0
PAUSE_S: Final = 0.1
"""Between two roots: a log of years that gets its first ones takes a third of a core, not all of it."""
CLOSE_S: Final = 2.0
"""How long a stop waits for the last root; it stays on disk, and is anchored at the next start."""

_log = get_logger("audit")


class RootKeeper:
    """Owns the thread. ``writer`` belongs to the thread from ``start`` on."""

    def __init__(self, writer: RootWriter, anchor: Anchor | None, clock: Clock, *, interval_s: float) -> None:
        self._writer, self._anchor, self._clock, self._interval_s = writer, anchor, clock, interval_s
        self._anchored_file = writer.path.with_name(ANCHORED_FILE)
        self._stop = threading.Event()
        self._unsent: deque[Root] = deque(maxlen=BACKLOG_ROOTS_MAX)
        self._failing: dict[str, str] = {}
        self._retry_s = RETRY_S_MIN
        # A daemon: an anchor on a mount that hangs must not keep the process from leaving.
        self._thread = threading.Thread(target=self._run, name="audit-roots", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Write and send the last root, within CLOSE_S."""
        self._stop.set()
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        due_s = anchor_due_s = self._clock.now_s()
        self._recall()
        while not self._stop.is_set():
            now_s = self._clock.now_s()
            if now_s >= due_s:
                due_s = now_s + self._interval_s
                self._write()
            if now_s >= anchor_due_s:
                anchor_due_s = due_s if self._send() else now_s + self._back_off()
            self._stop.wait(max(0.0, min(due_s, anchor_due_s) - self._clock.now_s()))
        self._write()
        self._send()

    def _write(self) -> None:
        try:
            while made := self._writer.write(self._clock.wall_s(), roots_max=1):
                self._unsent.extend(made)
                self._stop.wait(PAUSE_S)
        except (OSError, OperatorError) as error:
            self._fails("audit_root_not_written", error)
        else:
            self._works("audit_root_not_written")

    def _send(self) -> bool:
        """Send what the anchor has not had. True: nothing is left to send."""
        if self._anchor is None:
            return True
        roots = tuple(self._unsent)
        try:
            if roots:
                self._anchor.send(roots)
                self._unsent.clear()
                _note(self._anchored_file, roots[-1])
        except OSError as error:
            self._fails("audit_anchor_failed", error)
            return False
        self._works("audit_anchor_failed")
        self._retry_s = RETRY_S_MIN
        return True

    def _recall(self) -> None:
        """Find the roots of earlier runs that the anchor has not had."""
        if self._anchor is None:
            return
        try:
            had = self._anchored_file.read_text("ascii").strip() if self._anchored_file.exists() else ""
            for root in last_roots(self._writer.path, BACKLOG_ROOTS_MAX):
                # A root is known by its hash: after the roots were set aside numbers begin anew.
                self._unsent.append(root)
                if root.digest() == had:
                    self._unsent.clear()
        except (OSError, ValueError) as error:
            self._fails("audit_root_not_read", error)

    def _back_off(self) -> float:
        wait_s, self._retry_s = self._retry_s, min(2 * self._retry_s, RETRY_S_MAX)
        return wait_s

    def _fails(self, event: str, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if self._failing.get(event) != reason:
            self._failing[event] = reason
            anchor = self._anchor.name if self._anchor and event == "audit_anchor_failed" else ""
            _log.error(event, error=reason, anchor=anchor)

    def _works(self, event: str) -> None:
        if self._failing.pop(event, None) is not None:
            _log.info(event + "_no_more")


def _note(path: Path, root: Root) -> None:
    beside = path.with_name(path.name + ".new")
    beside.write_text(root.digest() + "\n", "ascii")
    beside.replace(path)
