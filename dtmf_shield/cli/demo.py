"""``dtmf-shield demo``: real calls through the service, a TEST card by each door, and evidence of what was heard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dtmf_shield.base.errors import OperatorError
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
    flow: Annotated[
        Path | None, typer.Option(help="A flow file of your own, in place of the shipped one.")
    ] = None,
    keys: Annotated[
        str, typer.Option(help="What the caller keys, as in flow simulate; none: what leads to a good end.")
    ] = "",
    given: Annotated[list[str] | None, typer.Option("--input", help="NAME=VALUE, told to the flow.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary and nothing else.")] = False,
) -> None:
    """Show it: card keyed, agent deaf to it, recording clean, token back. Exit 0 only if nothing leaked."""
    # Kernels and phones load here, not in the supervisor of `serve`.
    from dtmf_shield.phone.door import Door
    from dtmf_shield.phone.test_cards import KeyGuard
    from dtmf_shield.service.demo.phones import PhoneMake
    from dtmf_shield.service.demo.run import run_demo

    doors = tuple(Door) if door == "all" else (Door(door),)
    make = None if phone == "auto" else PhoneMake(phone)
    with operator_errors():
        KeyGuard().admit(keys)
        status = run_demo(
            doors,
            out_directory,
            console=out,
            make=make,
            as_json=as_json,
            flow=flow,
            keys=keys,
            inputs=_inputs(given),
        )
    if status:
        raise typer.Exit(EXIT_NO)


def _inputs(given: list[str] | None) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in given or ()]
    if any(not name or not equals for name, equals, _ in pairs):
        raise OperatorError("--input: write NAME=VALUE, such as --input reference=ORDER-7")
    return {name: value for name, _, value in pairs}
