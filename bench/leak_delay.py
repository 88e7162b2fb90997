"""Claim: nothing of a key passes, at 5 ms of delay. Prints what of each key leaves, and the delay paid, ours and
rtpengine's (a real process: relay, block DTMF, and block DTMF with four sizes of its delay buffer).

Usage: python -m bench.leak_delay [n] ; n = keys a setting (default 320). It takes as long as n keys last (0.3 s each).
Calls are fresh every 32 keys; a round whose sender was over 10 ms late is void, whatever it showed, and is counted.
The same A-law audio runs through all: keys of 100 ms at -10 dBm0, gaps of 200 to 220 ms, noise 30 dB under the keys.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from bench.bounds import share_bounds
from bench.peers import rtpengine
from dtmf_shield.media.codecs.g711 import decode_alaw, encode_alaw
from dtmf_shield.media.masker import HOLD_BACK_SAMPLES, MODE_CAPTURE, MODE_GUARD
from tests.vectors.dtmf_scoring import leaked_samples, listen
from tests.vectors.dtmf_signal import Recipe, key_stream

mpl.use("Agg")
from matplotlib import pyplot as plt

RECIPE = {"level_dbm0": -10.0, "on_ms": 100.0, "gap_ms": 200.0, "gap_spread_ms": 20.0, "snr_db": 30.0}
SEED = 901
KEYS_A_ROUND = 32
LATE_MS_MAX = 10.0
PICTURE = Path(__file__).parent / "results" / "leak_delay.png"


@dataclass(slots=True)
class Sum:
    """One setting over all rounds that count."""

    name: str
    leaked_ms: list[float] = field(default_factory=list)
    delays_ms: list[float] = field(default_factory=list)
    packets: int = 0
    sent: int = 0


def ours(pcm: NDArray[np.int16], keys: list[tuple[int, int]], mode: int, name: str) -> rtpengine.Passed:
    """Return what the masker lets pass of the same audio; its delay is the hold-back, of audio, not of a network."""
    out = listen(pcm, mode)[1]
    leaked_ms = [leaked_samples(pcm, out, onset, end) / 8 for onset, end in keys]
    packets = len(pcm) // rtpengine.PACKET_SAMPLES
    return rtpengine.Passed(name, leaked_ms, HOLD_BACK_SAMPLES / 8, packets, packets)


def one_round(seed: int) -> tuple[list[rtpengine.Passed], float]:
    """Return what passes of KEYS_A_ROUND keys, ours and rtpengine's, and how late the sender was, ms."""
    stream = key_stream(Recipe(repetitions=KEYS_A_ROUND // 16, **RECIPE), seed)
    # All hear the same samples: what A-law makes of them.
    codes, pcm = np.zeros(len(stream.pcm), np.uint8), np.zeros(len(stream.pcm), np.int16)
    encode_alaw(stream.pcm, codes)
    decode_alaw(codes, pcm)
    keys = list(zip(stream.onsets, stream.ends, strict=True))
    masked = [ours(pcm, keys, MODE_CAPTURE, "ours, capture"), ours(pcm, keys, MODE_GUARD, "ours, guard")]
    theirs, late_ms = rtpengine.measure(codes, keys)
    return [*masked, *theirs], late_ms


def collect(rounds: int) -> tuple[list[Sum], list[int], int]:
    """Return the sums over up to `rounds` rounds that count, their seeds, and how many were void."""
    sums: dict[str, Sum] = {}
    seeds, void = [], 0
    for seed in range(SEED, SEED + 2 * rounds):
        passed_list, late_ms = one_round(seed)
        print(f"seed {seed}: sender late by {late_ms:.1f} ms at most", file=sys.stderr, flush=True)
        if late_ms > LATE_MS_MAX:
            void += 1
            continue
        seeds.append(seed)
        for passed in passed_list:
            total = sums.setdefault(passed.name, Sum(passed.name))
            total.leaked_ms += passed.leaked_ms
            total.delays_ms.append(passed.delay_ms)
            total.packets += passed.packets
            total.sent += passed.sent
        if len(seeds) == rounds:
            break
    return list(sums.values()), seeds, void


def row(passed: Sum) -> str:
    """Return one row of the table."""
    leaked_ms = np.array(passed.leaked_ms)
    n, hits = len(leaked_ms), int(np.count_nonzero(leaked_ms))
    low, high = share_bounds(hits, n)
    median, most = float(np.median(leaked_ms)), float(leaked_ms.max())
    return (
        f"| {passed.name} | {n} | {hits} ({100 * low:.1f} to {100 * high:.1f} %) | {median:.1f} | {most:.1f} "
        f"| {min(passed.delays_ms):.1f} to {max(passed.delays_ms):.1f} | {passed.packets} of {passed.sent} |"
    )


def draw(results: list[Sum]) -> None:
    """Keep the chart: leaked ms of a key (median to most) against the delay of the quickest round."""
    figure, axes = plt.subplots(figsize=(7, 4.2), dpi=110)
    for passed in results:
        is_ours = passed.name.startswith("ours")
        median, most = float(np.median(passed.leaked_ms)), float(np.max(passed.leaked_ms))
        delay_ms = min(passed.delays_ms)
        colour = "tab:green" if is_ours else "tab:red"
        axes.vlines(delay_ms, median, most, color=colour, linewidth=2)
        axes.plot(delay_ms, most, "o", color=colour)
        axes.plot(delay_ms, median, "_", color=colour, markersize=12)
        label = passed.name.replace("block DTMF, delay-buffer", "buffer")
        is_guard = passed.name == "ours, guard"
        axes.annotate(
            label, (delay_ms, most), xytext=(4, 18 if is_guard else 6), textcoords="offset points",
            fontsize=8, color=colour,
        )  # fmt: skip
    axes.set(
        xlabel="added delay, ms (quickest round)",
        ylabel="left of a 100 ms key, ms (median – most)",
        xlim=(-3, 125),
        ylim=(-4, 115),
    )
    axes.set_title(
        "What leaves of a key against the delay paid: ours, rtpengine relay and block DTMF", fontsize=10
    )
    axes.grid(alpha=0.3)
    figure.tight_layout()
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE)


def main() -> None:
    """Print the table and keep the chart."""
    if not rtpengine.is_installed():
        raise SystemExit("this bench measures rtpengine beside ours: apt-get install rtpengine-daemon")
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 320
    rounds = max(1, n // KEYS_A_ROUND)
    results, seeds, void = collect(rounds)
    if not results:
        raise SystemExit(f"all {void} rounds are void: this machine is too busy to send a packet every 20 ms")
    print("# What leaves of a key, and the delay paid\n")
    print(
        f"Keys of 100 ms; seeds {', '.join(map(str, seeds))}; {void} rounds void (sender over {LATE_MS_MAX:g} ms late)."
    )
    print("Delay: median of the audio, of the quickest to the slowest round; ours is the hold-back alone.\n")
    print("| setting | n | keys that leak any (95 %) | median ms | most ms | delay ms | packets got |")
    print("|---|---|---|---|---|---|---|")
    for passed in results:
        print(row(passed))
    draw(results)
    print(f"\n![leak against delay]({PICTURE.name})")


if __name__ == "__main__":
    main()
