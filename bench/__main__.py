"""Run every bench and keep what they print in bench/results: ``python -m bench``."""

import subprocess
import sys
from pathlib import Path

from rich.console import Console

BENCHES = ("dtmf_scores", "leak_scores", "relay_cpu")
RESULTS = Path(__file__).parent / "results"
BENCH_TIME_MAX_S = 1_800


def main() -> int:
    """Run them one after the other: two at once would measure each other."""
    console = Console()
    RESULTS.mkdir(exist_ok=True)
    failed = []
    for name in BENCHES:
        with console.status(f"bench {name}"):
            run = subprocess.run(
                [sys.executable, "-m", f"bench.{name}"],
                capture_output=True,
                text=True,
                timeout=BENCH_TIME_MAX_S,
                check=False,
            )
        if run.returncode:
            failed.append(name)
            console.print(run.stderr[-2_000:], markup=False)
            continue
        (RESULTS / f"{name}.md").write_text(f"`python -m bench.{name}`\n\n```\n{run.stdout.rstrip()}\n```\n")
        console.print(run.stdout.rstrip(), markup=False, highlight=False)
        console.print(f"[green]kept in bench/results/{name}.md[/green]")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
