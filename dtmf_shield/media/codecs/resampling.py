"""Between 8 and 16 kHz: one linear-phase half-band FIR, for audio that goes from one codec to another.

47 taps: flat within 0.05 dB to 3.4 kHz, 50 dB down from 4.6 kHz, 1.4 ms of delay each way. Only even taps and the
middle one are not zero, so halving costs 25 products a sample and doubling 24. Other ratios are not served.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.codecs.kernel import kernel

_TAPS: Final = 24  # even ones, of both sides
_MIDDLE: Final = 12  # samples of the other half behind the newest, for halving
_KAISER_BETA: Final = 5.65
_UNIT_BITS: Final = (
    14  # of a tap: 1.0 is 16384. Magnitudes sum to 2.3 at most, so 16-bit samples fit 32 bits.
)
HALF_BAND_DELAY_SAMPLES: Final = _TAPS - 1
"""At 16 kHz: 1.4 ms."""


def _even_taps(gain: float) -> NDArray[np.int32]:
    """Return the even taps of a windowed sinc at 16 kHz, shape (24,), that sum to half of `gain`."""
    taps = np.sinc((np.arange(2 * _TAPS - 1) - (_TAPS - 1)) / 2.0) * np.kaiser(2 * _TAPS - 1, _KAISER_BETA)
    even = taps[::2]
    return np.rint(gain * 0.5 * even / np.sum(even) * (1 << _UNIT_BITS)).astype(np.int32)


_HALVING: Final = _even_taps(1.0)
_DOUBLING: Final = _even_taps(2.0)  # doubling puts a zero between any two samples, which halves the level

HALVING_STATE_DTYPE: Final = np.dtype([("odd", np.int32, (_TAPS,)), ("even", np.int32, (_MIDDLE,))])
"""The last samples at 16 kHz, those of odd and of even index, oldest first; zero bytes are silence."""
DOUBLING_STATE_DTYPE: Final = np.dtype([("line", np.int32, (_TAPS,))])
"""The last samples at 8 kHz."""

ResamplingState = NDArray[Any]
"""Records of HALVING_STATE_DTYPE or DOUBLING_STATE_DTYPE, shape (n_legs,)."""


@kernel
def halve(state: ResamplingState, row: int, wide: NDArray[np.int16], narrow: NDArray[np.int16]) -> None:
    """Write `wide`, int16, shape (2 n,), 16 kHz, to `narrow`, shape (>= n,), 8 kHz; nothing far above 4 kHz stays."""
    lines = state[row]
    for at in range(len(wide) // 2):
        filtered = _filtered(lines.odd, _HALVING, wide[2 * at + 1])
        _shift(lines.even, wide[2 * at])
        narrow[at] = _rounded(filtered + (int(lines.even[0]) << (_UNIT_BITS - 1)))


@kernel
def double(state: ResamplingState, row: int, narrow: NDArray[np.int16], wide: NDArray[np.int16]) -> None:
    """Write `narrow`, int16, shape (n,), 8 kHz, to `wide`, shape (>= 2 n,), 16 kHz."""
    line = state[row].line
    for at in range(len(narrow)):
        wide[2 * at] = _rounded(_filtered(line, _DOUBLING, narrow[at]))
        wide[2 * at + 1] = line[_MIDDLE]


@kernel
def reset_resampling(state: ResamplingState, row: int) -> None:
    """Forget the audio in `state[row]`."""
    octets = state[row : row + 1].view(np.uint8)
    octets[:] = 0


@kernel
def _shift(line: NDArray[np.int32], sample: int) -> None:
    """Let the newest sample in at the end of `line` and the oldest out."""
    last = len(line) - 1
    for tap in range(last):
        line[tap] = line[tap + 1]
    line[last] = sample


@kernel
def _filtered(line: NDArray[np.int32], taps: NDArray[np.int32], sample: int) -> int:
    """Take a sample into `line` and return the sum of its products with `taps`, both of shape (24,)."""
    _shift(line, sample)
    total = np.int32(0)
    for tap in range(_TAPS):
        total = np.int32(total + taps[tap] * line[tap])
    return int(total)


@kernel
def _rounded(value: int) -> int:
    """Return the 16-bit sample of a sum of products."""
    return min(max((value + (1 << (_UNIT_BITS - 1))) >> _UNIT_BITS, -32768), 32767)
