"""``dtmf-shield check``: the configuration and everything it points at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from dtmf_shield.cli.console import EXIT_NO, err, operator_errors, out
from dtmf_shield.service import start
from dtmf_shield.service.prompts.flows import check_prompts


def check(
    config: Annotated[Path | None, typer.Option(help="TOML file; none: the defaults.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Findings as JSON.")] = False,
) -> None:
    """Check the configuration, its flows and its files. Exit code 1 when something is to be mended.

    Prompts that are not built are a warning: the service runs, callers of those flows hear nothing.
    """
    with operator_errors():
        loaded, base = start.read_config(config)
        findings = start.check(loaded, base)
        warnings = check_prompts(loaded, base)
    if as_json:
        out.print_json(json.dumps({"findings": findings, "warnings": warnings}))
    for warning in () if as_json else warnings:
        err.print(f"[yellow]warning:[/yellow] {escape(warning)}", soft_wrap=True)
    for finding in () if as_json else findings:
        err.print(f"[red]error:[/red] {escape(finding)}", soft_wrap=True)
    if findings:
        raise typer.Exit(EXIT_NO)
    if not as_json:
        out.print(f"{config or 'defaults'}: ok")
