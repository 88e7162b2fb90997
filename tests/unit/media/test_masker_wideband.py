"""The masker at 16 kHz: nothing of a key leaves in any part of the band, everything else does, 5 ms late."""

import numpy as np
import pytest
from scipy.signal import firwin, lfilter

from dtmf_shield.media import detector, masker
from dtmf_shield.media.masker import MODE_CAPTURE, MODE_GUARD, MODE_MUTE, SHIELD_STATE_DTYPE
from tests.vectors.dtmf_scoring import hits_and_extras, leaked_samples, listen
from tests.vectors.dtmf_signal import APART_MS, Recipe, Stream, key_stream

HOLD = 2 * masker.HOLD_BACK_SAMPLES
RATE_HZ = 16_000
SHIELDED_KEYS = {
    "-10 dBm0, 80 ms, SNR 35": {"level_dbm0": -10, "on_ms": 80, "snr_db": 35},
    "-25 dBm0, 50 ms, SNR 20": {"level_dbm0": -25, "on_ms": 50, "snr_db": 20},
    "no noise": {"level_dbm0": -18, "on_ms": 65},
    "below what registers": {"level_dbm0": -48, "on_ms": 60, "snr_db": 20},
    "at the limits of the legal range": {
        "row_error": 0.015, "column_error": -0.015, "twist_db": -6, "level_dbm0": -25, "snr_db": 15, "on_ms": 40,
    },
    "clipped: harmonics up to 8 kHz": {"level_dbm0": -6, "clip_gain_db": 12, "snr_db": 30},
    "4 s": {"on_ms": 4000, "snr_db": 25, "repetitions": 1},
    "39 ms fragments": {"on_ms": 39, "snr_db": 30},
    "20 ms fragments": {"on_ms": 20, "snr_db": 30},
    "8 ms fragments": {"on_ms": 8, "snr_db": 30},
}  # fmt: skip


def wideband_stream(seed, **changes):
    recipe = {"repetitions": 10, "gap_ms": APART_MS, "sample_rate_hz": RATE_HZ, **changes}
    return key_stream(Recipe(**recipe), seed)


def shielded(pcm, mode=MODE_CAPTURE, packet_samples=320, lost=None):
    return listen(pcm, mode, packet_samples, lost, RATE_HZ)


def leaks(stream, out):
    return [
        leaked_samples(stream.pcm, out, onset, end, HOLD)
        for onset, end in zip(stream.onsets, stream.ends, strict=True)
    ]


def hiss(n, seed, peak=3000.0):
    """Noise from 4.6 to 8 kHz only."""
    high_pass = firwin(201, 4700, fs=RATE_HZ, pass_zero=False)
    return lfilter(high_pass, [1.0], np.random.default_rng(seed).standard_normal(n) * peak)


def rough_sound(n, seed):
    """Wideband noise with a slow, speech-like envelope."""
    rng = np.random.default_rng(seed)
    steps = np.abs(rng.standard_normal(-(-n // 1600) + 1))
    envelope = np.interp(np.arange(n), np.arange(0, 1600 * len(steps), 1600), steps)
    return (rng.standard_normal(n) * 2500 * (0.2 + envelope)).clip(-32000, 32000).astype(np.int16)


@pytest.mark.parametrize("changes", SHIELDED_KEYS.values(), ids=SHIELDED_KEYS)
def test_no_sample_of_a_key_leaves_during_a_capture(changes):
    stream = wideband_stream(11, **changes)

    assert max(leaks(stream, shielded(stream.pcm)[1])) == 0


def test_the_leak_measure_sees_a_leak():
    stream = wideband_stream(11, repetitions=1)
    unmasked = np.concatenate([np.zeros(HOLD, np.int16), stream.pcm])

    assert min(leaks(stream, unmasked)) > 700


def test_no_sample_of_a_key_leaves_when_sound_surrounds_it():
    stream = wideband_stream(12, snr_db=30)
    around = rough_sound(len(stream.pcm), 12).astype(int)
    for onset, end in zip(stream.onsets, stream.ends, strict=True):
        around[onset:end] = 0
    stream.pcm = (stream.pcm + around).clip(-32768, 32767).astype(np.int16)

    assert max(leaks(stream, shielded(stream.pcm)[1])) == 0


def test_hiss_as_loud_as_the_keys_hides_none_of_them():
    stream = wideband_stream(13, level_dbm0=-15, snr_db=30)
    stream.pcm = (stream.pcm + hiss(len(stream.pcm), 13)).clip(-32768, 32767).astype(np.int16)

    heard, out = shielded(stream.pcm)

    assert [h.key for h in heard] == stream.keys
    assert max(leaks(stream, out)) == 0


@pytest.mark.parametrize("packet_samples", [160, 320, 480, 640, 960])
def test_no_packet_length_leaks_or_changes_what_is_heard(packet_samples):
    stream = wideband_stream(14, repetitions=4, snr_db=25)
    stream.pcm = (stream.pcm + hiss(len(stream.pcm), 14, 800.0)).clip(-32768, 32767).astype(np.int16)

    heard, out = shielded(stream.pcm, MODE_CAPTURE, packet_samples)

    assert [h.key for h in heard] == stream.keys
    assert max(leaks(stream, out)) == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_split_into_packets_leaks_nothing_and_gives_the_same_keys(seed):
    stream = wideband_stream(24, repetitions=2, snr_db=25)
    rng, state = np.random.default_rng(seed), np.zeros(1, SHIELD_STATE_DTYPE)
    keys, heard, out, start = np.zeros(16, np.uint8), [], np.zeros_like(stream.pcm), 0

    while start < len(stream.pcm) - 960:
        packet = slice(start, start + 40 * int(rng.integers(1, 25)))
        n = masker.shield_wideband_packet(state, 0, stream.pcm[packet], out[packet], MODE_CAPTURE, keys)
        heard += [chr(key) for key in keys[:n]]
        start = packet.stop

    assert heard == stream.keys
    assert max(leaks(stream, out)) == 0


@pytest.mark.parametrize("gain", [0.25, 0.5, 2.0])
def test_gain_and_offset_change_nothing(gain):
    stream = wideband_stream(25, repetitions=2, level_dbm0=-18, snr_db=30)
    stream.pcm = (gain * stream.pcm + 200).clip(-32768, 32767).astype(np.int16)

    heard, out = shielded(stream.pcm)

    assert [h.key for h in heard] == stream.keys
    assert max(leaks(stream, out)) == 0


@pytest.mark.parametrize("mode", [MODE_GUARD, MODE_CAPTURE])
def test_other_sound_passes_unchanged_5_ms_late(mode):
    pcm = rough_sound(32_000, 15)

    out = shielded(pcm, mode)[1]

    assert np.array_equal(out[HOLD:], pcm[:-HOLD])
    assert np.abs(out[:HOLD]).max() <= masker.NOISE_PEAK


def test_a_replaced_stretch_is_noise_over_the_whole_band():
    stream = wideband_stream(16, repetitions=2, on_ms=100, level_dbm0=-6, clip_gain_db=12)

    out = shielded(stream.pcm)[1]

    for onset, end in zip(stream.onsets, stream.ends, strict=True):
        assert np.abs(out[onset + HOLD : end + HOLD]).max() <= masker.NOISE_PEAK


@pytest.mark.parametrize("mode", [MODE_MUTE, 7])
def test_mute_mode_and_unknown_modes_let_nothing_out_but_keys_still_register(mode):
    stream = wideband_stream(17, repetitions=1)

    heard, out = shielded(stream.pcm, mode)

    assert [h.key for h in heard] == stream.keys
    assert np.abs(out).max() <= masker.NOISE_PEAK


ACCEPTED = {
    "level -35": {"level_dbm0": -35},
    "both tones +1.5 % and +2 Hz": {"row_error": 0.015, "column_error": 0.015, "error_hz": 2},
    "twist +6": {"twist_db": 6},
    "twist -6": {"twist_db": -6},
    "40 ms on, 40 ms off": {"on_ms": 40, "gap_ms": 40},
}
REFUSED = {
    "row -3.5 %": {"row_error": -0.035},
    "both +3.5 %": {"row_error": 0.035, "column_error": 0.035},
    "23 ms": {"on_ms": 23},
}


@pytest.mark.parametrize("changes", ACCEPTED.values(), ids=ACCEPTED)
def test_legal_keys_register_once_each(changes):
    stream = wideband_stream(18, snr_db=25, **changes)
    in_8_khz = Stream(
        stream.pcm, stream.keys, [at // 2 for at in stream.onsets], [at // 2 for at in stream.ends]
    )

    heard = shielded(stream.pcm)[0]

    hits = hits_and_extras(in_8_khz, [(h.key, h.registered) for h in heard])
    assert hits == (len(stream.keys), 0)
    for h, onset in zip(heard, in_8_khz.onsets, strict=True):
        assert abs(h.onset - onset) < 40


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED)
def test_what_is_no_key_does_not_register(changes):
    assert shielded(wideband_stream(19, **changes).pcm)[0] == []


def test_keys_of_the_upper_half_band_are_no_keys():
    """A pair mirrored at 4 kHz would fold onto a key's tones, were it not filtered out."""
    t = np.arange(3200) / RATE_HZ
    pair = 8000 * (np.sin(2 * np.pi * (8000 - 770) * t) + np.sin(2 * np.pi * (8000 - 1336) * t))
    pcm = np.concatenate([np.zeros(1600), pair, np.zeros(3200)]).astype(np.int16)

    assert shielded(pcm)[0] == []
    assert [h.key for h in listen(pcm[::2].copy())[0]] == ["5"]  # control: unfiltered it would be one


def test_the_detector_alone_hears_what_the_masker_hears():
    stream = wideband_stream(20, snr_db=20)
    state, keys, heard = np.zeros(1, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8), []

    for start in range(0, len(stream.pcm) - 319, 320):
        n = detector.detect_wideband_packet(state, 0, stream.pcm[start : start + 320], keys)
        heard += [chr(key) for key in keys[:n]]

    assert heard == stream.keys == [h.key for h in shielded(stream.pcm)[0]]


def test_a_lost_packet_becomes_noise_and_so_do_the_80_samples_after_it():
    pcm = rough_sound(3200, 21)
    lost = np.zeros(10, bool)
    lost[4] = True

    out = shielded(pcm, MODE_GUARD, 320, lost)[1]

    assert np.abs(out[4 * 320 : 5 * 320 + HOLD]).max() <= masker.NOISE_PEAK
    assert np.array_equal(out[5 * 320 + HOLD :], pcm[5 * 320 : -HOLD])


def test_loss_inside_a_key_leaks_nothing():
    stream = wideband_stream(22, on_ms=100, snr_db=30)
    lost = np.random.default_rng(22).random(-(-len(stream.pcm) // 320)) < 0.2

    assert max(leaks(stream, shielded(stream.pcm, MODE_CAPTURE, 320, lost)[1])) == 0


@pytest.mark.parametrize("n", [20, 157, 330])
def test_a_packet_of_odd_length_is_masked_whole(n):
    state, keys, out = np.zeros(1, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8), np.full(n, 9999, np.int16)

    assert masker.shield_wideband_packet(state, 0, np.full(n, 5000, np.int16), out, MODE_GUARD, keys) == 0

    assert np.abs(out).max() <= masker.NOISE_PEAK
    assert masker.masked_segments(state, 0) == [(0, n)]
    assert state[0]["position_samples"] % 20 == 0


def test_replaced_samples_are_counted_and_located_at_16_khz():
    stream = wideband_stream(23, repetitions=1, keys="5")
    state, keys, out = np.zeros(1, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8), np.zeros(320, np.int16)
    begins, ends = [], []

    for start in range(0, 3520, 320):
        masker.shield_wideband_packet(state, 0, stream.pcm[start : start + 320], out, MODE_CAPTURE, keys)
        segments = masker.masked_segments(state, 0)
        assert sum(end - begin for begin, end in segments) == masker.samples_masked(state, 0)
        begins += [start + begin for begin, _ in segments]
        ends += [start + end for _, end in segments]

    after_start = [begin for begin in begins if begin > HOLD]
    assert stream.onsets[0] + HOLD - 134 <= min(after_start) <= stream.onsets[0] + HOLD
    assert stream.ends[0] + HOLD <= max(ends) <= stream.ends[0] + HOLD + 16 * (5 + 60 + 20) + 54
