"""Keys of a call's legs: RFC 4733 events, tones, joined doors, slots, star codes; and no key outside."""

import struct

import numpy as np
import pytest

from dtmf_shield.account_data import slots as slot_layout
from dtmf_shield.media.masker import MODE_CAPTURE, MODE_GUARD, MODE_MUTE
from dtmf_shield.media.session.commands import (
    COMMAND_ARM,
    COMMAND_DISARM,
    COMMAND_DISARM_ALL,
)
from dtmf_shield.media.session.legs import (
    EVENT_KEYS_WRITTEN,
    EVENT_SLOT_ARMED,
    EVENT_STAR_CODE,
)
from tests.unit.media.call_on_tables import (
    CALLER,
    EVENT_TYPE,
    Call,
    assert_unbroken,
    decoded,
    talk,
    tone,
    tone_share,
)

# --- keys ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [MODE_GUARD, MODE_CAPTURE, MODE_MUTE])
def test_a_keyed_number_reaches_its_slot_and_nobody_else(mode):
    number = "4242"
    call = Call(mode=mode)
    call.arm()
    pieces = [np.concatenate([tone(key, 800, peak=8000), np.zeros(800, np.int16)]) for key in number]
    spoken = np.concatenate([np.zeros(800, np.int16), *pieces])

    heard = decoded(call.caller.say(spoken))

    assert call.keys() == number
    assert min(tone_share(spoken, key) for key in number) > 0.9  # the measure sees the tones where they are
    assert max(tone_share(heard, key) for key in number) < 0.5
    written = [event for event in call.events() if event[0] == EVENT_KEYS_WRITTEN]
    assert [event[4:] for event in written] == [(5, 77, head, 0) for head in (1, 2, 3, 4)]


def test_all_keys_by_events_reach_the_slot_and_no_event_leaves():
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    sent = call.caller.say(talk(800))

    for code in range(16):
        sent += call.caller.press(code)
        sent += call.caller.say(talk(800))

    assert call.keys() == "0123456789*#ABCD"
    assert {packet.payload_type for packet in sent} == {0}
    assert {packet.n for packet in sent} == {160}
    assert_unbroken(sent)
    assert len(sent) == 5 + 16 * 10
    assert call.statistics(CALLER).events_removed == 16 * 8


def test_events_are_replaced_outside_a_capture_too():
    call = Call(mode=MODE_GUARD)
    sent = call.caller.say(talk(800))

    sent += call.caller.press(5)
    sent += call.caller.say(talk(800))

    assert_unbroken(sent)
    assert len(sent) == 15
    assert call.statistics(CALLER).lost == 0


def test_audio_beside_events_fills_its_own_slots():
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    phone = call.caller
    sent = phone.say(talk(800))
    for code in (4, 2):
        start = phone.timestamp
        for frame in range(5):
            sent += phone.event(code, start, 160 * (frame + 1), marker=int(frame == 0))
            sent += phone.say(tone(str(code), 160, 160 * frame))
        for _ in range(3):
            sent += phone.event(code, start, 960, end=True)
        sent += phone.say(talk(1600))

    assert call.keys() == "42"
    assert len(sent) == 5 + 2 * 15
    assert_unbroken(sent)
    assert tone_share(decoded(sent), "4") < 0.5
    assert tone_share(decoded(sent), "2") < 0.5


@pytest.mark.parametrize("event_first", [True, False])
def test_one_press_through_two_doors_is_one_key(event_first):
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    phone = call.caller
    phone.say(talk(1600))
    for _ in range(2):
        start = phone.timestamp
        if event_first:
            phone.event(5, start, 160)
        phone.say(tone("5", 800))
        if not event_first:
            phone.event(5, start + 240, 160)
        phone.event(5, start if event_first else start + 240, 800, end=True)
        phone.say(np.zeros(640, np.int16))

    assert call.keys() == "55"


def test_two_presses_through_one_door_are_two_keys():
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    press = np.concatenate([tone("5", 400), np.zeros(400, np.int16)])

    call.caller.say(np.concatenate([np.zeros(1600, np.int16), press, press, np.zeros(800, np.int16)]))

    assert call.keys() == "55"


def test_several_events_in_one_packet_are_as_many_keys():
    """RFC 4733 section 2.5.1.5; sent three times, they count once."""
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    phone = call.caller
    sent = phone.say(talk(800))
    start = phone.timestamp
    payload = b"".join(struct.pack("!BBH", code, 0x8A, 400) for code in (4, 2, 2))

    for _ in range(3):
        call.wait(160)
        sent += call.receive(CALLER, phone.packet(payload, payload_type=EVENT_TYPE, timestamp=start))

    assert call.keys() == "422"
    assert_unbroken(sent)


def test_bytes_after_an_event_that_goes_on_are_no_events():
    call = Call(mode=MODE_CAPTURE)
    call.arm()

    call.receive(
        CALLER, call.caller.packet(struct.pack("!BBH", 7, 10, 160) + bytes(8), payload_type=EVENT_TYPE)
    )

    assert call.keys() == "7"


@pytest.mark.parametrize("audio_ssrc", [0xAAAA, 0xCCCC])
def test_events_under_an_ssrc_of_their_own_leave_the_audio_alone(audio_ssrc):
    """Some gateways send events from another source: the audio's timeline and detector go on."""
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    phone = call.caller
    sent = phone.say(talk(800))
    for key in "5572":
        own = phone.timestamp + 7_000_000 if audio_ssrc != 0xAAAA else phone.timestamp
        for frame in range(5):
            sent += phone.say(tone(key, 160, 160 * frame))
            phone.ssrc, kept = audio_ssrc, phone.sequence
            sent += phone.event(int(key), own, 160 * (frame + 1), end=frame == 4, marker=int(frame == 0))
            phone.ssrc = 0xAAAA
            if audio_ssrc != 0xAAAA:
                phone.sequence = kept
        sent += phone.say(np.zeros(640, np.int16))

    assert call.keys() == "5572"
    assert_unbroken(sent)
    assert max(tone_share(decoded(sent), key) for key in "572") < 0.5


@pytest.mark.parametrize(("pause", "keys"), [(0, "5"), (640, "55")])
def test_a_tone_cut_by_a_change_of_source_is_one_key(pause, keys):
    """RFC 3550 section 8: a transfer in the middle of a long press; after a pause it is another press."""
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    phone = call.caller
    sent = phone.say(np.concatenate([talk(800), tone("5", 1600)]))
    phone.ssrc, phone.sequence, phone.timestamp = 0xCCCC, 7, 123_456
    sent += phone.say(
        np.concatenate([np.zeros(pause, np.int16), tone("5", 1600, 1600), np.zeros(800, np.int16)])
    )

    assert call.keys() == keys
    assert tone_share(decoded(sent), "5") < 0.5


def test_an_event_press_cut_by_a_change_of_source_is_one_key():
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    phone = call.caller
    sent, start = phone.say(talk(800)), phone.timestamp
    for frame in range(20):
        if frame == 10:
            phone.ssrc, phone.sequence, start = 0xCCCC, 7, 123_456
        call.wait(160)
        sent += phone.event(5, start, 160 * (frame + 1))
    sent += phone.event(5, start, 3360, end=True)
    phone.timestamp = start + 3360
    sent += phone.say(talk(800))

    assert call.keys() == "5"
    assert {packet.n for packet in sent} == {160}


def test_both_doors_of_a_press_join_over_a_change_of_source():
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    phone = call.caller
    phone.say(talk(800))
    phone.event(5, phone.timestamp, 160, marker=1)
    phone.ssrc, phone.sequence, phone.timestamp = 0xCCCC, 7, 123_456
    phone.say(np.concatenate([tone("5", 800), np.zeros(800, np.int16)]))

    assert call.keys() == "5"


def test_a_tone_that_registers_again_within_its_event_is_one_key():
    """A dropout of the audio, or speech over it: the event names begin and end."""
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    phone = call.caller
    phone.say(talk(800))
    start = phone.timestamp
    for frame in range(50):
        phone.event(5, start, 160 * (frame + 1), marker=int(frame == 0))
        phone.say(np.zeros(160, np.int16) if frame in range(20, 25) else tone("5", 160, 160 * frame))
    phone.event(5, start, 8000, end=True)
    phone.say(np.zeros(800, np.int16))

    assert call.keys() == "5"


def test_a_tone_after_its_event_is_another_press():
    """Of the same key, by the tone alone: the control of the test above."""
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    phone = call.caller
    phone.say(talk(800))
    phone.press(5)
    phone.say(np.concatenate([np.zeros(480, np.int16), tone("5", 800), np.zeros(800, np.int16)]))

    assert call.keys() == "55"


def test_quick_equal_presses_by_two_doors_stay_as_many():
    """Events 70 ms behind the tones, and 80 ms late: the oldest tone is the partner, not the nearest."""
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    phone = call.caller
    phone.say(talk(800))
    start = phone.timestamp
    press = np.concatenate([tone("5", 400), np.zeros(320, np.int16)])
    spoken = np.concatenate([press, press, press, np.zeros(1600, np.int16)])
    for at in range(0, len(spoken), 160):
        phone.say(spoken[at : at + 160])
        for n in range(3):
            onset = 720 * n + 560
            told = at + 160 - 640 - onset
            if 0 < told <= 400 + 160:
                phone.event(5, start + onset, min(told, 400), end=told > 400)

    assert call.keys() == "555"


@pytest.mark.parametrize("code", [16, 32, 255])
def test_events_that_are_no_keys_are_masked_and_fill_their_slots(code):
    call = Call(mode=MODE_GUARD)
    call.arm()
    sent = call.caller.say(talk(800))

    sent += call.caller.press(code)
    sent += call.caller.say(talk(800))

    assert call.keys() == ""
    assert_unbroken(sent)
    assert len(sent) == 15
    assert np.max(np.abs(decoded(sent)[880:1600])) < 300


def test_redundant_payloads_are_not_read():
    """RFC 2198 is never agreed: such a packet is counted as malformed and nothing of it leaves."""
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    call.caller.say(talk(800))
    redundant = bytes([0x80 | EVENT_TYPE, 0, 0, 4, EVENT_TYPE]) + struct.pack("!BBH", 5, 0x8A, 400) * 2

    assert call.receive(CALLER, call.caller.packet(redundant, payload_type=103)) == []
    assert call.keys() == ""
    assert call.statistics(CALLER).malformed == 1


def test_a_late_event_is_still_read():
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    phone = call.caller
    phone.say(talk(800))
    late_sequence, start = phone.sequence, phone.timestamp
    phone.sequence += 1
    phone.say(talk(800))

    assert phone.event(8, start, 160, sequence=late_sequence) == []
    assert call.keys() == "8"


def test_without_a_slot_keys_go_nowhere():
    call = Call(mode=MODE_CAPTURE)

    call.caller.press(5)

    assert call.events() == []
    assert not call.slots.any()


@pytest.mark.parametrize("spoil", ["state", "generation", "disarmed", "cde_gone"])
def test_a_slot_no_longer_ours_is_left_alone(spoil):
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    base = 5 * slot_layout.SLOT_BYTES
    if spoil == "state":
        call.slots[base + slot_layout.STATE_AT] = slot_layout.STATE_SEALED
    elif spoil == "generation":
        call.slots[base] += 1
    elif spoil == "disarmed":
        call.command(COMMAND_DISARM, numbers=[5, 77])
    else:
        call.command(COMMAND_DISARM_ALL)
    before = call.slots.copy()
    call.events()

    sent = call.caller.press(5)

    assert np.array_equal(call.slots, before)
    assert call.events() == []
    assert len(sent) == 5


def test_keys_not_taken_are_wiped_when_cde_is_gone():
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    call.caller.press(5)

    call.command(COMMAND_DISARM_ALL)

    base = 5 * slot_layout.SLOT_BYTES
    assert not call.slots[base + slot_layout.RING_AT : base + slot_layout.RING_AT + 64].any()
    assert call.statistics(CALLER).mode == MODE_CAPTURE


def test_an_overrun_is_flagged_and_told():
    call = Call(mode=MODE_CAPTURE)
    call.arm()

    for n in range(64):
        call.caller.press(n % 10, frames=3)

    base = 5 * slot_layout.SLOT_BYTES
    assert call.slots[base + slot_layout.HEAD_AT] == 63
    assert call.slots[base + slot_layout.FLAGS_AT] == slot_layout.FLAG_OVERRUN
    assert call.events()[-1][4:] == (5, 77, 63, 1)


def test_arming_another_call_is_refused():
    call = Call()

    call.command(COMMAND_ARM, numbers=[5, 77], generation=8)

    assert call.events() == [(EVENT_SLOT_ARMED, 1, 9, 0, 5, 77, 0, 0)]
    assert call.statistics(CALLER).slot == 0


# --- star codes ---------------------------------------------------------------------------------------------


def test_a_star_code_of_the_agent_is_told_and_not_passed_on():
    call = Call(star_codes=("*1", "*22"))
    spoken = np.concatenate(
        [tone("*", 800), np.zeros(800, np.int16), tone("1", 800), np.zeros(800, np.int16)]
    )

    heard = decoded(call.agent.say(np.concatenate([np.zeros(800, np.int16), spoken])))

    assert call.events() == [(EVENT_STAR_CODE, 1, 9, 1, 0, 0, 0, 0)]
    assert max(tone_share(heard, "*"), tone_share(heard, "1")) < 0.5


def test_star_codes_are_found_among_other_keys_by_events():
    call = Call(star_codes=("*1", "*22"))

    for code in (10, 10, 2, 2, 1, 10, 2, 1, 10, 1):
        call.agent.press(code)

    assert [event[4] for event in call.events()] == [1, 0]


def test_a_pause_breaks_a_star_code():
    call = Call()
    call.agent.press(10)
    call.wait(25_000)
    call.agent.timestamp += 25_000
    call.agent.press(1)

    assert call.events() == []


def test_star_codes_of_the_caller_mean_nothing():
    call = Call()
    call.caller.press(10)
    call.caller.press(1)

    assert call.events() == []
