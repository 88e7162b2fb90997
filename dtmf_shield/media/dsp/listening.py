"""One pass over a chunk of raw audio: suspicion per hop, registration per step. Writes no audio.

The detector listens for keys only; the masker turns the suspicion found here into replaced samples.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.dsp.front_end import keep_last_hops, load_chunk, measure_window, push_step, sum_halves
from dtmf_shield.media.dsp.kernel import vector_kernel
from dtmf_shield.media.dsp.leg_state import RING_SAMPLES
from dtmf_shield.media.dsp.levels import mean_square
from dtmf_shield.media.dsp.registration import count_step, judge_window, window_energy, worth_judging
from dtmf_shield.media.dsp.suspicion import (
    CAPTURE_LEVEL_DBM0_MIN,
    MODE_GUARD,
    SUSTAIN_EXPLAINED_MIN,
    is_suspect,
)
from dtmf_shield.media.dsp.tables import HOP_SAMPLES, KEY_CODES, STEP_SAMPLES, WINDOW_HOPS, WINDOW_SAMPLES

TAIL_SAMPLES = 96  # 12 ms muted after the last suspect hop
REOPEN_SAMPLES = 40  # 5 ms after the mute closed, 15 ms of tone may still extend it
SUSTAIN_ENERGY_MIN = SUSTAIN_EXPLAINED_MIN * RING_SAMPLES * mean_square(CAPTURE_LEVEL_DBM0_MIN)
QUIET_HOP_ENERGY = HOP_SAMPLES * mean_square(CAPTURE_LEVEL_DBM0_MIN - 3.0)


@vector_kernel
def listen_chunk(
    leg: Any, pcm: NDArray[np.int16], first: int, n: int, mode: int, keys: NDArray[np.uint8], n_keys: int
) -> int:
    """Judge samples [first, first + n) of `pcm`; return the number of keys of this packet so far.

    n is a multiple of 20 and at most 160. Sets leg.suspect_hops and advances leg.position_samples.
    """
    loudest = load_chunk(leg, pcm, first, n, QUIET_HOP_ENERGY)
    leg.suspect_hops = np.uint32(0)
    quiet = loudest < QUIET_HOP_ENERGY
    for step in range(n // STEP_SAMPLES):
        end_hop = WINDOW_HOPS + 2 * step + 2
        if mode != MODE_GUARD and not quiet:
            _suspect_hop(leg, end_hop - 1, mode, leg.position_samples + HOP_SAMPLES, False)
        leg.position_samples += STEP_SAMPLES
        leg.known_samples += STEP_SAMPLES
        _suspect_hop(leg, end_hop, mode, leg.position_samples, step == n // STEP_SAMPLES - 1)
        n_keys = _register_step(leg, end_hop, keys, n_keys)
    keep_last_hops(leg, n // HOP_SAMPLES)
    return n_keys


@vector_kernel
def skip_chunk(leg: Any, n: int) -> None:
    """Let n samples pass that were not received: counters freeze, no window reaches over the gap."""
    leg.position_samples += n
    leg.known_samples = 0


@vector_kernel
def _suspect_hop(leg: Any, end_hop: int, mode: int, position_samples: int, last: bool) -> None:
    """Judge the 5 ms that end with hop `end_hop`, the last of the chunk or not, and mark the hop."""
    if leg.known_samples < WINDOW_SAMPLES:
        return
    measure_window(leg, end_hop)
    if is_suspect(leg, end_hop, mode, last):
        _mark(leg, end_hop, position_samples)


@vector_kernel
def _register_step(leg: Any, end_hop: int, keys: NDArray[np.uint8], n_keys: int) -> int:
    """Push the step into the 15 ms ring, sustain an open mute, count the step; return the number of keys."""
    position = leg.position_samples
    slot = push_step(leg, end_hop, position)
    leg.ring_explained[slot] = leg.window_explained
    leg.ring_weaker[slot] = min(leg.window_row_energy, leg.window_column_energy)
    if leg.known_samples < RING_SAMPLES:
        return n_keys
    energy = window_energy(leg)
    sustaining = position <= leg.sustain_until_samples
    key = 0
    if sustaining or worth_judging(leg, slot, energy):
        sum_halves(leg, slot)
        key = judge_window(leg, energy)
        if sustaining and leg.halves_explained > SUSTAIN_EXPLAINED_MIN * energy > SUSTAIN_ENERGY_MIN:
            _mark(leg, end_hop, position)
    if key == 0 and leg.run_key == 0 and leg.open_key == 0:
        return n_keys  # nothing to count: the usual case
    return count_step(leg, key, position, keys, n_keys, KEY_CODES)


@vector_kernel
def _mark(leg: Any, end_hop: int, position_samples: int) -> None:
    """Mark the hop as suspect and keep the sustain window open after it."""
    leg.suspect_hops |= np.uint32(1 << (end_hop - WINDOW_HOPS - 1))
    leg.sustain_until_samples = position_samples + TAIL_SAMPLES + REOPEN_SAMPLES
