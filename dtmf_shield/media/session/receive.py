"""One received packet of a leg: order, timeline, keys, mask. What comes of it lies in `tables.out`.

RFC 3550 for order and time, RFC 4733 for events, RFC 3389 comfort noise is taken for silence. No jitter buffer:
packets pass in arrival order, late ones do not pass, but a late event is still read.
"""

from typing import Any, Final

from dtmf_shield.media.frames import FRAME_MS_MAX
from dtmf_shield.media.masker import (
    force_mute,
    key_onset_samples,
    key_sounds,
    masked_frame,
    shield_packet,
    shield_wideband_packet,
)
from dtmf_shield.media.rtp.clock import (
    SAMPLE_RATE_HZ,
    SAMPLES_A_MS,
    TIMESTAMP_MODULUS,
    samples_of_ns,
    sequence_distance,
    timestamp_distance,
)
from dtmf_shield.media.rtp.kernel import kernel
from dtmf_shield.media.rtp.packet import COMFORT_NOISE_PAYLOAD_TYPE, RtpHeader, octet, parse_packet
from dtmf_shield.media.rtp.telephone_event import (
    EVENT_PAYLOAD_BYTES,
    event_is_open,
    forget_old_presses,
)
from dtmf_shield.media.session.ears import Ears
from dtmf_shield.media.session.echo import hold_echo
from dtmf_shield.media.session.event_door import EVENT_TAIL_SAMPLES, take_events
from dtmf_shield.media.session.hints import judge_line
from dtmf_shield.media.session.jitter import forget_jitter, note_arrival
from dtmf_shield.media.session.keys import DOOR_INBAND, forget_old_keys, take_key
from dtmf_shield.media.session.legs import PACKETS_OUT_MAX, Tables
from dtmf_shield.media.session.output import pass_gap, send_frame
from dtmf_shield.media.session.sentinel import listen_behind_mask, post_sentinels
from dtmf_shield.media.session.source import change_source, is_cut_key
from dtmf_shield.media.session.transcoding import decode_input, samples_a_tick

SEQUENCE_JUMP_MAX: Final = 3000
"""RFC 3550 appendix A.1, MAX_DROPOUT: a larger step is a sender that started afresh."""
TIMELINE_SLACK_SAMPLES: Final = 2 * SAMPLE_RATE_HZ
"""A timestamp further ahead of the clock than this is a new timeline."""
TIMELINE_BACK_SAMPLES: Final = SAMPLE_RATE_HZ // 2
"""A packet in sequence, yet further back than this, likewise."""
LATE_RUN_MAX: Final = 10
"""So many packets in sequence, all too late: the timelines have drifted apart, ours follows."""

_IN_ORDER: Final = 0
_LATE: Final = 1
_DUPLICATE: Final = 2


@kernel
def receive_packet(tables: Tables, ears: Ears, index: int, size: int, now_ns: int, arrived_ns: int) -> int:
    """Take the packet in ``tables.packet[:size]`` from the leg at `index`; return how many lie in `tables.out`.

    The caller has checked that it came from the leg's phone, sends ``out[k, :out_bytes[k]]`` to the peer's and wipes
    `packet`. `now_ns` is the time on a monotonic clock, `arrived_ns` when the packet came, on the same.
    """
    tables.out_bytes[PACKETS_OUT_MAX] = 0
    leg, recorded = tables.legs[index], tables.taps.heads[0]
    header = parse_packet(tables.packet, size)
    if not header.valid:
        leg.malformed += 1
        return 0
    if header.payload_type == leg.event_payload_type:
        _receive_event(tables, index, header, now_ns)
    elif header.payload_type == leg.payload_type:
        _receive_audio(tables, index, header, now_ns, arrived_ns)
    elif header.payload_type == COMFORT_NOISE_PAYLOAD_TYPE:
        leg.received += 1
        _follow_sequence(tables, index, header, now_ns)
    else:
        leg.malformed += 1
    if leg.ear > 0:
        listen_behind_mask(tables, ears, index, recorded, now_ns)
    return int(tables.out_bytes[PACKETS_OUT_MAX])


@kernel
def tick(tables: Tables, ears: Ears, now_ns: int) -> None:
    """Let time pass for every leg in use: keys are forgotten, lost ends of events noticed, sentinels posted."""
    for index in range(len(tables.legs)):
        if tables.legs[index].active:
            forget_old_keys(tables, index, now_ns)
            event_is_open(tables.presses[index], now_ns)
            forget_old_presses(tables.presses[index], now_ns)
    post_sentinels(tables, ears, now_ns)


@kernel
def _place(tables: Tables, index: int, timestamp: int, now_ns: int) -> None:
    """Lay a new input timeline onto the peer's: where it stands, moved on by the time since it was last filled."""
    leg, target = tables.legs[index], tables.legs[index ^ 1]
    target.send_timestamp = (target.send_timestamp + _pause_samples(leg, now_ns)) % TIMESTAMP_MODULUS
    target.send_marker = 1
    leg.timestamp_offset = (target.send_timestamp - timestamp) % TIMESTAMP_MODULUS
    leg.packets_missing = 0
    leg.late_run = 0
    leg.paced = 0


@kernel
def _pause_samples(leg: Any, now_ns: int) -> int:
    """Return how much of the peer's timeline is empty before a packet of the usual length that arrives now."""
    return max(0, samples_of_ns(now_ns - leg.filled_ns) - leg.frame_samples) if leg.filled_ns > 0 else 0


@kernel
def _follow_sequence(tables: Tables, index: int, header: RtpHeader, now_ns: int) -> int:
    """Keep the books of sequence and source; return _IN_ORDER, _LATE or _DUPLICATE."""
    leg = tables.legs[index]
    step = sequence_distance(header.sequence, leg.sequence)
    if not leg.started or header.ssrc != leg.ssrc:
        if leg.started:
            change_source(tables, index, _pause_samples(leg, now_ns))
            forget_jitter(leg)
        leg.started = 1
        leg.ssrc = header.ssrc
        _place(tables, index, header.timestamp, now_ns)
    elif abs(step) > SEQUENCE_JUMP_MAX:
        _place(tables, index, header.timestamp, now_ns)
    elif step == 0:
        return _DUPLICATE
    elif step < 0:
        leg.lost = max(0, leg.lost - 1)
        return _LATE
    else:
        leg.lost += step - 1
        leg.packets_missing += step - 1
    leg.sequence = header.sequence
    return _IN_ORDER


@kernel
def _receive_audio(tables: Tables, index: int, header: RtpHeader, now_ns: int, arrived_ns: int) -> None:
    leg, target = tables.legs[index], tables.legs[index ^ 1]
    n = header.payload_bytes
    if n < 1 or n > FRAME_MS_MAX * SAMPLES_A_MS:
        leg.malformed += 1
        return
    leg.received += 1
    order = _follow_sequence(tables, index, header, now_ns)
    if order != _DUPLICATE:
        note_arrival(leg, header.timestamp, arrived_ns)
    if order == _LATE:
        leg.late += 1
    if order != _IN_ORDER:
        return
    leg.frame_samples = n
    ahead = timestamp_distance(header.timestamp + leg.timestamp_offset, target.send_timestamp)
    # A prompt may have filled the peer's timeline by the clock meanwhile.
    if leg.paced or _left_the_timeline(tables, index, ahead, now_ns):
        _place(tables, index, header.timestamp, now_ns)
        ahead = 0
    _note_audio(tables, index, now_ns)
    if ahead < 0:
        leg.late += 1
        leg.late_run += 1
        return
    leg.late_run = 0
    if ahead > 0:
        pass_gap(tables, index, ahead, n, now_ns)
    leg.packets_missing = 0
    leg.event_since_audio = 0
    _shield_and_send(tables, index, header, now_ns)


@kernel
def _left_the_timeline(tables: Tables, index: int, ahead_samples: int, now_ns: int) -> bool:
    """Tell whether a packet in sequence lies where its sender's old timeline cannot be."""
    leg = tables.legs[index]
    elapsed = samples_of_ns(now_ns - leg.filled_ns)
    if ahead_samples > elapsed + TIMELINE_SLACK_SAMPLES or ahead_samples < -TIMELINE_BACK_SAMPLES:
        return True
    return bool(ahead_samples < 0 and leg.late_run >= LATE_RUN_MAX)


@kernel
def _note_audio(tables: Tables, index: int, now_ns: int) -> None:
    """Learn whether this phone sends audio beside its events, so that fillers leave room for it."""
    leg = tables.legs[index]
    if leg.event_since_audio and event_is_open(tables.presses[index], now_ns):
        leg.audio_beside_events = 1


@kernel
def _shield_and_send(tables: Tables, index: int, header: RtpHeader, now_ns: int) -> None:
    """Decode, listen, mask, send; the raw samples are wiped after."""
    leg, n = tables.legs[index], header.payload_bytes
    n_samples = n * samples_a_tick(tables, index)
    raw, out = tables.raw[:n_samples], tables.masked[:n_samples]
    decode_input(tables, index, tables.packet[header.payload_at : header.payload_at + n], raw)
    if event_is_open(tables.presses[index], now_ns):
        force_mute(tables.shields, index, n + EVENT_TAIL_SAMPLES)
    if n_samples == n:
        n_keys = shield_packet(tables.shields, index, raw, out, leg.mode, tables.keys)
    else:
        n_keys = shield_wideband_packet(tables.shields, index, raw, out, leg.mode, tables.keys)
    for at in range(n_keys):
        onset = key_onset_samples(tables.shields, index, at)
        code = octet(tables.keys, at)
        if not is_cut_key(leg, code, onset):
            take_key(tables, index, code, onset, 0, DOOR_INBAND, now_ns)
    if key_sounds(tables.shields, index):
        hold_echo(tables, index)
    if leg.slot > 0:
        judge_line(tables, index, now_ns)
    tables.keys[:] = 0
    raw[:] = 0
    timestamp = (header.timestamp + leg.timestamp_offset) % TIMESTAMP_MODULUS
    send_frame(tables, index, masked_frame(out), timestamp, now_ns)


@kernel
def _receive_event(tables: Tables, index: int, header: RtpHeader, now_ns: int) -> None:
    leg = tables.legs[index]
    if header.payload_bytes < EVENT_PAYLOAD_BYTES:
        leg.malformed += 1
        return
    leg.received += 1
    # Some gateways send events under an SSRC of their own: they are no new source of the audio.
    foreign = bool(leg.started and header.ssrc != leg.ssrc)
    in_order = foreign or _follow_sequence(tables, index, header, now_ns) == _IN_ORDER
    take_events(tables, index, header, foreign, in_order, now_ns)
