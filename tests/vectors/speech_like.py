"""Sound with the build of speech, seeded: voiced stretches of gliding pitch through formants, hiss, and pauses.

No voice and no recording is behind it. It stands in where a test must not depend on a speech synthesiser.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

SAMPLE_RATE_HZ = 8000
_FORMANTS_HZ = ((300, 2300, 3000), (500, 1700, 2500), (730, 1100, 2450), (570, 850, 2400), (300, 870, 2250))
_BANDWIDTHS_HZ = (60.0, 90.0, 120.0)


def speech_like(n: int, seed: int, rms: float = 1500.0) -> NDArray[np.float64]:
    """Return n samples at 8 kHz whose active stretches have about `rms`."""
    rng = np.random.default_rng(seed)
    parts: list[NDArray[np.float64]] = []
    length = 0
    while length < n:
        size = int(rng.uniform(0.06, 0.3) * SAMPLE_RATE_HZ)
        kind = rng.random()
        part = _voiced(size, rng) if kind < 0.7 else _hiss(size, rng) if kind < 0.85 else np.zeros(size)
        level = np.sqrt(np.mean(part**2))
        parts.append(
            part * (rms * rng.uniform(0.5, 1.4) / level if level > 0 else 0.0) * np.hanning(size) ** 0.3
        )
        length += size
    return np.concatenate(parts)[:n]


def _voiced(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    pitch_hz = np.linspace(*rng.uniform(90.0, 260.0) * rng.uniform(0.85, 1.15, 2), n)
    turns = np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
    sound = (np.diff(np.floor(turns), prepend=0.0) > 0).astype(np.float64) + 0.02 * rng.standard_normal(n)
    for hz, band in zip(_FORMANTS_HZ[rng.integers(len(_FORMANTS_HZ))], _BANDWIDTHS_HZ, strict=True):
        radius = np.exp(-np.pi * band / SAMPLE_RATE_HZ)
        turn = 2.0 * np.pi * hz * rng.uniform(0.9, 1.1) / SAMPLE_RATE_HZ
        sound = lfilter([1.0 - radius], [1.0, -2.0 * radius * np.cos(turn), radius**2], sound)
    return sound


def _hiss(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return lfilter([1.0, -0.9], [1.0], rng.standard_normal(n))
