"""Audio before and after the mask as two types, so that raw audio cannot be passed where masked audio is due.

Both are NamedTuples of one array: numba types them apart, so a kernel that takes a `MaskedFrame` fails at typing
when handed a `CallerFrame` or a bare array. Nothing here touches a sample; only `media/masker.py` makes a
`MaskedFrame` (a tidy test keeps it so).
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

FRAME_SAMPLES_MAX: Final = 480
"""60 ms, the longest packet time taken."""


class CallerFrame(NamedTuple):
    """Raw audio as received from a leg: account data may sound in it, so it stays in red code."""

    raw_samples: NDArray[np.int16]
    """PCM, shape (n_samples,), 8 kHz. Named apart, so that no kernel for a `MaskedFrame` compiles for this."""


class MaskedFrame(NamedTuple):
    """Audio that may leave: the masker has replaced every stretch that sounds like a key."""

    samples: NDArray[np.int16]
    """PCM, shape (n_samples,), 8 kHz, `HOLD_BACK_SAMPLES` behind the frame it came from."""
