"""ITU-T G.722 at 64 kbit/s, mode 1: 16 kHz PCM to octets and back, one octet for two samples.

Quadrature mirror filters split the audio at 4 kHz (clause 5); the lower band is coded by 6-bit, the higher by 2-bit
ADPCM (clause 6, whose names of blocks and signals are used here). Tables are the standard's numbers. Modes 2 and 3
(8 or 16 kbit/s of the octet given to data), concealment of losses (appendices III and IV) and the annexes for more
bandwidth and stereo are not done.

Both directions carry memory from frame to frame. A scale factor (DETL, DETH) is not kept but computed from its
logarithm (NBL, NBH) where it is used, so that a state of zero bytes is the reset state.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.codecs.kernel import kernel

G722_PAYLOAD_TYPE: Final = 9  # RFC 3551 table 4
SAMPLES_PER_OCTET: Final = 2

_LOW: Final = 0
_HIGH: Final = 1
_ZEROS: Final = 6
_TAPS: Final = 12
_PCM_MAX: Final = 32767
_PCM_MIN: Final = -32768
_BAND_MAX: Final = 16383  # LIMIT: a band's samples have 15 bits
_BAND_MIN: Final = -16384
_POLE_2_MAX: Final = 12288  # 0.75: limits of the poles, for stability
_POLE_SUM_MAX: Final = 15360  # 0.9375

_QMF: Final = np.array([3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11], np.int32)
"""H(0), H(2) ... H(22) of the 24 coefficients, times 8192; the odd ones are the same, reversed."""
_QMF_REVERSED: Final = np.ascontiguousarray(_QMF[::-1])
_QMF_SENT_SHIFT: Final = 14  # gain 4096 of each half, both halves, and 15 bits in a band from 16 of PCM
_QMF_HEARD_SHIFT: Final = 11

_Q6: Final = np.array(
    [
        *(35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714),
        *(786, 858, 940, 1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919),
    ],
    np.int32,
)
"""Decision levels of the 6-bit quantizer, times 4096."""
_QM6_POSITIVE: Final = (
    *(
        24808,
        21904,
        19008,
        16704,
        14984,
        13512,
        12280,
        11192,
        10232,
        9360,
        8576,
        7856,
        7192,
        6576,
        6000,
        5456,
    ),
    *(4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136),
)
"""Output levels of the 6-bit inverse quantizer, times 32768, by falling magnitude."""
_QM6: Final = np.array(
    [-136] * 4 + [-level for level in _QM6_POSITIVE[:28]] + list(_QM6_POSITIVE[:28]) + [432, 136, -432, -136],
    np.int32,
)
"""By code. The first four codes are never sent, for an octet is not to look like silence on the line."""
_QM4: Final = np.array(
    [
        *(0, -20456, -12896, -8968, -6288, -4240, -2584, -1200),
        *(20456, 12896, 8968, 6288, 4240, 2584, 1200, 0),
    ],
    np.int32,
)
_QM2: Final = np.array([-7408, -1616, 7408, 1616], np.int32)
_Q2: Final = 564  # the one decision level of the higher band
_WL4: Final = np.array(
    [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60], np.int32
)
"""Log scale factor multipliers of the lower band by 4-bit code."""
_WH2: Final = np.array([798, -214, 798, -214], np.int32)
_NB_MAX: Final = np.array([18432, 22528], np.int32)  # LOGSCL and LOGSCH, by band
_SCALE_SHIFT: Final = np.array([8, 10], np.int32)  # SCALEL and SCALEH
_ILB: Final = np.floor(2048.0 * np.exp2(np.arange(32) / 32.0) + 0.5).astype(np.int32)
"""Antilogarithms, 2048 times 2^(i/32)."""

# A loud sound out of silence outruns the scale factor: its first 3 ms come out bent, and a tone in them is no tone to
# a detector, though it can be read. Such a leap is told by the lower band's log scale factor: how many octaves it is
# ahead of one that rises no faster than two a millisecond. Tones that a detector misses leap by 4 to 7.
_OCTAVE: Final = 2048  # of log scale factors
_LEAP_RISE_MAX: Final = 2 * _OCTAVE // 8  # a sample at 8 kHz
LEAP_OCTAVES: Final = 5
"""Seen in public speech less than once in an active minute, four octaves seven times."""

G722_STATE_DTYPE: Final = np.dtype(
    [
        # By band: lower, higher. Index 0 is the newest.
        ("nb", np.int32, (2,)),  # log scale factor
        ("s", np.int32, (2,)),  # prediction of the next sample
        ("sz", np.int32, (2,)),  # its part by the zeros
        ("a", np.int32, (2, 2)),  # poles
        ("b", np.int32, (2, _ZEROS)),  # zeros
        ("d", np.int32, (2, _ZEROS)),  # differences heard
        ("p", np.int32, (2, 2)),  # partly reconstructed signal
        ("r", np.int32, (2, 2)),  # reconstructed signal
        ("even", np.int32, (_TAPS,)),  # delay lines of the mirror filters
        ("odd", np.int32, (_TAPS,)),
        (
            "nb_followed",
            np.int32,
        ),  # decoder: the lower band's log scale factor, followed no faster than speech rises
    ],
    align=True,
)
"""One direction of one leg; zero bytes are the reset state."""

G722State = NDArray[Any]
"""Records of G722_STATE_DTYPE, shape (n_legs,)."""


@kernel
def reset_g722(state: G722State, row: int) -> None:
    """Put `state[row]` into the reset state; nothing of the audio stays."""
    octets = state[row : row + 1].view(np.uint8)
    octets[:] = 0


@kernel
def encode_g722(state: G722State, row: int, pcm: NDArray[np.int16], codes: NDArray[np.uint8]) -> None:
    """Encode `pcm`, int16, shape (2 n,), 16 kHz, into `codes`, uint8, shape (>= n,); a last odd sample is left out."""
    coder = state[row]
    for at in range(len(pcm) // SAMPLES_PER_OCTET):
        _shift_in(coder, int(pcm[2 * at]), int(pcm[2 * at + 1]))
        even, odd = _mirror_sums(coder)
        code = _encode_low(coder, (odd + even) >> _QMF_SENT_SHIFT)
        code |= _encode_high(coder, (odd - even) >> _QMF_SENT_SHIFT) << 6
        codes[at] = code


@kernel
def decode_g722(
    state: G722State,
    row: int,
    codes: NDArray[np.uint8],
    pcm: NDArray[np.int16],
    leap_octaves: int = LEAP_OCTAVES,
) -> int:
    """Decode `codes`, uint8, shape (n,), into `pcm`, int16, shape (>= 2 n,), 16 kHz.

    Returns how many octets there are up to the last in which the level leaps by more than `leap_octaves`, 0 for none:
    what sounds there and 3 ms after is bent by the coding.
    """
    coder = state[row]
    leaping = 0
    for at in range(len(codes)):
        code = int(codes[at])
        low = _decode_low(coder, code & 0x3F)
        high = _decode_high(coder, code >> 6)
        _shift_in(coder, low + high, low - high)
        even, odd = _mirror_sums(coder)
        pcm[2 * at] = _saturated(odd >> _QMF_HEARD_SHIFT)
        pcm[2 * at + 1] = _saturated(even >> _QMF_HEARD_SHIFT)
        coder.nb_followed = min(int(coder.nb[_LOW]), int(coder.nb_followed) + _LEAP_RISE_MAX)
        if coder.nb[_LOW] - coder.nb_followed > leap_octaves * _OCTAVE:
            leaping = at + 1
    return leaping


@kernel
def _saturated(value: int) -> int:
    """Return `value` limited to 16 bits."""
    return min(max(value, _PCM_MIN), _PCM_MAX)


@kernel
def _band_limited(value: int) -> int:
    """LIMIT: return `value` limited to a band's 15 bits."""
    return min(max(value, _BAND_MIN), _BAND_MAX)


# --- quadrature mirror filters: clause 5 --------------------------------------------------------------------


@kernel
def _shift_in(coder: Any, even: int, odd: int) -> None:
    """Move both delay lines on by one; `odd` is the newer sample."""
    for tap in range(_TAPS - 1):
        coder.even[tap] = coder.even[tap + 1]
        coder.odd[tap] = coder.odd[tap + 1]
    coder.even[_TAPS - 1] = even
    coder.odd[_TAPS - 1] = odd


@kernel
def _mirror_sums(coder: Any) -> tuple[int, int]:
    """Return both halves of the filter: the even line by H(0), H(2) ... H(22), the odd one by H(1) ... H(23)."""
    even, odd = np.int32(0), np.int32(0)
    for tap in range(_TAPS):
        # 17 bits by coefficients whose magnitudes sum to 6482 fit 32, which the processor multiplies eight at a time.
        even = np.int32(even + coder.even[tap] * _QMF[tap])
        odd = np.int32(odd + coder.odd[tap] * _QMF_REVERSED[tap])
    return int(even), int(odd)


# --- the two bands: clause 6, blocks 1, 2, 3, 5 and 6 --------------------------------------------------------


@kernel
def _scale(coder: Any, band: int) -> int:
    """SCALEL, SCALEH: return the quantizer's scale factor, 2^nb in steps of 1/32."""
    nb = int(coder.nb[band])
    level = int(_ILB[(nb >> 6) & 31])
    shift = _SCALE_SHIFT[band] - (nb >> 11)
    return int((level >> shift if shift >= 0 else level << -shift) << 2)


@kernel
def _encode_low(coder: Any, sample: int) -> int:
    """Return the 6-bit code of a lower band sample and move the predictor on."""
    difference = _saturated(sample - coder.s[_LOW])
    scale = _scale(coder, _LOW)
    magnitude = difference if difference >= 0 else -(difference + 1)
    level = 0
    while level < len(_Q6) and magnitude >= (_Q6[level] * scale) >> 12:
        level += 1
    code = 61 - level
    if difference < 0:
        code = 63 - level if level < 2 else 33 - level  # the two smallest steps' codes lie apart
    _adapt_low(coder, code >> 2, scale)
    return code


@kernel
def _decode_low(coder: Any, code: int) -> int:
    """Return the lower band sample of a 6-bit code and move the predictor on."""
    scale = _scale(coder, _LOW)
    sample = _band_limited(coder.s[_LOW] + ((scale * _QM6[code]) >> 15))
    _adapt_low(coder, code >> 2, scale)
    return sample


@kernel
def _adapt_low(coder: Any, code: int, scale: int) -> None:
    """INVQAL, LOGSCL: whatever the mode, both ends adapt by the upper 4 bits of the code."""
    nb = ((int(coder.nb[_LOW]) * 127) >> 7) + _WL4[code]
    coder.nb[_LOW] = min(max(nb, 0), _NB_MAX[_LOW])
    _predict(coder, _LOW, (scale * _QM4[code]) >> 15)


@kernel
def _encode_high(coder: Any, sample: int) -> int:
    """Return the 2-bit code of a higher band sample and move the predictor on."""
    difference = _saturated(sample - coder.s[_HIGH])
    scale = _scale(coder, _HIGH)
    magnitude = difference if difference >= 0 else -(difference + 1)
    code = 0 if magnitude >= (_Q2 * scale) >> 12 else 1
    if difference >= 0:
        code += 2
    _adapt_high(coder, code, (scale * _QM2[code]) >> 15)
    return code


@kernel
def _decode_high(coder: Any, code: int) -> int:
    """Return the higher band sample of a 2-bit code and move the predictor on."""
    difference = (_scale(coder, _HIGH) * _QM2[code]) >> 15
    sample = _band_limited(coder.s[_HIGH] + difference)
    _adapt_high(coder, code, difference)
    return sample


@kernel
def _adapt_high(coder: Any, code: int, difference: int) -> None:
    """LOGSCH and the predictor."""
    nb = ((int(coder.nb[_HIGH]) * 127) >> 7) + _WH2[code]
    coder.nb[_HIGH] = min(max(nb, 0), _NB_MAX[_HIGH])
    _predict(coder, _HIGH, difference)


# --- adaptive prediction: clause 6, block 4 -----------------------------------------------------------------


@kernel
def _predict(coder: Any, band: int, difference: int) -> None:
    """Take the difference heard, adapt poles and zeros, and predict the band's next sample."""
    partly = _saturated(coder.sz[band] + difference)  # PARREC
    rebuilt = _saturated(coder.s[band] + difference)  # RECONS
    _adapt_poles(coder, band, partly)
    coder.p[band, 1] = coder.p[band, 0]
    coder.p[band, 0] = partly
    coder.r[band, 1] = coder.r[band, 0]
    coder.r[band, 0] = rebuilt
    zeros = _adapt_zeros(coder, band, difference)
    poles = _saturated(
        _by_coefficient(coder.a[band, 0], coder.r[band, 0])
        + _by_coefficient(coder.a[band, 1], coder.r[band, 1])
    )  # FILTEP
    coder.sz[band] = zeros
    coder.s[band] = _saturated(poles + zeros)  # PREDIC


@kernel
def _by_coefficient(coefficient: int, sample: int) -> int:
    """Return a product of a coefficient (1.0 is 16384) and a sample, doubled first and limited as in FILTEP."""
    return (int(coefficient) * _saturated(2 * int(sample))) >> 15


@kernel
def _adapt_poles(coder: Any, band: int, partly: int) -> None:
    """UPPOL2, UPPOL1: move both poles by the signs of the partly reconstructed signal, within their limits."""
    a1, a2 = int(coder.a[band, 0]), int(coder.a[band, 1])
    same_1 = (partly < 0) == (coder.p[band, 0] < 0)
    same_2 = (partly < 0) == (coder.p[band, 1] < 0)
    pull = _saturated(4 * a1)
    pull = min(-pull if same_1 else pull, _PCM_MAX)
    a2 = (pull >> 7) + (128 if same_2 else -128) + ((a2 * 32512) >> 15)
    a2 = min(max(a2, -_POLE_2_MAX), _POLE_2_MAX)
    a1 = (192 if same_1 else -192) + ((a1 * 32640) >> 15)
    limit = _POLE_SUM_MAX - a2
    coder.a[band, 0] = min(max(a1, -limit), limit)
    coder.a[band, 1] = a2


@kernel
def _adapt_zeros(coder: Any, band: int, difference: int) -> int:
    """UPZERO, FILTEZ: move the zeros by signs, take the new difference into the line, return their prediction."""
    step = 0 if difference == 0 else 128
    predicted = 0
    newer = difference
    for zero in range(_ZEROS):
        older = int(coder.d[band, zero])
        same = (older < 0) == (difference < 0)
        b = (step if same else -step) + ((int(coder.b[band, zero]) * 32640) >> 15)
        coder.b[band, zero] = b
        coder.d[band, zero] = newer
        predicted += _by_coefficient(b, newer)
        newer = older
    return _saturated(predicted)
