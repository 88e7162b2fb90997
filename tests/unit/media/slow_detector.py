"""The detector's measurements written the obvious way: NumPy, float64, straight from the samples of the whole stream.

No history, screen, rough gate or register of eight: 5 ms fits are least squares, 15 ms halves are Fourier sums, and
every window is judged. Only constants are the product's. `slow_key_run.py` makes keys of the verdicts.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dtmf_shield.media.dsp import registration, suspicion
from dtmf_shield.media.dsp.levels import mean_square
from dtmf_shield.media.dsp.suspicion_weights import CAPTURE_SCORE_MIN, GUARD_SCORE_MIN, WEIGHTS
from dtmf_shield.media.dsp.tables import (
    HOP_SAMPLES,
    RING_SAMPLES,
    SAMPLE_RATE_HZ,
    STEP_SAMPLES,
    TONE_HZ,
    WINDOW_SAMPLES,
)

NEAR = 1e-3  # a comparison this close to its limit may fall either way in float32


def decibels(value_db):
    return 10.0 ** (value_db / 10.0)


def windows(pcm, length, every):
    """Return the stretches of `length` samples that end at every, 2 every, ...: shape (n, length), zeros before 0."""
    padded = np.concatenate([np.zeros(length - every), pcm.astype(np.float64)])
    return sliding_window_view(padded, length)[::every]


@cache
def tone_basis(tone):
    """Return cosine and sine of one of the eight tones over 5 ms, shape (40, 2)."""
    phase = 2.0 * np.pi * TONE_HZ[tone] * np.arange(WINDOW_SAMPLES) / SAMPLE_RATE_HZ
    return np.stack([np.cos(phase), np.sin(phase)], axis=1)


def fitted(bases, samples):
    """Return the coefficients (k, n) of the least-squares fit of `bases` (40, k) to `samples` (n, 40)."""
    return np.linalg.lstsq(bases, samples.T, rcond=None)[0]


def score_of(features):
    """Return constant, linear and quadratic terms of features (n, 7), weighted: shape (n,)."""
    n = features.shape[1]
    products = [features[:, i] * features[:, j] for i in range(n) for j in range(i, n)]
    return np.column_stack([np.ones(len(features)), features, *products]) @ WEIGHTS


class Fits:
    """Every 5 ms window of a stream, one a hop: arrays of shape (n_hops,)."""

    def __init__(self, pcm):
        samples = windows(pcm, WINDOW_SAMPLES, HOP_SAMPLES)
        n = len(samples)
        self.energy = np.sum(samples**2, axis=1)
        self.newer = np.sum(samples[:, WINDOW_SAMPLES // 2 :] ** 2, axis=1)
        longer = windows(pcm, WINDOW_SAMPLES + 1, HOP_SAMPLES)
        self.lag = np.sum(longer[:, 1:] * longer[:, :-1], axis=1)
        alone = np.stack(
            [np.sum((tone_basis(k) @ fitted(tone_basis(k), samples)) ** 2, axis=0) for k in range(8)]
        )
        self.alone = alone  # (8, n): energy of each tone fitted by itself
        self.row, self.column = np.argmax(alone[:4], axis=0), 4 + np.argmax(alone[4:], axis=0)
        self.second_row, self.second_column = np.sort(alone[:4], axis=0)[2], np.sort(alone[4:], axis=0)[2]
        self.row_energy, self.column_energy, self.explained = np.zeros(n), np.zeros(n), np.zeros(n)
        for row in range(4):
            for column in range(4, 8):
                of_pair = (self.row == row) & (self.column == column)
                coefficients = fitted(np.hstack([tone_basis(row), tone_basis(column)]), samples[of_pair])
                of_row = tone_basis(row) @ coefficients[:2]
                of_column = tone_basis(column) @ coefficients[2:]
                self.row_energy[of_pair] = np.sum(of_row**2, axis=0)
                self.column_energy[of_pair] = np.sum(of_column**2, axis=0)
                self.explained[of_pair] = np.sum((of_row + of_column) ** 2, axis=0)

    @cached_property
    def features(self):
        """Shape (n_hops, 7)."""
        energy = np.maximum(self.energy, 1e-9)
        return np.stack(
            [
                np.log(np.maximum(1e-3, 1.0 - self.explained / energy)),
                np.log(np.maximum(1e-3, self.row_energy / energy)),
                np.log(np.maximum(1e-3, self.column_energy / energy)),
                self.lag / energy,
                np.abs(self.newer / energy - 0.5),
                self.second_row / energy,
                self.second_column / energy,
            ],
            axis=1,
        )

    @cached_property
    def score(self):
        """Shape (n_hops,)."""
        return score_of(self.features)

    @cached_property
    def ambiguous(self):
        """Where the strongest tone of a group is hardly stronger than the next."""
        best_row = np.max(self.alone[:4], axis=0)
        best_column = np.max(self.alone[4:], axis=0)
        return (self.second_row > (1 - NEAR) * best_row) | (self.second_column > (1 - NEAR) * best_column)

    def suspect(self, capture):
        """Tell of each hop whether its 5 ms may be a key's. Outside a capture only hops that end a step are judged."""
        level, score_min = (
            (suspicion.CAPTURE_LEVEL_DBM0_MIN, CAPTURE_SCORE_MIN)
            if capture
            else (suspicion.GUARD_LEVEL_DBM0_MIN, GUARD_SCORE_MIN)
        )
        weaker = np.minimum(self.row_energy, self.column_energy)
        found = (
            (self.energy > WINDOW_SAMPLES * mean_square(level))
            & (self.explained > suspicion.EXPLAINED_MIN * self.energy)
            & (weaker > suspicion.TONE_SHARE_MIN * self.energy)
            & (self.score > score_min)
        )
        found[: WINDOW_SAMPLES // HOP_SAMPLES - 1] = False  # not yet 5 ms
        if not capture:
            found[::2] = False
        return found

    def looks_like_tones(self, capture):
        """Tell of each hop whether it holds two tones by the rough shares that count the tone at the edge of a gap."""
        level = suspicion.CAPTURE_LEVEL_DBM0_MIN if capture else suspicion.GUARD_LEVEL_DBM0_MIN
        row, column = np.max(self.alone[:4], axis=0), np.max(self.alone[4:], axis=0)
        return (
            (self.energy > WINDOW_SAMPLES * mean_square(level))
            & (row + column > suspicion.ROUGH_EXPLAINED_MIN * self.energy)
            & (np.minimum(row, column) > suspicion.ROUGH_SHARE_MIN * self.energy)
        )


def halves_of(pcm):
    """Return the two 7.5 ms Fourier sums of each tone in the 15 ms that end with each step: (n_steps, 2, 8) complex."""
    samples = windows(pcm, RING_SAMPLES, STEP_SAMPLES)
    from_middle = np.arange(RING_SAMPLES) - (RING_SAMPLES - 1) / 2.0
    turns = np.exp(-2j * np.pi * np.outer(from_middle, TONE_HZ) / SAMPLE_RATE_HZ)
    half = RING_SAMPLES // 2
    return np.stack([samples[:, :half] @ turns[:half], samples[:, half:] @ turns[half:]], axis=1)


@dataclass
class Window:
    """What was found in 15 ms."""

    samples: np.ndarray  # (120,)
    halves: np.ndarray  # (2, 8)
    near: bool = False  # some comparison was too close for float32

    def above(self, value, limit, scale=None):
        """Tell whether value > limit, and note if that was close."""
        self.near |= bool(abs(value - limit) <= NEAR * abs(limit if scale is None else scale))
        return bool(value > limit)

    def strongest(self, first):
        """Return the tone of first .. first + 3 with the largest |A1|^2 + |A2|^2."""
        powers = np.sum(np.abs(self.halves[:, first : first + 4]) ** 2, axis=0)
        best, second = np.sort(powers)[[3, 2]]
        self.above(best, second)
        return first + int(np.argmax(powers))

    def power(self, tone):
        """Return (|A1| + |A2|)^2."""
        return float(np.sum(np.abs(self.halves[:, tone])) ** 2)

    def is_peak(self, tone, power):
        first = tone // 4 * 4
        others = [k for k in range(first, first + 4) if k != tone]
        return not any(
            self.above(
                abs(self.halves[0, k] + self.halves[1, k]) ** 2, power * decibels(-registration.PEAK_DB_MIN)
            )
            for k in others
        )

    def turn(self, tone):
        """Return A2 A1*: its angle is the tone's frequency error times 2 pi 7.5 ms."""
        return self.halves[1, tone] * np.conj(self.halves[0, tone])

    def on_frequency(self, tone, factor):
        limit_hz = factor * (registration.FREQUENCY_SHARE_MAX * TONE_HZ[tone] + registration.FREQUENCY_HZ_MAX)
        limit = min(2.0 * np.pi * registration.HALF_S * limit_hz, np.pi)
        turn = self.turn(tone)
        return self.above(turn.real, np.cos(limit) * abs(turn), abs(turn))

    def judge(self, held_key):
        """Return 1 + the key that fills these 15 ms, minus `held_key` if it may be that under other sound, or 0.

        Sets row, column, their powers, and is_pure.
        """
        energy = float(np.sum(self.samples**2))
        self.is_pure = False
        self.row_power = self.column_power = 0.0
        if not self.above(energy, RING_SAMPLES * mean_square(registration.LEVEL_DBM0_MIN)):
            return 0
        self.row, self.column = self.strongest(0), self.strongest(4)
        self.row_power, self.column_power = self.power(self.row), self.power(self.column)
        purity = 2.0 * (self.row_power + self.column_power) / (RING_SAMPLES * energy)
        key = 1 + 4 * self.row + self.column - 4
        if self.above(purity, registration.IMPURE_MIN) and self._is_pair():
            self.is_pure = self.above(purity, registration.PURITY_MIN)
            strong, weak = max(self.row_power, self.column_power), min(self.row_power, self.column_power)
            if self.is_pure or not self.above(strong, weak * decibels(registration.IMPURE_TWIST_DB_MAX)):
                return key
        factor = registration.HELD_FREQUENCY_FACTOR
        tones = (self.row, self.column)
        if (
            key == held_key
            and self.above(purity, registration.HELD_PURITY_MIN)
            and all(self.on_frequency(tone, factor) for tone in tones)
        ):
            return -key
        return 0

    def _is_pair(self):
        """Tell whether the two tones are those of a key by twist, level, selectivity and frequency."""
        row, column = self.row_power, self.column_power
        tone_min = 0.5 * RING_SAMPLES**2 * mean_square(registration.LEVEL_TONE_DBM0_MIN)
        return (
            not self.above(row, column * decibels(registration.TWIST_ROW_OVER_COLUMN_DB_MAX))
            and not self.above(column, row * decibels(registration.TWIST_COLUMN_OVER_ROW_DB_MAX))
            and self.above(min(row, column), tone_min)
            and self.is_peak(self.row, row)
            and self.is_peak(self.column, column)
            and self.on_frequency(self.row, 1.0)
            and self.on_frequency(self.column, 1.0)
        )


def step_windows(pcm):
    """Return the `Window` that ends with each step of 2.5 ms."""
    samples, halves = windows(pcm, RING_SAMPLES, STEP_SAMPLES), halves_of(pcm)
    return [Window(s, h) for s, h in zip(samples, halves, strict=True)]
