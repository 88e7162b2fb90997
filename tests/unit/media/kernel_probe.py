"""What the detector's kernels find in a stream, hop by hop and step by step, with nothing screened out; and what is."""

from dataclasses import dataclass

import numpy as np

from dtmf_shield.media.dsp.front_end import analyse_chunk, fit_window, keep_history
from dtmf_shield.media.dsp.half_band import take_chunk
from dtmf_shield.media.dsp.kernel import vector_kernel
from dtmf_shield.media.dsp.leg_state import CHUNK_HOPS, CHUNK_SAMPLES, CHUNK_STEPS, SHIELD_STATE_DTYPE
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
    GUARD_ENERGY_MIN,
    MODE_CAPTURE,
    is_suspect,
    measure_features,
    rough_suspects,
    score,
)
from dtmf_shield.media.dsp.tables import HOP_SAMPLES, RING_SAMPLES, STEP_SAMPLES

FITS = ("energy", "explained", "row_energy", "column_energy", "second_row", "second_column", "key", "score")
_KEY_ENERGY_MIN = RING_SAMPLES * mean_square(LEVEL_DBM0_MIN)


@dataclass
class Probe:
    """n_hops windows of 5 ms, n_steps of 15 ms; bits are as wide as what they tell of."""

    fits: np.ndarray  # (n_hops, 8) by FITS
    features: np.ndarray  # (n_hops, 8)
    suspect: np.ndarray  # (n_hops,) bool, by the exact test, without the last hop's margin
    rough: np.ndarray  # (n_hops,) bool: the rough gate lets the exact test be asked
    screened: np.ndarray  # (n_hops,) bool: the step's screen passed
    halves: np.ndarray  # (n_steps, 2, 8) complex
    verdicts: np.ndarray  # (n_steps,), with no key held
    pure: np.ndarray  # (n_steps,) bool
    likely: np.ndarray  # (n_steps,) bool: the rough gate lets a run begin
    possible: np.ndarray  # (n_steps,) bool: the rough gate lets a run go on

    def fit(self, name):
        return self.fits[:, FITS.index(name)]


def probe(pcm, mode):
    """Measure `pcm`, int16, a whole number of 20 ms."""
    n_hops, n_steps = len(pcm) // HOP_SAMPLES, len(pcm) // STEP_SAMPLES
    found = Probe(
        np.zeros((n_hops, len(FITS))),
        np.zeros((n_hops, 8)),
        *np.zeros((3, n_hops), bool),
        np.zeros((n_steps, 2, 8), complex),
        np.zeros(n_steps, int),
        *np.zeros((3, n_steps), bool),
    )
    state = np.zeros(1, SHIELD_STATE_DTYPE)
    for first in range(0, len(pcm), CHUNK_SAMPLES):
        hops = slice(first // HOP_SAMPLES, first // HOP_SAMPLES + CHUNK_HOPS)
        steps = slice(first // STEP_SAMPLES, first // STEP_SAMPLES + CHUNK_STEPS)
        passed, rough, likely, possible = _measure(
            state, pcm, first, mode, found.fits[hops], found.features[hops], found.suspect[hops],
            found.halves[steps], found.verdicts[steps], found.pure[steps],
        )  # fmt: skip
        found.screened[hops] = np.repeat(_bits(passed, CHUNK_STEPS), CHUNK_HOPS // CHUNK_STEPS)
        found.rough[hops] = _bits(rough, CHUNK_HOPS)
        found.likely[steps], found.possible[steps] = _bits(likely, CHUNK_STEPS), _bits(possible, CHUNK_STEPS)
    return found


def _bits(word, n):
    return (word >> np.arange(n)) & 1 == 1


@vector_kernel
def _measure(state, pcm, first, mode, fits, features, suspect, halves, verdicts, pure):
    leg = state[0]
    take_chunk(leg, pcm, first, CHUNK_SAMPLES, 1)
    passed = screen_chunk(leg, CHUNK_STEPS, CAPTURE_ENERGY_MIN if mode == MODE_CAPTURE else GUARD_ENERGY_MIN)
    analyse_chunk(leg, CHUNK_HOPS, True)
    rough = rough_suspects(leg, CHUNK_HOPS, mode)
    likely = rough_keys(leg, ROUGH_PURITY_MIN, _KEY_ENERGY_MIN)
    possible = rough_keys(leg, ROUGH_HELD_MIN, _KEY_ENERGY_MIN)
    for hop in range(CHUNK_HOPS):
        fits[hop, 6] = fit_window(leg, CHUNK_HOPS + hop)
        fits[hop, 0], fits[hop, 1] = leg.window_energy, leg.window_explained
        fits[hop, 2], fits[hop, 3] = leg.window_row_energy, leg.window_column_energy
        fits[hop, 4], fits[hop, 5] = leg.window_second_row, leg.window_second_column
        if leg.window_energy > 0:
            measure_features(leg, CHUNK_HOPS + hop)
            fits[hop, 7] = score(leg)
            for i in range(8):
                features[hop, i] = leg.features[i]
            suspect[hop] = is_suspect(leg, CHUNK_HOPS + hop, mode, False)
    for step in range(CHUNK_STEPS):
        verdicts[step] = judge_window(leg, step, 0)
        pure[step] = verdicts[step] > 0 and leg.is_pure != 0
        for k in range(8):
            halves[step, 0, k] = complex(leg.older_re[k], leg.older_im[k])
            halves[step, 1, k] = complex(leg.newer_re[k], leg.newer_im[k])
    keep_history(leg, CHUNK_SAMPLES)
    return passed, rough, likely, possible
