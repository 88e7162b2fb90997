"""The spectrum of a synthetic call as pictures show it: one window, one scale, for both sides. A live caller's would be
the card number.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.service.witness.independent import SAMPLE_RATE_HZ

WINDOW_SAMPLES: Final = 256
"""32 ms: a Hann window of it separates neighbouring rows of a keypad (73 Hz)."""
FFT_SAMPLES: Final = 1024
HZ_MIN: Final = 150.0
HZ_MAX: Final = 2000.0
DB_TOP: Final = 75.0
"""A key tone at -9 dBm0 in this scaling."""
DB_RANGE: Final = 64.0
_BLOCK_FRAMES: Final = 2_048
"""Frames worked on at a time: 17 MB, however long the call was."""


def bins_hz() -> NDArray[np.floating[Any]]:
    """Return the frequencies of the rows of ``levels_db``, in Hz, lowest first."""
    return _all_bins_hz()[_kept()]


def levels_db(pcm: NDArray[np.int16], step_samples: int) -> NDArray[np.float32]:
    """Return the levels of ``pcm`` (int16 at 8 kHz, shape (n,)) in dB, DB_TOP for a loud key.

    Shape (len(bins_hz()), n_frames); the middle of frame i is at sample i * step_samples + WINDOW_SAMPLES / 2. What is
    shorter than a window is followed by silence.
    """
    padded = np.pad(pcm, (0, max(WINDOW_SAMPLES - len(pcm), 0)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW_SAMPLES)[::step_samples]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES)
    kept = _kept()
    levels = np.empty((int(kept.sum()), len(frames)), np.float32)
    for at in range(0, len(frames), _BLOCK_FRAMES):
        block = frames[at : at + _BLOCK_FRAMES]
        centred = block - block.mean(axis=1, keepdims=True)
        power = np.abs(np.fft.rfft(centred * window, FFT_SAMPLES, axis=1)[:, kept]) ** 2 / window.sum() ** 2
        levels[:, at : at + _BLOCK_FRAMES] = 10 * np.log10(2 * power + 1e-3).T
    return levels


def _all_bins_hz() -> NDArray[np.floating[Any]]:
    return np.fft.rfftfreq(FFT_SAMPLES, 1 / SAMPLE_RATE_HZ)


def _kept() -> NDArray[np.bool_]:
    hertz = _all_bins_hz()
    return (hertz >= HZ_MIN) & (hertz <= HZ_MAX)
