"""Whether an attacker does better than luck: classifiers trained on other streams, intervals, mutual information."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from bench.bounds import share_bounds
from tests.vectors.dtmf_signal import KEYS

N_KEYS = len(KEYS)
CHANCE = 1.0 / N_KEYS
CONFIDENCE = 0.99
MUTUAL_BIT_MAX = 0.01
PERMUTATIONS = 1_000
RIDGE = 1.0
N_WAVES = 400  # of the curved classifier
FOLDS = 4


@dataclass(frozen=True, slots=True)
class Judged:
    """One attacker on n presses: the share guessed with its 99 % bounds, the information, and how likely luck is."""

    attacker: str
    n: int
    hits: int
    bits: float
    bits_luck: float

    @property
    def accuracy(self) -> float:
        """The share guessed right (0..1)."""
        return self.hits / self.n

    @property
    def bounds(self) -> tuple[float, float]:
        """Bounds of the accuracy."""
        return share_bounds(self.hits, self.n, CONFIDENCE)

    def is_luck(self, attackers: int) -> bool:
        """Tell whether guesses and information are no better than luck, corrected for so many attackers."""
        level = (1 - CONFIDENCE) / attackers
        by_hits = binomtest(self.hits, self.n, CHANCE, alternative="greater").pvalue
        return bool(by_hits >= level and (self.bits <= MUTUAL_BIT_MAX or self.bits_luck >= level))


def mutual_bits(truths: NDArray[np.int64], guess: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the plug-in mutual information of each row of truths with guess, bit a press; few presses bias it up.

    truths: (n_rows, n_presses). guess: (n_presses,). Result: (n_rows,).
    """
    n_rows, n = truths.shape
    places = truths * N_KEYS + guess + N_KEYS**2 * np.arange(n_rows)[:, None]
    joint = np.bincount(places.ravel(), minlength=n_rows * N_KEYS**2).reshape(n_rows, N_KEYS, N_KEYS) / n
    independent = joint.sum(axis=2, keepdims=True) * joint.sum(axis=1, keepdims=True)
    there = joint > 0
    ratio = np.where(there, joint / np.where(there, independent, 1.0), 1.0)
    found: NDArray[np.float64] = (joint * np.log2(ratio)).sum(axis=(1, 2))
    return found


def judge(attacker: str, truth: NDArray[np.int64], guess: NDArray[np.int64], seed: int) -> Judged:
    """Judge guesses; the information is corrected by what permuted truths show, and compared with them."""
    measured = float(mutual_bits(truth[None, :], guess)[0])
    permuted = np.random.default_rng(seed).permuted(np.tile(truth, (PERMUTATIONS, 1)), axis=1)
    by_luck = mutual_bits(permuted, guess)
    luck = float((1 + np.count_nonzero(by_luck >= measured)) / (1 + PERMUTATIONS))
    return Judged(attacker, len(truth), int((truth == guess).sum()), measured - float(by_luck.mean()), luck)


def _scaled(
    train: NDArray[np.float64], test: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean, spread = train.mean(axis=0), train.std(axis=0) + 1e-6
    return (train - mean) / spread, (test - mean) / spread


def _ridge_scores(
    train: NDArray[np.float64], truth: NDArray[np.int64], test: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the score of each key for `test` by ridge regression on one-hot truths."""
    biased = np.hstack([train, np.ones((len(train), 1))])
    gram = biased.T @ biased + RIDGE * len(train) / 100 * np.eye(biased.shape[1])
    weights = np.linalg.solve(gram, biased.T @ np.eye(N_KEYS)[truth])
    scores: NDArray[np.float64] = np.hstack([test, np.ones((len(test), 1))]) @ weights
    return scores


def learned_guesses(
    features: NDArray[np.float32], truth: NDArray[np.int64], stream: NDArray[np.int64], curved: bool
) -> NDArray[np.int64]:
    """Return guesses of a linear (or a curved) classifier, each from a classifier trained on other streams.

    features: (n_presses, n_features). stream: (n_presses,), which stream each press is of. curved: on random waves of
    the features (an approximate radial kernel) beside the features themselves.
    """
    guess = np.zeros(len(truth), np.int64)
    rng = np.random.default_rng(len(truth))
    for fold in range(FOLDS):
        held = stream % FOLDS == fold
        if not held.any() or held.all():
            guess[held] = rng.integers(N_KEYS, size=int(held.sum()))
            continue
        train, test = _scaled(features[~held].astype(np.float64), features[held].astype(np.float64))
        if curved:
            waves = rng.standard_normal((train.shape[1], N_WAVES)) / np.sqrt(train.shape[1])
            shift = rng.uniform(0.0, 2.0 * np.pi, N_WAVES)
            train, test = (np.hstack([x, np.cos(x @ waves + shift)]) for x in (train, test))
        guess[held] = _ridge_scores(train, truth[~held], test).argmax(axis=1)
    return guess
