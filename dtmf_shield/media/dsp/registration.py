"""Registration: the strict test that makes a key of a tone pair (ITU-T Q.23, limits of Q.24 in the AT&T column).

Here one window of 15 ms is judged, every 2.5 ms; `key_run.py` makes keys of the verdicts. Removal waits for neither:
see `suspicion.py`.
"""

from math import pi, sqrt
from typing import Any

import numpy as np

from dtmf_shield.media.dsp.front_end import sum_halves
from dtmf_shield.media.dsp.kernel import vector_kernel
from dtmf_shield.media.dsp.lanes import above8, load8, splat8
from dtmf_shield.media.dsp.leg_state import CHUNK_HOPS, CHUNK_SAMPLES, CHUNK_STEPS
from dtmf_shield.media.dsp.levels import mean_square
from dtmf_shield.media.dsp.tables import RING_SAMPLES, SAMPLE_RATE_HZ, STEP_SAMPLES, TONE_HZ

HALF_S = 0.5 * RING_SAMPLES / SAMPLE_RATE_HZ

LEVEL_DBM0_MIN = -42.0  # AT&T: accept to -25 dBm a tone; 17 dB of head room for lossy lines
LEVEL_TONE_DBM0_MIN = -48.0
PURITY_MIN = 0.80  # share of energy in the two tones; SNR 15 dB gives 0.97, half a cycle off frequency 0.88
TWIST_ROW_OVER_COLUMN_DB_MAX = 12.0  # AT&T asks for 8; noise at SNR 15 dB moves the weak tone by 3
TWIST_COLUMN_OVER_ROW_DB_MAX = 9.0  # AT&T asks for 4, ETSI for 6
PEAK_DB_MIN = 6.0  # over every other tone of the group; rows are 73 Hz apart, 15 ms resolves 67 Hz
# Accept +-1.5 % and 2 Hz (AT&T), reject +-3.5 %; noise at SNR 15 dB needs the rest.
FREQUENCY_SHARE_MAX = 0.025
FREQUENCY_HZ_MAX = 2.0
IMPURE_MIN = 0.52  # the same under speech nearly as loud: it takes more such windows to make a key
IMPURE_TWIST_DB_MAX = 5.0  # either way: what sounds beside it is speech, and a voice's partials fall faster
# A key that has begun is still there under speech that would not let it begin.
HELD_PURITY_MIN = 0.40
HELD_FREQUENCY_FACTOR = 2.0

# Rough shares, of the three 5 ms fits of single tones inside the window: see suspicion.ROUGH_EXPLAINED_MIN.
ROUGH_PURITY_MIN = 0.78 * 0.95 * 0.75 * PURITY_MIN  # an impure window that falls below begins no run
ROUGH_HELD_MIN = 0.78 * 0.95 * 0.75 * HELD_PURITY_MIN
ROUGH_SHARE_MIN = 0.01  # of the weaker tone: the twist limits leave it 0.047 of 15 ms

_ENERGY_MIN = RING_SAMPLES * mean_square(LEVEL_DBM0_MIN)
_TONE_POWER_MIN = 0.5 * RING_SAMPLES**2 * mean_square(LEVEL_TONE_DBM0_MIN)
_ROW_OVER_COLUMN_MAX = 10.0 ** (TWIST_ROW_OVER_COLUMN_DB_MAX / 10.0)
_COLUMN_OVER_ROW_MAX = 10.0 ** (TWIST_COLUMN_OVER_ROW_DB_MAX / 10.0)
_IMPURE_TWIST_MAX = 10.0 ** (IMPURE_TWIST_DB_MAX / 10.0)
_PEAK_RATIO_MAX = 10.0 ** (-PEAK_DB_MIN / 10.0)


def _turn_cosines(factor: float) -> np.ndarray:
    """Return for each tone the cosine of the largest turn between the halves that its frequency limit allows."""
    limits_hz = factor * (FREQUENCY_SHARE_MAX * TONE_HZ + FREQUENCY_HZ_MAX)
    return np.cos(np.minimum(2.0 * pi * HALF_S * limits_hz, pi))


_TURN_COSINES = _turn_cosines(1.0)
_HELD_TURN_COSINES = _turn_cosines(HELD_FREQUENCY_FACTOR)


@vector_kernel
def rough_keys(leg: Any, share_min: float, energy_min: float) -> int:
    """Return bits of the chunk's steps whose last 15 ms hold at least a rough `share_min` of two tones.

    energy_min: sum of squares of those 15 ms.
    """
    at = CHUNK_STEPS
    energies, rows, columns = leg.window_energies, leg.window_rows, leg.window_columns
    energy = load8(energies, at) + load8(energies, at - 2) + load8(energies, at - 4)
    row = load8(rows, at) + load8(rows, at - 2) + load8(rows, at - 4)
    column = load8(columns, at) + load8(columns, at - 2) + load8(columns, at - 4)
    weak = np.float32(ROUGH_SHARE_MIN) * energy
    found = above8(energy, splat8(np.float32(energy_min)))
    found &= above8(row + column, np.float32(share_min) * energy)
    return int(found & above8(row, weak) & above8(column, weak))


@vector_kernel
def window_energy(leg: Any, step: int) -> float:
    """Return the sum of squares of the 15 ms that end with `step` of the chunk."""
    energies, at = leg.window_energies, CHUNK_STEPS + step
    return float(energies[at]) + float(energies[at - 2]) + float(energies[at - 4])


@vector_kernel
def judge_window(leg: Any, step: int, held_key: int) -> int:
    """Return 1 + the key whose tones fill the 15 ms that end with `step` of the chunk, minus `held_key`, or 0.

    held_key: 1 + a key that has begun, or 0; its negative says that the window is no key by itself, but may be that
    one under other sound. Sets row_power, column_power and pair_energy where the result is positive, and is_pure: 1 for
    a key alone, 0 for one under sound nearly as loud.
    """
    sum_halves(leg, CHUNK_HOPS + 2 * step + 1)
    leg.judged_end = CHUNK_SAMPLES + STEP_SAMPLES * (step + 1)
    energy = window_energy(leg, step)
    if energy <= _ENERGY_MIN:
        return 0
    row, column = _strongest(leg, 0), _strongest(leg, 4)
    row_power, column_power = _spread_power(leg, row), _spread_power(leg, column)
    purity = 2.0 * (row_power + column_power) / (RING_SAMPLES * energy)
    key = 1 + 4 * row + column - 4
    if (
        purity > IMPURE_MIN
        and row_power <= _ROW_OVER_COLUMN_MAX * column_power
        and column_power <= _COLUMN_OVER_ROW_MAX * row_power
        and min(row_power, column_power) >= _TONE_POWER_MIN
        and _is_peak(leg, row, row_power)
        and _is_peak(leg, column, column_power)
        and _on_frequency(leg, row, _TURN_COSINES)
        and _on_frequency(leg, column, _TURN_COSINES)
    ):
        leg.row_power = row_power
        leg.column_power = column_power
        leg.pair_energy = energy
        leg.is_pure = int(purity > PURITY_MIN)
        twist = max(row_power, column_power) / min(row_power, column_power)
        if leg.is_pure or twist <= _IMPURE_TWIST_MAX:
            return key
    if (
        key == held_key
        and purity > HELD_PURITY_MIN
        and _on_frequency(leg, row, _HELD_TURN_COSINES)
        and _on_frequency(leg, column, _HELD_TURN_COSINES)
    ):
        return -key
    return 0


@vector_kernel
def _strongest(leg: Any, first: int) -> int:
    """Return which of tones first to first + 3 has the largest |A1|^2 + |A2|^2."""
    strongest, largest = first, -1.0
    for k in range(first, first + 4):
        power = leg.older_re[k] ** 2 + leg.older_im[k] ** 2 + leg.newer_re[k] ** 2 + leg.newer_im[k] ** 2
        if power > largest:
            strongest, largest = k, power
    return strongest


@vector_kernel
def _spread_power(leg: Any, k: int) -> float:
    """Return (|A1| + |A2|)^2 of tone k: keeps the energy of a tone slightly off frequency."""
    older = sqrt(leg.older_re[k] ** 2 + leg.older_im[k] ** 2)
    newer = sqrt(leg.newer_re[k] ** 2 + leg.newer_im[k] ** 2)
    return float((older + newer) ** 2)


@vector_kernel
def _is_peak(leg: Any, k: int, power: float) -> bool:
    """Tell whether the 15 ms sum of every other tone of k's group lies PEAK_DB_MIN below `power`."""
    first = (k // 4) * 4
    for other in range(first, first + 4):
        re, im = leg.older_re[other] + leg.newer_re[other], leg.older_im[other] + leg.newer_im[other]
        if other != k and re * re + im * im >= _PEAK_RATIO_MAX * power:
            return False
    return True


@vector_kernel
def _on_frequency(leg: Any, k: int, turn_cosines: Any) -> bool:
    """Tell whether tone k turns between the halves by no more than its frequency limit allows."""
    re1, im1, re2, im2 = leg.older_re[k], leg.older_im[k], leg.newer_re[k], leg.newer_im[k]
    size = sqrt((re1 * re1 + im1 * im1) * (re2 * re2 + im2 * im2))
    return bool(re2 * re1 + im2 * im1 > turn_cosines[k] * size)
