"""A model of Asterisk's in-band DTMF detector, rebuilt from its published constants; it is not Asterisk itself.

Blocks of 102 samples; a block hits where the strongest row and column are over the level, within the twist, 8 dB over
the rest of their group and hold 42/51 of the block's energy. 2 equal blocks begin a key, 3 others end it. Its squelch
zeroes, without any delay, a block either side of a block that hits, as far as that lies in the frame at hand.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tests.vectors.dtmf_signal import COLUMNS_HZ, KEYS, ROWS_HZ, SAMPLE_RATE_HZ

BLOCK_SAMPLES: Final = 102
HITS_TO_BEGIN: Final = 2
MISSES_TO_END: Final = 3
THRESHOLD: Final = 8.0e7  # squared Goertzel output: -42 dBm0
ROW_OVER_COLUMN_MAX: Final = 6.31  # 8 dB ("normal twist")
COLUMN_OVER_ROW_MAX: Final = 2.51  # 4 dB ("reverse twist")
PEAK_MIN: Final = 6.3  # 8 dB over every other tone of the group
TO_TOTAL_ENERGY_MIN: Final = 42.0


def _block_hits(pcm: NDArray[np.int16]) -> list[str]:
    """Return the key each block looks like, or an empty string."""
    blocks = pcm[: len(pcm) // BLOCK_SAMPLES * BLOCK_SAMPLES].reshape(-1, BLOCK_SAMPLES).astype(np.float64)
    angles = 2j * np.pi * np.arange(BLOCK_SAMPLES)[:, None] / SAMPLE_RATE_HZ
    power = np.abs(blocks @ np.exp(-angles * np.array(ROWS_HZ + COLUMNS_HZ))) ** 2
    total = (blocks**2).sum(axis=1)
    groups = power[:, :4], power[:, 4:]
    best = [group.argmax(axis=1) for group in groups]
    top, second = zip(
        *[(s[:, -1], s[:, -2]) for s in (np.sort(group, axis=1) for group in groups)], strict=True
    )
    row, column = top
    valid = (
        (row >= THRESHOLD)
        & (column >= THRESHOLD)
        & (column < row * COLUMN_OVER_ROW_MAX)
        & (row < column * ROW_OVER_COLUMN_MAX)
        & (second[0] * PEAK_MIN <= row)
        & (second[1] * PEAK_MIN <= column)
        & (row + column > TO_TOTAL_ENERGY_MIN * total)
    )
    return [KEYS[4 * r + c] if ok else "" for r, c, ok in zip(*best, valid, strict=True)]


def events(pcm: NDArray[np.int16]) -> list[tuple[str, int]]:
    """Return (key, sample at the end of the deciding block)."""
    found: list[tuple[str, int]] = []
    current, last, hits, misses = "", "", 0, 0
    for number, hit in enumerate(_block_hits(pcm), start=1):
        if current:
            misses = 0 if hit == current else misses + 1
            if misses == MISSES_TO_END:
                current = ""
        hits = hits + 1 if hit == last else 1
        last = hit
        if hit and hit != current and hits == HITS_TO_BEGIN:
            current, misses = hit, 0
            found.append((hit, number * BLOCK_SAMPLES))
    return found


def squelched(pcm: NDArray[np.int16], frame_samples: int = 160) -> NDArray[np.int16]:
    """Return what a channel with the detector on passes on: nothing is late, so what went before is not taken back.

    Within a frame a hit mutes from one block before its part of the frame (or the frame's start) to one block after
    it; the rest of that mute goes on in the next frame.
    """
    out = pcm.copy()
    hits = _block_hits(pcm)
    muted_until = 0
    for start in range(0, len(pcm), frame_samples):
        end = min(start + frame_samples, len(pcm))
        out[start : min(muted_until, end)] = 0
        open_at, open_until = start, min(muted_until, end)
        # Blocks that end in this frame, as a block is judged with its last sample.
        for block in range(start // BLOCK_SAMPLES, end // BLOCK_SAMPLES):
            last = (block + 1) * BLOCK_SAMPLES
            if block >= len(hits) or not hits[block] or last <= start:
                continue
            part = max(block * BLOCK_SAMPLES, start)
            if open_until < part - BLOCK_SAMPLES:
                open_at = max(part - BLOCK_SAMPLES, start)
            open_until = last + BLOCK_SAMPLES
            out[open_at : min(open_until, end)] = 0
            muted_until = max(muted_until, open_until)
    return out
