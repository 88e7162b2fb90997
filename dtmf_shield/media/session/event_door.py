"""The door of RFC 4733 events: reports to keys, their place on the shield's clock, mute, and noise in their slots.

No event leaves. Order and timeline of the stream are `receive`'s.
"""

from typing import Final

from dtmf_shield.media.masker import beep_once, force_mute
from dtmf_shield.media.rtp.clock import NS_A_SAMPLE, SAMPLES_A_MS, samples_of_ns, timestamp_distance
from dtmf_shield.media.rtp.kernel import kernel
from dtmf_shield.media.rtp.packet import RtpHeader
from dtmf_shield.media.rtp.telephone_event import (
    EVENT_PAYLOAD_BYTES,
    EVENTS_A_PACKET_MAX,
    NO_KEY,
    PRESS_NONE,
    EventReport,
    read_report,
    take_event,
)
from dtmf_shield.media.session.echo import hold_echo
from dtmf_shield.media.session.keys import DOOR_EVENT, take_key
from dtmf_shield.media.session.legs import Tables
from dtmf_shield.media.session.output import FILLERS_MAX, send_fillers

EVENT_TAIL_SAMPLES: Final = 40 * SAMPLES_A_MS
"""Audio stays muted so long after the last packet of an event: the tone beside it may end later."""
FIRST_DURATION: Final = 20 * SAMPLES_A_MS
"""Of a usual first packet. More may mean that earlier ones were lost or overtaken, and then that the press began so
much before the timestamp, where a sender moves it on."""
_DURATION_MAX: Final = 0xFFFF


@kernel
def take_events(
    tables: Tables, index: int, header: RtpHeader, foreign: bool, in_order: bool, now_ns: int
) -> None:
    """Take the events of the packet in `tables.packet` from the leg at `index`.

    `foreign`: they come under another SSRC than the audio, so that their timestamps say nothing of its clock.
    """
    leg, target = tables.legs[index], tables.legs[index ^ 1]
    elapsed = samples_of_ns(now_ns - leg.filled_ns) if leg.filled_ns > 0 else 0
    ahead = timestamp_distance(header.timestamp + leg.timestamp_offset, target.send_timestamp)
    if foreign:
        ahead = elapsed - _told_ticks(tables, header)
    reach = _take_reports(tables, index, header, tables.shields[index].position_samples + ahead, now_ns)
    leg.events_removed += 1
    force_mute(tables.shields, index, EVENT_TAIL_SAMPLES)
    beep_once(tables.shields, index)
    hold_echo(tables, index)
    if in_order:
        _fill_event_slots(tables, index, ahead + reach, now_ns)


@kernel
def _told_ticks(tables: Tables, header: RtpHeader) -> int:
    """Return how long ago the first event of the packet began, when it was sent."""
    return read_report(tables.packet, header, header.payload_at, 0).duration


@kernel
def _take_reports(tables: Tables, index: int, header: RtpHeader, position: int, now_ns: int) -> int:
    """Take each report of the packet, which lies at `position` of the shield's clock; return how far they reach.

    RFC 4733 section 2.5.1.5: a further event begins where the one before has ended.
    """
    ticks = reach = 0
    for at in range(min(header.payload_bytes // EVENT_PAYLOAD_BYTES, EVENTS_A_PACKET_MAX)):
        report = read_report(tables.packet, header, header.payload_at + EVENT_PAYLOAD_BYTES * at, ticks)
        reach = ticks + _take_report(tables, index, report, position + ticks, now_ns)
        ticks += report.duration
        if not report.end:
            break
    return reach


@kernel
def _take_report(tables: Tables, index: int, report: EventReport, onset: int, now_ns: int) -> int:
    """Take one report, hand on the key where it is a new one; return how many ticks from `onset` its press reaches."""
    leg, row = tables.legs[index], tables.presses[index]
    code = take_event(row, report, now_ns)
    if code != NO_KEY:
        leg.press_from = onset
        leg.press_until = onset
    press, reach = row[0], report.duration
    if press.state != PRESS_NONE and press.code == report.code and press.ssrc == report.ssrc:
        reach = min(timestamp_distance(press.end_timestamp, report.timestamp), _DURATION_MAX)
        leg.press_until = max(leg.press_until, onset + reach)
    if code != NO_KEY:
        slack = max(0, report.duration - FIRST_DURATION)
        take_key(tables, index, code, onset, slack, DOOR_EVENT, now_ns)
    return reach


@kernel
def _fill_event_slots(tables: Tables, index: int, due_samples: int, now_ns: int) -> None:
    """Send noise for the slots an event has taken from the audio, up to `due_samples` ahead of what is sent.

    Never faster than time passes (repeated ends come in a burst), and one frame behind where audio comes as well.
    """
    leg = tables.legs[index]
    n = leg.frame_samples
    leg.event_since_audio = 1
    if leg.audio_beside_events:
        due_samples -= n
    elapsed = (now_ns - leg.filled_ns) // NS_A_SAMPLE + n // 2
    n_frames = min(due_samples, elapsed) // n
    if n_frames > 0:
        send_fillers(tables, index, min(n_frames, FILLERS_MAX), n, now_ns)
