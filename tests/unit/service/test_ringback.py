"""The ringing tone of each country: its frequencies, cadence and level, ready in the pool without a build."""

import numpy as np
import pytest

from dtmf_shield.media.dsp.levels import mean_square
from dtmf_shield.prompts.ringback import CADENCES, RINGBACK_DBM0, ringback_name
from dtmf_shield.service.prompts.pool import PromptPool
from dtmf_shield.service.prompts.ringback import add_ringback, samples


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("en-GB", "tone/ringback-GB"),
        ("fr-FR", "tone/ringback-FR"),
        ("fr-CA", "tone/ringback-"),
        ("en", "tone/ringback-"),
        ("", "tone/ringback-"),
    ],
)
def test_the_country_of_the_language_says_which_tone(language, name):
    assert ringback_name(language) == name


def test_every_tone_is_in_the_pool():
    n = 8_000 * 60
    pool = PromptPool(np.zeros(n, np.int16), np.zeros(2 * n, np.int16))

    add_ringback(pool)

    assert all(pool.places((ringback_name(f"xx-{country}"),)) for country in CADENCES)


@pytest.mark.parametrize("country", CADENCES)
@pytest.mark.parametrize("sample_rate_hz", [8_000, 16_000])
def test_a_period_sounds_and_rests_as_the_country_has_it(country, sample_rate_hz):
    cadence = CADENCES[country]
    period = samples(cadence, sample_rate_hz).astype(float)
    ends = np.cumsum(cadence.on_off_ms) * sample_rate_hz // 1_000

    assert len(period) == ends[-1]
    for part, sounds in zip(np.split(period, ends[:-1]), [True, False] * 2, strict=False):
        if not sounds:
            assert not part.any()
            continue
        assert 10 * np.log10(np.mean(part**2) / mean_square(RINGBACK_DBM0)) == pytest.approx(0.0, abs=0.1)
        spectrum = np.abs(np.fft.rfft(part))
        loudest = np.argsort(spectrum)[-len(cadence.frequencies_hz) :] * sample_rate_hz / len(part)
        assert sorted(loudest) == pytest.approx(sorted(cadence.frequencies_hz), abs=3.0)
