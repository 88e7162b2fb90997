"""Entering and leaving a capture: no click, no gap, no sample twice, no step of the RTP timeline (docs/adr/0005)."""

import numpy as np
import pytest

from dtmf_shield.media import masker
from dtmf_shield.media.codecs import g711
from dtmf_shield.media.masker import MODE_CAPTURE, MODE_GUARD, SHIELD_STATE_DTYPE
from dtmf_shield.media.session.commands import COMMAND_SHIELD
from tests.unit.media.call_on_tables import AGENT, CALLER, Call, assert_unbroken, decoded, talk
from tests.unit.media.test_masker import rough_sound

MODES = [MODE_GUARD, MODE_CAPTURE, MODE_GUARD, MODE_CAPTURE, MODE_CAPTURE, MODE_GUARD]


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize("packet_ms", [10, 20, 60])
def test_sound_that_goes_on_over_mode_changes_comes_out_whole(factor, packet_ms):
    n = 8 * packet_ms * factor
    pcm = rough_sound(60 * n, 71)
    state, keys, out = np.zeros(1, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8), np.zeros_like(pcm)
    shield = (masker.shield_packet, masker.shield_wideband_packet)[factor - 1]

    for number, start in enumerate(range(0, len(pcm), n)):
        mode = MODES[number // 10]
        shield(state, 0, pcm[start : start + n], out[start : start + n], mode, keys)

    held = factor * masker.HOLD_BACK_SAMPLES
    assert np.array_equal(out[held:], pcm[:-held])


def test_a_call_runs_through_a_capture_without_a_break():
    call = Call(mode=MODE_GUARD)
    said = talk(60 * 160)
    sent = {CALLER: [], AGENT: []}

    for number, start in enumerate(range(0, len(said), 160)):
        for phone in (call.caller, call.agent):
            call.command(COMMAND_SHIELD, phone.leg, [MODES[number // 10]])
            sent[phone.leg] += phone.say(said[start : start + 160])

    codes, line = np.zeros(len(said), np.uint8), np.zeros(len(said), np.int16)
    g711.encode_ulaw(said, codes)
    g711.decode_ulaw(codes, line)
    for packets in sent.values():
        assert len(packets) == 60
        assert_unbroken(packets)
        heard = decoded(packets)
        # Under the mute that a call is born with lies its first packet.
        assert np.array_equal(heard[240:], line[200 : -masker.HOLD_BACK_SAMPLES])


def test_a_key_under_a_mode_change_leaks_nothing():
    """Guard and capture muting agree on the held samples: a mode that comes in the middle of a key opens no gap."""
    t = np.arange(1600) / 8000
    key = 6000 * (np.sin(2 * np.pi * 770 * t) + np.sin(2 * np.pi * 1336 * t))
    pcm = np.concatenate([np.zeros(800), key, np.zeros(800)]).astype(np.int16)
    for change in range(20):
        state, keys, out = np.zeros(1, SHIELD_STATE_DTYPE), np.zeros(16, np.uint8), np.zeros_like(pcm)
        for number, start in enumerate(range(0, len(pcm), 160)):
            mode = MODE_GUARD if number < change else MODE_CAPTURE
            masker.shield_packet(state, 0, pcm[start : start + 160], out[start : start + 160], mode, keys)

        assert np.abs(out[800 + 40 : 2400 + 40]).max() <= masker.NOISE_PEAK
