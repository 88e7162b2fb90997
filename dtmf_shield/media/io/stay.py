"""How long packets stay, and how busy their thread is: counted by the thread, read by the process.

A stay is the time from a packet's arrival at its socket to the moment its successor has been sent. Stays are counted
in classes, eight an octave from 8 µs on and of 1 µs below: the upper edge of a class is at most an eighth above any
stay in it.
"""

import time
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.rtp.clock import NS_A_MS
from dtmf_shield.media.rtp.kernel import kernel
from dtmf_shield.model.media_health import MediaThread

DEADLINE_NS: Final = 20 * NS_A_MS
"""The packet time of most calls: whatever stays longer comes after its own successor."""
STAY_NS_MAX: Final = 10_000 * NS_A_MS
"""The supervisor ends a process that is silent for so long: a longer stay is a clock that was set."""
CLASS_BITS: Final = 3
"""Binary digits of a stay, behind its first, that tell classes apart: eight classes an octave."""
_LINEAR: Final = 1 << CLASS_BITS
_OCTAVES: Final = 24
"""2^24 µs are 16.8 s."""
CLASSES: Final = _LINEAR * (_OCTAVES - CLASS_BITS + 1)

PACKETS: Final = 0
DEADLINE_MISSES: Final = 1
LONGEST_US: Final = 2
BUSY_NS: Final = 3


class StayBook(NamedTuple):
    """Written by the shard's thread alone. Grows since its start."""

    classes: NDArray[np.int64]
    """Packets by the class of their stay, shape (CLASSES,)."""
    totals: NDArray[np.int64]
    """Shape (4,): packets, those that missed the deadline, longest stay in µs, time at work in ns."""


def make_stay_book() -> StayBook:
    """Return a book with nothing in it."""
    return StayBook(np.zeros(CLASSES, np.int64), np.zeros(4, np.int64))


@kernel
def note_stay(book: StayBook, stay_ns: int) -> None:
    """Count a packet. A negative stay is none at all; one over STAY_NS_MAX is not counted."""
    if stay_ns > STAY_NS_MAX:
        return
    stay_us = max(0, stay_ns) // 1_000
    book.classes[stay_class(stay_us)] += 1
    book.totals[PACKETS] += 1
    book.totals[DEADLINE_MISSES] += int(stay_ns > DEADLINE_NS)
    book.totals[LONGEST_US] = max(book.totals[LONGEST_US], stay_us)


@kernel
def stay_class(stay_us: int) -> int:
    """Return the class of a stay of 0..STAY_NS_MAX."""
    octave = 0
    while stay_us >> octave >= 2 * _LINEAR:
        octave += 1
    return (octave << CLASS_BITS) + (stay_us >> octave)


def upper_edge_us(stay_class: int) -> int:
    """Return the least whole number of µs that is above every stay of the class."""
    octave = max(0, (stay_class >> CLASS_BITS) - 1)
    return (stay_class - (octave << CLASS_BITS) + 1) << octave


def share_us(classes: NDArray[np.int64], permille: int) -> int:
    """Return the upper edge of the class up to which at least `permille` of the stays lie; 0 without any."""
    counted = np.cumsum(classes)
    if counted[-1] == 0:
        return 0
    return upper_edge_us(int(np.searchsorted(counted * 1000, int(counted[-1]) * permille)))


class ThreadMeter:
    """What the process knows of one packet thread. Time is that of the monotonic clock."""

    __slots__ = ("_asked_ns", "_book", "_busy_ns", "_name")

    def __init__(self, name: str, book: StayBook) -> None:
        """Begin: the first answer tells the time since now."""
        self._name, self._book = name, book
        self._asked_ns, self._busy_ns = time.monotonic_ns(), 0

    def read(self) -> MediaThread:
        """Return how the thread does; `busy_permille` of the time since the last call."""
        now_ns, classes, totals = time.monotonic_ns(), self._book.classes.copy(), self._book.totals.tolist()
        busy_ns, passed_ns = totals[BUSY_NS] - self._busy_ns, max(1, now_ns - self._asked_ns)
        self._asked_ns, self._busy_ns = now_ns, totals[BUSY_NS]
        return MediaThread(
            name=self._name,
            packets=totals[PACKETS],
            deadline_misses=totals[DEADLINE_MISSES],
            stay_us_p50=share_us(classes, 500),
            stay_us_p99=share_us(classes, 990),
            stay_us_max=totals[LONGEST_US],
            busy_permille=min(1000, 1000 * busy_ns // passed_ns),
        )
