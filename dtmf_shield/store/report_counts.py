"""Counts for a report, read from the counts of each day; one agent's fields from that agent's rows.

Each reader has a connection of its own: neither a large table nor a slow disk holds up who writes.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dtmf_shield.model.capture import CaptureResult
from dtmf_shield.model.report import FieldCount, OutcomeCount, OutcomeLine, ReportCounts, ReportRange
from dtmf_shield.store.report_schema import DAY_S

CELLS_MAX: Final = 50_000
"""Counts of one kind in one report: days, flows, agents or fields, times results or seconds. The most frequent stay."""
LINES_MAX: Final = 200_000
"""Lines of the finest table, day times flow times agent times result: ten megabytes of text."""

_DAYS: Final = "day >= :first AND day < :end AND (:flow IS NULL OR flow = :flow)"
_OF_AGENT: Final = "(:agent IS NULL OR agent = :agent)"
_DATE: Final = f"date(day * {DAY_S}, 'unixepoch')"
_ROWS_OF_AGENT: Final = (
    f"c.agent = :agent AND c.began >= :first * {DAY_S} AND c.began < :end * {DAY_S}"
    " AND (:flow IS NULL OR c.flow = :flow)"
)


def _outcomes(name: str, group: str, order: str) -> str:
    return (
        f"SELECT {name}, result, sum(captures), sum(test) FROM day_outcomes WHERE {_DAYS} AND {_OF_AGENT}"  # noqa: S608 - own text
        f" GROUP BY {group}, result ORDER BY {order} LIMIT {CELLS_MAX}"
    )


_BY_DAY: Final = _outcomes(_DATE, "day", "1, 2")
_BY_FLOW: Final = _outcomes("flow", "flow", "3 DESC, 1, 2")
_BY_AGENT: Final = _outcomes("agent", "agent", "3 DESC, 1, 2")
_LINES: Final = (
    f"SELECT {_DATE}, flow, agent, result, captures FROM day_outcomes WHERE {_DAYS} AND {_OF_AGENT}"  # noqa: S608 - own text
    f" ORDER BY day, flow, agent, result LIMIT {LINES_MAX + 1}"
)
_FIELDS_ORDER: Final = f"GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT {CELLS_MAX}"
_PAIRS_ORDER: Final = f"GROUP BY 1, 2 ORDER BY 1, 2 LIMIT {CELLS_MAX}"
_GONE_ORDER: Final = f"GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT {CELLS_MAX}"
_OF_ALL: Final = (
    f"SELECT field, max(kind), sum(asked), sum(attempts) FROM day_fields WHERE {_DAYS} {_FIELDS_ORDER}",  # noqa: S608 - own text
    f"SELECT field, seconds, sum(captures) FROM day_seconds WHERE {_DAYS} {_PAIRS_ORDER}",  # noqa: S608 - own text
    f"SELECT field, reason, sum(times) FROM day_rejects WHERE {_DAYS} {_PAIRS_ORDER}",  # noqa: S608 - own text
    f"SELECT flow, step, sum(captures) FROM day_gone WHERE {_DAYS} {_GONE_ORDER}",  # noqa: S608 - own text
)
_OF_ONE: Final = (
    "SELECT f.field, max(f.kind), count(*), sum(f.attempts) FROM captures c JOIN fields f ON f.capture = c.id"  # noqa: S608 - own text
    f" WHERE {_ROWS_OF_AGENT} {_FIELDS_ORDER}",
    "SELECT f.field, f.seconds, count(*) FROM captures c JOIN fields f ON f.capture = c.id"  # noqa: S608 - own text
    f" WHERE {_ROWS_OF_AGENT} AND f.seconds IS NOT NULL {_PAIRS_ORDER}",
    "SELECT r.field, r.reason, sum(r.times) FROM captures c JOIN rejects r ON r.capture = c.id"  # noqa: S608 - own text
    f" WHERE {_ROWS_OF_AGENT} {_PAIRS_ORDER}",
    "SELECT c.flow, c.step, count(*) FROM captures c"  # noqa: S608 - own text
    f" WHERE {_ROWS_OF_AGENT} AND c.result = '{CaptureResult.CALLER_GONE.value}' {_GONE_ORDER}",
)


class TooManyLines(Exception):  # noqa: N818 - what was asked for is too much, nothing is broken
    """The finest table would be longer than LINES_MAX."""


def read_counts(path: Path, wanted: ReportRange) -> ReportCounts:
    """Count, in any thread. Raises sqlite3.Error."""
    fields, seconds, rejects, gone = _OF_ALL if wanted.agent is None else _OF_ONE
    asked = _asked(wanted)
    with _reading(path) as database:
        return ReportCounts(
            days=tuple(OutcomeCount(*row) for row in database.execute(_BY_DAY, asked)),
            flows=tuple(OutcomeCount(*row) for row in database.execute(_BY_FLOW, asked)),
            agents=tuple(OutcomeCount(*row) for row in database.execute(_BY_AGENT, asked)),
            fields=tuple(FieldCount(*row) for row in database.execute(fields, asked)),
            seconds=tuple(database.execute(seconds, asked)),
            rejects=tuple(database.execute(rejects, asked)),
            gone=tuple(database.execute(gone, asked)),
        )


def read_lines(path: Path, wanted: ReportRange) -> tuple[OutcomeLine, ...]:
    """Return the finest table, in any thread. Raises sqlite3.Error, TooManyLines."""
    with _reading(path) as database:
        lines = tuple(OutcomeLine(*row) for row in database.execute(_LINES, _asked(wanted)))
    if len(lines) > LINES_MAX:
        raise TooManyLines
    return lines


def _asked(wanted: ReportRange) -> dict[str, int | str | None]:
    first, end = wanted.from_s // DAY_S, -(-wanted.to_s // DAY_S)
    return {"first": first, "end": end, "flow": wanted.flow, "agent": wanted.agent}


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        database.execute("BEGIN")  # one moment for all of them
        yield database
