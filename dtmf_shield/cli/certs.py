"""``dtmf-shield certs``: development certificates, and the inventory of every key and certificate."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from dtmf_shield.cli.console import EXIT_NO, err, operator_errors, out
from dtmf_shield.service import start
from dtmf_shield.service.certificates import VALID_DAYS
from dtmf_shield.service.dev_certificates import make_development_set

if TYPE_CHECKING:
    from dtmf_shield.service.inventory import Item

app = typer.Typer(help="Certificates and keys.", no_args_is_help=True)


@app.command()
def dev(
    out_directory: Annotated[Path, typer.Option("--out", help="Where the files are put.")] = Path("certs"),
    sip_host: Annotated[str, typer.Option(help="Host that the SIP certificate is for.")] = "localhost",
    days: Annotated[int, typer.Option(help="How long they are valid.")] = VALID_DAYS,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The files as JSON.")] = False,
) -> None:
    """Make an authority and certificates for SIP over TLS, a gateway's server and its client. For development only."""
    with operator_errors():
        files = make_development_set(out_directory, sip_host=sip_host, valid_days=days, force=force)
    if as_json:
        print(json.dumps({name: str(path) for name, path in files.items()}))  # noqa: T201 - the machine's line
        return
    for path in files.values():
        out.print(escape(str(path)), soft_wrap=True)
    out.print("For development: whoever has ca.key can make more that your side believes.")


@app.command()
def inventory(
    config: Annotated[Path | None, typer.Option(help="TOML file; none: the defaults.")] = None,
    state_directory: Annotated[Path | None, typer.Option(help="Instead of state.directory.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The list as JSON.")] = False,
) -> None:
    """List every key, certificate and secret with age and expiry. Exit code 1 where one is to be mended."""
    from dtmf_shield.service import inventory as listing
    from dtmf_shield.service.keys import Place

    with operator_errors():
        loaded, base = start.read_config(config)
        items = listing.inventory(Place(loaded, base, state_directory))
    if as_json:
        print(json.dumps({"items": [asdict(item) for item in items]}))  # noqa: T201 - the machine's line
    else:
        for item in items:
            out.print(escape(_line(item)), soft_wrap=True)
        for item in items:
            for finding in item.findings:
                err.print(
                    f"[red]error:[/red] {escape(f'{item.source}: {item.path}: {finding}')}", soft_wrap=True
                )
    if any(item.findings for item in items):
        raise typer.Exit(EXIT_NO)


def _line(item: Item) -> str:
    left = f"{item.days_left} days left ({item.not_after[:10]})" if item.days_left is not None else ""
    age = f"{item.age_days} days old" if item.age_days is not None else ""
    parts = (item.kind, item.source, item.path, item.subject, item.algorithm, left, age, item.mode)
    return "  ".join(part for part in parts if part)
