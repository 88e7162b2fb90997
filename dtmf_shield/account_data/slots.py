"""Digit slots: the one place where keyed digits live, 512 bytes a capture, in locked shared memory.

The supervisor creates the region and passes it to media and cde; it never maps it. Every byte has one writer.
Offsets within a slot::

    0-3    generation, little endian   written by cde, new on every arm
    4      state: 0 free 1 armed 2 sealed            cde
    5      tail: keys taken, mod 64                  cde
    6      head: keys written, mod 64                media
    7      flags: 1 = overrun                        media
    16-79  key ring, one ASCII key code a cell       media writes, cde zeroes
    80-111 card number, ASCII                        cde
    112-119 expiry  120-127 security code            cde
    128-191 scratch of cde: keys of all doors in order, waiting for their field
    192-207 scratch of cde: the last keys that may yet come once more by another door
    208    scratch of cde: the last key, compared with the next and never told
    209-255 reserved
    256-511 eight places of 32: every other field, by its order in the capture, ASCII     cde

Media stores the key, then head, then sends KeysWritten; the system call orders them.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from pathlib import Path
from typing import Final

SLOT_BYTES: Final = 512
SLOTS_MAX: Final = 256
"""Captures at once. 256 x 512 B = 128 KiB, well inside the default RLIMIT_MEMLOCK of 8 MiB."""
REGION_BYTES: Final = SLOT_BYTES * SLOTS_MAX

GENERATION_AT: Final = 0
STATE_AT: Final = 4
TAIL_AT: Final = 5
HEAD_AT: Final = 6
FLAGS_AT: Final = 7
RING_AT: Final = 16
RING_KEYS: Final = 64
CARD_NUMBER_AT: Final = 80
CARD_NUMBER_BYTES: Final = 32
EXPIRY_AT: Final = 112
EXPIRY_BYTES: Final = 8
SECURITY_CODE_AT: Final = 120
SECURITY_CODE_BYTES: Final = 8
WAITING_KEYS_AT: Final = 128
WAITING_KEYS_MAX: Final = 64
UNPAIRED_KEYS_AT: Final = 192
UNPAIRED_KEYS_MAX: Final = 16
LAST_KEY_AT: Final = 208
OTHER_FIELDS_AT: Final = 256
OTHER_FIELD_BYTES: Final = 32
OTHER_FIELDS_MAX: Final = 8

STATE_FREE: Final = 0
STATE_ARMED: Final = 1
STATE_SEALED: Final = 2
FLAG_OVERRUN: Final = 1

_SYS_MEMFD_SECRET: Final = 447
_FD_CLOEXEC: Final = 1
_MADV_DONTDUMP: Final = 16

_libc = ctypes.CDLL(None, use_errno=True)


def create_region(size_bytes: int = REGION_BYTES, *, allow_secret: bool = True) -> tuple[int, bool]:
    """Create a region to be passed to other processes.

    Returns ``(fd, secret)``: ``secret`` is True for memfd_secret (not readable through /proc even by root),
    False for an ordinary memfd, which every mapper must mlock. ``allow_secret=False`` is for the memory scan
    of the tests: a scanner cannot see into secret memory.
    """
    if allow_secret:
        fd = _libc.syscall(_SYS_MEMFD_SECRET, _FD_CLOEXEC * os.O_CLOEXEC)
        if fd >= 0:
            os.ftruncate(fd, size_bytes)
            return fd, True
        if ctypes.get_errno() not in (errno.ENOSYS, errno.EPERM, errno.EINVAL):
            raise OSError(ctypes.get_errno(), "memfd_secret")
    fd = os.memfd_create("dtmf-shield-slots", os.MFD_CLOEXEC)
    os.ftruncate(fd, size_bytes)
    return fd, False


def is_secret(fd: int) -> bool:
    """Whether ``fd`` is of memfd_secret(2)."""
    return "secretmem" in str(Path(f"/proc/self/fd/{fd}").readlink())


class Region:
    """A mapped, locked region. Never closed while the process lives: exported views would forbid it."""

    __slots__ = ("_map", "address", "locked", "secret", "view")

    def __init__(self, fd: int, size_bytes: int = REGION_BYTES) -> None:
        """Map ``fd``. Raises OSError where the mapping itself fails; a refused mlock is told by ``locked``."""
        self._map = mmap.mmap(fd, size_bytes, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self.view = memoryview(self._map)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        """Address of the first byte, for kernels that write digits without Python."""
        pointer, length = ctypes.c_void_p(self.address), ctypes.c_size_t(size_bytes)
        self.secret = is_secret(fd)
        # Secret memory is locked by nature; mlock() on it fails.
        self.locked = self.secret or _libc.mlock(pointer, length) == 0
        _libc.madvise(pointer, length, _MADV_DONTDUMP)

    def wipe(self) -> None:
        """Zero the whole region."""
        ctypes.memset(self.address, 0, len(self.view))

    def wipe_range(self, start: int, length: int) -> None:
        """Zero ``length`` bytes from ``start``. Raises ValueError outside the region."""
        if start < 0 or length < 0 or start + length > len(self.view):
            raise ValueError("range outside the region")
        ctypes.memset(self.address + start, 0, length)

    def __repr__(self) -> str:
        return f"<Region of {len(self.view)} bytes>"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a region of account data is never pickled")
