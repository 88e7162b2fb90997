"""Telephone events: RFC 4733 section 2.5, and the trunks that do not keep to it. One press is one key."""

import numpy as np
import pytest

from dtmf_shield.media.rtp.telephone_event import EVENT_FIELDS, event_is_open, forget_keys, take_event

MS = 1_000_000


class Receiver:
    """One leg's event state, fed packet by packet."""

    def __init__(self) -> None:
        self.row = np.zeros(EVENT_FIELDS, dtype=np.int64)
        self.now_ns = 0

    def take(self, code, timestamp, duration, *, end=False, marker=0, ssrc=1) -> str:
        self.now_ns += 20 * MS
        payload = np.array([code, 0x80 * end | 10, duration >> 8, duration & 255], dtype=np.uint8)
        key = take_event(self.row, ssrc, timestamp % 2**32, marker, payload, 0, self.now_ns)
        return chr(key) if key else ""

    def press(self, code, timestamp, *, start=0, frames=5, ends=3, marker=True) -> str:
        keys = ""
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
    keys = receiver.press(1, 1000) + receiver.press(2, 3000) + receiver.press(3, 5000)

    assert keys + receiver.take(1, 1000, 320) + receiver.take(2, 3000, 960, end=True) == "123"


def test_a_long_press_goes_on_under_a_new_timestamp():
    receiver = Receiver()
    keys = receiver.take(5, 1000, 0xFFFF, marker=1)

    keys += receiver.take(5, 1000 + 0xFFFF, 160) + receiver.take(5, 1000 + 0xFFFF, 320, end=True)

    assert keys == "5"


def test_a_new_source_is_a_new_press():
    receiver = Receiver()

    assert receiver.take(5, 1000, 160) + receiver.take(5, 1000, 160, ssrc=2) == "55"


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

    forget_keys(receiver.row)

    assert not receiver.row.any()
