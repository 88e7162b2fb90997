"""Reports of captures: the views, and the pure maths that makes them of counts.

Every CaptureResult has a line of its own; ``unknown`` is never counted with the declined. Days are UTC.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Final

from pydantic import StringConstraints

from dtmf_shield.api.views.words import Prose, View
from dtmf_shield.model.capture import CaptureResult, FieldKind, RejectReason
from dtmf_shield.model.report import END_UNKNOWN, OutcomeCount, ReportCounts

SUCCEEDED: Final = frozenset({CaptureResult.TOKEN, CaptureResult.APPROVED, CaptureResult.COMPLETED})
"""What the flow was for was done."""
P90: Final = 0.9
MEDIAN: Final = 0.5
SHARE_PLACES: Final = 4
_RESULTS: Final = {result.value: result for result in CaptureResult}
_REASONS: Final = {reason.value: reason for reason in RejectReason}
_KINDS: Final = {kind.value: kind for kind in FieldKind}

Day = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
FieldName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
GroupName = Prose
"""A flow's or an agent's name, or a day."""


class ResultCount(View):
    """So many captures ended so. ``succeeded``: whether that is a success."""

    result: CaptureResult
    captures: int
    succeeded: bool


class GroupView(View):
    """Captures of one day, flow or agent. ``success_rate``: of those that ended, 0 to 1; null where none has.

    What is missing to ``begun`` is open: no end is known yet.
    """

    name: GroupName
    begun: int
    succeeded: int
    unknown: int
    failed: int
    """Ended otherwise: neither a success nor unknown."""
    abandoned: int
    """Of ``failed``: the caller hung up."""
    end_unknown: int
    """Nobody told their end, and nobody will: not counted as ended."""
    success_rate: float | None


class RejectCount(View):
    """So many entries of a field were refused for this reason."""

    reason: RejectReason
    times: int


class FieldReport(View):
    """One field over all captures that asked for it.

    ``median_s`` and ``p90_s``: whole seconds from asked to accepted, all attempts in it; null where none was accepted.
    """

    field: FieldName
    kind: FieldKind
    asked: int
    accepted: int
    attempts: int
    attempts_mean: float
    median_s: int | None
    p90_s: int | None
    rejects: tuple[RejectCount, ...]


class StepCount(View):
    """So many callers left in this step of this flow; empty where no step was known."""

    flow: Prose
    step: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_]{0,31})?$")]
    captures: int


class CaptureReport(View):
    """Captures that began from one day to another, both included.

    ``open``: no end is known yet; most run still. ``end_unknown``: nobody told their end, and nobody will: they ran
    when the service was killed, or began a day ago; what was paid is in the ledger. ``begun`` is ``ended``, ``open``
    and ``end_unknown`` together. ``lost``: captures whose row could not be written since the service started, which
    this report lacks. ``test``: how many ended at a test gateway.
    """

    from_day: Day
    to_day: Day
    flow: GroupName | None
    agent: GroupName | None
    begun: int
    ended: int
    open: int
    end_unknown: int
    succeeded: int
    success_rate: float | None
    test: int
    lost: int
    outcomes: tuple[ResultCount, ...]
    fields: tuple[FieldReport, ...]
    abandoned: tuple[StepCount, ...]
    days: tuple[GroupView, ...]
    flows: tuple[GroupView, ...]
    agents: tuple[GroupView, ...]


def capture_report(
    counts: ReportCounts,
    *,
    from_day: str,
    to_day: str,
    flow: str | None = None,
    agent: str | None = None,
    lost: int = 0,
) -> CaptureReport:
    """Make a report of its counts. Words of another version of the service, which nothing here knows, are left out."""
    cells = _known(counts.days)
    results = _results(cells)
    begun = sum(cell.captures for cell in cells)
    ended = results.total()
    end_unknown = _end_unknown(cells)
    succeeded = sum(results[result] for result in SUCCEEDED)
    return CaptureReport(
        from_day=from_day,
        to_day=to_day,
        flow=flow,
        agent=agent,
        begun=begun,
        ended=ended,
        open=begun - ended - end_unknown,
        end_unknown=end_unknown,
        succeeded=succeeded,
        success_rate=share(succeeded, ended),
        test=sum(cell.test for cell in cells),
        lost=lost,
        outcomes=tuple(
            ResultCount(result=result, captures=results[result], succeeded=result in SUCCEEDED)
            for result in CaptureResult
        ),
        fields=_fields(counts),
        abandoned=tuple(StepCount(flow=name, step=step, captures=many) for name, step, many in counts.gone),
        days=_groups(counts.days),
        flows=_groups(counts.flows),
        agents=_groups(counts.agents),
    )


def share(part: int, whole: int) -> float | None:
    """Return part of whole, 0 to 1, None of nothing."""
    return round(part / whole, SHARE_PLACES) if whole else None


def quantile_s(histogram: Mapping[int, int], wanted: float) -> int | None:
    """Return the smallest whole second that at least ``wanted`` (0 to 1) of all counts do not exceed (nearest rank)."""
    total = sum(histogram.values())
    rank = max(1, math.ceil(wanted * total))
    seen = 0
    for seconds in sorted(histogram):
        seen += histogram[seconds]
        if seen >= rank:
            return seconds
    return None


def _result(word: str) -> CaptureResult | None:
    return _RESULTS.get(word)


def _results(cells: Iterable[OutcomeCount]) -> Counter[CaptureResult]:
    results: Counter[CaptureResult] = Counter()
    for cell in cells:
        result = _result(cell.result)
        if result is not None:
            results[result] += cell.captures
    return results


def _known(cells: Iterable[OutcomeCount]) -> list[OutcomeCount]:
    return [cell for cell in cells if cell.result in ("", END_UNKNOWN) or _result(cell.result) is not None]


def _end_unknown(cells: Iterable[OutcomeCount]) -> int:
    return sum(cell.captures for cell in cells if cell.result == END_UNKNOWN)


def _groups(cells: Iterable[OutcomeCount]) -> tuple[GroupView, ...]:
    groups: dict[str, list[OutcomeCount]] = {}
    for cell in _known(cells):
        groups.setdefault(cell.name, []).append(cell)
    return tuple(_group(name, groups[name]) for name in sorted(groups))


def _group(name: str, cells: list[OutcomeCount]) -> GroupView:
    results = _results(cells)
    ended = results.total()
    succeeded = sum(results[result] for result in SUCCEEDED)
    unknown = results[CaptureResult.UNKNOWN]
    return GroupView(
        name=name,
        begun=sum(cell.captures for cell in cells),
        succeeded=succeeded,
        unknown=unknown,
        failed=ended - succeeded - unknown,
        abandoned=results[CaptureResult.CALLER_GONE],
        end_unknown=_end_unknown(cells),
        success_rate=share(succeeded, ended),
    )


def _fields(counts: ReportCounts) -> tuple[FieldReport, ...]:
    seconds: dict[str, dict[int, int]] = {}
    for name, whole_s, captures in counts.seconds:
        seconds.setdefault(name, {})[whole_s] = captures
    rejects: dict[str, list[RejectCount]] = {}
    for name, reason, times in counts.rejects:
        if reason in _REASONS:
            rejects.setdefault(name, []).append(RejectCount(reason=_REASONS[reason], times=times))
    return tuple(
        FieldReport(
            field=one.field,
            kind=_KINDS[one.kind],
            asked=one.asked,
            accepted=sum(seconds.get(one.field, {}).values()),
            attempts=one.attempts,
            attempts_mean=round(one.attempts / one.asked, 2),
            median_s=quantile_s(seconds.get(one.field, {}), MEDIAN),
            p90_s=quantile_s(seconds.get(one.field, {}), P90),
            rejects=tuple(sorted(rejects.get(one.field, []), key=lambda reject: -reject.times)),
        )
        for one in counts.fields
        if one.kind in _KINDS
    )
