"""Claim: no payment is charged twice and none is lost, whatever dies. Prints double, lost and unknown_left.

Real cde processes pay at the TEST gateway over TLS: cards are keyed, tokenised, charged or authorised, captured,
refunded, voided; callers hang up; orders come twice. The gateway loses answers, resets, breaks off, is slow, busy or
late. cde is killed by kill -9 at seeded points (before and after each intent, half and whole bodies, answers, outcomes)
and at random times, started again, and reconciles. Then both books are compared, and what counts is the gateway's.

Usage: python -m bench.crash_payments [--payments 10000] [--seed 1] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TaskID

from bench.crash_books import Verdict, compare
from bench.crash_lane import Lane, lanes_of
from bench.crash_plan import PERCENT, fault_plan, payments
from bench.result import RESULTS, keep, progress
from dtmf_shield.model.gateway import GatewaySettings
from dtmf_shield.model.keys import KekSettings
from dtmf_shield.model.messages import ConfigureCde
from dtmf_shield.service.cde_payments import LEDGER_FILE
from tests.unit.service.cde_driver import Gateway

LANES = 2
KILL_CHANCE = 0.0007
"""At each point; a payment passes about twenty of them in a run without faults."""
RANDOM_KILL_S = 15.0
"""Mean time between kills that no point asked for, in each lane."""
SETTLE_S_MAX = 150.0
"""How long the last processes get to find out what is unknown."""
EXAMPLES_SHOWN = 10


def configuration(directory: Path, gateway: Gateway) -> ConfigureCde:
    """Return what a cde of a lane is told."""
    return ConfigureCde(
        state_directory=str(directory),
        gateways=(
            GatewaySettings(
                name="embedded-test",
                template="generic",
                addresses=("127.0.0.1",),
                port=gateway.port,
                server_name="localhost",
                ca_file=str(gateway.files.ca_file),
                credentials_file=str(gateway.files.gateway_user_file),
                path="/pay",
                idempotency="replay",
                parameters=(("extended", "yes"), ("token_parameter", "token")),
            ),
        ),
        keys=KekSettings(file=str(directory / "kek.json")),
        test=True,
        scan_mode=True,
    )


def open_operations(ledger: Path) -> int:
    """Return how many operations of money are not settled, and charges not yet taken back."""
    with closing(sqlite3.connect(ledger)) as database:
        query = (
            "SELECT count(*) FROM operations WHERE kind NOT IN ('tokenize', 'verify') AND"
            " (state IN ('intent', 'unknown') OR (state = 'approved' AND unwanted = 1 AND NOT EXISTS (SELECT 1 FROM"
            " operations AS c WHERE c.parent_id = operations.operation_id AND c.kind IN ('void', 'refund')"
            " AND c.state = 'approved')))"
        )
        return int(database.execute(query).fetchone()[0])


async def kill_at_random(lane: Lane, seed: str) -> None:
    """Kill the lane's process now and then."""
    draw = random.Random(seed)
    while True:
        await asyncio.sleep(draw.expovariate(1 / RANDOM_KILL_S))
        lane.kill()


async def pay_all(lanes: list[Lane], count: int, seed: int, bar: Progress, task: TaskID) -> None:
    """Do every payment."""

    async def one(lane: Lane, plan: Any) -> None:
        await lane.pay(plan)
        bar.advance(task)

    async with asyncio.TaskGroup() as group:
        for lane, plan in lanes_of(list(payments(count, seed)), lanes):
            group.create_task(one(lane, plan))


async def settle(lanes: list[Lane], limit_s: float) -> None:
    """Wait until every ledger knows how everything ended, or the time is over."""
    end_s = time.monotonic() + limit_s
    while time.monotonic() < end_s:
        if not sum(open_operations(lane.directory / LEDGER_FILE) for lane in lanes):
            return
        await asyncio.sleep(0.5)


def whole_book(gateway: Gateway) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the gateway's operations, and its last page with what went wrong."""
    operations: list[dict[str, Any]] = []
    first: int | None = 0
    page: dict[str, Any] = {}
    while first is not None:
        page = gateway.ask("GET", f"/book?first={first}")
        operations += page["operations"]
        first = page["next"]
    return operations, page


async def run(
    given: argparse.Namespace, directory: Path, gateway: Gateway
) -> tuple[Verdict, list[Lane], dict[str, Any]]:
    """Pay, kill, settle, compare."""
    lanes = []
    for number in range(LANES if given.payments > 1 else 1):
        place = directory / f"lane-{number}"
        place.mkdir()
        seed = f"{given.seed}:lane:{number}"
        lanes.append(
            Lane(
                place,
                configuration(place, gateway),
                seed=seed,
                probability=given.kill_chance,
                broken=given.broken,
            )
        )
    await asyncio.to_thread(gateway.ask, "POST", "/faults", fault_plan(given.seed))
    for lane in lanes:
        lane.begin()
    killers = [asyncio.create_task(kill_at_random(lane, f"{given.seed}:{lane.directory}")) for lane in lanes]
    with progress() as bar:
        task = bar.add_task("payments", total=given.payments)
        await pay_all(lanes, given.payments, given.seed, bar, task)
        for killer in killers:
            killer.cancel()
        struck = (await asyncio.to_thread(gateway.ask, "GET", "/book?count=1"))["faults"]
        await asyncio.to_thread(gateway.ask, "POST", "/faults", {"fault": "none"})
        for lane in lanes:
            # A last death of each, so that the end is found out by a process that remembers nothing.
            lane.probability = 0.0
            lane.replace_spare()
            lane.kill()
        await settle(lanes, given.settle_s)
    codes = [await lane.end() for lane in lanes]
    if any(codes):
        raise OSError(f"cde left with {codes}; see {directory}")
    operations, page = await asyncio.to_thread(whole_book, gateway)
    page["faults"] = struck
    return compare(operations, [lane.directory / LEDGER_FILE for lane in lanes]), lanes, page


def lines_of(
    given: argparse.Namespace, found: Verdict, lanes: list[Lane], page: dict[str, Any], s: float
) -> list[str]:
    """Return the result as markdown."""
    outcomes: dict[str, int] = {}
    orders: dict[str, int] = {}
    for lane in lanes:
        for total, part in ((outcomes, lane.tally.outcomes), (orders, lane.tally.orders)):
            for name, number in part.items():
                total[name] = total.get(name, 0) + number
    deaths = sum(lane.tally.deaths for lane in lanes)
    shares = "; ".join(f"{kind.value} {percent} %" for kind, percent in PERCENT.items())
    return [
        "# Payments through crashes",
        "",
        "| payments | double | lost | unknown left |",
        "|---|---|---|---|",
        f"| {given.payments} | {found.double} | {found.lost} | {found.unknown_left} |",
        "",
        f"Counted in the gateway's book: {found.effects} movements of money in {page['total']} operations, "
        f"{page['replayed']} answers replayed to repeated keys, {found.taken_back} charges of callers who had gone "
        f"taken back, {found.kept} kept.",
        f"cde was killed {deaths} times in {s:.0f} s, over {LANES} ledgers. Seed {given.seed}.",
        "",
        f"Payments: {shares}.",
        "",
        "What callers saw: "
        + ", ".join(f"{name} {number}" for name, number in sorted(outcomes.items()))
        + ".",
        "",
        "Orders: " + ", ".join(f"{name} {number}" for name, number in sorted(orders.items())) + ".",
        "",
        "What the gateway did wrong: "
        + ", ".join(f"{name} {number}" for name, number in sorted(page["faults"].items()))
        + ".",
    ]


def main() -> int:
    """Run it; return 1 where money was not moved exactly once."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.crash_payments",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--payments", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the four numbers alone")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the result")
    parser.add_argument("--kill-chance", type=float, default=KILL_CHANCE, help="at each point")
    parser.add_argument(
        "--settle-s", type=float, default=SETTLE_S_MAX, help="for finding out what is unknown"
    )
    parser.add_argument(
        "--broken", choices=["", "new_key"], default="", help="break the rules, to see it noticed"
    )
    given = parser.parse_args()
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dtmf-shield-crash-") as directory:
        gateway = Gateway(Path(directory))
        try:
            found, lanes, page = asyncio.run(run(given, Path(directory), gateway))
        finally:
            gateway.stop()
    for example in found.examples[:EXAMPLES_SHOWN]:
        Console(stderr=True).print(example, markup=False)
    if given.json:
        names = ("double", "lost", "unknown_left")
        print(json.dumps({"payments": given.payments, **{name: getattr(found, name) for name in names}}))
    else:
        command = f"python -m bench.crash_payments --payments {given.payments} --seed {given.seed}"
        keep(
            "crash_payments",
            lines_of(given, found, lanes, page, time.monotonic() - started_s),
            command,
            given.out,
            package="cde",
        )
    return int(bool(found.double or found.lost or found.unknown_left))


if __name__ == "__main__":
    sys.exit(main())
