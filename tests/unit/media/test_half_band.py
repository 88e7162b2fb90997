"""The half-band filter: flat and quick where the tones are, deaf where hiss would fold onto them."""

import numpy as np
import pytest
from scipy.signal import lfilter

from dtmf_shield.media.dsp.half_band import ALL_PASS_COEFFICIENTS, take_chunk
from dtmf_shield.media.dsp.leg_state import CHUNK_SAMPLES, SHIELD_STATE_DTYPE
from dtmf_shield.media.dsp.tables import COLUMN_FREQUENCIES_HZ, ROW_FREQUENCIES_HZ

PEAK = 20_000.0


def halved(pcm, chunk=160):
    """Run `pcm`, int16 at 16 kHz, through a leg in chunks of `chunk` samples at 8 kHz."""
    leg = np.zeros(1, SHIELD_STATE_DTYPE)
    out = np.zeros(len(pcm) // 2, np.int16)
    for first in range(0, len(out), chunk):
        n = min(chunk, len(out) - first)
        take_chunk(leg[0], pcm, first, n, 2)
        out[first : first + n] = leg[0]["samples"][CHUNK_SAMPLES : CHUNK_SAMPLES + n]
    return out


def tone(frequency_hz, n=16_000):
    return np.round(PEAK * np.sin(2 * np.pi * frequency_hz * np.arange(n) / 16_000)).astype(np.int16)


def response(frequency_hz):
    """Return the complex gain at a frequency under 4 kHz, time counted from the input's first sample."""
    out = halved(tone(frequency_hz))[800:7200].astype(float)
    turns = np.exp(-2j * np.pi * frequency_hz * np.arange(800, 7200) / 8000)
    return complex(2j * np.mean(out * turns)) / PEAK


@pytest.mark.parametrize("frequency_hz", [300.0, *ROW_FREQUENCIES_HZ, *COLUMN_FREQUENCIES_HZ, 3000.0])
def test_what_the_detector_needs_passes_within_a_tenth_of_a_decibel(frequency_hz):
    assert 20 * np.log10(abs(response(frequency_hz))) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("frequency_hz", [*ROW_FREQUENCIES_HZ, *COLUMN_FREQUENCIES_HZ])
def test_a_tone_comes_out_less_than_a_fifth_of_a_millisecond_late(frequency_hz):
    near = [np.angle(response(frequency_hz + step)) for step in (-5.0, 5.0)]
    delay_s = -np.angle(np.exp(1j * (near[1] - near[0]))) / (2 * np.pi * 10.0)

    assert 0.0 < delay_s < 0.0002


@pytest.mark.parametrize(
    "frequency_hz", [4650.0, 5300.0, *(8000.0 - hz for hz in (3000.0, 1633.0, 697.0)), 7900.0]
)
def test_hiss_above_4600_hz_does_not_fold(frequency_hz):
    rest = halved(tone(frequency_hz))[800:].astype(float)

    assert 20 * np.log10(np.sqrt(2 * np.mean(rest**2)) / PEAK) < -45


def test_it_is_the_filter_it_says():
    """Slow twin: the two all-pass paths as one polynomial filter each, at 16 kHz, then every second sample."""
    pcm = (np.random.default_rng(1).standard_normal(3200) * 5000).clip(-32768, 32767).astype(np.int16)
    paths = []
    for coefficients in (ALL_PASS_COEFFICIENTS[0::2], ALL_PASS_COEFFICIENTS[1::2]):
        path = pcm.astype(float)
        for c in coefficients:
            path = lfilter([c, 0.0, 1.0], [1.0, 0.0, c], path)
        paths.append(path)
    expected = 0.5 * (paths[0][1:] + paths[1][:-1])[::2]

    assert np.abs(halved(pcm) - expected).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("chunk", [20, 60, 100])
def test_chunks_make_no_difference(chunk):
    pcm = (np.random.default_rng(2).standard_normal(3200) * 5000).clip(-32768, 32767).astype(np.int16)

    assert np.array_equal(halved(pcm, chunk), halved(pcm))


def test_full_scale_is_clipped_not_wrapped():
    square = np.where(np.arange(3200) // 16 % 2 == 0, 32767, -32768).astype(np.int16)

    out = halved(square).astype(int)

    assert out.max() == 32767
    assert np.all(np.abs(np.diff(out)) < 65_535)


def test_after_a_sound_the_filter_comes_to_rest():
    """A tail that never ends would run in denormal numbers, a hundred times slower."""
    leg = np.zeros(1, SHIELD_STATE_DTYPE)
    take_chunk(leg[0], tone(1000.0, 320), 0, 160, 2)
    for _ in range(5):
        take_chunk(leg[0], np.zeros(320, np.int16), 0, 160, 2)

    assert not leg[0]["half_band"].any()
