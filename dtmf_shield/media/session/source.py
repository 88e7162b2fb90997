"""What is forgotten of a leg's input when another source, or another sample rate, takes its place."""

from typing import Final

from dtmf_shield.media.codecs.g722 import reset_g722
from dtmf_shield.media.masker import force_mute, reset_shield
from dtmf_shield.media.rtp.clock import SAMPLES_A_MS
from dtmf_shield.media.rtp.kernel import kernel
from dtmf_shield.media.session.keys import forget_all_keys
from dtmf_shield.media.session.legs import Tables

SOURCE_CHANGE_MUTE_SAMPLES: Final = 20 * SAMPLES_A_MS
"""A new source may start in the middle of a tone that the fresh detector has not heard begin."""


@kernel
def forget_source(tables: Tables, index: int) -> None:
    """Start to listen afresh, muted at first: held audio, detector, keys to be joined and decoder are of the past.

    Mode and books stay, and so does what the peer's phone gets: one stream, whose encoder and filters go on.
    """
    reset_shield(tables.shields, index)
    reset_g722(tables.decoders, index)
    forget_all_keys(tables, index)
    force_mute(tables.shields, index, SOURCE_CHANGE_MUTE_SAMPLES)
