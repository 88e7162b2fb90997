"""Audio before and after the mask as two types, so that raw audio cannot be passed where masked audio is due.

Both are NamedTuples of one array: numba types them apart, so a kernel that takes a `MaskedFrame` fails at typing
when handed a `CallerFrame` or a bare array. Nothing here touches a sample; only `media/masker.py` makes a
`MaskedFrame` (a tidy test keeps it so).
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

FRAME_MS_MAX: Final = 60
"""The longest packet time taken."""
FRAME_SAMPLES_MAX: Final = 16 * FRAME_MS_MAX
"""What it holds at the highest sample rate, 16 kHz."""


class CallerFrame(NamedTuple):
    """Raw audio as received from a leg: account data may sound in it, so it stays in red code."""

    raw_samples: NDArray[np.int16]
    """PCM, shape (n_samples,), 8 or 16 kHz. Named apart, so that no kernel for a `MaskedFrame` compiles for this."""


class MaskedFrame(NamedTuple):
    """Audio that may leave: the masker has replaced every stretch that sounds like a key."""

    samples: NDArray[np.int16]
    """PCM, shape (n_samples,), 8 or 16 kHz, 5 ms behind the frame it came from."""
