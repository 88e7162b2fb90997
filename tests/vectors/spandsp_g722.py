"""libspandsp2's G.722 through ctypes: an independent coder to compare with. Debian: apt-get install libspandsp2."""

import ctypes

import numpy as np
from numpy.typing import NDArray

_BIT_RATE = 64_000
_OPTIONS = 0  # 16 kHz in and out, octets not packed


class SpandspG722:
    """One encoder and one decoder, each with its memory from call to call. Raises OSError without the library."""

    def __init__(self) -> None:
        library = ctypes.CDLL("libspandsp.so.2")
        pointer, integer = ctypes.c_void_p, ctypes.c_int
        for name in ("encode", "decode"):
            init = getattr(library, f"g722_{name}_init")
            init.restype, init.argtypes = pointer, [pointer, integer, integer]
            work = getattr(library, f"g722_{name}")
            work.restype, work.argtypes = integer, [pointer, pointer, pointer, integer]
            free = getattr(library, f"g722_{name}_free")
            free.restype, free.argtypes = integer, [pointer]
        self._library = library
        self._encoder = library.g722_encode_init(None, _BIT_RATE, _OPTIONS)
        self._decoder = library.g722_decode_init(None, _BIT_RATE, _OPTIONS)

    def close(self) -> None:
        """Free both."""
        self._library.g722_encode_free(self._encoder)
        self._library.g722_decode_free(self._decoder)

    def encode(self, pcm: NDArray[np.int16]) -> NDArray[np.uint8]:
        """Return the octets of `pcm`, int16 at 16 kHz, of even length."""
        samples = np.ascontiguousarray(pcm, np.int16)
        codes = np.zeros(len(samples) // 2, np.uint8)
        self._library.g722_encode(self._encoder, codes.ctypes.data, samples.ctypes.data, len(samples))
        return codes

    def decode(self, codes: NDArray[np.uint8]) -> NDArray[np.int16]:
        """Return the audio of octets. What is too loud for 16 bits wraps around; the Recommendation limits it."""
        octets = np.ascontiguousarray(codes, np.uint8)
        samples = np.zeros(2 * len(octets), np.int16)
        self._library.g722_decode(self._decoder, samples.ctypes.data, octets.ctypes.data, len(octets))
        return samples
