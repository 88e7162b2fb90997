"""Fragments: what is left of a key that a carrier cut out, 2 to 5 ms of tone with quiet before and after.

Too short to fill a 5 ms window, long enough to name the key. No tone test is sharp in so short a time, but speech has
few such bursts: loud for a moment, 13 dB quieter before and after, and what there is divided between the rows' and the
columns' band. In a capture only.
"""

from typing import Any

import numpy as np

from dtmf_shield.media.dsp.kernel import vector_kernel
from dtmf_shield.media.dsp.lanes import (
    above8,
    load8,
    lower_five,
    pair_products,
    splat8,
    store8,
    sum_rows,
)
from dtmf_shield.media.dsp.leg_state import CHUNK_HOPS, FRAGMENT_HOPS
from dtmf_shield.media.dsp.levels import mean_square
from dtmf_shield.media.dsp.tables import HOP_SAMPLES, N_TONES, RING_COSINES, RING_SINES, WINDOW_HOPS

LEVEL_DBM0_MIN = -45.0  # of its loudest hop
QUIET_SHARE = 0.05  # of the loudest hop, 13 dB: what is before and after may have
HOPS_MAX = 5  # 5 ms, not on the grid
SHARE_MIN = 0.03  # of the weaker tone
BOTH_SHARE_MIN = 0.40  # of both: 2 ms cut by the grid leave 0.4 of the energy to two tones that would last
# Lag-1 correlation: 0.22 to 0.83 in keys of twist -8 to +6 dB, cut to 2 to 5 ms and at SNR 15 dB.
CORRELATION_MIN, CORRELATION_MAX = 0.15, 0.87

_ENERGY_MIN = HOP_SAMPLES * mean_square(LEVEL_DBM0_MIN)
_QUIETEST = QUIET_SHARE * _ENERGY_MIN
_HISTORY_HOPS = FRAGMENT_HOPS - CHUNK_HOPS
_FIRST_ROW = CHUNK_HOPS - _HISTORY_HOPS  # row of leg.samples' hops that hop_energies begin with


@vector_kernel
def fragment_hops(leg: Any, n_hops: int) -> int:
    """Return bits of the chunk's hops whose 5 ms window a mute over a fragment begins with.

    Sets leg.fragment_pending where one may have begun in the last 5 ms, which are held back: the next chunk tells.
    """
    _measure_hops(leg, n_hops)
    end = _HISTORY_HOPS + n_hops
    leg.fragment_pending = 0
    bits = 0
    for group in range(0, end, N_TONES):
        rises = _rises(leg, group) if group > 0 else _rises(leg, 0) & 0xF0  # 5 ms before are looked at
        while rises != 0:
            first = group
            while (rises >> (first - group)) & 1 == 0:
                first += 1
            rises &= rises - 1
            if first >= end:
                break
            if first >= end - WINDOW_HOPS:
                leg.fragment_pending = 1
            elif _is_fragment(leg, first, end):
                bits |= 1 << max(0, first + WINDOW_HOPS - 1 - _HISTORY_HOPS)
    return bits


@vector_kernel
def _measure_hops(leg: Any, n_hops: int) -> None:
    """Set hop_energies: sums of squares of 8 hops of the history and those of the chunk."""
    samples, block = leg.samples, leg.block
    for group in range(0, _HISTORY_HOPS + n_hops, N_TONES):
        for row in range(N_TONES):
            at = HOP_SAMPLES * (_FIRST_ROW + group + row)
            store8(block, N_TONES * row, lower_five(pair_products(samples, at, samples, at)))
        store8(leg.hop_energies, WINDOW_HOPS + group, sum_rows(block))


@vector_kernel
def _rises(leg: Any, group: int) -> int:
    """Return bits of the eight hops from `group` on that stand out from the 5 ms before them."""
    energies, at = leg.hop_energies, WINDOW_HOPS + group
    before = (
        load8(energies, at - 1) + load8(energies, at - 2) + load8(energies, at - 3) + load8(energies, at - 4)
    )
    loud = load8(energies, at)
    mean = np.float32(1.0 / WINDOW_HOPS)
    return int(
        above8(np.float32(QUIET_SHARE) * loud, mean * before) & above8(loud, splat8(np.float32(_QUIETEST)))
    )


@vector_kernel
def _is_fragment(leg: Any, first: int, end: int) -> bool:
    """Tell whether a burst that begins with hop `first` ends before `end` and may be of two tones."""
    energies = leg.hop_energies
    loudest = total = 0.0
    for n in range(1, HOPS_MAX + 1):
        if first + n >= end:
            return False
        energy = float(energies[WINDOW_HOPS + first + n - 1])
        total += energy
        loudest = max(loudest, energy)
        quiet = energies[WINDOW_HOPS + first + n] < QUIET_SHARE * loudest
        if quiet and loudest > _ENERGY_MIN:
            return _looks_like_tones(leg, first, n, total)
    return False


@vector_kernel
def _looks_like_tones(leg: Any, first: int, n: int, energy: float) -> bool:
    """Tell by correlation and by the shares of the strongest row and column whether n hops may be a key's."""
    samples, row = leg.samples, _FIRST_ROW + first
    lag = 0.0
    for at in range(HOP_SAMPLES * row, HOP_SAMPLES * (row + n)):
        lag += float(samples[at]) * float(samples[at - 1])
    if lag < CORRELATION_MIN * energy or lag > CORRELATION_MAX * energy:
        return False
    re = im = splat8(np.float32(0.0))
    for hop in range(n):
        c, s = load8(RING_COSINES, N_TONES * hop), load8(RING_SINES, N_TONES * hop)
        r, i = load8(leg.hops_re, N_TONES * (row + hop)), load8(leg.hops_im, N_TONES * (row + hop))
        re, im = re + (c * r + s * i), im + (c * i - s * r)
    store8(leg.u, 0, re * re + im * im)
    u, scale = leg.u, 2.0 / (HOP_SAMPLES * n)
    rows, columns = scale * max(u[0], u[1], u[2], u[3]), scale * max(u[4], u[5], u[6], u[7])
    return bool(min(rows, columns) > SHARE_MIN * energy and rows + columns > BOTH_SHARE_MIN * energy)
