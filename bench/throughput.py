"""Claim: hearing, suspecting and masking keys takes a third of the CPU that libspandsp takes to hear them.

Both run in one process from compiled loops with no Python call in them, in packets of 160 samples, every stream with
its own state and its own place in the material, all streams once a tick. Runs alternate in random order; a ratio is of
two neighbours in one round. CPU time is the thread's own. It says nothing of sockets and codecs: bench/relay_cpu.py.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bench.peers import spandsp
from bench.result import keep, parser, progress
from bench.spoken import synthetic_speech
from dtmf_shield.media.masker import MODE_CAPTURE, MODE_GUARD, SHIELD_STATE_DTYPE
from tests.vectors.dtmf_signal import P0, Recipe, key_stream, through_alaw
from tests.vectors.masked_leg import run_streams

PACKET_SAMPLES = 160
STREAMS = (1, 1000)
MODES = {"guard": MODE_GUARD, "capture": MODE_CAPTURE}
GOAL_RATIO = 3.0
SEED = 17
PIECE_S = 4.0  # of the call: what a party does before it does something else
# Shares of a call's pieces, of 100: one party listens more than half of the time.
CALL_SHARES = {"speech": 40, "noise": 55, "keys": 5}
NOISE_DBM0 = (-65.0, -60.0)
Material = dict[str, NDArray[np.int16]]


@dataclass(frozen=True, slots=True)
class Row:
    """One material and number of streams: channel-seconds per CPU-second of each contender in each round."""

    material: str
    streams: int
    speeds: dict[str, list[float]]

    def ratios(self, mode: str) -> NDArray[np.float64]:
        """Return ours over spandsp's, one for each round."""
        found: NDArray[np.float64] = np.array(self.speeds[mode]) / np.array(self.speeds["spandsp"])
        return found


def line_noise(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return n samples of white noise at a level drawn from NOISE_DBM0."""
    rms = float(P0 / np.sqrt(2)) * 10 ** (rng.uniform(*NOISE_DBM0) / 20)
    return rng.standard_normal(n) * rms


def whole_call(
    speech: NDArray[np.int16], keys: NDArray[np.int16], rng: np.random.Generator
) -> NDArray[np.int16]:
    """Return pieces of speech, line noise and keys by CALL_SHARES in random order, noise under all, through A-law."""
    n = int(PIECE_S * 8000)
    pieces = []
    for kind in rng.permutation(np.repeat(list(CALL_SHARES), list(CALL_SHARES.values()))):
        piece = line_noise(n, rng)
        if kind != "noise":
            source = speech if kind == "speech" else keys
            start = int(rng.integers(0, len(source) - n))
            piece = piece + source[start : start + n]
        pieces.append(piece)
    return through_alaw(np.clip(np.round(np.concatenate(pieces)), -32768, 32767).astype(np.int16))


def materials() -> Material:
    """Return what is fed, int16 at 8 kHz."""
    rng = np.random.default_rng(SEED)
    speech = synthetic_speech().astype(np.int16)
    keys = key_stream(Recipe(repetitions=40, snr_db=30), SEED).pcm
    return {
        "speech": speech,
        "keys half of the time": keys,
        "silence": np.zeros(400_000, np.int16),
        "call": whole_call(speech, keys, rng),
    }


def cpu_s(run: Callable[[], object]) -> float:
    """Return the CPU time of this thread that `run` takes."""
    began_ns = time.thread_time_ns()
    run()
    return (time.thread_time_ns() - began_ns) / 1e9


def contenders(
    audio: NDArray[np.int16], streams: int, n_packets: int, library: spandsp.Spandsp
) -> dict[str, Callable[[], float]]:
    """Return what is timed: each a function that runs on fresh states and returns CPU seconds."""
    ringed = np.concatenate([audio, audio[:PACKET_SAMPLES]])
    offsets = np.random.default_rng(SEED).integers(0, len(audio), streams)
    out = np.zeros(PACKET_SAMPLES, np.int16)

    def ours(mode: int) -> float:
        state = np.zeros(streams, SHIELD_STATE_DTYPE)
        return cpu_s(lambda: run_streams(state, ringed, offsets, n_packets, mode, out))

    def theirs() -> float:
        with library.receivers(streams) as receivers:
            return cpu_s(lambda: spandsp.run_streams(receivers, ringed, offsets, n_packets, PACKET_SAMPLES))

    def theirs_in_one_call() -> float:
        whole = np.tile(audio, 1 + n_packets * PACKET_SAMPLES // len(audio))[: n_packets * PACKET_SAMPLES]
        doubled = np.concatenate([whole, whole])
        with library.receivers(1) as receivers:
            return cpu_s(
                lambda: spandsp.run_streams(receivers, doubled, np.zeros(1, np.int64), 1, len(whole))
            )

    found: dict[str, Callable[[], float]] = {name: partial(ours, mode) for name, mode in MODES.items()}
    found["spandsp"] = theirs
    if streams == 1:
        found["spandsp, one call"] = theirs_in_one_call
    return found


def measure(
    name: str, audio: NDArray[np.int16], streams: int, seconds: float, repeats: int, library: spandsp.Spandsp
) -> Row:
    """Return one row; the first round warms compilers and caches and does not count."""
    n_packets = max(1, round(seconds * 8000 / PACKET_SAMPLES / streams))
    channel_s = n_packets * streams * PACKET_SAMPLES / 8000
    rng = np.random.default_rng(SEED)
    runs = contenders(audio, streams, n_packets, library)
    speeds: dict[str, list[float]] = {who: [] for who in runs}
    for repeat in range(repeats + 1):
        for who in rng.permutation(list(runs)):
            spent_s = runs[str(who)]()
            if repeat:
                speeds[str(who)].append(channel_s / spent_s)
    return Row(name, streams, speeds)


def both_hear(keys: NDArray[np.int16], library: spandsp.Spandsp) -> tuple[int, int]:
    """Return how many keys ours and spandsp's compiled loop hear in the first 100 seconds: neither loop is empty."""
    audio = np.concatenate([keys, keys[:PACKET_SAMPLES]])
    n_packets = min(len(keys) // PACKET_SAMPLES, 500)
    offsets = np.zeros(1, np.int64)
    state, out = np.zeros(1, SHIELD_STATE_DTYPE), np.zeros(PACKET_SAMPLES, np.int16)
    ours = run_streams(state, audio, offsets, n_packets, MODE_CAPTURE, out)
    with library.receivers(1) as receivers:
        spandsp.run_streams(receivers, audio, offsets, n_packets, PACKET_SAMPLES)
        return int(ours), library.keys_heard(receivers)


def spread(values: NDArray[np.float64] | list[float], digits: int) -> str:
    """Return `median (min to max)`."""
    return f"{np.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def table(rows: list[Row]) -> list[str]:
    """Return the rows as markdown."""
    modes = " | ".join(f"{mode} | {mode} / spandsp" for mode in MODES)
    lines = [f"| material | streams | spandsp | spandsp, one call | {modes} | goal |", f"|{'---|' * 9}"]
    for row in rows:
        one_call = row.speeds.get("spandsp, one call")
        cells = [row.material, f"{row.streams:,}", spread(row.speeds["spandsp"], 0)]
        cells.append(spread(one_call, 0) if one_call else "")
        for mode in MODES:
            cells += [spread(row.speeds[mode], 0), spread(row.ratios(mode), 2)]
        met = min(float(np.median(row.ratios(mode))) for mode in MODES) >= GOAL_RATIO
        lines.append(f"| {' | '.join([*cells, 'met' if met else 'missed'])} |")
    return lines


def as_json(rows: list[Row]) -> str:
    """Return every round's figures."""
    return json.dumps(
        [
            {
                "material": row.material,
                "streams": row.streams,
                "channel_s_per_cpu_s": row.speeds,
                "ratio_median": {mode: float(np.median(row.ratios(mode))) for mode in MODES},
                "ratio_min_max": {
                    mode: [*map(float, (row.ratios(mode).min(), row.ratios(mode).max()))] for mode in MODES
                },
            }
            for row in rows
        ]
    )


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    found = parser("throughput", __doc__ or "", n=9)
    found.add_argument(
        "--seconds", type=float, default=2000.0, help="channel-seconds a run; --n counts the rounds"
    )
    found.add_argument("--streams", type=int, nargs="+", default=STREAMS)
    found.add_argument("--json", action="store_true", help="print every round's figures, keep no file")
    return found.parse_args()


def main() -> int:
    """Measure, print and keep the table."""
    given, library = arguments(), spandsp.load()
    if library is None:
        print("this bench measures libspandsp2 beside ours: apt-get install libspandsp2", file=sys.stderr)
        return 1
    fed = materials()
    heard = both_hear(fed["keys half of the time"], library)
    rows = []
    with progress() as bar:
        task = bar.add_task("throughput", total=len(fed) * len(given.streams))
        for name, audio in fed.items():
            for streams in given.streams:
                rows.append(measure(name, audio, streams, given.seconds, given.n, library))
                bar.advance(task)
    if given.json:
        print(as_json(rows))
        return 0
    lines = ["# CPU: hearing, suspecting and masking, against spandsp's hearing alone", ""]
    lines += [
        "Channel-seconds per CPU-second of one thread, 160-sample packets; median (least to most) of the rounds.",
        "",
    ]
    rounds = f"{given.n} rounds in random order, {given.seconds:g} channel-seconds each; seed {SEED}."
    lines += [f"{rounds} Goal: {GOAL_RATIO:g} x spandsp's median."]
    lines += [f"Keys heard in 10 s of keys: ours {heard[0]}, spandsp {heard[1]}.", "", *table(rows)]
    keep(
        "throughput",
        lines,
        f"python -m bench.throughput --seconds {given.seconds:g} --n {given.n}",
        given.out,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
