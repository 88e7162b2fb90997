"""Claim: talk makes no keys and is left alone. Prints false keys an hour (ours, spandsp) and what is muted of speech.

Usage: python -m bench.talkoff [variants] ; variants = altered copies of every file besides the original (default 13:
six speeds and backwards, at -16 dBm0, through A-law). They are not independent speech. Audio: bench/public_audio.py.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from bench.bounds import rate_bounds
from bench.peers import spandsp
from bench.public_audio import SIGNALS, Recording, recordings
from dtmf_shield.media.masker import (
    HOLD_BACK_SAMPLES,
    MODE_CAPTURE,
    MODE_GUARD,
    SHIELD_STATE_DTYPE,
    shield_packet,
)
from tests.vectors.dtmf_signal import P0, through_alaw, whole_packets

PACKET_SAMPLES = 160
ACTIVE_PEAK_MIN = 200  # a 20 ms packet counts as active speech where a sample exceeds it (-41 dBm0)
VARIANT_LEVEL_DBM0 = -16.0
# (speed as up, down of the resampler; backwards): all but the original.
VARIANTS = [((1, 1), True)] + [
    (speed, backwards)
    for speed in ((4, 3), (5, 4), (8, 7), (8, 9), (4, 5), (3, 4))
    for backwards in (False, True)
]
_ALAW = through_alaw(np.arange(-32768, 32768).astype(np.int16))
KEYS_MAX = 1_000
TAIL_SAMPLES = 4_000  # half a second of silence after each, not counted as audio: a key may register late
MODES = {"guard": MODE_GUARD, "capture": MODE_CAPTURE}


@dataclass(slots=True)
class Tally:
    """What was counted over the recordings of one kind."""

    samples: int = 0
    ours: list[str] = field(default_factory=list)
    theirs: list[str] = field(default_factory=list)
    active: int = 0
    muted: Counter[str] = field(default_factory=Counter)
    bursts: Counter[str] = field(default_factory=Counter)


@numba.njit(nogil=True)  # type: ignore[untyped-decorator]
def _leg(state, pcm, out, mode, keys, masked, heard):
    """Run one leg; masked[i] = 1 where out[i] was replaced; heard = the keys; return how many."""
    n_heard = 0
    for start in range(0, len(pcm), 160):
        n = shield_packet(state, 0, pcm[start : start + 160], out, mode, keys)
        for i in range(n):
            heard[n_heard % len(heard)] = keys[i]
            n_heard += 1
        leg = state[0]
        for s in range(leg.segments):
            masked[start + leg.segment_begins[s] : start + leg.segment_ends[s]] = 1
    return n_heard


def run_leg(pcm: NDArray[np.int16], mode: int) -> tuple[list[str], NDArray[np.uint8]]:
    """Return the keys registered in `pcm` (whole packets) and a 0/1 array, 1 where a sample was replaced."""
    state, keys = np.zeros(1, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8)
    masked, heard = np.zeros(len(pcm) + PACKET_SAMPLES, np.uint8), np.zeros(KEYS_MAX, np.uint8)
    n = _leg(state, pcm, np.zeros(PACKET_SAMPLES, np.int16), mode, keys, masked, heard)
    return [chr(key) for key in heard[: min(n, KEYS_MAX)]], masked[HOLD_BACK_SAMPLES:][: len(pcm)]


def tally_mute(tally: Tally, pcm: NDArray[np.int16]) -> None:
    """Add to `tally` what either mode replaced of active speech."""
    active = np.repeat(
        np.abs(pcm.astype(np.int32)).reshape(-1, PACKET_SAMPLES).max(axis=1) > ACTIVE_PEAK_MIN, 160
    )
    tally.active += int(active.sum())
    for name, mode in MODES.items():
        masked = run_leg(pcm, mode)[1]
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


def measure(
    material: list[Recording], variants: int, peer: spandsp.Spandsp | None
) -> tuple[dict[str, Tally], dict[str, Tally]]:
    """Return the tallies by kind of the originals, and of the altered copies."""
    originals: dict[str, Tally] = defaultdict(Tally)
    changed: dict[str, Tally] = defaultdict(Tally)
    for recording in material:
        for name, pcm in copies(recording.pcm, variants):
            tally = (originals if name == "original" else changed)[recording.kind]
            tally.samples += len(pcm) - TAIL_SAMPLES
            where = f"{recording.name} ({name})"
            tally.ours += [f"{key} in {where}" for key in run_leg(pcm, MODE_CAPTURE)[0]]
            if peer:
                tally.theirs += [f"{key} in {where}" for key, _ in peer.events(pcm, len(pcm))]
            if name == "original":
                tally_mute(tally, pcm)
    return originals, changed


def joined(tallies: list[Tally]) -> Tally:
    """Return the sum."""
    total = Tally()
    for tally in tallies:
        total.samples += tally.samples
        total.ours += tally.ours
        total.theirs += tally.theirs
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


def print_keys(title: str, tallies: dict[str, Tally], peer: bool) -> None:
    """Print the table of false keys, speech in sum, and where each was."""
    print(f"\n## {title}\n")
    columns = ["material", "hours", "ours", "ours an hour (95 %)"]
    columns += ["spandsp", "spandsp an hour (95 %)"] if peer else []
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for kind, tally in tallies.items():
        print(key_row(kind, tally, peer))
    print(key_row("**all speech**", joined([t for kind, t in tallies.items() if is_speech(kind)]), peer))
    for kind, tally in tallies.items():
        for who, keys in (("ours", tally.ours), ("spandsp", tally.theirs)):
            for place, times in Counter(keys).items():
                print(
                    f"- {who}: {times} x {place}" if is_speech(kind) or times < 20 else f"- {who}: {place}, …"
                )


def print_mute(tallies: dict[str, Tally]) -> None:
    """Print the table of muted speech."""
    print("\n## Replaced share of active speech (originals, their own level)\n")
    print(f"Active: 20 ms packets with a sample over {ACTIVE_PEAK_MIN}. Goals: guard 0.1 %, capture 1 %.\n")
    print(
        "| material | active min | guard % | bursts a min | capture % | bursts a min |\n|---|---|---|---|---|---|"
    )
    for kind, tally in tallies.items():
        print(mute_row(kind, tally))
    print(mute_row("**all speech**", joined([t for kind, t in tallies.items() if is_speech(kind)])))


def main() -> None:
    """Print the tables."""
    variants = int(sys.argv[1]) if len(sys.argv) > 1 else len(VARIANTS)
    material, peer = recordings(), spandsp.load()
    print("# False keys and muted speech on public audio\n")
    print(f"{len(material)} different recordings of the Debian packages named in bench/public_audio.py.")
    if peer is None:
        print("libspandsp2 is not installed (apt-get install libspandsp2): no peer column")
    originals, changed = measure(material, variants, peer)
    print_keys("False keys, originals", originals, peer is not None)
    if changed:
        title = f"False keys, {variants} altered copies each, {VARIANT_LEVEL_DBM0:.0f} dBm0, A-law"
        print_keys(f"{title} (not independent speech)", changed, peer is not None)
    print_mute(originals)


if __name__ == "__main__":
    main()
