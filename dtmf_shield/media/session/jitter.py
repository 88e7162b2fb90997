"""Interarrival jitter of a leg's audio: RFC 3550 section 6.4.1, in the integer arithmetic of its appendix A.8.

In nanoseconds and not in timestamp units, of which one is 125 µs. Telephone events share one timestamp (RFC 4733
section 2.5.1.2) and are not asked about; nor is a copy of the packet before. An older packet's copy cannot be told from
one that was overtaken, and counts as that.
"""

from typing import Any, Final

from dtmf_shield.media.rtp.clock import NS_A_MS, NS_A_SAMPLE, timestamp_distance
from dtmf_shield.media.rtp.kernel import kernel

STEP_NS_MAX: Final = 1_000 * NS_A_MS
"""A packet that lies this far from where its timestamp puts it is no jitter: a new timeline, or a pause that the
timestamps do not tell."""
_SHIFT: Final = 4
"""The estimate moves by a sixteenth of what is new."""
_NS_A_US: Final = 1_000


@kernel
def note_arrival(leg: Any, timestamp: int, arrived_ns: int) -> None:
    """Take an audio packet of the leg's, in the order of arrival."""
    ticks = timestamp_distance(timestamp, leg.jitter_timestamp)
    step_ns = abs(arrived_ns - leg.jitter_arrived_ns - ticks * NS_A_SAMPLE)
    known = leg.jitter_arrived_ns != 0
    if known and ticks == 0:
        return
    leg.jitter_timestamp = timestamp
    leg.jitter_arrived_ns = arrived_ns
    if known and step_ns < STEP_NS_MAX:
        leg.jitter_sixteenths_ns += step_ns - ((leg.jitter_sixteenths_ns + (1 << (_SHIFT - 1))) >> _SHIFT)
        leg.jitter_us = (leg.jitter_sixteenths_ns >> _SHIFT) // _NS_A_US


@kernel
def forget_jitter(leg: Any) -> None:
    """Begin anew: jitter is of one source."""
    leg.jitter_timestamp = 0
    leg.jitter_arrived_ns = 0
    leg.jitter_sixteenths_ns = 0
    leg.jitter_us = 0
