"""One stretch of locked memory for everything red in the media process: never swapped, never dumped, never forked.

Arrays are cut from it at the start and live as long as the process; nothing is given back.
"""

import ctypes
import math
import mmap
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_ALIGNMENT_BYTES: Final = 64
_MADV_DONTFORK: Final = 10
_MADV_DONTDUMP: Final = 16

_libc = ctypes.CDLL(None, use_errno=True)


class Arena:
    """Zeroed anonymous memory. `locked` is False where RLIMIT_MEMLOCK forbade the lock."""

    __slots__ = ("_map", "_used", "_view", "locked")

    def __init__(self, size_bytes: int) -> None:
        """Map and lock `size_bytes`, rounded up to pages. Raises OSError where the mapping fails."""
        size = -(-size_bytes // mmap.PAGESIZE) * mmap.PAGESIZE
        self._map = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._view = np.frombuffer(self._map, np.uint8)
        self._used = 0
        address, length = ctypes.c_void_p(self._view.ctypes.data), ctypes.c_size_t(size)
        self.locked = _libc.mlock(address, length) == 0
        _libc.madvise(address, length, _MADV_DONTDUMP)
        _libc.madvise(address, length, _MADV_DONTFORK)

    def take(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """Cut a zeroed array of `shape` and `dtype`. Raises MemoryError where the arena is used up."""
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        start = self._used
        if start + size > len(self._view):
            raise MemoryError("the arena is too small")
        self._used = -(-(start + size) // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
        array: NDArray[Any] = self._view[start : start + size].view(dtype).reshape(shape)
        return array

    def wipe(self) -> None:
        """Zero everything."""
        self._view[:] = 0

    def __repr__(self) -> str:
        return f"<Arena of {len(self._view)} bytes>"


class ArenaMeasure:
    """Counts what would be cut, so that the arena can be made as large as needed."""

    def __init__(self) -> None:
        self.size_bytes = 0

    def take(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """Count an array and return an empty one of its type that is never touched."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        self.size_bytes += -(-size // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
        return np.zeros(shape, dtype)
