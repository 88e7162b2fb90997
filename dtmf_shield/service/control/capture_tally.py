"""Counts how each running capture goes, for reports: out of the messages that control gets anyway. No I/O, no clock.

A field's round begins when it is asked for and ends when it is accepted or given up; asked again, it has another.
A capture restored after the death of control is counted from then on: its earlier fields are not known any more.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Final

from dtmf_shield.call.events import CallSnapshot
from dtmf_shield.flow.language import Flow
from dtmf_shield.model.capture import CaptureOutcome, CaptureProgress, FieldKind, RejectReason
from dtmf_shield.model.ids import CaptureId
from dtmf_shield.model.messages import FieldGivenUp
from dtmf_shield.model.report import CaptureBegin, CaptureEnd, FieldTally

RUNNING_MAX: Final = 4_096
"""Captures counted at once; over it the oldest is forgotten, which costs its times and no row."""
SECONDS_MAX: Final = 3_600
"""More than a field can take: a flow's patience ends before. Bounds what one field can add to a report."""


@dataclass(slots=True)
class _Field:
    """One field of one capture, until now."""

    kind: FieldKind
    asked_s: float | None = None
    """When its open round began, None while none is open."""
    took_s: float = 0.0
    accepted: int = 0
    accepted_now: bool = False
    refused: Counter[RejectReason] = field(default_factory=Counter)
    last_refusal: tuple[int, RejectReason] | None = None


@dataclass(slots=True)
class _Running:
    """One capture, until now."""

    kinds: dict[str, FieldKind]
    step: str = ""
    fields: dict[str, _Field] = field(default_factory=dict)


class CaptureTallies:
    """Captures that run. Every message may come twice, or for a capture that is not here."""

    def __init__(self, running_max: int = RUNNING_MAX) -> None:
        self._running: OrderedDict[CaptureId, _Running] = OrderedDict()
        self._running_max = running_max

    def changed(self, call: CallSnapshot, wall_s: float) -> CaptureBegin | None:
        """Take where a call's capture is. Returns its beginning where it is new."""
        capture = call.capture
        if capture is None or capture.outcome is not None:
            return None
        known = self._running.get(capture.capture_id)
        begin = None
        if known is None:
            known = self._running[capture.capture_id] = _Running(_kinds(capture.flow))
            begin = CaptureBegin(capture.capture_id, int(wall_s), capture.flow_id, call.agent_name)
            while len(self._running) > self._running_max:
                self._running.popitem(last=False)
        known.step = capture.step or known.step
        return begin

    def progressed(self, progress: CaptureProgress, now_s: float) -> None:
        """Take how its fields are."""
        running = self._running.get(progress.capture_id)
        if running is None:
            return
        for name in progress.accepted:
            if name in running.kinds:
                _accept(_field(running, name), now_s)
        for name, known in running.fields.items():
            known.accepted_now = known.accepted_now and name in progress.accepted
        if progress.field in running.kinds and progress.field not in progress.accepted:
            _ask(_field(running, progress.field), now_s, progress)

    def given_up(self, message: FieldGivenUp) -> None:
        """The last attempt of a field was refused."""
        running = self._running.get(message.capture_id)
        if running is None or message.field not in running.kinds:
            return
        known = _field(running, message.field)
        known.refused[message.reason] += 1
        known.asked_s = None

    def ended(self, outcome: CaptureOutcome) -> CaptureEnd:
        """Forget a capture. Returns what is known of it; of one that is not here, how it ended."""
        running = self._running.pop(outcome.capture_id, _Running({}))
        return CaptureEnd(
            outcome.capture_id,
            outcome.result,
            running.step,
            outcome.brand,
            outcome.test,
            tuple(_tally(name, known) for name, known in running.fields.items()),
        )

    def runs(self, capture_id: CaptureId) -> bool:
        """Whether a capture is counted now."""
        return capture_id in self._running


def _kinds(flow: Flow | None) -> dict[str, FieldKind]:
    return {} if flow is None else {spec.name: spec.kind for spec in flow.capture_spec().fields}


def _field(running: _Running, name: str) -> _Field:
    return running.fields.setdefault(name, _Field(running.kinds[name]))


def _accept(known: _Field, now_s: float) -> None:
    if known.accepted_now:
        return
    # Keyed ahead of being asked for, it took no time that anybody waited.
    known.took_s += 0.0 if known.asked_s is None else max(0.0, now_s - known.asked_s)
    known.asked_s, known.accepted_now, known.last_refusal = None, True, None
    known.accepted += 1


def _ask(known: _Field, now_s: float, progress: CaptureProgress) -> None:
    if known.asked_s is None:
        known.asked_s, known.last_refusal = now_s, None
    if progress.reason is None:
        # Asked for again while it was open, it counts its attempts from one again.
        known.last_refusal = None if progress.attempt == 1 else known.last_refusal
    elif known.last_refusal != (progress.attempt, progress.reason):
        known.refused[progress.reason] += 1
        known.last_refusal = (progress.attempt, progress.reason)


def _tally(name: str, known: _Field) -> FieldTally:
    opened = int(known.asked_s is not None)
    return FieldTally(
        field=name,
        kind=known.kind,
        attempts=known.refused.total() + known.accepted + opened,
        seconds=min(round(known.took_s), SECONDS_MAX) if known.accepted else None,
        rejects=tuple(sorted(known.refused.items())),
    )
