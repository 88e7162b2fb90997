"""What detector and masker did with a synthetic stream: hits, extras, leaked samples. Shared by tests and benches."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.masker import HOLD_BACK_SAMPLES, MODE_CAPTURE, SHIELD_STATE_DTYPE
from tests.vectors.dtmf_signal import Stream, whole_packets
from tests.vectors.masked_leg import HEARD_DTYPE, run_leg

LATEST_AFTER_END_SAMPLES = 70 * 8  # a key counts as hit until 70 ms after its end
LEAK_RUN_MIN = 3  # noise may equal a sample by chance; three in a row do not


@dataclass(frozen=True, slots=True)
class Heard:
    """A key as registered: stream samples at the end of its packet, and its back-dated onset."""

    key: str
    registered: int
    onset: int


@dataclass(frozen=True, slots=True)
class Listened:
    """What one leg made of a signal of n samples: keys, masked audio, and 1 where it was replaced, both (n,)."""

    heard: list[Heard]
    out: NDArray[np.int16]
    replaced: NDArray[np.uint8]


def run(
    pcm: NDArray[np.int16],
    mode: int = MODE_CAPTURE,
    packet_samples: int = 160,
    lost: NDArray[np.bool_] | None = None,
    sample_rate_hz: int = 8000,
    mutes: NDArray[np.int64] | None = None,
) -> Listened:
    """Run one fresh leg over `pcm`, int16 at 8 or 16 kHz; what it puts out is 5 ms late. Times of keys: at 8 kHz.

    mutes: int64 (n_packets,), for how many samples at 8 kHz the decoder asks for silence from each packet on.
    """
    factor = sample_rate_hz // 8000
    padded = whole_packets(pcm, packet_samples)
    out, replaced = np.zeros_like(padded), np.zeros(len(padded), np.uint8)
    heard = np.zeros(len(padded) // packet_samples + 16, HEARD_DTYPE)
    losses = np.zeros(len(padded) // packet_samples, np.bool_) if lost is None else lost
    state = np.zeros(1, SHIELD_STATE_DTYPE)
    if mutes is None:
        mutes = np.zeros(len(losses), np.int64)
    n = run_leg(state, padded, losses, mutes, packet_samples, factor == 2, mode, out, replaced, heard)
    keys = [Heard(chr(h["key"]), int(h["registered"]) // factor, int(h["onset"])) for h in heard[:n]]
    return Listened(keys, out[: len(pcm)], replaced[: len(pcm)])


def listen(
    pcm: NDArray[np.int16],
    mode: int = MODE_CAPTURE,
    packet_samples: int = 160,
    lost: NDArray[np.bool_] | None = None,
    sample_rate_hz: int = 8000,
) -> tuple[list[Heard], NDArray[np.int16]]:
    """Return the keys and the masked audio of `run`."""
    listened = run(pcm, mode, packet_samples, lost, sample_rate_hz)
    return listened.heard, listened.out


def hits_and_extras(stream: Stream, events: list[tuple[str, int]]) -> tuple[int, int]:
    """Count keys heard once at the right time, and everything else. `events` are (key, sample index)."""
    hits, used = 0, set()
    for key, onset, end in zip(stream.keys, stream.onsets, stream.ends, strict=True):
        for i, (heard, at) in enumerate(events):
            if i not in used and heard == key and onset <= at <= end + LATEST_AFTER_END_SAMPLES:
                used.add(i)
                hits += 1
                break
    return hits, len(events) - len(used)


def passed_samples(
    pcm: NDArray[np.int16], out: NDArray[np.int16], delay_samples: int = HOLD_BACK_SAMPLES
) -> NDArray[np.bool_]:
    """Tell of each sample of `pcm` whether it left unreplaced in `out`, in a run of at least LEAK_RUN_MIN."""
    n = min(len(pcm), len(out) - delay_samples)
    same = np.zeros(len(pcm), np.bool_)
    same[:n] = out[delay_samples : delay_samples + n] == pcm[:n]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        if end - begin < LEAK_RUN_MIN:
            same[begin:end] = False
    return same


def leaked_samples(
    pcm: NDArray[np.int16], out: NDArray[np.int16], onset: int, end: int, held: int = HOLD_BACK_SAMPLES
) -> int:
    """Count samples of [onset, end) that left unreplaced, in runs of at least LEAK_RUN_MIN; `held`: 5 ms of samples."""
    span = slice(onset, min(end, len(out) - held))
    return int(passed_samples(pcm[span], out[onset:], held).sum())
