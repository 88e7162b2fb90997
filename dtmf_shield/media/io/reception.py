"""How a packet is received: by recvmsg(2), which also gives the kernel's stamp of its arrival (SO_TIMESTAMPNS).

The stamp is of CLOCK_REALTIME, which may be set at any moment; what is made of it here lies on the monotonic clock, by
the distance of the two clocks when the loop woke. A packet without a stamp has arrived when the loop woke.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.io.libc import (
    IOVEC_DTYPE,
    MSG_CTRUNC,
    MSG_DONTWAIT,
    MSG_TRUNC,
    MSGHDR_DTYPE,
    SCM_TIMESTAMPNS,
    SOL_SOCKET,
    c_recvmsg,
)
from dtmf_shield.media.rtp.kernel import kernel
from dtmf_shield.media.session.legs import ADDRESS_BYTES

CONTROL_WORDS: Final = 16
"""Room for control messages in 8-byte words: the stamp takes four, and nothing else has been asked for."""
_HEADER_WORDS: Final = 2
"""struct cmsghdr: length (8 bytes), level and type (4 each). Messages begin at whole words."""
_STAMP_BYTES: Final = 32
"""With it, struct timespec."""
NO_STAMP: Final = 0


class Reception(NamedTuple):
    """What recvmsg(2) is given, laid out once, and what it leaves."""

    message: NDArray[Any]
    """Record of MSGHDR_DTYPE, shape (1,)."""
    vector: NDArray[Any]
    """Record of IOVEC_DTYPE, shape (1,): where the packet goes."""
    source: NDArray[np.uint8]
    """sockaddr of the packet in hand, shape (ADDRESS_BYTES,)."""
    control: NDArray[np.int64]
    """Its control messages, shape (CONTROL_WORDS,)."""


def make_reception(packet: NDArray[np.uint8]) -> Reception:
    """Lay out the reception into `packet`, which must live as long."""
    source, control = np.zeros(ADDRESS_BYTES, np.uint8), np.zeros(CONTROL_WORDS, np.int64)
    vector, message = np.zeros(1, IOVEC_DTYPE), np.zeros(1, MSGHDR_DTYPE)
    vector["base"], vector["size"] = packet.ctypes.data, len(packet)
    message["name"], message["vector"], message["vectors"] = source.ctypes.data, vector.ctypes.data, 1
    message["control"] = control.ctypes.data
    return Reception(message, vector, source, control)


@kernel
def receive_datagram(reception: Reception, fd: int) -> int:
    """Receive one packet and return its bytes; negative where there is none."""
    message = reception.message[0]
    message.name_bytes = ADDRESS_BYTES
    message.control_bytes = 8 * CONTROL_WORDS
    message.flags = 0
    return c_recvmsg(fd, reception.message.ctypes.data, MSG_DONTWAIT)


@kernel
def is_cut(reception: Reception) -> bool:
    """Tell whether the packet was longer than there is room: it is not whole, so it is no packet."""
    return bool(reception.message[0].flags & MSG_TRUNC != 0)


@kernel
def arrival_ns(reception: Reception, clock_distance_ns: int, woke_ns: int) -> int:
    """Return when the packet arrived, on the monotonic clock, or `woke_ns` where the kernel does not tell.

    `clock_distance_ns`: by how much CLOCK_REALTIME is ahead of the monotonic clock.
    """
    stamp_ns = _stamp_ns(reception)
    return woke_ns if stamp_ns == NO_STAMP else stamp_ns - clock_distance_ns


@kernel
def _stamp_ns(reception: Reception) -> int:
    """Return the stamp of CLOCK_REALTIME among the control messages, NO_STAMP without one (cmsg(3))."""
    message, control = reception.message[0], reception.control
    if message.flags & MSG_CTRUNC != 0:
        return NO_STAMP
    n_words = np.int64(message.control_bytes) // 8
    at = 0
    while at + _HEADER_WORDS <= n_words:
        size = control[at]
        # Level and type are the halves of one word, on machines that put the low half first.
        level, kind = control[at + 1] & 0xFFFF_FFFF, control[at + 1] >> 32
        if size < 8 * _HEADER_WORDS or at + (size + 7) // 8 > n_words:
            return NO_STAMP
        if level == SOL_SOCKET and kind == SCM_TIMESTAMPNS and size >= _STAMP_BYTES:
            return int(control[at + _HEADER_WORDS] * 1_000_000_000 + control[at + _HEADER_WORDS + 1])
        at += (size + 7) // 8
    return NO_STAMP
