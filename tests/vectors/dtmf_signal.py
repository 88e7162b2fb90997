"""Synthetic keypad signals for tests and benches: the project's own recipe, seeded, no recording involved.

0 dBm0 peaks at P0 = 32767 * 10^(-3.14/20). A key is P0 * [10^((L - w/2)/20) sin(row) + 10^((L + w/2)/20) sin(column)]
with random phases and hard edges; L is the mean level of a tone in dBm0, w the twist column - row in dB. A stream is
400 zeros, shuffled keys each followed by a gap with a random part (no detector's grid can lock on), 1,600 zeros.
A cut is silence from the middle of a key on.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 8000
P0 = 32767.0 * 10.0 ** (-3.14 / 20.0)
ROWS_HZ = (697.0, 770.0, 852.0, 941.0)
COLUMNS_HZ = (1209.0, 1336.0, 1477.0, 1633.0)
KEYS = "123A456B789C*0#D"
APART_MS = 160.0  # a gap that no mask of a key outlasts: the next key's first samples have to be found anew


@dataclass(slots=True)
class Recipe:
    """What to synthesise; the defaults are a clean, comfortable key press."""

    repetitions: int = 20
    level_dbm0: float = -10.0
    twist_db: float = 0.0
    row_error: float = 0.0
    column_error: float = 0.0
    error_hz: float = 0.0
    row_error_hz: float = 0.0
    column_error_hz: float = 0.0
    on_ms: float = 50.0
    gap_ms: float = 50.0
    gap_spread_ms: float = 12.0
    snr_db: float | None = None
    speech_below_db: float | None = None
    dial_tone_db: float | None = None
    echo_ms: float = 0.0
    echo_db: float = 0.0
    clip_gain_db: float = 0.0
    cut_ms: float = 0.0
    ramp_ms: float = 0.0
    keys: str = KEYS
    same_key_twice: bool = False
    alaw: bool = False
    sample_rate_hz: int = SAMPLE_RATE_HZ

    def samples(self, duration_ms: float) -> int:
        """Return how many samples `duration_ms` takes."""
        return round(duration_ms * self.sample_rate_hz / 1000)


@dataclass(slots=True)
class Stream:
    """A signal and the truth about it: onsets and ends in samples."""

    pcm: NDArray[np.int16]
    keys: list[str] = field(default_factory=list)
    onsets: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)


def tone_pair(key: str, n: int, recipe: Recipe, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return n samples of `key` with random phases, float, full scale 32767."""
    row, column = divmod(KEYS.index(key), 4)
    t = np.arange(n) / recipe.sample_rate_hz
    row_hz = ROWS_HZ[row] * (1.0 + recipe.row_error) + recipe.error_hz + recipe.row_error_hz
    column_hz = COLUMNS_HZ[column] * (1.0 + recipe.column_error) + recipe.error_hz + recipe.column_error_hz
    phase = rng.uniform(0.0, 2.0 * np.pi, 2)
    x = 10.0 ** ((recipe.level_dbm0 - recipe.twist_db / 2.0) / 20.0) * np.sin(
        2 * np.pi * row_hz * t + phase[0]
    )
    x += 10.0 ** ((recipe.level_dbm0 + recipe.twist_db / 2.0) / 20.0) * np.sin(
        2 * np.pi * column_hz * t + phase[1]
    )
    ramp = recipe.samples(recipe.ramp_ms)
    if ramp:
        x[:ramp] *= np.linspace(0.0, 1.0, ramp)
        x[-ramp:] *= np.linspace(1.0, 0.0, ramp)
    if recipe.cut_ms:
        x[n // 2 : n // 2 + recipe.samples(recipe.cut_ms)] = 0.0
    return np.asarray(P0 * x)


def key_stream(recipe: Recipe, seed: int, speech: NDArray[np.float64] | None = None) -> Stream:
    """Synthesise `recipe`. `speech` (float, at the recipe's rate) is needed where speech_below_db is set."""
    rng = np.random.default_rng(seed)
    order = list(recipe.keys) * recipe.repetitions
    rng.shuffle(order)
    if recipe.same_key_twice:
        order = [key for key in order for _ in range(2)]
    parts: list[NDArray[np.float64]] = [np.zeros(400)]
    stream = Stream(np.zeros(0, np.int16))
    position = 400
    n_on = recipe.samples(recipe.on_ms)
    for key in order:
        gap = recipe.samples(recipe.gap_ms + rng.uniform(0.0, recipe.gap_spread_ms))
        stream.keys.append(key)
        stream.onsets.append(position)
        stream.ends.append(position + n_on)
        parts += [tone_pair(key, n_on, recipe, rng), np.zeros(gap)]
        position += n_on + gap
    parts.append(np.zeros(1600))
    x = np.concatenate(parts)
    stream.pcm = _degrade(x, recipe, rng, speech)
    return stream


def _degrade(
    x: NDArray[np.float64], recipe: Recipe, rng: np.random.Generator, speech: NDArray[np.float64] | None
) -> NDArray[np.int16]:
    """Add echo, dial tone, noise, speech, clipping and A-law, in that order."""
    power = P0**2 * 10.0 ** (recipe.level_dbm0 / 10.0) * np.cosh(np.log(10.0) * recipe.twist_db / 20.0)
    if recipe.echo_ms:
        delay = recipe.samples(recipe.echo_ms)
        x = x + 10.0 ** (recipe.echo_db / 20.0) * np.concatenate([np.zeros(delay), x[:-delay]])
    if recipe.dial_tone_db is not None:
        t = np.arange(len(x)) / recipe.sample_rate_hz
        tone = np.sin(2 * np.pi * 350 * t) + np.sin(2 * np.pi * 440 * t + 1.0)
        x = x + P0 * 10.0 ** ((recipe.level_dbm0 + recipe.dial_tone_db) / 20.0) * tone
    if recipe.snr_db is not None:
        x = x + rng.standard_normal(len(x)) * np.sqrt(power * 10.0 ** (-recipe.snr_db / 10.0))
    if recipe.speech_below_db is not None and speech is not None:
        start = int(rng.integers(0, len(speech)))
        piece = np.resize(np.roll(speech, -start), len(x))
        active_rms = np.sqrt(np.mean(speech[np.abs(speech) > 200.0] ** 2))
        x = x + piece * np.sqrt(power * 10.0 ** (-recipe.speech_below_db / 10.0)) / active_rms
    if recipe.clip_gain_db:
        x = np.clip(x * 10.0 ** (recipe.clip_gain_db / 20.0), -P0, P0)
    pcm = np.clip(np.round(x), -32768, 32767).astype(np.int16)
    return through_alaw(pcm) if recipe.alaw else pcm


def through_alaw(pcm: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return `pcm` after one A-law encoding and decoding (12-bit approximation of the line, table-free)."""
    magnitude = np.where(pcm < 0, ~pcm, pcm).astype(np.int64)
    shift = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int64) - 4, 4)
    level = (magnitude >> shift << shift) + (1 << (shift - 1))
    return np.where(pcm < 0, -level, level).astype(np.int16)


def whole_packets(pcm: NDArray[np.int16], packet_samples: int) -> NDArray[np.int16]:
    """Pad `pcm` with zeros to a whole number of packets."""
    return np.concatenate([pcm, np.zeros(-len(pcm) % packet_samples, np.int16)])
