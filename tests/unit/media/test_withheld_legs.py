"""A leg that is withheld: nothing of it is heard, every key of it registers; and what a recording keeps of a pause."""

import numpy as np
import pytest

from dtmf_shield.media.masker import MODE_CAPTURE, MODE_GUARD, STYLES, set_style
from dtmf_shield.media.session.commands import (
    COMMAND_RECORD,
    COMMAND_SHIELD,
    RELEASE_SAMPLES,
)
from tests.unit.media.call_on_tables import AGENT, CALLER, Call, decoded, talk, tone

NOISE_PEAK_MAX = 200
"""Noise of -50 dBm0, and a step of the codec."""


def talking(codec="PCMU", mode=MODE_CAPTURE):
    call = Call(mode=mode, codecs=(codec, codec))
    for phone in (call.caller, call.agent):
        phone.say(voice(phone, 1_600))
    return call


def voice(phone, n):
    return talk(n * phone.samples_a_tick, rate_hz=8_000 * phone.samples_a_tick)


def shield(call, leg, mode=MODE_CAPTURE, style=None, *, withheld=False, unrecorded=False):
    number = 0 if style is None else 1 + STYLES[style]
    call.command(COMMAND_SHIELD, leg, [mode, number, int(withheld), int(unrecorded)])


def loudest(sent, codec="PCMU"):
    return int(np.abs(decoded(sent, codec).astype(int)).max())


@pytest.mark.parametrize("codec", ["PCMU", "G722"])
@pytest.mark.parametrize("leg", [CALLER, AGENT])
def test_a_withheld_leg_is_not_heard_and_the_other_is(codec, leg):
    call = talking(codec)
    phone, other = (call.caller, call.agent) if leg == CALLER else (call.agent, call.caller)
    assert loudest(phone.say(voice(phone, 8_000)), codec) > 4_000

    shield(call, leg, withheld=True)

    assert loudest(phone.say(voice(phone, 8_000)), codec) <= NOISE_PEAK_MAX
    assert loudest(other.say(voice(other, 8_000)), codec) > 4_000


@pytest.mark.parametrize(("style", "loudest_heard"), [("silence", 0), ("noise", NOISE_PEAK_MAX)])
def test_what_is_heard_of_a_withheld_leg_is_its_style(style, loudest_heard):
    call = talking()
    set_style(call.tables.shields, "beep")

    shield(call, CALLER, style=style, withheld=True)

    assert loudest(call.caller.say(talk(8_000))) <= loudest_heard


def test_keys_of_a_withheld_leg_register():
    call = talking()
    call.arm()
    shield(call, CALLER, withheld=True)

    sent = []
    for key in "4242":
        sent += call.caller.say(tone(key, 960)) + call.caller.say(np.zeros(960, np.int16))

    assert call.keys() == "4242"
    assert loudest(sent) <= NOISE_PEAK_MAX


def test_a_new_source_on_a_withheld_leg_stays_withheld():
    call = talking()
    shield(call, CALLER, withheld=True)

    call.caller.ssrc = 0xCCCC
    call.caller.sequence = 77
    call.caller.timestamp = 123_456

    assert loudest(call.caller.say(talk(8_000))) <= NOISE_PEAK_MAX


def test_a_change_of_codec_on_a_withheld_leg_leaves_it_withheld():
    call = talking()
    shield(call, CALLER, withheld=True)

    call.stream(call.caller, codec="G722")

    assert loudest(call.caller.say(voice(call.caller, 8_000))) <= NOISE_PEAK_MAX


def test_a_leg_is_heard_again_a_moment_after_it_is_released_with_or_without_a_capture():
    for mode in (MODE_GUARD, MODE_CAPTURE):
        call = talking()
        shield(call, CALLER, withheld=True)
        call.caller.say(talk(8_000))

        shield(call, CALLER, mode)

        heard = decoded(call.caller.say(talk(4_000))).astype(int)
        assert np.abs(heard[:RELEASE_SAMPLES]).max() <= NOISE_PEAK_MAX
        assert np.abs(heard[RELEASE_SAMPLES + 160 :]).max() > 4_000


def test_a_mute_of_its_own_is_not_cut_by_the_word_that_nothing_is_withheld():
    call = talking()
    call.caller.say(tone("5", 800))
    muted_until = int(call.tables.shields[2]["mute_until_samples"])

    shield(call, CALLER)

    assert int(call.tables.shields[2]["mute_until_samples"]) == muted_until


def test_style_of_one_call_is_not_of_the_other_leg_nor_left_behind():
    call = talking()
    shield(call, CALLER, style="silence")

    assert call.tables.shields["style"].tolist() == [0, 0, STYLES["silence"], 0]
    shield(call, CALLER, style="noise")
    assert call.tables.shields["style"].tolist() == [0, 0, 0, 0]


def positions(call, side):
    cells = call.tables.taps.cells[: call.tables.taps.heads[0]]
    return [int(cell["position_samples"]) for cell in cells if cell["side"] == side]


def test_a_recording_holds_a_gap_where_it_was_paused_and_goes_on_in_its_place():
    call = talking()
    call.command(COMMAND_RECORD)
    call.caller.say(talk(480))
    shield(call, CALLER, unrecorded=True)
    shield(call, AGENT, unrecorded=True)
    call.caller.say(talk(1_600))
    call.agent.say(talk(1_600))
    shield(call, CALLER)
    shield(call, AGENT)
    call.caller.say(talk(320))

    # By the caller's own timeline: 1,600 samples of it were not recorded.
    assert positions(call, CALLER) == [160, 320, 480, 2_240, 2_400]
    assert positions(call, AGENT) == []


def test_a_recording_that_begins_in_a_pause_records_once_it_is_over_and_not_before():
    call = talking()
    shield(call, CALLER, unrecorded=True)
    call.command(COMMAND_RECORD, numbers=[1, 0])
    call.caller.say(talk(480))
    call.agent.say(talk(160))
    assert (positions(call, CALLER), positions(call, AGENT)) == ([], [640])

    shield(call, CALLER)
    call.caller.say(talk(160))

    assert positions(call, CALLER) == [800]


def test_a_call_that_is_not_recorded_is_not_recorded_after_a_pause_either():
    call = talking()
    shield(call, CALLER, unrecorded=True)
    shield(call, CALLER)
    call.caller.say(talk(480))

    assert positions(call, CALLER) == []
