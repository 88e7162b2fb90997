"""Train the suspicion score of the masker from synthetic keys and synthetic speech; writes dsp/suspicion_weights.py.

Usage: python -m bench.train_suspicion [--write]. Seeded; needs espeak-ng. Without --write it only prints the trade:
windows of keys missed against windows of speech suspected, on streams and voices that were not trained on.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numba
import numpy as np
import soundfile
from scipy.signal import resample_poly

from dtmf_shield.media.dsp.front_end import keep_last_hops, load_chunk, measure_window
from dtmf_shield.media.dsp.leg_state import N_FEATURES, SHIELD_STATE_DTYPE
from dtmf_shield.media.dsp.suspicion import may_be_tones, measure_features
from tests.vectors.dtmf_signal import Recipe, key_stream, whole_packets

ROOT = Path(__file__).resolve().parent.parent
TRAINING_VOICES = ("en-gb", "es", "de+f5", "fr-fr+f1", "it", "en-us+f4", "en-gb+m3", "pl", "sv")
TEST_VOICES = ("en-us", "fr-fr", "es+f3", "it+f2", "de", "pt", "ru", "en-us+m7", "en-gb+f2")
SPEECH_LEVEL_DB = -26.0  # active speech level, ITU-T P.56's usual
ACTIVE_MEAN_SQUARE = 100.0**2  # windows of speech quieter than this are not counted
MISSED_SHARE_CAPTURE = 0.0008
MISSED_SHARE_GUARD = 0.005
TEXTS = (
    "Thank you for calling. I would like to pay the bill for my mother's house, and after that I have a question "
    "about the contract. Could you please tell me how long it takes until the money arrives? Oh, really? Well, that "
    "is much faster than I thought. Yes, I have my card here, one moment, I need to find my glasses. Mm-hm, okay.",
    "Who are you? Why do you do it? No, no, no! I see, we really need eleven new wheels. Our holiday in Hawaii was "
    "easy and sunny, we ate mango ice every evening. Moo, coo, who knew? Aha, uh huh, hello? Are you still there?",
    "Zero one two three four five six seven eight nine. Yellow lorry, red lorry. The invoice number is on the second "
    "page, at the top, below the name of our company. I am calling from a railway station, sorry for the noise.",
)


@numba.njit
def collect(state, pcm, quiet_energy, features, energies):
    """Fill features (n_hops, 7) and energies (n_hops,) of all 5 ms windows; features stay 0 if the cheap test fails."""
    leg = state[0]
    at = 0
    for first in range(0, len(pcm) - 159, 160):
        load_chunk(leg, pcm, first, 160, quiet_energy)
        for hop in range(16):
            measure_window(leg, 5 + hop)
            energies[at] = leg.window_energy
            if may_be_tones(leg):
                measure_features(leg, 5 + hop)
                for i in range(len(leg.features)):
                    features[at, i] = leg.features[i]
            at += 1
        keep_last_hops(leg, 16)


def windows_of(pcm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return features and mean squares of the windows that end at samples 10, 20, ... of `pcm`."""
    pcm = whole_packets(pcm, 160)
    features = np.zeros((len(pcm) // 10, N_FEATURES))
    energies = np.zeros(len(pcm) // 10)
    collect(np.zeros(1, SHIELD_STATE_DTYPE), pcm, 0.0, features, energies)
    return features, energies / 40.0


def speech_of(voices: tuple[str, ...], seed: int) -> np.ndarray:
    """Return espeak-ng speech of `voices` at 8 kHz, int16."""
    rng = np.random.default_rng(seed)
    pieces = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        for voice in voices:
            for text in TEXTS:
                pitch, speed = str(rng.integers(20, 90)), str(rng.integers(130, 200))
                command = ["espeak-ng", "-v", voice, "-p", pitch, "-s", speed, "-w", str(path), text]
                subprocess.run(command, check=True)
                samples, rate = soundfile.read(path)
                samples = resample_poly(samples, 8000, rate)
                active = np.abs(samples) > 0.01
                pieces.append(samples * 10 ** (SPEECH_LEVEL_DB / 20) / np.sqrt(np.mean(samples[active] ** 2)))
    return np.clip(np.concatenate(pieces) * 32767, -32768, 32767).astype(np.int16)


def key_windows(n_recipes: int, seed: int, fill_min: float, clipped_share: float) -> np.ndarray:
    """Return features of windows that tones fill by at least `fill_min`, over random legal and somewhat worse keys."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(n_recipes):
        recipe = Recipe(
            repetitions=2,
            level_dbm0=rng.uniform(-36.0, -3.0),
            twist_db=rng.uniform(-9.0, 7.0),
            row_error=rng.choice([-1, 1]) * rng.uniform(0.0, 0.016),
            column_error=rng.choice([-1, 1]) * rng.uniform(0.0, 0.016),
            on_ms=float(rng.choice([5, 8, 12, 20, 40])),
            gap_ms=20.0,
            snr_db=rng.uniform(15.0, 40.0),
            clip_gain_db=12.0 * bool(rng.random() < clipped_share),
            alaw=bool(rng.random() < 0.5),
        )
        stream = key_stream(recipe, int(rng.integers(1 << 30)) + number)
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


def report(name: str, scores: np.ndarray, speech_scores: np.ndarray, n_active: int) -> None:
    """Print speech windows suspected at three rates of missed key windows."""
    for missed in (0.0005, 0.001, 0.005):
        suspected = np.count_nonzero(speech_scores > np.quantile(scores, missed)) / n_active
        print(
            f"{name}: {100 * missed:.2f} % of key windows missed, {100 * suspected:.4f} % of speech suspected"
        )


def main() -> None:
    """Train, print, and write with --write."""
    speech, energies = windows_of(speech_of(TRAINING_VOICES, 1))
    negative = speech[(speech[:, 0] != 0) & (energies > ACTIVE_MEAN_SQUARE)]
    positive = key_windows(500, 2, 0.9, 0.1)
    positive = positive[positive[:, 0] != 0]
    weights = fit(negative, positive)
    full = key_windows(400, 3, 1.0, 0.0)
    scores = np.where(full[:, 0] != 0, terms(full) @ weights, -99.0)
    speech, energies = windows_of(speech_of(TEST_VOICES, 4))
    active = energies > ACTIVE_MEAN_SQUARE
    speech_scores = (terms(speech) @ weights)[(speech[:, 0] != 0) & active]
    print(f"{len(negative)} speech and {len(positive)} key windows trained, {len(full)} key windows tested")
    report("full windows", scores, speech_scores, np.count_nonzero(active))
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
