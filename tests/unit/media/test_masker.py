"""The masker: nothing of a key leaves, everything else does, 5 ms late."""

import numba
import numpy as np
import pytest

from dtmf_shield.media import masker
from dtmf_shield.media.frames import CallerFrame, MaskedFrame
from dtmf_shield.media.masker import MODE_CAPTURE, MODE_GUARD, MODE_MUTE, SHIELD_STATE_DTYPE
from tests.vectors.dtmf_scoring import leaked_samples, listen
from tests.vectors.dtmf_signal import APART_MS, Recipe, key_stream

HOLD = masker.HOLD_BACK_SAMPLES
NOISE_PEAK = masker.NOISE_PEAK
SHIELDED_KEYS = {
    "-10 dBm0, 80 ms, SNR 35": {"level_dbm0": -10, "on_ms": 80, "snr_db": 35},
    "-25 dBm0, 50 ms, SNR 20": {"level_dbm0": -25, "on_ms": 50, "snr_db": 20},
    "no noise": {"level_dbm0": -18, "on_ms": 65},
    "below what registers": {"level_dbm0": -48, "on_ms": 60, "snr_db": 20},
    "at the limits of the legal range": {
        "row_error": 0.015,
        "column_error": -0.015,
        "twist_db": -6,
        "level_dbm0": -25,
        "snr_db": 15,
        "on_ms": 40,
    },
    "4 s": {"on_ms": 4000, "snr_db": 25, "repetitions": 1},
    "39 ms fragments": {"on_ms": 39, "snr_db": 30},
    "20 ms fragments": {"on_ms": 20, "snr_db": 30},
    "8 ms fragments": {"on_ms": 8, "snr_db": 30},
    "6 ms fragments": {"on_ms": 6, "snr_db": 30, "gap_ms": 160},
    "5 ms fragments": {"on_ms": 5, "snr_db": 30, "gap_ms": 160},
    "3 ms fragments": {"on_ms": 3, "snr_db": 30, "gap_ms": 160},
}


def rough_sound(n, seed):
    """Noise with a slow, speech-like envelope, loud enough to stand out from the mask."""
    rng = np.random.default_rng(seed)
    envelope = np.abs(
        np.interp(np.arange(n), np.arange(0, n + 800, 800), rng.standard_normal(-(-n // 800) + 1))
    )
    return (rng.standard_normal(n) * 2500 * (0.2 + envelope)).clip(-32000, 32000).astype(np.int16)


@pytest.mark.parametrize("changes", SHIELDED_KEYS.values(), ids=SHIELDED_KEYS)
def test_no_sample_of_a_key_leaves_during_a_capture(changes):
    stream = key_stream(Recipe(**{"repetitions": 10, "gap_ms": APART_MS, **changes}), 11)

    out = listen(stream.pcm, MODE_CAPTURE)[1]

    leaks = [leaked_samples(stream.pcm, out, a, b) for a, b in zip(stream.onsets, stream.ends, strict=True)]
    assert max(leaks) == 0


def test_hardly_a_sample_of_a_2_ms_fragment_leaves_during_a_capture():
    """At SNR 30 dB one in 300 loses 3 samples at an edge: too few to tell the key by."""
    stream = key_stream(Recipe(repetitions=10, on_ms=2, snr_db=30, gap_ms=160), 24)

    out = listen(stream.pcm, MODE_CAPTURE)[1]

    leaks = [leaked_samples(stream.pcm, out, a, b) for a, b in zip(stream.onsets, stream.ends, strict=True)]
    assert np.count_nonzero(leaks) <= 1
    assert max(leaks) <= 4


def test_the_leak_measure_sees_a_leak():
    stream = key_stream(Recipe(repetitions=1), 11)
    unmasked = np.concatenate([np.zeros(HOLD, np.int16), stream.pcm])

    assert leaked_samples(stream.pcm, unmasked, stream.onsets[0], stream.ends[0]) > 390


def test_no_sample_of_a_key_leaves_when_sound_surrounds_it():
    stream = key_stream(Recipe(repetitions=10, snr_db=30, gap_ms=APART_MS), 12)
    around = rough_sound(len(stream.pcm), 12)
    for onset, end in zip(stream.onsets, stream.ends, strict=True):
        around[onset:end] = 0
    pcm = (stream.pcm.astype(int) + around).clip(-32768, 32767).astype(np.int16)

    out = listen(pcm, MODE_CAPTURE)[1]

    assert max(leaked_samples(pcm, out, a, b) for a, b in zip(stream.onsets, stream.ends, strict=True)) == 0


def test_guard_mode_keeps_ordinary_keys_back_too():
    stream = key_stream(Recipe(repetitions=10, snr_db=30, gap_ms=APART_MS), 13)

    out = listen(stream.pcm, MODE_GUARD)[1]

    assert (
        max(leaked_samples(stream.pcm, out, a, b) for a, b in zip(stream.onsets, stream.ends, strict=True))
        == 0
    )


@pytest.mark.parametrize("mode", [MODE_GUARD, MODE_CAPTURE])
def test_other_sound_passes_unchanged_5_ms_late(mode):
    pcm = rough_sound(16_000, 14)

    out = listen(pcm, mode)[1]

    assert np.array_equal(out[HOLD:], pcm[:-HOLD])
    assert np.abs(out[:HOLD]).max() <= NOISE_PEAK


@pytest.mark.parametrize("mode", [MODE_MUTE, 7])
def test_mute_mode_and_unknown_modes_let_nothing_out_but_keys_still_register(mode):
    stream = key_stream(Recipe(repetitions=1), 15)

    heard, out = listen(stream.pcm, mode)

    assert [h.key for h in heard] == stream.keys
    assert np.abs(out).max() <= NOISE_PEAK


def test_the_mask_is_the_same_for_every_key():
    """Two legs that differ only in which keys sound send the same octets where both are muted."""
    outs = []
    for key in "1D":
        stream = key_stream(Recipe(repetitions=8, keys=key, gap_spread_ms=0.0), 16)
        outs.append(listen(stream.pcm, MODE_MUTE)[1])

    assert np.array_equal(outs[0], outs[1])


def test_comfort_noise_has_its_fixed_level():
    out = listen(rough_sound(80_000, 17), MODE_MUTE)[1].astype(float)

    level_dbm0 = 10 * np.log10(np.mean(out**2) / (0.5 * (32767 * 10 ** (-3.14 / 20)) ** 2))
    assert level_dbm0 == pytest.approx(masker.LEVEL_DBM0, abs=0.5)


@pytest.mark.parametrize("packet_samples", [80, 160, 240, 320, 480])
def test_no_packet_length_leaks(packet_samples):
    stream = key_stream(Recipe(repetitions=4, snr_db=25, gap_ms=APART_MS), 18)

    out = listen(stream.pcm, MODE_CAPTURE, packet_samples)[1]

    assert (
        max(leaked_samples(stream.pcm, out, a, b) for a, b in zip(stream.onsets, stream.ends, strict=True))
        == 0
    )


def test_a_lost_packet_becomes_noise_and_so_do_the_40_samples_after_it():
    pcm = rough_sound(1600, 19)
    lost = np.zeros(10, bool)
    lost[4] = True

    out = listen(pcm, MODE_GUARD, 160, lost)[1]

    assert np.abs(out[4 * 160 : 5 * 160 + HOLD]).max() <= NOISE_PEAK
    assert np.array_equal(out[5 * 160 + HOLD :], pcm[5 * 160 : -HOLD])


def test_loss_inside_a_key_leaks_nothing():
    stream = key_stream(Recipe(repetitions=20, on_ms=100, snr_db=30, gap_ms=APART_MS), 20)
    lost = np.random.default_rng(20).random(-(-len(stream.pcm) // 160)) < 0.2

    out = listen(stream.pcm, MODE_CAPTURE, 160, lost)[1]

    assert (
        max(leaked_samples(stream.pcm, out, a, b) for a, b in zip(stream.onsets, stream.ends, strict=True))
        == 0
    )


def test_a_forced_mute_covers_what_is_held_and_ends_by_itself():
    pcm = rough_sound(960, 21)
    state, keys, out = np.zeros(1, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8), np.zeros(960, np.int16)
    masker.shield_packet(state, 0, pcm[:160], out[:160], MODE_GUARD, keys)

    masker.force_mute(state, 0, 200)

    assert masker.mute_open(state, 0)
    for start in range(160, 960, 160):
        masker.shield_packet(state, 0, pcm[start : start + 160], out[start : start + 160], MODE_GUARD, keys)
    assert not masker.mute_open(state, 0)
    assert np.abs(out[160 : 160 + HOLD + 200]).max() <= NOISE_PEAK
    assert np.array_equal(out[160 + HOLD + 200 :], pcm[160 + 200 : 960 - HOLD])


def test_replaced_samples_are_counted_and_located():
    stream = key_stream(Recipe(repetitions=1, keys="5"), 22)
    state, keys, out = np.zeros(1, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8), np.zeros(160, np.int16)
    begins, ends = [], []

    for start in range(0, 2560, 160):
        masker.shield_packet(state, 0, stream.pcm[start : start + 160], out, MODE_CAPTURE, keys)
        segments = masker.masked_segments(state, 0)
        assert sum(end - begin for begin, end in segments) == masker.samples_masked(state, 0)
        begins += [start + begin for begin, _ in segments]
        ends += [start + end for _, end in segments]

    after_start = [begin for begin in begins if begin > HOLD]
    assert stream.onsets[0] + HOLD - 66 <= min(after_start) <= stream.onsets[0] + HOLD
    assert stream.ends[0] + HOLD <= max(ends) <= stream.ends[0] + HOLD + 8 * (5 + 60 + 20) + 26


def test_a_packet_of_odd_length_is_masked_whole():
    state, keys, out = np.zeros(1, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8), np.full(157, 9999, np.int16)

    assert masker.shield_packet(state, 0, np.full(157, 5000, np.int16), out, MODE_GUARD, keys) == 0

    assert np.abs(out).max() <= NOISE_PEAK


def test_legs_are_independent():
    stream = key_stream(Recipe(repetitions=2, snr_db=30), 23)
    other = rough_sound(len(stream.pcm), 23)
    state, keys = np.zeros(2, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8)
    outs = np.zeros((2, len(other)), np.int16)

    for start in range(0, len(other) - 159, 160):
        at = slice(start, start + 160)
        masker.shield_packet(state, 0, stream.pcm[at], outs[0, at], MODE_CAPTURE, keys)
        masker.shield_packet(state, 1, other[at], outs[1, at], MODE_CAPTURE, keys)

    whole = len(other) // 160 * 160
    assert np.array_equal(outs[0, :whole], listen(stream.pcm, MODE_CAPTURE)[1][:whole])
    assert np.array_equal(outs[1, HOLD:whole], other[: whole - HOLD])


def test_an_encoder_for_masked_audio_refuses_raw_audio_at_typing():
    @numba.njit(numba.int16(numba.typeof(masker.masked_frame(np.zeros(1, np.int16)))))
    def only_masked(frame):
        return frame.samples[0]

    samples = np.ones(1, np.int16)

    assert only_masked(masker.masked_frame(samples)) == 1
    assert isinstance(masker.masked_frame(samples), MaskedFrame)
    with pytest.raises(TypeError):
        only_masked(CallerFrame(samples))
    with pytest.raises(TypeError):
        only_masked(samples)
