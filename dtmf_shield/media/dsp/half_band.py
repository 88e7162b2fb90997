"""16 kHz audio brought to the detector's 8 kHz: a causal half-band filter of two all-pass paths, every second sample.

H(z) = (A0(z^2) + z^-1 A1(z^2)) / 2 with two first-order all-passes a path, an elliptic design in closed form: R. A.
Valenzuela and A. G. Constantinides, "Digital signal processing schemes for efficient interpolation and decimation",
IEE Proceedings part G, 130(6), 1983. It is not linear in phase, which buys its delay: 0.15 ms at the tones, where a
symmetric filter of this stop band takes 1 ms, a fifth of the hold-back.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.dsp.kernel import kernel
from dtmf_shield.media.dsp.lanes import move_samples
from dtmf_shield.media.dsp.leg_state import CHUNK_SAMPLES

ALL_PASSES = 4  # two a path: stop band 48 dB down, pass band flat within 0.001 dB
# 3,400 Hz pass, 4,600 Hz stop: what folds from above lands over 3,400 Hz, an octave above the highest tone.
TRANSITION = 600.0 / 16000.0  # half the transition band, as a share of the sample rate
# Bounds what the filter's delay and its build-up may hide of a tone's first samples, at 8 kHz.
DELAY_SAMPLES = 1
_SERIES_TERMS = 10  # of the theta functions; the tenth is far below float64's last bit
# A decaying tail is cut here, 110 dB under one step of a sample, before it becomes denormal and slow.
_TAIL_MIN = 1e-5


def _all_pass_coefficients() -> NDArray[np.float64]:
    """Return the coefficients of the all-passes, shape (ALL_PASSES,), those of A0 and A1 by turns."""
    k = np.tan((1.0 - 2.0 * TRANSITION) * np.pi / 4.0) ** 2
    root = (1.0 - k * k) ** 0.25
    e = 0.5 * (1.0 - root) / (1.0 + root)
    q = e * (1.0 + e**4 * (2.0 + e**4 * (15.0 + 150.0 * e**4)))  # nome of the elliptic functions, as a series
    order = 2 * ALL_PASSES + 1
    i = np.arange(_SERIES_TERMS)
    coefficients = []
    for c in range(1, ALL_PASSES + 1):
        above = q**0.25 * np.sum((-1.0) ** i * q ** (i * (i + 1)) * np.sin((2 * i + 1) * c * np.pi / order))
        below = 0.5 + np.sum((-1.0) ** i[1:] * q ** (i[1:] ** 2) * np.cos(2 * i[1:] * c * np.pi / order))
        w = (above / below) ** 2
        x = np.sqrt((1.0 - w * k) * (1.0 - w / k)) / (1.0 + w)
        coefficients.append((1.0 - x) / (1.0 + x))
    return np.array(coefficients)


ALL_PASS_COEFFICIENTS = _all_pass_coefficients()
_A0, _B0, _A1, _B1 = (float(c) for c in ALL_PASS_COEFFICIENTS)


@kernel
def take_chunk(leg: Any, pcm: NDArray[np.int16], first: int, n: int, factor: int) -> None:
    """Put the n samples at 8 kHz that begin with pcm[first * factor] behind the leg's 20 ms of history.

    factor: 1 for `pcm` at 8 kHz (copied), 2 for 16 kHz (halved; leg.half_band carries the filter on).
    """
    if factor == 1:
        move_samples(leg.samples, CHUNK_SAMPLES, pcm, first, n)
    else:
        _halve(leg.half_band, pcm, 2 * first, leg.samples, n)


@kernel
def forget_half_band(leg: Any) -> None:
    """Let the filter start afresh: no sound from before a gap may ring on after it."""
    leg.half_band[:] = 0.0


@kernel
def _halve(z: Any, pcm: NDArray[np.int16], start: int, samples: Any, n: int) -> None:
    """Filter pcm[start : start + 2 n] and write every second sample behind the history. z: float64 (6,), carried on."""
    z0, z1, z2, z3, z4, z5 = z[0], z[1], z[2], z[3], z[4], z[5]
    for i in range(n):
        newer, older = float(pcm[start + 2 * i + 1]), float(pcm[start + 2 * i])
        # One first-order all-pass at 8 kHz: y[n] = c (x[n] - y[n - 1]) + x[n - 1].
        middle = _A0 * (newer - z1) + z0
        path_0 = _A1 * (middle - z2) + z1
        z0, z1, z2 = newer, middle, path_0
        middle = _B0 * (older - z4) + z3
        path_1 = _B1 * (middle - z5) + z4
        z3, z4, z5 = older, middle, path_1
        samples[CHUNK_SAMPLES + i] = np.int16(min(max(np.rint(0.5 * (path_0 + path_1)), -32768.0), 32767.0))
    z[0], z[1], z[2], z[3], z[4], z[5] = z0, z1, z2, z3, z4, z5
    for at in range(6):
        if abs(z[at]) < _TAIL_MIN:
            z[at] = 0.0
