"""Loudness of one channel after ITU-R BS.1770-5: K-weighting, blocks of 400 ms, absolute and relative gate.

A sound shorter than a block is one block by itself, ungated: single words have a loudness too. Multichannel weights and
true peak are not done.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import sosfilt

BLOCK_S: Final = 0.4
STEP_S: Final = 0.1
"""Blocks overlap by 75 %."""
OFFSET_LU: Final = -0.691
"""BS.1770 annex 1, equation 2."""
ABSOLUTE_GATE_LUFS: Final = -70.0
RELATIVE_GATE_LU: Final = -10.0
_SHELF_HZ, _SHELF_GAIN_DB, _SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
_SHELF_MIDDLE_EXPONENT: Final = 0.4996667741545416
_HIGH_PASS_HZ, _HIGH_PASS_Q = 38.13547087602444, 0.5003270373238773
# The analogue prototypes whose bilinear transform at 48 kHz gives tables 1 and 2 of BS.1770 annex 1.


def k_weighting(sample_rate_hz: int) -> NDArray[np.float64]:
    """Return the K-weighting filter for a sample rate as second-order sections, shape (2, 6)."""
    k = np.tan(np.pi * _SHELF_HZ / sample_rate_hz)
    high = 10 ** (_SHELF_GAIN_DB / 20)
    middle = high**_SHELF_MIDDLE_EXPONENT
    norm = 1 + k / _SHELF_Q + k * k
    shelf = [
        (high + middle * k / _SHELF_Q + k * k) / norm,
        2 * (k * k - high) / norm,
        (high - middle * k / _SHELF_Q + k * k) / norm,
        1.0,
        2 * (k * k - 1) / norm,
        (1 - k / _SHELF_Q + k * k) / norm,
    ]
    k = np.tan(np.pi * _HIGH_PASS_HZ / sample_rate_hz)
    norm = 1 + k / _HIGH_PASS_Q + k * k
    high_pass = [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / norm, (1 - k / _HIGH_PASS_Q + k * k) / norm]
    return np.array([shelf, high_pass])


def loudness_lufs(samples: NDArray[np.float64], sample_rate_hz: int) -> float:
    """Return the gated loudness of ``samples``, shape (n,), full scale 1.0; minus infinity for silence."""
    if not len(samples):
        return -np.inf
    weighted = sosfilt(k_weighting(sample_rate_hz), samples)
    powers = _block_powers(weighted, sample_rate_hz)
    powers = powers[_lufs(powers) > ABSOLUTE_GATE_LUFS]
    if not len(powers):
        return -np.inf
    gate_lufs = _lufs(powers.mean()) + RELATIVE_GATE_LU
    return float(_lufs(powers[_lufs(powers) > gate_lufs].mean()))


def _block_powers(weighted: NDArray[np.float64], sample_rate_hz: int) -> NDArray[np.float64]:
    """Return the mean square of each block, shape (n_blocks,); at least one block."""
    size, step = round(BLOCK_S * sample_rate_hz), round(STEP_S * sample_rate_hz)
    if len(weighted) <= size:
        return np.array([np.mean(weighted**2)])
    starts = np.arange(0, len(weighted) - size + 1, step)
    sums = np.concatenate(([0.0], np.cumsum(weighted**2)))
    powers: NDArray[np.float64] = (sums[starts + size] - sums[starts]) / size
    return np.maximum(powers, 0.0)


def _lufs(power: NDArray[np.float64] | np.floating) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        level: NDArray[np.float64] = OFFSET_LU + 10 * np.log10(power)
    return level
