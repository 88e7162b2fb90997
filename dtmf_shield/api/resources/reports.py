"""Reports of captures that were: JSON for pages and programs, CSV for spreadsheets."""

from __future__ import annotations

import csv
import datetime
import enum
import io
from collections.abc import Iterable
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from dtmf_shield.api.access import Context, asker
from dtmf_shield.api.identity.principal import Principal, Role
from dtmf_shield.api.ports.reports import ReportBook
from dtmf_shield.api.problem import ApiRefusal, documented
from dtmf_shield.api.resources.bodies import Day, Name
from dtmf_shield.api.views.reports import CaptureReport, capture_report
from dtmf_shield.api.views.words import prose
from dtmf_shield.model.capture import CaptureResult
from dtmf_shield.model.report import END_UNKNOWN, OutcomeLine, ReportRange

REPORT_DAYS_MAX: Final = 400
"""As long as rows are kept."""
REPORT_DAYS_DEFAULT: Final = 30
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet would calculate where a cell begins with it; the last four are as wide as a Chinese letter."""

router = APIRouter(prefix="/v1/reports", responses=documented())
AgentName = Annotated[str, Query(pattern=r"^[A-Za-z0-9._@ -]{1,64}$")]


class ReportFormat(enum.StrEnum):
    """``csv``: one line a day, flow and agent; ``csv_fields``: one line a field."""

    JSON = "json"
    CSV = "csv"
    CSV_FIELDS = "csv_fields"


@router.get(
    "/captures",
    response_model=CaptureReport,
    responses={**documented(403), 200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def report_captures(
    asker: Annotated[Principal, Depends(asker(Role.SUPERVISOR))],
    context: Context,
    from_day: Annotated[Day | None, Query(alias="from")] = None,
    to_day: Annotated[Day | None, Query(alias="to")] = None,
    flow: Annotated[Name | None, Query()] = None,
    agent: AgentName | None = None,
    format: ReportFormat = ReportFormat.JSON,  # noqa: A002 - the name of the parameter in the address
) -> Response | CaptureReport:
    """Count captures that began from one day to another, both included, in UTC. Without days: the last 30.

    It runs in a thread of the server: to count a year takes as long as the disk needs, and no call waits for it. Who
    takes one as a file is in the audit log.
    """
    today = datetime.datetime.fromtimestamp(context.clock.wall_s(), datetime.UTC).date()
    first, last = _days(from_day, to_day, today)
    made = await run_in_threadpool(_made, context.backing.reports, first, last, flow, agent, format)
    if format is not ReportFormat.JSON:
        context.deeds.report_taken(asker, format.value, first, last)
    return made


def _made(
    book: ReportBook,
    first: datetime.date,
    last: datetime.date,
    flow: str | None,
    agent: str | None,
    form: ReportFormat,
) -> Response | CaptureReport:
    wanted = ReportRange(_second_of(first), _second_of(last + datetime.timedelta(days=1)), flow, agent)
    if form is ReportFormat.CSV:
        return _csv("captures", first, last, _outcome_lines(book.lines(wanted)))
    report = capture_report(
        book.counts(wanted),
        from_day=first.isoformat(),
        to_day=last.isoformat(),
        flow=flow,
        agent=agent,
        lost=book.rows_lost,
    )
    return _csv("fields", first, last, _field_lines(report)) if form is ReportFormat.CSV_FIELDS else report


def _days(
    first: datetime.date | None, last: datetime.date | None, today: datetime.date
) -> tuple[datetime.date, datetime.date]:
    """Return both days. The first and the last years that there are have no day before or after them: refused."""
    last = last or max(today, first or today)
    if last.year in (datetime.MINYEAR, datetime.MAXYEAR):
        raise _days_refused()
    first = first or last - datetime.timedelta(days=REPORT_DAYS_DEFAULT - 1)
    if not datetime.timedelta(0) <= last - first < datetime.timedelta(days=REPORT_DAYS_MAX):
        raise _days_refused()
    return first, last


def _days_refused() -> ApiRefusal:
    return ApiRefusal(422, "report-days", f"Say from and to in order, with {REPORT_DAYS_MAX} days at most.")


def _second_of(day: datetime.date) -> int:
    return int(datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp())


def _outcome_lines(cells: Iterable[OutcomeLine]) -> list[list[str]]:
    """Return a heading, then one line a day, flow and agent: begun, and each result."""
    words = [*(result.value for result in CaptureResult), END_UNKNOWN]
    lines: dict[tuple[str, str, str], dict[str, int]] = {}
    for cell in cells:
        line = lines.setdefault((cell.day, cell.flow, cell.agent), {})
        line["begun"] = line.get("begun", 0) + cell.captures
        line[cell.result] = line.get(cell.result, 0) + cell.captures
    heading = ["day", "flow", "agent", "begun", *words]
    return [
        heading,
        *([*group, *(str(line.get(word, 0)) for word in heading[3:])] for group, line in lines.items()),
    ]


def _field_lines(report: CaptureReport) -> list[list[str]]:
    heading = ["field", "kind", "asked", "accepted", "attempts", "median_s", "p90_s", "rejects"]
    return [
        heading,
        *(
            [
                one.field,
                one.kind.value,
                str(one.asked),
                str(one.accepted),
                str(one.attempts),
                "" if one.median_s is None else str(one.median_s),
                "" if one.p90_s is None else str(one.p90_s),
                " ".join(f"{reject.reason.value}:{reject.times}" for reject in one.rejects),
            ]
            for one in report.fields
        ),
    ]


def _cell(words: str) -> str:
    """Return what no spreadsheet calculates: some take away spaces first."""
    return f"'{words}" if words.lstrip(" ").startswith(_FORMULA) else words


def _csv(name: str, first: datetime.date, last: datetime.date, lines: list[list[str]]) -> Response:
    """Return RFC 4180; a cell that a spreadsheet would take for a formula begins with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([_cell(prose(words)) for words in line] for line in lines)
    file = f"{name}-{first.isoformat()}-{last.isoformat()}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{file}"', "Cache-Control": "no-store"}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)
