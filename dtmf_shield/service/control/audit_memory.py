"""What the audit log says already of captures and operations: cde tells a fresh control all of it once more.

Bounded, and filled from the last rows of the log. What has been forgotten is at worst a row twice.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, TypeVar

from dtmf_shield.model.capture import CaptureResult, replaces

KNOWN_MAX: Final = 4_096
"""Captures that run, captures that ended, operations: so many of each, the oldest forgotten first. cde tells the last
256 outcomes again."""

Fact = str | int | float
_Value = TypeVar("_Value")


class Begun(NamedTuple):
    """The call and the flow of a capture, empty where nobody knows."""

    call_id: str = ""
    flow_id: str = ""


class AuditMemory:
    """Decides whether a start, an end or a state is news."""

    def __init__(self) -> None:
        self._running: OrderedDict[str, Begun] = OrderedDict()
        self._ended: OrderedDict[str, tuple[Begun, str]] = OrderedDict()
        self._operations: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def sizes(self) -> tuple[int, int, int]:
        """Return how many captures that run, that have ended, and operations are known."""
        return len(self._running), len(self._ended), len(self._operations)

    def learn(self, rows: Iterable[Mapping[str, Fact]]) -> None:
        """Take what earlier rows say; one that is not ours is passed over."""
        for row in rows:
            capture, operation = str(row.get("capture", "")), str(row.get("operation", ""))
            match row.get("event"):
                case "capture_started":
                    self.started(capture, Begun(str(row.get("call", "")), str(row.get("flow", ""))))
                case "capture_ended":
                    _keep(self._ended, capture, (self._begun(capture), str(row.get("result", ""))))
                case "payment":
                    _keep(self._operations, operation, (str(row.get("state", "")), str(row.get("code", ""))))
                case _:
                    pass

    def runs(self, capture_id: str) -> bool:
        """Whether a capture has begun and has not ended."""
        return capture_id in self._running

    def started(self, capture_id: str, begun: Begun) -> bool:
        """Whether a capture that runs is new."""
        if capture_id in self._running:
            return False
        _keep(self._running, capture_id, begun)
        return True

    def ended(self, capture_id: str, result: CaptureResult) -> Begun | None:
        """Return call and flow where this end is news: the first, or the truth after a guess. Else None."""
        _, before = self._ended.get(capture_id, (None, ""))
        if before == result.value or not _may_follow(before, result):
            return None
        begun = self._begun(capture_id)
        _keep(self._ended, capture_id, (begun, result.value))
        return begun

    def operation_is(self, operation_id: str, state: str, code: str) -> bool:
        """Whether that is news of an operation. ``code`` alone may be: what a person took back stays approved."""
        if self._operations.get(operation_id) == (state, code):
            return False
        _keep(self._operations, operation_id, (state, code))
        return True

    def _begun(self, capture_id: str) -> Begun:
        known = self._ended.get(capture_id)
        return self._running.pop(capture_id, known[0] if known else Begun())


def _may_follow(before: str, result: CaptureResult) -> bool:
    try:
        return replaces(result, CaptureResult(before))
    except ValueError:  # none before, or one of another version
        return True


def _keep(table: OrderedDict[str, _Value], key: str, value: _Value) -> None:
    table[key] = value
    table.move_to_end(key)
    while len(table) > KNOWN_MAX:
        table.popitem(last=False)
