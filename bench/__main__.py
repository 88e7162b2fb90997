"""Run every bench and keep what they print in bench/results: ``python -m bench``."""

import subprocess
import sys
from pathlib import Path

from rich.console import Console

# Each bench and the name its result is kept by.
BENCHES = {
    "dtmf_battery": "dtmf",
    "leak_scores": "leak_scores",
    "leak_delay": "leak_delay",
    "talkoff": "talkoff",
    "relay_cpu": "relay_cpu",
    "g722": "g722",
}
RESULTS = Path(__file__).parent / "results"
BENCH_TIME_MAX_S = 1_800


def media_commit() -> str:
    """Return the commit that last changed what is measured, marked + where files differ from it."""
    media = ["--", "dtmf_shield/media"]
    commit = subprocess.run(
        ["git", "log", "-1", "--format=%h", *media], capture_output=True, text=True, check=False
    ).stdout.strip()
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", *media], check=False).returncode
    return f"{commit or 'unknown'}{'+' if changed else ''}"


def main() -> int:
    """Run them one after the other: two at once would measure each other."""
    console = Console()
    RESULTS.mkdir(exist_ok=True)
    failed = []
    for name, kept in BENCHES.items():
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
        # Benches that print markdown begin with its title; the others are kept as they look in a terminal.
        printed = run.stdout.rstrip()
        body = printed if printed.startswith("# ") else f"```\n{printed}\n```"
        source = f"Measured by `python -m bench.{name}`, media code of commit {media_commit()}."
        (RESULTS / f"{kept}.md").write_text(f"{body}\n\n{source}\n")
        console.print(run.stdout.rstrip(), markup=False, highlight=False)
        console.print(f"[green]kept in bench/results/{kept}.md[/green]")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
