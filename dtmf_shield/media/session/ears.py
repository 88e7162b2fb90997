"""The sentinel's ears: detectors of its own that hear what leaves for agents' phones, octet by octet.

What they hear is masked. Their state lies in locked memory all the same and is wiped with the turn: were the mask at
fault, there would be keys in it.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.codecs.g722 import G722_STATE_DTYPE, reset_g722
from dtmf_shield.media.detector import SHIELD_STATE_DTYPE, reset_detector, skip_packet
from dtmf_shield.media.rtp.clock import TIMESTAMP_MODULUS, timestamp_distance
from dtmf_shield.media.rtp.kernel import kernel

EARS_MAX: Final = 16
"""Legs that are listened to at once, so that listening costs the same whatever the number of calls."""
STEP_BACK_TICKS: Final = 8_000
"""A timeline that steps back is another one: no tone goes on over a second."""

EAR_DTYPE: Final = np.dtype(
    [
        ("leg", np.int64),  # 1 + index of the leg it listens to, 0 for none
        ("since_ns", np.int64),  # its turn began
        ("codec", np.int64),  # 1 + number of what was decoded last, 0 for nothing
        ("timestamp", np.int64),  # where the next frame is to begin, in ticks sent
    ],
    align=True,
)

HEARD_TICKS: Final = 0
HEARD_KEYS: Final = 1
NEXT_ROW: Final = 2


class Ears(NamedTuple):
    """Written by the shard's thread alone."""

    posts: NDArray[Any]
    """Records of EAR_DTYPE, shape (EARS_MAX,)."""
    detectors: NDArray[Any]
    """SHIELD_STATE_DTYPE, shape (EARS_MAX,)."""
    decoders: NDArray[Any]
    """G722_STATE_DTYPE, shape (EARS_MAX,)."""
    totals: NDArray[np.int64]
    """Shape (3,): ticks of 8 kHz heard, keys heard, and the row whose turn is next."""


def make_ears(take: Any) -> Ears:
    """Lay out the ears; `take` gives zeroed arrays (legs.Take)."""
    return Ears(
        posts=take((EARS_MAX,), EAR_DTYPE),
        detectors=take((EARS_MAX,), SHIELD_STATE_DTYPE),
        decoders=take((EARS_MAX,), G722_STATE_DTYPE),
        totals=take((3,), np.int64),
    )


@kernel
def wipe_ear(ears: Ears, at: int) -> None:
    """Forget the leg and everything heard of it."""
    octets = ears.posts[at : at + 1].view(np.uint8)
    octets[:] = 0
    reset_detector(ears.detectors, at)
    reset_g722(ears.decoders, at)


@kernel
def begin_frame(ears: Ears, at: int, codec: int, timestamp: int, n_ticks: int) -> None:
    """Let the ear know of a frame of `n_ticks` at `timestamp`: of a gap before it, or of another codec.

    A decoder that begins in the middle of a stream has its level after some tens of ms.
    """
    post = ears.posts[at]
    if post.codec != 1 + codec:
        reset_g722(ears.decoders, at)
    gap = timestamp_distance(timestamp, post.timestamp) if post.codec > 0 else 0
    if gap != 0:
        skip_packet(ears.detectors, at, gap if gap > 0 else STEP_BACK_TICKS)
    post.codec = 1 + codec
    post.timestamp = (timestamp + n_ticks) % TIMESTAMP_MODULUS
    ears.totals[HEARD_TICKS] += n_ticks
