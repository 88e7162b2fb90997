"""Front end of detector and masker: one small matrix product a hop, then 5 ms windows and 15 ms halves from its rows.

Works on one `SHIELD_STATE_DTYPE` record ("leg"). Judges nothing: the thresholds live in `registration.py` and
`suspicion.py`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.dsp.kernel import vector_kernel
from dtmf_shield.media.dsp.leg_state import RING_STEPS
from dtmf_shield.media.dsp.tables import (
    HOP_PRODUCT,
    HOP_SAMPLES,
    N_TONES,
    PAIR_INVERSE,
    ROTATION,
    ROTATION_HOPS,
    WINDOW_HOPS,
    WINDOW_MIX,
)


@vector_kernel
def load_chunk(leg: Any, pcm: NDArray[np.int16], first: int, n: int, quiet_energy: float) -> float:
    """Analyse samples [first, first + n) of `pcm` into hops 4 and up; return the largest energy of a hop.

    n is a multiple of 20 and at most 160. A chunk that stays under `quiet_energy` is not multiplied out: its hops
    become zero, which no gate of the service tells from what they were.
    """
    hops, energies, samples = leg.hops, leg.hop_energies, leg.samples
    n_hops = n // HOP_SAMPLES
    lags = leg.hop_lags
    for i in range(n):
        samples[i] = np.float32(pcm[first + i])
    loudest = np.float32(0.0)
    for hop in range(n_hops):
        start = hop * HOP_SAMPLES
        energy = samples[start] * samples[start]
        lag = samples[start] * (samples[start - 1] if hop > 0 else leg.last_sample)
        for i in range(start + 1, start + HOP_SAMPLES):
            energy += samples[i] * samples[i]
            lag += samples[i] * samples[i - 1]
        energies[WINDOW_HOPS + hop] = energy
        lags[WINDOW_HOPS + hop] = lag
        loudest = energy if energy > loudest else loudest
    leg.last_sample = samples[n - 1]
    if loudest < quiet_energy:
        hops[WINDOW_HOPS : WINDOW_HOPS + n_hops, :] = np.float32(0.0)
        return float(loudest)
    for hop in range(n_hops):
        _multiply_hop(samples, hop * HOP_SAMPLES, hops, WINDOW_HOPS + hop)
    return float(loudest)


@vector_kernel
def _multiply_hop(samples: Any, start: int, hops: Any, hop: int) -> None:
    """Set row `hop` of `hops` to samples[start:start + 10] times HOP_PRODUCT.

    Written out because only so do the 16 sums stay in vector registers: 5 times as fast as a BLAS call of this size.
    """
    p = HOP_PRODUCT
    x0, x1, x2, x3, x4 = (
        samples[start], samples[start + 1], samples[start + 2], samples[start + 3], samples[start + 4],
    )  # fmt: skip
    x5, x6, x7, x8, x9 = (
        samples[start + 5], samples[start + 6], samples[start + 7], samples[start + 8], samples[start + 9],
    )  # fmt: skip
    for k in range(2 * N_TONES):
        older = x0 * p[0, k] + x1 * p[1, k] + x2 * p[2, k] + x3 * p[3, k] + x4 * p[4, k]
        newer = x5 * p[5, k] + x6 * p[6, k] + x7 * p[7, k] + x8 * p[8, k] + x9 * p[9, k]
        hops[hop, k] = older + newer


@vector_kernel
def keep_last_hops(leg: Any, n_hops: int) -> None:
    """Make the last 4 of `n_hops` new hops the history of the next chunk."""
    for hop in range(WINDOW_HOPS):
        leg.hop_energies[hop] = leg.hop_energies[n_hops + hop]
        leg.hop_lags[hop] = leg.hop_lags[n_hops + hop]
        for k in range(2 * N_TONES):
            leg.hops[hop, k] = leg.hops[n_hops + hop, k]


@vector_kernel
def measure_window(leg: Any, end_hop: int) -> None:
    """Fit one row and one column tone to the 5 ms that end with hop `end_hop` (history included, from 4 to 20).

    Sets window_energy, window_explained (least squares, both tones together) and the energy of either tone.
    """
    first = end_hop - WINDOW_HOPS
    coordinates, hops = leg.coordinates, leg.hops
    energy = np.float32(0.0)
    for hop in range(WINDOW_HOPS):
        energy += leg.hop_energies[first + hop]
    leg.window_energy = energy
    for k in range(N_TONES):
        u = np.float32(0.0)
        v = np.float32(0.0)
        for hop in range(WINDOW_HOPS):
            re, im = hops[first + hop, k], hops[first + hop, N_TONES + k]
            u += WINDOW_MIX[hop, 0, k] * re + WINDOW_MIX[hop, 1, k] * im
            v += WINDOW_MIX[hop, 2, k] * re + WINDOW_MIX[hop, 3, k] * im
        coordinates[0, k] = u
        coordinates[1, k] = v
    row, column = _strongest(leg, 0), _strongest(leg, 4)
    _fit_pair(leg, row, column)


@vector_kernel
def _strongest(leg: Any, first: int) -> int:
    """Return the strongest of tones first to first + 3, each fitted alone; keep the energy of the second strongest."""
    c = leg.coordinates
    strongest = first
    largest = second = np.float32(-1.0)
    for k in range(first, first + 4):
        energy = c[0, k] * c[0, k] + c[1, k] * c[1, k]
        if energy > largest:
            strongest, second, largest = k, largest, energy
        elif energy > second:
            second = energy
    if first == 0:
        leg.window_second_row = second
    else:
        leg.window_second_column = second
    return strongest


@vector_kernel
def _fit_pair(leg: Any, row: int, column: int) -> None:
    """Solve the 4x4 least squares of one row and one column tone from their window coordinates."""
    inverse = PAIR_INVERSE[row, column - 4]
    c = leg.coordinates
    a, b, p, q = c[0, row], c[1, row], c[0, column], c[1, column]
    w0 = inverse[0, 0] * a + inverse[0, 1] * b + inverse[0, 2] * p + inverse[0, 3] * q
    w1 = inverse[1, 0] * a + inverse[1, 1] * b + inverse[1, 2] * p + inverse[1, 3] * q
    w2 = inverse[2, 0] * a + inverse[2, 1] * b + inverse[2, 2] * p + inverse[2, 3] * q
    w3 = inverse[3, 0] * a + inverse[3, 1] * b + inverse[3, 2] * p + inverse[3, 3] * q
    leg.window_explained = a * w0 + b * w1 + p * w2 + q * w3
    leg.window_row_energy = w0 * w0 + w1 * w1
    leg.window_column_energy = w2 * w2 + w3 * w3


@vector_kernel
def push_step(leg: Any, end_hop: int, position_samples: int) -> int:
    """Put the two hops that end with `end_hop` into the 15 ms ring at absolute phase; return its slot.

    position_samples is the stream index just after the step.
    """
    slot = (position_samples // (2 * HOP_SAMPLES)) % RING_STEPS
    turn = (position_samples // HOP_SAMPLES - 2) % ROTATION_HOPS
    hops, ring = leg.hops, leg.ring
    for k in range(N_TONES):
        re, im = hops[end_hop - 2, k], hops[end_hop - 2, N_TONES + k]
        c, s = ROTATION[turn, k], ROTATION[turn, N_TONES + k]
        re2, im2 = hops[end_hop - 1, k], hops[end_hop - 1, N_TONES + k]
        c2, s2 = ROTATION[turn + 1, k], ROTATION[turn + 1, N_TONES + k]
        ring[slot, k] = re * c - im * s + re2 * c2 - im2 * s2
        ring[slot, N_TONES + k] = re * s + im * c + re2 * s2 + im2 * c2
    leg.ring_energies[slot] = leg.hop_energies[end_hop - 2] + leg.hop_energies[end_hop - 1]
    return slot


@vector_kernel
def sum_halves(leg: Any, newest_slot: int) -> None:
    """Set halves[0] and halves[1] to the older and the newer 7.5 ms sums of the ring."""
    ring, halves = leg.ring, leg.halves
    s1, s2, s3 = (
        (newest_slot + 1) % RING_STEPS,
        (newest_slot + 2) % RING_STEPS,
        (newest_slot + 3) % RING_STEPS,
    )
    s4, s5 = (newest_slot + 4) % RING_STEPS, (newest_slot + 5) % RING_STEPS
    for k in range(2 * N_TONES):
        halves[0, k] = ring[s1, k] + ring[s2, k] + ring[s3, k]
        halves[1, k] = ring[s4, k] + ring[s5, k] + ring[newest_slot, k]
