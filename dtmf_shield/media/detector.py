"""Detector: hears keys on one leg and writes no audio; for file analysis and for legs that are only listened to.

A leg that is shielded needs no second detector: `masker.shield_packet` registers the same keys from the same state.
"""

from math import log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.dsp.half_band import forget_half_band, take_chunk
from dtmf_shield.media.dsp.kernel import kernel
from dtmf_shield.media.dsp.leg_state import (
    CHUNK_SAMPLES,
    SHIELD_STATE_DTYPE,
    ShieldState,
    reset_row,
)
from dtmf_shield.media.dsp.levels import mean_square
from dtmf_shield.media.dsp.listening import listen_chunk, skip_chunk
from dtmf_shield.media.dsp.suspicion import MODE_GUARD
from dtmf_shield.media.dsp.tables import RING_SAMPLES, STEP_SAMPLES

__all__ = [
    "SHIELD_STATE_DTYPE",
    "ShieldState",
    "detect_packet",
    "detect_wideband_packet",
    "key_end_samples",
    "key_level_dbm0",
    "key_twist_db",
    "keys_ended",
    "reset_detector",
    "skip_packet",
]

_ZERO_DBM0_TONE_POWER = 0.5 * RING_SAMPLES**2 * mean_square(0.0)

reset_detector = reset_row


@kernel
def detect_packet(state: ShieldState, row: int, pcm: NDArray[np.int16], keys: NDArray[np.uint8]) -> int:
    """Judge one received packet; return how many keys registered in it.

    pcm: int16 (n,), raw, 8 kHz, n a multiple of 20 (any other length counts as not received).
    keys: uint8 (16,), the first (result) entries are ASCII codes of keys.
    """
    return _detect(state[row], pcm, keys, 1)


@kernel
def detect_wideband_packet(
    state: ShieldState, row: int, pcm: NDArray[np.int16], keys: NDArray[np.uint8]
) -> int:
    """Do as `detect_packet` does at 16 kHz: n a multiple of 40. Onsets and ends are told at 8 kHz."""
    return _detect(state[row], pcm, keys, 2)


@kernel
def skip_packet(state: ShieldState, row: int, n: int) -> None:
    """Let n samples at 8 kHz pass that were not received; n is rounded up to a multiple of 20."""
    steps = (n + STEP_SAMPLES - 1) // STEP_SAMPLES
    skip_chunk(state[row], steps * STEP_SAMPLES)
    forget_half_band(state[row])


@kernel
def keys_ended(state: ShieldState, row: int) -> int:
    """Return how many registered keys have ended on this leg."""
    return int(state[row].keys_ended)


@kernel
def key_end_samples(state: ShieldState, row: int) -> int:
    """Return where the key that ended last fell silent, in samples since the leg's first."""
    return int(state[row].key_end_samples)


def key_level_dbm0(state: ShieldState, row: int) -> float:
    """Return the mean level of a tone, in dBm0, of the key registered last."""
    product = float(state[row]["key_row_energy"]) * float(state[row]["key_column_energy"])
    return 5.0 * log10(max(product, 1e-9) / _ZERO_DBM0_TONE_POWER**2)


def key_twist_db(state: ShieldState, row: int) -> float:
    """Return column minus row level in dB, of the key registered last."""
    row_energy, column_energy = float(state[row]["key_row_energy"]), float(state[row]["key_column_energy"])
    return 10.0 * log10(max(column_energy, 1e-9) / max(row_energy, 1e-9))


@kernel
def _detect(leg: Any, pcm: NDArray[np.int16], keys: NDArray[np.uint8], factor: int) -> int:
    """Judge one packet at factor * 8 kHz."""
    n = len(pcm)
    step = factor * STEP_SAMPLES
    if n % step != 0:
        skip_chunk(leg, (n + step - 1) // step * STEP_SAMPLES)
        forget_half_band(leg)
        return 0
    n_keys = 0
    first = 0
    while first < n // factor:
        size = min(CHUNK_SAMPLES, n // factor - first)
        take_chunk(leg, pcm, first, size, factor)
        n_keys = listen_chunk(leg, size, MODE_GUARD, keys, n_keys)
        first += size
    return n_keys
