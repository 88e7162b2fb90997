"""``dtmf-shield users`` and ``dtmf-shield api-keys``: who may open the API and its pages. Never prints a password."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from dtmf_shield.base.config_forms import split_host_port
from dtmf_shield.cli.console import operator_errors, out
from dtmf_shield.service import start
from dtmf_shield.service.state_directory import state_directory_of

if TYPE_CHECKING:
    from dtmf_shield.service.people import People

app = typer.Typer(
    help="People who may sign in: add, list, disable, enable, reset, reset-second-factor; and link.",
    no_args_is_help=True,
)
keys_app = typer.Typer(help="Keys of programs for the API: add, list, revoke.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="a-z 0-9 . _ @ -, beginning with a letter.")]
KeyName = Annotated[str, typer.Argument(help="a-z 0-9 -, beginning with a letter.")]
RoleOption = Annotated[
    list[str],
    typer.Option("--role", help="agent, supervisor, engineer, auditor or admin; may be given again."),
]
AgentOption = Annotated[
    list[str] | None,
    typer.Option(
        "--agent", help="Name of [[agents]] whose calls are their own; may be given again. None: every call."
    ),
]
ConfigOption = Annotated[Path | None, typer.Option(help="TOML file; none: the defaults.")]
StateOption = Annotated[Path | None, typer.Option(help="Instead of state.directory.")]
JsonOption = Annotated[bool, typer.Option("--json", help="The result as JSON.")]


@contextmanager
def _people(config: Path | None, state_directory: Path | None) -> Iterator[People]:
    from dtmf_shield.service.api_settings import origin_of
    from dtmf_shield.service.people import People

    with operator_errors():
        loaded, base = start.read_config(config)
        state = state_directory_of(loaded, base, state_directory)
        people = People(state, origin_of(loaded.api, *_bound(state, split_host_port(loaded.api.listen))))
        try:
            yield people
        finally:
            people.close()


def _bound(state: Path, configured: tuple[str, int]) -> tuple[str, int]:
    """Return where the running service listens; it says so in run.json, and port 0 is chosen by the system."""
    try:
        host, port = json.loads((state / "run.json").read_text("utf-8"))["api"][:2]
    except (OSError, ValueError, KeyError, TypeError):
        return configured
    return str(host), int(port)


def _say(result: dict[str, Any], sentence: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result))  # noqa: T201 - the machine's line
    else:
        out.print(escape(sentence), soft_wrap=True)


def _rights(row: dict[str, Any]) -> str:
    whose = "every call" if row["agents"] is None else "calls of " + (", ".join(row["agents"]) or "nobody")
    return f"{', '.join(row['roles'])}  ({whose})"


@app.command()
def add(
    name: Name,
    role: RoleOption,
    agent: AgentOption = None,
    config: ConfigOption = None,
    state_directory: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a user; prints a link, good once and for a day, where they set their password."""
    with _people(config, state_directory) as people:
        link = people.add(name, role, agent or None)
        _say(
            {"name": name, "link": link},
            f"{name} sets a password here, once, within a day:\n{link}",
            as_json=as_json,
        )


@app.command(name="list")
def list_users(
    config: ConfigOption = None, state_directory: StateOption = None, as_json: JsonOption = False
) -> None:
    """Show everybody."""
    with _people(config, state_directory) as people:
        found = people.users()
        lines = [
            f"{row['name']}  {row['state']}  {_rights(row)}"
            + ("  with a second factor" if row["second_factor"] else "")
            for row in found
        ]
        _say({"users": found}, "\n".join(lines) or "no users", as_json=as_json)


@app.command()
def disable(name: Name, config: ConfigOption = None, state_directory: StateOption = None) -> None:
    """Let a user sign in no more; a running service ends their sessions within a second."""
    with _people(config, state_directory) as people:
        people.disable(name)
        out.print(escape(f"{name} is disabled"))


@app.command()
def enable(name: Name, config: ConfigOption = None, state_directory: StateOption = None) -> None:
    """Let a disabled user sign in again, with the password they had."""
    with _people(config, state_directory) as people:
        people.enable(name)
        out.print(escape(f"{name} may sign in again"))


@app.command()
def reset(
    name: Name, config: ConfigOption = None, state_directory: StateOption = None, as_json: JsonOption = False
) -> None:
    """Take a password away and end the sessions; prints a link where a new one is set."""
    with _people(config, state_directory) as people:
        link = people.reset(name)
        _say(
            {"name": name, "link": link},
            f"{name} sets a password here, once, within a day:\n{link}",
            as_json=as_json,
        )


@app.command(name="reset-second-factor")
def reset_second_factor(name: Name, config: ConfigOption = None, state_directory: StateOption = None) -> None:
    """Forget a lost second factor and end the sessions; the password stays."""
    with _people(config, state_directory) as people:
        people.reset_second_factor(name)
        out.print(escape(f"{name} has no second factor any more"))


@app.command()
def link(
    config: ConfigOption = None, state_directory: StateOption = None, as_json: JsonOption = False
) -> None:
    """Print a fresh one-time link of the local administrator, as the start of the service does."""
    with _people(config, state_directory) as people:
        made = people.link()
        _say({"link": made}, f"Opens once, within an hour:\n{made}", as_json=as_json)


@keys_app.command(name="add")
def add_key(
    name: KeyName,
    role: RoleOption,
    agent: AgentOption = None,
    config: ConfigOption = None,
    state_directory: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it, this once. It is sent as Authorization: Bearer."""
    with _people(config, state_directory) as people:
        key = people.add_key(name, role, agent or None)
        _say({"name": name, "key": key}, f"Keep it well, it is not shown again:\n{key}", as_json=as_json)


@keys_app.command(name="list")
def list_keys(
    config: ConfigOption = None, state_directory: StateOption = None, as_json: JsonOption = False
) -> None:
    """Show the keys' names and rights."""
    with _people(config, state_directory) as people:
        found = people.keys()
        lines = [f"{row['name']}  {'revoked' if row['revoked'] else 'good'}  {_rights(row)}" for row in found]
        _say(
            {"keys": found}, "\n".join(lines) or "no keys but the one in the state directory", as_json=as_json
        )


@keys_app.command()
def revoke(name: KeyName, config: ConfigOption = None, state_directory: StateOption = None) -> None:
    """Let a key open nothing any more."""
    with _people(config, state_directory) as people:
        people.revoke_key(name)
        out.print(escape(f"{name} is revoked"))
