"""ITU-R BS.1770-5 for one channel, with the test signals of BS.1770 and EBU Tech 3341 in their mono form."""

import numpy as np
import pytest

from dtmf_shield.prompts.sound.loudness import k_weighting, loudness_lufs


def sine(level_dbfs, duration_s, sample_rate_hz, tone_hz=997.0):
    t = np.arange(round(duration_s * sample_rate_hz)) / sample_rate_hz
    return 10 ** (level_dbfs / 20) * np.sin(2 * np.pi * tone_hz * t)


def test_the_filter_at_48_khz_is_the_one_of_the_recommendation():
    """BS.1770-5 annex 1, tables 1 and 2."""
    shelf, high_pass = k_weighting(48_000)

    assert shelf == pytest.approx(
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585]
    )
    assert high_pass == pytest.approx([1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621])


@pytest.mark.parametrize(("sample_rate_hz", "tolerance_lu"), [(48_000, 0.02), (16_000, 0.06), (8_000, 0.06)])
def test_a_full_scale_sine_in_one_channel_is_minus_3_lufs(sample_rate_hz, tolerance_lu):
    """BS.1770-5 annex 1: 0 dB FS at 997 Hz in one channel indicates -3.01 LKFS."""
    assert loudness_lufs(sine(0, 2, sample_rate_hz), sample_rate_hz) == pytest.approx(-3.01, abs=tolerance_lu)


def test_quiet_parts_do_not_count():
    """EBU Tech 3341 test signal 3: -36, -23 and -36 dBFS; in one channel instead of two, 3 LU lower."""
    parts = [sine(-36, 10, 8_000), sine(-23, 60, 8_000), sine(-36, 10, 8_000)]

    assert loudness_lufs(np.concatenate(parts), 8_000) == pytest.approx(-26.0, abs=0.1)


def test_what_is_below_the_absolute_gate_does_not_count():
    """EBU Tech 3341 test signal 4: the gate at -70 LUFS."""
    parts = [sine(-72, 10, 8_000), sine(-23, 60, 8_000), sine(-72, 10, 8_000)]

    assert loudness_lufs(np.concatenate(parts), 8_000) == pytest.approx(-26.0, abs=0.1)
    assert loudness_lufs(np.zeros(8_000), 8_000) == -np.inf
    assert loudness_lufs(np.zeros(0), 8_000) == -np.inf


def test_a_sound_shorter_than_a_block_is_one_block():
    assert loudness_lufs(sine(-10, 0.2, 8_000), 8_000) == pytest.approx(-13.0, abs=0.3)
