"""Named telephone events received from a leg, one key per press: RFC 4733 sections 2.3 and 2.5.

Knows the senders that restamp packets, lose the marker or the end, start over under an old timestamp, or change their
source in the middle. Sends nothing: no event ever leaves the service. State is one row of records a leg, so no key
stands in a Python object. RFC 2198 redundancy is not offered, hence not read.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.rtp.clock import (
    NS_A_MS,
    SAMPLES_A_MS,
    TIMESTAMP_MODULUS,
    sequence_distance,
    timestamp_distance,
)
from dtmf_shield.media.rtp.kernel import kernel
from dtmf_shield.media.rtp.packet import RtpHeader, half_word, octet

EVENT_PAYLOAD_BYTES: Final = 4
EVENTS_A_PACKET_MAX: Final = 8
"""RFC 4733 section 2.5.1.5 sets no limit; 640 ms of shortest keys in one packet are more than any keypad gives."""
KEY_EVENTS: Final = 16
"""Event codes 0-15 are keys (RFC 4733 section 3.2); above are tones and line states, never keys."""
EVENT_KEY_CODES: Final = np.frombuffer(b"0123456789*#ABCD", dtype=np.uint8).copy()
"""ASCII code of each key event."""

END_REPEATS_MAX: Final = 3
"""RFC 4733 section 2.5.1.4: an end is sent three times; some relays give each a new timestamp, and send one more."""
KEPT_TIMESTAMP_COST: Final = 2
"""Repeats used up by one that keeps its timestamp: after two of them no restamped one comes any more."""
END_REPEAT_PACKETS_MAX: Final = 6
"""Repeated ends follow each other: 40 ms from the first to the third, with audio between, and one packet's jitter."""
RESTAMP_TICKS_MAX: Final = 60 * SAMPLES_A_MS
"""A packet that grows the press and lies this near to the one before cannot be a new press: two presses of one key
are at least 80 ms (40 ms tone, 40 ms pause) apart."""
RESTAMP_SLACK_TICKS: Final = 20 * SAMPLES_A_MS
"""Where timestamp and duration grow together, they do so within a packet time."""
RESTAMP_PACKETS_MAX: Final = 25
"""And within so many packets: half a second with audio between. Longer losses no redundancy mends."""
BREAK_TICKS_MAX: Final = 15 * SAMPLES_A_MS
"""A pause that is none: Q.24 lets a key be broken for 10 ms, and a real pause shows as one silent packet (20 ms) at
least."""
SEGMENT_TICKS_MIN: Final = 60_000
"""Near 0xFFFF a long press goes on under a new timestamp, where the old segment ends (RFC 4733 section 2.5.1.3).
Shorter events that follow each other without any pause are a machine's, and as many keys."""
STALLED_MARKED_MS: Final = 30
"""A sender whose timestamps stand still starts over under the old one; so long after an end it is no packet of it."""
STALLED_MS: Final = 100
"""The same where the marker was lost."""
EVENT_TIMEOUT_MS: Final = 200
"""Four update intervals of the slowest usual sender (50 ms) without a packet: the end was lost."""
PRESS_KEPT_MS: Final = 2_000
"""A packet of a press that comes later than that has been somewhere for longer than any call could bear."""
UNENDED_KEPT_MS: Final = 10_000
"""Some senders tell only start and end: 8.2 s, the longest duration of one event (0xFFFF ticks), and PRESS_KEPT_MS."""

PRESSES_KEPT: Final = EVENTS_A_PACKET_MAX
"""The present press and those before it, for their late packets."""
PRESS_NONE: Final = 0
PRESS_OPEN: Final = 1
PRESS_ENDED: Final = 2
PRESS_LAPSED: Final = 3
"""Without a packet for EVENT_TIMEOUT_MS, its end not seen."""

PRESS_DTYPE: Final = np.dtype(
    [
        ("state", np.int64),
        ("code", np.int64),  # event code, 0-15
        ("ssrc", np.int64),
        ("first_timestamp", np.int64),
        ("last_timestamp", np.int64),
        ("last_duration", np.int64),
        ("longest_ticks", np.int64),  # duration
        ("end_timestamp", np.int64),  # as far as told
        ("sequence", np.int64),  # latest
        ("repeats_left", np.int64),
        ("seen_ns", np.int64),
        ("ended_ns", np.int64),
    ]
)

NO_KEY: Final = 0

_OTHER: Final = 0
_SAME: Final = 1
_MOVED: Final = 2
_REPEATED: Final = 3
_GOES_ON: Final = 4


class EventReport(NamedTuple):
    """One event in a packet. `timestamp` is its own: of a second event in a packet, where the first one ends."""

    ssrc: int
    timestamp: int
    sequence: int
    marker: int
    code: int
    end: int
    duration: int


@kernel
def read_report(packet: NDArray[np.uint8], header: RtpHeader, at: int, offset_ticks: int) -> EventReport:
    """Read the event payload at ``packet[at : at + 4]``, `offset_ticks` after the packet's timestamp."""
    return EventReport(
        header.ssrc,
        (header.timestamp + offset_ticks) % TIMESTAMP_MODULUS,
        header.sequence,
        header.marker,
        octet(packet, at),
        octet(packet, at + 1) >> 7,
        half_word(packet, at + 2),
    )


@kernel
def take_event(row: Any, report: EventReport, now_ns: int) -> int:
    """Take one event report and keep the books in `row`, the newest press first.

    Returns the ASCII code of a key pressed just now, or NO_KEY: a packet more of a known press, or no key event.
    `row`: records of PRESS_DTYPE, shape (PRESSES_KEPT,), zeroes at the start. `now_ns`: arrival time.
    """
    if report.code >= KEY_EVENTS:
        return NO_KEY
    for at in range(PRESSES_KEPT):
        press = row[at]
        relation = _relation(press, report, now_ns)
        if relation == _GOES_ON:
            _begin(row, report, now_ns)
            return NO_KEY
        if relation != _OTHER:
            _update(press, report, relation, now_ns)
            return NO_KEY
    known = _goes_on_from_another_source(row[0], report, now_ns)
    _begin(row, report, now_ns)
    return NO_KEY if known else octet(EVENT_KEY_CODES, report.code)


@kernel
def _relation(press: Any, report: EventReport, now_ns: int) -> int:
    """Tell what a report is to a press: _OTHER, or in which way a packet more of it."""
    if press.state == PRESS_NONE or press.code != report.code or press.ssrc != report.ssrc:
        return _OTHER
    if report.timestamp in (press.first_timestamp, press.last_timestamp):
        return _OTHER if _starts_over(press, report, now_ns) else _SAME
    if report.sequence == press.sequence:
        return _OTHER  # two events of one packet are two presses, however near
    if _repeats_the_end(press, report):
        return _REPEATED
    if _moves(press, report):
        return _MOVED
    return _GOES_ON if _goes_on(press, report) else _OTHER


@kernel
def _goes_on(press: Any, report: EventReport) -> bool:
    """Tell whether an event begins so near to the end of a press of its key that it is the same press."""
    pause = timestamp_distance(report.timestamp, press.end_timestamp)
    if pause == 0:
        return bool(press.longest_ticks >= SEGMENT_TICKS_MIN)
    return bool(abs(pause) <= BREAK_TICKS_MAX)


@kernel
def _starts_over(press: Any, report: EventReport, now_ns: int) -> bool:
    """Tell whether a press begins under the timestamp of an ended one: its sender's clock stands still."""
    if press.state != PRESS_ENDED or report.end or report.duration >= press.longest_ticks:
        return False
    if sequence_distance(report.sequence, press.sequence) <= 0:
        return False
    wait_ms = STALLED_MARKED_MS if report.marker else STALLED_MS
    return bool(now_ns - press.ended_ns >= wait_ms * NS_A_MS)


@kernel
def _moves(press: Any, report: EventReport) -> bool:
    """Tell whether the sender gives each packet of one press a new timestamp."""
    later = sequence_distance(report.sequence, press.sequence)
    if abs(later) > RESTAMP_PACKETS_MAX:
        return False
    advance = timestamp_distance(report.timestamp, press.last_timestamp)
    growth = report.duration - press.last_duration
    if later < 0 and growth <= 0 and -press.longest_ticks - RESTAMP_TICKS_MAX <= advance < 0:
        return True  # overtaken: sent before, stamped before
    if growth != 0 and abs(advance - growth) <= RESTAMP_SLACK_TICKS:
        return True
    return bool(press.state != PRESS_ENDED and 0 < advance <= RESTAMP_TICKS_MAX and growth > 0)


@kernel
def _repeats_the_end(press: Any, report: EventReport) -> bool:
    """Tell whether this is the press's end, or one of its repeats, under a new timestamp."""
    if not report.end or report.duration < press.longest_ticks:
        return False
    if abs(sequence_distance(report.sequence, press.sequence)) > END_REPEAT_PACKETS_MAX:
        return False
    since_start = timestamp_distance(report.timestamp, press.first_timestamp)
    if press.state != PRESS_ENDED:
        return bool(0 < since_start <= report.duration + RESTAMP_TICKS_MAX)
    growth = report.duration - press.longest_ticks
    if press.repeats_left == 0 or growth > RESTAMP_SLACK_TICKS:
        return False
    if since_start < 0:  # reordered: the first one seen may be the last one stamped
        return bool(growth == 0 and since_start >= -RESTAMP_TICKS_MAX)
    return bool(since_start <= press.longest_ticks + RESTAMP_TICKS_MAX)


@kernel
def _goes_on_from_another_source(press: Any, report: EventReport, now_ns: int) -> bool:
    """Tell whether the press still held goes on under another SSRC: a new press would not begin so long."""
    if press.state != PRESS_OPEN or press.code != report.code or press.ssrc == report.ssrc:
        return False
    grows = report.duration > press.longest_ticks or (report.end and report.duration == press.longest_ticks)
    return bool(grows and now_ns - press.seen_ns <= EVENT_TIMEOUT_MS * NS_A_MS)


@kernel
def _begin(row: Any, report: EventReport, now_ns: int) -> None:
    """Push the presses back by one and make the newest of `report`."""
    for at in range(PRESSES_KEPT - 1, 0, -1):
        row[at] = row[at - 1]
    press = row[0]
    press.state = PRESS_OPEN
    press.code = report.code
    press.ssrc = report.ssrc
    press.first_timestamp = report.timestamp
    press.last_timestamp = report.timestamp
    press.last_duration = report.duration
    press.longest_ticks = report.duration
    press.end_timestamp = report.timestamp
    press.sequence = report.sequence
    press.repeats_left = 0
    press.ended_ns = 0
    _update(press, report, _SAME, now_ns)


@kernel
def _update(press: Any, report: EventReport, relation: int, now_ns: int) -> None:
    _move_end(press, report, relation)
    if sequence_distance(report.sequence, press.sequence) >= 0:
        press.sequence = report.sequence
        if press.state != PRESS_ENDED:
            press.last_timestamp = report.timestamp
            press.last_duration = report.duration
    press.longest_ticks = max(press.longest_ticks, report.duration)
    press.seen_ns = now_ns
    if press.state == PRESS_ENDED:
        used = KEPT_TIMESTAMP_COST if relation == _SAME else 1
        press.repeats_left = max(0, press.repeats_left - used * report.end)
    elif report.end:
        press.state = PRESS_ENDED
        press.ended_ns = now_ns
        press.repeats_left = END_REPEATS_MAX
    else:
        press.state = PRESS_OPEN


@kernel
def _move_end(press: Any, report: EventReport, relation: int) -> None:
    """Move the end of the press on the media clock to where `report` puts it, never back."""
    stands = press.first_timestamp in (report.timestamp, press.last_timestamp)
    if stands and relation != _MOVED:
        told = press.first_timestamp + report.duration
    elif press.state != PRESS_ENDED:
        # Either may be too far where packets were lost: the first one, or one between.
        moved = timestamp_distance(report.timestamp, press.first_timestamp)
        growth = max(0, report.duration - press.last_duration)
        told = press.first_timestamp + min(moved + growth, report.duration)
    else:
        return
    if timestamp_distance(told, press.end_timestamp) > 0:
        press.end_timestamp = told % TIMESTAMP_MODULUS


@kernel
def event_is_open(row: Any, now_ns: int) -> bool:
    """Tell whether a press is still held at `now_ns`; lets one lapse whose end was lost (EVENT_TIMEOUT_MS)."""
    press = row[0]
    if press.state != PRESS_OPEN:
        return False
    if now_ns - press.seen_ns > EVENT_TIMEOUT_MS * NS_A_MS:
        press.state = PRESS_LAPSED
        return False
    return True


@kernel
def forget_old_presses(row: Any, now_ns: int) -> None:
    """Wipe each press once none of its packets can still be under way (PRESS_KEPT_MS, UNENDED_KEPT_MS)."""
    for at in range(PRESSES_KEPT):
        press = row[at]
        waits = at == 0 and press.state != PRESS_ENDED
        kept_ms = UNENDED_KEPT_MS if waits else PRESS_KEPT_MS
        if press.state != PRESS_NONE and now_ns - press.seen_ns > kept_ms * NS_A_MS:
            _wipe(row, at)


@kernel
def forget_presses(row: Any) -> None:
    """Wipe which keys were pressed, keeping nothing but zeroes."""
    for at in range(PRESSES_KEPT):
        _wipe(row, at)


@kernel
def _wipe(row: Any, at: int) -> None:
    octets = row[at : at + 1].view(np.uint8)
    octets[:] = 0
