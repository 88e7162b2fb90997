"""What leaves for the other leg: masked frames on one unbroken timeline of our own, and the recorder's tap.

Own SSRC, sequence numbers given at sending, timestamps of the input plus an offset (RFC 3550 section 5.1). Takes
MaskedFrame only; telephone events, comfort noise packets and the input's header never leave.
"""

from typing import Final

from dtmf_shield.media.frames import MaskedFrame
from dtmf_shield.media.masker import MODE_CAPTURE, masked_frame, samples_masked
from dtmf_shield.media.recorder import tap_frame
from dtmf_shield.media.rtp.clock import (
    SAMPLE_RATE_HZ,
    SAMPLES_A_MS,
    SEQUENCE_MODULUS,
    TIMESTAMP_MODULUS,
    samples_of_ns,
    timestamp_distance,
)
from dtmf_shield.media.rtp.kernel import kernel
from dtmf_shield.media.rtp.packet import HEADER_BYTES, write_header
from dtmf_shield.media.session.legs import (
    DIRECTION_INACTIVE,
    DIRECTION_RECVONLY,
    DIRECTION_SENDONLY,
    PACKETS_OUT_MAX,
    Tables,
)
from dtmf_shield.media.session.playing import (
    PACE_MS,
    PACE_NS,
    PACE_SLACK_NS,
    is_due,
    mix_encoded,
    mix_whole,
    silent_frame,
)
from dtmf_shield.media.session.transcoding import conceal_input, encode_masked, narrowed, samples_a_tick

FILLERS_MAX: Final = 10
"""Frames of noise sent for what is missing before one packet: 200 ms at 20 ms; the rest stays a gap."""
RECORDING_AHEAD_SAMPLES: Final = 5 * SAMPLE_RATE_HZ
"""Timestamps that run this far ahead of the clock would fill the disk with silence: the recording follows the clock."""
CONCEALED_MAX: Final = 3
"""Missing frames the detector is told of: more than 60 ms of nothing tell it nothing new."""


@kernel
def _may_send(tables: Tables, index: int) -> bool:
    """Tell whether audio from the leg at `index` goes out to its peer (RFC 3264 section 6.1)."""
    source, target = tables.legs[index], tables.legs[index ^ 1]
    if not target.has_stream:
        return False
    if target.direction in (DIRECTION_RECVONLY, DIRECTION_INACTIVE):
        return False
    return source.direction not in (DIRECTION_SENDONLY, DIRECTION_INACTIVE)


@kernel
def _tap(tables: Tables, index: int, timestamp: int, frame: MaskedFrame, now_ns: int) -> None:
    """Give the frame to the recorder: the first by its arrival, the others by their timestamps."""
    leg = tables.legs[index]
    arrival = samples_of_ns(now_ns - leg.recording_started_ns)
    leg.recording_position += timestamp_distance(timestamp, leg.recording_origin)
    if not leg.recording_placed or leg.recording_position > arrival + RECORDING_AHEAD_SAMPLES:
        leg.recording_placed = 1
        leg.recording_position = arrival
    leg.recording_origin = timestamp
    if not tap_frame(tables.taps, index >> 1, leg.generation, index & 1, leg.recording_position, frame):
        leg.recording_dropped += 1


@kernel
def send_frame(tables: Tables, index: int, frame: MaskedFrame, timestamp: int, now_ns: int) -> None:
    """Queue a frame from the leg at `index` for its peer, in the slot of the peer's timeline at `timestamp`.

    Of a leg that the sentinel has closed silence leaves, whatever is in the frame or would be mixed into it.
    """
    source, target = tables.legs[index], tables.legs[index ^ 1]
    closed = now_ns < source.closed_until_ns
    if closed:
        frame.samples[:] = 0
    if index & 1:
        mix_whole(tables, index, frame)  # recorded as the caller hears it: the agent's side and the prompt
    narrow = narrowed(tables, index, frame)
    n = len(narrow.samples)
    target.send_timestamp = (timestamp + n) % TIMESTAMP_MODULUS
    source.filled_ns = now_ns
    source.masked_samples += samples_masked(tables.shields, index) // samples_a_tick(tables, index)
    if source.recording:
        # Recordings are of 8 kHz: telephones of both kinds meet in one file, and its listeners work at that rate.
        _tap(tables, index, timestamp, narrow, now_ns)
    if not index & 1:
        mix_encoded(
            tables, index, frame, narrow
        )  # the agent's hearing of it stands in the other channel already
    if closed:
        # A prompt has gone on, unheard: who waits for its end does not wait for ever.
        frame.samples[:] = 0
        narrow.samples[:] = 0
    count = tables.out_bytes[PACKETS_OUT_MAX]
    if count >= PACKETS_OUT_MAX or not _may_send(tables, index):
        target.send_marker = 1
        return
    packet = tables.out[count]
    write_header(
        packet, target.send_marker, target.payload_type, target.send_sequence, timestamp, target.send_ssrc
    )
    encode_masked(tables, index, frame, narrow, packet[HEADER_BYTES:])
    tables.out_bytes[count] = HEADER_BYTES + n
    tables.out_bytes[PACKETS_OUT_MAX] = count + 1
    target.send_sequence = (target.send_sequence + 1) % SEQUENCE_MODULUS
    target.send_marker = 0


@kernel
def send_fillers(tables: Tables, index: int, n_frames: int, n_samples: int, now_ns: int) -> None:
    """Fill the next `n_frames` slots of the peer's timeline with noise (at most FILLERS_MAX)."""
    target = tables.legs[index ^ 1]
    for _ in range(min(n_frames, FILLERS_MAX)):
        frame = conceal_input(tables, index, n_samples)
        send_frame(tables, index, frame, target.send_timestamp, now_ns)


@kernel
def pass_gap(tables: Tables, index: int, gap_samples: int, n_samples: int, now_ns: int) -> None:
    """Deal with `gap_samples` of nothing before a packet of `n_samples`: loss, events, or a silent talker.

    In a capture, and where events stood, the gap is filled: its shape would tell the keys. Else a loss stays a loss,
    seen by the far end as missing sequence numbers, and silence a step of the timestamp with a marker.
    """
    leg, target = tables.legs[index], tables.legs[index ^ 1]
    n_frames = gap_samples // n_samples
    if leg.mode == MODE_CAPTURE or leg.event_since_audio:
        send_fillers(tables, index, n_frames, n_samples, now_ns)
        return
    lost = min(n_frames, leg.packets_missing)
    target.send_sequence = (target.send_sequence + lost) % SEQUENCE_MODULUS
    if lost == 0:
        target.send_marker = 1
    for _ in range(max(1, min(n_frames, CONCEALED_MAX))):
        conceal_input(tables, index, n_samples)


@kernel
def pace_prompt(tables: Tables, index: int, now_ns: int) -> int:
    """Give the leg at `index` the next frame of its prompt where its peer paces none; return how many lie in `out`.

    The peer's own timeline is laid on anew when it speaks again.
    """
    tables.out_bytes[PACKETS_OUT_MAX] = 0
    if not is_due(tables, index, now_ns):
        return 0
    source, target = tables.legs[index ^ 1], tables.legs[index]
    due_ns = source.filled_ns + PACE_NS
    if not source.paced and source.filled_ns > 0:
        # What the peer left empty stays a gap of the timeline.
        pause = samples_of_ns(now_ns - source.filled_ns) - PACE_MS * SAMPLES_A_MS
        target.send_timestamp = (target.send_timestamp + max(0, pause)) % TIMESTAMP_MODULUS
        target.send_marker = 1
    send_frame(
        tables, index ^ 1, masked_frame(silent_frame(tables, index ^ 1)), target.send_timestamp, now_ns
    )
    if source.paced and now_ns - due_ns < PACE_SLACK_NS:
        source.filled_ns = due_ns  # a late tick is not added up
    source.paced = 1
    return int(tables.out_bytes[PACKETS_OUT_MAX])
