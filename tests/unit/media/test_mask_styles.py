"""What stands in place of a key: four styles, none louder than told, none that tells one key from another."""

import os
import typing

import numpy as np
import pytest

from bench.peers import spandsp
from dtmf_shield.account_data.slots import Region, create_region
from dtmf_shield.base.config import MediaSection
from dtmf_shield.media import detector, masker
from dtmf_shield.media.dsp import filler
from dtmf_shield.media.masker import MODE_CAPTURE, MODE_GUARD, MODE_MUTE, SHIELD_STATE_DTYPE, STYLES
from dtmf_shield.media.session.commands import COMMAND_RECORD
from dtmf_shield.model.messages import ConfigureMedia
from dtmf_shield.model.stream import MaskStyle
from dtmf_shield.service.media_process import build_shard
from tests.unit.media.call_on_tables import Call, decoded, talk
from tests.vectors.dtmf_scoring import leaked_samples
from tests.vectors.dtmf_signal import APART_MS, P0, Recipe, key_stream, tone_pair

HOLD = masker.HOLD_BACK_SAMPLES
BEEP_SAMPLES = 8 * filler.BEEP_MS


def shielded(pcm, style, level_dbm0=-50.0, mode=MODE_CAPTURE, factor=1, lost=()):
    """Return the masked audio and where it was replaced; packets whose number is in `lost` do not arrive."""
    state, keys = np.zeros(1, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8)
    masker.set_style(state, style, level_dbm0)
    out, replaced = np.zeros(len(pcm), np.int16), np.zeros(len(pcm), bool)
    shield = (masker.shield_packet, masker.shield_wideband_packet)[factor - 1]
    n = 160 * factor
    for number, start in enumerate(range(0, len(pcm) - n + 1, n)):
        packet = slice(start, start + n)
        if number in lost:
            masker.conceal_packet(state, 0, n, out[packet], mode)
        else:
            shield(state, 0, pcm[packet], out[packet], mode, keys)
        for begin, end in masker.masked_segments(state, 0):
            replaced[start + begin : start + end] = True
    return out, replaced


def level_dbm0(samples):
    return 10 * np.log10(np.mean(samples.astype(float) ** 2) / (0.5 * P0**2) + 1e-30)


def keys_apart(gap_ms, keys="19", on_ms=60, level=-10):
    """Return key presses in order, each after `gap_ms` of silence."""
    rng, recipe = np.random.default_rng(5), Recipe(level_dbm0=level)
    parts = [np.zeros(800)]
    for key in keys:
        parts += [tone_pair(key, 8 * on_ms, recipe, rng), np.zeros(8 * gap_ms)]
    return np.concatenate([*parts, np.zeros(1600)]).round().astype(np.int16)


def beeps(out):
    """Return the samples at which a whole beep begins."""
    t = np.arange(BEEP_SAMPLES)
    probe = np.sin(2 * np.pi * filler.TONE_HZ * t / 8000)
    score = np.correlate(out.astype(float), probe) / (np.linalg.norm(probe) + 1e-9)
    energy = np.sqrt(np.convolve(out.astype(float) ** 2, np.ones(BEEP_SAMPLES), "valid")) + 1e-9
    match = score / energy
    starts = []
    while match.max() > 0.995:
        starts.append(int(np.argmax(match)))
        match[max(0, starts[-1] - BEEP_SAMPLES // 2) : starts[-1] + BEEP_SAMPLES // 2] = 0.0
    return sorted(starts)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("factor", [1, 2])
def test_no_style_leaks(style, factor):
    stream = key_stream(Recipe(repetitions=4, gap_ms=APART_MS, snr_db=30, sample_rate_hz=8000 * factor), 51)

    out, replaced = shielded(stream.pcm, style, factor=factor)

    held = factor * HOLD
    for onset, end in zip(stream.onsets, stream.ends, strict=True):
        assert replaced[onset + held : end + held].all()
        # Silence equals the zeros of a key's own crossings here and there, never three in a row.
        assert leaked_samples(stream.pcm, out, onset, end, held) == 0


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("limit_dbm0", [-65.0, -50.0, -20.0])
@pytest.mark.parametrize("factor", [1, 2])
def test_no_style_is_louder_than_its_level(style, limit_dbm0, factor):
    stream = key_stream(Recipe(repetitions=2, on_ms=300, gap_ms=300, sample_rate_hz=8000 * factor), 52)

    out, replaced = shielded(stream.pcm, style, limit_dbm0, factor=factor)

    pieces = out[replaced][: 480 * factor * 100].reshape(-1, 480 * factor)  # 60 ms each
    assert max(level_dbm0(piece) for piece in pieces) < limit_dbm0 + 0.6
    if style != "silence":
        assert level_dbm0(out[replaced]) > limit_dbm0 - 1.5


@pytest.mark.parametrize("style", ["noise", "silence", "tone"])
@pytest.mark.parametrize("mode", [MODE_GUARD, MODE_CAPTURE, MODE_MUTE])
def test_what_replaces_is_one_sequence_whatever_the_key(style, mode):
    sequences = []
    for key in "1D":
        out, replaced = shielded(key_stream(Recipe(repetitions=8, keys=key), 53).pcm, style, -30.0, mode)
        sequences.append(out[replaced])

    n = min(len(sequence) for sequence in sequences)
    assert n > 8 * 400
    assert np.array_equal(sequences[0][:n], sequences[1][:n])


def test_every_key_has_the_same_beep():
    out, _ = shielded(keys_apart(500, "123A456B789C*0#D"), "beep", -30.0)

    starts = beeps(out)

    assert len(starts) == 16
    for start in starts:
        assert np.array_equal(out[start : start + BEEP_SAMPLES], out[starts[0] : starts[0] + BEEP_SAMPLES])


def test_keys_in_quick_succession_share_a_beep():
    out, _ = shielded(keys_apart(90, "1234567890"), "beep", -30.0)

    assert len(beeps(out)) == 1


def test_a_long_press_beeps_once_and_is_noise_after():
    out, replaced = shielded(keys_apart(500, "5", on_ms=2000), "beep", -30.0)

    (start,) = beeps(out)

    after = out[start + BEEP_SAMPLES : start + 2000 * 8 - BEEP_SAMPLES]
    assert replaced[start + BEEP_SAMPLES : start + 2000 * 8 - BEEP_SAMPLES].all()
    spectrum = np.abs(np.fft.rfft(after[:8000] * np.hanning(8000)))
    assert spectrum[filler.TONE_HZ] < 4 * np.median(spectrum)


def test_a_mute_that_may_be_speech_does_not_beep():
    """7 ms of tone are masked, but as often as not they are a piece of a voice."""
    out, replaced = shielded(keys_apart(400, "1" * 8, on_ms=7), "beep", -30.0)

    assert replaced[800 + HOLD : 856 + HOLD].all()
    assert np.abs(out[replaced]).max() <= filler._noise_peak(-30.0)
    tone_peak = np.sqrt(2 / 3) * filler._noise_peak(-30.0)
    spectrum = np.abs(np.fft.rfft(out[800 + HOLD : 856 + HOLD]))
    assert spectrum[7] < 0.25 * tone_peak * 56


def test_a_leg_that_is_mute_does_not_tell_by_beeps_when_keys_sound():
    pcm = keys_apart(400, "19")

    assert beeps(shielded(pcm, "beep", -30.0, MODE_MUTE)[0]) == []
    silent = shielded(np.zeros_like(pcm), "beep", -30.0, MODE_MUTE)[0]
    assert np.array_equal(shielded(pcm, "beep", -30.0, MODE_MUTE)[0], silent)


def test_a_mute_leg_under_the_tone_is_one_unbroken_tone():
    out = shielded(keys_apart(400, "19"), "tone", -30.0, MODE_MUTE)[0]

    whole = out[: len(out) // 160 * 160].astype(int)
    assert np.array_equal(whole[8:], whole[:-8])
    assert level_dbm0(whole) == pytest.approx(-30, abs=0.2)


def test_a_lost_packet_does_not_beep():
    pcm = np.zeros(3200, np.int16)

    out, replaced = shielded(pcm, "beep", -30.0, MODE_CAPTURE, lost=(4, 9))

    assert replaced[640:800].all()
    assert beeps(out) == []


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("gap_ms", [60, 400])
def test_no_detector_hears_a_key_in_what_is_sent(style, gap_ms):
    pcm = keys_apart(gap_ms, "123A456B789C*0#D", on_ms=100)
    peer = spandsp.load()

    out = shielded(pcm, style, -20.0)[0]

    state, keys = np.zeros(1, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8)
    packets = [out[start : start + 160] for start in range(0, len(out) - 159, 160)]
    assert sum(detector.detect_packet(state, 0, packet, keys) for packet in packets) == 0
    if peer is None:
        pytest.skip("libspandsp2 is not installed")
    assert len(peer.events(pcm)) >= 15  # control: it hears them unmasked
    assert peer.events(out) == []


def test_masker_and_configuration_know_the_same_styles():
    assert (
        set(STYLES)
        == set(MaskStyle)
        == set(typing.get_args(MediaSection.model_fields["mask_style"].annotation))
    )
    assert MediaSection().mask_level_dbm0 == ConfigureMedia(1).mask_level_dbm0 == masker.LEVEL_DBM0
    assert MediaSection().echo_hold_ms * 8 == ConfigureMedia(1).echo_hold_ms * 8 == masker.ECHO_HOLD_SAMPLES


def test_an_unknown_style_is_refused():
    with pytest.raises(KeyError):
        masker.set_style(np.zeros(1, SHIELD_STATE_DTYPE), "song")


def test_a_leg_keeps_its_style_when_it_is_reset():
    state = np.zeros(2, SHIELD_STATE_DTYPE)
    masker.set_style(state, "beep", -30.0)
    masker.set_echo_hold(state, 800)
    masker.force_mute(state, 1, 8000)

    masker.reset_shield(state, 1)

    assert state[1] == state[0]
    assert masker.echo_hold_samples(state, 1) == 800


def test_an_event_beeps_as_a_tone_does():
    call = Call(mode=MODE_CAPTURE)
    masker.set_style(call.tables.shields, "beep", -30.0)
    call.caller.say(talk(1600))

    sent = decoded(call.caller.press(5, frames=8))

    (start,) = beeps(sent)
    assert start <= 160
    assert call.tables.shields[2]["beep_left"] == 0


@pytest.mark.parametrize("style", STYLES)
def test_a_recording_holds_what_the_agent_is_sent(style):
    call = Call(mode=MODE_CAPTURE)
    masker.set_style(call.tables.shields, style, -30.0)
    call.command(COMMAND_RECORD)

    sent = call.caller.say(keys_apart(300)[: 160 * 30])

    cells = call.tables.taps.cells[: call.tables.taps.heads[0]]
    assert len(cells) == len(sent) == 30
    for cell, packet in zip(cells, sent, strict=True):
        assert call.caller.encoded(cell["samples"][: cell["n_samples"]]) == packet.payload


def test_the_configured_mask_reaches_every_leg():
    descriptor, _ = create_region()
    configure = ConfigureMedia(2, ("*1",), MaskStyle.TONE, -33.0, 120)

    _, tables, _ = build_shard(configure, Region(descriptor))
    os.close(descriptor)

    assert set(tables.shields["style"]) == {STYLES["tone"]}
    assert set(tables.shields["echo_hold_samples"]) == {960}
    sine_rms = tables.shields["tone_peak"][0] / np.sqrt(2)
    assert 20 * np.log10(sine_rms / (P0 / np.sqrt(2))) == pytest.approx(-33, abs=0.1)
