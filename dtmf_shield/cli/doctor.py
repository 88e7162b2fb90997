"""``dtmf-shield doctor``: what this machine gives the service, and what to do about what it lacks."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dtmf_shield.cli.console import EXIT_NO, operator_errors, out
from dtmf_shield.service import start
from dtmf_shield.service.doctor import Finding, examine


def doctor(
    config: Annotated[Path | None, typer.Option(help="TOML file; none: the defaults.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Findings as JSON.")] = False,
) -> None:
    """Try every protection on a throw-away process, and look at memory, clock, limits and ports.

    Exit code 0: everything is there. 1: something is missing. 2: the configuration is wrong or the trial cannot run.
    """
    with operator_errors():
        loaded, _ = start.read_config(config)
        findings = examine(loaded)
    missing = [finding.name for finding in findings if not finding.ok]
    if as_json:
        out.print_json(json.dumps({"missing": missing, "findings": [asdict(each) for each in findings]}))
    else:
        out.print(_table(findings))
        required = sorted(set(missing) & set(loaded.cde.require))
        if required:
            out.print(
                f"[red]The service will refuse to start without {', '.join(required)} (cde.require).[/red]"
            )
        out.print(f"{len(missing)} missing" if missing else "Nothing is missing.")
    if missing:
        raise typer.Exit(EXIT_NO)


def _table(findings: list[Finding]) -> Table:
    table = Table(show_lines=False, pad_edge=False)
    for title in ("", "what", "found", "what for, and what to do"):
        table.add_column(title, no_wrap=title in ("", "what"))
    for finding in findings:
        advice = f"\n[yellow]{escape(finding.remedy)}[/yellow]" if not finding.ok and finding.remedy else ""
        table.add_row(
            "[green]✓[/green]" if finding.ok else "[red]✗[/red]",
            finding.name,
            escape(finding.found),
            escape(finding.purpose) + advice,
        )
    return table
