"""libspandsp2's DTMF receiver: the keys it hears (ctypes), and its loop for timing (called from compiled code).

Debian: apt-get install libspandsp2. Fed as its callers do, packet by packet; a key's time is the number of samples
fed when it was reported. `run_streams` calls the library without Python in between, so that its time is its own.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import llvmlite.binding  # type: ignore[import-untyped]  # it has no types
import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

LIBRARY = "libspandsp.so.2"
_POINTER, _INTEGER = ctypes.c_void_p, ctypes.c_int
_CALLBACK = ctypes.CFUNCTYPE(None, _POINTER, _INTEGER, _INTEGER, _INTEGER)
# dtmf_rx_parms of 0.0.6: -1 keeps a twist, -99 keeps the level.
_KEEP_TWIST_DB, _KEEP_LEVEL_DBM0 = -1, -99
_KEYS_KEPT_MAX = 128  # of those the library keeps until they are fetched

_int: Any = types.int32
_function = cast(Callable[[str, Any], Callable[..., int]], types.ExternalFunction)
# int dtmf_rx(dtmf_rx_state_t *s, const int16_t amp[], int samples)
c_dtmf_rx = _function("dtmf_rx", _int(types.uintp, types.uintp, _int))


class Spandsp:
    """The loaded library; each call listens with a fresh receiver."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.dtmf_rx_init.restype = _POINTER
        library.dtmf_rx_init.argtypes = [_POINTER, _POINTER, _POINTER]
        library.dtmf_rx_parms.argtypes = [_POINTER, _INTEGER, _INTEGER, _INTEGER, _INTEGER]
        library.dtmf_rx_set_realtime_callback.argtypes = [_POINTER, _CALLBACK, _POINTER]
        library.dtmf_rx.argtypes = [_POINTER, _POINTER, _INTEGER]
        library.dtmf_rx_get.argtypes = [_POINTER, ctypes.c_char_p, _INTEGER]
        library.dtmf_rx_get.restype = ctypes.c_size_t
        library.dtmf_rx_free.argtypes = [_POINTER]

    def events(
        self, pcm: NDArray[np.int16], packet_samples: int = 160, dial_tone_filter: bool = False
    ) -> list[tuple[str, int]]:
        """Return (key, samples fed) for `pcm`, int16 at 8 kHz."""
        found: list[tuple[str, int]] = []
        fed = 0

        def on_key(_user: int, key: int, _level: int, _delay: int) -> None:
            if key:
                found.append((chr(key), fed))

        callback = _CALLBACK(on_key)
        receiver = self._library.dtmf_rx_init(None, None, None)
        if dial_tone_filter:
            self._library.dtmf_rx_parms(receiver, 1, _KEEP_TWIST_DB, _KEEP_TWIST_DB, _KEEP_LEVEL_DBM0)
        self._library.dtmf_rx_set_realtime_callback(receiver, callback, None)
        for start in range(0, len(pcm), packet_samples):
            n = min(packet_samples, len(pcm) - start)
            fed = start + n
            self._library.dtmf_rx(receiver, pcm.ctypes.data + 2 * start, n)
        self._library.dtmf_rx_free(receiver)
        return found

    @contextmanager
    def receivers(self, n: int) -> Iterator[NDArray[np.uintp]]:
        """Give the addresses of n fresh receivers, for `run_streams`; free them after the block."""
        addresses = np.array([self._library.dtmf_rx_init(None, None, None) for _ in range(n)], np.uintp)
        try:
            yield addresses
        finally:
            for address in addresses:
                self._library.dtmf_rx_free(int(address))

    def keys_heard(self, receivers: NDArray[np.uintp]) -> int:
        """Return how many keys `receivers` keep (at most 128 each, the library forgets the rest)."""
        buffer = ctypes.create_string_buffer(_KEYS_KEPT_MAX + 1)
        return sum(int(self._library.dtmf_rx_get(int(r), buffer, _KEYS_KEPT_MAX)) for r in receivers)


def load() -> Spandsp | None:
    """Load the library, for ctypes and for compiled code; None where it is not installed."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    llvmlite.binding.load_library_permanently(LIBRARY)
    return Spandsp(library)


@numba.njit(nogil=True)
def run_streams(
    receivers: NDArray[np.uintp],
    audio: NDArray[np.int16],
    offsets: NDArray[np.int64],
    n_packets: int,
    packet_samples: int,
) -> None:
    """Feed every receiver n_packets, all receivers once a tick; as `tests.vectors.masked_leg.run_streams` does.

    Stream s begins at audio[offsets[s]] and wraps around; audio carries its first packet_samples again at its end.
    """
    address = audio.ctypes.data
    length = len(audio) - packet_samples
    for packet in range(n_packets):
        for stream in range(len(offsets)):
            start = (offsets[stream] + packet * packet_samples) % length
            c_dtmf_rx(receivers[stream], address + 2 * start, packet_samples)
