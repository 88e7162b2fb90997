"""Suspicion: the lax test that mutes. Does a tone pair fill the last 5 ms?

Judged on the 5 ms least-squares fit of `front_end.measure_window`: a cheap test on the share of energy explained,
then a quadratic score of seven features with weights trained by `bench/train_suspicion.py` (seeded, synthetic). It
makes no keys: see `registration.py`.
"""

from math import log
from typing import Any

from dtmf_shield.media.dsp.kernel import vector_kernel
from dtmf_shield.media.dsp.leg_state import N_FEATURES
from dtmf_shield.media.dsp.levels import mean_square
from dtmf_shield.media.dsp.suspicion_weights import CAPTURE_SCORE_MIN, GUARD_SCORE_MIN, WEIGHTS
from dtmf_shield.media.dsp.tables import WINDOW_HOPS, WINDOW_SAMPLES

MODE_MUTE, MODE_GUARD, MODE_CAPTURE = 0, 1, 2

# Capture: quiet echoes of keys stay decodable, so the gate is far below what a key must reach to register.
CAPTURE_LEVEL_DBM0_MIN = -60.0
# Guard: outside a capture speech must not be cut up, and a key that does not register is no key.
GUARD_LEVEL_DBM0_MIN = -42.0
EXPLAINED_MIN = 0.75  # below it no tone pair at SNR 12 dB or better fills the window
TONE_SHARE_MIN = 0.015  # of the weaker tone: 12 dB of twist leaves it 0.06
# A tone that starts 5 ms before the end of a chunk is judged by the last window alone before its head is sent; one
# that starts earlier has further windows. So the last one is laxer: it buys the corners for 1 window in 16.
LAST_HOP_SCORE_MARGIN = 3.0
SUSTAIN_EXPLAINED_MIN = 0.70  # of 15 ms, while a mute is open

CAPTURE_ENERGY_MIN = WINDOW_SAMPLES * mean_square(CAPTURE_LEVEL_DBM0_MIN)
GUARD_ENERGY_MIN = WINDOW_SAMPLES * mean_square(GUARD_LEVEL_DBM0_MIN)


@vector_kernel
def is_suspect(leg: Any, end_hop: int, mode: int, last: bool) -> bool:
    """Tell whether the window last measured, which ends with `end_hop`, may be a key's, by the thresholds of `mode`.

    last: it is the last of its chunk; in a capture it is judged LAST_HOP_SCORE_MARGIN laxer.
    """
    guard = mode == MODE_GUARD
    if leg.window_energy <= (GUARD_ENERGY_MIN if guard else CAPTURE_ENERGY_MIN) or not may_be_tones(leg):
        return False
    measure_features(leg, end_hop)
    limit = GUARD_SCORE_MIN if guard else CAPTURE_SCORE_MIN
    return bool(score(leg) > (limit - LAST_HOP_SCORE_MARGIN if last and not guard else limit))


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
    lag = newer = 0.0
    for hop in range(end_hop - WINDOW_HOPS, end_hop):
        lag += leg.hop_lags[hop]
        if hop >= end_hop - WINDOW_HOPS // 2:
            newer += leg.hop_energies[hop]
    f = leg.features
    f[0] = log(max(1e-3, 1.0 - leg.window_explained * scale))
    f[1] = log(max(1e-3, leg.window_row_energy * scale))
    f[2] = log(max(1e-3, leg.window_column_energy * scale))
    f[3] = lag * scale
    f[4] = abs(newer * scale - 0.5)
    f[5] = leg.window_second_row * scale
    f[6] = leg.window_second_column * scale


@vector_kernel
def score(leg: Any) -> float:
    """Return the log odds of a tone pair from leg.features: constant, linear and quadratic terms."""
    f = leg.features
    total = WEIGHTS[0]
    at = 1 + N_FEATURES
    for i in range(N_FEATURES):
        total += WEIGHTS[1 + i] * f[i]
        for j in range(i, N_FEATURES):
            total += WEIGHTS[at] * f[i] * f[j]
            at += 1
    return float(total)
