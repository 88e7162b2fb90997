"""ITU-T G.711 µ-law (PCMU) and A-law (PCMA): tables, and kernels that look them up.

The tables are made here from the segment rules of G.711 (tables 1a to 2b); no speech level is touched, packet loss
concealment (G.711 appendix I) is not done. PCM is 16-bit: µ-law's 14 and A-law's 13 bits sit in its upper bits.
"""

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.codecs.kernel import kernel

PCMU_PAYLOAD_TYPE = 0  # RFC 3551 table 4
PCMA_PAYLOAD_TYPE = 8
PCMU_SILENCE = 0xFF  # code of a zero sample
PCMA_SILENCE = 0xD5  # A-law has no zero; this is the smallest positive value, 8

_ULAW_BIAS = 132  # 33 in 14-bit units: makes every segment's lower edge a power of two
_ULAW_CLIP = 32635
_ALAW_TOGGLE = 0x55  # G.711 table 1a, note 2: even bits are inverted on the line


def _ulaw_decode_table() -> NDArray[np.int16]:
    """Return the PCM value of each µ-law code, shape (256,)."""
    code = ~np.arange(256) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + _ULAW_BIAS) << ((code >> 4) & 7)) - _ULAW_BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_decode_table() -> NDArray[np.int16]:
    """Return the PCM value of each A-law code, shape (256,)."""
    code = np.arange(256) ^ _ALAW_TOGGLE
    segment = (code >> 4) & 7
    step = ((code & 0x0F) << 4) + 8
    magnitude = np.where(segment == 0, step, (step + 0x100) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _ulaw_encode_table() -> NDArray[np.uint8]:
    """Return the µ-law code of each PCM value plus 32768, shape (65536,)."""
    pcm = np.arange(-32768, 32768)
    biased = np.minimum(np.abs(pcm), _ULAW_CLIP) + _ULAW_BIAS
    segment = np.floor(np.log2(biased)).astype(np.int64) - 7
    code = (segment << 4) | ((biased >> (segment + 3)) & 0x0F)
    table: NDArray[np.uint8] = (~np.where(pcm < 0, code | 0x80, code) & 0xFF).astype(np.uint8)
    return table


def _alaw_encode_table() -> NDArray[np.uint8]:
    """Return the A-law code of each PCM value plus 32768, shape (65536,)."""
    pcm = np.arange(-32768, 32768)
    magnitude = np.where(pcm < 0, ~pcm, pcm)  # negative intervals are closed at the other end
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int64) - 7, 0)
    code = (segment << 4) | ((magnitude >> np.maximum(segment + 3, 4)) & 0x0F)
    table: NDArray[np.uint8] = (np.where(pcm < 0, code, code | 0x80) ^ _ALAW_TOGGLE).astype(np.uint8)
    return table


ULAW_DECODE = _ulaw_decode_table()
ULAW_ENCODE = _ulaw_encode_table()
ALAW_DECODE = _alaw_decode_table()
ALAW_ENCODE = _alaw_encode_table()


@kernel
def decode_ulaw(codes: NDArray[np.uint8], pcm: NDArray[np.int16]) -> None:
    """Decode µ-law `codes`, shape (n,), into `pcm`, shape (at least n,)."""
    for i in range(len(codes)):
        pcm[i] = ULAW_DECODE[codes[i]]


@kernel
def encode_ulaw(pcm: NDArray[np.int16], codes: NDArray[np.uint8]) -> None:
    """Encode `pcm`, shape (n,), into µ-law `codes`, shape (at least n,)."""
    for i in range(len(pcm)):
        codes[i] = ULAW_ENCODE[np.int64(pcm[i]) + 32768]


@kernel
def decode_alaw(codes: NDArray[np.uint8], pcm: NDArray[np.int16]) -> None:
    """Decode A-law `codes`, shape (n,), into `pcm`, shape (at least n,)."""
    for i in range(len(codes)):
        pcm[i] = ALAW_DECODE[codes[i]]


@kernel
def encode_alaw(pcm: NDArray[np.int16], codes: NDArray[np.uint8]) -> None:
    """Encode `pcm`, shape (n,), into A-law `codes`, shape (at least n,)."""
    for i in range(len(pcm)):
        codes[i] = ALAW_ENCODE[np.int64(pcm[i]) + 32768]
