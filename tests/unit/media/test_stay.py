"""How long packets stay: classes and shares, clocks that leap, the kernel's stamps among what recvmsg leaves."""

import socket
import time

import numpy as np
import pytest

from dtmf_shield.media.io import stay
from dtmf_shield.media.io.libc import MSG_CTRUNC, MSG_TRUNC, SCM_TIMESTAMPNS, SOL_SOCKET
from dtmf_shield.media.io.reception import (
    CONTROL_WORDS,
    arrival_ns,
    is_cut,
    make_reception,
    receive_datagram,
)
from dtmf_shield.media.io.stay import (
    CLASSES,
    DEADLINE_NS,
    STAY_NS_MAX,
    ThreadMeter,
    make_stay_book,
    note_stay,
    share_us,
    stay_class,
    upper_edge_us,
)
from dtmf_shield.service.sockets import SO_TIMESTAMPNS

WOKE_NS = 1_000_000
S = 1_000_000_000


@pytest.mark.parametrize("stay_us", [0, 1, 7, 8, 15, 16, 17, 100, 999, 20_000, 65_535, 65_536, 10_000_000])
def test_a_class_lies_closely_above_its_stays(stay_us):
    edge = upper_edge_us(stay_class(stay_us))

    assert stay_us < edge <= max(stay_us + 1, stay_us * 9 / 8 + 1)


def test_classes_grow_and_none_is_left_out():
    edges = [upper_edge_us(number) for number in range(CLASSES)]

    assert edges == sorted(set(edges))
    assert [stay_class(edge) for edge in edges[:-1]] == list(range(1, CLASSES))
    assert edges[-1] * 1_000 > STAY_NS_MAX


def test_shares_are_edges_of_classes():
    book = make_stay_book()
    assert share_us(book.classes, 500) == 0
    for stay_us in [5] * 98 + [1_000, 30_000]:
        note_stay(book, stay_us * 1_000)

    assert share_us(book.classes, 500) == 6
    assert share_us(book.classes, 980) == 6
    assert share_us(book.classes, 990) == 1_024
    assert share_us(book.classes, 1_000) == upper_edge_us(stay_class(30_000)) == 30_720


def test_who_stays_longer_than_a_packet_time_has_missed_the_deadline():
    book = make_stay_book()
    note_stay(book, DEADLINE_NS)
    note_stay(book, DEADLINE_NS + 1)

    thread = ThreadMeter("one", book).read()

    assert (thread.name, thread.packets, thread.deadline_misses, thread.stay_us_max) == ("one", 2, 1, 20_000)


def test_a_clock_that_was_set_makes_no_nonsense():
    book = make_stay_book()
    note_stay(book, -5 * S)
    note_stay(book, STAY_NS_MAX + 1)

    thread = ThreadMeter("one", book).read()

    assert (thread.packets, thread.deadline_misses, thread.stay_us_p99, thread.stay_us_max) == (1, 0, 1, 0)


def test_busy_is_told_since_the_last_answer(monkeypatch):
    book, now_ns = make_stay_book(), [0]
    monkeypatch.setattr(stay.time, "monotonic_ns", lambda: now_ns[0])
    meter = ThreadMeter("one", book)

    now_ns[0], book.totals[stay.BUSY_NS] = 10 * S, 1 * S
    assert meter.read().busy_permille == 100
    now_ns[0], book.totals[stay.BUSY_NS] = 12 * S, 2 * S
    assert meter.read().busy_permille == 500
    assert meter.read().busy_permille == 0


def left_behind(*messages: tuple[int, int, list[int]], flags: int = 0, size: int = -1):
    """Return a reception as recvmsg leaves it with control messages of (level, type, words)."""
    reception = make_reception(np.zeros(1_500, np.uint8))
    words: list[int] = []
    for level, kind, data in messages:
        words += [16 + 8 * len(data) if size < 0 else size, level | kind << 32, *data]
    reception.control[: len(words)] = words
    reception.message["control_bytes"] = 8 * len(words)
    reception.message["flags"] = flags
    return reception


def test_a_stamp_is_laid_on_the_monotonic_clock():
    reception = left_behind((SOL_SOCKET, SCM_TIMESTAMPNS, [1_700_000_000, 5]))

    assert arrival_ns(reception, 1_600_000_000 * S, WOKE_NS) == 100_000_000 * S + 5


def test_a_stamp_behind_another_message_is_found():
    reception = left_behind((41, 50, [7]), (SOL_SOCKET, SCM_TIMESTAMPNS, [3, 5]))

    assert arrival_ns(reception, 0, WOKE_NS) == 3 * S + 5


@pytest.mark.parametrize(
    "reception",
    [
        left_behind(),
        left_behind((SOL_SOCKET, 29, [3, 5])),
        left_behind((41, SCM_TIMESTAMPNS, [3, 5])),
        left_behind((SOL_SOCKET, SCM_TIMESTAMPNS, [3])),
        left_behind((SOL_SOCKET, SCM_TIMESTAMPNS, [3, 5]), flags=MSG_CTRUNC),
        left_behind((SOL_SOCKET, SCM_TIMESTAMPNS, [3, 5]), size=0),
        left_behind((SOL_SOCKET, SCM_TIMESTAMPNS, [3, 5]), size=8 * CONTROL_WORDS + 1),
    ],
)
def test_without_a_whole_stamp_it_came_when_the_loop_woke(reception):
    assert arrival_ns(reception, 0, WOKE_NS) == WOKE_NS


@pytest.fixture
def pair():
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as theirs,
    ):
        ours.bind(("127.0.0.1", 0))
        theirs.bind(("127.0.0.1", 0))
        yield ours, theirs


@pytest.mark.parametrize("stamped", [True, False])
def test_a_packet_its_source_and_its_stamp_are_received(pair, stamped):
    ours, theirs = pair
    ours.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, stamped)
    packet = np.zeros(1_500, np.uint8)
    reception = make_reception(packet)
    distance_ns = time.time_ns() - time.monotonic_ns()

    before_ns = time.monotonic_ns()
    theirs.sendto(b"hello", ours.getsockname())
    after_ns = time.monotonic_ns()
    time.sleep(0.05)
    size = receive_datagram(reception, ours.fileno())

    assert packet[:size].tobytes() == b"hello"
    assert int.from_bytes(reception.source[2:4].tobytes(), "big") == theirs.getsockname()[1]
    assert not is_cut(reception)
    arrived_ns = arrival_ns(reception, distance_ns, WOKE_NS)
    if stamped:
        assert before_ns - 1_000_000 < arrived_ns < after_ns + 1_000_000
    else:
        assert arrived_ns == WOKE_NS
    assert receive_datagram(reception, ours.fileno()) < 0


def test_a_packet_too_long_is_seen_to_be_cut(pair):
    ours, theirs = pair
    packet = np.zeros(1_500, np.uint8)
    reception = make_reception(packet)
    for size in (1_500, 1_501):
        theirs.sendto(bytes(size), ours.getsockname())

    assert receive_datagram(reception, ours.fileno()) == 1_500
    assert not is_cut(reception)
    assert receive_datagram(reception, ours.fileno()) == 1_500
    assert is_cut(reception)
    assert reception.message[0]["flags"] & MSG_TRUNC
