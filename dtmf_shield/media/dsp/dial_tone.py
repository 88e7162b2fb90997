"""Dial tone under keys: a high-pass that is put before the detector while one sounds, and only then.

Exchanges send 350 + 440 Hz (North America), 425 Hz (most of Europe), 400 + 450 Hz and the like until the first key is
heard; at -5 dB under the keys it hides them. All of them lie within 50 Hz of 395 Hz and are steady, so one sine fitted
to each 5 ms tells them. What is masked is the audio itself, not what is heard through the filter.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import iirdesign

from dtmf_shield.media.dsp.kernel import vector_kernel
from dtmf_shield.media.dsp.lanes import pair_products, store8, sum8
from dtmf_shield.media.dsp.leg_state import CHUNK_SAMPLES, CHUNK_STEPS
from dtmf_shield.media.dsp.levels import mean_square
from dtmf_shield.media.dsp.tables import HOP_SCALE, SAMPLE_RATE_HZ, STEP_SAMPLES, WINDOW_SAMPLES

MIDDLE_HZ = 395.0
LEVEL_DBM0_MIN = -45.0
FIT_SHARE_MIN = 0.78  # of the energy in that one sine; 350 + 440 Hz gives 0.80 to 0.88
CORRELATION_MIN, CORRELATION_MAX = 0.925, 0.97  # lag 1; cos(2 pi f / fs) is 0.962 at 350 and 0.936 at 450 Hz
STEADY = 1.25  # energy from chunk to chunk, either way: 350 and 440 Hz beat every 11 ms
STEADY_IN_SHORT_CHUNKS = 1.7  # of 10 ms and less
SAMPLES_TO_ENGAGE = 960  # 120 ms of it, of one level; no vowel is so steady
SAMPLES_BETWEEN = 1600  # 200 ms: what else may sound in between, a key for one
SHARE_TO_STAY = 0.25  # of the energy it had then
SAMPLES_TO_LEAVE = 480  # 60 ms
# Elliptic, 40 dB down at 460 Hz, flat within 0.5 dB from 640 Hz, so 697 Hz less 1.8 % passes.
SECTIONS: NDArray[np.float64] = iirdesign(
    640.0, 460.0, 0.5, 40.0, ftype="ellip", output="sos", fs=SAMPLE_RATE_HZ
)

_TIMES = np.arange(WINDOW_SAMPLES) - (WINDOW_SAMPLES - 1) / 2.0
_TURNS = 2.0 * np.pi * MIDDLE_HZ / SAMPLE_RATE_HZ * _TIMES
_COSINE_NORM = float(1.0 / np.sum(np.cos(_TURNS) ** 2) / HOP_SCALE**2)
_SINE_NORM = float(1.0 / np.sum(np.sin(_TURNS) ** 2) / HOP_SCALE**2)


def _padded(wave: NDArray[np.float64]) -> NDArray[np.int16]:
    """Return the wave scaled to int16, with zeroes to a whole number of sixteens."""
    table = np.zeros(48, np.int16)
    table[:WINDOW_SAMPLES] = np.round(HOP_SCALE * wave)
    return table


_COSINE, _SINE = _padded(np.cos(_TURNS)), _padded(np.sin(_TURNS))
_MEAN_SQUARE_MIN = mean_square(LEVEL_DBM0_MIN)


@vector_kernel
def filter_chunk(leg: Any, n: int) -> None:
    """Where the high-pass is engaged, put the chunk's n samples through it, or take it out if the tone has ended."""
    if leg.dial_energy <= 0.0:
        return
    if _fitted_energy(leg, n) / n < SHARE_TO_STAY * leg.dial_energy:
        leg.dial_samples += n
        if leg.dial_samples >= SAMPLES_TO_LEAVE:
            leg.dial_energy = 0.0
            leg.dial_samples = 0
            return
    else:
        leg.dial_samples = 0
    _high_pass(leg, CHUNK_SAMPLES, CHUNK_SAMPLES + n)


@vector_kernel
def is_loud(leg: Any) -> bool:
    """Tell whether the chunk begins loud enough to be looked at: most do not."""
    return bool(leg.window_energies[CHUNK_STEPS] > _MEAN_SQUARE_MIN * WINDOW_SAMPLES)


@vector_kernel
def look_for_dial_tone(leg: Any, n: int) -> bool:
    """Count chunks of steady dial tone; tell whether the high-pass was engaged just now.

    Call it after the screen. When it says yes, history and chunk have been filtered: screen them again.
    """
    energy = lag = 0.0
    for step in range(n // STEP_SAMPLES):
        energy += leg.step_energies[CHUNK_STEPS + step]
        lag += leg.step_lags[CHUNK_STEPS + step]
    limit = STEADY if n == CHUNK_SAMPLES else STEADY_IN_SHORT_CHUNKS
    is_tone = (
        energy > _MEAN_SQUARE_MIN * n
        and lag > CORRELATION_MIN * energy
        and lag < CORRELATION_MAX * energy
        and _fitted_energy(leg, n) > FIT_SHARE_MIN * energy
    )
    if not is_tone:
        leg.dial_other_samples += n
        if leg.dial_other_samples > SAMPLES_BETWEEN or energy < 0.5 * leg.dial_last * n:
            leg.dial_samples = 0
        return False
    steady = leg.dial_last * n < limit * energy and energy < limit * leg.dial_last * n
    leg.dial_samples = leg.dial_samples + n if steady else n
    leg.dial_last = energy / n
    leg.dial_other_samples = 0
    if leg.dial_samples < SAMPLES_TO_ENGAGE:
        return False
    leg.dial_energy = energy / n
    leg.dial_samples = 0
    leg.high_pass[:] = 0.0
    _high_pass(leg, 0, CHUNK_SAMPLES + n)
    leg.hops_known = 0
    return True


@vector_kernel
def _fitted_energy(leg: Any, n: int) -> float:
    """Return the energy of one sine of MIDDLE_HZ fitted to each whole 5 ms of the chunk, scaled to its length."""
    total = 0.0
    n_windows = max(1, n // WINDOW_SAMPLES)
    for window in range(n_windows):
        at = CHUNK_SAMPLES + WINDOW_SAMPLES * window
        u, v = _product(leg, at, _COSINE), _product(leg, at, _SINE)
        total += u * u * _COSINE_NORM + v * v * _SINE_NORM
    return total * n / (n_windows * WINDOW_SAMPLES)


@vector_kernel
def _product(leg: Any, at: int, table: NDArray[np.int16]) -> float:
    """Return HOP_SCALE times the product of 5 ms of samples with a wave."""
    samples = leg.samples
    first = pair_products(samples, at, table, 0) + pair_products(samples, at + 16, table, 16)
    store8(leg.folded, 0, first + pair_products(samples, at + 32, table, 32))
    return float(sum8(leg.folded))


@vector_kernel
def _high_pass(leg: Any, first: int, end: int) -> None:
    """Filter leg.samples[first:end] in place; leg.high_pass carries the sections' states on."""
    samples, z = leg.samples, leg.high_pass
    for at in range(first, end):
        value = float(samples[at])
        for section in range(len(SECTIONS)):
            s = SECTIONS[section]
            filtered = s[0] * value + z[2 * section]
            z[2 * section] = s[1] * value - s[4] * filtered + z[2 * section + 1]
            z[2 * section + 1] = s[2] * value - s[5] * filtered
            value = filtered
        samples[at] = np.int16(min(max(np.rint(value), -32768.0), 32767.0))
