"""``dtmf-shield keys``: keys of tokens at rest. Never prints a key or a token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from dtmf_shield.cli.console import EXIT_NO, err, operator_errors, out
from dtmf_shield.service import start

if TYPE_CHECKING:
    from dtmf_shield.service.keys import Place

app = typer.Typer(
    help="Keys of tokens at rest: data keys (one a day) and the keys that encrypt those (KEKs).",
    no_args_is_help=True,
)

ConfigOption = Annotated[Path | None, typer.Option(help="TOML file; none: the defaults.")]
StateOption = Annotated[Path | None, typer.Option(help="Instead of state.directory.")]
JsonOption = Annotated[bool, typer.Option("--json", help="The result as JSON.")]


def _place(config: Path | None, state_directory: Path | None) -> Place:
    from dtmf_shield.service.keys import Place

    loaded, base = start.read_config(config)
    return Place(loaded, base, state_directory)


def _print(result: dict[str, Any], *sentences: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result))  # noqa: T201 - the machine's line
        return
    for sentence in sentences:
        out.print(escape(sentence), soft_wrap=True)


def _step(sentence: str) -> None:
    err.print(escape(sentence), soft_wrap=True)


def _retire_sentence(result: dict[str, Any]) -> str:
    old = ", ".join(result["to_retire"])
    return (
        f"no longer needed, once no backup needs it: {old} (keys retire ID)"
        if old
        else "no key is to be retired"
    )


@app.command(name="list")
def list_keys(
    config: ConfigOption = None, state_directory: StateOption = None, as_json: JsonOption = False
) -> None:
    """Show which KEKs there are, what they wrap, and for which days data keys are there."""
    from dtmf_shield.service import keys

    with operator_errors():
        result = keys.listing(_place(config, state_directory))
    lines = [
        f"{kek['id']}  {'active' if kek['active'] else 'old' if kek['present'] else 'MISSING'},"
        f" wraps {kek['data_keys']} data keys"
        for kek in result["keks"]
    ]
    data = result["data_keys"]
    days = (
        f"{data['count']} data keys, {data['first_day']} to {data['last_day']}, {data['past']} of past days"
    )
    _print(result, f"KEKs in {result['place']}:", *lines, days, as_json=as_json)


@app.command()
def generate(
    config: ConfigOption = None,
    state_directory: StateOption = None,
    out_file: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Write the KEKs there are and the new one to this new file: the next credential."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new KEK, active from now on; what is wrapped stays as it is until `keys rewrap`."""
    from dtmf_shield.service import keys

    with operator_errors():
        result = keys.generate(_place(config, state_directory), out_file)
    _print(
        result, f"made {result['kek']} in {result['place']}; next: dtmf-shield keys rewrap", as_json=as_json
    )


@app.command()
def rotate(
    config: ConfigOption = None,
    state_directory: StateOption = None,
    data_keys: Annotated[
        bool, typer.Option("--data-keys", help="New data keys too, from today on: after a compromise.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a new KEK and wrap every data key under it. The old KEK stays until `keys retire`. May be interrupted."""
    from dtmf_shield.service import keys

    with operator_errors():
        result = keys.rotate(_place(config, state_directory), data_keys=data_keys, step=_step)
    renewed = (
        f"{result['renewed']} new data keys; replace the running cde to use them: send SIGHUP to dtmf-shield serve"
        if data_keys
        else "a running service needs nothing: its data keys are the same"
    )
    _print(
        result,
        f"{result['kek']} is active; {result['rewrapped']} data keys rewrapped",
        renewed,
        _retire_sentence(result),
        as_json=as_json,
    )


@app.command()
def rewrap(
    config: ConfigOption = None, state_directory: StateOption = None, as_json: JsonOption = False
) -> None:
    """Wrap under the active KEK whatever is not: the end of an interrupted rotation, or of a new credential."""
    from dtmf_shield.service import keys

    with operator_errors():
        result = keys.rewrap(_place(config, state_directory), step=_step)
    _print(result, f"{result['rewrapped']} data keys rewrapped", _retire_sentence(result), as_json=as_json)


@app.command()
def retire(
    kek_id: Annotated[str, typer.Argument(help="Name of the KEK, as `keys list` shows it.")],
    config: ConfigOption = None,
    state_directory: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Destroy an old KEK. Refused while it is active or wraps a data key."""
    from dtmf_shield.service import keys

    with operator_errors():
        result = keys.retire(_place(config, state_directory), kek_id)
    _print(result, f"{kek_id} is destroyed in {result['place']}", as_json=as_json)


@app.command()
def verify(
    config: ConfigOption = None, state_directory: StateOption = None, as_json: JsonOption = False
) -> None:
    """Open every data key and every stored token. Exit code 1 where one does not open or lies in clear."""
    from dtmf_shield.service import keys

    with operator_errors():
        result = keys.verify(_place(config, state_directory))
    counts = f"{result['data_keys']} data keys and {result['tokens_opened']} tokens open"
    bad = f"{result['data_keys_failed']} data keys and {result['tokens_failed']} tokens do not"
    _print(result, counts, bad, as_json=as_json)
    for sentence in () if as_json else result["failures"]:
        err.print(f"[red]error:[/red] {escape(sentence)}", soft_wrap=True)
    if not result["good"]:
        raise typer.Exit(EXIT_NO)
