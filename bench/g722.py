"""Claim: our G.722 costs no more than libspandsp's. Prints microseconds a frame of 20 ms for both, in one process.

Usage: python -m bench.g722 [--n 7] [--seconds 10] ; n = rounds. Both code the same seconds of the test phone's speech
at 16 kHz in one call, so that neither pays for calls from Python; turns alternate, the best of each is kept. Below:
what a packet costs besides where the other leg speaks G.711. Octets are compared: a faster coder of another result
would be no peer.
"""

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from bench.result import keep, parser
from dtmf_shield.media.codecs.g722 import G722_STATE_DTYPE, decode_g722, encode_g722
from dtmf_shield.media.codecs.resampling import DOUBLING_STATE_DTYPE, HALVING_STATE_DTYPE, double, halve
from dtmf_shield.phone.voices import Voice, voice
from tests.vectors.spandsp_g722 import SpandspG722

FRAME_SAMPLES = 320


def speech(seconds: int) -> NDArray[np.int16]:
    """Return the caller's voice at 16 kHz."""
    narrow = np.resize(voice(Voice.CALLER), 8000 * seconds).astype(np.float64)
    wide = np.clip(np.rint(signal.resample_poly(narrow, 2, 1)), -32_768, 32_767)
    return np.asarray(wide, np.int16)


def best_us(works: dict[str, Callable[[], object]], n_frames: int, rounds: int) -> dict[str, float]:
    """Return microseconds a frame of each work: the best of `rounds`, by turns."""
    best = dict.fromkeys(works, np.inf)
    for _ in range(rounds):
        for name, work in works.items():
            began_s = time.perf_counter()
            work()
            best[name] = min(best[name], 1e6 * (time.perf_counter() - began_s) / n_frames)
    return best


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    found = parser("g722", __doc__ or "", n=7)
    found.add_argument("--seconds", type=int, default=10)
    return found.parse_args()


def table(us: dict[str, float]) -> list[str]:
    """Return the markdown table of `best_us`."""
    lines = ["| a frame of 20 ms | ours, us | spandsp, us | spandsp / ours |", f"|{'---|' * 4}"]
    for name in ("encode", "decode"):
        theirs = us[f"{name}, spandsp"]
        lines.append(f"| {name} | {us[name]:.1f} | {theirs:.1f} | {theirs / us[name]:.2f} |")
    return [*lines, *(f"| {name} | {us[name]:.1f} | | |" for name in ("16 to 8 kHz", "8 to 16 kHz"))]


def main() -> int:
    """Measure and keep."""
    given = arguments()
    pcm = speech(given.seconds)
    codes, heard = np.zeros(len(pcm) // 2, np.uint8), np.zeros(len(pcm), np.int16)
    narrow = np.zeros(len(pcm) // 2, np.int16)
    encoder, decoder = np.zeros(1, G722_STATE_DTYPE), np.zeros(1, G722_STATE_DTYPE)
    halving, doubling = np.zeros(1, HALVING_STATE_DTYPE), np.zeros(1, DOUBLING_STATE_DTYPE)
    peer = SpandspG722()
    encode_g722(encoder, 0, pcm, codes)
    if not np.array_equal(codes, peer.encode(pcm)):
        raise RuntimeError("the two coders do not agree")
    us = best_us(
        {
            "encode": lambda: encode_g722(encoder, 0, pcm, codes),
            "encode, spandsp": lambda: peer.encode(pcm),
            "decode": lambda: decode_g722(decoder, 0, codes, heard),
            "decode, spandsp": lambda: peer.decode(codes),
            "16 to 8 kHz": lambda: halve(halving, 0, pcm, narrow),
            "8 to 16 kHz": lambda: double(doubling, 0, narrow, heard),
        },
        len(pcm) // FRAME_SAMPLES,
        given.n,
    )
    command = f"python -m bench.g722 --n {given.n} --seconds {given.seconds}"
    keep("g722", ["# G.722 beside libspandsp's", "", *table(us)], command, given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
