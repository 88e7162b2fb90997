"""The tables and the chart of bench/leak_attack.py."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from bench.bounds import share_bounds
from bench.leak_cells import Cell
from bench.leak_judge import CHANCE, CONFIDENCE, MUTUAL_BIT_MAX, Judged, judge, learned_guesses
from bench.leak_view import ATTACKERS, KeyView

mpl.use("Agg")
from matplotlib import pyplot as plt

CLASSIFIERS = {"linear classifier": False, "curved classifier": True}
PRESSES, FRAGMENTS = "presses", "fragments"
PICTURE = "leak.png"
# What the chart says of some sides, and where, in points from the mark: else labels would lie on each other.
_LABELS = {
    "no mute (as FreeSWITCH's start_dtmf)": ("no mute; rtpengine relay", (5, 8)),
    "rtpengine, relay": ("", (0, 0)),
    "Asterisk squelch (model)": ("Asterisk squelch (model)", (5, 5)),
    "ours, guard": ("ours, guard", (5, -12)),
}


@dataclass(slots=True)
class Side:
    """What one listener gets of one kind of press: the views of each stream, and the delay he pays, ms."""

    name: str
    kind: str
    delay_ms: float
    is_ours: bool = False
    by_stream: list[tuple[Cell, list[KeyView]]] = field(default_factory=list)

    @property
    def passed(self) -> NDArray[np.int64]:
        """Samples of each press that passed unreplaced."""
        return np.array([view.passed for _, found in self.by_stream for view in found], np.int64)

    def judged(self) -> list[Judged]:
        """Return every attacker's result."""
        every = [view for _, found in self.by_stream for view in found]
        truth = np.array([view.truth for view in every])
        stream = np.repeat(np.arange(len(self.by_stream)), [len(found) for _, found in self.by_stream])
        found = [
            judge(attacker, truth, np.array([view.guesses[i] for view in every]), i)
            for i, attacker in enumerate(ATTACKERS)
        ]
        features = np.stack([view.features for view in every])
        for name, curved in CLASSIFIERS.items():
            found.append(judge(name, truth, learned_guesses(features, truth, stream, curved), len(found)))
        return found


def leak_row(name: str, kind: str, passed: NDArray[np.int64], delay_ms: float) -> str:
    """Return what passed, unreplaced, as a row."""
    n, any_passed = len(passed), int(np.count_nonzero(passed))
    low, high = share_bounds(any_passed, n)
    figures = f"{n} | {any_passed} ({100 * low:.2f} to {100 * high:.2f} %) | {np.median(passed) / 8:.1f}"
    return f"| {name} | {kind} | {figures} | {passed.max()} | {delay_ms:.1f} |"


def leak_table(sides: list[Side]) -> list[str]:
    """Return what passed on every side."""
    lines = [
        "| side | of | n | any sample passed (95 %) | median ms | most samples | delay ms |",
        f"|{'---|' * 7}",
    ]
    return [*lines, *(leak_row(side.name, side.kind, side.passed, side.delay_ms) for side in sides)]


def attacker_table(sides: list[Side], judged: dict[int, list[Judged]]) -> list[str]:
    """Return each attacker's accuracy on every side, the largest information, and whether it is luck."""
    names = [result.attacker for result in judged[0]]
    lines = [
        f"| side | of | {' | '.join(names)} | most bits a press (p) | luck? |",
        f"|{'---|' * (4 + len(names))}",
    ]
    corrected = len(names) * sum(side.is_ours for side in sides)
    for index, side in enumerate(sides):
        cells = []
        for result in judged[index]:
            low, high = result.bounds
            cells.append(f"{100 * result.accuracy:.1f} ({100 * low:.1f} to {100 * high:.1f})")
        most = max(judged[index], key=lambda result: result.bits)
        luck = all(result.is_luck(corrected) for result in judged[index])
        cells.append(f"{most.bits:.3f} ({most.bits_luck:.3f}) | {'luck' if luck else 'better than luck'}")
        lines.append(f"| {side.name} | {side.kind} | {' | '.join(cells)} |")
    return lines


def _by_value(item: tuple[str, object]) -> tuple[str, float]:
    """Sort labels by name, then by number where there is one."""
    name, _, value = item[0].partition(" ")
    return name, float(value) if value.lstrip("-").isdigit() else 0.0


def breakdown(sides: list[Side]) -> list[str]:
    """Return what passed by each label of the cells, a column a side: presses with any of n, (most samples)."""
    found: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for side in sides:
        for cell, seen in side.by_stream:
            for label, value in cell.labels.items():
                found[f"{label} {value}"][side.name] += [view.passed for view in seen]
    names = [side.name for side in sides]
    lines = [f"| of {sides[0].kind} | {' | '.join(names)} |", f"|{'---|' * (1 + len(names))}"]
    for label, by_side in sorted(found.items(), key=_by_value):
        cells = [
            f"{np.count_nonzero(passed)} of {len(passed)} ({max(passed)})"
            if (passed := by_side.get(name))
            else ""
            for name in names
        ]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return lines


def draw(sides: list[Side], judged: dict[int, list[Judged]], path: Path) -> None:
    """Keep the chart: what passed of a press, and the best attacker, against the delay paid."""
    figure, (leak, attack) = plt.subplots(2, 1, figsize=(8, 7), dpi=100, sharex=True)
    for index, side in enumerate(sides):
        if side.kind != PRESSES or "recording" in side.name:
            continue
        colour = "tab:green" if side.is_ours else "tab:red"
        median, usual, most = np.percentile(side.passed, (50, 95, 100)) / 8
        leak.vlines(side.delay_ms, median, usual, color=colour, linewidth=3)
        leak.plot(side.delay_ms, median, "o", color=colour)
        leak.plot(side.delay_ms, most, "x", color=colour)
        best = 100 * max(result.accuracy for result in judged[index])
        attack.plot(side.delay_ms, best, "o", color=colour)
        name = side.name.replace("rtpengine, block DTMF, delay-", "rtpengine, ").replace(", ", "\n", 1)
        text, offset = _LABELS.get(side.name, (name, (5, 5)))
        for axes, height in ((leak, median), (attack, best)):
            axes.annotate(
                text, (side.delay_ms, height), offset, textcoords="offset points", fontsize=7, color=colour
            )
    leak.set(
        ylabel="passed of a press, ms\n(dot: median, bar: to 95 %, cross: most)",
        ylim=(-8, 118),
        xlim=(-4, 135),
    )
    attack.axhline(100 * CHANCE, color="grey", linewidth=1, linestyle="--")
    attack.set(xlabel="added delay, ms", ylabel="best attacker, % of keys named", ylim=(-8, 118))
    leak.set_title("What an attacker gets of a key against the delay paid (dashed: luck)", fontsize=10)
    for axes in (leak, attack):
        axes.grid(alpha=0.3)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)


def report(sides: list[Side], extras: Side, folder: Path) -> list[str]:
    """Return the tables of all sides; keep the chart in `folder`."""
    judged = {index: side.judged() for index, side in enumerate(sides)}
    draw(sides, judged, folder / PICTURE)
    heard = [side for side in sides if "recording" not in side.name]
    kinds = [[side for side in heard if side.kind == kind] for kind in (PRESSES, FRAGMENTS)]
    return [
        "## What passes unreplaced",
        "",
        "Runs of three or more equal samples count; delay is the hold-back alone, for rtpengine what was measured.",
        "",
        *leak_table(sides),
        "",
        f"## What attackers make of it (luck: {100 * CHANCE:.2f} %)",
        "",
        f"Accuracy with its {100 * CONFIDENCE:.0f} % interval. Attackers know every press's time; the first two also "
        "which samples passed, the classifiers (trained on other streams) the 200 ms around it. Bits: mutual "
        f"information less what permuted truths show; goal {MUTUAL_BIT_MAX:g}. Luck is judged with all attackers on "
        "all our sides taken together.",
        "",
        *attacker_table(sides, judged),
        "",
        f"![leak against delay]({PICTURE})",
        "",
        "## In parts",
        "",
        "Presses of which any sample passed, of how many (most samples of one).",
        "",
        *(line for shown in [*kinds, [extras]] for line in [*breakdown(shown), ""]),
    ]
