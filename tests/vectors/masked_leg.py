"""The one place where tests and benches call the masker in a loop: compiled, so that no Python call is timed.

A change of the masker's arguments is made here and nowhere else. Kernels are cached with the media process's own.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.dsp.kernel import kernel
from dtmf_shield.media.masker import (
    ShieldState,
    conceal_packet,
    conceal_wideband_packet,
    force_mute,
    key_onset_samples,
    shield_packet,
    shield_wideband_packet,
)

KEYS_PER_PACKET_MAX = 16
HEARD_DTYPE = np.dtype([("key", np.uint8), ("registered", np.int64), ("onset", np.int64)])


@kernel
def shield(
    state: ShieldState,
    row: int,
    pcm: NDArray[np.int16],
    out: NDArray[np.int16],
    mode: int,
    keys: NDArray[np.uint8],
) -> int:
    """Pass one packet through the masker; return how many keys registered."""
    return shield_packet(state, row, pcm, out, mode, keys)


@kernel
def _note_masked(leg: Any, masked: NDArray[np.uint8], start: int) -> None:
    for i in range(leg.segments):
        masked[start + leg.segment_begins[i] : start + leg.segment_ends[i]] = 1


@kernel
def run_leg(
    state: ShieldState,
    pcm: NDArray[np.int16],
    lost: NDArray[np.bool_],
    mutes: NDArray[np.int64],
    packet_samples: int,
    wideband: bool,
    mode: int,
    out: NDArray[np.int16],
    masked: NDArray[np.uint8],
    heard: NDArray[np.void],
) -> int:
    """Run row 0 of `state` over `pcm`, shape (n_samples,), whole packets; return how many keys were heard.

    wideband: `pcm` is at 16 kHz.

    lost: bool (n_packets,). mutes: int64 (n_packets,), for how long the decoder asks for silence from each packet on,
    in samples at 8 kHz. out, masked: (n_samples,); masked is set to 1 where `out` was replaced. heard: HEARD_DTYPE,
    filled up to its length.
    """
    keys = np.zeros(KEYS_PER_PACKET_MAX, np.uint8)
    n_heard = 0
    for number in range(len(pcm) // packet_samples):
        start = number * packet_samples
        end = start + packet_samples
        if lost[number]:
            if wideband:
                conceal_wideband_packet(state, 0, packet_samples, out[start:end], mode)
            else:
                conceal_packet(state, 0, packet_samples, out[start:end], mode)
            _note_masked(state[0], masked, start)
            continue
        if mutes[number] > 0:
            force_mute(state, 0, mutes[number])
        if wideband:
            n_keys = shield_wideband_packet(state, 0, pcm[start:end], out[start:end], mode, keys)
        else:
            n_keys = shield(state, 0, pcm[start:end], out[start:end], mode, keys)
        _note_masked(state[0], masked, start)
        for i in range(n_keys):
            if n_heard < len(heard):
                heard[n_heard].key = keys[i]
                heard[n_heard].registered = end
                heard[n_heard].onset = key_onset_samples(state, 0, i)
            n_heard += 1
    return n_heard


@kernel
def run_streams(
    state: ShieldState,
    audio: NDArray[np.int16],
    offsets: NDArray[np.int64],
    n_packets: int,
    mode: int,
    out: NDArray[np.int16],
) -> int:
    """Run every stream (a row of `state`) for n_packets of 20 ms, all streams once a tick, as a media shard does.

    Stream s begins at audio[offsets[s]] and wraps around; audio carries its first 160 samples again at its end.
    out: int16 (160,). Returns how many keys were heard.
    """
    keys = np.zeros(KEYS_PER_PACKET_MAX, np.uint8)
    length = len(audio) - 160
    n_heard = 0
    for packet in range(n_packets):
        for stream in range(len(offsets)):
            start = (offsets[stream] + packet * 160) % length
            n_heard += shield(state, stream, audio[start : start + 160], out, mode, keys)
    return n_heard
