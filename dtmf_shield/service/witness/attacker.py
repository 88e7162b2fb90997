"""What an attacker who knows when each key was pressed gets out of the agent's audio: a likelihood-ratio test.

For each key and 3 x 3 frequency errors the audio of the press is projected on the two tones of unknown phase and
level; the guess is the key that explains most (generalised likelihood ratio for a linear model with known noise).
Whether the guesses are better than luck is judged by permuting the truth. It finds no unknown key times.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from dtmf_shield.service.witness.independent import COLUMNS_HZ, KEYPAD, ROWS_HZ, SAMPLE_RATE_HZ, HeardKey

FREQUENCY_ERRORS: Final = (-0.012, 0.0, 0.012)
FINE_FREQUENCY_ERRORS: Final = (-0.012, -0.006, 0.0, 0.006, 0.012)
"""Over 10 ms the errors must be finer: steps of at most 1 / (2 T), which these are up to 50 ms."""
_SINGULAR_SHARE_MIN: Final = 1e-3
FRAGMENT_SAMPLES: Final = 80
"""10 ms: the attacker for short leaks looks through every such window of a press."""
_FRAGMENT_STEP: Final = 20
MARGIN_SAMPLES: Final = 160
"""20 ms to each side of a press are left out where the two sides' speech is compared."""
SEARCH_SAMPLES: Final = 480
"""60 ms to each side of a press are searched for fragments: a phone's jitter buffer moves its audio that much."""
SPAN_SAMPLES_MAX: Final = 960
PERMUTATIONS: Final = 20_000
LUCK_MIN: Final = 1e-4
"""Better guesses than luck gives once in ten thousand are a leak."""
ALIGN_LAG_S_MAX: Final = 3.0


@dataclass(frozen=True, slots=True)
class AttackResult:
    """How many keys were guessed right of how many, and how often luck does as well (0..1)."""

    guessed: int
    of: int
    luck: float

    @property
    def beats_luck(self) -> bool:
        """Tell whether the guesses carry information."""
        return self.of > 0 and self.luck < LUCK_MIN


@functools.cache
def _basis(n_samples: int) -> NDArray[np.float64]:
    """Return orthonormal bases, shape (16 keys, 9 errors, n_samples, 4), zeros where fewer than 4 are usable."""
    time_s = np.arange(n_samples) / SAMPLE_RATE_HZ
    bases = np.zeros((len(KEYPAD), len(FREQUENCY_ERRORS) ** 2, n_samples, 4))
    for key in range(len(KEYPAD)):
        row, column = divmod(key, len(COLUMNS_HZ))
        for index, row_error in enumerate(FREQUENCY_ERRORS):
            for offset, column_error in enumerate(FREQUENCY_ERRORS):
                angles = 2 * np.pi * time_s * ROWS_HZ[row] * (1 + row_error)
                others = 2 * np.pi * time_s * COLUMNS_HZ[column] * (1 + column_error)
                model = np.stack([np.cos(angles), np.sin(angles), np.cos(others), np.sin(others)], axis=1)
                left, singular, _ = np.linalg.svd(model, full_matrices=False)
                usable = singular > _SINGULAR_SHARE_MIN * singular[0]
                bases[key, index * len(FREQUENCY_ERRORS) + offset][:, usable] = left[:, usable]
    return bases


def explained_energies(samples: NDArray[np.float64], at: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how much of `samples`, taken at sample times `at` (in order, gaps allowed), each key explains at best.

    at: spans at most SPAN_SAMPLES_MAX. Result: (16,), the squared norm of the projection on the two tones, the most
    over the frequency errors.
    """
    errors = FREQUENCY_ERRORS if at[-1] - at[0] < FRAGMENT_SAMPLES else FINE_FREQUENCY_ERRORS
    model = _tones(errors)[at - at[0]]
    gram, matched = model.T @ model, model.T @ samples
    columns = _pair_columns(len(errors))
    # In a basis of eigenvectors the thin singular value decomposition of each pair's own four columns.
    squares, turned = np.linalg.eigh(gram[columns[:, :, None], columns[:, None, :]])
    along = np.einsum("pij,pi->pj", turned, matched[columns]) ** 2
    usable = squares > _SINGULAR_SHARE_MIN**2 * squares[:, -1:]
    explained = np.where(usable, along / np.where(usable, squares, 1.0), 0.0).sum(axis=1)
    best: NDArray[np.float64] = explained.reshape(len(KEYPAD), -1).max(axis=1)
    return best


@functools.cache
def _tones(errors: tuple[float, ...]) -> NDArray[np.float64]:
    """Return cosine and sine of each tone with each error, shape (SPAN_SAMPLES_MAX, 16 * n_errors)."""
    tones_hz = np.outer([*ROWS_HZ, *COLUMNS_HZ], 1 + np.array(errors)).ravel()
    angles = np.outer(np.arange(SPAN_SAMPLES_MAX), 2 * np.pi / SAMPLE_RATE_HZ * tones_hz)
    return np.stack([np.cos(angles), np.sin(angles)], axis=2).reshape(SPAN_SAMPLES_MAX, -1)


@functools.cache
def _pair_columns(n_errors: int) -> NDArray[np.int64]:
    """Return the columns of the model of all tones that each key's pairs use, shape (16 * n_errors^2, 4)."""
    found = []
    for key in range(len(KEYPAD)):
        row, column = divmod(key, len(COLUMNS_HZ))
        for row_error in range(n_errors):
            for column_error in range(n_errors):
                first = 2 * (row * n_errors + row_error)
                second = 2 * ((len(ROWS_HZ) + column) * n_errors + column_error)
                found.append([first, first + 1, second, second + 1])
    return np.array(found)


def guess_key(pcm: NDArray[np.int16]) -> str:
    """Return the key that explains most of `pcm` (int16 at 8 kHz, shape (n,)) as a whole."""
    samples = pcm[:SPAN_SAMPLES_MAX].astype(np.float64)
    return KEYPAD[int(explained_energies(samples, np.arange(len(samples))).argmax())]


def guess_key_from_fragments(pcm: NDArray[np.int16]) -> str:
    """Return the key that explains any 10 ms of `pcm` best: for leaks shorter than a press."""
    windows = np.lib.stride_tricks.sliding_window_view(pcm.astype(np.float64), FRAGMENT_SAMPLES)[
        ::_FRAGMENT_STEP
    ]
    energy = (windows**2).sum(axis=1) + 1e3
    bases = _basis(FRAGMENT_SAMPLES)
    flat = bases.transpose(2, 0, 1, 3).reshape(FRAGMENT_SAMPLES, -1)
    projected = (windows @ flat).reshape(len(windows), *bases.shape[:2], -1)
    explained = (projected**2).sum(axis=3).max(axis=2)
    # The best likelihood ratio with unknown noise: unexplained energy counts against a window.
    ratio = explained / np.maximum(energy[:, None] - explained, 1e-3 * energy[:, None])
    return KEYPAD[int(ratio.max(axis=0).argmax())]


def attack(pcm: NDArray[np.int16], presses: Sequence[HeardKey], lag: int) -> AttackResult:
    """Attack `pcm` at known `presses`, which come `lag` samples later in it. The better of both attackers counts."""
    truths: list[str] = []
    whole: list[str] = []
    fragments: list[str] = []
    for press in presses:
        start, end = press.start + lag, press.end + lag
        around = pcm[max(start - SEARCH_SAMPLES, 0) : end + SEARCH_SAMPLES]
        if start < 0 or end > len(pcm):
            continue
        truths.append(press.key)
        whole.append(guess_key(pcm[start:end]))
        fragments.append(guess_key_from_fragments(around))
    results = [_judged(truths, guesses) for guesses in (whole, fragments)]
    return min(results, key=lambda result: (result.luck, -result.guessed))


def _judged(truths: list[str], guesses: list[str]) -> AttackResult:
    """Compare guesses with the truth, and with the truth in random order: keys repeat, so chance is not 1 in 16."""
    truth, guess = np.array(truths), np.array(guesses)
    hits = int((truth == guess).sum())
    draw = np.random.default_rng(hits)
    shuffled = draw.permuted(np.tile(truth, (PERMUTATIONS, 1)), axis=1) if truths else np.zeros((1, 0))
    as_good = ((shuffled == guess).sum(axis=1) >= hits).mean() if truths else 1.0
    return AttackResult(hits, len(truths), float(as_good))


def lag_between(
    sent: NDArray[np.int16], heard: NDArray[np.int16], presses: Sequence[HeardKey] = ()
) -> tuple[int, float]:
    """Find by how many samples `heard` runs behind `sent` (negative: ahead), by the speech outside `presses`.

    Returns the lag and how much the peak of the correlation stands out (0..1; below 0.1 means no common speech).
    """
    reference = sent.astype(np.float64)
    for press in presses:
        reference[max(press.start - MARGIN_SAMPLES, 0) : press.end + MARGIN_SAMPLES] = 0.0
    other = heard.astype(np.float64)
    if not len(reference) or not len(other):
        return 0, 0.0
    correlation = signal.correlate(other, reference, mode="full", method="fft")
    lags = np.arange(len(correlation)) - (len(reference) - 1)
    near = np.abs(lags) <= ALIGN_LAG_S_MAX * SAMPLE_RATE_HZ
    best = int(np.where(near, correlation, -np.inf).argmax())
    scale = float(np.sqrt((reference**2).sum() * (other**2).sum())) or 1.0
    return int(lags[best]), float(correlation[best]) / scale
