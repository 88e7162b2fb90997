"""How presses arrived: the kernels' counts against the slow twin, limits from both sides, no press."""

from collections import Counter

import numpy as np
import pytest

from dtmf_shield.media import masker
from dtmf_shield.media.dsp.leg_state import SHIELD_STATE_DTYPE
from dtmf_shield.media.masker import MODE_CAPTURE, MODE_GUARD, shield_packet
from tests.unit.media.slow_key_run import listen_slowly
from tests.vectors.dtmf_signal import P0, Recipe, key_stream, whole_packets
from tests.vectors.spandsp_gsm import SpandspGsm
from tests.vectors.speech_like import speech_like

N = 32
KINDS = ("short", "weak", "noisy")


def keys(seed=7, **changes):
    """Return N keys of 80 ms with pauses of 80 ms, unless the changes say otherwise."""
    recipe = Recipe(**{"repetitions": 2, "on_ms": 80, "gap_ms": 80, **changes})
    return whole_packets(key_stream(recipe, seed, speech_like(40_000, seed)).pcm, 160)


def counted(pcm, mode=MODE_CAPTURE, packet_samples=160):
    """Return how many presses the kernels count, and of each kind."""
    state, found = np.zeros(1, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8)
    out = np.zeros(packet_samples, np.int16)
    for first in range(0, len(pcm), packet_samples):
        shield_packet(state, 0, pcm[first : first + packet_samples], out, mode, found)
    leg = state[0]
    return {"all": int(leg["presses"])} | {kind: int(leg[f"presses_{kind}"]) for kind in KINDS}


def counts(n_presses=N, **of_a_kind):
    return {"all": n_presses} | dict.fromkeys(KINDS, 0) | of_a_kind


def counted_slowly(pcm):
    presses = listen_slowly(pcm).presses
    kinds = Counter(kind for signs in presses for kind in signs)
    return {"all": len(presses)} | {kind: kinds[kind] for kind in KINDS}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"on_ms": 45},
        {"on_ms": 42, "snr_db": 15},
        {"on_ms": 23},
        {"on_ms": 30, "snr_db": 20},
        {"snr_db": 10},
        {"snr_db": 8, "row_error": 0.015, "column_error": -0.015},
        {"level_dbm0": -36, "snr_db": 20},
        {"level_dbm0": -41, "twist_db": -6},
        {"speech_below_db": 8},
        {"on_ms": 100, "cut_ms": 20},
    ],
    ids=str,
)
@pytest.mark.parametrize("packet_samples", [80, 160])
def test_presses_are_counted_as_the_definition_counts_them(changes, packet_samples):
    pcm = keys(**changes)

    assert counted(pcm, MODE_GUARD, packet_samples) == counted_slowly(pcm)


@pytest.mark.parametrize("on_ms", [20, 25, 36, 40, 42])
def test_short_tones_are_counted_whether_they_register_or_not(on_ms):
    assert counted(keys(on_ms=on_ms)) == counts(short=N)


@pytest.mark.parametrize("level_dbm0", [-37, -40, -44, -46, -50, -55])
def test_weak_tones_are_counted_whether_they_register_or_not(level_dbm0):
    assert counted(keys(level_dbm0=level_dbm0)) == counts(weak=N)


@pytest.mark.parametrize(
    "changes", [{"snr_db": 8}, {"snr_db": 8, "on_ms": 42}, {"clip_gain_db": 12}], ids=str
)
def test_keys_in_noise_or_bent_are_counted_as_noisy_and_not_as_short(changes):
    found = counted(keys(**changes))

    assert found["all"] == N
    assert found["noisy"] >= 0.6 * N
    assert found["short"] <= 1
    assert found["weak"] == 0


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"on_ms": 50},
        {"level_dbm0": -35},
        {"level_dbm0": -25, "twist_db": -8, "alaw": True},
        {"twist_db": 6},
        {"snr_db": 20},
        {"row_error": 0.015, "column_error": 0.015},
        {"echo_ms": 20, "echo_db": -10},
        {"echo_ms": 60, "echo_db": -30},
    ],
    ids=str,
)
def test_keys_within_the_limits_have_nothing_wrong(changes):
    assert counted(keys(**changes)) == counts()


def test_at_the_legal_limit_of_noise_at_most_one_key_in_sixteen_is_called_noisy():
    """AT&T: SNR 15 dB is still a good line."""
    found = counted(keys(snr_db=15, repetitions=8))

    assert found["all"] == 128
    assert found["noisy"] <= 8
    assert found["short"] == found["weak"] == 0


@pytest.mark.parametrize("level_dbm0", [-10, -20])
def test_keys_through_a_mobile_codec_have_nothing_wrong(level_dbm0):
    codec = SpandspGsm()
    pcm = codec.through(keys(level_dbm0=level_dbm0, repetitions=4))
    codec.close()

    found = counted(pcm)

    assert found["all"] >= 62  # of 64
    assert max(found[kind] for kind in KINDS) <= 2


def test_weak_tones_that_do_not_register_are_counted_in_a_capture_only():
    """A guard does not hear them; and what it heard before does not hide one in the capture that follows."""
    loud, faint = keys(), keys(level_dbm0=-50)

    assert counted(faint, MODE_GUARD) == counts(0)
    state, found, out = np.zeros(1, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8), np.zeros(160, np.int16)
    for mode, pcm in ((MODE_GUARD, loud), (MODE_CAPTURE, faint)):
        for first in range(0, len(pcm), 160):
            masker.shield_packet(state, 0, pcm[first : first + 160], out, mode, found)

    assert (int(state[0]["presses"]), int(state[0]["presses_weak"])) == (2 * N, N)


def test_a_faint_tone_too_brief_to_be_a_key_is_no_press():
    t = np.arange(160) / 8000
    burst = P0 * 10 ** (-50 / 20) * (np.sin(2 * np.pi * 770 * t) + np.sin(2 * np.pi * 1336 * t))
    pcm = np.tile(np.concatenate([np.zeros(80), burst, np.zeros(2000)]), 10)

    assert counted(whole_packets(np.round(pcm).astype(np.int16), 160)) == counts(0)
