"""Keypad tones as a telephone sends them (ITU-T Q.23), and human key timing, seeded.

Two sines of one level with random phases and 1 ms edges; no twist, noise or distortion.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ: Final = 8000
ROWS_HZ: Final = (697, 770, 852, 941)
COLUMNS_HZ: Final = (1209, 1336, 1477, 1633)
KEYPAD: Final = "123A456B789C*0#D"
ZERO_DBM0_PEAK: Final = 32767.0 * 10.0 ** (-3.14 / 20.0)
"""Peak of a 0 dBm0 sine in 16-bit samples (ITU-T G.711)."""
LEVEL_DBM0: Final = -9.0
"""Each tone of a key, a common level of telephone sets."""
EDGE_MS: Final = 1
TONE_MS_RANGE: Final = (90, 120)
GAP_MS_RANGE: Final = (80, 150)


@dataclass(frozen=True, slots=True)
class Press:
    """One key press: how long it sounds, and how long the finger rests after it."""

    key: str
    tone_ms: int
    gap_ms: int


def presses(keys: str, seed: int) -> list[Press]:
    """Return `keys` with human timing drawn from `seed`."""
    draw = random.Random(seed)  # noqa: S311 - timing of a test, no secret
    return [Press(key, draw.randint(*TONE_MS_RANGE), draw.randint(*GAP_MS_RANGE)) for key in keys]


def frequencies_hz(key: str) -> tuple[int, int]:
    """Return the row and column frequency of `key` (ITU-T Q.23)."""
    row, column = divmod(KEYPAD.index(key), len(COLUMNS_HZ))
    return ROWS_HZ[row], COLUMNS_HZ[column]


def key_tone(
    key: str, duration_ms: int, level_dbm0: float = LEVEL_DBM0, phases: tuple[float, float] = (0.0, 0.0)
) -> NDArray[np.int16]:
    """Synthesise one press.

    Returns int16 PCM at 8 kHz, shape (8 * duration_ms,). `level_dbm0` is that of each of the two tones, `phases`
    their starting phases in radians.
    """
    time_s = np.arange(duration_ms * SAMPLE_RATE_HZ // 1000) / SAMPLE_RATE_HZ
    wave = np.zeros(len(time_s))
    for frequency_hz, phase in zip(frequencies_hz(key), phases, strict=True):
        wave += np.sin(2 * np.pi * frequency_hz * time_s + phase)
    edge = min(EDGE_MS * SAMPLE_RATE_HZ // 1000, len(wave) // 2)
    ramp = (np.arange(edge) + 0.5) / max(edge, 1)
    wave[:edge] *= ramp
    wave[len(wave) - edge :] *= ramp[::-1]
    peak = ZERO_DBM0_PEAK * 10.0 ** (level_dbm0 / 20.0)
    return np.asarray(np.round(peak * wave), dtype=np.int16)
