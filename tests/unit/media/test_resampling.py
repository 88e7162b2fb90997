"""Between 8 and 16 kHz: the filter against scipy's, what it passes and stops, and its memory."""

import numpy as np
import pytest
from scipy import signal

from dtmf_shield.media.codecs.resampling import (
    DOUBLING_STATE_DTYPE,
    HALF_BAND_DELAY_SAMPLES,
    HALVING_STATE_DTYPE,
    double,
    halve,
    reset_resampling,
)


def reference_taps() -> np.ndarray:
    """Return the filter as scipy designs it, gain 1 at 16 kHz."""
    return signal.firwin(2 * HALF_BAND_DELAY_SAMPLES + 1, 0.5, window=("kaiser", 5.65))


def halved(wide: np.ndarray, packet: int = 320, state: np.ndarray | None = None) -> np.ndarray:
    state = np.zeros(1, HALVING_STATE_DTYPE) if state is None else state
    narrow = np.zeros(len(wide) // 2, np.int16)
    for at in range(0, len(wide), packet):
        halve(state, 0, wide[at : at + packet], narrow[at // 2 : (at + packet) // 2])
    return narrow


def doubled(narrow: np.ndarray, packet: int = 160, state: np.ndarray | None = None) -> np.ndarray:
    state = np.zeros(1, DOUBLING_STATE_DTYPE) if state is None else state
    wide = np.zeros(2 * len(narrow), np.int16)
    for at in range(0, len(narrow), packet):
        double(state, 0, narrow[at : at + packet], wide[2 * at : 2 * (at + packet)])
    return wide


def tone(hz: float, rate_hz: int, n: int) -> np.ndarray:
    return np.rint(10_000 * np.sin(2 * np.pi * hz * np.arange(n) / rate_hz)).astype(np.int16)


def level_db(pcm: np.ndarray) -> float:
    """Return the level of the settled part against the tones made here."""
    settled = pcm[200:].astype(float)
    return float(10 * np.log10(np.mean(settled**2) / (0.5 * 10_000**2) + 1e-12))


def test_halving_is_scipys_filter_and_every_second_sample():
    wide = np.random.default_rng(1).integers(-20_000, 20_000, 16_000).astype(np.int16)

    filtered = signal.lfilter(reference_taps(), 1, wide.astype(float))[1::2]

    assert np.max(np.abs(halved(wide) - np.clip(filtered, -32_768, 32_767))) < 8


def test_doubling_is_zeros_put_in_and_scipys_filter():
    narrow = np.random.default_rng(2).integers(-12_000, 12_000, 8000).astype(np.int16)
    stuffed = np.zeros(16_000)
    stuffed[::2] = narrow

    filtered = signal.lfilter(2 * reference_taps(), 1, stuffed)

    assert np.max(np.abs(doubled(narrow) - np.clip(filtered, -32_768, 32_767))) < 8


@pytest.mark.parametrize("hz", [100, 697, 1633, 3000, 3400])
def test_speech_and_key_frequencies_pass_at_their_level_both_ways(hz):
    assert abs(level_db(halved(tone(hz, 16_000, 16_000)))) < 0.1
    assert abs(level_db(doubled(tone(hz, 8000, 8000)))) < 0.1


@pytest.mark.parametrize("hz", [4700, 5500, 7000, 7900])
def test_what_would_fold_into_speech_is_stopped(hz):
    assert level_db(halved(tone(hz, 16_000, 16_000))) < -50


def test_doubling_makes_no_image():
    spectrum = np.abs(np.fft.rfft(doubled(tone(1000, 8000, 8000))[2000:10_000].astype(float)))

    assert np.argmax(spectrum) == 500
    assert 20 * np.log10(np.max(spectrum[2300:]) / spectrum[500]) < -50


@pytest.mark.parametrize(
    ("resample", "packet"), [(halved, 160), (halved, 960), (doubled, 80), (doubled, 480)]
)
def test_cutting_into_packets_changes_nothing(resample, packet):
    pcm = np.random.default_rng(3).integers(-9000, 9000, 9600).astype(np.int16)

    assert np.array_equal(resample(pcm, packet), resample(pcm, 9600))


def test_there_and_back_is_the_audio_late_by_both_delays():
    narrow = tone(1200, 8000, 4000)

    back = halved(doubled(narrow))

    # 2 * 23 samples at 16 kHz, less the one by which halving keeps the second of each pair.
    expected = np.interp(
        np.arange(300, 3900) - (2 * HALF_BAND_DELAY_SAMPLES - 1) / 2, np.arange(4000), narrow
    )
    assert np.max(np.abs(back[300:3900] - expected)) < 1200


@pytest.mark.parametrize("loud", [32_767, -32_768])
def test_an_overshoot_is_limited_and_does_not_wrap(loud):
    square = np.where(np.arange(1600) // 40 % 2, loud, ~np.int16(loud)).astype(np.int16)

    for pcm in (halved(square), doubled(square)):
        assert np.max(np.abs(np.diff(np.sign(pcm[200:].astype(float))))) <= 2
        assert np.max(pcm) == 32_767
        assert np.min(pcm) == -32_768


def test_a_reset_forgets_the_audio():
    wide = tone(1000, 16_000, 1600)
    for dtype, resample in ((HALVING_STATE_DTYPE, halved), (DOUBLING_STATE_DTYPE, doubled)):
        state = np.zeros(1, dtype)
        resample(wide, 160, state)
        assert state.tobytes().strip(b"\0")

        reset_resampling(state, 0)

        assert not state.tobytes().strip(b"\0")
