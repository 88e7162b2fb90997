"""A network of the tests' own: nothing but loopback, so that no page and no browser can reach anything else."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct

_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_IFF_UP = 0x1
_IFREQ = "16sH14x"
ELSEWHERE = ("192.0.2.1", 9)
"""Documentation address (RFC 5737): never ours."""


def enter() -> bool:
    """Move this thread, and what it starts from now on, into a network namespace with loopback alone.

    Returns whether it did: that takes root, or the right to user namespaces. Without, the tests still abort every
    request that leaves loopback, and fail for it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.unshare(_CLONE_NEWNET) != 0:
        return False
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as control:
        asked = struct.pack(_IFREQ, b"lo", 0)
        flags = struct.unpack(_IFREQ, fcntl.ioctl(control, _SIOCGIFFLAGS, asked))[1]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack(_IFREQ, b"lo", flags | _IFF_UP))
    return True


def reaches_elsewhere() -> bool:
    """Whether there is a way out of this network at all; sends nothing."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect(ELSEWHERE)
        except OSError:
            return False
    return True
