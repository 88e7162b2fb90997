"""Ringing tones laid into the pool of prompts at the start: they need no recording and no build."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.dsp.levels import mean_square
from dtmf_shield.media.rtp.clock import SAMPLE_RATE_HZ
from dtmf_shield.prompts.ringback import CADENCES, RINGBACK_DBM0, Cadence
from dtmf_shield.service.prompts.pool import WIDEBAND, PromptPool


def add_ringback(pool: PromptPool) -> None:
    """Lay one period of each country's tone into the pool."""
    for country, cadence in CADENCES.items():
        narrow, wide = samples(cadence, SAMPLE_RATE_HZ), samples(cadence, WIDEBAND * SAMPLE_RATE_HZ)
        pool.add(f"tone/ringback-{country}", narrow, wide)


def samples(cadence: Cadence, sample_rate_hz: int) -> NDArray[np.int16]:
    """Return one period: int16, shape (n,), each frequency at an equal share of RINGBACK_DBM0."""
    at_s = np.arange(sum(cadence.on_off_ms) * sample_rate_hz // 1_000) / sample_rate_hz
    peak = np.sqrt(2.0 * mean_square(RINGBACK_DBM0) / len(cadence.frequencies_hz))
    tone = sum(peak * np.sin(2.0 * np.pi * hz * at_s) for hz in cadence.frequencies_hz)
    heard = np.concatenate(
        [np.full(ms * sample_rate_hz // 1_000, part % 2 == 0) for part, ms in enumerate(cadence.on_off_ms)]
    )
    return np.asarray(np.rint(tone * heard), np.int16)
