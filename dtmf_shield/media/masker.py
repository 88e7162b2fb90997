"""Masker: what a leg may say to the other side. Replaces every stretch that sounds like a key by a filler.

The only file that makes a `MaskedFrame`. Replacement is total: `dsp/filler.py`, cut in hard, its content never drawn
from the input; no filter, attenuation or cross-fade, which all leave the key readable. Output
lags input by a constant 5 ms in every mode, so that entering or leaving a capture splices nothing. Registration of
keys runs on the raw audio in every mode. A 16 kHz leg is judged on its lower half band, 8 kHz, and what is suspect
there is replaced in the whole band; a leg keeps to one rate until it is reset.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.dsp.filler import LEVEL_DBM0, NOISE_PEAK, STYLES, ask_beep, fill, set_style
from dtmf_shield.media.dsp.half_band import DELAY_SAMPLES, forget_half_band, take_chunk
from dtmf_shield.media.dsp.kernel import kernel
from dtmf_shield.media.dsp.lanes import move_samples
from dtmf_shield.media.dsp.leg_state import (
    CHUNK_SAMPLES,
    HOLD_BACK_SAMPLES,
    SEGMENTS_PER_PACKET_MAX,
    SHIELD_STATE_DTYPE,
    ShieldState,
    key_onset_samples,
    reset_row,
)
from dtmf_shield.media.dsp.listening import TAIL_SAMPLES, listen_chunk, skip_chunk
from dtmf_shield.media.dsp.press_quality import follow_tone
from dtmf_shield.media.dsp.suspicion import MODE_CAPTURE, MODE_GUARD, MODE_MUTE
from dtmf_shield.media.dsp.tables import HOP_SAMPLES, KEY_CODES, STEP_SAMPLES, WINDOW_SAMPLES
from dtmf_shield.media.frames import MaskedFrame

__all__ = [
    "HOLD_BACK_SAMPLES",
    "LEVEL_DBM0",
    "MODE_CAPTURE",
    "MODE_GUARD",
    "MODE_MUTE",
    "NOISE_PEAK",
    "SHIELD_STATE_DTYPE",
    "STYLES",
    "ShieldState",
    "beep_once",
    "conceal_packet",
    "conceal_wideband_packet",
    "echo_hold_samples",
    "force_mute",
    "key_onset_samples",
    "key_sounds",
    "masked_frame",
    "masked_segments",
    "mute_open",
    "reset_shield",
    "samples_masked",
    "set_echo_hold",
    "set_style",
    "shield_packet",
    "shield_wideband_packet",
    "sounding_key",
]

# A suspect window mutes from 3.25 ms before its start: one hop, and 2 ms that would name a key (6 dB under noise).
BACK_SAMPLES = 26
# A mute that only a few hops asked for is mostly speech: it closes 4 ms after the last of them. From the fourth on
# (9 ms of tone) it stays for TAIL_SAMPLES, over any weak spot of a key.
SUSPECTS_FOR_TAIL = 4
BRIEF_TAIL_SAMPLES = 32
# In a capture a tone that is surely one is muted for at least 120 ms and in whole steps of 20 ms, so that the mask does
# not tell how long the key was pressed, and until its echo on the same line has died away.
MUTE_MIN_SAMPLES = 960
MUTE_STEP_SAMPLES = 160
# Echo of a line (30-60 ms) on the leg itself and on the other one; two legs of packets take up to 300 ms.
ECHO_HOLD_SAMPLES = 480

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
def beep_once(state: ShieldState, row: int) -> None:
    """Let the mute that is open beep where the leg's style says so: for a key that was told, not heard."""
    ask_beep(state[row], state[row].position_samples)


@kernel
def key_sounds(state: ShieldState, row: int) -> bool:
    """Tell whether the last packet held a tone that is surely one (9 ms or more of it), key or not."""
    return bool(state[row].key_sounds != 0)


def set_echo_hold(state: ShieldState, samples: int) -> None:
    """Set for every row of `state` how long after a key its echo is masked, at 8 kHz; 0 for no longer than a tail."""
    state["echo_hold_samples"] = samples if samples > 0 else -1


@kernel
def echo_hold_samples(state: ShieldState, row: int) -> int:
    """Return how long after a key its echo is masked, at 8 kHz; 0 for none."""
    hold = int(state[row].echo_hold_samples)
    return ECHO_HOLD_SAMPLES if hold == 0 else max(0, hold)


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
def _shield(
    leg: Any, pcm: NDArray[np.int16], out: NDArray[np.int16], mode: int, keys: NDArray[np.uint8], factor: int
) -> int:
    """Shield one packet at factor * 8 kHz; all that is counted here and below is at 8 kHz unless it says otherwise."""
    leg.masked_in_packet_samples = 0
    leg.segments = 0
    leg.key_sounds = 0
    if len(pcm) % (factor * STEP_SAMPLES) != 0:
        _fill_whole(leg, out, len(pcm), mode, factor)
        return 0
    n = len(pcm) // factor
    n_keys = 0
    first = 0
    while first < n:
        size = min(CHUNK_SAMPLES, n - first)
        _write_delayed(leg, pcm, out, factor * first, factor * size, factor * HOLD_BACK_SAMPLES)
        start = leg.position_samples
        take_chunk(leg, pcm, first, size, factor)
        n_keys = listen_chunk(leg, size, mode, keys, n_keys)
        _write_mask(leg, out, first, size, start, mode, factor)
        if mode == MODE_CAPTURE:
            follow_tone(leg, size)
        first += size
    return n_keys


@kernel
def _conceal(leg: Any, n: int, out: NDArray[np.int16], mode: int, factor: int) -> None:
    """Fill a gap of n samples at factor * 8 kHz."""
    leg.masked_in_packet_samples = 0
    leg.segments = 0
    leg.key_sounds = 0
    sounding = leg.position_samples <= leg.sustain_until_samples
    _fill_whole(leg, out, n, mode, factor)
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
    move_samples(out, first, held, 0, from_held)
    move_samples(out, first + from_held, pcm, first, n - from_held)
    move_samples(held, 0, held, from_held, n_held - from_held)
    move_samples(held, n_held - from_held, pcm, first + n - from_held, from_held)


@kernel
def _write_mask(
    leg: Any, out: NDArray[np.int16], first: int, n: int, start: int, mode: int, factor: int
) -> None:
    """Replace in the chunk of `out` at `first`, whose stream index is start - HOLD_BACK_SAMPLES, what is muted."""
    base = start - HOLD_BACK_SAMPLES
    if mode not in (MODE_GUARD, MODE_CAPTURE):
        leg.mute_until_samples = max(leg.mute_until_samples, base + n)
        leg.beep_left = 0  # a leg that is silent altogether does not tell when keys sound on it
    done = _replace_from(leg, out, first, 0, min(n, leg.mute_until_samples - base), base, factor)
    suspects = leg.suspect_hops
    hop = 0
    while suspects != 0:
        if suspects & np.uint32(1) != 0:
            end = start + (hop + 1) * HOP_SAMPLES
            # What the half-band filter lets be heard late began earlier; that it ends late as well harms nobody.
            mute_from = end - WINDOW_SAMPLES - BACK_SAMPLES - (factor - 1) * DELAY_SAMPLES
            _extend_mute(leg, mute_from, end, mode)
            last = min(n, leg.mute_until_samples - base)
            done = _replace_from(leg, out, first, max(done, mute_from - base), last, base, factor)
        suspects >>= np.uint32(1)
        hop += 1


@kernel
def _extend_mute(leg: Any, mute_from: int, end: int, mode: int) -> None:
    """Count the suspect window that ends at `end` and move the mute's end on."""
    if end > leg.suspected_until_samples:
        leg.mute_suspects = 0
        leg.mute_opened_samples = mute_from
    leg.mute_suspects += 1
    sure = leg.mute_suspects >= SUSPECTS_FOR_TAIL
    leg.suspected_until_samples = end + (TAIL_SAMPLES if sure else BRIEF_TAIL_SAMPLES)
    until = leg.suspected_until_samples
    if sure:
        leg.key_sounds = 1
        if mode in (MODE_GUARD, MODE_CAPTURE):
            ask_beep(leg, end)
        if mode == MODE_CAPTURE:
            hold = leg.echo_hold_samples if leg.echo_hold_samples != 0 else ECHO_HOLD_SAMPLES
            length = max(MUTE_MIN_SAMPLES, max(until, end + hold) - leg.mute_opened_samples)
            steps = (length + MUTE_STEP_SAMPLES - 1) // MUTE_STEP_SAMPLES
            until = leg.mute_opened_samples + steps * MUTE_STEP_SAMPLES
    leg.mute_until_samples = max(leg.mute_until_samples, until)


@kernel
def _replace_from(
    leg: Any, out: NDArray[np.int16], first: int, begin: int, end: int, base: int, factor: int
) -> int:
    """Replace [begin, end) of the chunk at `first`, stream index `base`; return the larger of begin and end."""
    if end > begin:
        _replace(leg, out, factor * (first + begin), factor * (first + end), base + begin, factor)
    return max(begin, end)


@kernel
def _replace(leg: Any, out: NDArray[np.int16], begin: int, end: int, at: int, factor: int) -> None:
    """Replace out[begin:end], at the leg's rate, whose stream index is `at`, and note it."""
    fill(leg, out, begin, end, at, factor)
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
def _fill_whole(leg: Any, out: NDArray[np.int16], n: int, mode: int, factor: int) -> None:
    """Replace all of out[:n], drop what is held, and let the stream move on by n samples unknown to the detector."""
    step = factor * STEP_SAMPLES
    at = leg.position_samples - HOLD_BACK_SAMPLES
    skip_chunk(leg, (n + step - 1) // step * STEP_SAMPLES)
    forget_half_band(leg)
    leg.held[:] = 0
    leg.mute_until_samples = max(leg.mute_until_samples, leg.position_samples)
    if mode not in (MODE_GUARD, MODE_CAPTURE):
        leg.beep_left = 0
    _replace(leg, out, 0, n, at, factor)
