"""Claim: an attacker who knows when each key was pressed learns nothing from what the agent hears, at 5 ms of delay.

Usage: python -m bench.leak_attack [--n 3200] ; n = presses over the grid, as many fragments, and as many in rtpengine
where it is installed (a real process in real time). The same attackers on the unprotected audio are the control.
Peers: no mute, a model of Asterisk's squelch, rtpengine with and without `block DTMF` and four delay buffers.
"""

import argparse
import functools
import multiprocessing
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.leak_cells import (
    CODECS,
    Cell,
    Codec,
    call_cells,
    delivered,
    extra_cells,
    fragment_cells,
    grid_cells,
)
from bench.leak_report import FRAGMENTS, PRESSES, Side, report
from bench.leak_view import KeyView, views
from bench.peers import asterisk_model, rtpengine
from bench.processes import workers
from bench.result import keep, parser, progress
from bench.spoken import halved, synthetic_speech
from bench.talkoff import Tally, mute_row, tally_mute
from dtmf_shield.media.codecs.g711 import ALAW_DECODE, encode_alaw
from dtmf_shield.media.masker import HOLD_BACK_SAMPLES, MODE_CAPTURE, MODE_GUARD
from tests.vectors.dtmf_scoring import passed_samples, run
from tests.vectors.dtmf_signal import KEYS, whole_packets

NO_MUTE = "no mute (as FreeSWITCH's start_dtmf)"
OURS, RECORDING, GUARD = "ours, capture", "ours, capture, recording", "ours, guard"
SQUELCH = "Asterisk squelch (model)"
CALLS = 16
CALL_ROUNDS = 2
CALL_SEED = 8_000
LATE_MS_MAX = 10.0
Pcm = NDArray[np.int16]


@functools.cache
def speech() -> NDArray[np.float64]:
    """Return the voice around keys, made once a process."""
    return synthetic_speech()


@dataclass(frozen=True, slots=True)
class Line:
    """What the caller said, what the codec delivers of it, whole packets both."""

    spoken: Pcm
    pcm: Pcm
    codec: Codec


def masked(mode: int) -> Callable[[Line], Pcm]:
    """Return what the masker puts out in `mode`."""

    def make(line: Line) -> Pcm:
        rate_hz = line.codec.sample_rate_hz
        mutes = line.codec.mutes(line.spoken, mode)
        return run(line.pcm, mode, rate_hz // 50, sample_rate_hz=rate_hz, mutes=mutes).out

    return make


@dataclass(frozen=True, slots=True)
class Maker:
    """What makes the agent's audio of the caller's; its delay in samples at 8 kHz; codec once more; at 16 kHz too."""

    make: Callable[[Line], Pcm]
    delay_samples: int = 0
    is_coded: bool = True
    is_wideband: bool = True


SIDES = {
    NO_MUTE: Maker(lambda line: line.pcm),
    OURS: Maker(masked(MODE_CAPTURE), HOLD_BACK_SAMPLES),
    RECORDING: Maker(masked(MODE_CAPTURE), HOLD_BACK_SAMPLES, is_coded=False),
    GUARD: Maker(masked(MODE_GUARD), HOLD_BACK_SAMPLES),
    SQUELCH: Maker(lambda line: asterisk_model.squelched(line.pcm), is_wideband=False),
}


def attack_cell(cell: Cell) -> dict[str, list[KeyView]]:
    """Return the views of one stream on each side; attackers work at 8 kHz, where all of a key is."""
    spoken, codec = cell.spoken(np.zeros(0)), CODECS[cell.codec]
    stream = delivered(spoken, codec)
    line = Line(spoken.pcm, stream.pcm, codec)
    factor = codec.sample_rate_hz // 8000
    stream.onsets, stream.ends = ([at // factor for at in times] for times in (stream.onsets, stream.ends))
    found = {}
    for name, side in SIDES.items():
        if factor > 1 and not side.is_wideband:
            continue
        out, delay = side.make(line), side.delay_samples * factor
        passed = passed_samples(line.pcm, out, delay).reshape(-1, factor).any(axis=1)
        wire = (codec.through(out)[codec.delay_samples :] if side.is_coded else out)[delay:]
        heard = halved(wire) if factor > 1 else wire
        found[name] = views(stream, heard, passed, np.random.default_rng(cell.seed))
    return found


def odd_cell(cell: Cell) -> list[KeyView]:
    """Return what passes of one stream in a capture, without attackers."""
    stream = cell.stream(speech() if cell.spoken_around else np.zeros(0))
    line = Line(stream.pcm, stream.pcm, CODECS[cell.codec])  # A-law: its decoder mutes nothing
    passed = passed_samples(stream.pcm, masked(MODE_CAPTURE)(line), HOLD_BACK_SAMPLES)
    return [
        KeyView(KEYS.index(key), int(passed[onset:end].sum()), (), np.zeros(0, np.float32))
        for key, onset, end in zip(stream.keys, stream.onsets, stream.ends, strict=True)
    ]


def attack_call(job: tuple[Cell, bytes]) -> list[KeyView]:
    """Return the views of one call through rtpengine; none where its packets could not be put in place."""
    cell, alaw = job
    if not alaw:
        return []
    stream = cell.stream(np.zeros(0))
    heard = ALAW_DECODE[np.frombuffer(alaw, np.uint8)]
    # Streams of one round are cut to the shortest.
    whole = sum(end <= len(heard) for end in stream.ends)
    stream.keys, stream.onsets, stream.ends = stream.keys[:whole], stream.onsets[:whole], stream.ends[:whole]
    passed = passed_samples(stream.pcm, heard, 0)
    return views(stream, heard, passed, np.random.default_rng(cell.seed))


def kernel_sides(n: int, processes: int) -> tuple[list[Side], Side]:
    """Return ours and the modelled peers on presses and fragments, and ours on the odd presses."""
    cells = {PRESSES: grid_cells(n), FRAGMENTS: fragment_cells(n)}
    odd = extra_cells(n)
    extras = Side(OURS, "odd presses", HOLD_BACK_SAMPLES / 8, is_ours=True)
    sides: list[Side] = []
    with progress() as bar, workers(processes) as mapped:
        task = bar.add_task("attack: ours and models", total=sum(map(len, cells.values())) + len(odd))
        for kind, of_kind in cells.items():
            by_name = {
                name: Side(name, kind, side.delay_samples / 8, name.startswith("ours"))
                for name, side in SIDES.items()
            }
            sides += by_name.values()
            for cell, found in zip(of_kind, mapped(attack_cell, of_kind), strict=True):
                for name, seen in found.items():
                    by_name[name].by_stream.append((cell, seen))
                bar.advance(task)
        for cell, seen in zip(odd, mapped(odd_cell, odd), strict=True):
            extras.by_stream.append((cell, seen))
            bar.advance(task)
    return sides, extras


def alaw_of(cell: Cell) -> NDArray[np.uint8]:
    """Return what the caller of one call sends."""
    pcm = cell.stream(np.zeros(0)).pcm
    codes = np.zeros(len(pcm), np.uint8)
    encode_alaw(pcm, codes)
    return codes


def rtpengine_sides(n: int, processes: int) -> tuple[list[Side], list[str]]:
    """Return every setting's side, and how its calls were made."""
    calls = min(CALLS, max(1, n // 32))
    sides = {name: Side(f"rtpengine, {name}", PRESSES, 0.0) for name in rtpengine.SETTINGS}
    delays: dict[str, list[float]] = {name: [] for name in sides}
    good, void, unplaced, worst_ms = 0, 0, 0, 0.0
    with progress() as bar, workers(processes) as mapped:
        task = bar.add_task("attack: rtpengine", total=CALL_ROUNDS)
        while good < CALL_ROUNDS and void <= CALL_ROUNDS:
            cells = call_cells(n // CALL_ROUNDS, calls, CALL_SEED + 100 * (good + void))
            results, late_ms = rtpengine.measure([alaw_of(cell) for cell in cells])
            if late_ms > LATE_MS_MAX:
                void += 1
                continue
            good += 1
            worst_ms = max(worst_ms, late_ms)
            for name, passed in results.items():
                delays[name] += [one.delay_ms for one in passed]
                jobs = [(cell, one.alaw) for cell, one in zip(cells, passed, strict=True)]
                seen = list(mapped(attack_call, jobs))
                unplaced += sum(not found for found in seen)
                sides[name].by_stream += [pair for pair in zip(cells, seen, strict=True) if pair[1]]
            bar.advance(task)
    for name, side in sides.items():
        side.delay_ms = float(np.median(delays[name])) if delays[name] else 0.0
    line = f"rtpengine: {good} rounds of {calls} calls in each of {len(sides)} settings at once, A-law"
    line += f"; {void} rounds void (sender over {LATE_MS_MAX:g} ms late), else at most {worst_ms:.1f} ms late"
    return [side for side in sides.values() if side.by_stream], [f"{line}; {unplaced} calls not placed.", ""]


def false_mute() -> list[str]:
    """Return what either mode replaces of synthetic speech."""
    tally = Tally()
    tally_mute(tally, whole_packets(speech().astype(np.int16), 160))
    lines = ["## Speech replaced by mistake", "", "Public recordings: [talkoff.md](talkoff.md).", ""]
    lines += [
        "| material | active min | guard % | bursts a min | capture % | bursts a min |",
        f"|{'---|' * 6}",
    ]
    return [*lines, mute_row("espeak-ng", tally)]


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    found = parser("leak_attack", __doc__ or "", n=640)
    found.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    found.add_argument("--no-rtpengine", action="store_true", help="leave the real-time part out")
    return found.parse_args()


def main() -> int:
    """Attack all sides, keep tables and chart."""
    given, started_s = arguments(), time.perf_counter()
    sides, extras = kernel_sides(given.n, given.processes)
    notes = ["rtpengine was not run.", ""]
    if rtpengine.is_installed() and not given.no_rtpengine:
        theirs, notes = rtpengine_sides(given.n, given.processes)
        sides += theirs
    elif not given.no_rtpengine:
        notes = ["rtpengine is not installed, so without its rows: apt-get install rtpengine-daemon", ""]
    lines = ["# What an attacker gets of a key, and the delay paid", ""]
    lines += [*notes, *report(sides, extras, given.out), "", *false_mute()]
    lines += ["", f"{time.perf_counter() - started_s:.0f} s"]
    keep("leak", lines, f"python -m bench.leak_attack --n {given.n}", given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
