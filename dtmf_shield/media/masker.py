"""Masker: what a leg may say to the other side. Replaces every stretch that sounds like a key by comfort noise.

The only file that makes a `MaskedFrame`. Replacement is total: noise of one level, cut in hard, its content from a
generator that never sees the input; no filter, attenuation or cross-fade, which all leave the key readable. Output
lags input by a constant `HOLD_BACK_SAMPLES` in every mode, so that entering or leaving a capture splices nothing.
Registration of keys runs on the raw audio in every mode.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from dtmf_shield.media.dsp.tables import HOP_SAMPLES, KEY_CODES, STEP_SAMPLES, WINDOW_SAMPLES
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
    "force_mute",
    "key_onset_samples",
    "masked_frame",
    "masked_segments",
    "mute_open",
    "reset_shield",
    "samples_masked",
    "shield_packet",
    "sounding_key",
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

    pcm: int16 (n,), raw, 8 kHz, n a multiple of 20 (any other length is masked whole and not judged).
    out: int16 (n,), masked, HOLD_BACK_SAMPLES behind pcm.
    mode: MODE_MUTE (noise only), MODE_GUARD (outside a capture) or MODE_CAPTURE; any other value mutes.
    keys: uint8 (16,), the first (result) entries are ASCII codes of keys; at most 4 a packet.
    """
    leg = state[row]
    n = len(pcm)
    leg.masked_in_packet_samples = 0
    leg.segments = 0
    if n % STEP_SAMPLES != 0:
        _fill_whole(leg, out, n)
        return 0
    n_keys = 0
    first = 0
    while first < n:
        size = min(CHUNK_SAMPLES, n - first)
        _write_delayed(leg, pcm, out, first, size)
        start = leg.position_samples
        n_keys = listen_chunk(leg, pcm, first, size, mode, keys, n_keys)
        _write_mask(leg, out, first, size, start, mode)
        first += size
    return n_keys


@kernel
def conceal_packet(state: ShieldState, row: int, n: int, out: NDArray[np.int16], mode: int) -> None:
    """Write noise for n samples that were not received (loss, or an RFC 4733 event in their place), in any mode.

    The held samples are dropped: the first HOLD_BACK_SAMPLES after the gap are noise as well. The detector's counters
    freeze, and no window reaches over the gap. In a capture, or where a key may be sounding, the mute goes on for 5 ms
    after the gap. n is rounded up to a multiple of 20 for the detector.
    """
    leg = state[row]
    leg.masked_in_packet_samples = 0
    leg.segments = 0
    sounding = leg.position_samples <= leg.sustain_until_samples
    _fill_whole(leg, out, n)
    if sounding or mode != MODE_GUARD:
        # The last 5 ms of a key may follow the gap: too short a piece to be judged, long enough to be read.
        leg.mute_until_samples += WINDOW_SAMPLES


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
def sounding_key(state: ShieldState, row: int) -> int:
    """Return the ASCII code of the key that registered and has not ended, 0 for none."""
    key = state[row].open_key
    return int(KEY_CODES[key - 1]) if key > 0 else 0


@kernel
def masked_frame(out: NDArray[np.int16]) -> MaskedFrame:
    """Wrap what `shield_packet` or `conceal_packet` wrote; nothing else may be wrapped."""
    return MaskedFrame(out)


@kernel
def _write_delayed(leg: Any, pcm: NDArray[np.int16], out: NDArray[np.int16], first: int, n: int) -> None:
    """Write the held samples and all but the last HOLD_BACK_SAMPLES of this chunk to `out`; hold the rest.

    A chunk shorter than the hold-back moves through the held samples as through a pipe.
    """
    held = leg.held
    from_held = min(n, HOLD_BACK_SAMPLES)
    for i in range(from_held):
        out[first + i] = held[i]
    for i in range(n - from_held):
        out[first + from_held + i] = pcm[first + i]
    for i in range(HOLD_BACK_SAMPLES - from_held):
        held[i] = held[from_held + i]
    for i in range(from_held):
        held[HOLD_BACK_SAMPLES - from_held + i] = pcm[first + n - from_held + i]


@kernel
def _write_mask(leg: Any, out: NDArray[np.int16], first: int, n: int, start: int, mode: int) -> None:
    """Replace in out[first:first + n], whose first sample is stream index start - HOLD_BACK_SAMPLES, what is muted."""
    base = start - HOLD_BACK_SAMPLES
    if mode not in (MODE_GUARD, MODE_CAPTURE):
        leg.mute_until_samples = max(leg.mute_until_samples, base + n)
    done = _replace(leg, out, first, 0, min(n, leg.mute_until_samples - base))
    suspects = leg.suspect_hops
    hop = 0
    while suspects != 0:
        if suspects & np.uint32(1) != 0:
            end = start + (hop + 1) * HOP_SAMPLES
            mute_from = end - WINDOW_SAMPLES - BACK_SAMPLES
            if end > leg.mute_until_samples:
                leg.mute_suspects = 0
            leg.mute_suspects += 1
            tail = TAIL_SAMPLES if leg.mute_suspects >= SUSPECTS_FOR_TAIL else BRIEF_TAIL_SAMPLES
            leg.mute_until_samples = max(leg.mute_until_samples, end + tail)
            last = min(n, leg.mute_until_samples - base)
            done = _replace(leg, out, first, max(done, mute_from - base), last)
        suspects >>= np.uint32(1)
        hop += 1


@kernel
def _replace(leg: Any, out: NDArray[np.int16], first: int, begin: int, end: int) -> int:
    """Overwrite out[first + begin:first + end] with comfort noise; return the larger of begin and end."""
    noise = leg.filler
    for i in range(begin, end):
        # Numerical Recipes' 32-bit linear congruential generator; its high bits are white enough for noise.
        noise = np.uint32(noise * np.uint32(1664525) + np.uint32(1013904223))
        out[first + i] = ((np.int64(noise >> np.uint32(16)) - 32768) * NOISE_PEAK) >> 15
    leg.filler = noise
    if end > begin:
        leg.masked_in_packet_samples += end - begin
        _note_segment(leg, first + begin, first + end)
    return max(begin, end)


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
def _fill_whole(leg: Any, out: NDArray[np.int16], n: int) -> None:
    """Replace all of out[:n], drop what is held, and let the stream move on by n samples unknown to the detector."""
    steps = (n + STEP_SAMPLES - 1) // STEP_SAMPLES
    skip_chunk(leg, steps * STEP_SAMPLES)
    leg.held[:] = 0
    leg.mute_until_samples = max(leg.mute_until_samples, leg.position_samples)
    _replace(leg, out, 0, 0, n)
