"""Breaks, loss, speech, latency, and sounds that are nearly keys: what the detector makes of them, few keys each."""

import numpy as np
import pytest

from dtmf_shield.media import detector
from dtmf_shield.media.dsp.leg_state import SHIELD_STATE_DTYPE
from dtmf_shield.media.dsp.tables import STEP_SAMPLES
from tests.vectors.dtmf_scoring import hits_and_extras, leaked_samples, listen
from tests.vectors.dtmf_signal import COLUMNS_HZ, KEYS, P0, ROWS_HZ, Recipe, key_stream, whole_packets
from tests.vectors.speech_like import speech_like

STEPS_MS = 1000 * STEP_SAMPLES / 8000


def score(stream, packet_samples=160, lost=None):
    events = [(h.key, h.registered) for h in listen(stream.pcm, 1, packet_samples, lost)[0]]
    return hits_and_extras(stream, events)


def packet_latency_ms(stream, packet_samples):
    """Return the worst time from an onset to the end of the packet in which its key registered."""
    pcm, state, keys = (
        whole_packets(stream.pcm, packet_samples),
        np.zeros(1, SHIELD_STATE_DTYPE),
        np.zeros(16, np.uint8),
    )
    ends = []
    for first in range(0, len(pcm), packet_samples):
        n_keys = detector.detect_packet(state, 0, pcm[first : first + packet_samples], keys)
        ends += [first + packet_samples] * n_keys
    return max(end - onset for end, onset in zip(ends, stream.onsets, strict=True)) / 8


@pytest.mark.parametrize("snr_db", [None, 15])
@pytest.mark.parametrize("cut_ms", [5, 10, 15, 20])
def test_a_key_cut_in_two_by_the_line_is_one_key(cut_ms, snr_db):
    """The oscillators went on: both tones come back in the phase they would have had (Q.24: breaks up to 10 ms)."""
    stream = key_stream(Recipe(repetitions=4, on_ms=100, cut_ms=cut_ms, snr_db=snr_db), 21)

    assert score(stream) == (64, 0)


def test_the_same_key_pressed_again_after_20_ms_is_mostly_two():
    """A new press is within the phase limit on both tones by luck in about one of twenty, and is then one key."""
    stream = key_stream(
        Recipe(repetitions=4, on_ms=60, gap_ms=20, gap_spread_ms=0.125, same_key_twice=True), 22
    )

    hits, extras = score(stream)

    assert hits >= 0.9 * 128
    assert extras == 0


@pytest.mark.parametrize("gap_ms", [20, 30, 40])
def test_two_different_keys_20_ms_apart_are_two(gap_ms):
    stream = key_stream(Recipe(repetitions=4, gap_ms=gap_ms, gap_spread_ms=0.125, keys="159D"), 23)

    assert score(stream) == (16, 0)


def test_a_long_press_is_one_key():
    stream = key_stream(Recipe(repetitions=1, keys="5", on_ms=4000, snr_db=15), 24)

    assert score(stream) == (1, 0)


def test_keys_are_heard_under_sound_like_speech_10_db_down():
    stream = key_stream(Recipe(repetitions=10, speech_below_db=10), 25, speech_like(80_000, 25))

    hits, extras = score(stream)

    assert hits >= 0.98 * 160
    assert extras <= 1


def test_sound_like_speech_makes_hardly_any_keys():
    """Harsher than voices, whose pitch is never as steady: `bench/talkoff.py` has speech."""
    sound = speech_like(960_000, 26, rms=3000.0)

    assert len(listen(np.clip(sound, -32768, 32767).astype(np.int16), 1)[0]) <= 4


def test_keys_clipped_at_the_least_sample_are_masked_and_heard():
    """16 kHz legs and files hold -32768, whose square sums pass int32; G.711 does not."""
    stream = key_stream(Recipe(repetitions=2, on_ms=60), 30)
    pcm = np.clip(stream.pcm * 5.0, -32768, 32767).astype(np.int16)

    events, out = listen(pcm)

    assert np.count_nonzero(pcm == -32768) > 1000
    assert [h.key for h in events] == stream.keys
    for onset, end in zip(stream.onsets, stream.ends, strict=True):
        assert leaked_samples(pcm, out, onset, end) == 0


@pytest.mark.parametrize("seed", [27, 28])
def test_keys_of_50_ms_outlive_3_percent_loss(seed):
    stream = key_stream(Recipe(repetitions=10, snr_db=25), seed)
    lost = np.random.default_rng(seed).random(-(-len(stream.pcm) // 160)) < 0.03

    hits, extras = score(stream, 160, lost)

    assert np.count_nonzero(lost) > 10
    assert hits >= 159
    assert extras == 0


@pytest.mark.parametrize("changes", [{}, {"snr_db": 15, "twist_db": -6}], ids=["clean", "SNR 15"])
@pytest.mark.parametrize(("packet_samples", "limit_ms"), [(20, 33), (160, 53)])
def test_a_key_registers_in_time(packet_samples, limit_ms, changes):
    """In stream time: fed by 2.5 ms, and in packets of 20 ms, of which a key may begin with the last sample."""
    stream = key_stream(Recipe(repetitions=4, **changes), 29)

    assert packet_latency_ms(stream, packet_samples) <= limit_ms + (STEPS_MS if changes else 0.0)


def steady(tones, n=2400):
    """Return 100 ms of silence, n samples of (Hz, dBm0) tones in turn of phase, and silence."""
    t = np.arange(n) / 8000
    x = sum(P0 * 10 ** (level / 20) * np.sin(2 * np.pi * hz * t + k) for k, (hz, level) in enumerate(tones))
    return np.concatenate([np.zeros(800), x, np.zeros(800)]).astype(np.int16)


def heard(pcm):
    return "".join(h.key for h in listen(pcm, 1)[0])


@pytest.mark.parametrize("row_hz", [690.0, 697.0, 668.0])
def test_an_octave_is_no_key(row_hz):
    """Column exactly twice the row: two partials of one voice. 668 Hz is the lowest whose double might be 1336 Hz."""
    near = min(ROWS_HZ, key=lambda hz: abs(hz - row_hz))

    assert heard(steady([(row_hz, -10), (2 * row_hz, -10)])) == ""
    assert heard(steady([(near, -10), (1336.0, -10)])) == "2"  # positive control


@pytest.mark.parametrize("row_hz", [676.0, 680.0, 684.0])
def test_the_octave_where_both_tones_are_within_their_limits_is_refused(row_hz):
    """At 676 to 684 Hz the row is up to 3 % low and its double 1352 to 1368 Hz; nearest legal pair: 686.5, 1358."""
    assert heard(steady([(row_hz, -10), (2 * row_hz, -10)])) == ""
    assert heard(steady([(697 * 0.985 - 2, -10), (1336 * 1.015 + 2, -10)])) == "2"  # positive control


@pytest.mark.parametrize("key", KEYS)
def test_a_column_with_a_loud_overtone_is_no_key(key):
    row, column = divmod(KEYS.index(key), 4)
    pair = [(ROWS_HZ[row], -10), (COLUMNS_HZ[column], -10)]

    assert heard(steady([*pair, (2 * COLUMNS_HZ[column], -18)])) == ""
    assert heard(steady([*pair, (2 * COLUMNS_HZ[column], -30)])) == key  # Q.23: a phone's lie 20 dB under


def test_one_tone_of_a_pair_alone_is_no_key():
    for hz in ROWS_HZ + COLUMNS_HZ:
        assert heard(steady([(hz, -10)])) == ""


@pytest.mark.parametrize("dial_tone_db", [-10, -5, 0, 5])
def test_keys_are_heard_on_a_dial_tone(dial_tone_db):
    """350 and 440 Hz, so loud beside each tone of the keys; those keyed before 120 ms of it were heard may be lost."""
    stream = key_stream(Recipe(repetitions=10, level_dbm0=-15, dial_tone_db=dial_tone_db), 31)

    hits, extras = score(stream)

    assert hits >= len(stream.keys) - 3
    assert extras == 0
