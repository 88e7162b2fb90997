"""What an attacker who knows when each key was pressed has of it: what passed, guesses, what can be learned.

The likelihood-ratio attacker is the demo's own (`dtmf_shield.service.witness.attacker`). It is given what the bench
knows and a real attacker would have to find out: which samples passed. A classifier's features are of the 200 ms around
the press, whatever is in them. Packet sizes and times are no features: here each packet has 160 samples and leaves on
time.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.service.witness.attacker import (
    SPAN_SAMPLES_MAX,
    explained_energies,
    guess_key_from_fragments,
)
from tests.vectors.dtmf_signal import COLUMNS_HZ, KEYS, ROWS_HZ, SAMPLE_RATE_HZ, Stream

ATTACKERS = ("longest run", "all that passed", "the whole press", "any 10 ms around it")
TEMPLATE_SAMPLES_MAX = 8  # shorter runs are compared with tones of phase 0, as softphones begin them
AROUND_SAMPLES = 160  # 20 ms to each side of a press are searched for any 10 ms
RESIDUE_BEFORE_SAMPLES = 160
RESIDUE_SAMPLES = 1600
RESIDUE_PART_SAMPLES = 320
_OTHERS_HZ = (300, 450, 580, 640, 735, 810, 897, 990, 1070, 1275, 1405, 1550, 1700, 1850, 2200, 2600, 3200)


@dataclass(frozen=True, slots=True)
class KeyView:
    """One press: the key's index, samples of it that passed, each attacker's guess, and features for classifiers."""

    truth: int
    passed: int
    guesses: tuple[int, ...]
    features: NDArray[np.float32]


def _filters() -> NDArray[np.float64]:
    """Return windowed cosines and sines of the DTMF and other frequencies, shape (part, 2 * n_frequencies)."""
    angles = (
        2
        * np.pi
        / SAMPLE_RATE_HZ
        * np.outer(np.arange(RESIDUE_PART_SAMPLES), [*ROWS_HZ, *COLUMNS_HZ, *_OTHERS_HZ])
    )
    window = np.hanning(RESIDUE_PART_SAMPLES)[:, None]
    return np.hstack([window * np.cos(angles), window * np.sin(angles)])


_FILTERS = _filters()


def residue_features(residue: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return log powers of 200 ms: 25 frequencies in each part of 40 ms and in sum, less their mean; of each 20 ms."""
    both = residue.reshape(-1, RESIDUE_PART_SAMPLES) @ _FILTERS
    half = both.shape[1] // 2
    power = both[:, :half] ** 2 + both[:, half:] ** 2
    spectra = np.log(np.vstack([power, power.sum(axis=0)]) + 1e3)
    shapes = spectra - spectra.mean(axis=1, keepdims=True)
    loudness = np.log((residue.reshape(-1, RESIDUE_PART_SAMPLES // 2) ** 2).sum(axis=1) + 1e3)
    return np.concatenate([shapes.ravel(), spectra.mean(axis=1), loudness]).astype(np.float32)


def longest_run(at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the longest stretch of neighbours in `at`, rising sample times."""
    runs = np.split(at, np.flatnonzero(np.diff(at) > 1) + 1)
    return max(runs, key=len)


def guess_at(heard: NDArray[np.float64], at: NDArray[np.int64], onset: int) -> int:
    """Guess from the samples `heard` at sample times `at` of a press that began at `onset`."""
    if len(at) >= TEMPLATE_SAMPLES_MAX:
        near = at - at[0] < SPAN_SAMPLES_MAX
        return int(explained_energies(heard[near], at[near]).argmax())
    angles = 2 * np.pi / SAMPLE_RATE_HZ * np.outer(at - onset, [*ROWS_HZ, *COLUMNS_HZ])
    tones = np.sin(angles)
    templates = (tones[:, :4, None] + tones[:, None, 4:]).reshape(len(at), -1)
    return int(((templates.T @ heard) ** 2 / (templates**2).sum(axis=0).clip(1e-9)).argmax())


def views(
    stream: Stream, heard: NDArray[np.int16], passed: NDArray[np.bool_], luck: np.random.Generator
) -> list[KeyView]:
    """Return the attacker's view of each press of `stream`.

    heard: int16, what the agent gets, laid on the stream's own clock. passed: bool, the stream's samples that left
    unreplaced. Where nothing passed, an attacker who is told so can only guess by `luck`.
    """
    found = []
    length = max(len(heard), stream.ends[-1] + RESIDUE_SAMPLES) + AROUND_SAMPLES
    audio = np.zeros(length)
    audio[: len(heard)] = heard
    for key, onset, end in zip(stream.keys, stream.onsets, stream.ends, strict=True):
        at = onset + np.flatnonzero(passed[onset:end])
        by_luck = int(luck.integers(len(KEYS)))
        whole = np.arange(onset, min(end, onset + SPAN_SAMPLES_MAX))
        around = audio[max(onset - AROUND_SAMPLES, 0) : end + AROUND_SAMPLES].astype(np.int16)
        run = longest_run(at) if len(at) else at
        first = guess_at(audio[run], run, onset) if len(at) else by_luck
        guesses = (
            first,
            first if len(run) == len(at) else guess_at(audio[at], at, onset),
            guess_at(audio[whole], whole, onset),
            KEYS.index(guess_key_from_fragments(around)),
        )
        start = onset - RESIDUE_BEFORE_SAMPLES
        features = residue_features(audio[start : start + RESIDUE_SAMPLES])
        found.append(KeyView(KEYS.index(key), len(at), guesses, features))
    return found
