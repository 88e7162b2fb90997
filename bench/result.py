"""How a bench keeps what it found: one markdown file in bench/results that names its command and the code measured."""

import argparse
import subprocess
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

RESULTS = Path(__file__).parent / "results"


def commit_of(package: str) -> str:
    """Return the commit that last changed what is measured, marked + where files differ from it."""
    measured = ["--", f"dtmf_shield/{package}"]
    commit = subprocess.run(
        ["git", "log", "-1", "--format=%h", *measured], capture_output=True, text=True, check=False
    ).stdout.strip()
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", *measured], check=False).returncode
    return f"{commit or 'unknown'}{'+' if changed else ''}"


def keep(
    name: str, lines: list[str], command: str, folder: Path = RESULTS, *, package: str = "media"
) -> None:
    """Write `lines` of markdown to folder/name.md, with the command that made them, and show them.

    `package`: of dtmf_shield, what was measured.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = f"Measured by `{command}`, {package} code of commit {commit_of(package)}."
    text = "\n".join([*lines, "", source])
    path = folder / f"{name}.md"
    path.write_text(f"{text}\n")
    Console().print(text, markup=False, highlight=False, soft_wrap=True)
    Console(stderr=True).print(f"[green]kept in {path}[/green]")


def parser(bench: str, description: str, n: int) -> argparse.ArgumentParser:
    """Return a command line with what every bench takes: how many, and where the result is kept."""
    found = argparse.ArgumentParser(
        prog=f"python -m bench.{bench}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--n", type=int, default=n, help=f"how many are measured (default {n})")
    found.add_argument("--out", type=Path, default=RESULTS, help="folder of the result")
    return found


def progress() -> Progress:
    """Return a progress bar on standard error that tells how long it will take."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
