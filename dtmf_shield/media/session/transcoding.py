"""What a leg's codec does to its audio: decode what came, conceal what did not, change the rate, encode for the peer.

A packet's octets are RTP ticks with every codec taken: G.722 samples at 16 kHz, but its clock runs at 8000 Hz and one
octet holds two samples (RFC 3551 section 4.5.2). So timelines, positions and packet times count ticks, and only
here does a tick become one sample or two.

G.722 has memory, and a mask must not be undone by it. It cannot be: the encoder that sends to a phone is fed masked
audio and nothing else, so its memory, and what the phone hears of it later, hold no key. The decoder's memory is of
the caller's raw audio; it lies in locked memory, ends in the masker's input, and is wiped with the leg.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.codecs.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from dtmf_shield.media.codecs.g722 import LEAP_OCTAVES, decode_g722, encode_g722, reset_g722
from dtmf_shield.media.codecs.resampling import double, halve, reset_resampling
from dtmf_shield.media.frames import MaskedFrame
from dtmf_shield.media.masker import (
    MODE_CAPTURE,
    conceal_packet,
    conceal_wideband_packet,
    force_mute,
    masked_frame,
)
from dtmf_shield.media.rtp.clock import SAMPLES_A_MS
from dtmf_shield.media.rtp.kernel import kernel
from dtmf_shield.media.session.legs import CODEC_G722, CODEC_PCMU, Tables

LEAP_OCTAVES_IN_CAPTURE: Final = LEAP_OCTAVES - 1
"""At five octaves 7 of 41,600 loud keys out of silence began up to 3 ms before their mask, at four none of 83,200. It
costs 0.2 % of active speech, which a capture has to spare and a guard has not."""
LEAP_MUTE_SAMPLES: Final = 8 * SAMPLES_A_MS
"""3 ms are bent, and the first window of 5 ms after them tells whether there is a tone."""


@kernel
def samples_a_tick(tables: Tables, index: int) -> int:
    """Return how many samples of the leg at `index` lie in one tick of its RTP clock."""
    return 2 if tables.legs[index].codec == CODEC_G722 else 1


@kernel
def forget_codec(tables: Tables, index: int) -> None:
    """Put everything the codecs remember of this leg's input and of what was sent to it into the reset state."""
    reset_g722(tables.decoders, index)
    reset_g722(tables.encoders, index)
    reset_resampling(tables.halvings, index)
    reset_resampling(tables.doublings, index)


@kernel
def decode_input(tables: Tables, index: int, codes: NDArray[np.uint8], raw: NDArray[np.int16]) -> None:
    """Decode a packet's octets, uint8, shape (n,), into `raw`, int16, shape (n * samples_a_tick,).

    Mutes what G.722 has bent too much to be judged, from 5 ms before the packet on; the packet is to be shielded next.
    """
    codec = tables.legs[index].codec
    if codec == CODEC_G722:
        leap = LEAP_OCTAVES_IN_CAPTURE if tables.legs[index].mode == MODE_CAPTURE else LEAP_OCTAVES
        leaping_ticks = decode_g722(tables.decoders, index, codes, raw, leap)
        if leaping_ticks > 0:
            force_mute(tables.shields, index, leaping_ticks + LEAP_MUTE_SAMPLES)
    elif codec == CODEC_PCMU:
        decode_ulaw(codes, raw)
    else:
        decode_alaw(codes, raw)


@kernel
def conceal_input(tables: Tables, index: int, n_ticks: int) -> MaskedFrame:
    """Return noise for `n_ticks` of the leg's input that did not come, and let its shield know of the gap.

    A G.722 decoder just goes on after it: both ends forget in some tens of ms what they did not share.
    """
    n = n_ticks * samples_a_tick(tables, index)
    out = tables.masked[:n]
    if samples_a_tick(tables, index) == 2:
        conceal_wideband_packet(tables.shields, index, n, out, tables.legs[index].mode)
    else:
        conceal_packet(tables.shields, index, n, out, tables.legs[index].mode)
    return masked_frame(out)


@kernel
def narrowed(tables: Tables, index: int, frame: MaskedFrame) -> MaskedFrame:
    """Return a frame of the leg at `index` at 8 kHz: itself, or its lower half band, good until the next is made."""
    if samples_a_tick(tables, index) == 1:
        return frame
    narrow = tables.narrow[: len(frame.samples) // 2]
    halve(tables.halvings, index, frame.samples, narrow)
    return masked_frame(narrow)


@kernel
def encode_masked(
    tables: Tables, index: int, frame: MaskedFrame, narrow: MaskedFrame, codes: NDArray[np.uint8]
) -> None:
    """Encode a masked frame of the leg at `index` for its peer into `codes`, uint8, shape (>= n_ticks,).

    `narrow` is what `narrowed` made of `frame`.
    """
    codec = tables.legs[index ^ 1].codec
    if codec == CODEC_PCMU:
        encode_ulaw(narrow.samples, codes)
    elif codec != CODEC_G722:
        encode_alaw(narrow.samples, codes)
    elif samples_a_tick(tables, index) == 2:
        encode_g722(tables.encoders, index ^ 1, frame.samples, codes)
    else:
        wide = tables.wide[: 2 * len(narrow.samples)]
        double(tables.doublings, index, narrow.samples, wide)
        encode_g722(tables.encoders, index ^ 1, wide, codes)
