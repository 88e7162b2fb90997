"""Interarrival jitter to the nanosecond (RFC 3550 section 6.4.1, appendix A.8), and keys counted by their doors."""

import itertools

import pytest

from dtmf_shield.media.session.commands import COMMAND_CLOSE
from tests.unit.media.call_on_tables import AGENT, CALLER, EVENT_TYPE, MS, Call, talk, tone

FRAME = 160
FRAME_NS = 20 * MS


def send(call: Call, late_ms: list[float], **fields) -> None:
    """Send a frame every 20 ms, each so much later than it is due."""
    due_ns = call.now_ns + FRAME_NS
    for late in late_ms:
        call.now_ns = due_ns + round(late * MS)
        call.receive(CALLER, call.caller.packet(call.caller.encoded(talk(FRAME)), **fields))
        call.caller.timestamp += FRAME
        due_ns += FRAME_NS
    call.now_ns = due_ns - FRAME_NS


def by_the_book(late_ms: list[float]) -> int:
    """Return the jitter in µs by the formula of section 6.4.1, J += (|D| - J) / 16, unrounded within."""
    jitter_ns = 0.0
    for before, after in itertools.pairwise(late_ms):
        jitter_ns += (abs(after - before) * MS - jitter_ns) / 16
    return int(jitter_ns) // 1000


def test_packets_on_time_have_no_jitter():
    call = Call()
    send(call, [0.0] * 50)

    assert call.statistics(CALLER).jitter_us == 0


def test_one_packet_10_ms_late_counts_twice_a_sixteenth():
    call = Call()
    send(call, [0.0, 10.0])
    assert call.statistics(CALLER).jitter_us == 625  # 10 ms / 16

    send(call, [0.0])
    assert call.statistics(CALLER).jitter_us == 1_210  # 625 + (10,000 - 625) / 16 = 1,210.9


@pytest.mark.parametrize("late_ms", [[0.0, 3.0] * 100, [0.0, 0.3, 5.0, 1.2, 0.125, 7.7, 2.0] * 9])
def test_it_is_the_books_jitter(late_ms):
    call = Call()
    send(call, late_ms)

    assert call.statistics(CALLER).jitter_us == pytest.approx(by_the_book(late_ms), abs=1)


def test_the_other_leg_has_its_own():
    call = Call()
    send(call, [0.0, 10.0])

    assert call.statistics(AGENT).jitter_us == 0


def test_a_pause_that_the_timestamps_tell_is_none():
    call = Call()
    send(call, [0.0, 10.0])
    call.now_ns += 600 * MS
    call.caller.timestamp += 4_800
    send(call, [10.0])  # as late as the one before

    assert call.statistics(CALLER).jitter_us == 585  # 625 - 625 / 16, rounded


def test_events_beside_the_audio_spoil_nothing():
    call = Call()
    start = call.caller.timestamp
    for frame in range(10):
        send(call, [0.0])
        call.receive(
            CALLER,
            call.caller.packet(
                bytes([5, 10, 0, FRAME * (frame % 2)]), payload_type=EVENT_TYPE, timestamp=start
            ),
        )

    assert call.statistics(CALLER).events_removed == 10
    assert call.statistics(CALLER).jitter_us == 0


def test_a_packet_sent_again_and_a_timestamp_used_again_spoil_nothing():
    call = Call()
    send(call, [0.0, 0.0])
    again = call.caller.packet(call.caller.encoded(talk(FRAME)), sequence=(call.caller.sequence - 1) % 65536)
    call.now_ns += 15 * MS
    call.receive(CALLER, again)
    call.receive(
        CALLER,
        call.caller.packet(call.caller.encoded(talk(FRAME)), timestamp=call.caller.timestamp - FRAME),
    )
    call.now_ns -= 15 * MS
    send(call, [0.0])

    assert call.statistics(CALLER).jitter_us == 0


def test_a_packet_that_was_overtaken_counts_in_the_order_of_arrival():
    call = Call()
    send(call, [0.0])
    first, second = (call.caller.packet(call.caller.encoded(talk(FRAME))) for _ in range(2))
    second = second[:4] + ((call.caller.timestamp + FRAME) % 2**32).to_bytes(4, "big") + second[8:]
    call.now_ns += 2 * FRAME_NS
    call.receive(CALLER, second)  # on time
    call.receive(CALLER, first)  # 20 ms late

    assert call.statistics(CALLER).late == 1
    assert call.statistics(CALLER).jitter_us == 1_250


@pytest.mark.parametrize("leap_ms", [1_001, 86_400_000])
def test_a_clock_or_a_timeline_that_leaps_is_no_jitter(leap_ms):
    call = Call()
    send(call, [0.0, 10.0])
    call.now_ns += leap_ms * MS
    send(call, [10.0, 10.0])

    # The leap is left out; the packet after it moves the estimate by a sixteenth towards 0.
    assert call.statistics(CALLER).jitter_us == 585


def test_another_source_begins_anew():
    call = Call()
    send(call, [0.0, 10.0])
    call.caller.ssrc = 0xCCCC
    call.caller.timestamp += 123_456

    send(call, [0.0, 0.0])

    assert call.statistics(CALLER).jitter_us == 0


def test_it_stands_in_the_last_statistics_with_the_keys():
    call = Call()
    call.caller.say(tone("5", 800))
    send(call, [0.0] * 10 + [10.0])
    call.command(COMMAND_CLOSE)

    assert (call.statistics(CALLER).jitter_us, call.statistics(CALLER).keys_tones) == (625, 1)


def keyed_tones(call: Call, keys: str) -> None:
    for key in keys:
        call.caller.say(tone(key, 800))
        call.caller.say(talk(800))


def test_keys_are_counted_by_the_door_that_told_them():
    call = Call()
    call.caller.say(talk(800))
    keyed_tones(call, "123")
    for code in (4, 5):
        call.caller.press(code)
        call.caller.say(talk(1_600))

    assert (call.statistics(CALLER).keys_tones, call.statistics(CALLER).keys_events) == (3, 2)
    assert (call.statistics(AGENT).keys_tones, call.statistics(AGENT).keys_events) == (0, 0)


def test_a_key_that_both_doors_tell_is_counted_for_the_first():
    call = Call()
    call.caller.say(talk(800))
    start, sounds = call.caller.timestamp, tone("7", 800)
    call.caller.event(7, start, FRAME, marker=1)
    call.caller.say(sounds)
    call.caller.event(7, start, 800, end=True)
    call.caller.say(talk(1_600))
    assert (call.statistics(CALLER).keys_tones, call.statistics(CALLER).keys_events) == (0, 1)

    start = call.caller.timestamp
    call.caller.say(tone("8", 800))
    call.caller.event(8, start, FRAME, marker=1)
    call.caller.event(8, start, 800, end=True)
    assert (call.statistics(CALLER).keys_tones, call.statistics(CALLER).keys_events) == (1, 1)
