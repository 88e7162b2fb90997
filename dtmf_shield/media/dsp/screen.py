"""Screen: may any 5 ms of a chunk be a key's? Energy and lag-1 correlation only, a fraction of what the tones cost.

The lag-1 correlation of a tone is cos(2 pi f / fs): 0.85 at 697 Hz, 0.28 at 1633 Hz, and a mean of the two for a pair.
Most voiced speech lies above, hiss below. Nothing is decided here for good: what passes is analysed, and what is
screened out is analysed later if a key turns out to have begun in it.
"""

from typing import Any

import numpy as np

from dtmf_shield.media.dsp.kernel import vector_kernel
from dtmf_shield.media.dsp.lanes import (
    above8,
    load8,
    lower_four,
    lower_two,
    pair_products,
    splat8,
    store8,
    sum_rows,
)
from dtmf_shield.media.dsp.leg_state import CHUNK_SAMPLES, CHUNK_STEPS
from dtmf_shield.media.dsp.tables import STEP_SAMPLES

# Twist of -12 dB at -1.8 % puts a pair at 0.844. Seven tenths of a window may be tone and the rest hum at 1.0.
CORRELATION_MAX = 0.90
# 0.26 for the highest column at +1.8 %, and three tenths of hiss at -1.
CORRELATION_MIN = -0.12
_LAST_STEP = CHUNK_STEPS - 1


@vector_kernel
def screen_chunk(leg: Any, n_steps: int, energy_min: float) -> int:
    """Return bits of the steps whose 5 ms (that step and the one before) may be tones of at least `energy_min`.

    Sets window_energies of the chunk.
    """
    energies, lags = leg.step_energies, leg.step_lags
    store8(energies, CHUNK_STEPS, _step_products(leg, n_steps, 0))
    energy = load8(energies, CHUNK_STEPS) + load8(energies, _LAST_STEP)
    store8(leg.window_energies, CHUNK_STEPS, energy)
    passed = above8(energy, splat8(np.float32(energy_min))) & ((1 << n_steps) - 1)
    if passed != 0:
        store8(lags, CHUNK_STEPS, _step_products(leg, n_steps, 1))
        lag = load8(lags, CHUNK_STEPS) + load8(lags, _LAST_STEP)
        passed &= above8(np.float32(CORRELATION_MAX) * energy, lag)
        passed &= above8(lag, np.float32(CORRELATION_MIN) * energy)
        lags[_LAST_STEP] = lags[_LAST_STEP + n_steps]
    else:
        lags[_LAST_STEP] = (
            np.float32(0.5) * energies[_LAST_STEP + n_steps]
        )  # too quiet to matter: a mean that passes
    energies[_LAST_STEP] = energies[_LAST_STEP + n_steps]
    return int(passed)


@vector_kernel
def _step_products(leg: Any, n_steps: int, lag: int) -> Any:
    """Return lane k = sum of x[n] * x[n - lag] over step k of the chunk."""
    samples, block = leg.samples, leg.block
    for pair in range((n_steps + 1) // 2):
        at = CHUNK_SAMPLES + 2 * STEP_SAMPLES * pair
        first = pair_products(samples, at, samples, at - lag)
        shared = pair_products(
            samples, at + 16, samples, at + 16 - lag
        )  # four samples of one step, twelve of the next
        last = lower_four(pair_products(samples, at + 32, samples, at + 32 - lag))
        end = lower_two(shared)
        store8(block, 16 * pair, first + end)
        store8(block, 16 * pair + 8, (shared - end) + last)
    return sum_rows(block)
