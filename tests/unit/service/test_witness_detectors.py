"""The independent detectors hear every key where there is one, and none where there is only speech or noise."""

import numpy as np
import pytest

from dtmf_shield.phone.tones import KEYPAD, key_tone, presses
from dtmf_shield.phone.voices import Voice, voice
from dtmf_shield.service.witness.attacker import attack, lag_between
from dtmf_shield.service.witness.independent import WITNESSES, fft_keys

KEYS = "4242424242424242#1228123"


def keyed(keys=KEYS, speech=None, seed=1):
    """Speech with keys mixed in, from one second on."""
    pcm = voice(Voice.CALLER).astype(int) if speech is None else speech.astype(int)
    at = 8000
    for press in presses(keys, seed):
        tone = key_tone(press.key, press.tone_ms)
        pcm[at : at + len(tone)] += tone
        at += len(tone) + 8 * press.gap_ms
    return np.clip(pcm, -32768, 32767).astype(np.int16)


def masked(pcm, presses_heard, leave_ms=0):
    """The same with each press replaced by noise, but for its first `leave_ms`."""
    shielded = pcm.copy()
    noise = np.random.default_rng(1)
    for press in presses_heard:
        start, end = press.start - 160 + leave_ms * 8 + (160 if leave_ms else 0), press.end + 160
        shielded[start:end] = noise.normal(0, 60, end - start)
    return shielded


@pytest.mark.parametrize("name", sorted(WITNESSES))
def test_every_key_in_speech_is_heard(name):
    heard = WITNESSES[name](keyed())
    assert heard in (None, KEYS)


def test_the_plain_fft_is_always_there():
    assert WITNESSES["FFT"](keyed()) == KEYS


@pytest.mark.parametrize("name", sorted(WITNESSES))
@pytest.mark.parametrize("who", list(Voice))
def test_speech_alone_holds_no_key(name, who):
    assert not WITNESSES[name](voice(who))


def test_all_sixteen_keys_are_told_apart():
    assert WITNESSES["FFT"](keyed(KEYPAD, np.zeros(60_000, np.int16))) == KEYPAD


def test_silence_noise_and_very_short_audio_hold_no_key():
    noise = np.random.default_rng(2).normal(0, 1000, 40_000).astype(np.int16)
    for pcm in (np.zeros(8000, np.int16), noise, np.zeros(10, np.int16)):
        assert fft_keys(pcm) == []


def test_a_presss_place_is_found_within_ten_milliseconds():
    pcm = keyed("5", np.zeros(20_000, np.int16))
    (press,) = fft_keys(pcm)
    loud = np.flatnonzero(pcm)
    assert abs(press.start - loud[0]) < 160
    assert abs(press.end - loud[-1]) < 160


def test_the_attacker_reads_every_key_of_unprotected_audio():
    pcm = keyed()
    result = attack(pcm, fft_keys(pcm), 0)
    assert (result.guessed, result.of) == (len(KEYS), len(KEYS))
    assert result.beats_luck


def test_the_attacker_is_at_chance_on_masked_audio():
    pcm = keyed()
    known = fft_keys(pcm)
    assert not attack(masked(pcm, known), known, 0).beats_luck


def test_the_attacker_reads_keys_of_which_three_milliseconds_leak():
    pcm = keyed()
    known = fft_keys(pcm)
    assert attack(masked(pcm, known, leave_ms=3), known, 0).beats_luck


def test_the_lag_between_two_sides_is_found_by_their_speech():
    pcm = keyed()
    known = fft_keys(pcm)
    later = np.concatenate([np.zeros(1234, np.int16), masked(pcm, known)])
    lag, correlation = lag_between(pcm, later, known)
    assert lag == 1234
    assert correlation > 0.1


def test_the_attacker_leaves_out_presses_beyond_the_recording():
    pcm = keyed()
    known = fft_keys(pcm)
    assert attack(pcm[: known[3].start], known, 0).of < 4
