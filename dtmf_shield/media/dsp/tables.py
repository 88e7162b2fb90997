"""Constant arrays of the DTMF front end: hop products, rotations of hops into windows, least-squares norms.

Frequencies are those of ITU-T Q.23. Everything is derived here from the frequencies and three lengths; nothing is
pasted. A row of eight holds one number for each frequency, rows first: one register of `lanes`.
"""

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 8000
ROW_FREQUENCIES_HZ = (697, 770, 852, 941)
COLUMN_FREQUENCIES_HZ = (1209, 1336, 1477, 1633)
N_TONES = 8

HOP_SAMPLES = 10  # 1.25 ms: the finest grid on which suspicion is judged
STEP_SAMPLES = 20  # 2.5 ms: the grid on which registration is judged
WINDOW_HOPS = 4  # 5 ms: the suspicion window, as long as the hold-back
WINDOW_SAMPLES = WINDOW_HOPS * HOP_SAMPLES
RING_HOPS = 12  # 15 ms: the registration window
RING_SAMPLES = RING_HOPS * HOP_SAMPLES

KEY_CODES = np.frombuffer(b"123A456B789C*0#D", dtype=np.uint8).copy()
"""ASCII code of the key at 4 * row + column."""

_FREQUENCIES_HZ = np.array(ROW_FREQUENCIES_HZ + COLUMN_FREQUENCIES_HZ, dtype=np.float64)
TONE_HZ: NDArray[np.float64] = _FREQUENCIES_HZ
_TURN_A_SAMPLE = 2.0 * np.pi * _FREQUENCIES_HZ / SAMPLE_RATE_HZ  # radians


def _centred(n_samples: int) -> NDArray[np.float64]:
    """Return the phases of n samples counted from their middle, shape (n_samples, 8): sums split into even and odd."""
    return np.outer(np.arange(n_samples) - (n_samples - 1) / 2.0, _TURN_A_SAMPLE)


def _flat(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.ascontiguousarray(rows, dtype=np.float32).ravel()


HOP_SCALE = 4096
"""Hop products are int16 of this size, so that ten times a full-scale sample stays within int32. Exact to -78 dB."""


def _pairs(rows: NDArray[np.float64]) -> NDArray[np.int16]:
    """Return (10, 8) numbers scaled, rounded and in the order of `lanes.correlate10`: pair, tone, which of the two."""
    paired = np.round(HOP_SCALE * rows).reshape(HOP_SAMPLES // 2, 2, N_TONES).transpose(0, 2, 1)
    return np.ascontiguousarray(paired, dtype=np.int16).ravel()


HOP_COSINES = _pairs(np.cos(_centred(HOP_SAMPLES)))
HOP_SINES = _pairs(-np.sin(_centred(HOP_SAMPLES)))
WINDOW_COSINES = _flat(np.cos(np.outer((15.0, 5.0), _TURN_A_SAMPLE)) / HOP_SCALE)
"""Shape (2 * 8,): the middle of an outer and an inner hop lies 15 and 5 samples from the middle of a window."""
WINDOW_SINES = _flat(np.sin(np.outer((15.0, 5.0), _TURN_A_SAMPLE)) / HOP_SCALE)
RING_COSINES = _flat(np.cos(np.outer(10.0 * np.arange(RING_HOPS) - 55.0, _TURN_A_SAMPLE)) / HOP_SCALE)
"""Shape (12 * 8,): the middle of each hop from the middle of 15 ms."""
RING_SINES = _flat(np.sin(np.outer(10.0 * np.arange(RING_HOPS) - 55.0, _TURN_A_SAMPLE)) / HOP_SCALE)

_COSINES, _SINES = np.cos(_centred(WINDOW_SAMPLES)), np.sin(_centred(WINDOW_SAMPLES))
COSINE_NORMS = 1.0 / np.sum(_COSINES**2, axis=0)
"""Shape (8,): energy in a 5 ms window = u^2 * COSINE_NORMS + v^2 * SINE_NORMS for one tone fitted alone."""
SINE_NORMS = 1.0 / np.sum(_SINES**2, axis=0)


def _pair_inverses(bases: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return shape (4, 4, 3): the inverse Gram matrix (rr, rc, cc) of each row basis beside each column basis.

    Counted from the window's middle cosines are even and sines odd, so a fit of four functions is two fits of two.
    """
    inverses = np.zeros((4, 4, 3))
    for row in range(4):
        for column in range(4):
            both = bases[:, [row, 4 + column]]
            inverse = np.linalg.inv(both.T @ both)
            inverses[row, column] = inverse[0, 0], inverse[0, 1], inverse[1, 1]
    return inverses


COSINE_INVERSES = _pair_inverses(_COSINES)
SINE_INVERSES = _pair_inverses(_SINES)
