"""Properties of the detector over any key stream: gain, offset and packets change nothing.

What is promised: keys and onsets are the same for any packets that are whole numbers of 2.5 ms. Outside a capture so
is which hops are suspect; in a capture the last hop of each packet is judged more laxly, so shorter packets mute more.
The mask itself begins up to 3.25 ms before a suspect window, unless that was sent with an earlier packet.
"""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dtmf_shield.media import detector
from dtmf_shield.media.dsp.leg_state import SHIELD_STATE_DTYPE
from dtmf_shield.media.masker import (
    HOLD_BACK_SAMPLES,
    MODE_CAPTURE,
    MODE_GUARD,
    masked_segments,
    shield_packet,
)
from tests.vectors.dtmf_scoring import leaked_samples
from tests.vectors.dtmf_signal import Recipe, key_stream, whole_packets
from tests.vectors.speech_like import speech_like

SETTINGS = settings(derandomize=True, max_examples=20, deadline=None)
CORNER = {"keys": "42#A", "repetitions": 1, "on_ms": 40, "gap_ms": 40}
CHUNK = 160  # longer packets are worked through in chunks of 20 ms
splits = st.lists(st.sampled_from([20, 40, 60, 80, 100, 120, 140, 160]), min_size=1, max_size=12)
seeds = st.integers(0, 1000)


def cut(n, sizes):
    """Return [begin, end) of packets of `sizes` by turns over n samples; the last one is cut to fit."""
    begins, at = [], 0
    while at < n:
        begins.append((at, min(n, at + sizes[len(begins) % len(sizes)])))
        at = begins[-1][1]
    return begins


def keys_of(pcm, sizes=(160,)):
    state, keys = np.zeros(1, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8)
    heard = []
    for begin, end in cut(len(pcm), sizes):
        n_keys = detector.detect_packet(state, 0, pcm[begin:end], keys)
        heard += [(chr(keys[i]), int(state[0]["key_onset_samples"][i])) for i in range(n_keys)]
    return heard


def suspects_of(pcm, sizes):
    """Return which hops were suspect outside a capture."""
    state, keys = np.zeros(1, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8)
    bits = []
    for begin, end in cut(len(pcm), sizes):
        detector.detect_packet(state, 0, pcm[begin:end], keys)
        word = int(state[0]["suspect_hops"])
        bits += [(word >> hop) & 1 for hop in range((end - begin) // 10)]
    return np.array(bits, bool)


def mask_of(pcm, sizes, mode):
    """Return masked audio and which of its samples were replaced."""
    state, keys = np.zeros(1, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8)
    out, masked = np.zeros_like(pcm), np.zeros(len(pcm), bool)
    for begin, end in cut(len(pcm), sizes):
        shield_packet(state, 0, pcm[begin:end], out[begin:end], mode, keys)
        for first, last in masked_segments(state, 0):
            masked[begin + first : begin + last] = True
    return out, masked


def stream_of(seed, **changes):
    stream = key_stream(Recipe(**{**CORNER, "snr_db": 15, **changes}), seed, speech_like(8000, seed))
    stream.pcm = whole_packets(stream.pcm, 160)
    return stream


@SETTINGS
@given(
    seed=seeds,
    sizes=st.lists(st.sampled_from([20, 40, 60, 80, 100, 160, 240, 320, 480]), min_size=1, max_size=12),
)
def test_any_packets_hear_the_same_keys_at_the_same_onsets(seed, sizes):
    pcm = stream_of(seed).pcm

    assert keys_of(pcm, sizes) == keys_of(pcm)
    assert len(keys_of(pcm)) == 4


@SETTINGS
@given(seed=seeds, sizes=splits)
def test_any_packets_hear_a_broken_key_alike(seed, sizes):
    """A held key is looked at every 5 ms, however the packets lie: what a break means may not depend on them."""
    pcm = stream_of(seed, on_ms=100, cut_ms=20, snr_db=20).pcm

    assert keys_of(pcm, sizes) == keys_of(pcm)


@SETTINGS
@given(seed=seeds, sizes=splits)
def test_any_packets_suspect_the_same_hops_outside_a_capture(seed, sizes):
    pcm = stream_of(seed, speech_below_db=12).pcm

    suspect = suspects_of(pcm, sizes)

    assert np.array_equal(suspect, suspects_of(pcm, (160,)))
    assert suspect.any()


@SETTINGS
@given(seed=seeds, sizes=splits)
def test_any_packets_let_no_sample_of_a_key_out_of_a_capture(seed, sizes):
    stream = stream_of(seed, snr_db=20)

    out, masked = mask_of(stream.pcm, sizes, MODE_CAPTURE)
    late = np.roll(stream.pcm, HOLD_BACK_SAMPLES)

    for onset, end in zip(stream.onsets, stream.ends, strict=True):
        assert leaked_samples(stream.pcm, out, onset, end) == 0
        assert leaked_samples(stream.pcm, late, onset, end) == end - onset  # positive control: nothing masked
    untouched = ~masked[HOLD_BACK_SAMPLES:]
    assert np.array_equal(out[HOLD_BACK_SAMPLES:][untouched], stream.pcm[:-HOLD_BACK_SAMPLES][untouched])


@SETTINGS
@given(seed=seeds, whole=st.integers(1, 3))
def test_packets_of_whole_chunks_make_bit_identical_masks(seed, whole):
    pcm = whole_packets(stream_of(seed).pcm, whole * CHUNK)

    for mode in (MODE_GUARD, MODE_CAPTURE):
        out, masked = mask_of(pcm, (whole * CHUNK,), mode)
        wanted, wanted_masked = mask_of(pcm, (CHUNK,), mode)
        assert np.array_equal(masked, wanted_masked)
        assert np.array_equal(out, wanted)


@SETTINGS
@given(seed=seeds, halvings=st.integers(1, 3))
def test_a_power_of_two_of_gain_changes_no_key(seed, halvings):
    """Samples that are multiples of eight lose nothing by halving: the very same keys, over the level gate."""
    pcm = (stream_of(seed, level_dbm0=-6).pcm // 8 * 8).astype(np.int16)

    quieter = keys_of((pcm >> halvings).astype(np.int16))

    assert quieter == keys_of(pcm)
    assert len(quieter) == 4


@SETTINGS
@given(seed=seeds, level_dbm0=st.floats(-30.0, -4.0), twist_db=st.floats(-6.0, 4.0))
def test_any_gain_within_the_levels_hears_the_same_keys(seed, level_dbm0, twist_db):
    stream = stream_of(seed, level_dbm0=level_dbm0, twist_db=twist_db)

    heard = keys_of(stream.pcm)

    assert [key for key, _ in heard] == stream.keys
    assert all(abs(at - onset) <= 24 for (_, at), onset in zip(heard, stream.onsets, strict=True))


@SETTINGS
@given(seed=seeds, offset=st.integers(-500, 500))
def test_an_offset_far_under_the_tones_changes_no_key(seed, offset):
    stream = stream_of(seed, level_dbm0=-10)

    shifted = np.clip(stream.pcm.astype(int) + offset, -32768, 32767).astype(np.int16)

    assert [key for key, _ in keys_of(shifted)] == stream.keys
