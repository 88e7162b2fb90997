"""``dtmf-shield serve``: run the service in the foreground."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.panel import Panel

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.base.log import configure_log
from dtmf_shield.cli.console import err, operator_errors, out
from dtmf_shield.service import start


def serve(
    config: Annotated[
        Path | None, typer.Option(help="TOML file; none: loopback and the TEST gateway.")
    ] = None,
    state_directory: Annotated[Path | None, typer.Option(help="Instead of state.directory.")] = None,
    log_file: Annotated[
        Path | None, typer.Option(help="Append the log here instead of standard error.")
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="One JSON line on standard output for each start, death and readiness."),
    ] = False,
    play: Annotated[
        bool | None,
        typer.Option(
            help="The play page: a caller's keypad in the browser, TEST cards only. Without --config: on."
        ),
    ] = None,
    scan_mode: Annotated[
        bool, typer.Option(help="Keep digit slots in memory a root scanner can read. For memory tests only.")
    ] = False,
) -> None:
    """Run the service. Ctrl-C or SIGTERM hangs up, closes recordings and leaves with 0; SIGHUP reloads cde, flows."""

    def status(name: str, details: dict[str, Any]) -> None:
        if as_json:
            print(json.dumps({"event": name, **details}), flush=True)  # noqa: T201 - the machine's line
        elif name == "ready":
            out.print(_ready_panel(details))
            # Outside the panel, which would break it over two lines that no terminal opens.
            what = "Play page (a TEST caller beside the agent page)" if details["play_pid"] else "Pages"
            out.print(f"{what}, by a link that opens once; dtmf-shield users link prints another:")
            out.print(escape(details["login_url"]), style="bold", soft_wrap=True)
        elif name == "died":
            err.print(
                f"[yellow]{details['process']} died (code {details['code']}); starting it again[/yellow]"
            )

    if not as_json:
        err.print("Starting: some seconds, and some minutes where kernels are not compiled yet.")
    with operator_errors(), ExitStack() as stack:
        try:
            log = stack.enter_context(log_file.open("ab")) if log_file else None
            stream = stack.enter_context(log_file.open("a", encoding="utf-8")) if log_file else None
        except OSError as error:
            raise OperatorError(
                f"--log-file: {log_file} cannot be written ({error.strerror}); name another"
            ) from None
        configure_log(process="supervisor", stream=stream or sys.stderr)
        loaded, base = start.read_config(config)
        asyncio.run(
            start.serve(
                loaded,
                base,
                state_directory=state_directory,
                log=log,
                scan_mode=scan_mode,
                play=config is None if play is None else play,
                on_status=status,
                reread=lambda: start.read_config(config),
            )
        )


def _ready_panel(details: dict[str, Any]) -> Panel:
    sip = ", ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in details["sip"])
    text = (
        f"SIP      udp {sip}\n"
        f"Gateway  {details['gateway']}\n"
        f"State    {details['state_directory']}\n"
        "Stop     Ctrl-C"
    )
    return Panel(escape(text), title="dtmf-shield is ready", border_style="green", expand=False)
