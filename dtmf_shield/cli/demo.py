"""``dtmf-shield demo``: real calls through the service, a TEST card by each door, and evidence of what was heard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dtmf_shield.cli.console import EXIT_NO, operator_errors, out

OUT_DIRECTORY = Path("demo-out")


def demo(
    door: Annotated[
        Literal["inband", "rfc4733", "info", "all"], typer.Option(help="How the caller's keys travel.")
    ] = "all",
    out_directory: Annotated[
        Path, typer.Option("--out", help="Where caller.wav, agent.wav, evidence.png … are put.")
    ] = OUT_DIRECTORY,
    phone: Annotated[
        Literal["auto", "pjsua2", "scripted"],
        typer.Option(help="Which phone calls; auto: pjsua2 if installed."),
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary and nothing else.")] = False,
) -> None:
    """Show it: card keyed, agent deaf to it, recording clean, token back. Exit 0 only if nothing leaked."""
    # Kernels and phones load here, not in the supervisor of `serve`.
    from dtmf_shield.phone.door import Door
    from dtmf_shield.service.demo.phones import PhoneMake
    from dtmf_shield.service.demo.run import run_demo

    doors = tuple(Door) if door == "all" else (Door(door),)
    make = None if phone == "auto" else PhoneMake(phone)
    with operator_errors():
        status = run_demo(doors, out_directory, console=out, make=make, as_json=as_json)
    if status:
        raise typer.Exit(EXIT_NO)
