"""Claim: the detector hears every legal key and no other. The score of each condition, ours and the peers', beside.

Usage: python -m bench.dtmf_battery [--n 3200] ; n = keys a condition (3200 proves what the goals say). Peers:
libspandsp2 (also with its dial-tone filter) and multimon-ng where installed, and a model of Asterisk. Seeds: in the
table; the corners are drawn anew by --corner-seed. Conditions and goals: bench/dtmf_conditions.py.
"""

import argparse
import functools
import multiprocessing
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from bench.bounds import ONE_SIDED, share_bounds
from bench.dtmf_conditions import BREAK, CORNERS, LIMITS, REJECT, Condition, conditions, corners
from bench.peers import asterisk_model, multimon, spandsp
from bench.processes import workers
from bench.result import keep, parser, progress
from bench.spoken import halved, synthetic_speech
from tests.vectors.dtmf_scoring import hits_and_extras, listen
from tests.vectors.dtmf_signal import Recipe, Stream, key_stream, whole_packets

mpl.use("Agg")
from matplotlib import pyplot as plt

FIRST_SEED = 100
CORNER_SEED = 2024
LATENCY_SEED = 400
LATENCY_MS_MAX = {20: 33.0, 160: 53.0}  # goals, by samples fed at once
PACKET_SAMPLES = 160
PICTURE = "dtmf_recall.png"
Events = list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Score:
    """Keys of n heard once at the right time, and keys heard beside them."""

    hits: int
    extras: int
    n: int

    @property
    def accepted(self) -> float:
        """The share heard (0..1)."""
        return self.hits / self.n


@dataclass(frozen=True, slots=True)
class Row:
    """One condition, its seed and each detector's score."""

    condition: Condition
    seed: int
    scores: dict[str, Score]

    @property
    def verdict(self) -> str:
        """Whether our share meets the goal (met), and whether its one-sided 95 % bound does too (proved)."""
        ours, goal = self.scores["ours"], self.condition.goal
        if not goal:
            return "-"
        if goal in (REJECT, BREAK):
            wrong = min(ours.extras + (ours.hits if goal == REJECT else 0), ours.n)
            if wrong / ours.n > LIMITS[goal]:
                return "missed"
            return "proved" if share_bounds(wrong, ours.n, ONE_SIDED)[1] <= LIMITS[goal] else "met"
        if ours.accepted < LIMITS[goal]:
            return "missed"
        return "proved" if share_bounds(ours.hits, ours.n, ONE_SIDED)[0] >= LIMITS[goal] else "met"


def with_losses(
    pcm: NDArray[np.int16], share: float, repeat: bool, seed: int
) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Return what a receiver without concealment of its own would play, and which packets were lost."""
    packets = whole_packets(pcm, PACKET_SAMPLES).reshape(-1, PACKET_SAMPLES).copy()
    lost = np.random.default_rng(seed).random(len(packets)) < share
    for number in np.flatnonzero(lost):
        packets[number] = packets[number - 1] if repeat and number else 0
    return packets.reshape(-1), lost


def detectors() -> dict[str, Callable[[NDArray[np.int16], int], Events]]:
    """Return the peers that tell when they heard a key, each fed in pieces of so many samples."""
    found: dict[str, Callable[[NDArray[np.int16], int], Events]] = {}
    peer = spandsp.load()
    if peer is not None:
        found["spandsp"] = peer.events
        found["spandsp, dial filter"] = functools.partial(peer.events, dial_tone_filter=True)
    # A block is judged with its last sample; within a packet that is heard of at the packet's end.
    found["Asterisk model"] = lambda pcm, fed: [
        (key, -(-at // fed) * fed) for key, at in asterisk_model.events(pcm)
    ]
    return found


@functools.cache
def speech() -> NDArray[np.float64]:
    """Return the voice under the keys, made once a process."""
    return synthetic_speech()


def measure(job: tuple[Condition, int, int]) -> Row:
    """Return the row of (condition, keys, seed): the same audio through all."""
    condition, n, seed = job
    recipe = Recipe(**{"repetitions": max(1, n // 16), **condition.changes})  # type: ignore[arg-type]  # fields of many types
    stream: Stream = key_stream(recipe, seed, speech() if recipe.speech_below_db is not None else None)
    n_keys = len(stream.keys)
    factor = recipe.sample_rate_hz // 8000
    audio, lost = whole_packets(stream.pcm, PACKET_SAMPLES * factor), None
    if condition.loss:
        audio, lost = with_losses(stream.pcm, condition.loss, condition.loss_repeats, seed)
    heard = listen(
        audio, packet_samples=PACKET_SAMPLES * factor, lost=lost, sample_rate_hz=recipe.sample_rate_hz
    )[0]
    if factor > 1:
        # The peers hear 8 kHz only, and all times are counted there.
        audio = halved(audio)
        stream.onsets, stream.ends = (
            [at // factor for at in times] for times in (stream.onsets, stream.ends)
        )
    scores = {"ours": Score(*hits_and_extras(stream, [(h.key, h.registered) for h in heard]), n_keys)}
    for who, events in detectors().items():
        scores[who] = Score(*hits_and_extras(stream, events(audio, PACKET_SAMPLES)), n_keys)
    if multimon.is_installed():
        keys = multimon.keys(audio)
        hits = multimon.common_sequence_length(stream.keys, keys)
        scores["multimon-ng"] = Score(hits, len(keys) - hits, n_keys)
    return Row(condition, seed, scores)


def rows(n: int, corner_seed: int, n_processes: int, only: str) -> list[Row]:
    """Measure every condition whose name contains `only`, in order."""
    named = [*conditions(), *corners(corner_seed)]
    jobs = [
        (condition, n, FIRST_SEED + number)
        for number, condition in enumerate(named)
        if only in condition.name
    ]
    found = []
    with progress() as bar, workers(n_processes) as mapped:
        task = bar.add_task("battery", total=len(jobs))
        for row in mapped(measure, jobs):
            found.append(row)
            bar.update(task, advance=1, description=f"battery: {row.condition.name[:40]}")
    return found


def cell(score: Score | None, bounds: bool = False) -> str:
    """Return `hit % (bounds) +extras`."""
    if score is None:
        return ""
    text = f"{100 * score.accepted:.2f}"
    if bounds:
        low, high = share_bounds(score.hits, score.n)
        text += f" ({100 * low:.2f} to {100 * high:.2f})"
    return f"{text} +{score.extras}" if score.extras else text


def latencies_ms(stream: Stream, events: Events) -> list[float]:
    """Return ms from the onset of each key to its registration."""
    onsets = [*stream.onsets, len(stream.pcm)]
    found = []
    for wanted, onset, following in zip(stream.keys, onsets, onsets[1:], strict=False):
        times = [at for key, at in events if key == wanted and onset <= at < following]
        found += [(min(times) - onset) / 8] if times else []
    return found


def latency_lines(n: int) -> list[str]:
    """Return the table of onset to registration of clean keys, all fed in pieces of 2.5 and of 20 ms."""
    stream = key_stream(Recipe(repetitions=max(1, n // 16)), LATENCY_SEED)
    audio = whole_packets(stream.pcm, PACKET_SAMPLES)
    lines = [f"## Onset to registration, ms, of {len(stream.keys)} clean keys (seed {LATENCY_SEED})", ""]
    lines += [
        "| fed in | detector | least | median | 95 % | most | goal, most |",
        "|---|---|---|---|---|---|---|",
    ]
    for fed, goal in LATENCY_MS_MAX.items():
        heard = {"ours": [(h.key, h.registered) for h in listen(audio, packet_samples=fed)[0]]}
        heard |= {who: events(audio, fed) for who, events in detectors().items() if "filter" not in who}
        for who, events in heard.items():
            late = np.array(latencies_ms(stream, events))
            figures = " | ".join(f"{value:.1f}" for value in np.percentile(late, (0, 50, 95, 100)))
            verdict = f"{goal:g}: {'met' if late.max() <= goal else 'missed'}" if who == "ours" else ""
            lines.append(f"| {fed / 8:g} ms | {who} | {figures} | {verdict} |")
    return lines


def table(found: list[Row]) -> list[str]:
    """Return one row a condition."""
    peers = [who for who in found[0].scores if who != "ours"]
    lines = [
        f"| condition | seed | n | ours | {' | '.join(peers)} | goal | ours is |",
        f"|{'---|' * (6 + len(peers))}",
    ]
    for row in found:
        ours = row.scores["ours"]
        cells = [row.condition.name, str(row.seed), str(ours.n), cell(ours, bounds=True)]
        cells += [cell(row.scores.get(who)) for who in peers]
        lines.append(f"| {' | '.join([*cells, row.condition.goal or '-', row.verdict])} |")
    return lines


def summary(found: list[Row]) -> str:
    """Return how many goals are proved, met, missed, and name the missed ones."""
    with_goal = [row for row in found if row.condition.goal]
    counts = {
        verdict: sum(row.verdict == verdict for row in with_goal) for verdict in ("proved", "met", "missed")
    }
    missed = [row.condition.name for row in with_goal if row.verdict == "missed"]
    text = f"Of {len(with_goal)} goals {counts['proved']} are proved, {counts['met']} met, {counts['missed']} missed"
    return f"{text}: {'; '.join(missed)}." if missed else f"{text}."


def draw(found: list[Row], path: Path) -> None:
    """Keep the picture: a line for each condition, a mark for each detector."""
    marks = {
        "ours": "o",
        "spandsp": "x",
        "spandsp, dial filter": "+",
        "Asterisk model": "^",
        "multimon-ng": "s",
    }
    figure, axes = plt.subplots(figsize=(9, 0.19 * len(found) + 1.4), dpi=90)
    places = np.arange(len(found))[::-1]
    for who, mark in reversed(marks.items()):
        at = [
            (100 * row.scores[who].accepted, y)
            for row, y in zip(found, places, strict=True)
            if who in row.scores
        ]
        if at:
            size, alpha = (7, 1.0) if who == "ours" else (5, 0.6)
            axes.plot(*zip(*at, strict=True), mark, label=who, markersize=size, alpha=alpha)
    axes.set_yticks(places, [row.condition.name for row in found], fontsize=6.5)
    axes.set(xlabel="keys heard, % (reject rows: 0 is right)", xlim=(-3, 103), ylim=(-1, len(found)))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.3, 1.0), ncols=len(marks), frameon=False)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    found = parser("dtmf_battery", __doc__ or "", n=640)
    found.add_argument(
        "--corner-seed", type=int, default=CORNER_SEED, help=f"draws {CORNERS} corners of the legal range"
    )
    found.add_argument("--only", default="", help="only conditions whose name contains this")
    found.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    return found.parse_args()


def main() -> int:
    """Measure, keep table and picture."""
    given, started_s = arguments(), time.perf_counter()
    found = rows(given.n, given.corner_seed, given.processes, given.only)
    if not found:
        print(f"no condition contains {given.only!r}", file=sys.stderr)
        return 2
    missing = [] if spandsp.load() else ["libspandsp2"]
    missing += [] if multimon.is_installed() else ["multimon-ng"]
    lines = ["# Keys heard, condition by condition", "", summary(found), ""]
    lines += (
        [f"Not installed, so without a column: apt-get install {' '.join(missing)}", ""] if missing else []
    )
    lines += [
        "Cells: % of keys heard once at the right time, +keys heard beside them; ours with 95 % bounds "
        "(Clopper-Pearson). proved: the one-sided 95 % bound meets the goal; met: the share does.",
        "The Asterisk column is a model of its policy, not the program. multimon-ng tells no times: its longest "
        f"matching sequence counts. Corners of the legal range: drawn by seed {given.corner_seed}.",
        "",
        *table(found),
        "",
        *latency_lines(given.n),
        "",
        f"![keys heard]({PICTURE})",
        "",
        f"{time.perf_counter() - started_s:.0f} s",
    ]
    draw(found, given.out / PICTURE)
    command = f"python -m bench.dtmf_battery --n {given.n} --corner-seed {given.corner_seed}"
    keep("dtmf", lines, command, given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
