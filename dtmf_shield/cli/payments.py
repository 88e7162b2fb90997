"""``dtmf-shield payments``: what no program can find out about money, and what a person found out. Never a token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from dtmf_shield.cli.console import EXIT_NO, operator_errors, out
from dtmf_shield.service import start

app = typer.Typer(
    help="Payments whose outcome is unknown: see them, settle them by hand.", no_args_is_help=True
)

ConfigOption = Annotated[Path | None, typer.Option(help="TOML file; none: the defaults.")]
StateOption = Annotated[Path | None, typer.Option(help="Instead of state.directory.")]
JsonOption = Annotated[bool, typer.Option("--json", help="The result as JSON.")]


def _state(config: Path | None, state_directory: Path | None) -> Path:
    loaded, base = start.read_config(config)
    return state_directory or base / loaded.state.directory


def _line(row: dict[str, Any]) -> str:
    marks = " TEST" if row["test"] else ""
    code = f" ({row['code']})" if row["code"] else ""
    return (
        f"{row['operation']}  {row['kind']} {row['amount']} {row['currency']}{marks}  {row['state']}{code}"
        f"  sent {row['sent']}, {row['attempts']} times, to {row['gateway']}  reference {row['reference'] or '-'}"
        f"  key {row['key']}"
    )


@app.command(name="list")
def list_payments(
    config: ConfigOption = None, state_directory: StateOption = None, as_json: JsonOption = False
) -> None:
    """Show what is unknown and what is still to be taken back. Exit code 1 where there is any."""
    from dtmf_shield.service import payments

    with operator_errors():
        found = payments.open_payments(_state(config, state_directory))
    if as_json:
        print(json.dumps(found))  # noqa: T201 - the machine's line
    else:
        for title, rows in (("unknown", found["unknown"]), ("to be taken back", found["to_take_back"])):
            out.print(f"{title}: {len(rows) or 'none'}")
            for row in rows:
                out.print(escape(_line(row)), soft_wrap=True)
    if any(found.values()):
        raise typer.Exit(EXIT_NO)


@app.command()
def settle(
    operation: Annotated[str, typer.Argument(help="The operation, as `payments list` shows it.")],
    outcome: Annotated[
        str,
        typer.Argument(
            help="What the gateway's own books say of what is unknown: approved, declined, not-done;"
            " of what is to be taken back: taken-back, once you have done it there."
        ),
    ],
    reason: Annotated[str, typer.Option(help="Who looked where; kept in the ledger row.")],
    config: ConfigOption = None,
    state_directory: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Settle what is unknown as you found it at the gateway, and close what you took back there yourself.

    A running service tells it on within a minute.
    """
    from dtmf_shield.service import payments

    with operator_errors():
        row = payments.settle(_state(config, state_directory), operation, outcome, reason)
    if as_json:
        print(json.dumps(row))  # noqa: T201 - the machine's line
    else:
        out.print(escape(_line(row)), soft_wrap=True)
