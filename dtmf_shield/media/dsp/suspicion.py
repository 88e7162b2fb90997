"""Suspicion: the lax test that mutes. Does a tone pair fill the last 5 ms?

Judged on the 5 ms least-squares fit of `front_end.measure_window`: a cheap test on the share of energy explained,
then a quadratic score of seven features with weights trained by `bench/train_suspicion.py` (seeded, synthetic). It
makes no keys: see `registration.py`.
"""

from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.dsp.front_end import fit_window, lag_product, newer_energy
from dtmf_shield.media.dsp.kernel import vector_kernel
from dtmf_shield.media.dsp.lanes import above8, load8, splat8, store8, sum8
from dtmf_shield.media.dsp.leg_state import CHUNK_STEPS, N_FEATURES
from dtmf_shield.media.dsp.levels import mean_square
from dtmf_shield.media.dsp.suspicion_weights import CAPTURE_SCORE_MIN, GUARD_SCORE_MIN, WEIGHTS
from dtmf_shield.media.dsp.tables import WINDOW_SAMPLES

MODE_MUTE, MODE_GUARD, MODE_CAPTURE = 0, 1, 2

# Capture: quiet echoes of keys stay decodable, so the gate is far below what a key must reach to register.
CAPTURE_LEVEL_DBM0_MIN = -60.0
# Guard: outside a capture speech must not be cut up, and a key that does not register is no key.
GUARD_LEVEL_DBM0_MIN = -42.0
EXPLAINED_MIN = 0.70  # SNR 15 dB leaves 0.97 and the worst of 10,000 windows 0.75
TONE_SHARE_MIN = 0.012  # of the weaker tone: 12 dB of twist leaves it 0.06
# A tone that starts 5 ms before the end of a chunk is judged by the last window alone before its head is sent; one
# that starts earlier has further windows. So the last one is laxer: it buys the corners for 1 window in 16.
LAST_HOP_SCORE_MARGIN = 3.0
SUSTAIN_EXPLAINED_MIN = 0.82  # rough share of 15 ms, while a mute is open


def _score_matrix() -> NDArray[np.float32]:
    """Return the weights as an 8 x 8 matrix M, flat: score = f' M f where f is the features and a 1."""
    matrix = np.zeros((N_FEATURES + 1, N_FEATURES + 1))
    matrix[N_FEATURES, N_FEATURES] = WEIGHTS[0]
    matrix[N_FEATURES, :N_FEATURES] = WEIGHTS[1 : 1 + N_FEATURES]
    matrix[np.triu_indices(N_FEATURES)] = WEIGHTS[1 + N_FEATURES :]
    return matrix.astype(np.float32).ravel()


SCORE_MATRIX = _score_matrix()
CAPTURE_ENERGY_MIN = WINDOW_SAMPLES * mean_square(CAPTURE_LEVEL_DBM0_MIN)
GUARD_ENERGY_MIN = WINDOW_SAMPLES * mean_square(GUARD_LEVEL_DBM0_MIN)


# Of the sum of two tones fitted one by one, where the joint fit explains EXPLAINED_MIN: the bases of 941 and 1209 Hz
# overlap by 0.21 over 5 ms, and the energies of single tones are 5 % rough.
ROUGH_EXPLAINED_MIN = 0.78 * 0.95 * EXPLAINED_MIN
ROUGH_SHARE_MIN = 0.5 * TONE_SHARE_MIN


@vector_kernel
def rough_suspects(leg: Any, n_hops: int, mode: int) -> int:
    """Return bits of the chunk's hops whose 5 ms are worth an exact fit, by level and by the rough share of two tones.

    Outside a capture only hops that end a step are looked at.
    """
    guard = mode != MODE_CAPTURE
    energy_min = np.float32(GUARD_ENERGY_MIN if guard else CAPTURE_ENERGY_MIN)
    at = CHUNK_STEPS
    bits = _rough_bits(leg.window_energies, leg.window_rows, leg.window_columns, at, energy_min)
    bits = spread_bits(bits) << 1
    if not guard:
        middle = _rough_bits(leg.between_energies, leg.between_rows, leg.between_columns, 0, energy_min)
        bits |= spread_bits(middle)
    return int(bits & ((1 << n_hops) - 1))


@vector_kernel
def _rough_bits(energies: Any, rows: Any, columns: Any, at: int, energy_min: np.float32) -> int:
    energy, row, column = load8(energies, at), load8(rows, at), load8(columns, at)
    share_min = np.float32(ROUGH_SHARE_MIN) * energy
    found = above8(energy, splat8(energy_min)) & above8(
        row + column, np.float32(ROUGH_EXPLAINED_MIN) * energy
    )
    return int(found & above8(row, share_min) & above8(column, share_min))


@vector_kernel
def spread_bits(bits: int) -> int:
    """Move bit k of eight to bit 2 k."""
    bits = (bits | (bits << 4)) & 0x0F0F
    bits = (bits | (bits << 2)) & 0x3333
    return (bits | (bits << 1)) & 0x5555


@vector_kernel
def is_suspect(leg: Any, end_hop: int, mode: int, last: bool) -> bool:
    """Tell whether the 5 ms that end with `end_hop` may be a key's, by the thresholds of `mode`.

    last: it is the last of its chunk; in a capture it is judged LAST_HOP_SCORE_MARGIN laxer.
    """
    fit_window(leg, end_hop)
    if not may_be_tones(leg):
        return False
    measure_features(leg, end_hop)
    if mode == MODE_GUARD:
        return bool(score(leg) > GUARD_SCORE_MIN)
    return bool(score(leg) > (CAPTURE_SCORE_MIN - LAST_HOP_SCORE_MARGIN if last else CAPTURE_SCORE_MIN))


@vector_kernel
def may_be_tones(leg: Any) -> bool:
    """Tell by the share of energy explained and of the weaker tone whether the score is worth computing."""
    energy = leg.window_energy
    weaker = min(leg.window_row_energy, leg.window_column_energy)
    return bool(leg.window_explained > EXPLAINED_MIN * energy and weaker > TONE_SHARE_MIN * energy)


@vector_kernel
def measure_features(leg: Any, end_hop: int) -> None:
    """Fill leg.features: three log shares, lag-1 correlation, imbalance of the halves, second tones of the groups."""
    scale = 1.0 / leg.window_energy
    newer = newer_energy(leg, end_hop)
    f = leg.features
    floor = np.float32(1e-3)
    f[0] = log(max(floor, np.float32(1.0 - leg.window_explained * scale)))
    f[1] = log(max(floor, np.float32(leg.window_row_energy * scale)))
    f[2] = log(max(floor, np.float32(leg.window_column_energy * scale)))
    f[3] = lag_product(leg, end_hop) * scale
    f[4] = abs(newer * scale - 0.5)
    f[5] = leg.window_second_row * scale
    f[6] = leg.window_second_column * scale
    f[7] = np.float32(1.0)


@vector_kernel
def score(leg: Any) -> float:
    """Return the log odds of a tone pair from leg.features: constant, linear and quadratic terms."""
    f = leg.features
    total = f[0] * load8(SCORE_MATRIX, 0)
    for i in range(1, 8):
        total = total + f[i] * load8(SCORE_MATRIX, 8 * i)
    store8(leg.folded, 0, total * load8(f, 0))
    return float(sum8(leg.folded))
