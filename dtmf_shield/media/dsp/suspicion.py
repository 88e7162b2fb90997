"""Suspicion: the lax test that mutes. Does a tone pair fill the last 5 ms?

Judged on the 5 ms least-squares fit of `front_end.measure_window`. It makes no keys: see `registration.py`.
"""

from typing import Any

from dtmf_shield.media.dsp.kernel import vector_kernel
from dtmf_shield.media.dsp.levels import mean_square
from dtmf_shield.media.dsp.tables import WINDOW_SAMPLES

MODE_MUTE, MODE_GUARD, MODE_CAPTURE = 0, 1, 2

# Capture: quiet echoes of keys stay decodable, so the gate is far below what a key must reach to register.
CAPTURE_LEVEL_DBM0_MIN = -60.0
CAPTURE_EXPLAINED_MIN = 0.80
CAPTURE_TONE_SHARE_MIN = 0.01
# Guard: outside a capture speech must not be cut up.
GUARD_LEVEL_DBM0_MIN = -40.0
GUARD_EXPLAINED_MIN = 0.95
GUARD_TONE_SHARE_MIN = 0.08
SUSTAIN_EXPLAINED_MIN = 0.70  # of 15 ms, while a mute is open

CAPTURE_ENERGY_MIN = WINDOW_SAMPLES * mean_square(CAPTURE_LEVEL_DBM0_MIN)
GUARD_ENERGY_MIN = WINDOW_SAMPLES * mean_square(GUARD_LEVEL_DBM0_MIN)


@vector_kernel
def is_suspect(leg: Any, mode: int) -> bool:
    """Tell whether the window last measured may be the sound of a key, by the thresholds of `mode`."""
    energy, explained = leg.window_energy, leg.window_explained
    weaker = min(leg.window_row_energy, leg.window_column_energy)
    if mode == MODE_GUARD:
        return bool(
            energy > GUARD_ENERGY_MIN
            and explained > GUARD_EXPLAINED_MIN * energy
            and weaker > GUARD_TONE_SHARE_MIN * energy
        )
    return bool(
        energy > CAPTURE_ENERGY_MIN
        and explained > CAPTURE_EXPLAINED_MIN * energy
        and weaker > CAPTURE_TONE_SHARE_MIN * energy
    )
