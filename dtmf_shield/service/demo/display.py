"""How the demonstration looks: a live table on a terminal, plain lines elsewhere, a panel with the outcome.

Shows what the agent's page may show and nothing more: masks, brand, last4 once accepted, a token's reference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from dtmf_shield.phone.door import Door
from dtmf_shield.service.demo.scenario import LABELS, CallProgress
from dtmf_shield.service.demo.summary import CallReport, leak_sentence

REFRESH_HZ: Final = 10
COLUMNS: Final = (
    ("keys as", 8),
    ("call", 20),
    ("card number", 21),
    ("expiry", 7),
    ("code", 5),
    ("token", 9),
)
"""Headings and widths: together they fit a terminal of 80 columns."""
DOOR_WORDS: Final = {Door.INBAND: "tones", Door.RFC4733: "RFC 4733", Door.INFO: "SIP INFO"}
DOOR_TITLES: Final = {
    Door.INBAND: "tones in the audio",
    Door.RFC4733: "RFC 4733 events",
    Door.INFO: "SIP INFO",
}
_STATE_STYLES: Final = {"valid": "green", "keying": "bold yellow", "waiting": "cyan", "invalid": "red"}
_STATE_WORDS: Final = {"waiting": "asked for", "invalid": "refused", "timeout": "no keys"}


class Display:
    """Follows the calls while `async with` lasts."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._live_table = console.is_terminal and not quiet
        self._spinner = Spinner("dots", text="")

    def say(self, words: str) -> None:
        """Print one line of narration."""
        if not self._quiet:
            self._console.print(words)

    async def follow(self, calls: Sequence[CallProgress], work: asyncio.Task[Any]) -> None:
        """Show `calls` until `work` is done."""
        if self._live_table:
            with Live(self._table(calls), console=self._console, refresh_per_second=REFRESH_HZ) as live:
                while not work.done():
                    await asyncio.sleep(1 / REFRESH_HZ)
                    live.update(self._table(calls))
            return
        said: dict[Door, str] = {}
        while not work.done():
            await asyncio.sleep(1 / REFRESH_HZ)
            self._say_changes(calls, said)
        self._say_changes(calls, said)

    def _say_changes(self, calls: Sequence[CallProgress], said: dict[Door, str]) -> None:
        for call in calls:
            line = f"  {call.door:<8} {call.words}" + (f": {call.token_reference}" if call.ended else "")
            if said.get(call.door) != line:
                said[call.door] = line
                self.say(line)

    def _table(self, calls: Sequence[CallProgress]) -> RenderableType:
        table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
        for heading, width in COLUMNS:
            table.add_column(heading, min_width=width, no_wrap=True)
        for call in calls:
            table.add_row(
                f"[bold]{DOOR_WORDS[call.door]}[/bold]",
                self._words(call),
                *(_cell(call, kind) for kind in LABELS),
                Text(call.token_reference, style="bold green"),
            )
        return Panel(table, title="dtmf-shield demo", title_align="left", border_style="cyan", padding=(1, 1))

    def _words(self, call: CallProgress) -> RenderableType:
        if call.failure:
            return Text("✗ " + call.words, style="bold red")
        if call.ended:
            return Text("✓ " + call.words, style="bold green")
        if call.words == "waiting":
            return Text(call.words, style="dim")
        row = Table.grid(padding=(0, 1))
        row.add_row(self._spinner, Text(call.words))
        return row

    def outcome(
        self,
        reports: Sequence[CallReport],
        *,
        failure: str,
        phones: str,
        detectors: Sequence[str],
        out: Path,
        took_s: float,
    ) -> None:
        """Print the closing panel."""
        if self._quiet:
            return
        good = not failure
        verdict = (
            "Every card became a token. The agent's phone and the recording hold no key." if good else failure
        )
        parts: list[RenderableType] = [
            Text(("✓ " if good else "✗ ") + verdict, style="bold green" if good else "bold red"),
            Text(),
            _numbers(reports),
            Text(),
            _remarks(reports, phones, detectors, out, took_s),
        ]
        self._console.print(Panel(Group(*parts), border_style="green" if good else "red", padding=(1, 2)))


def _cell(call: CallProgress, kind: str) -> Text:
    """Return one field as the agent sees it: keys as bullets, the last four digits once a card is accepted."""
    shown = next((each for each in call.fields if each["kind"] == kind), None)
    if shown is None:
        return Text("–", style="dim")
    state = shown["state"]
    style = _STATE_STYLES.get(state, "dim")
    words = str(shown["masked"] or _STATE_WORDS.get(state, "–"))
    if shown["last4"]:
        words = words[: -len(shown["last4"])] + shown["last4"]
    if state == "valid":
        words += " ✓"
    return Text(words, style=style)


def _numbers(reports: Sequence[CallReport]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for heading in ("keys as", "token", "card"):
        table.add_column(heading, no_wrap=True)
    for heading in ("sent", "caller", "agent", "recording", "delay"):
        table.add_column(heading, justify="right", no_wrap=True)
    for report in reports:
        progress, evidence = report.progress, report.evidence
        counts = (
            (
                str(evidence.heard_caller_side),
                _zero(evidence.heard_agent_side),
                _zero(evidence.recording.most),
            )
            if evidence
            else ("–", "–", "–")
        )
        table.add_row(
            f"[bold]{DOOR_WORDS[progress.door]}[/bold]",
            f"[green]{progress.token_reference or '–'}[/green]",
            f"•••• {progress.last4}" if progress.last4 else "–",
            str(len(progress.sent)),
            *counts,
            f"{report.added_delay_ms:.1f} ms" if report.added_delay_ms is not None else "unknown",
        )
    return table


def _zero(count: int) -> str:
    return "[bold green]0[/bold green]" if count == 0 else f"[bold red]{count}[/bold red]"


def attack_lines(reports: Sequence[CallReport]) -> list[str]:
    """Say how the attacker did who knows when each key was pressed."""
    lines: list[str] = []
    for report in reports:
        evidence = report.evidence
        if evidence is None:
            continue
        if evidence.leak:
            lines.append(f"Leak on the {evidence.door} call: {leak_sentence(evidence)}.")
        if evidence.attacks:
            names = {"caller": "the caller's own audio", "agent": "the agent's", "recording": "the recording"}
            said = ", ".join(
                f"{result.guessed} of {result.of} in {names[place]}"
                + ("" if place == "caller" else f" (luck does as well in {result.luck:.0%} of tries)")
                for place, result in evidence.attacks.items()
            )
            lines.append(f"An attacker who knows when each key sounded guessed {said}.")
    return lines


def _remarks(
    reports: Sequence[CallReport], phones: str, detectors: Sequence[str], out: Path, took_s: float
) -> Text:
    lines = [
        "Keys sent, heard on the caller's and the agent's side and in the recording; delay added to speech.",
        *attack_lines(reports),
        f"Heard by: {', '.join(detectors) or 'nobody'}. Phones: {phones}. Took {took_s:.0f} s.",
        f"Listen and look: {out}/caller.wav, agent.wav, recording.wav, evidence.png, summary.json",
    ]
    if len(reports) > 1:
        first = reports[0].progress.door
        others = ", ".join(f"{report.progress.door}/" for report in reports)
        lines.append(f"Those are the {first} call's; each call has its own in {others}")
    return Text("\n".join(lines), style="dim")
