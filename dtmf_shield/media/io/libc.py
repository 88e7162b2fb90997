"""The few calls of the C library that the shard's loop makes itself, without Python: epoll(7), udp(7), eventfd(2).

Addresses are plain numbers (`array.ctypes.data`): so the compiled loop can be cached. Python's own side of epoll is
here too, because `select.epoll` cannot store a number of ours with a descriptor.
"""

import ctypes
import os
import platform
from collections.abc import Callable
from typing import Any, Final, cast

import numpy as np
from numba import types

from dtmf_shield.media.rtp.kernel import kernel

_int: Any = types.int32
_pointer: Any = types.uintp
_size: Any = types.intp
_function = cast(Callable[[str, Any], Callable[..., int]], types.ExternalFunction)

c_epoll_wait = _function("epoll_wait", _int(_int, _pointer, _int, _int))
c_recvmsg = _function("recvmsg", _size(_int, _pointer, _int))
c_sendto = _function("sendto", _size(_int, _pointer, _size, _int, _pointer, _int))
c_read = _function("read", _size(_int, _pointer, _size))
c_write = _function("write", _size(_int, _pointer, _size))
c_clock_gettime = _function("clock_gettime", _int(_int, _pointer))

MSG_DONTWAIT: Final = 0x40
MSG_NOSIGNAL: Final = 0x4000
MSG_CTRUNC: Final = 0x08
MSG_TRUNC: Final = 0x20
SOL_SOCKET: Final = 1
SCM_TIMESTAMPNS: Final = 35
CLOCK_REALTIME: Final = 0
CLOCK_MONOTONIC: Final = 1
EPOLLIN: Final = 0x001
_EPOLL_CTL_ADD: Final = 1
_EPOLL_CTL_DEL: Final = 2

_PACKED: Final = platform.machine() in ("x86_64", "AMD64")
"""struct epoll_event is packed on x86-64 alone."""
EPOLL_EVENT_DTYPE: Final = (
    np.dtype([("events", "<u4"), ("data", "<u8")])
    if _PACKED
    else np.dtype([("events", "<u4"), ("data", "<u8")], align=True)
)
IOVEC_DTYPE: Final = np.dtype([("base", np.uint64), ("size", np.uint64)])
"""struct iovec."""
MSGHDR_DTYPE: Final = np.dtype(
    [
        ("name", np.uint64),
        ("name_bytes", np.uint32),
        ("vector", np.uint64),
        ("vectors", np.uint64),
        ("control", np.uint64),
        ("control_bytes", np.uint64),
        ("flags", np.int32),
    ],
    align=True,
)
"""struct msghdr of a 64-bit machine (recvmsg(2))."""


class _EpollEvent(ctypes.Structure):
    _fields_ = (("events", ctypes.c_uint32), ("data", ctypes.c_uint64))
    if _PACKED:
        _pack_ = 1


_libc = ctypes.CDLL(None, use_errno=True)


def epoll_add(epoll_fd: int, fd: int, data: int) -> None:
    """Let `epoll_fd` report `data` whenever `fd` is readable. Raises OSError."""
    event = _EpollEvent(EPOLLIN, data)
    if _libc.epoll_ctl(epoll_fd, _EPOLL_CTL_ADD, fd, ctypes.byref(event)) < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"epoll_ctl: {os.strerror(error)}")


def epoll_remove(epoll_fd: int, fd: int) -> None:
    """Let `epoll_fd` report `fd` no more. Raises OSError."""
    if _libc.epoll_ctl(epoll_fd, _EPOLL_CTL_DEL, fd, None) < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"epoll_ctl: {os.strerror(error)}")


@kernel
def monotonic_ns(time: Any) -> Any:
    """Return nanoseconds of the monotonic clock. `time`: int64, shape (2,), work space."""
    c_clock_gettime(CLOCK_MONOTONIC, time.ctypes.data)
    return time[0] * 1_000_000_000 + time[1]


@kernel
def realtime_ns(time: Any) -> Any:
    """Return nanoseconds of the clock that may be set. `time`: int64, shape (2,), work space."""
    c_clock_gettime(CLOCK_REALTIME, time.ctypes.data)
    return time[0] * 1_000_000_000 + time[1]
