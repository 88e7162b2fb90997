"""The detector against the limits of ITU-T Q.24 (AT&T column), a few keys a row; `bench/dtmf_battery.py` has many.

Breaks, loss, latency and what sounds like a key: `test_detector_acceptance.py`. Kernels: `test_detector_twin.py`.
"""

import numpy as np
import pytest

from dtmf_shield.media import detector
from dtmf_shield.media.dsp import tables
from dtmf_shield.media.dsp.leg_state import SHIELD_STATE_DTYPE
from tests.vectors.dtmf_scoring import hits_and_extras, listen
from tests.vectors.dtmf_signal import KEYS, Recipe, key_stream, tone_pair, whole_packets

ACCEPTED = {
    "clean": {},
    "quiet through A-law": {"level_dbm0": -35, "alaw": True},
    "loud": {"level_dbm0": -1},
    "+1.5 % and +2 Hz": {"row_error": 0.015, "column_error": 0.015, "error_hz": 2},
    "-1.5 % and -2 Hz": {"row_error": -0.015, "column_error": -0.015, "error_hz": -2},
    "row 8 dB over column": {"twist_db": -8},
    "column 6 dB over row": {"twist_db": 6},
    "40 ms": {"on_ms": 40},
    "40 ms pause, same key": {"gap_ms": 40, "gap_spread_ms": 0.125, "same_key_twice": True},
    "SNR 12": {"snr_db": 12},
    "SNR 8": {"snr_db": 8},
    "row 6 dB over column": {"twist_db": -6},
    "column 4 dB over row": {"twist_db": 4},
    "+1.8 %": {"row_error": 0.018, "column_error": 0.018},
    "-1.8 %": {"row_error": -0.018, "column_error": -0.018},
    "on a dial tone 10 dB under": {"level_dbm0": -15, "dial_tone_db": -10},
    "worst legal A": {
        "row_error": 0.015,
        "column_error": -0.015,
        "twist_db": -6,
        "level_dbm0": -25,
        "snr_db": 15,
        "on_ms": 40,
        "gap_ms": 40,
    },
    "clipped by 12 dB": {"level_dbm0": -6, "clip_gain_db": 12},
    "echo 20 ms, -6 dB": {"echo_ms": 20, "echo_db": -6},
    "echo 30 ms, -10 dB": {"echo_ms": 30, "echo_db": -10},
}
REFUSED = {
    "20 ms": {"on_ms": 20},
    "23 ms": {"on_ms": 23},
    "23 ms, SNR 15": {"on_ms": 23, "snr_db": 15},
    "both -3 %": {"row_error": -0.03, "column_error": -0.03},
    "both +3 %": {"row_error": 0.03, "column_error": 0.03},
    "both -3.5 %": {"row_error": -0.035, "column_error": -0.035},
    "both +3.5 %": {"row_error": 0.035, "column_error": 0.035},
    "row alone -3.5 %": {"row_error": -0.035},
    "row alone +3.5 %": {"row_error": 0.035},
    "column alone -3.5 %": {"column_error": -0.035},
    "column alone +3.5 %": {"column_error": 0.035},
    "below the level gate": {"level_dbm0": -50},
}


def heard(pcm, packet_samples=160, lost=None):
    return [(event.key, event.registered) for event in listen(pcm, 1, packet_samples, lost)[0]]


@pytest.mark.parametrize("changes", ACCEPTED.values(), ids=ACCEPTED)
def test_a_legal_key_registers_once(changes):
    stream = key_stream(Recipe(repetitions=10, **changes), 1)

    assert hits_and_extras(stream, heard(stream.pcm)) == (len(stream.keys), 0)


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED)
def test_what_is_no_key_registers_nothing(changes):
    stream = key_stream(Recipe(repetitions=10, **changes), 2)

    assert heard(stream.pcm) == []


@pytest.mark.parametrize("seed", range(6))
def test_every_corner_of_the_legal_range_is_heard(seed):
    """40/40 ms at SNR 15 dB with frequency, twist and level each at a limit."""
    rng = np.random.default_rng(seed)
    sign = rng.choice([-1.0, 1.0], 2)
    recipe = Recipe(
        repetitions=20,
        row_error=0.015 * sign[0],
        column_error=0.015 * sign[1],
        twist_db=float(rng.choice([-8, -6, 4])),
        level_dbm0=float(rng.choice([-25, -4])),
        snr_db=15,
        on_ms=40,
        gap_ms=40,
    )
    stream = key_stream(recipe, 50 + seed)

    assert hits_and_extras(stream, heard(stream.pcm)) == (len(stream.keys), 0)


def test_onset_is_dated_back_to_within_three_milliseconds():
    stream = key_stream(Recipe(repetitions=10, snr_db=20), 3)

    errors = [h.onset - onset for h, onset in zip(listen(stream.pcm)[0], stream.onsets, strict=True)]

    assert max(abs(error) for error in errors) <= 24


def test_a_key_registers_within_33_ms_of_its_onset_when_fed_in_10_ms_packets():
    stream = key_stream(Recipe(repetitions=10), 4)

    late = [
        h.registered - onset for h, onset in zip(listen(stream.pcm, 1, 80)[0], stream.onsets, strict=True)
    ]

    assert max(late) <= (33 + 10) * 8


def test_end_level_and_twist_are_reported():
    pcm = np.concatenate(
        [np.zeros(400), tone_pair("5", 800, Recipe(twist_db=3), np.random.default_rng(5)), np.zeros(800)]
    )
    pcm = whole_packets(pcm.astype(np.int16), 160)
    state, keys = np.zeros(1, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8)

    for start in range(0, len(pcm), 160):
        detector.detect_packet(state, 0, pcm[start : start + 160], keys)

    assert detector.keys_ended(state, 0) == 1
    assert abs(detector.key_end_samples(state, 0) - 1200) <= 24
    assert detector.key_twist_db(state, 0) == pytest.approx(3, abs=0.3)
    assert detector.key_level_dbm0(state, 0) == pytest.approx(-10, abs=0.3)


def test_a_lost_packet_inside_a_long_key_neither_ends_nor_doubles_it():
    stream = key_stream(Recipe(repetitions=4, on_ms=120, gap_ms=60), 6)
    lost = np.zeros(-(-len(stream.pcm) // 160), bool)
    for onset, end in zip(stream.onsets, stream.ends, strict=True):
        lost[(onset + end) // 2 // 160] = True

    assert hits_and_extras(stream, heard(stream.pcm, 160, lost)) == (len(stream.keys), 0)


def test_noise_and_silence_hold_no_keys():
    noise = (np.random.default_rng(7).standard_normal(80_000) * 3000).astype(np.int16)

    assert heard(noise) == []
    assert heard(np.zeros(80_000, np.int16)) == []


def test_a_packet_of_odd_length_counts_as_not_received():
    state, keys = np.zeros(1, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8)

    assert detector.detect_packet(state, 0, np.zeros(157, np.int16), keys) == 0
    assert state[0]["position_samples"] == 160
    assert state[0]["known_samples"] == 0


def test_rows_are_independent():
    stream = key_stream(Recipe(repetitions=1), 8)
    pcm = whole_packets(stream.pcm, 160)
    state, keys = np.zeros(3, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8)

    for start in range(0, len(pcm), 160):
        detector.detect_packet(state, 1, pcm[start : start + 160], keys)

    assert state[1]["keys_registered"] == 16
    assert bytes(state[0].tobytes()) == bytes(state[2].tobytes()) == bytes(SHIELD_STATE_DTYPE.itemsize)


def test_reset_leaves_no_byte_behind():
    state, keys = np.zeros(2, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8)
    detector.detect_packet(state, 1, np.full(160, 1000, np.int16), keys)
    assert any(state[1].tobytes())  # positive control

    detector.reset_detector(state, 1)

    assert not any(state[1].tobytes())


def test_key_codes_cover_the_keypad():
    assert bytes(tables.KEY_CODES).decode() == KEYS
