"""Echoes and tails of a key in a capture: on its own leg and on the other one, under speech, none can be read."""

import numpy as np
import pytest

from dtmf_shield.media import masker
from dtmf_shield.media.codecs import g711
from dtmf_shield.media.masker import MODE_CAPTURE, MODE_GUARD, SHIELD_STATE_DTYPE
from tests.unit.media.call_on_tables import Call, assert_unbroken, decoded
from tests.vectors.dtmf_scoring import leaked_samples
from tests.vectors.dtmf_signal import COLUMNS_HZ, KEYS, P0, ROWS_HZ, Recipe, key_stream

HOLD = masker.HOLD_BACK_SAMPLES
WORDS = Recipe(repetitions=1, on_ms=80, gap_ms=420, level_dbm0=-10)


def voice(n, seed, level_dbm0=-24.0):
    """Harmonics of a gliding pitch under a syllable-like envelope: speech enough to hide an echo, and no key."""
    rng = np.random.default_rng(seed)
    at = np.arange(n)
    pitch = np.interp(at, np.arange(0, n + 1600, 1600), rng.uniform(95, 160, -(-n // 1600) + 1))
    phase = 2 * np.pi * np.cumsum(pitch) / 8000
    sound = sum(np.sin(k * phase + rng.uniform(0, 6)) / k**0.7 for k in range(1, 22))
    envelope = 0.4 + 0.6 * np.abs(
        np.interp(at, np.arange(0, n + 1200, 1200), rng.standard_normal(-(-n // 1200) + 1))
    )
    sound = sound * envelope + 0.02 * rng.standard_normal(n)
    return sound * P0 / np.sqrt(2) * 10 ** (level_dbm0 / 20) / np.sqrt(np.mean(sound**2))


def delayed(pcm, samples, gain_db):
    return 10 ** (gain_db / 20) * np.concatenate([np.zeros(samples), pcm[:-samples].astype(float)])


def through_ulaw(pcm):
    codes, samples = np.zeros(len(pcm), np.uint8), np.zeros(len(pcm), np.int16)
    g711.encode_ulaw(np.round(pcm).clip(-32768, 32767).astype(np.int16), codes)
    g711.decode_ulaw(codes, samples)
    return samples


def talk_at_once(call, caller_pcm, agent_pcm, bunched=1):
    """Both phones talk, in packets of 20 ms; those of the agent's arrive `bunched` at a time, up to so many late.

    Return what the caller's phone is sent, and the packets.
    """
    sent = []
    for number, start in enumerate(range(0, len(caller_pcm) - 159, 160)):
        call.caller.say(caller_pcm[start : start + 160])
        if number % bunched == bunched - 1:
            call.now_ns -= bunched * 160 * 125_000  # both within the same time
            sent += call.agent.say(agent_pcm[start + 160 - 160 * bunched : start + 160])
    return decoded(sent), sent


def told_by_echo(out, stream, delay):
    """Return how many keys a matched detector reads from the echo's place in `out`."""
    right = 0
    for key, onset, end in zip(stream.keys, stream.onsets, stream.ends, strict=True):
        piece = out[onset + delay + HOLD : end + delay + HOLD].astype(float)
        turns = np.exp(-2j * np.pi * np.outer(np.array(ROWS_HZ + COLUMNS_HZ), np.arange(len(piece))) / 8000)
        power = np.abs(turns @ (piece * np.hanning(len(piece))))
        right += key == KEYS[4 * int(np.argmax(power[:4])) + int(np.argmax(power[4:]))]
    return right


def echo_on_the_agent_leg(hold_ms, delay_ms, gain_db, seed=61, bunched=1):
    """Return samples of echo that reach the caller's side and how many of 16 keys can be read there."""
    stream, delay = key_stream(WORDS, seed), 8 * delay_ms
    call = Call(mode=MODE_CAPTURE)
    masker.set_echo_hold(call.tables.shields, 8 * hold_ms)
    agent = through_ulaw(voice(len(stream.pcm), seed) + delayed(stream.pcm, delay, gain_db))

    out, sent = talk_at_once(call, stream.pcm, agent, bunched)

    assert_unbroken(sent)
    leaked = sum(
        leaked_samples(agent, out, onset + delay, end + delay)
        for onset, end in zip(stream.onsets, stream.ends, strict=True)
    )
    return leaked, told_by_echo(out, stream, delay)


@pytest.mark.parametrize("gain_db", [-20, -32, -45])
@pytest.mark.parametrize(("hold_ms", "delay_ms"), [(60, 20), (60, 45), (60, 60), (300, 150), (300, 300)])
def test_the_echo_of_a_key_on_the_other_leg_does_not_leave_under_speech(hold_ms, delay_ms, gain_db):
    leaked, read = echo_on_the_agent_leg(hold_ms, delay_ms, gain_db)

    assert leaked == 0
    assert read <= 5  # of 16, chance is 1; never a sample of it was sent


@pytest.mark.parametrize("delay_ms", [25, 40, 60])
def test_packets_that_arrive_two_at_a_time_bring_no_echo_past_the_hold(delay_ms):
    assert echo_on_the_agent_leg(60, delay_ms, -20, bunched=2)[0] == 0


def test_without_the_hold_an_echo_under_speech_leaves_and_is_read():
    """The control: suspicion alone finds no tone 10 dB under a voice."""
    leaked, read = echo_on_the_agent_leg(0, 60, -20)

    assert leaked > 16 * 300
    assert read >= 12


def test_outside_a_capture_a_key_does_not_silence_the_other_side():
    stream = key_stream(WORDS, 62)
    call = Call(mode=MODE_GUARD)
    agent = through_ulaw(voice(len(stream.pcm), 62))

    out, _ = talk_at_once(call, stream.pcm, agent)

    same = np.mean(out[HOLD + 160 : 16_000] == agent[160 : 16_000 - HOLD])
    assert same > 0.99


def test_after_the_hold_the_other_side_is_heard_again():
    stream = key_stream(WORDS, 63)
    call = Call(mode=MODE_CAPTURE)
    agent = through_ulaw(voice(len(stream.pcm), 63))

    out, _ = talk_at_once(call, stream.pcm, agent)

    for end in stream.ends[:-1]:
        later = slice(end + 8 * 160, end + 8 * 380)
        assert np.mean(out[HOLD:][later] == agent[later]) > 0.95


def test_an_event_holds_back_echo_on_the_other_leg_as_a_tone_does():
    call = Call(mode=MODE_CAPTURE)
    said = through_ulaw(voice(4800, 64))
    call.agent.say(said[:1600])
    call.caller.say(np.zeros(320))

    call.caller.press(5, frames=3)
    heard = decoded(call.agent.say(said[1600:3200]))

    assert np.abs(heard[: 480 - HOLD]).max() < 300
    assert np.abs(heard[1200:]).max() > 1000


def own_line(hold_ms, echo_ms, echo_db, on_ms, seed=65):
    """Shield a leg whose line returns the keys and whose talker starts the moment a key ends; return leaked samples."""
    stream = key_stream(
        Recipe(repetitions=1, on_ms=on_ms, gap_ms=300, echo_ms=echo_ms, echo_db=echo_db), seed
    )
    speech = voice(len(stream.pcm), seed)
    for onset, end in zip(stream.onsets, stream.ends, strict=True):
        speech[onset:end] = 0
    pcm = (stream.pcm + speech).clip(-32768, 32767).round().astype(np.int16)
    state, keys = np.zeros(1, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8)
    masker.set_echo_hold(state, 8 * hold_ms)
    out = np.zeros_like(pcm)
    for start in range(0, len(pcm) - 159, 160):
        masker.shield_packet(state, 0, pcm[start : start + 160], out[start : start + 160], MODE_CAPTURE, keys)
    return sum(
        leaked_samples(pcm, out, onset, end + 8 * echo_ms)
        for onset, end in zip(stream.onsets, stream.ends, strict=True)
    )


@pytest.mark.parametrize("on_ms", [50, 150, 400])
@pytest.mark.parametrize(("echo_ms", "echo_db"), [(30, -10), (30, -30), (60, -10), (60, -20), (60, -30)])
def test_the_echo_of_the_own_line_does_not_leave_under_speech(echo_ms, echo_db, on_ms):
    assert own_line(60, echo_ms, echo_db, on_ms) == 0


def test_without_the_hold_the_echo_of_the_own_line_leaves():
    assert own_line(0, 60, -30, 150) > 1000


@pytest.mark.parametrize("on_ms", [15, 30, 50, 70, 131, 140, 555])
def test_a_mask_is_120_ms_or_longer_by_whole_steps_of_20_ms(on_ms):
    stream = key_stream(Recipe(repetitions=2, on_ms=on_ms, gap_ms=700, keys="159D"), 66)
    state, keys = np.zeros(1, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8)
    out, replaced = np.zeros(160, np.int16), np.zeros(len(stream.pcm), np.int8)
    for start in range(0, len(stream.pcm) - 159, 160):
        masker.shield_packet(state, 0, stream.pcm[start : start + 160], out, MODE_CAPTURE, keys)
        for begin, end in masker.masked_segments(state, 0):
            replaced[start + begin : start + end] = 1

    edges = np.flatnonzero(np.diff(replaced[HOLD:]))
    lengths = edges[1::2] - edges[::2]

    assert len(lengths) == 8
    assert lengths.min() >= 960
    assert set(lengths % 160) == {0}
