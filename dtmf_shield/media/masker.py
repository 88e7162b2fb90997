"""Masker: what a leg may say to the other side. Replaces every stretch that sounds like a key by comfort noise.

The only file that makes a `MaskedFrame`. Replacement is total: noise of one level, cut in hard, its content from a
generator that never sees the input; no filter, attenuation or cross-fade, which all leave the key readable. Output
lags input by a constant 5 ms in every mode, so that entering or leaving a capture splices nothing. Registration of
keys runs on the raw audio in every mode. A 16 kHz leg is judged on its lower half band, 8 kHz, and what is suspect
there is replaced in the whole band; a leg keeps to one rate until it is reset.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.dsp.half_band import DELAY_SAMPLES, forget_half_band, take_chunk
from dtmf_shield.media.dsp.kernel import kernel
from dtmf_shield.media.dsp.leg_state import (
    CHUNK_SAMPLES,
    HOLD_BACK_SAMPLES,
    SEGMENTS_PER_PACKET_MAX,
    SHIELD_STATE_DTYPE,
    ShieldState,
    key_onset_samples,
    reset_row,
)
from dtmf_shield.media.dsp.levels import mean_square
from dtmf_shield.media.dsp.listening import TAIL_SAMPLES, listen_chunk, skip_chunk
from dtmf_shield.media.dsp.suspicion import MODE_CAPTURE, MODE_GUARD, MODE_MUTE
from dtmf_shield.media.dsp.tables import HOP_SAMPLES, STEP_SAMPLES, WINDOW_SAMPLES
from dtmf_shield.media.frames import MaskedFrame

__all__ = [
    "HOLD_BACK_SAMPLES",
    "MODE_CAPTURE",
    "MODE_GUARD",
    "MODE_MUTE",
    "NOISE_PEAK",
    "SHIELD_STATE_DTYPE",
    "ShieldState",
    "conceal_packet",
    "conceal_wideband_packet",
    "force_mute",
    "key_onset_samples",
    "masked_frame",
    "masked_segments",
    "mute_open",
    "reset_shield",
    "samples_masked",
    "shield_packet",
    "shield_wideband_packet",
]

# A suspect window mutes from 3.25 ms before its start: one hop, and 2 ms that would name a key (6 dB under noise).
BACK_SAMPLES = 26
# A mute that only a few hops asked for is mostly speech: it closes 4 ms after the last of them. From the fourth on
# (9 ms of tone) it stays for TAIL_SAMPLES, over any weak spot of a key.
SUSPECTS_FOR_TAIL = 4
BRIEF_TAIL_SAMPLES = 32
COMFORT_NOISE_DBM0 = -50.0
# Uniform noise has a mean square of a third of its squared peak; the generator's top 16 bits span +-32768.
NOISE_PEAK = int(np.sqrt(3.0 * mean_square(COMFORT_NOISE_DBM0)))

reset_shield = reset_row


@kernel
def shield_packet(
    state: ShieldState,
    row: int,
    pcm: NDArray[np.int16],
    out: NDArray[np.int16],
    mode: int,
    keys: NDArray[np.uint8],
) -> int:
    """Judge one received packet and write what may leave; return how many keys registered in it.

    pcm: int16 (n,), raw, 8 kHz, n a multiple of 20 up to 60 ms (any other length is masked whole and not judged).
    out: int16 (n,), masked, HOLD_BACK_SAMPLES behind pcm.
    mode: MODE_MUTE (noise only), MODE_GUARD (outside a capture) or MODE_CAPTURE; any other value mutes.
    keys: uint8 (16,), the first (result) entries are ASCII codes of keys; at most 4 a packet.
    """
    return _shield(state[row], pcm, out, mode, keys, 1)


@kernel
def shield_wideband_packet(
    state: ShieldState,
    row: int,
    pcm: NDArray[np.int16],
    out: NDArray[np.int16],
    mode: int,
    keys: NDArray[np.uint8],
) -> int:
    """Do as `shield_packet` does at 16 kHz: n a multiple of 40, `out` 2 * HOLD_BACK_SAMPLES behind.

    `samples_masked` and `masked_segments` then count at 16 kHz; key onsets and positions stay at 8 kHz.
    """
    return _shield(state[row], pcm, out, mode, keys, 2)


@kernel
def conceal_packet(state: ShieldState, row: int, n: int, out: NDArray[np.int16], mode: int) -> None:
    """Write noise for n samples that were not received (loss, or an RFC 4733 event in their place), in any mode.

    The held samples are dropped: the first HOLD_BACK_SAMPLES after the gap are noise as well. The detector's counters
    freeze, and no window reaches over the gap. In a capture, or where a key may be sounding, the mute goes on for 5 ms
    after the gap. n is rounded up to a multiple of 20 for the detector.
    """
    _conceal(state[row], n, out, mode, 1)


@kernel
def conceal_wideband_packet(state: ShieldState, row: int, n: int, out: NDArray[np.int16], mode: int) -> None:
    """Do as `conceal_packet` does for n samples at 16 kHz; n is rounded up to a multiple of 40 for the detector."""
    _conceal(state[row], n, out, mode, 2)


@kernel
def force_mute(state: ShieldState, row: int, samples: int) -> None:
    """Keep the leg muted for at least the next `samples` received, and what is held now."""
    leg = state[row]
    leg.mute_until_samples = max(leg.mute_until_samples, leg.position_samples + samples)


@kernel
def samples_masked(state: ShieldState, row: int) -> int:
    """Return how many samples of the last packet were replaced."""
    return int(state[row].masked_in_packet_samples)


def masked_segments(state: ShieldState, row: int) -> list[tuple[int, int]]:
    """Return the stretches [begin, end) of the last packet's `out` that were replaced."""
    leg = state[row]
    return [(int(leg["segment_begins"][i]), int(leg["segment_ends"][i])) for i in range(leg["segments"])]


@kernel
def mute_open(state: ShieldState, row: int) -> bool:
    """Tell whether the next received sample would be replaced as things stand (MODE_MUTE aside)."""
    return bool(state[row].mute_until_samples > state[row].position_samples)


@kernel
def masked_frame(out: NDArray[np.int16]) -> MaskedFrame:
    """Wrap what `shield_packet` or `conceal_packet` wrote; nothing else may be wrapped."""
    return MaskedFrame(out)


@kernel
def _shield(
    leg: Any, pcm: NDArray[np.int16], out: NDArray[np.int16], mode: int, keys: NDArray[np.uint8], factor: int
) -> int:
    """Shield one packet at factor * 8 kHz; all that is counted here and below is at 8 kHz unless it says otherwise."""
    leg.masked_in_packet_samples = 0
    leg.segments = 0
    if len(pcm) % (factor * STEP_SAMPLES) != 0:
        _fill_whole(leg, out, len(pcm), factor)
        return 0
    n = len(pcm) // factor
    n_keys = 0
    first = 0
    while first < n:
        size = min(CHUNK_SAMPLES, n - first)
        _write_delayed(leg, pcm, out, factor * first, factor * size, factor * HOLD_BACK_SAMPLES)
        start = leg.position_samples
        take_chunk(leg, pcm, first, size, factor)
        n_keys = listen_chunk(leg, leg.heard, 0, size, mode, keys, n_keys)
        _write_mask(leg, out, first, size, start, mode, factor)
        first += size
    return n_keys


@kernel
def _conceal(leg: Any, n: int, out: NDArray[np.int16], mode: int, factor: int) -> None:
    """Fill a gap of n samples at factor * 8 kHz."""
    leg.masked_in_packet_samples = 0
    leg.segments = 0
    sounding = leg.position_samples <= leg.sustain_until_samples
    _fill_whole(leg, out, n, factor)
    if sounding or mode != MODE_GUARD:
        # The last 5 ms of a key may follow the gap: too short a piece to be judged, long enough to be read.
        leg.mute_until_samples += WINDOW_SAMPLES


@kernel
def _write_delayed(
    leg: Any, pcm: NDArray[np.int16], out: NDArray[np.int16], first: int, n: int, n_held: int
) -> None:
    """Write the held samples and all but the last n_held of this chunk to `out`; hold the rest. All at the leg's rate.

    A chunk shorter than the hold-back moves through the held samples as through a pipe.
    """
    held = leg.held
    from_held = min(n, n_held)
    for i in range(from_held):
        out[first + i] = held[i]
    for i in range(n - from_held):
        out[first + from_held + i] = pcm[first + i]
    for i in range(n_held - from_held):
        held[i] = held[from_held + i]
    for i in range(from_held):
        held[n_held - from_held + i] = pcm[first + n - from_held + i]


@kernel
def _write_mask(
    leg: Any, out: NDArray[np.int16], first: int, n: int, start: int, mode: int, factor: int
) -> None:
    """Replace in the chunk of `out` at `first`, whose stream index is start - HOLD_BACK_SAMPLES, what is muted."""
    base = start - HOLD_BACK_SAMPLES
    if mode not in (MODE_GUARD, MODE_CAPTURE):
        leg.mute_until_samples = max(leg.mute_until_samples, base + n)
    done = _replace_from(leg, out, first, 0, min(n, leg.mute_until_samples - base), factor)
    suspects = leg.suspect_hops
    hop = 0
    while suspects != 0:
        if suspects & np.uint32(1) != 0:
            end = start + (hop + 1) * HOP_SAMPLES
            # What the half-band filter lets be heard late began earlier; that it ends late as well harms nobody.
            mute_from = end - WINDOW_SAMPLES - BACK_SAMPLES - (factor - 1) * DELAY_SAMPLES
            if end > leg.mute_until_samples:
                leg.mute_suspects = 0
            leg.mute_suspects += 1
            tail = TAIL_SAMPLES if leg.mute_suspects >= SUSPECTS_FOR_TAIL else BRIEF_TAIL_SAMPLES
            leg.mute_until_samples = max(leg.mute_until_samples, end + tail)
            last = min(n, leg.mute_until_samples - base)
            done = _replace_from(leg, out, first, max(done, mute_from - base), last, factor)
        suspects >>= np.uint32(1)
        hop += 1


@kernel
def _replace_from(leg: Any, out: NDArray[np.int16], first: int, begin: int, end: int, factor: int) -> int:
    """Replace [begin, end) of the chunk of `out` at `first`; return the larger of begin and end."""
    if end > begin:
        _replace(leg, out, factor * (first + begin), factor * (first + end))
    return max(begin, end)


@kernel
def _replace(leg: Any, out: NDArray[np.int16], begin: int, end: int) -> None:
    """Overwrite out[begin:end], at the leg's rate, with comfort noise."""
    noise = leg.filler
    for i in range(begin, end):
        # Numerical Recipes' 32-bit linear congruential generator; its high bits are white enough for noise.
        noise = np.uint32(noise * np.uint32(1664525) + np.uint32(1013904223))
        out[i] = ((np.int64(noise >> np.uint32(16)) - 32768) * NOISE_PEAK) >> 15
    leg.filler = noise
    leg.masked_in_packet_samples += end - begin
    _note_segment(leg, begin, end)


@kernel
def _note_segment(leg: Any, begin: int, end: int) -> None:
    """Add [begin, end) of this packet to its replaced stretches; one too many is joined to the last."""
    last = leg.segments - 1
    if last >= 0 and (leg.segment_ends[last] >= begin or leg.segments == SEGMENTS_PER_PACKET_MAX):
        leg.segment_ends[last] = end
        return
    leg.segment_begins[last + 1] = begin
    leg.segment_ends[last + 1] = end
    leg.segments += 1


@kernel
def _fill_whole(leg: Any, out: NDArray[np.int16], n: int, factor: int) -> None:
    """Replace all of out[:n], drop what is held, and let the stream move on by n samples unknown to the detector."""
    step = factor * STEP_SAMPLES
    skip_chunk(leg, (n + step - 1) // step * STEP_SAMPLES)
    forget_half_band(leg)
    leg.held[:] = 0
    leg.mute_until_samples = max(leg.mute_until_samples, leg.position_samples)
    _replace(leg, out, 0, n)
