"""``dtmf-shield prompts``: build what callers hear, list what was built."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from dtmf_shield.cli.console import EXIT_NO, err, operator_errors, out
from dtmf_shield.service import start

app = typer.Typer(
    help="What callers hear: built beforehand, never synthesized during a call.", no_args_is_help=True
)

Engine = Literal["auto", "recorded", "piper", "flite", "espeak-ng"]
ConfigOption = Annotated[Path | None, typer.Option(help="TOML file; none: the defaults.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Where prompts lie; none: prompts/ in the state directory.")
]
LanguagesOption = Annotated[
    list[str] | None, typer.Option("--language", help="Only this language tag; may be repeated.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="The result as JSON.")]


@app.command()
def build(
    config: ConfigOption = None,
    flows: Annotated[Path | None, typer.Option(help="Folder of flows; none: the configuration's.")] = None,
    out_directory: OutOption = None,
    engine: Annotated[
        Engine, typer.Option(help="Who speaks what was not recorded; auto: piper, flite, espeak-ng.")
    ] = "auto",
    voices: Annotated[Path | None, typer.Option(help="Folder of piper's voices (*.onnx).")] = None,
    languages: LanguagesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build the prompts of flows and of the default set. Exit code 1 when a piece could not be built."""
    from dtmf_shield.prompts.build import BuildOptions  # arrays and kernels load here, not in `serve`
    from dtmf_shield.service.prompts.build import build_prompts
    from dtmf_shield.service.prompts.flows import flows_of, made_prompts_directory, read_flow_prompts

    with operator_errors():
        loaded, base = start.read_config(config)
        directory = out_directory or made_prompts_directory(loaded, base)
        files = flows_of(loaded, base, flows)
        spoken = [read_flow_prompts(path) for path in files]
        options = BuildOptions(directory, files[0].parent / "prompts", engine, voices)
        with _bar(as_json) as bar:
            reports = build_prompts(spoken, tuple(languages or ()), options, _Bars(bar).show)
    findings = [finding for report in reports for finding in report.findings]
    if as_json:
        rows = [dataclasses.asdict(report) for report in reports]
        told = {"directory": str(directory), "languages": rows, "findings": findings}
        print(json.dumps(told))  # noqa: T201 - the machine's line
    for finding in () if as_json else findings:
        err.print(f"[red]error:[/red] {escape(finding)}", soft_wrap=True)
    for report in () if as_json else reports:
        draft = f", {report.draft} of them in a draft voice" if report.draft else ""
        out.print(
            f"{report.language}: {report.pieces} pieces ({report.built} built, {report.kept} kept{draft}), "
            f"{report.duration_ms / 1000:.0f} s, {report.octets / 1e6:.1f} MB in {directory / report.language}",
            soft_wrap=True,
        )
    if findings:
        raise typer.Exit(EXIT_NO)


@app.command(name="list")
def list_(
    config: ConfigOption = None,
    out_directory: OutOption = None,
    languages: LanguagesOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what was built: piece, engine, length, text, and the wav file to listen to."""
    from dtmf_shield.prompts.store import PromptStore
    from dtmf_shield.service.prompts.flows import prompts_directory

    with operator_errors():
        loaded, base = start.read_config(config)
        directory = out_directory or prompts_directory(loaded, base)
        store = PromptStore.open(directory)
        built = [store.language(language) for language in languages or store.languages]
        pieces = {each.language: dict(each.pieces) for each in built}
        store.close()
    if as_json:
        rows = {tag: msgspec.to_builtins(found) for tag, found in pieces.items()}
        print(json.dumps({"directory": str(directory), "languages": rows}))  # noqa: T201 - the machine's line
        return
    if not pieces:
        out.print(f"{directory}: nothing is built; run: dtmf-shield prompts build", soft_wrap=True)
    for language, found in pieces.items():
        out.print(f"{language}: {directory / language / 'wav'}", soft_wrap=True)
        for piece in sorted(found.values(), key=lambda piece: piece.wav):
            voice = f"{piece.engine}, draft" if piece.draft else piece.engine
            seconds = f"{piece.duration_ms / 1000:.2f}"
            out.print(f"  {piece.wav:<24} {seconds:>6} s  {voice:<17} {escape(piece.text)}", soft_wrap=True)


def _bar(quiet: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=err, transient=True, disable=quiet)


class _Bars:
    """One bar a language."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, language: str, done: int, total: int) -> None:
        """Move a language's bar."""
        if language not in self._tasks:
            self._tasks[language] = self._progress.add_task(language, total=total)
        self._progress.update(self._tasks[language], completed=done, total=total)
