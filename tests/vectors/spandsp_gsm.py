"""GSM full rate (ETSI EN 300 961) by libspandsp, there and back: what a mobile phone's codec makes of audio."""

import ctypes

import numpy as np
from numpy.typing import NDArray

_PACKED_AS_IN_RFC_3551 = 2
_FRAME_SAMPLES, _FRAME_BYTES = 160, 33


class SpandspGsm:
    """One encoder and one decoder. Raises OSError where the library is missing."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL("libspandsp.so.2")
        pointer, number = ctypes.c_void_p, ctypes.c_int
        self._lib.gsm0610_init.restype = pointer
        self._lib.gsm0610_init.argtypes = [pointer, number]
        self._lib.gsm0610_free.argtypes = [pointer]
        for code in (self._lib.gsm0610_encode, self._lib.gsm0610_decode):
            code.argtypes = [pointer, pointer, pointer, number]
        self._coder = self._lib.gsm0610_init(None, _PACKED_AS_IN_RFC_3551)
        self._decoder = self._lib.gsm0610_init(None, _PACKED_AS_IN_RFC_3551)

    def through(self, pcm: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return int16 at 8 kHz, whole frames of 20 ms, after one coding and decoding."""
        n_frames = len(pcm) // _FRAME_SAMPLES
        sent = np.ascontiguousarray(pcm[: n_frames * _FRAME_SAMPLES])
        codes, heard = np.zeros(n_frames * _FRAME_BYTES, np.uint8), np.zeros_like(sent)
        n_bytes = self._lib.gsm0610_encode(self._coder, codes.ctypes.data, sent.ctypes.data, len(sent))
        n = self._lib.gsm0610_decode(self._decoder, heard.ctypes.data, codes.ctypes.data, n_bytes)
        if n != len(sent):
            raise RuntimeError(f"spandsp decoded {n} of {len(sent)} samples")
        return heard

    def close(self) -> None:
        """Free both."""
        self._lib.gsm0610_free(self._coder)
        self._lib.gsm0610_free(self._decoder)
