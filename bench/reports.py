"""Claim: a quarter's report of one flow answers in well under a second out of a million captures, and no stream stalls.

Usage: python -m bench.reports [--n 200] [--captures 1000000] ; n = reports of each kind. Captures are spread over 400
days, five flows and fifty agents, three fields each. The peer is a naive scan: the same report counted from the rows of
captures and fields, with an index on when they began, in the same file and the same run; both are made into the view
that the API answers with. What a report costs the others is measured beside it: how late a task of the event loop that
wants to run each millisecond is while a thread counts, and how long the rows of one capture take to be written.
"""

import argparse
import asyncio
import random
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from bench.result import keep, parser, progress
from dtmf_shield.api.views.reports import capture_report
from dtmf_shield.model.capture import CaptureResult, FieldKind, RejectReason
from dtmf_shield.model.ids import CaptureId
from dtmf_shield.model.report import (
    CaptureBegin,
    CaptureEnd,
    FieldCount,
    FieldTally,
    OutcomeCount,
    ReportCounts,
    ReportRange,
)
from dtmf_shield.store.report_counts import read_counts
from dtmf_shield.store.report_rows import ReportRows
from dtmf_shield.store.report_schema import DAY_S, open_reports, rebuild

FIRST_DAY_S = 1_735_689_600
"""2025-01-01 00:00 UTC."""
DAYS, QUARTER_DAYS = 400, 91
FLOWS = ("card-payment", "card-on-file", "refund", "pension", "donation")
AGENTS = tuple(f"agent-{place:02d}" for place in range(50))
FIELDS = (
    ("pan", FieldKind.CARD_NUMBER, 24),
    ("expiry", FieldKind.EXPIRY, 8),
    ("cvv", FieldKind.SECURITY_CODE, 6),
)
STEPS = ("ask_card", "ask_expiry", "ask_code")
RESULTS = {
    CaptureResult.APPROVED: 70, CaptureResult.DECLINED: 9, CaptureResult.CALLER_GONE: 8, CaptureResult.TOKEN: 6,
    CaptureResult.CANCELLED: 3, CaptureResult.ATTEMPTS_USED: 2, CaptureResult.TIMED_OUT: 1, CaptureResult.UNKNOWN: 1,
}  # fmt: skip
BATCH = 20_000
SCANS_MAX = 5
TICK_S = 0.001
QUARTER = "a quarter of one flow"

_WANTED = (
    "c.began >= :from_s AND c.began < :to_s AND (:flow IS NULL OR c.flow = :flow)"
    " AND (:agent IS NULL OR c.agent = :agent)"
)
_JOIN = "captures c JOIN fields f ON f.capture = c.id"
_GROUPS = (
    f"result, count(*), sum(test) FROM captures c INDEXED BY captures_began WHERE {_WANTED} GROUP BY 1, 2"
)
NAIVE = {
    "days": f"SELECT date(began, 'unixepoch'), {_GROUPS}",
    "flows": f"SELECT flow, {_GROUPS}",
    "agents": f"SELECT agent, {_GROUPS}",
    "fields": f"SELECT f.field, max(f.kind), count(*), sum(f.attempts) FROM {_JOIN} WHERE {_WANTED} GROUP BY 1",  # noqa: S608 - own text
    "seconds": f"SELECT f.field, f.seconds, count(*) FROM {_JOIN} WHERE {_WANTED} AND f.seconds NOT NULL GROUP BY 1, 2",  # noqa: S608 - own text
    "rejects": "SELECT r.field, r.reason, sum(r.times) FROM captures c JOIN rejects r ON r.capture = c.id"  # noqa: S608 - own text
    f" WHERE {_WANTED} GROUP BY 1, 2",
    "gone": f"SELECT flow, step, count(*) FROM captures c WHERE {_WANTED} AND result = 'caller_gone' GROUP BY 1, 2",  # noqa: S608 - own text
}


def drawn(captures: int, draw: random.Random) -> Iterator[tuple[tuple, list[tuple], list[tuple]]]:
    """Return rows of captures, of their fields and of refusals, in the order in which they began."""
    reasons = tuple(RejectReason)
    for place in range(captures):
        name = f"{draw.getrandbits(96):024x}"
        began = FIRST_DAY_S + place * DAYS * DAY_S // captures
        (result,) = draw.choices(tuple(RESULTS), tuple(RESULTS.values()))
        asked = draw.randrange(1, 4) if result is CaptureResult.CALLER_GONE else 3
        fields, rejects = [], []
        for field, kind, middle_s in FIELDS[:asked]:
            slips = int(draw.random() < 0.15)
            fields.append(
                (name, field, kind.value, 1 + slips, max(1, round(draw.gauss(middle_s, middle_s / 3))))
            )
            rejects += [(name, field, draw.choice(reasons).value, 1)] * slips
        step = STEPS[asked - 1] if result is CaptureResult.CALLER_GONE else "finished"
        row = (name, began, draw.choice(FLOWS), draw.choice(AGENTS), result.value, step, "visa", 0)
        yield row, fields, rejects


def build(path: Path, captures: int) -> None:
    """Write the rows, and nothing of counts."""
    database = open_reports(path)
    database.execute("PRAGMA cache_size = -262144")  # of this connection alone: ids are in no order
    rows = drawn(captures, random.Random(11))
    with progress() as shown:
        task = shown.add_task("rows", total=captures)
        for start in range(0, captures, BATCH):
            batch = [next(rows) for _ in range(min(BATCH, captures - start))]
            database.execute("BEGIN")
            database.executemany(
                "INSERT INTO captures VALUES (?,?,?,?,?,?,?,?)", [row for row, _, _ in batch]
            )
            database.executemany(
                "INSERT INTO fields VALUES (?,?,?,?,?)", [one for _, some, _ in batch for one in some]
            )
            database.executemany(
                "INSERT INTO rejects VALUES (?,?,?,?)", [one for _, _, some in batch for one in some]
            )
            database.execute("COMMIT")
            shown.advance(task, len(batch))
    database.close()


def counted_anew(path: Path) -> tuple[int, float]:
    """Count as a file of before counts were kept is counted. Returns captures, and the seconds it took."""
    database = open_reports(path)
    began_s = time.perf_counter()
    rebuild(database)
    took_s = time.perf_counter() - began_s
    (captures,) = database.execute("SELECT count(*) FROM captures").fetchone()
    database.close()
    return captures, took_s


def naive(path: Path, wanted: ReportRange) -> ReportCounts:
    """Count from the rows."""
    asked = {"from_s": wanted.from_s, "to_s": wanted.to_s, "flow": wanted.flow, "agent": wanted.agent}
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    found = {name: database.execute(query, asked).fetchall() for name, query in NAIVE.items()}
    database.close()
    return ReportCounts(
        **{name: tuple(OutcomeCount(*row) for row in found[name]) for name in ("days", "flows", "agents")},
        fields=tuple(FieldCount(*row) for row in found["fields"]),
        **{name: tuple(found[name]) for name in ("seconds", "rejects", "gone")},
    )


def same(path: Path, wanted: ReportRange) -> bool:
    """Whether both say the same, whatever their order."""
    ours, theirs = read_counts(path, wanted), naive(path, wanted)
    names = ("days", "flows", "agents", "fields", "seconds", "rejects", "gone")
    return all(
        sorted(map(repr, getattr(ours, name))) == sorted(map(repr, getattr(theirs, name))) for name in names
    )


def times_s(
    count: Callable[[Path, ReportRange], ReportCounts], path: Path, wanted: ReportRange, n: int
) -> np.ndarray:
    """Return the seconds that each of n reports takes, its view made."""
    found = np.zeros(n)
    for place in range(n):
        began_s = time.perf_counter()
        capture_report(count(path, wanted), from_day="2025-01-01", to_day="2025-04-01")
        found[place] = time.perf_counter() - began_s
    return found


async def lateness_s(busy: threading.Event, work: Callable[[], object]) -> np.ndarray:
    """Return how late each tick of an event loop is while ``work`` runs in a thread."""
    thread = asyncio.get_running_loop().run_in_executor(None, work)
    late = []
    while not busy.is_set():
        due_s = time.perf_counter() + TICK_S
        await asyncio.sleep(TICK_S)
        late.append(time.perf_counter() - due_s)
    await thread
    return np.array(late)


def lateness_beside(work: Callable[[], object]) -> np.ndarray:
    """Measure it."""
    done = threading.Event()

    def work_then_tell() -> None:
        try:
            work()
        finally:
            done.set()

    return asyncio.run(lateness_s(done, work_then_tell))


def written_s(path: Path, n: int) -> np.ndarray:
    """Return the seconds that the rows of each of n captures take, begin and end."""
    rows, found = ReportRows(path), np.zeros(n)
    tallies = tuple(FieldTally(field, kind, 2, 9, ((RejectReason.LUHN, 1),)) for field, kind, _ in FIELDS)
    for place in range(n):
        name, at = CaptureId(f"written-{place}"), FIRST_DAY_S + DAYS * DAY_S - n + place
        began_s = time.perf_counter()
        rows.began(CaptureBegin(name, at, FLOWS[0], AGENTS[place % len(AGENTS)]))
        rows.ended(CaptureEnd(name, CaptureResult.APPROVED, "finished", "visa", False, tallies))
        found[place] = time.perf_counter() - began_s
    rows.close()
    return found


def ms(seconds: np.ndarray, share: float) -> str:
    """Return a percentile in milliseconds."""
    return f"{1e3 * float(np.quantile(seconds, share)):.1f}"


def rows_of_table(path: Path, n: int) -> list[str]:
    """Measure each kind of report both ways. Raises RuntimeError where they disagree."""
    end_s = FIRST_DAY_S + DAYS * DAY_S
    quarter_s = end_s - QUARTER_DAYS * DAY_S
    kinds = {
        QUARTER: ReportRange(quarter_s, end_s, FLOWS[0]),
        "a quarter of all flows": ReportRange(quarter_s, end_s),
        "400 days of all flows": ReportRange(FIRST_DAY_S, end_s),
        "a quarter of one agent": ReportRange(quarter_s, end_s, agent=AGENTS[0]),
        "400 days of one agent": ReportRange(FIRST_DAY_S, end_s, agent=AGENTS[0]),
    }
    lines = []
    for name, wanted in kinds.items():
        if not same(path, wanted):
            raise RuntimeError(f"{name}: the counts kept are not those of the rows")
        scans = times_s(naive, path, wanted, max(1, min(SCANS_MAX, n // 10)))
        ours = times_s(read_counts, path, wanted, n)
        ratio = float(np.median(scans) / np.median(ours))
        lines.append(f"| {name} | {ms(ours, 0.5)} | {ms(ours, 0.99)} | {ms(scans, 0.5)} | {ratio:.1f} |")
    return lines


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    found = parser("reports", __doc__ or "", n=200)
    found.add_argument("--captures", type=int, default=1_000_000)
    found.add_argument(
        "--file", type=Path, help="rows built before; built there where they are not, and left there"
    )
    return found.parse_args()


def main() -> int:
    """Build, measure and keep."""
    given = arguments()
    with tempfile.TemporaryDirectory(prefix="dtmf-shield-bench-") as folder:
        path = given.file or Path(folder) / "reports.sqlite3"
        if not path.exists():
            build(path, given.captures)
        captures, counted_s = counted_anew(path)
        size_mb = path.stat().st_size / 1e6
        table = rows_of_table(path, given.n)
        end_s = FIRST_DAY_S + DAYS * DAY_S
        wanted = ReportRange(end_s - QUARTER_DAYS * DAY_S, end_s, FLOWS[0])
        idle = lateness_beside(lambda: time.sleep(given.n * 0.01))
        beside = lateness_beside(lambda: times_s(read_counts, path, wanted, given.n))
        written = written_s(path, given.n)
    lines = [
        "# Reports beside a naive scan",
        "",
        f"{captures:,} captures over {DAYS} days, {len(FLOWS)} flows, {len(AGENTS)} agents, three fields each; "
        f"{size_mb:.0f} MB. Milliseconds from the question to the view.",
        "",
        "| report | p50 | p99 | naive scan, p50 | ratio |",
        "|---|---|---|---|---|",
        *table,
        "",
        "| what it costs the others | p50, ms | p99, ms | most, ms |",
        "|---|---|---|---|",
        f"| lateness of the event loop, idle | {ms(idle, 0.5)} | {ms(idle, 0.99)} | {ms(idle, 1)} |",
        f"| lateness of the event loop beside {QUARTER}, one after the other | {ms(beside, 0.5)} | {ms(beside, 0.99)} "
        f"| {ms(beside, 1)} |",
        f"| rows of one capture written, begin and end | {ms(written, 0.5)} | {ms(written, 0.99)} | {ms(written, 1)} |",
        "",
        f"A file of before counts were kept is counted once when it is opened: {counted_s:.1f} s.",
    ]
    command = f"python -m bench.reports --n {given.n} --captures {given.captures}"
    keep("reports", lines, command, given.out, package="store")
    return 0


if __name__ == "__main__":
    sys.exit(main())
