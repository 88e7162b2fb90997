"""What a report knows of a capture: when, whose, how it ended, how long each field took. Of a card: its brand alone.

Times are whole seconds from a field asked to a field accepted: nothing here is as fine as a key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dtmf_shield.model.capture import CaptureResult, FieldKind, RejectReason
from dtmf_shield.model.ids import CaptureId

END_UNKNOWN: Final = "end_unknown"
"""Stands where a result would: nobody has told the end, and nobody will. No result, for what was paid may be known in
the ledger; an end that is told after all replaces it."""


@dataclass(frozen=True, slots=True)
class CaptureBegin:
    """A capture has begun. ``began_s``: whole seconds since 1970; ``agent`` is empty while the caller is alone."""

    capture_id: CaptureId
    began_s: int
    flow: str
    agent: str


@dataclass(frozen=True, slots=True)
class FieldTally:
    """What became of one field of one capture.

    ``attempts``: entries begun, the refused and the open one among them; ``seconds``: asked to accepted, all rounds
    together, None where it was never accepted; ``rejects``: how often it was refused, by reason.
    """

    field: str
    kind: FieldKind
    attempts: int
    seconds: int | None
    rejects: tuple[tuple[RejectReason, int], ...] = ()


@dataclass(frozen=True, slots=True)
class CaptureEnd:
    """How a capture ended. ``step``: where its flow was; ``fields`` are those that were asked for."""

    capture_id: CaptureId
    result: CaptureResult
    step: str = ""
    brand: str = ""
    test: bool = False
    fields: tuple[FieldTally, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportRange:
    """Captures that began in ``from_s`` <= t < ``to_s`` (seconds since 1970), of one flow or agent where named.

    Counted are whole days, UTC: every day of which the range has a second.
    """

    from_s: int
    to_s: int
    flow: str | None = None
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """So many captures of one day (``2026-01-31``, UTC), flow or agent that ended so.

    ``result``: a CaptureResult, END_UNKNOWN, or "" while no end is known; ``test``: how many of a test gateway.
    """

    name: str
    result: str
    captures: int
    test: int


@dataclass(frozen=True, slots=True)
class OutcomeLine:
    """So many captures of one day, flow and agent that ended so: the finest that is told."""

    day: str
    flow: str
    agent: str
    result: str
    captures: int


@dataclass(frozen=True, slots=True)
class FieldCount:
    """A field of all captures together: how many asked for it, how many entries were begun."""

    field: str
    kind: str
    asked: int
    attempts: int


@dataclass(frozen=True, slots=True)
class ReportCounts:
    """A report's raw counts: the same captures by day, by flow and by agent, and what became of their fields.

    ``seconds``: (field, whole seconds, captures); ``rejects``: (field, reason, times); ``gone``: (flow, step, callers
    who left there).
    """

    days: tuple[OutcomeCount, ...] = ()
    flows: tuple[OutcomeCount, ...] = ()
    agents: tuple[OutcomeCount, ...] = ()
    fields: tuple[FieldCount, ...] = ()
    seconds: tuple[tuple[str, int, int], ...] = ()
    rejects: tuple[tuple[str, str, int], ...] = ()
    gone: tuple[tuple[str, str, int], ...] = ()
