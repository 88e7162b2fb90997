"""Run the benches one after the other, each keeping its result: ``python -m bench [--quick] [--dtmf | --cde]``.

Two at once would measure each other. --quick is a smoke run of a few minutes whose figures prove nothing; it keeps its
results in a folder of its own. --dtmf and --cde run only what is about keys, or about cards and payments.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench.result import RESULTS

BENCH_TIME_MAX_S = 3_600


@dataclass(frozen=True, slots=True)
class Bench:
    """One bench: its arguments for publishing and for a smoke run, and how long the former takes on two idle cores."""

    name: str
    publishing: tuple[str, ...]
    quick: tuple[str, ...]
    minutes: int
    topic: str = "dtmf"


BENCHES = (
    Bench("throughput", ("--n", "9"), ("--n", "3", "--seconds", "200"), 2),
    Bench("dtmf_battery", ("--n", "3200"), ("--n", "32"), 7),
    Bench("leak_attack", ("--n", "3200"), ("--n", "64"), 9),
    Bench("talkoff", (), ("--synthetic", "--n", "1"), 3),
    Bench("g722", ("--n", "7"), ("--n", "1", "--seconds", "1"), 1, topic="audio"),
    Bench("tokenize", ("--n", "400"), ("--n", "20", "--captures", "8"), 1, topic="cde"),
    Bench("crash_payments", ("--payments", "10000"), ("--payments", "200"), 6, topic="cde"),
    Bench("flow_engine", ("--n", "7"), ("--n", "1", "--calls", "20"), 1, topic="flow"),
    Bench("web", (), ("--n", "5", "--agents", "5", "--held", "20", "--no-calls"), 3, topic="web"),
    Bench("reports", ("--n", "200"), ("--n", "5", "--captures", "4000"), 5, topic="web"),
    Bench("relay_cpu", (), ("--calls", "2", "--seconds", "0.5"), 1, topic="audio"),
)


def main() -> int:
    """Run them; return 1 where one failed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run of a few minutes")
    only = parser.add_mutually_exclusive_group()
    only.add_argument(
        "--dtmf", dest="topic", action="store_const", const="dtmf", help="only what is about keys"
    )
    only.add_argument(
        "--cde", dest="topic", action="store_const", const="cde", help="only what is about cards and payments"
    )
    given = parser.parse_args()
    console = Console(stderr=True)
    chosen = [bench for bench in BENCHES if given.topic in (None, bench.topic)]
    folder = Path(tempfile.mkdtemp(prefix="dtmf-shield-bench-")) if given.quick else RESULTS
    if not given.quick:
        console.print(f"about {sum(bench.minutes for bench in chosen)} minutes on two idle cores")
    failed = []
    for bench in chosen:
        expected = "" if given.quick else f", about {bench.minutes} min"
        console.print(f"[bold]{bench.name}[/bold]{expected}")
        started_s = time.monotonic()
        arguments = [*(bench.quick if given.quick else bench.publishing), "--out", str(folder)]
        command = [sys.executable, "-m", f"bench.{bench.name}", *arguments]
        # More BLAS threads than cores that are free wait for each other by spinning.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        if subprocess.run(command, env=environment, timeout=BENCH_TIME_MAX_S, check=False).returncode:
            failed.append(bench.name)
        console.print(f"{bench.name}: {time.monotonic() - started_s:.0f} s")
    console.print(
        f"[red]failed: {', '.join(failed)}[/red]" if failed else f"[green]all kept in {folder}[/green]"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
