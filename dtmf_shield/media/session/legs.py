"""The tables of a shard: one record a leg, the work arrays of the packet in hand, the ring of events.

Leg index = 2 * row + (role is agent); the peer is index ^ 1. What a record says of *sending* concerns packets to that
leg's phone; what it says of *input* concerns packets from it. Everything but the tap ring is red.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.account_data.slots import REGION_BYTES
from dtmf_shield.account_data.star_code import STAR_CODE_KEYS_MAX, STAR_CODES_MAX
from dtmf_shield.media.codecs.g722 import G722_STATE_DTYPE
from dtmf_shield.media.codecs.resampling import DOUBLING_STATE_DTYPE, HALVING_STATE_DTYPE
from dtmf_shield.media.frames import FRAME_SAMPLES_MAX
from dtmf_shield.media.masker import SHIELD_STATE_DTYPE
from dtmf_shield.media.recorder import TapRing
from dtmf_shield.media.rtp.kernel import fence, kernel
from dtmf_shield.media.rtp.packet import PACKET_BYTES_MAX
from dtmf_shield.media.rtp.telephone_event import PRESS_DTYPE, PRESSES_KEPT

PACKETS_OUT_MAX: Final = 16
"""Packets one received packet may give: itself and fillers for what is missing before it."""
KEYS_REMEMBERED: Final = 8
"""Keys of a leg kept for joining two doors: more cannot be pressed within the time they are kept."""
STAR_KEYS_MAX: Final = STAR_CODE_KEYS_MAX
"""How many keys of an agent leg are looked at."""
EVENT_CELLS: Final = 4096
"""Event records on their way to the process: a second of a hundred calls is some hundreds."""
ADDRESS_BYTES: Final = 32
"""Room for a sockaddr_in6 (28 bytes)."""

CODEC_PCMU: Final = 0
CODEC_PCMA: Final = 1
CODEC_G722: Final = 2
DIRECTION_SENDRECV: Final = 0
DIRECTION_SENDONLY: Final = 1
DIRECTION_RECVONLY: Final = 2
DIRECTION_INACTIVE: Final = 3

EVENT_SHIELD_CHANGED: Final = 1
EVENT_KEYS_WRITTEN: Final = 2
EVENT_STAR_CODE: Final = 3
EVENT_SLOT_ARMED: Final = 4
EVENT_CALL_CLOSED: Final = 5
EVENT_PROMPT_ENDED: Final = 6
EVENT_LINE_HINT: Final = 7
EVENT_KEY_AFTER_MASK: Final = 8

PIECES_MAX: Final = 64
"""Pieces of one prompt: a sentence with an amount, a card's last four digits and a reference has some thirty."""

LEG_DTYPE: Final = np.dtype(
    [
        ("active", np.int64),
        ("generation", np.int64),  # of the call on this row
        ("mode", np.int64),
        ("ear", np.int64),  # 1 + number of the sentinel's ear on what leaves of it, 0 for none (caller legs)
        ("closed_until_ns", np.int64),  # nothing but silence leaves of it before
        # Agreed by signalling.
        ("has_stream", np.int64),
        ("direction", np.int64),
        ("codec", np.int64),
        ("payload_type", np.int64),
        ("event_payload_type", np.int64),
        ("socket_index", np.int64),
        ("address_bytes", np.int64),
        # Input.
        ("started", np.int64),
        ("ssrc", np.int64),
        ("sequence", np.int64),  # highest seen
        ("frame_samples", np.int64),  # of the last audio packet, or ptime, at 8 kHz
        ("timestamp_offset", np.int64),  # timestamp sent to the peer = timestamp received + this, mod 2^32
        ("packets_missing", np.int64),  # since the last audio packet
        ("late_run", np.int64),  # packets in sequence whose time is past
        ("event_since_audio", np.int64),
        ("audio_beside_events", np.int64),  # this phone sends audio while it sends events
        ("filled_ns", np.int64),  # when the peer's timeline was last moved on
        ("jitter_timestamp", np.int64),  # of the audio packet that came last
        ("jitter_arrived_ns", np.int64),  # and when, 0 for none
        ("jitter_sixteenths_ns", np.int64),
        ("paced", np.int64),  # by a prompt's frames: the next packet from here is laid on anew
        # Sending.
        ("send_ssrc", np.int64),
        ("send_sequence", np.int64),  # of the next packet
        ("send_timestamp", np.int64),  # of the next slot not yet filled
        ("send_marker", np.int64),  # the next packet starts a talk spurt
        # Keys heard lately, for joining doors.
        ("key_next", np.int64),
        ("key_codes", np.uint8, (KEYS_REMEMBERED,)),
        ("key_doors", np.uint8, (KEYS_REMEMBERED,)),
        ("key_onsets", np.int64, (KEYS_REMEMBERED,)),  # in samples of the shield's clock
        ("key_heard_ns", np.int64, (KEYS_REMEMBERED,)),
        ("press_from", np.int64),  # the event press last seen, on the shield's clock
        ("press_until", np.int64),
        ("cut_key", np.int64),  # ASCII code of the tone that sounded when the source changed, 0 for none
        # Star codes (agent legs).
        ("star_count", np.int64),
        ("star_heard_ns", np.int64),
        ("star_keys", np.uint8, (STAR_KEYS_MAX,)),
        # Digit slot (caller legs): its number plus one, 0 for none.
        ("slot", np.int64),
        ("slot_generation", np.int64),
        # Hints about how its keys arrive: told since the slot was armed; counters when a half dozen began.
        ("hints_told", np.int64),
        ("hint_since_ns", np.int64),  # the first of them
        ("hint_presses", np.int64),
        ("hint_short", np.int64),
        ("hint_weak", np.int64),
        ("hint_noisy", np.int64),
        ("hint_received", np.int64),
        ("hint_missing", np.int64),
        ("hint_events", np.int64),
        # Recording.
        ("recording", np.int64),
        ("recording_started_ns", np.int64),
        ("recording_placed", np.int64),
        ("recording_origin", np.int64),  # timestamp sent that lies at the start of the recording, mod 2^32
        ("recording_position", np.int64),  # samples recorded, so that timestamps may wrap
        ("recording_dropped", np.int64),
        # Counters.
        ("received", np.int64),
        ("sent", np.int64),
        ("send_failed", np.int64),
        ("lost", np.int64),
        ("late", np.int64),
        ("bad_source", np.int64),
        ("malformed", np.int64),
        ("events_removed", np.int64),
        ("masked_samples", np.int64),
        ("jitter_us", np.int64),  # of the moment; no counter
        ("keys_tones", np.int64),  # keys by the door that told them first
        ("keys_events", np.int64),
    ],
    align=True,
)


PLAY_DTYPE: Final = np.dtype(
    [
        ("playing", np.int64),
        ("play_id", np.int64),
        ("loop", np.int64),
        ("barge_in", np.int64),  # a key of the leg ends it
        ("n_pieces", np.int64),
        ("piece", np.int64),
        ("sample_at", np.int64),  # within the piece, at 8 kHz
        ("starts", np.int64, (PIECES_MAX,)),  # in the pool, at 8 kHz
        ("lengths", np.int64, (PIECES_MAX,)),
    ],
    align=True,
)


class Tables(NamedTuple):
    """Everything the kernels work on. One writer: the shard's thread (before it starts: its maker)."""

    legs: NDArray[Any]
    """Records of LEG_DTYPE, shape (2 * n_rows,)."""
    shields: NDArray[Any]
    """Records of SHIELD_STATE_DTYPE, shape (2 * n_rows,)."""
    decoders: NDArray[Any]
    """G722_STATE_DTYPE of each leg's input, shape (2 * n_rows,). Zero bytes where the leg speaks G.711."""
    encoders: NDArray[Any]
    """G722_STATE_DTYPE of what is sent to each leg's phone, shape (2 * n_rows,)."""
    halvings: NDArray[Any]
    """HALVING_STATE_DTYPE of each leg's masked input on its way to 8 kHz, shape (2 * n_rows,)."""
    doublings: NDArray[Any]
    """DOUBLING_STATE_DTYPE of each leg's masked input on its way to 16 kHz, shape (2 * n_rows,)."""
    presses: NDArray[Any]
    """Records of PRESS_DTYPE, shape (2 * n_rows, PRESSES_KEPT), the newest press of a leg first."""
    addresses: NDArray[np.uint8]
    """sockaddr of each leg's phone, shape (2 * n_rows, ADDRESS_BYTES)."""
    slots: NDArray[np.uint8]
    """The digit slots, shape (REGION_BYTES,), shared with cde."""
    star_codes: NDArray[np.uint8]
    """ASCII keys, shape (STAR_CODES_MAX, STAR_KEYS_MAX)."""
    star_lengths: NDArray[np.int64]
    """Shape (STAR_CODES_MAX,); 0 for no code."""
    packet: NDArray[np.uint8]
    """The received packet, shape (PACKET_BYTES_MAX,)."""
    raw: NDArray[np.int16]
    """Its audio, shape (FRAME_SAMPLES_MAX,)."""
    masked: NDArray[np.int16]
    """What may leave of it, shape (FRAME_SAMPLES_MAX,)."""
    narrow: NDArray[np.int16]
    """That at 8 kHz, where it came at 16, shape (FRAME_SAMPLES_MAX,)."""
    wide: NDArray[np.int16]
    """That at 16 kHz, where it came at 8 and leaves as G.722, shape (FRAME_SAMPLES_MAX,)."""
    keys: NDArray[np.uint8]
    """Keys registered in it, shape (16,)."""
    out: NDArray[np.uint8]
    """Packets to send to the other leg, shape (PACKETS_OUT_MAX, PACKET_BYTES_MAX)."""
    out_bytes: NDArray[np.int64]
    """Their lengths, shape (PACKETS_OUT_MAX + 1,); the last entry is how many there are."""
    events: NDArray[np.int32]
    """Event records, shape (EVENT_CELLS, 8): kind, row, call generation, then four numbers of the kind; never a key."""
    event_heads: NDArray[np.int64]
    """Shape (3,): records posted, records taken (by the reader), records lost to a full ring."""
    taps: TapRing
    plays: NDArray[Any]
    """PLAY_DTYPE of what each leg hears, shape (2 * n_rows,)."""
    play_count: NDArray[np.int64]
    """Shape (1,): legs that hear a prompt."""
    prompts: NDArray[np.int16]
    """The pool of prompts, PCM at 8 kHz, shape (n,). Written by the process, read by the shard."""
    prompts_wide: NDArray[np.int16]
    """The same at 16 kHz, shape (2 * n,)."""


Take = Callable[[tuple[int, ...], Any], NDArray[Any]]
"""Gives a zeroed array of a shape and dtype; for red arrays out of locked memory."""


def make_tables(
    n_rows: int,
    star_codes: tuple[str, ...],
    slots: NDArray[np.uint8],
    taps: TapRing,
    take: Take,
    prompt_samples: int = 0,
) -> Tables:
    """Lay out the tables for `n_rows` calls and a pool of `prompt_samples` (8 kHz) for prompts.

    Raises ValueError for star codes beyond the limits.
    """
    if len(star_codes) > STAR_CODES_MAX or any(not 0 < len(code) <= STAR_KEYS_MAX for code in star_codes):
        raise ValueError(f"at most {STAR_CODES_MAX} star codes of 1-{STAR_KEYS_MAX} keys")
    if slots.shape != (REGION_BYTES,):
        raise ValueError("the slots are not a slot region")
    n_legs = 2 * n_rows
    codes, lengths = take((STAR_CODES_MAX, STAR_KEYS_MAX), np.uint8), take((STAR_CODES_MAX,), np.int64)
    for index, code in enumerate(star_codes):
        codes[index, : len(code)] = np.frombuffer(code.encode("ascii"), np.uint8)
        lengths[index] = len(code)
    return Tables(
        legs=take((n_legs,), LEG_DTYPE),
        shields=take((n_legs,), SHIELD_STATE_DTYPE),
        decoders=take((n_legs,), G722_STATE_DTYPE),
        encoders=take((n_legs,), G722_STATE_DTYPE),
        halvings=take((n_legs,), HALVING_STATE_DTYPE),
        doublings=take((n_legs,), DOUBLING_STATE_DTYPE),
        presses=take((n_legs, PRESSES_KEPT), PRESS_DTYPE),
        addresses=take((n_legs, ADDRESS_BYTES), np.uint8),
        slots=slots,
        star_codes=codes,
        star_lengths=lengths,
        packet=take((PACKET_BYTES_MAX,), np.uint8),
        raw=take((FRAME_SAMPLES_MAX,), np.int16),
        masked=take((FRAME_SAMPLES_MAX,), np.int16),
        narrow=take((FRAME_SAMPLES_MAX,), np.int16),
        wide=take((FRAME_SAMPLES_MAX,), np.int16),
        keys=take((16,), np.uint8),
        out=take((PACKETS_OUT_MAX, PACKET_BYTES_MAX), np.uint8),
        out_bytes=take((PACKETS_OUT_MAX + 1,), np.int64),
        events=np.zeros((EVENT_CELLS, 8), np.int32),
        event_heads=np.zeros(3, np.int64),
        taps=taps,
        plays=np.zeros(n_legs, PLAY_DTYPE),
        play_count=np.zeros(1, np.int64),
        prompts=np.zeros(prompt_samples, np.int16),
        prompts_wide=np.zeros(2 * prompt_samples, np.int16),
    )


@kernel
def post_event(
    tables: Tables, kind: int, index: int, first: int, second: int, third: int, fourth: int
) -> None:
    """Tell the process something about the leg at `index`. A full ring counts, and overwrites nothing."""
    heads = tables.event_heads
    if heads[0] - heads[1] >= len(tables.events):
        heads[2] += 1
        return
    record = tables.events[heads[0] % len(tables.events)]
    record[0] = kind
    record[1] = index >> 1
    record[2] = tables.legs[index].generation
    record[3] = first
    record[4] = second
    record[5] = third
    record[6] = fourth
    record[7] = index & 1
    fence()
    heads[0] += 1
