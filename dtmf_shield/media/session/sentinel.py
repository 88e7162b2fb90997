"""The sentinel: a second ear behind the mask, on what leaves of callers. A key it hears is a fault: the leg is closed.

It listens to the packets as they lie ready to be sent, decoded again: behind every step that follows the mask,
resampling, mixing and encoding for either codec. Where none leaves but the recording goes on, as with a flow before an
agent has come, it listens to what the recorder gets.

Its detector is the mask's own, with a state of its own: it finds faults of wiring, state and timing. What that
detector cannot hear, and pieces of keys too short to be told, it does not hear either.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.codecs.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from dtmf_shield.media.codecs.g722 import LEAP_OCTAVES, decode_g722, encode_g722
from dtmf_shield.media.detector import detect_packet, detect_wideband_packet
from dtmf_shield.media.masker import MODE_CAPTURE
from dtmf_shield.media.rtp.clock import NS_A_MS, TIMESTAMP_MODULUS
from dtmf_shield.media.rtp.kernel import kernel
from dtmf_shield.media.rtp.packet import HEADER_BYTES, parse_packet
from dtmf_shield.media.session.ears import HEARD_KEYS, NEXT_ROW, Ears, begin_frame, wipe_ear
from dtmf_shield.media.session.legs import (
    CODEC_G722,
    CODEC_PCMU,
    EVENT_KEY_AFTER_MASK,
    PACKETS_OUT_MAX,
    Tables,
    post_event,
)

TURN_NS: Final = 5_000 * NS_A_MS
"""A leg that is in no capture is listened to for so long; then another one has its turn."""
CLOSED_NS: Final = 30_000 * NS_A_MS
"""A leg is silent for so long after a key was heard on it: a card is keyed meanwhile, or somebody has looked."""


@kernel
def listen_behind_mask(tables: Tables, ears: Ears, index: int, first_tap: int, now_ns: int) -> None:
    """Listen to what was made of a packet from the leg at `index`, which has an ear, before anything of it is sent.

    `first_tap`: cells that the recorder's ring had been given before. Where a key is heard, silence takes the place of
    all that lies in `tables.out`.
    """
    n_packets = tables.out_bytes[PACKETS_OUT_MAX]
    n_keys = 0
    for at in range(n_packets):
        n_keys += _hear_packet(tables, ears, index, tables.out[at], tables.out_bytes[at])
    if n_packets == 0:
        for cell in range(first_tap, tables.taps.heads[0]):
            n_keys += _hear_recorded(tables, ears, index, cell % len(tables.taps.cells))
    if n_keys > 0:
        ears.totals[HEARD_KEYS] += n_keys
        tables.legs[index].closed_until_ns = now_ns + CLOSED_NS
        post_event(tables, EVENT_KEY_AFTER_MASK, index, 0, 0, 0, 0)
        for at in range(n_packets):
            _silence(tables, index ^ 1, tables.out[at][HEADER_BYTES : tables.out_bytes[at]])


@kernel
def _hear_packet(tables: Tables, ears: Ears, index: int, packet: NDArray[np.uint8], size: int) -> int:
    """Listen to the audio of a packet to the phone of the leg's peer; return how many keys registered, all wiped."""
    at, codec = tables.legs[index].ear - 1, tables.legs[index ^ 1].codec
    header = parse_packet(packet, size)
    codes = packet[header.payload_at : header.payload_at + header.payload_bytes]
    n = len(codes)
    begin_frame(ears, at, codec, header.timestamp, n)
    heard = tables.wide[: 2 * n if codec == CODEC_G722 else n]
    if codec == CODEC_G722:
        decode_g722(ears.decoders, at, codes, heard, LEAP_OCTAVES)
        n_keys = detect_wideband_packet(ears.detectors, at, heard, tables.keys)
    else:
        if codec == CODEC_PCMU:
            decode_ulaw(codes, heard)
        else:
            decode_alaw(codes, heard)
        n_keys = detect_packet(ears.detectors, at, heard, tables.keys)
    tables.keys[:] = 0
    return n_keys


@kernel
def _hear_recorded(tables: Tables, ears: Ears, index: int, at_cell: int) -> int:
    """Listen to a cell of the recorder's ring; return how many keys registered, all wiped."""
    at, cell = tables.legs[index].ear - 1, tables.taps.cells[at_cell]
    n = int(np.int64(cell.n_samples))
    begin_frame(ears, at, CODEC_PCMU, cell.position_samples % TIMESTAMP_MODULUS, n)
    heard = tables.wide[:n]
    samples = cell.samples
    for place in range(n):
        heard[place] = samples[place]
    n_keys = detect_packet(ears.detectors, at, heard, tables.keys)
    tables.keys[:] = 0
    return n_keys


@kernel
def _silence(tables: Tables, target: int, codes: NDArray[np.uint8]) -> None:
    """Encode silence for the phone of the leg at `target` in the place of `codes`."""
    codec = tables.legs[target].codec
    silence = tables.wide[: 2 * len(codes) if codec == CODEC_G722 else len(codes)]
    silence[:] = 0
    if codec == CODEC_G722:
        encode_g722(tables.encoders, target, silence, codes)
    elif codec == CODEC_PCMU:
        encode_ulaw(silence, codes)
    else:
        encode_alaw(silence, codes)


@kernel
def post_sentinels(tables: Tables, ears: Ears, now_ns: int) -> None:
    """Choose the callers' legs to listen to: those in a capture at once, of the others each in turn."""
    posts = ears.posts
    for at in range(len(posts)):
        leg = posts[at].leg - 1
        if leg >= 0 and tables.legs[leg].mode != MODE_CAPTURE and now_ns - posts[at].since_ns >= TURN_NS:
            let_go(tables, ears, leg)
    for index in range(0, len(tables.legs), 2):
        leg = tables.legs[index]
        if leg.active and leg.mode == MODE_CAPTURE and leg.ear == 0:
            _take(tables, ears, index, _ear_for_capture(tables, ears, now_ns), now_ns)
    _give_turns(tables, ears, now_ns)


@kernel
def let_go(tables: Tables, ears: Ears, index: int) -> None:
    """Listen no more to the leg at `index`, if anybody did, and wipe what was heard of it."""
    leg = tables.legs[index]
    if leg.ear > 0:
        wipe_ear(ears, leg.ear - 1)
        leg.ear = 0


@kernel
def _take(tables: Tables, ears: Ears, index: int, at: int, now_ns: int) -> None:
    """Let the ear `at` listen to the leg at `index` from now on; -1: there is none."""
    if at < 0:
        return
    post = ears.posts[at]
    if post.leg > 0:
        let_go(tables, ears, post.leg - 1)
    post.leg = index + 1
    post.since_ns = now_ns
    tables.legs[index].ear = at + 1


@kernel
def _ear_for_capture(tables: Tables, ears: Ears, now_ns: int) -> int:
    """Return a free ear, else the longest one on a leg in no capture, else on one whose turn is over, else -1."""
    best, best_rank, best_ns = -1, 0, 0
    for at in range(len(ears.posts)):
        post = ears.posts[at]
        if post.leg == 0:
            return at
        spent_ns = now_ns - post.since_ns
        rank = 0
        if tables.legs[post.leg - 1].mode != MODE_CAPTURE:
            rank = 2
        elif spent_ns >= TURN_NS:
            rank = 1
        if rank > best_rank or (rank == best_rank and rank > 0 and spent_ns > best_ns):
            best, best_rank, best_ns = at, rank, spent_ns
    return best


@kernel
def _give_turns(tables: Tables, ears: Ears, now_ns: int) -> None:
    """Give free ears to the next legs that have been heard of and have none."""
    posts, totals = ears.posts, ears.totals
    n_rows = len(tables.legs) // 2
    first = totals[NEXT_ROW]
    at = 0
    for step in range(n_rows):
        while at < len(posts) and posts[at].leg > 0:
            at += 1
        if at == len(posts):
            return
        row = (first + step) % n_rows
        leg = tables.legs[2 * row]
        if leg.active and leg.started and leg.ear == 0:
            _take(tables, ears, 2 * row, at, now_ns)
            totals[NEXT_ROW] = (row + 1) % n_rows
