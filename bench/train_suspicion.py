"""Train the suspicion score of the masker on synthetic keys against public speech; writes dsp/suspicion_weights.py.

Usage: python -m bench.train_suspicion [--write]. Seeded. Speech: the Debian packages of `bench.public_audio`, English,
Spanish and codec2's, with their altered copies, for training; French, Italian and Russian for the figures it prints.
No audio is kept, only 36 weights and two limits. Without --write it only prints the trade: windows of keys missed
against windows of active speech suspected, on streams and languages that were not trained on.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from bench.public_audio import Recording, recordings
from bench.talkoff import VARIANTS, altered
from dtmf_shield.media.dsp.front_end import analyse_chunk, fit_window, keep_history
from dtmf_shield.media.dsp.kernel import REORDERED_SUMS
from dtmf_shield.media.dsp.lanes import move_samples
from dtmf_shield.media.dsp.leg_state import CHUNK_HOPS, CHUNK_SAMPLES, N_FEATURES, SHIELD_STATE_DTYPE
from dtmf_shield.media.dsp.screen import screen_chunk
from dtmf_shield.media.dsp.suspicion import MODE_CAPTURE, may_be_tones, measure_features, rough_suspects
from tests.vectors.dtmf_signal import Recipe, key_stream, whole_packets

ROOT = Path(__file__).resolve().parent.parent
TRAINED_ON = ("prompts en", "prompts es", "codec2 speech")
TESTED_ON = ("prompts fr", "prompts it", "prompts ru")
ACTIVE_MEAN_SQUARE = 100.0**2  # windows of speech quieter than this are not counted
MISSED_SHARE_CAPTURE = 0.00015
MISSED_SHARE_GUARD = 0.0015
FILL_TRAINED = 0.9  # share of a window that is tone; a mute must not wait for the last millisecond
Windows = tuple[NDArray[np.float32], NDArray[np.float32]]


@numba.njit(nogil=True, error_model="numpy", fastmath=REORDERED_SUMS)
def collect(state, pcm, features, energies):
    """Fill features (n_hops, 7) and energies (n_hops,) of all 5 ms windows; features stay 0 if a cheap test fails."""
    leg = state[0]
    at = 0
    for first in range(0, len(pcm) - CHUNK_SAMPLES + 1, CHUNK_SAMPLES):
        move_samples(leg.samples, CHUNK_SAMPLES, pcm, first, CHUNK_SAMPLES)
        passed = screen_chunk(leg, CHUNK_SAMPLES // 20, 1.0)
        leg.hops_known = 1
        analyse_chunk(leg, CHUNK_HOPS, True)
        suspects = rough_suspects(leg, CHUNK_HOPS, MODE_CAPTURE)
        for hop in range(CHUNK_HOPS):
            fit_window(leg, CHUNK_HOPS + hop)
            energies[at] = leg.window_energy
            if passed != 0 and (suspects >> hop) & 1 and may_be_tones(leg):
                measure_features(leg, CHUNK_HOPS + hop)
                for i in range(N_FEATURES):
                    features[at, i] = leg.features[i]
            at += 1
        keep_history(leg, CHUNK_SAMPLES)


def windows_of(pcm: NDArray[np.int16]) -> Windows:
    """Return features and mean squares of the windows that end at samples 10, 20, ... of `pcm`."""
    pcm = whole_packets(pcm, CHUNK_SAMPLES)
    features = np.zeros((len(pcm) // 10, N_FEATURES), np.float32)
    energies = np.zeros(len(pcm) // 10, np.float32)
    collect(np.zeros(1, SHIELD_STATE_DTYPE), pcm, features, energies)
    return features, energies / np.float32(40.0)


def speech_windows(pieces: Iterator[NDArray[np.int16]]) -> tuple[NDArray[np.float32], int]:
    """Return the features of the active windows that pass the cheap tests, and how many were active."""
    found, n_active = [], 0
    for pcm in pieces:
        features, energies = windows_of(pcm)
        active = energies > ACTIVE_MEAN_SQUARE
        found.append(features[active & (features[:, 0] != 0)])
        n_active += int(np.count_nonzero(active))
    return np.concatenate(found), n_active


def with_copies(material: list[Recording]) -> Iterator[NDArray[np.int16]]:
    """Yield each recording and its altered copies."""
    for recording in track(material, "speech trained on"):
        yield recording.pcm
        for speed, backwards in VARIANTS:
            yield altered(recording.pcm, speed, backwards)


def random_recipe(rng: np.random.Generator, clipped_share: float) -> Recipe:
    """Return a legal or somewhat worse key, two times in five at a corner of what is legal."""
    at_corner = rng.random() < 0.4
    signs = rng.choice([-1.0, 1.0], 2)
    errors = signs * (0.015 if at_corner else rng.uniform(0.0, 0.016, 2))
    return Recipe(
        repetitions=2,
        level_dbm0=rng.uniform(-36.0, -3.0),
        twist_db=float(rng.choice([-8.0, -6.0, 4.0, 6.0])) if at_corner else rng.uniform(-9.0, 7.0),
        row_error=float(errors[0]),
        column_error=float(errors[1]),
        error_hz=float(rng.choice([-2, 0, 2])),
        on_ms=float(rng.choice([5, 8, 12, 20, 40])),
        gap_ms=20.0,
        snr_db=15.0 if at_corner and rng.random() < 0.5 else rng.uniform(15.0, 40.0),
        clip_gain_db=12.0 * bool(rng.random() < clipped_share),
        alaw=bool(rng.random() < 0.5),
    )


def key_windows(n_recipes: int, seed: int, fill_min: float, clipped_share: float) -> NDArray[np.float32]:
    """Return features of windows that tones fill by at least `fill_min`; zeroes where a cheap test failed."""
    rng = np.random.default_rng(seed)
    found = []
    for number in track(range(n_recipes), "keys"):
        stream = key_stream(random_recipe(rng, clipped_share), int(rng.integers(1 << 30)) + number)
        features, _ = windows_of(stream.pcm)
        ends = 10 * np.arange(1, len(features) + 1)
        filled = np.zeros(len(features))
        for onset, end in zip(stream.onsets, stream.ends, strict=True):
            filled += np.clip(np.minimum(ends, end) - np.maximum(ends - 40, onset), 0, None) / 40
        found.append(features[filled >= fill_min])
    return np.concatenate(found)


def terms(features: np.ndarray) -> np.ndarray:
    """Return constant, linear and quadratic terms in the order of `suspicion.score`."""
    quadratic = [features[:, i] * features[:, j] for i in range(N_FEATURES) for j in range(i, N_FEATURES)]
    return np.column_stack([np.ones(len(features)), features, *quadratic])


def fit(negative: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Return the weights of a logistic regression, by Newton steps with a little ridge."""
    x = np.concatenate([terms(negative), terms(positive)])
    y = np.concatenate([np.zeros(len(negative)), np.ones(len(positive))])
    mean, spread = x.mean(0), x.std(0) + 1e-9
    mean[0], spread[0] = 0.0, 1.0
    x = (x - mean) / spread
    weights = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ weights, -30, 30)))
        gradient = x.T @ (y - p) - 1e-2 * weights
        hessian = (x * (p * (1.0 - p))[:, None]).T @ x + 1e-2 * np.eye(len(weights))
        weights = weights + np.linalg.solve(hessian, gradient)
    weights = weights / spread
    weights[0] -= np.sum(weights[1:] * mean[1:])
    return weights


def report(scores: np.ndarray, speech_scores: np.ndarray, n_active: int) -> None:
    """Print speech windows suspected at several rates of missed key windows."""
    for missed in (0.00005, 0.0002, 0.001, 0.003, 0.005):
        limit = float(np.quantile(scores, missed))
        suspected = np.count_nonzero(speech_scores > limit) / n_active
        print(
            f"{100 * missed:.3f} % of key windows missed, {100 * suspected:.4f} % of speech suspected, {limit:.2f}"
        )


def main() -> None:
    """Train, print, and write with --write."""
    material = recordings()
    negative, _ = speech_windows(with_copies([r for r in material if r.kind in TRAINED_ON]))
    positive = key_windows(900, 2, FILL_TRAINED, 0.1)
    weights = fit(negative, positive[positive[:, 0] != 0])
    full = key_windows(1200, 3, 1.0, 0.0)
    scores = np.where(full[:, 0] != 0, terms(full) @ weights, -99.0)
    speech, n_active = speech_windows(r.pcm for r in material if r.kind in TESTED_ON)
    print(f"{len(negative)} speech and {len(positive)} key windows trained, {len(full)} key windows tested")
    report(scores, terms(speech) @ weights, n_active)
    if "--write" in sys.argv:
        limits = [float(np.quantile(scores, share)) for share in (MISSED_SHARE_CAPTURE, MISSED_SHARE_GUARD)]
        write(weights, *limits)


def write(weights: np.ndarray, capture_min: float, guard_min: float) -> None:
    """Write the weights as a module."""
    lines = [
        '"""Weights of the suspicion score, written by bench/train_suspicion.py; do not edit by hand."""',
        "",
        "import numpy as np",
        "from numpy.typing import NDArray",
        "",
        f"CAPTURE_SCORE_MIN = {capture_min:.3f}",
        f"GUARD_SCORE_MIN = {guard_min:.3f}",
        "WEIGHTS: NDArray[np.float64] = np.array(",
        "    [",
        *[f"        {weight:.6g}," for weight in weights],
        "    ]",
        ")",
        "",
    ]
    (ROOT / "dtmf_shield" / "media" / "dsp" / "suspicion_weights.py").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
