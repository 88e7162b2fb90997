"""Constant arrays of the DTMF front end: hop products, phase rotations, 5 ms least-squares bases.

Frequencies are those of ITU-T Q.23. Everything is derived here from the frequencies and three lengths; nothing is
pasted. Column order of every (…, 16) table: cosines of the 8 frequencies, then minus sines of the same 8.
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
# Whole-Hz frequencies at 8 kHz return to the same phase after 800 hops of 10 samples (8,000 samples, one second).
ROTATION_HOPS = SAMPLE_RATE_HZ // HOP_SAMPLES

KEY_CODES = np.frombuffer(b"123A456B789C*0#D", dtype=np.uint8).copy()
"""ASCII code of the key at 4 * row + column."""

_FREQUENCIES_HZ = np.array(ROW_FREQUENCIES_HZ + COLUMN_FREQUENCIES_HZ, dtype=np.float64)
TONE_HZ: NDArray[np.float32] = _FREQUENCIES_HZ.astype(np.float32)


def _phases(n_samples: int) -> NDArray[np.float64]:
    """Return 2 pi f n / fs, shape (n_samples, 8)."""
    return 2.0 * np.pi * np.outer(np.arange(n_samples), _FREQUENCIES_HZ) / SAMPLE_RATE_HZ


def _hop_product() -> NDArray[np.float32]:
    """Return the (10, 16) matrix that turns a row of 10 samples into 8 complex correlations."""
    phases = _phases(HOP_SAMPLES)
    return np.ascontiguousarray(np.hstack([np.cos(phases), -np.sin(phases)]).astype(np.float32))


def _rotation() -> NDArray[np.float32]:
    """Return exp(-i 2 pi f 10 h / fs) for each hop h of a second, shape (800, 16)."""
    phases = _phases(SAMPLE_RATE_HZ)[::HOP_SAMPLES]
    return np.hstack([np.cos(phases), -np.sin(phases)]).astype(np.float32)


def _window_bases() -> list[NDArray[np.float64]]:
    """Return for each tone an orthonormal (40, 2) basis of its cosine and sine over 5 ms."""
    phases = _phases(WINDOW_SAMPLES)
    pairs = [np.stack([np.cos(column), np.sin(column)], axis=1) for column in phases.T]
    return [np.linalg.qr(pair)[0] for pair in pairs]


def _window_mix() -> NDArray[np.float32]:
    """Return shape (4 hops, 4, 8): the 2x2 matrices that turn hop correlations into window coordinates.

    coordinate 0 of tone k = sum over hops of mix[hop, 0, k] * re + mix[hop, 1, k] * im; coordinate 1 uses rows 2, 3.
    The basis restricted to a hop lies in the span of that hop's own cosine and sine, so the mix is exact.
    """
    mix = np.zeros((WINDOW_HOPS, 4, N_TONES))
    phases = _phases(HOP_SAMPLES)
    for tone, basis in enumerate(_window_bases()):
        hop_pair = np.stack([np.cos(phases[:, tone]), -np.sin(phases[:, tone])], axis=1)
        for hop in range(WINDOW_HOPS):
            part = basis[hop * HOP_SAMPLES : (hop + 1) * HOP_SAMPLES]
            weights = np.linalg.lstsq(hop_pair, part, rcond=None)[0]
            mix[hop, 0, tone], mix[hop, 1, tone] = weights[:, 0]
            mix[hop, 2, tone], mix[hop, 3, tone] = weights[:, 1]
    return mix.astype(np.float32)


def _pair_inverses() -> NDArray[np.float32]:
    """Return shape (4 rows, 4 columns, 4, 4): inverse Gram matrix of a row basis beside a column basis."""
    bases = _window_bases()
    inverses = np.zeros((4, 4, 4, 4))
    for row in range(4):
        for column in range(4):
            both = np.hstack([bases[row], bases[4 + column]])
            inverses[row, column] = np.linalg.inv(both.T @ both)
    return inverses.astype(np.float32)


HOP_PRODUCT = _hop_product()
ROTATION = _rotation()
WINDOW_MIX = _window_mix()
PAIR_INVERSE = _pair_inverses()
