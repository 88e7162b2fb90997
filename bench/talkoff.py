"""Claim: talk makes no keys and is left alone. Prints false keys an hour (ours, spandsp) and what is muted of speech.

Usage: python -m bench.talkoff [--n 14] ; n = altered copies of every file besides the original (14: seven speeds,
each backwards too, at -16 dBm0, through A-law). They are not independent speech. Behind the mask: keys that the
detector hears in what either mode lets out, which would be false alarms of the sentinel. Audio:
bench/public_audio.py, about 3 h; with --synthetic espeak-ng's, where no package can be fetched.
"""

import argparse
import multiprocessing
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from bench.bounds import rate_bounds
from bench.peers import spandsp
from bench.processes import workers
from bench.public_audio import SIGNALS, Recording, recordings
from bench.result import keep, parser, progress
from bench.spoken import synthetic_speech
from dtmf_shield.media.masker import HOLD_BACK_SAMPLES, MODE_CAPTURE, MODE_GUARD
from tests.vectors.dtmf_scoring import run
from tests.vectors.dtmf_signal import P0, through_alaw, whole_packets

PACKET_SAMPLES = 160
ACTIVE_PEAK_MIN = 200  # a 20 ms packet counts as active speech where a sample exceeds it (-41 dBm0)
VARIANT_LEVEL_DBM0 = -16.0
# (speed as up, down of the resampler; backwards)
VARIANTS = [((1, 1), False), ((1, 1), True)] + [
    (speed, backwards)
    for speed in ((4, 3), (5, 4), (8, 7), (8, 9), (4, 5), (3, 4))
    for backwards in (False, True)
]
_ALAW = through_alaw(np.arange(-32768, 32768).astype(np.int16))
BATCH_SAMPLES = 2_400_000  # five minutes
TAIL_SAMPLES = 4_000  # half a second of silence after each, not counted as audio: a key may register late
MODES = {"guard": MODE_GUARD, "capture": MODE_CAPTURE}
MUTE_PERCENT_MAX = {"guard": 0.1, "capture": 1.0}


@dataclass(slots=True)
class Tally:
    """What was counted over the recordings of one kind."""

    samples: int = 0
    ours: list[str] = field(default_factory=list)
    theirs: list[str] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)
    """Keys heard in what either mode lets out, A-law, by the detector of the sentinel: false alarms all."""
    active: int = 0
    muted: Counter[str] = field(default_factory=Counter)
    bursts: Counter[str] = field(default_factory=Counter)


def tally_mute(tally: Tally, pcm: NDArray[np.int16]) -> None:
    """Add to `tally` what either mode replaced of active speech."""
    active = np.repeat(
        np.abs(pcm.astype(np.int32)).reshape(-1, PACKET_SAMPLES).max(axis=1) > ACTIVE_PEAK_MIN, 160
    )
    tally.active += int(active.sum())
    for name, mode in MODES.items():
        masked = np.append(run(pcm, mode).replaced[HOLD_BACK_SAMPLES:], np.zeros(HOLD_BACK_SAMPLES, np.uint8))
        tally.muted[name] += int((masked.astype(bool) & active).sum())
        tally.bursts[name] += int(np.count_nonzero(np.diff(masked.astype(np.int8)) > 0))


def altered(pcm: NDArray[np.int16], speed: tuple[int, int], backwards: bool) -> NDArray[np.int16]:
    """Return `pcm` at another speed, perhaps backwards, its active part at VARIANT_LEVEL_DBM0, through A-law."""
    x = pcm.astype(np.float32)
    if speed != (1, 1):
        x = resample_poly(x, speed[0], speed[1]).astype(np.float32)
    loud = x[np.abs(x) > ACTIVE_PEAK_MIN]
    if len(loud):
        x *= (
            P0 / np.sqrt(2) * 10 ** (VARIANT_LEVEL_DBM0 / 20) / np.sqrt(np.mean(loud.astype(np.float64) ** 2))
        )
    limited = np.clip(np.round(x), -32768, 32767).astype(np.int32)
    return _ALAW[(limited[::-1] if backwards else limited) + 32768]


def copies(pcm: NDArray[np.int16], variants: int) -> Iterator[tuple[str, NDArray[np.int16]]]:
    """Yield the original and its first `variants` altered copies, named, in whole packets plus half a second."""
    tail = np.zeros(TAIL_SAMPLES, np.int16)
    yield "original", whole_packets(np.concatenate([pcm, tail]), PACKET_SAMPLES)
    for speed, backwards in VARIANTS[:variants]:
        name = f"speed {speed[1] / speed[0]:.3g}{' backwards' if backwards else ''}"
        copy = np.concatenate([altered(pcm, speed, backwards), tail])
        yield name, whole_packets(copy, PACKET_SAMPLES)


Tallies = dict[tuple[str, bool], Tally]
"""By kind of material, and whether it is the originals."""


def measure_batch(job: tuple[list[Recording], int]) -> Tallies:
    """Return the tallies of some recordings and so many altered copies of each."""
    material, variants = job
    peer = spandsp.load()
    found: Tallies = defaultdict(Tally)
    for recording in material:
        for name, pcm in copies(recording.pcm, variants):
            is_original = name == "original"
            tally = found[recording.kind, is_original]
            tally.samples += len(pcm) - TAIL_SAMPLES
            where = f"{recording.name} ({name})"
            tally.ours += [f"{heard.key} in {where}" for heard in run(pcm, MODE_CAPTURE).heard]
            if peer:
                tally.theirs += [f"{key} in {where}" for key, _ in peer.events(pcm, len(pcm))]
            for mode in MODES.values():
                out = _ALAW[run(pcm, mode).out.astype(np.int32) + 32768]
                tally.behind += [f"{heard.key} in {where}" for heard in run(out, MODE_CAPTURE).heard]
            if is_original:
                tally_mute(tally, pcm)
    return dict(found)


def batches(material: list[Recording]) -> list[list[Recording]]:
    """Return the recordings in pieces of about BATCH_SAMPLES."""
    found: list[list[Recording]] = [[]]
    for recording in material:
        if sum(len(other.pcm) for other in found[-1]) > BATCH_SAMPLES:
            found.append([])
        found[-1].append(recording)
    return found


def measure(
    material: list[Recording], variants: int, processes: int
) -> tuple[dict[str, Tally], dict[str, Tally]]:
    """Return the tallies by kind of the originals, and of the altered copies."""
    parts: dict[tuple[str, bool], list[Tally]] = defaultdict(list)
    jobs = [(batch, variants) for batch in batches(material)]
    with progress() as bar, workers(processes) as mapped:
        task = bar.add_task("talk-off", total=len(jobs))
        for found in mapped(measure_batch, jobs):
            for key, tally in found.items():
                parts[key].append(tally)
            bar.advance(task)
    originals, changed = (
        {kind: joined(tallies) for (kind, is_original), tallies in parts.items() if is_original is wanted}
        for wanted in (True, False)
    )
    return originals, changed


def joined(tallies: list[Tally]) -> Tally:
    """Return the sum."""
    total = Tally()
    for tally in tallies:
        total.samples += tally.samples
        total.ours += tally.ours
        total.theirs += tally.theirs
        total.behind += tally.behind
        total.active += tally.active
        total.muted += tally.muted
        total.bursts += tally.bursts
    return total


def key_row(name: str, tally: Tally, peer: bool) -> str:
    """Return a row of the table of false keys."""
    hours = tally.samples / 8000 / 3600
    cells = [f"{name} | {hours:.2f}"]
    for keys in (tally.ours, tally.theirs) if peer else (tally.ours,):
        low, high = rate_bounds(len(keys), hours)
        cells.append(f"{len(keys)} | {len(keys) / hours:.2f} ({low:.2f} to {high:.2f})")
    cells.append(str(len(tally.behind)))
    return f"| {' | '.join(cells)} |"


def mute_row(name: str, tally: Tally) -> str:
    """Return a row of the table of muted speech."""
    cells = [f"{tally.active / 8000 / 60:.1f}"]
    for mode in MODES:
        share = 100 * tally.muted[mode] / max(tally.active, 1)
        cells.append(f"{share:.3f} | {tally.bursts[mode] / max(tally.active / 480_000, 1e-9):.1f}")
    return f"| {name} | {' | '.join(cells)} |"


def is_speech(kind: str) -> bool:
    """Tell whether recordings of `kind` are speech."""
    return kind not in (SIGNALS, "music")


def key_lines(title: str, tallies: dict[str, Tally], peer: bool) -> list[str]:
    """Return the table of false keys, speech in sum, and where each was."""
    columns = ["material", "hours", "ours", "ours an hour (95 %)"]
    columns += ["spandsp", "spandsp an hour (95 %)"] if peer else []
    columns += ["ours, behind the mask"]
    lines = ["", f"## {title}", "", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [key_row(kind, tally, peer) for kind, tally in tallies.items()]
    lines.append(
        key_row("**all speech**", joined([t for kind, t in tallies.items() if is_speech(kind)]), peer)
    )
    places = [
        f"- {who}: {times} x {place}"
        for tally in tallies.values()
        for who, keys in (("ours", tally.ours), ("spandsp", tally.theirs), ("behind the mask", tally.behind))
        for place, times in Counter(keys).items()
    ]
    return [*lines, *([""] if places else []), *places]


def mute_lines(tallies: dict[str, Tally]) -> list[str]:
    """Return the table of muted speech."""
    return [
        "",
        "## Replaced share of active speech (originals, their own level)",
        "",
        f"Active: 20 ms packets with a sample over {ACTIVE_PEAK_MIN}. Goals: guard 0.1 %, capture 1 %.",
        "",
        "| material | active min | guard % | bursts a min | capture % | bursts a min |",
        f"|{'---|' * 6}",
        *(mute_row(kind, tally) for kind, tally in tallies.items()),
        mute_row("**all speech**", joined([t for kind, t in tallies.items() if is_speech(kind)])),
    ]


def verdict(originals: dict[str, Tally], changed: dict[str, Tally], peer: bool) -> str:
    """Return whether the goals on speech are met."""
    speech = [[t for kind, t in tallies.items() if is_speech(kind)] for tallies in (originals, changed)]
    every, own = joined([*speech[0], *speech[1]]), joined(speech[0])
    hours = every.samples / 8000 / 3600
    goals = {
        f"at most one false key in 10 h ({len(every.ours)} in {hours:.1f} h, copies included)": len(
            every.ours
        )
        <= hours / 10
    }
    if peer:
        goals[f"no more than spandsp ({len(every.theirs)})"] = len(every.ours) <= len(every.theirs)
    goals[f"no key heard behind the mask, in either mode ({len(every.behind)})"] = not every.behind
    for mode, limit in MUTE_PERCENT_MAX.items():
        share = 100 * own.muted[mode] / max(own.active, 1)
        goals[f"{mode}: at most {limit:g} % of active speech replaced ({share:.3f} %)"] = share <= limit
    return (
        "On speech: "
        + "; ".join(f"{goal}: {'met' if met else 'missed'}" for goal, met in goals.items())
        + "."
    )


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    found = parser("talkoff", __doc__ or "", n=len(VARIANTS))
    found.add_argument(
        "--synthetic", action="store_true", help="espeak-ng's speech in place of the packages'"
    )
    found.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    return found.parse_args()


def main() -> int:
    """Measure and keep the tables."""
    given, started_s = arguments(), time.perf_counter()
    if given.synthetic:
        material = [Recording("espeak-ng", "bench text", synthetic_speech().astype(np.int16))]
    else:
        material = recordings()
    has_peer = spandsp.load() is not None
    lines = ["# False keys and muted speech on public audio", ""]
    lines.append(
        f"{len(material)} different recordings of the Debian packages named in bench/public_audio.py."
    )
    if not has_peer:
        lines += ["", "libspandsp2 is not installed (apt-get install libspandsp2): no peer column"]
    originals, changed = measure(material, given.n, given.processes)
    lines += [
        "",
        verdict(originals, changed, has_peer),
        *key_lines("False keys, originals", originals, has_peer),
    ]
    if changed:
        title = f"False keys, {given.n} altered copies each, {VARIANT_LEVEL_DBM0:.0f} dBm0, A-law"
        lines += key_lines(f"{title} (not independent speech)", changed, has_peer)
    lines += [*mute_lines(originals), "", f"{time.perf_counter() - started_s:.0f} s"]
    keep("talkoff", lines, f"python -m bench.talkoff --n {given.n}", given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
