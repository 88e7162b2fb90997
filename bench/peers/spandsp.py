"""libspandsp2's DTMF receiver through ctypes: the keys it hears, and its speed. Debian: apt-get install libspandsp2.

Fed as its callers do, packet by packet; a key's time is the number of samples fed when it was reported.
"""

import ctypes
import time

import numpy as np
from numpy.typing import NDArray

_POINTER, _INTEGER = ctypes.c_void_p, ctypes.c_int
_CALLBACK = ctypes.CFUNCTYPE(None, _POINTER, _INTEGER, _INTEGER, _INTEGER)
# dtmf_rx_parms of 0.0.6: -1 keeps a twist, -99 keeps the level.
_KEEP_TWIST_DB, _KEEP_LEVEL_DBM0 = -1, -99


class Spandsp:
    """The loaded library; each call listens with a fresh receiver."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.dtmf_rx_init.restype = _POINTER
        library.dtmf_rx_init.argtypes = [_POINTER, _POINTER, _POINTER]
        library.dtmf_rx_parms.argtypes = [_POINTER, _INTEGER, _INTEGER, _INTEGER, _INTEGER]
        library.dtmf_rx_set_realtime_callback.argtypes = [_POINTER, _CALLBACK, _POINTER]
        library.dtmf_rx.argtypes = [_POINTER, _POINTER, _INTEGER]
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

    def throughput(self, pcm: NDArray[np.int16], packet_samples: int) -> float:
        """Return channel-seconds per CPU-second of detection alone, one ctypes call a packet."""
        receiver = self._library.dtmf_rx_init(None, None, None)
        began_s = time.process_time()
        for start in range(0, len(pcm) - packet_samples + 1, packet_samples):
            self._library.dtmf_rx(receiver, pcm.ctypes.data + 2 * start, packet_samples)
        spent_s = time.process_time() - began_s
        self._library.dtmf_rx_free(receiver)
        return len(pcm) / 8000 / spent_s


def load() -> Spandsp | None:
    """Load the library; None where it is not installed."""
    try:
        return Spandsp(ctypes.CDLL("libspandsp.so.2"))
    except OSError:
        return None
