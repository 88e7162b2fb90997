"""The detector against the limits of ITU-T Q.24 (AT&T column), and its kernels against slow obvious twins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtmf_shield.media import detector
from dtmf_shield.media.dsp import front_end, tables
from dtmf_shield.media.dsp.leg_state import SHIELD_STATE_DTYPE, WINDOW_HOPS
from tests.vectors.dtmf_scoring import hits_and_extras, listen
from tests.vectors.dtmf_signal import COLUMNS_HZ, KEYS, ROWS_HZ, Recipe, key_stream, tone_pair, whole_packets

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
    "clipped by 12 dB": {"level_dbm0": -6, "clip_gain_db": 12},
    "echo 20 ms, -10 dB": {"echo_ms": 20, "echo_db": -10},
    "10 ms break in a key": {"on_ms": 100, "cut_ms": 10},
}
REFUSED = {
    "20 ms": {"on_ms": 20},
    "23 ms": {"on_ms": 23},
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


@settings(derandomize=True, max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    cuts=st.lists(st.sampled_from([80, 160, 240, 320, 480]), min_size=1, max_size=12),
)
def test_any_packetisation_hears_the_same_keys(seed, cuts):
    stream = key_stream(Recipe(repetitions=1, keys="42#A", snr_db=15, on_ms=40, gap_ms=40), seed)
    pcm = whole_packets(stream.pcm, 480 * len(cuts))
    expected = [(h.key, h.onset) for h in listen(pcm, 1, 160)[0]]
    state, keys = np.zeros(1, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8)
    got, start, number = [], 0, 0

    while start < len(pcm):
        packet = pcm[start : start + cuts[number % len(cuts)]]
        n_keys = detector.detect_packet(state, 0, packet[: len(packet) // 20 * 20], keys)
        onsets = state[0]["key_onset_samples"]
        got += [(chr(keys[i]), int(onsets[i])) for i in range(n_keys)]
        start, number = start + len(packet), number + 1

    assert got == expected


def slow_window(samples):
    """Least squares of the strongest row and column tone over 40 samples, the obvious way."""
    t = np.arange(40) / 8000.0
    pairs = {
        f: np.stack([np.cos(2 * np.pi * f * t), np.sin(2 * np.pi * f * t)], axis=1)
        for f in ROWS_HZ + COLUMNS_HZ
    }

    def explained(matrix):
        return float(np.sum((matrix @ np.linalg.lstsq(matrix, samples, rcond=None)[0]) ** 2))

    row = max(ROWS_HZ, key=lambda f: explained(pairs[f]))
    column = max(COLUMNS_HZ, key=lambda f: explained(pairs[f]))
    return explained(np.hstack([pairs[row], pairs[column]]))


@pytest.mark.parametrize("key", KEYS)
def test_window_fit_equals_plain_least_squares(key):
    rng = np.random.default_rng(ord(key))
    pcm = (tone_pair(key, 160, Recipe(), rng) + 500 * rng.standard_normal(160)).astype(np.int16)
    leg = np.zeros(1, SHIELD_STATE_DTYPE)[0:1]
    front_end_of_row(leg, pcm)

    for end_hop in (8, 13, 20):
        measure_row(leg, end_hop)
        end = (end_hop - WINDOW_HOPS) * 10
        samples = pcm[end - 40 : end].astype(float)
        assert leg[0]["window_explained"] == pytest.approx(slow_window(samples), rel=1e-4)
        assert leg[0]["window_energy"] == pytest.approx(np.sum(samples**2), rel=1e-5)


def test_ring_step_equals_the_plain_fourier_sum_at_absolute_phase():
    pcm = np.random.default_rng(9).integers(-20000, 20000, 160).astype(np.int16)
    leg = np.zeros(1, SHIELD_STATE_DTYPE)
    front_end_of_row(leg, pcm)
    position = 8000 * 3 + 4000  # the first sample of the chunk

    for step in range(8):
        slot = push_row(leg, WINDOW_HOPS + 2 * step + 2, position + 20 * (step + 1))
        n = position + 20 * step + np.arange(20)
        wanted = [
            np.sum(pcm[20 * step : 20 * step + 20] * np.exp(-2j * np.pi * f * n / 8000))
            for f in ROWS_HZ + COLUMNS_HZ
        ]
        got = leg[0]["ring"][slot, :8] + 1j * leg[0]["ring"][slot, 8:]
        assert np.allclose(got, wanted, rtol=1e-4, atol=2.0)


def test_key_codes_cover_the_keypad():
    assert bytes(tables.KEY_CODES).decode() == KEYS


@front_end.vector_kernel
def front_end_of_row(state, pcm):
    front_end.load_chunk(state[0], pcm, 0, len(pcm), 0.0)


@front_end.vector_kernel
def measure_row(state, end_hop):
    front_end.measure_window(state[0], end_hop)


@front_end.vector_kernel
def push_row(state, end_hop, position_samples):
    return front_end.push_step(state[0], end_hop, position_samples)
