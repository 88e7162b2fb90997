"""``dtmf-shield flow``: check, simulate, draw and begin flows. Exit codes: 0 good, 1 findings, 2 wrong input."""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.cli.console import EXIT_NO, err, operator_errors, out
from dtmf_shield.flow import graph as graphs
from dtmf_shield.flow.check.sarif import as_sarif
from dtmf_shield.flow.drawing import as_svg
from dtmf_shield.flow.finding import Severity
from dtmf_shield.flow.reference import as_markdown
from dtmf_shield.flow.schema import json_schema_text
from dtmf_shield.service.flows import files as flow_files

app = typer.Typer(help="Check, simulate, draw and begin IVR flows.", no_args_is_help=True)


class Form(enum.StrEnum):
    """How a flow is drawn."""

    MERMAID = "mermaid"
    SVG = "svg"
    TEXT = "text"
    JSON = "json"


_WRITERS = {
    Form.MERMAID: graphs.as_mermaid,
    Form.SVG: as_svg,
    Form.TEXT: graphs.as_text,
    Form.JSON: graphs.as_json,
}


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Flow files, or directories of them.")],
    as_json: Annotated[bool, typer.Option("--json", help="Findings as JSON.")] = False,
    sarif: Annotated[bool, typer.Option(help="Findings as SARIF 2.1.0, for code hosts.")] = False,
    strict: Annotated[bool, typer.Option(help="Warnings count as errors.")] = False,
    prompts: Annotated[
        Path | None, typer.Option(help="Folder of built prompts: tell what is not built, and draft voices.")
    ] = None,
) -> None:
    """Tell every mistake of flows, with line and column. Exit code 1 when something is to be mended."""
    with operator_errors():
        findings = flow_files.check_files(files)
        if prompts is not None:
            from dtmf_shield.service.prompts.flows import unbuilt_prompts  # loads the store of prompts

            findings += unbuilt_prompts(prompts, files)
    if sarif:
        print(json.dumps(as_sarif(findings), indent=1))  # noqa: T201 - the machine's text
    elif as_json:
        print(  # noqa: T201 - the machine's line
            json.dumps({"findings": [finding.as_data() for finding in findings]})
        )
    else:
        for finding in findings:
            colour = "red" if finding.severity is Severity.ERROR else "yellow"
            err.print(f"[{colour}]{escape(str(finding))}[/{colour}]", soft_wrap=True)
    if flow_files.has_errors(findings) or (strict and findings):
        raise typer.Exit(EXIT_NO)
    if not (as_json or sarif):
        warned = f", {len(findings)} warning(s)" if findings else ""
        out.print(f"{', '.join(map(str, files))}: ok{warned}", soft_wrap=True)


@app.command()
def simulate(
    file: Annotated[Path, typer.Argument(help="A flow file.")],
    keys: Annotated[
        str, typer.Option(help="Keys of the caller, each entry after its prompt; TEST cards only.")
    ] = "",
    script: Annotated[Path | None, typer.Option(help="A script: what happens, one thing a line.")] = None,
    given: Annotated[list[str] | None, typer.Option("--input", help="NAME=VALUE, told to the flow.")] = None,
    gateway: Annotated[
        list[str] | None,
        typer.Option(help="Answers of the gateway, in order: approved, declined, unknown, down ..."),
    ] = None,
    hook: Annotated[
        list[str] | None,
        typer.Option(help='Answers of look-ups, in order: "ok balance=12.50", not_found ...'),
    ] = None,
    agent: Annotated[
        list[str] | None,
        typer.Option(help="What the agent does after the keys: redo, ask:FIELD, choose, cancel."),
    ] = None,
    language: Annotated[str, typer.Option(help="Language told with the call.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The transcript as JSON.")] = False,
) -> None:
    """Run a flow on virtual time and print its transcript. Without keys and script: in this terminal, line by line."""
    from dtmf_shield.service.flows import (
        simulation as flow_simulation,  # the capture machine loads here, not in `serve`
    )

    lines = [f"input {pair}" for pair in given or []]
    lines += [f"gateway {outcome}" for outcome in gateway or []]
    lines += [f"hook {answer}" for answer in hook or []]
    lines += [f"language {language}"] if language else []
    lines += [f"keys {keys}"] if keys else []
    lines += [f"agent {word.replace(':', ' ')}" for word in agent or []]
    with operator_errors():
        flow = flow_files.load(file)
        text = flow_files.text_of(script) if script is not None else ""
        wanted = flow_simulation.parse_script("\n".join(lines) + "\n" + text)
        if not wanted.actions:
            _interactive(flow_simulation.Simulation(flow, wanted), wanted)
            return
        transcript = flow_simulation.simulate(flow, wanted)
    if as_json:
        print(json.dumps({"transcript": transcript.as_data()}))  # noqa: T201 - the machine's line
    else:
        out.print(escape(str(transcript)), end="", soft_wrap=True)
    if not transcript.ended:
        err.print("[red]error:[/red] the flow did not come to an exit")
        raise typer.Exit(EXIT_NO)


def _interactive(simulation: object, wanted: object) -> None:
    from dtmf_shield.service.flows.simulation import Script, Simulation
    from dtmf_shield.service.flows.simulation.script import ALLOWED, parse_line

    if not isinstance(simulation, Simulation) or not isinstance(wanted, Script):
        raise TypeError("a simulation and its script")
    out.print(
        f"Lines: {escape(ALLOWED)}; keys alone too. TEST cards only. An empty line lets time pass, ^D ends."
    )
    shown = 0
    while True:
        simulation.run_until_idle()
        for line in simulation.transcript.lines[shown:]:
            out.print(escape(str(line)), soft_wrap=True)
        shown = len(simulation.transcript.lines)
        if simulation.over:
            return
        try:
            said = input(f"{simulation.where}> ").strip()
        except EOFError:
            out.print()
            return
        try:
            parse_line(wanted, said or "wait 5s")
        except OperatorError as error:
            err.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        simulation.take(wanted)


@app.command()
def graph(
    file: Annotated[Path, typer.Argument(help="A flow file.")],
    form: Annotated[Form, typer.Option("--form", help="What to write.")] = Form.MERMAID,
    to: Annotated[Path | None, typer.Option("--out", help="File to write; none: standard output.")] = None,
) -> None:
    """Draw a flow as Mermaid, SVG, a list of text or JSON."""
    with operator_errors():
        flow = flow_files.load(file)
    text = _WRITERS[form](flow)
    if to is None:
        print(text, end="")  # noqa: T201 - for a pipe
    else:
        to.write_text(text, "utf-8")


@app.command()
def new(
    file: Annotated[Path | None, typer.Argument(help="File to write.")] = None,
    template: Annotated[str, typer.Option(help="A shipped flow to begin with.")] = "card-payment-agent",
    flow_id: Annotated[str, typer.Option("--id", help="Id of the new flow; none: the file's name.")] = "",
    show: Annotated[bool, typer.Option("--list", help="List the templates.")] = False,
) -> None:
    """Begin a flow from a template, with the schema for your editor beside it."""
    with operator_errors():
        if show or file is None:
            for name, title in flow_files.templates().items():
                out.print(f"{name:28} {escape(title)}")
            return
        for path in flow_files.write_new(template, file, flow_id or file.stem):
            out.print(f"{escape(str(path))}: written")


@app.command()
def schema(
    to: Annotated[Path | None, typer.Option("--out", help="File to write; none: standard output.")] = None,
) -> None:
    """Write the JSON Schema of the flow language, for editors."""
    if to is None:
        print(json_schema_text(), end="")  # noqa: T201 - for a pipe
    else:
        to.write_text(json_schema_text(), "utf-8")


@app.command()
def reference(
    to: Annotated[Path | None, typer.Option("--out", help="File to write; none: standard output.")] = None,
) -> None:
    """Write the reference of the flow language as Markdown."""
    if to is None:
        print(as_markdown(), end="")  # noqa: T201 - for a pipe
    else:
        to.write_text(as_markdown(), "utf-8")
