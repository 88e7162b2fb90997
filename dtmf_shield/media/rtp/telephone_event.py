"""Named telephone events received from a leg, one key per press: RFC 4733 section 2.5.

Knows the trunks that restamp end packets, lose the marker or the end, or send audio in between. Sends nothing: no
event ever leaves the service. State is one int64 row a leg, so no key stands in a Python object.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.rtp.clock import NS_A_MS, timestamp_distance
from dtmf_shield.media.rtp.kernel import kernel
from dtmf_shield.media.rtp.packet import half_word, octet

EVENT_PAYLOAD_BYTES: Final = 4
KEY_EVENTS: Final = 16
"""Event codes 0-15 are keys (RFC 4733 section 3.2); above are tones and line states, never keys."""
EVENT_KEY_CODES: Final = np.frombuffer(b"0123456789*#ABCD", dtype=np.uint8).copy()
"""ASCII code of each key event."""

END_REPEATS_MAX: Final = 3
"""RFC 4733 section 2.5.1.4: an end is sent three times; some relays give each a new timestamp."""
RESTAMP_TICKS_MAX: Final = 480
"""60 ms. A packet with a new timestamp this near to the one before cannot be a new press: two presses of one key
are at least 640 ticks (40 ms tone, 40 ms pause) apart."""
SEGMENT_TICKS_MIN: Final = 60_000
"""Near 0xFFFF a long press goes on under a new timestamp (RFC 4733 section 2.5.1.3)."""
SEGMENT_SLACK_TICKS: Final = 8_000
EVENT_TIMEOUT_MS: Final = 200
"""Four update intervals of the slowest usual sender (50 ms) without a packet: the end was lost."""
PRESS_KEPT_MS: Final = 2_000
"""A packet of a press that comes later than that has been somewhere for longer than any call could bear."""

EVENT_OPEN: Final = 0
EVENT_CODE: Final = 1
EVENT_TIMESTAMP: Final = 2
EVENT_LAST_TIMESTAMP: Final = 3
EVENT_DURATION: Final = 4
EVENT_SSRC: Final = 5
EVENT_REPEATS_LEFT: Final = 6
EVENT_SEEN_NS: Final = 7
EVENT_KNOWN: Final = 8
"""1 once any event was taken: a row of zeroes is no event 0."""
_HISTORY_AT: Final = 9
_HISTORY_EVENTS: Final = 4
EVENT_FIELDS: Final = _HISTORY_AT + 2 * _HISTORY_EVENTS
"""Length of a state row. From _HISTORY_AT on: (timestamp, code + 1) of the latest events, for late packets."""

NO_KEY: Final = 0


@kernel
def _is_open_elsewhere(row: NDArray[np.int64], code: int, timestamp: int) -> bool:
    """Tell whether an earlier event had this very timestamp and code: a late packet of it."""
    for entry in range(_HISTORY_EVENTS):
        at = _HISTORY_AT + 2 * entry
        if row[at + 1] == code + 1 and row[at] == timestamp:
            return True
    return False


@kernel
def _continues(row: NDArray[np.int64], marker: int, timestamp: int, duration: int, end: int) -> bool:
    """Tell whether a packet of the same key with another timestamp is still the same press."""
    advance = timestamp_distance(timestamp, row[EVENT_LAST_TIMESTAMP])
    near = 0 < advance <= RESTAMP_TICKS_MAX
    if row[EVENT_OPEN]:
        if marker:
            return False
        grows = duration > row[EVENT_DURATION] or (end and duration == row[EVENT_DURATION])
        if near and grows:
            return True
        gap = advance - row[EVENT_DURATION]
        return bool(row[EVENT_DURATION] >= SEGMENT_TICKS_MIN and abs(gap) <= SEGMENT_SLACK_TICKS)
    if near and end and row[EVENT_REPEATS_LEFT] > 0 and duration >= row[EVENT_DURATION]:
        row[EVENT_REPEATS_LEFT] -= 1
        return True
    return False


@kernel
def _remember(row: NDArray[np.int64]) -> None:
    """Push the present event into the history of four."""
    for entry in range(_HISTORY_EVENTS - 1, 0, -1):
        at = _HISTORY_AT + 2 * entry
        row[at], row[at + 1] = row[at - 2], row[at - 1]
    row[_HISTORY_AT] = row[EVENT_TIMESTAMP]
    row[_HISTORY_AT + 1] = row[EVENT_CODE] + 1


@kernel
def _update(row: NDArray[np.int64], timestamp: int, duration: int, end: int, now_ns: int) -> None:
    row[EVENT_LAST_TIMESTAMP] = timestamp
    row[EVENT_DURATION] = duration
    row[EVENT_SEEN_NS] = now_ns
    if end and row[EVENT_OPEN]:
        row[EVENT_OPEN] = 0
        row[EVENT_REPEATS_LEFT] = END_REPEATS_MAX


@kernel
def take_event(
    row: NDArray[np.int64],
    ssrc: int,
    timestamp: int,
    marker: int,
    packet: NDArray[np.uint8],
    payload_at: int,
    now_ns: int,
) -> int:
    """Read one event payload at ``packet[payload_at : payload_at + 4]`` and keep the books in `row`.

    Returns the ASCII code of a key pressed just now, or NO_KEY: a packet more of a known press, or no key event.
    `row`: int64, shape (EVENT_FIELDS,), zeroes at the start. `now_ns`: arrival time.
    """
    code = octet(packet, payload_at)
    if code >= KEY_EVENTS:
        return NO_KEY
    end = octet(packet, payload_at + 1) >> 7
    duration = half_word(packet, payload_at + 2)
    if row[EVENT_KNOWN] and row[EVENT_SSRC] == ssrc:
        if row[EVENT_CODE] == code:
            same = timestamp == row[EVENT_TIMESTAMP] or timestamp == row[EVENT_LAST_TIMESTAMP]
            if same or _continues(row, marker, timestamp, duration, end):
                _update(row, timestamp, duration, end, now_ns)
                return NO_KEY
        if _is_open_elsewhere(row, code, timestamp):
            return NO_KEY
    if row[EVENT_KNOWN]:
        _remember(row)
    row[EVENT_KNOWN] = 1
    row[EVENT_OPEN] = 1
    row[EVENT_CODE] = code
    row[EVENT_SSRC] = ssrc
    row[EVENT_TIMESTAMP] = timestamp
    _update(row, timestamp, duration, end, now_ns)
    return octet(EVENT_KEY_CODES, code)


@kernel
def event_is_open(row: NDArray[np.int64], now_ns: int) -> bool:
    """Tell whether a press is still held at `now_ns`; closes one whose end was lost (EVENT_TIMEOUT_MS)."""
    if not row[EVENT_OPEN]:
        return False
    if now_ns - row[EVENT_SEEN_NS] > EVENT_TIMEOUT_MS * NS_A_MS:
        row[EVENT_OPEN] = 0
        row[EVENT_REPEATS_LEFT] = END_REPEATS_MAX
        return False
    return True


@kernel
def forget_old_press(row: NDArray[np.int64], now_ns: int) -> None:
    """Wipe the presses once none of their packets can still be under way (PRESS_KEPT_MS)."""
    if row[EVENT_KNOWN] and not row[EVENT_OPEN] and now_ns - row[EVENT_SEEN_NS] > PRESS_KEPT_MS * NS_A_MS:
        row[:] = 0


@kernel
def forget_keys(row: NDArray[np.int64]) -> None:
    """Wipe which keys were pressed, keeping nothing but zeroes."""
    row[:] = 0
