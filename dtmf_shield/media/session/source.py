"""A leg's input from another source, or at another sample rate: what is forgotten of the old one, and what is kept.

Keys heard so far stay known: a press that the change cuts is one, also where one door told it before and one after.
"""

from typing import Any, Final

from dtmf_shield.media.codecs.g722 import reset_g722
from dtmf_shield.media.masker import force_mute, reset_shield, sounding_key
from dtmf_shield.media.rtp.clock import SAMPLES_A_MS
from dtmf_shield.media.rtp.kernel import kernel
from dtmf_shield.media.session.keys import move_keys
from dtmf_shield.media.session.legs import Tables

SOURCE_CHANGE_MUTE_SAMPLES: Final = 20 * SAMPLES_A_MS
"""A new source may start in the middle of a tone that the fresh detector has not heard begin."""
CUT_PAUSE_SAMPLES_MAX: Final = 30 * SAMPLES_A_MS
"""A tone broken for longer by a change of source is two: less than a pause, more than one lost packet."""
CUT_ONSET_SAMPLES_MAX: Final = 20 * SAMPLES_A_MS
"""The rest of a cut tone is there from the new source's start."""


@kernel
def change_source(tables: Tables, index: int, pause_samples: int) -> None:
    """Start to listen afresh, muted at first: held audio, detector and decoder are of the past.

    Keys heard are laid onto the new clock, which begins `pause_samples` after the old one ended; a mute that is open
    goes on, pause or not. Mode and books stay, and so does what the peer's phone gets: one stream, whose encoder and
    filters go on.
    """
    leg, shield = tables.legs[index], tables.shields[index]
    heard_samples = shield.position_samples
    mute_samples = max(SOURCE_CHANGE_MUTE_SAMPLES, shield.mute_until_samples - heard_samples)
    move_keys(tables, index, -(heard_samples + pause_samples))
    if heard_samples > 0:  # else nothing since the last change: a new codec comes with a new source
        leg.cut_key = sounding_key(tables.shields, index)
    if pause_samples > CUT_PAUSE_SAMPLES_MAX:
        leg.cut_key = 0
    reset_shield(tables.shields, index)
    reset_g722(tables.decoders, index)
    force_mute(tables.shields, index, mute_samples)


@kernel
def is_cut_key(leg: Any, code: int, onset_samples: int) -> bool:
    """Tell whether a tone is the rest of the one that sounded when the source changed. Asked once a change."""
    cut = leg.cut_key
    leg.cut_key = 0
    return bool(cut == code and onset_samples <= CUT_ONSET_SAMPLES_MAX)
