"""One pass over a chunk of raw audio: screen, suspicion per hop, registration per step. Writes no audio.

The detector listens for keys only; the masker turns the suspicion found here into replaced samples.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.dsp.dial_tone import filter_chunk, is_loud, look_for_dial_tone
from dtmf_shield.media.dsp.fragment import fragment_hops
from dtmf_shield.media.dsp.front_end import analyse_chunk, keep_history
from dtmf_shield.media.dsp.kernel import vector_kernel
from dtmf_shield.media.dsp.key_run import count_step, is_steady
from dtmf_shield.media.dsp.leg_state import CHUNK_HOPS, FRAGMENT_HOPS
from dtmf_shield.media.dsp.levels import mean_square
from dtmf_shield.media.dsp.registration import (
    LEVEL_DBM0_MIN,
    ROUGH_HELD_MIN,
    ROUGH_PURITY_MIN,
    judge_window,
    rough_keys,
)
from dtmf_shield.media.dsp.screen import screen_chunk
from dtmf_shield.media.dsp.suspicion import (
    CAPTURE_ENERGY_MIN,
    CAPTURE_LEVEL_DBM0_MIN,
    GUARD_ENERGY_MIN,
    MODE_CAPTURE,
    SUSTAIN_EXPLAINED_MIN,
    is_suspect,
    rough_suspects,
)
from dtmf_shield.media.dsp.tables import HOP_SAMPLES, RING_HOPS, RING_SAMPLES, STEP_SAMPLES, WINDOW_HOPS

TAIL_SAMPLES = 96  # 12 ms muted after the last suspect hop
REOPEN_SAMPLES = 40  # 5 ms after the mute closed, 15 ms of tone may still extend it
_SUSTAIN_ENERGY_MIN = RING_SAMPLES * mean_square(CAPTURE_LEVEL_DBM0_MIN)
_KEY_ENERGY_MIN = RING_SAMPLES * mean_square(LEVEL_DBM0_MIN)
_FRAGMENT_BLIND_SAMPLES = (FRAGMENT_HOPS - CHUNK_HOPS) * HOP_SAMPLES  # it would see what was before a gap
_STEP_HOPS = STEP_SAMPLES // HOP_SAMPLES


@vector_kernel
def listen_chunk(leg: Any, n: int, mode: int, keys: NDArray[np.uint8], n_keys: int) -> int:
    """Judge the n samples that lie behind the history in leg.samples; return the number of keys of this packet so far.

    n is a multiple of 20 and at most 160. Sets leg.suspect_hops and advances leg.position_samples.
    """
    leg.suspect_hops = np.uint32(0)
    energy_min = CAPTURE_ENERGY_MIN if mode == MODE_CAPTURE else GUARD_ENERGY_MIN
    filter_chunk(leg, n)
    passed = screen_chunk(leg, n // STEP_SAMPLES, energy_min)
    if leg.dial_energy <= 0.0 and is_loud(leg) and look_for_dial_tone(leg, n):
        passed = screen_chunk(leg, n // STEP_SAMPLES, energy_min)
    if passed == 0 and not _is_busy(leg):
        leg.hops_known = 0
        leg.tone_streak = 0
        leg.position_samples += n
        leg.known_samples += n
    else:
        n_keys = _listen_closely(leg, n // HOP_SAMPLES, mode, keys, n_keys)
    keep_history(leg, n)
    return n_keys


@vector_kernel
def skip_chunk(leg: Any, n: int) -> None:
    """Let n samples pass that were not received: counters freeze, no window reaches over the gap."""
    if leg.known_samples > 0:
        leg.gap_samples = leg.after_streak = 0
        leg.gap_streak = leg.tone_streak
        leg.tone_streak = 0
    leg.gap_samples += n
    leg.position_samples += n
    leg.known_samples = 0


@vector_kernel
def _is_busy(leg: Any) -> bool:
    """Tell whether a key has begun or a mute may have to be sustained: then no chunk is screened out."""
    return bool(
        leg.run_key != 0
        or leg.open_key != 0
        or leg.fragment_pending != 0
        or leg.position_samples <= leg.sustain_until_samples
    )


@vector_kernel
def _listen_closely(leg: Any, n_hops: int, mode: int, keys: NDArray[np.uint8], n_keys: int) -> int:
    """Judge every hop and step of the chunk that is worth it; return the number of keys."""
    analyse_chunk(leg, n_hops, mode == MODE_CAPTURE)
    suspects = rough_suspects(leg, n_hops, mode)
    # Windows that reach back over a gap hold samples from before it.
    blind_hops = WINDOW_HOPS - 1 - leg.known_samples // HOP_SAMPLES
    if blind_hops > 0:
        suspects = (suspects >> blind_hops) << blind_hops
    stride_hops = 1 if mode == MODE_CAPTURE else _STEP_HOPS
    _count_streak(leg, suspects, n_hops, stride_hops)
    if leg.known_samples < RING_SAMPLES and leg.gap_samples > 0:
        _count_after_gap(leg, suspects, n_hops, stride_hops)
    likely = rough_keys(leg, ROUGH_PURITY_MIN, _KEY_ENERGY_MIN)
    fragments = 0
    if mode == MODE_CAPTURE and leg.known_samples >= _FRAGMENT_BLIND_SAMPLES:
        fragments = fragment_hops(leg, n_hops)
    else:
        leg.fragment_pending = 0
    if suspects == 0 and likely == 0 and fragments == 0 and not _is_busy(leg):
        leg.position_samples += n_hops * HOP_SAMPLES
        leg.known_samples += n_hops * HOP_SAMPLES
        return n_keys
    tones = rough_keys(leg, SUSTAIN_EXPLAINED_MIN, _SUSTAIN_ENERGY_MIN)
    possible = rough_keys(leg, ROUGH_HELD_MIN, _KEY_ENERGY_MIN)
    for hop in range(n_hops):
        leg.position_samples += HOP_SAMPLES
        leg.known_samples += HOP_SAMPLES
        step = hop >> 1
        # Where 15 ms of tone keep an open mute open anyway, nobody need ask about 5.
        sustained = (tones >> step) & 1 != 0 and leg.position_samples <= leg.sustain_until_samples
        if sustained and leg.known_samples >= RING_SAMPLES + HOP_SAMPLES:
            if hop & 1:
                _mark(leg, hop)
        elif (suspects >> hop) & 1 and is_suspect(leg, CHUNK_HOPS + hop, mode, hop == n_hops - 1):
            _mark(leg, hop)
        if (fragments >> hop) & 1:
            leg.suspect_hops |= np.uint32(1 << hop)
        if hop & 1 and leg.known_samples >= RING_SAMPLES:
            n_keys = _judge_step(
                leg, step, (likely >> step) & 1 != 0, (possible >> step) & 1 != 0, keys, n_keys
            )
    return n_keys


@vector_kernel
def _judge_step(
    leg: Any, step: int, likely: bool, possible: bool, keys: NDArray[np.uint8], n_keys: int
) -> int:
    """Judge the 15 ms that end with `step` where a key may begin or goes on; return the number of keys."""
    held = leg.run_key if leg.run_key != 0 else leg.open_key
    if held == 0 and not likely:
        return n_keys
    if is_steady(leg) and likely and leg.position_samples % (2 * STEP_SAMPLES) != 0:
        return n_keys  # a held key is looked at every 5 ms, whatever the packets
    verdict = judge_window(leg, step, held) if possible else 0
    if verdict == 0 and held == 0:
        return n_keys
    return count_step(leg, verdict, leg.position_samples, keys, n_keys)


@vector_kernel
def _count_streak(leg: Any, suspects: int, n_hops: int, stride_hops: int) -> None:
    """Keep for how many hops in a row, one in stride looked at, windows looked like tones up to the chunk's end."""
    streak = 0
    while streak < n_hops and (suspects >> (n_hops - 1 - streak)) & 1:
        streak += stride_hops
    leg.tone_streak = leg.tone_streak + streak if streak >= n_hops else streak


@vector_kernel
def _count_after_gap(leg: Any, suspects: int, n_hops: int, stride_hops: int) -> None:
    """Keep for how many hops in a row windows looked like tones from the gap on, in the first 15 ms behind it."""
    known_hops = leg.known_samples // HOP_SAMPLES
    first = WINDOW_HOPS - 1 - known_hops
    last = min(n_hops, RING_HOPS - known_hops)
    while 0 <= first + leg.after_streak < last and (suspects >> (first + leg.after_streak)) & 1:
        leg.after_streak += stride_hops


@vector_kernel
def _mark(leg: Any, hop: int) -> None:
    """Mark the hop as suspect and keep the sustain window open after it."""
    leg.suspect_hops |= np.uint32(1 << hop)
    leg.sustain_until_samples = leg.position_samples + TAIL_SAMPLES + REOPEN_SAMPLES
