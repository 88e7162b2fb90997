"""Front end of detector and masker: correlations with the eight tones hop by hop, then 5 ms windows and 15 ms halves.

Works on one `SHIELD_STATE_DTYPE` record ("leg"), eight tones a register. Judges nothing: the thresholds live in
`registration.py` and `suspicion.py`. Correlations are counted from the middle of what they span, so that cosines are
even and sines odd, and a hop of 10 samples costs 5 products a tone and part.
"""

from typing import Any

import numpy as np

from dtmf_shield.media.dsp.kernel import vector_kernel
from dtmf_shield.media.dsp.lanes import (
    correlate10,
    larger8,
    load8,
    lower_four,
    lower_two,
    move_samples,
    pair_products,
    splat8,
    store8,
    sum8,
    sum_rows,
    transpose8,
)
from dtmf_shield.media.dsp.leg_state import CHUNK_HOPS, CHUNK_SAMPLES, CHUNK_STEPS
from dtmf_shield.media.dsp.tables import (
    COSINE_INVERSES,
    COSINE_NORMS,
    HOP_COSINES,
    HOP_SAMPLES,
    HOP_SINES,
    N_TONES,
    RING_COSINES,
    RING_HOPS,
    RING_SINES,
    SINE_INVERSES,
    SINE_NORMS,
    STEP_SAMPLES,
    WINDOW_COSINES,
    WINDOW_SAMPLES,
    WINDOW_SINES,
)

_LANES = N_TONES
_STEP_HOPS = STEP_SAMPLES // HOP_SAMPLES
HISTORY_HOPS = RING_HOPS  # one more than a window of 15 ms reaches back
_POWER_TO_ENERGY = 2.0 / WINDOW_SAMPLES  # of one tone fitted alone, within 5 %


@vector_kernel
def analyse_chunk(leg: Any, n_hops: int, between: bool) -> None:
    """Compute the chunk's hops and windows, and first those of a history that was screened out.

    between: also the windows that end in the middle of a step.
    """
    if leg.hops_known == 0:
        for hop in range(CHUNK_HOPS - HISTORY_HOPS, CHUNK_HOPS):
            _correlate_hop(leg, hop)
        _measure_windows(leg, CHUNK_HOPS // 2 + 1, 4, 4, leg.window_rows, leg.window_columns)
        leg.hops_known = 1
    for hop in range(CHUNK_HOPS, CHUNK_HOPS + n_hops):
        _correlate_hop(leg, hop)
    n_steps = n_hops // _STEP_HOPS
    _measure_windows(leg, CHUNK_HOPS + 1, n_steps, CHUNK_STEPS, leg.window_rows, leg.window_columns)
    if between:
        _measure_windows(leg, CHUNK_HOPS, n_steps, 0, leg.between_rows, leg.between_columns)
        _measure_between(leg, n_steps)


@vector_kernel
def keep_history(leg: Any, n: int) -> None:
    """Make the last 20 ms the history of the next chunk, after one of n samples."""
    move_samples(leg.samples, 0, leg.samples, n, CHUNK_SAMPLES)
    n_steps = n // STEP_SAMPLES
    energies = leg.window_energies
    store8(energies, 0, load8(energies, n_steps))
    if leg.hops_known == 0:
        return
    re, im, rows, columns = leg.hops_re, leg.hops_im, leg.window_rows, leg.window_columns
    store8(rows, 0, load8(rows, n_steps))
    store8(columns, 0, load8(columns, n_steps))
    # No window reaches back further than 15 ms; of a short chunk's history more is kept for the next.
    n_hops = n // HOP_SAMPLES
    for hop in range(CHUNK_HOPS - HISTORY_HOPS, CHUNK_HOPS):
        store8(re, _LANES * hop, load8(re, _LANES * (n_hops + hop)))
        store8(im, _LANES * hop, load8(im, _LANES * (n_hops + hop)))


@vector_kernel
def _correlate_hop(leg: Any, hop: int) -> None:
    """Set row `hop` of hops_re and hops_im, HOP_SCALE times the correlations counted from the hop's middle."""
    at = HOP_SAMPLES * hop
    store8(leg.hops_re, _LANES * hop, correlate10(leg.samples, at, HOP_COSINES, 0))
    store8(leg.hops_im, _LANES * hop, correlate10(leg.samples, at, HOP_SINES, 0))


@vector_kernel
def _measure_between(leg: Any, n_steps: int) -> None:
    """Set between_energies: sums of squares of the 5 ms that end in the middle of each step of the chunk."""
    samples, block = leg.samples, leg.block
    for step in range(n_steps):
        at = CHUNK_SAMPLES + STEP_SAMPLES * step + HOP_SAMPLES - WINDOW_SAMPLES
        store8(block, _LANES * step, window_products(samples, at, at))
    store8(leg.between_energies, 0, sum_rows(block))


@vector_kernel
def window_products(samples: Any, at: int, other_at: int) -> Any:
    """Return lanes whose sum is that of samples[at + i] * samples[other_at + i] over 5 ms."""
    first = pair_products(samples, at, samples, other_at) + pair_products(
        samples, at + 16, samples, other_at + 16
    )
    return first + lower_four(pair_products(samples, at + 32, samples, other_at + 32))


@vector_kernel
def turn_window(leg: Any, end_hop: int) -> None:
    """Set u and v: the 5 ms that end with `end_hop` correlated with cosine and sine of each tone, from its middle."""
    re, im = leg.hops_re, leg.hops_im
    at = _LANES * end_hop
    r0, r1, r2, r3 = load8(re, at - 24), load8(re, at - 16), load8(re, at - 8), load8(re, at)
    i0, i1, i2, i3 = load8(im, at - 24), load8(im, at - 16), load8(im, at - 8), load8(im, at)
    outer_c, inner_c = load8(WINDOW_COSINES, 0), load8(WINDOW_COSINES, 8)
    outer_s, inner_s = load8(WINDOW_SINES, 0), load8(WINDOW_SINES, 8)
    store8(leg.u, 0, outer_c * (r0 + r3) - outer_s * (i0 - i3) + inner_c * (r1 + r2) - inner_s * (i1 - i2))
    store8(leg.v, 0, outer_c * (i0 + i3) + outer_s * (r0 - r3) + inner_c * (i1 + i2) + inner_s * (r1 - r2))


@vector_kernel
def _measure_windows(leg: Any, end_hop: int, n: int, at: int, rows: Any, columns: Any) -> None:
    """Set rows and columns [at, at + n) of n windows that end with end_hop, end_hop + 2, ...; up to at + 8 is scratch.

    The energy of the strongest row tone and of the strongest column tone, each by itself.
    """
    block = leg.block
    for window in range(n):
        turn_window(leg, end_hop + _STEP_HOPS * window)
        u, v = load8(leg.u, 0), load8(leg.v, 0)
        store8(block, _LANES * window, u * u + v * v)
    transpose8(block, 0)
    scale = splat8(np.float32(_POWER_TO_ENERGY))
    lower = larger8(larger8(load8(block, 0), load8(block, 8)), larger8(load8(block, 16), load8(block, 24)))
    upper = larger8(larger8(load8(block, 32), load8(block, 40)), larger8(load8(block, 48), load8(block, 56)))
    store8(rows, at, scale * lower)
    store8(columns, at, scale * upper)


@vector_kernel
def fit_window(leg: Any, end_hop: int) -> int:
    """Fit one row and one column tone together to the 5 ms that end with hop `end_hop`; return 4 * row + column.

    Sets window_energy, window_explained (least squares) and the energy of either tone and of the second strongest
    of its group.
    """
    turn_window(leg, end_hop)
    leg.window_energy = energy_of_window(leg, end_hop)
    row, second_row = _strongest(leg, 0)
    column, second_column = _strongest(leg, 4)
    leg.window_second_row, leg.window_second_column = second_row, second_column
    u, v = leg.u, leg.v
    even, odd = COSINE_INVERSES[row, column - 4], SINE_INVERSES[row, column - 4]
    u_row, u_column = even[0] * u[row] + even[1] * u[column], even[1] * u[row] + even[2] * u[column]
    v_row, v_column = odd[0] * v[row] + odd[1] * v[column], odd[1] * v[row] + odd[2] * v[column]
    explained = u[row] * u_row + u[column] * u_column + v[row] * v_row + v[column] * v_column
    leg.window_explained = explained
    leg.window_row_energy = u_row * u_row / COSINE_NORMS[row] + v_row * v_row / SINE_NORMS[row]
    leg.window_column_energy = (
        u_column * u_column / COSINE_NORMS[column] + v_column * v_column / SINE_NORMS[column]
    )
    return int(4 * row + column - 4)


@vector_kernel
def energy_of_window(leg: Any, end_hop: int) -> float:
    """Return the sum of squares of the 5 ms that end with `end_hop`, a hop of the chunk."""
    step, middle = (end_hop - CHUNK_HOPS) // _STEP_HOPS, (end_hop - CHUNK_HOPS) % _STEP_HOPS == 0
    return float(leg.between_energies[step] if middle else leg.window_energies[CHUNK_STEPS + step])


@vector_kernel
def newer_energy(leg: Any, end_hop: int) -> float:
    """Return the sum of squares of the newer half of the 5 ms that end with `end_hop`, a hop of the chunk."""
    at = HOP_SAMPLES * (end_hop + 1) - STEP_SAMPLES
    samples = leg.samples
    first = pair_products(samples, at, samples, at)
    store8(leg.folded, 0, first + lower_two(pair_products(samples, at + 16, samples, at + 16)))
    return float(sum8(leg.folded))


@vector_kernel
def lag_product(leg: Any, end_hop: int) -> float:
    """Return the sum of x[n] * x[n - 1] over the 5 ms that end with `end_hop`."""
    at = HOP_SAMPLES * (end_hop + 1) - WINDOW_SAMPLES
    store8(leg.folded, 0, window_products(leg.samples, at, at - 1))
    return float(sum8(leg.folded))


@vector_kernel
def _strongest(leg: Any, first: int) -> tuple[int, float]:
    """Return the strongest of tones first to first + 3, each fitted alone, and the energy of the second strongest."""
    u, v = leg.u, leg.v
    strongest = first
    largest = second = -1.0
    for k in range(first, first + 4):
        energy = u[k] * u[k] * COSINE_NORMS[k] + v[k] * v[k] * SINE_NORMS[k]
        if energy > largest:
            strongest, second, largest = k, largest, energy
        elif energy > second:
            second = energy
    return strongest, second


@vector_kernel
def sum_halves(leg: Any, end_hop: int) -> None:
    """Set older_* and newer_* to the two 7.5 ms sums of the 15 ms that end with `end_hop`, both from its middle."""
    re, im = leg.hops_re, leg.hops_im
    half = RING_HOPS // 2
    first = end_hop + 1 - RING_HOPS
    for part in range(2):
        total_re = total_im = splat8(np.float32(0.0))
        for hop in range(half * part, half * part + half):
            c, s = load8(RING_COSINES, _LANES * hop), load8(RING_SINES, _LANES * hop)
            r, i = load8(re, _LANES * (first + hop)), load8(im, _LANES * (first + hop))
            total_re = total_re + (c * r + s * i)
            total_im = total_im + (c * i - s * r)
        if part == 0:
            store8(leg.older_re, 0, total_re)
            store8(leg.older_im, 0, total_im)
        else:
            store8(leg.newer_re, 0, total_re)
            store8(leg.newer_im, 0, total_im)
