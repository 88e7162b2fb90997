"""A call's two legs without a socket: RFC 3550 continuity, loss, hold, and the books kept of a call."""

import struct

import numba
import numpy as np
import pytest

from dtmf_shield.media.frames import CallerFrame
from dtmf_shield.media.masker import MODE_CAPTURE, MODE_GUARD, MODE_MUTE
from dtmf_shield.media.session.commands import (
    COMMAND_CLOSE,
    COMMAND_RECORD,
    COMMAND_SHIELD,
    COMMAND_STREAM,
)
from dtmf_shield.media.session.legs import (
    DIRECTION_INACTIVE,
    DIRECTION_RECVONLY,
    DIRECTION_SENDONLY,
    EVENT_CALL_CLOSED,
    EVENT_CELLS,
    EVENT_SHIELD_CHANGED,
    EVENT_STAR_CODE,
    post_event,
)
from dtmf_shield.media.session.output import RECORDING_AHEAD_SAMPLES
from dtmf_shield.media.session.receive import tick
from dtmf_shield.media.session.transcoding import encode_masked
from tests.unit.media.call_on_tables import (
    AGENT,
    CALLER,
    EVENT_TYPE,
    Call,
    assert_unbroken,
    decoded,
    talk,
    tone,
)

# --- continuity ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [80, 160, 240, 320, 400, 480])
def test_audio_passes_with_our_own_numbers_at_any_packet_time(n):
    call = Call()

    sent = call.caller.say(talk(10 * n), n)

    assert len(sent) == 10
    assert_unbroken(sent)
    assert [packet.marker for packet in sent] == [1] + [0] * 9
    assert (sent[0].sequence, sent[0].timestamp, sent[0].ssrc) == (65_530, 2**32 - 320, 0x22222222)


def test_audio_comes_out_five_milliseconds_later():
    call = Call()
    spoken = talk(1600)

    heard = decoded(call.caller.say(spoken))

    # The first samples lie under the noise that every call begins with.
    assert np.max(np.abs(heard[240:].astype(int) - spoken[200:-40])) < 300


def test_codecs_are_changed_over():
    call = Call(codecs=("PCMA", "PCMU"))
    spoken = talk(1600)

    sent = call.caller.say(spoken)
    back = call.agent.say(spoken)

    assert {packet.payload_type for packet in sent} == {0}
    assert {packet.payload_type for packet in back} == {8}
    for heard in (decoded(sent, "PCMU"), decoded(back, "PCMA")):
        assert np.max(np.abs(heard[240:].astype(int) - spoken[200:-40])) < 500


def test_a_call_is_born_mute():
    call = Call(mode=MODE_MUTE)

    heard = decoded(call.caller.say(talk(1600)))

    assert len(heard) == 1600
    assert np.max(np.abs(heard)) < 300


def test_a_loss_outside_a_capture_is_seen_as_a_loss():
    call = Call()

    sent = call.caller.say(talk(1600), lose=(4, 5))

    assert len(sent) == 8
    assert (sent[4].sequence - sent[3].sequence) % 65536 == 3
    assert (sent[4].timestamp - sent[3].timestamp) % 2**32 == 480
    assert call.statistics(CALLER).lost == 2


def test_a_loss_in_a_capture_is_filled():
    call = Call(mode=MODE_CAPTURE)

    sent = call.caller.say(talk(1600), lose=(4, 5))

    assert len(sent) == 10
    assert_unbroken(sent)


def test_fillers_have_a_limit():
    call = Call(mode=MODE_CAPTURE)
    call.caller.say(talk(160))

    sent = call.caller.say(talk(160 * 60), lose=range(59))

    assert len(sent) == 11
    assert_unbroken(sent[:10])


def test_silence_is_no_loss_and_ends_with_a_marker():
    call = Call()
    first = call.caller.say(talk(480))
    call.wait(8000)
    call.caller.timestamp += 8000

    second = call.caller.say(talk(480))

    assert second[0].sequence == (first[-1].sequence + 1) % 65536
    assert (second[0].timestamp - first[-1].timestamp) % 2**32 == 8160
    assert second[0].marker == 1
    assert call.statistics(CALLER).lost == 0


def test_a_new_source_goes_on_where_the_old_one_ended():
    call = Call()
    first = call.caller.say(talk(800))
    call.wait(4000)
    call.caller.ssrc, call.caller.sequence, call.caller.timestamp = 0xCCCC, 7, 123_456

    second = call.caller.say(talk(800))

    assert second[0].sequence == (first[-1].sequence + 1) % 65536
    assert (second[0].timestamp - first[-1].timestamp) % 2**32 == 4160
    assert second[0].marker == 1
    assert second[0].ssrc == first[0].ssrc


@pytest.mark.parametrize("jump", [-1_000_000, 1_000_000, -8000])
def test_a_jumping_timestamp_does_not_silence_the_call(jump):
    call = Call()
    first = call.caller.say(talk(800))
    call.caller.timestamp += jump

    second = call.caller.say(talk(800))

    assert len(second) == 5
    assert_unbroken(first + second)


def test_a_sequence_that_starts_afresh_is_no_great_loss():
    call = Call()
    call.caller.say(talk(800))
    call.caller.sequence = 40_000

    assert len(call.caller.say(talk(800))) == 5
    assert call.statistics(CALLER).lost == 0


def test_late_packets_do_not_pass_and_duplicates_do_not_either():
    call = Call()
    phone = call.caller
    phone.say(talk(320))
    early = phone.packet(phone.encoded(talk(160)))
    phone.timestamp += 160
    on_time = phone.packet(phone.encoded(talk(160)))

    sent = [len(call.receive(CALLER, data)) for data in (on_time, on_time, early)]

    assert sent == [1, 0, 0]
    assert (call.statistics(CALLER).late, call.statistics(CALLER).lost) == (1, 0)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80" * 11, struct.pack("!BBHII", 0x40, 0, 1, 1, 1) + bytes(160), struct.pack("!BBHII", 0x80, 96, 1, 1, 1),
     struct.pack("!BBHII", 0x80, 0, 1, 1, 1), struct.pack("!BBHII", 0x80, 0, 1, 1, 1) + bytes(481),
     struct.pack("!BBHII", 0x80, EVENT_TYPE, 1, 1, 1) + b"\5\n\0"],
    ids=["empty", "short", "version", "payload_type", "no_audio", "too_long", "short_event"],
)  # fmt: skip
def test_malformed_packets_are_counted_and_give_nothing(data):
    call = Call()

    assert call.receive(CALLER, data) == []
    assert call.statistics(CALLER).malformed == 1


def test_odd_sizes_are_masked_whole():
    call = Call()

    heard = decoded(call.caller.say(talk(10 * 150), 150))

    assert len(heard) == 1500
    assert np.max(np.abs(heard)) < 300


def test_comfort_noise_packets_do_not_pass():
    call = Call(mode=MODE_CAPTURE)
    call.caller.say(talk(320))

    assert call.receive(CALLER, call.caller.packet(b"\x40", payload_type=13)) == []
    assert call.statistics(CALLER).lost == 0


# --- hold ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "direction"),
    [
        (AGENT, DIRECTION_INACTIVE),
        (AGENT, DIRECTION_RECVONLY),
        (CALLER, DIRECTION_INACTIVE),
        (CALLER, DIRECTION_SENDONLY),
    ],
)
def test_a_held_side_gets_nothing_and_the_timeline_goes_on_after(held, direction):
    call = Call()
    phone = (call.caller, call.agent)[held]
    first = call.caller.say(talk(800))
    call.stream(phone, direction)

    during = call.caller.say(talk(800))
    call.stream(phone)
    after = call.caller.say(talk(800))

    assert during == []
    assert after[0].sequence == (first[-1].sequence + 1) % 65536
    assert (after[0].timestamp - first[-1].timestamp) % 2**32 == 960
    assert after[0].marker == 1


def test_keys_of_a_held_caller_still_count():
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    call.stream(call.agent, DIRECTION_INACTIVE)

    call.caller.say(np.concatenate([talk(1600), tone("7", 960), talk(1600)]))

    assert call.keys() == "7"


# --- books --------------------------------------------------------------------------------------------------


def test_heard_keys_are_forgotten_in_time():
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    call.caller.press(5)
    call.agent.press(10)
    call.wait(40_000)

    tick(call.tables, call.ears, call.now_ns)

    for leg in (CALLER, AGENT):
        assert not call.statistics(leg)["key_codes"].any()
        assert not call.statistics(leg)["star_keys"].any()
    assert not call.tables.presses[2:4].view(np.int64).any()


def test_closing_wipes_all_but_the_counters():
    call = Call(mode=MODE_CAPTURE)
    call.arm()
    call.caller.say(talk(800))
    call.caller.press(5)
    call.events()

    call.command(COMMAND_CLOSE)

    assert call.events() == [(EVENT_CALL_CLOSED, 1, 9, 0, 0, 0, 0, 0)]
    assert not call.tables.shields[2:4].view(np.uint8).any()
    assert not call.tables.presses[2:4].view(np.int64).any()
    assert not call.tables.raw.any()
    assert not call.tables.keys.any()
    assert not call.statistics(CALLER)["key_codes"].any()
    assert call.statistics(CALLER).received == 13
    assert call.statistics(AGENT).sent == 0  # counted where the packet is handed to the kernel


def test_commands_for_another_call_change_nothing():
    call = Call(mode=MODE_GUARD)

    for kind in (COMMAND_SHIELD, COMMAND_STREAM, COMMAND_RECORD, COMMAND_CLOSE):
        call.command(kind, numbers=[2], generation=8)

    assert call.statistics(CALLER).mode == MODE_GUARD
    assert call.statistics(CALLER).active == 1
    assert call.events() == []


def test_a_change_of_shield_is_told():
    call = Call(mode=MODE_GUARD)

    call.command(COMMAND_SHIELD, AGENT, [MODE_CAPTURE])

    assert call.events() == [(EVENT_SHIELD_CHANGED, 1, 9, 1, MODE_CAPTURE, 0, 0, 0)]


def test_a_full_event_ring_counts_and_keeps_what_it_has():
    call = Call()
    for n in range(EVENT_CELLS + 3):
        post_event(call.tables, EVENT_STAR_CODE, 2, n, 0, 0, 0)

    assert call.tables.event_heads[2] == 3
    assert len(call.events()) == EVENT_CELLS


def test_both_sides_are_tapped_where_they_belong():
    call = Call(mode=MODE_GUARD)
    call.caller.say(talk(800))
    call.command(COMMAND_RECORD)
    call.caller.say(talk(480))
    call.agent.say(talk(320))

    cells = call.tables.taps.cells[: call.tables.taps.heads[0]]

    assert [(cell["side"], cell["position_samples"]) for cell in cells] == [
        (0, 160), (0, 320), (0, 480), (1, 640), (1, 800),
    ]  # fmt: skip


@pytest.mark.parametrize("raw", [CallerFrame(np.zeros(160, np.int16)), np.zeros(160, np.int16)])
def test_the_encoder_refuses_what_is_not_masked(raw):
    with pytest.raises(numba.TypingError):
        encode_masked(Call().tables, 2, raw, raw, np.zeros(160, np.uint8))


def test_timestamps_that_run_away_do_not_fill_the_recording_with_silence():
    call = Call()
    call.command(COMMAND_RECORD)
    for _ in range(50):
        call.caller.timestamp += 15_000  # each step alone is within what a timeline may jump
        call.caller.say(talk(160))

    heads = call.tables.taps.heads
    cells = call.tables.taps.cells
    last = int(cells[(int(heads[0]) - 1) % len(cells)]["position_samples"])
    assert last <= 50 * 160 + RECORDING_AHEAD_SAMPLES
