"""Telephone events: RFC 4733 section 2.5, and the trunks that do not keep to it. One press is one key."""

import numpy as np
import pytest

from dtmf_shield.media.rtp.telephone_event import (
    PRESS_DTYPE,
    PRESSES_KEPT,
    EventReport,
    event_is_open,
    forget_old_presses,
    forget_presses,
    take_event,
)

MS = 1_000_000


class Receiver:
    """One leg's event state, fed packet by packet, 20 ms apart."""

    def __init__(self) -> None:
        self.row = np.zeros(PRESSES_KEPT, dtype=PRESS_DTYPE)
        self.now_ns = 0
        self.sequence = 65_530

    def take(
        self, code, timestamp, duration, *, end=False, marker=0, ssrc=1, sequence=None, wait_ms=20
    ) -> str:
        self.now_ns += wait_ms * MS
        if sequence is None:
            sequence = self.sequence = (self.sequence + 1) % 65536
        report = EventReport(ssrc, timestamp % 2**32, sequence, marker, code, int(end), duration)
        key = take_event(self.row, report, self.now_ns)
        return chr(key) if key else ""

    def silence(self, packets: int) -> None:
        self.sequence = (self.sequence + packets) % 65536
        self.now_ns += packets * 20 * MS

    def press(self, code, timestamp, *, start=0, frames=5, ends=3, marker=True) -> str:
        keys = ""
        self.silence(start)
        for frame in range(start, frames):
            keys += self.take(code, timestamp, 160 * (frame + 1), marker=int(marker and frame == 0))
        for _ in range(ends):
            keys += self.take(code, timestamp, 160 * (frames + 1), end=True)
        return keys


def test_each_press_counts_once_with_its_key():
    receiver = Receiver()

    assert "".join(receiver.press(code, 10_000 * code) for code in range(16)) == "0123456789*#ABCD"


def test_the_same_key_pressed_twice_counts_twice():
    receiver = Receiver()

    assert receiver.press(5, 1000) + receiver.press(5, 2600) == "55"


def test_the_key_counts_at_the_first_packet():
    assert Receiver().take(7, 1000, 160, marker=1) == "7"


def test_end_packets_with_new_timestamps_are_repeats():
    receiver = Receiver()
    keys = receiver.press(5, 1000, ends=1)

    keys += receiver.take(5, 1160, 960, end=True) + receiver.take(5, 1320, 960, end=True)

    assert keys == "5"


def test_every_packet_with_a_new_timestamp_is_one_press():
    receiver = Receiver()

    keys = "".join(receiver.take(5, 1000 + 160 * n, 160 * (n + 1), marker=int(n == 0)) for n in range(5))

    assert keys + receiver.take(5, 1800, 960, end=True) == "5"


@pytest.mark.parametrize(("start", "ends"), [(1, 3), (3, 3), (0, 0), (5, 1)])
def test_lost_marker_or_end_changes_nothing(start, ends):
    receiver = Receiver()

    assert receiver.press(5, 1000, start=start, ends=ends) + receiver.press(5, 3000) == "55"


def test_a_lost_end_times_out():
    receiver = Receiver()
    receiver.take(5, 1000, 160)

    assert event_is_open(receiver.row, receiver.now_ns + 100 * MS)
    assert not event_is_open(receiver.row, receiver.now_ns + 201 * MS)
    assert receiver.take(5, 1000, 320) == ""


def test_a_late_packet_of_an_earlier_press_is_no_key():
    receiver = Receiver()
    keys, late = receiver.press(1, 1000), receiver.sequence
    keys += receiver.press(2, 3000) + receiver.press(3, 5000)

    keys += receiver.take(1, 1000, 320, sequence=late - 6) + receiver.take(
        1, 1000, 960, end=True, sequence=late
    )

    assert keys == "123"


@pytest.mark.parametrize("ended", [False, True])
def test_a_long_press_goes_on_under_a_new_timestamp(ended):
    """RFC 4733 section 2.5.1.3; some senders end the segment too."""
    receiver = Receiver()
    keys = receiver.take(5, 1000, 0xFFFF, marker=1, end=ended)

    keys += receiver.take(5, 1000 + 0xFFFF, 160) + receiver.take(5, 1000 + 0xFFFF, 320, end=True)
    keys += receiver.take(5, 1000, 0xFFFF, sequence=65_531)

    assert keys == "5"


def test_a_new_source_is_a_new_press():
    receiver = Receiver()

    assert receiver.take(5, 1000, 160) + receiver.take(5, 1000, 160, ssrc=2) == "55"


def test_a_press_goes_on_from_a_new_source():
    """Its duration does: nobody begins a press so long."""
    receiver = Receiver()
    keys = receiver.press(5, 1000, ends=0)

    keys += receiver.take(5, 777_000, 960, ssrc=2, marker=1) + receiver.take(
        5, 777_000, 1120, ssrc=2, end=True
    )
    keys += receiver.take(5, 1000, 960, end=True, sequence=0)

    assert keys + receiver.take(5, 779_000, 160, ssrc=2) == "55"


# --- senders that do not keep to it --------------------------------------------------------------------------


def other_timestamps(step, *, marker=0, silence=0, lost=()):
    """Press 5 twice, 40 ms apart, with restamped ends; return the keys."""
    receiver, keys, start = Receiver(), "", 1000
    for _ in range(2):
        for frame in range(3):
            if (frame,) != lost:
                keys += receiver.take(5, start, 160 * (frame + 1), marker=int(frame == 0))
        for repeat in range(3):
            receiver.silence(silence)
            if repeat not in lost:
                keys += receiver.take(5, start + step * repeat, 480, end=True, marker=marker)
        receiver.silence(2)
        start += 480 + 320
    return keys


@pytest.mark.parametrize("marker", [0, 1])
@pytest.mark.parametrize("silence", [0, 1])
@pytest.mark.parametrize("step", [0, 1, 80, 160, 240])
@pytest.mark.parametrize("lost", [(), (0,), (1,), (0, 1), (2,)])
def test_ends_with_timestamps_of_their_own_are_one_press_and_the_next_is_another(step, marker, silence, lost):
    """rtpengine #1812, #1929: ends restamped, each with a marker, with silence between, some of them lost."""
    assert other_timestamps(step, marker=marker, silence=silence, lost=lost) == "55"


def test_ends_stamped_with_the_time_of_their_sending_are_one_press():
    receiver = Receiver()
    keys = receiver.press(5, 1000, frames=10, ends=0)

    keys += "".join(receiver.take(5, 1000 + 1600 + 160 * n, 1600, end=True, marker=1) for n in range(3))

    assert keys + receiver.press(5, 1000 + 1600 + 320 + 320) == "55"


@pytest.mark.parametrize("order", [(0, 2, 1, 3, 4), (1, 0, 2, 3, 4), (0, 1, 2, 4, 3), (4, 0, 1, 2, 3)])
@pytest.mark.parametrize("moving", [False, True])
def test_reordered_packets_are_one_press(order, moving):
    """The end before the start as well, and where each packet has a timestamp of its own."""
    receiver, keys = Receiver(), ""

    for n in order:
        timestamp = 1000 + 160 * n * moving
        keys += receiver.take(5, timestamp, 160 * (n + 1), end=n == 4, marker=int(n == 0), sequence=100 + n)

    assert keys == "5"


def test_a_sender_that_moves_the_timestamp_may_lose_packets():
    receiver, keys = Receiver(), ""

    for n in (0, 2, 5, 6):
        keys += receiver.take(5, 1000 + 400 * n, 400 * (n + 1), sequence=3 * n)

    assert keys + receiver.take(5, 1000 + 2800, 3200, end=True, sequence=21) == "5"


def test_a_sender_that_moves_the_timestamp_may_press_again():
    receiver, keys = Receiver(), ""

    for start in (1000, 1000 + 640, 1000 + 1280):
        keys += receiver.take(5, start, 160, marker=1) + receiver.take(5, start + 160, 320)
        keys += "".join(receiver.take(5, start + 160 + 160 * n, 320, end=True) for n in range(3))

    assert keys == "555"


@pytest.mark.parametrize(("pause", "keys"), [(-8, "5"), (8, "5"), (80, "5"), (160, "55"), (320, "55")])
def test_a_break_of_10_ms_is_no_pause_and_20_ms_is_one(pause, keys):
    """ITU-T Q.24: an interruption of up to 10 ms is none; a pause of 40 ms shows as 20 ms in packets of 20."""
    receiver = Receiver()
    first = receiver.take(5, 1000, 400, marker=1) + receiver.take(5, 1000, 400, end=True)

    second = receiver.take(5, 1400 + pause, 400, marker=1) + receiver.take(5, 1400 + pause, 400, end=True)

    assert first + second == keys


@pytest.mark.parametrize("ends", [0, 1, 3])
def test_a_machine_that_dials_without_any_pause_presses_as_often(ends):
    receiver = Receiver()

    keys = "".join(receiver.press(5, 1000 + 960 * n, frames=6 - (ends > 0), ends=ends) for n in range(4))

    assert keys == "5555"


def test_a_sender_whose_clock_stands_still_may_press_again():
    """sipsorcery #669: every event under one timestamp; the same key starts over with a marker."""
    receiver = Receiver()

    keys = "".join(receiver.press(code, 1000) for code in (4, 2, 4, 2, 2))

    assert keys == "42422"


def test_a_first_packet_after_the_end_is_no_second_press():
    receiver = Receiver()
    keys = receiver.take(5, 1000, 960, end=True, sequence=9)

    assert keys + receiver.take(5, 1000, 160, marker=1, sequence=4, wait_ms=60) == "5"


def test_start_and_end_alone_are_one_press():
    """Four seconds without an update: the press lapses, yet its end is known."""
    receiver = Receiver()
    keys = receiver.take(5, 1000, 160, marker=1)
    for _ in range(200):
        receiver.now_ns += 20 * MS
        event_is_open(receiver.row, receiver.now_ns)
        forget_old_presses(receiver.row, receiver.now_ns)

    assert keys + receiver.take(5, 1000, 32_000, end=True) == "5"


def test_a_press_goes_on_after_a_stall():
    receiver = Receiver()
    keys = receiver.press(5, 1000, ends=0)
    assert not event_is_open(receiver.row, receiver.now_ns + 201 * MS)

    keys += receiver.take(5, 1000, 2600, wait_ms=220)

    assert keys == "5"
    assert event_is_open(receiver.row, receiver.now_ns)


def test_a_press_of_no_end_is_forgotten_in_the_end():
    receiver = Receiver()
    receiver.press(5, 1000, ends=0)

    forget_old_presses(receiver.row, receiver.now_ns + 10_001 * MS)

    assert not receiver.row.view(np.int64).any()


def test_timestamps_wrap():
    receiver = Receiver()

    assert receiver.press(5, 2**32 - 200) + receiver.press(5, 2**32 + 2000) == "55"


def test_codes_above_the_keypad_are_no_keys():
    receiver = Receiver()

    assert receiver.press(16, 1000) + receiver.press(255, 3000) == ""
    assert not event_is_open(receiver.row, receiver.now_ns)


def test_forgetting_leaves_only_zeroes():
    receiver = Receiver()
    receiver.press(9, 1000)

    forget_presses(receiver.row)

    assert not receiver.row.view(np.int64).any()
