"""What every stored piece is: trimmed, band-limited, about -16 LUFS, never above -6 dBFS, whole packets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtmf_shield.prompts.errors import PromptError
from dtmf_shield.prompts.sound.loudness import loudness_lufs
from dtmf_shield.prompts.sound.shaping import (
    LOUDNESS_LUFS,
    NARROW_HZ,
    NO_SOUND,
    PEAK_DBFS_MAX,
    SOUND_S_MAX,
    WIDE_HZ,
    Sound,
    joined,
    levelled,
    shaped,
    silence,
    trimmed,
)

PEAK_MAX = 10 ** (PEAK_DBFS_MAX / 20)


def speech_like(duration_s, sample_rate_hz, seed=1, level=0.1):
    """Noise below 4 kHz that comes and goes four times a second, as syllables do."""
    random = np.random.default_rng(seed)
    t = np.arange(round(duration_s * sample_rate_hz)) / sample_rate_hz
    noise = random.standard_normal(len(t))
    smooth = np.convolve(noise, np.ones(max(sample_rate_hz // 4000, 1)), mode="same")
    return level * smooth / np.abs(smooth).max() * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * t))


@pytest.mark.parametrize("sample_rate_hz", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("level", [0.003, 0.1, 1.0])
def test_loudness_and_peak_hold_whatever_comes_in(sample_rate_hz, level):
    made = shaped(Sound(speech_like(2.0, sample_rate_hz, level=level), sample_rate_hz))

    for pcm, rate in ((made.narrow, NARROW_HZ), (made.wide, WIDE_HZ)):
        samples = pcm / 32768
        assert np.abs(samples).max() <= PEAK_MAX
        assert loudness_lufs(samples, rate) == pytest.approx(LOUDNESS_LUFS, abs=2.0)
    assert made.loudness_lufs == pytest.approx(loudness_lufs(made.narrow / 32768, NARROW_HZ), abs=0.1)


def test_both_forms_are_the_same_number_of_whole_packets():
    made = shaped(Sound(speech_like(0.777, 22_050), 22_050))

    assert len(made.narrow) == 160 * made.packet_count
    assert len(made.wide) == 320 * made.packet_count
    assert made.packet_count == pytest.approx(777 / 20, abs=3)


def test_silence_around_is_cut_and_silence_inside_stays():
    word = speech_like(0.5, 16_000)
    gap = np.zeros(8_000)
    samples = np.concatenate((np.zeros(16_000), word, gap, word, np.zeros(24_000)))

    kept = trimmed(samples, 16_000)

    assert len(kept) == pytest.approx(2 * len(word) + len(gap), abs=1_200)
    assert kept[0] == 0.0
    assert abs(kept[-1]) < 1e-4


def test_nothing_is_left_outside_the_telephone_band():
    """A hum, a voice and a whistle in; the voice out."""
    t = np.arange(32_000) / 16_000
    voice = 0.2 * np.sin(2 * np.pi * 1_000 * t)
    samples = voice + 0.2 * np.sin(2 * np.pi * 100 * t) + 0.2 * np.sin(2 * np.pi * 3_800 * t)

    spectrum = np.abs(np.fft.rfft(shaped(Sound(samples, 16_000)).narrow[4_000:12_000] * np.hanning(8_000)))

    level_db = 20 * np.log10(spectrum / spectrum[1_000])  # one bin a hertz
    assert level_db[90:110].max() < -40
    assert level_db[3_780:3_820].max() < -12
    assert level_db[300:3_400].max() <= 0.0


def test_pauses_stand_between_joined_parts():
    word = Sound(speech_like(0.5, 16_000), 16_000)

    together = joined([(word, 0), (NO_SOUND, 300), (word, 100)])

    assert together.sample_rate_hz == WIDE_HZ
    assert len(together.samples) == pytest.approx(WIDE_HZ * 1.4, abs=1_500)
    assert not together.samples[-1_600:].any()


def test_a_pause_is_whole_packets_of_zeros():
    pause = silence(200)

    assert pause.packet_count == 10
    assert not pause.narrow.any()
    assert not pause.wide.any()


@given(st.integers(0, 1_000), st.floats(0.001, 1.0), st.floats(0.02, 0.6))
@settings(max_examples=40, deadline=None)
def test_the_limiter_never_lets_a_peak_through(seed, level, duration_s):
    samples = speech_like(duration_s, 8_000, seed, level)
    samples[len(samples) // 2] = 1.0  # a click

    assert np.abs(levelled(samples, 8_000)).max() <= PEAK_MAX


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        (np.zeros(8_000), "there is no sound in it"),
        (np.zeros(0), "there is no sound in it"),
        (np.ones(8_000 * SOUND_S_MAX + 1), "longer than 120 s"),
    ],
)
def test_what_cannot_be_a_prompt_is_refused(samples, sentence):
    with pytest.raises(PromptError, match=sentence):
        shaped(Sound(samples, 8_000))
