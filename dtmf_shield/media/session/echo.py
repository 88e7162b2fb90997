"""What a key on one leg does to the other: its echo may come back there (docs/adr/0006-echo-hold.md)."""

from typing import Final

from dtmf_shield.media.masker import MODE_CAPTURE, echo_hold_samples, force_mute
from dtmf_shield.media.rtp.clock import SAMPLES_A_MS
from dtmf_shield.media.rtp.kernel import kernel
from dtmf_shield.media.session.legs import Tables

ECHO_JITTER_SAMPLES: Final = 20 * SAMPLES_A_MS
"""Packets of the other phone may come this much later than their audio was spoken, and catch up at once."""


@kernel
def hold_echo(tables: Tables, index: int) -> None:
    """Mute what the peer's phone says while a key sounds here and an echo of it may come back, in a capture.

    Whole, not where it sounds like the key: an echo under speech can be read and cannot be told. What the peer sends
    next was begun up to a frame before this packet ended.
    """
    peer = index ^ 1
    hold = echo_hold_samples(tables.shields, index)
    if hold > 0 and tables.legs[index].mode == MODE_CAPTURE and tables.legs[peer].mode == MODE_CAPTURE:
        force_mute(tables.shields, peer, hold + tables.legs[peer].frame_samples + ECHO_JITTER_SAMPLES)
