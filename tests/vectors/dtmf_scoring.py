"""What detector and masker did with a synthetic stream: hits, extras, leaked samples. Shared by tests and benches."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.masker import (
    HOLD_BACK_SAMPLES,
    MODE_CAPTURE,
    SHIELD_STATE_DTYPE,
    conceal_packet,
    conceal_wideband_packet,
    key_onset_samples,
    shield_packet,
    shield_wideband_packet,
)
from tests.vectors.dtmf_signal import Stream, whole_packets

LATEST_AFTER_END_SAMPLES = 70 * 8  # a key counts as hit until 70 ms after its end
LEAK_RUN_MIN = 3  # noise may equal a sample by chance; three in a row do not


@dataclass(frozen=True, slots=True)
class Heard:
    """A key as registered: stream samples at the end of its packet, and its back-dated onset."""

    key: str
    registered: int
    onset: int


def listen(
    pcm: NDArray[np.int16],
    mode: int = MODE_CAPTURE,
    packet_samples: int = 160,
    lost: NDArray[np.bool_] | None = None,
    sample_rate_hz: int = 8000,
) -> tuple[list[Heard], NDArray[np.int16]]:
    """Run one leg over `pcm`; return the keys (times at 8 kHz) and the masked audio (as long as pcm, 5 ms late)."""
    factor = sample_rate_hz // 8000
    shield, conceal = ((shield_packet, conceal_packet), (shield_wideband_packet, conceal_wideband_packet))[
        factor - 1
    ]
    padded = whole_packets(pcm, packet_samples)
    out = np.zeros_like(padded)
    state = np.zeros(1, SHIELD_STATE_DTYPE)
    keys = np.zeros(16, np.uint8)
    heard: list[Heard] = []
    for number, start in enumerate(range(0, len(padded), packet_samples)):
        end = start + packet_samples
        if lost is not None and lost[number]:
            conceal(state, 0, packet_samples, out[start:end], mode)
            continue
        n_keys = shield(state, 0, padded[start:end], out[start:end], mode, keys)
        heard += [Heard(chr(keys[i]), end // factor, key_onset_samples(state, 0, i)) for i in range(n_keys)]
    return heard, out[: len(pcm)]


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


def leaked_samples(
    pcm: NDArray[np.int16], out: NDArray[np.int16], onset: int, end: int, held: int = HOLD_BACK_SAMPLES
) -> int:
    """Count samples of [onset, end) that left unreplaced, in runs of at least LEAK_RUN_MIN; `held`: 5 ms of samples."""
    last = min(end, len(out) - held)
    same = out[onset + held : last + held] == pcm[onset:last]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    return int(runs[runs >= LEAK_RUN_MIN].sum())
