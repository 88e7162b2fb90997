"""Hints about the line: whether the caller's keys arrive cut short, weak or in noise, told in a capture once each.

Tones only: an RFC 4733 event has no level and no noise, and its duration is what a gateway made of it.

Why a hint is no information about a digit. The level of one press would be some: lines slope, so the columns of a key
colour it, and the noise under it likewise. Therefore (1) level, length and noise of a press never leave the shard; (2)
what is counted is how many presses passed a fixed limit; (3) presses are judged in half dozens laid end to end, not
press by press, so the moment of a hint is every sixth press and names none of the six; (4) each hint is told once a
capture. All that a capture can give away is three times "at least four of some six presses were so", whichever four.
"""

from typing import Final

from dtmf_shield.media.masker import MODE_CAPTURE
from dtmf_shield.media.rtp.clock import NS_A_MS
from dtmf_shield.media.rtp.kernel import kernel
from dtmf_shield.media.session.legs import EVENT_LINE_HINT, Tables, post_event

HINT_SHORT_TONES: Final = 1
HINT_WEAK_TONES: Final = 2
HINT_NOISY_LINE: Final = 4
"""Bits of hints_told, and what the event says."""

PRESSES_JUDGED: Final = 6
"""Presses judged together: a card number has two half dozens and more."""
PRESSES_SO_MIN: Final = 4
"""Of those: more than half, so that a cough or one hasty finger is no line."""
HALF_DOZEN_NS_MAX: Final = 60_000 * NS_A_MS
"""Presses further apart are not of one number. Music held to the phone has one sound like a weak key a minute."""
LOST_SHARE_MIN: Final = 0.03
"""Of the packets meanwhile, lost or too late: at 3 % one key of 50 ms in 450 is missed, at 5 % one in 110."""
LOST_PACKETS_MIN: Final = 3
"""A single lost packet among few is no share."""


@kernel
def forget_hints(tables: Tables, index: int) -> None:
    """Begin anew with the leg at `index`: a slot is armed."""
    tables.legs[index].hints_told = 0
    _begin(tables, index)


@kernel
def judge_line(tables: Tables, index: int, now_ns: int) -> None:
    """Tell what is wrong with the last half dozen of presses, once they are complete. Asked after each packet."""
    leg, shield = tables.legs[index], tables.shields[index]
    heard = shield.presses - leg.hint_presses
    if heard < 0 or leg.mode != MODE_CAPTURE:
        _begin(tables, index)  # another source, which counts from nought; or nobody is asked for keys
        return
    if heard == 0:
        leg.hint_since_ns = now_ns
    if heard < PRESSES_JUDGED:
        if now_ns - leg.hint_since_ns > HALF_DOZEN_NS_MAX:
            _begin(tables, index)
        return
    # Where events tell the keys, tones beside them are remains that nobody relies on.
    if leg.events_removed == leg.hint_events:
        missing = leg.lost + leg.late - leg.hint_missing
        due = leg.received - leg.hint_received + missing
        lossy = missing >= LOST_PACKETS_MIN and missing >= LOST_SHARE_MIN * due
        _tell(tables, index, HINT_SHORT_TONES, shield.presses_short - leg.hint_short >= PRESSES_SO_MIN)
        _tell(tables, index, HINT_WEAK_TONES, shield.presses_weak - leg.hint_weak >= PRESSES_SO_MIN)
        noisy = shield.presses_noisy - leg.hint_noisy >= PRESSES_SO_MIN
        _tell(tables, index, HINT_NOISY_LINE, noisy or lossy)
    _begin(tables, index)


@kernel
def _tell(tables: Tables, index: int, hint: int, found: bool) -> None:
    """Tell a hint that was not told since the slot was armed."""
    leg = tables.legs[index]
    if found and leg.hints_told & hint == 0:
        leg.hints_told |= hint
        post_event(tables, EVENT_LINE_HINT, index, hint, 0, 0, 0)


@kernel
def _begin(tables: Tables, index: int) -> None:
    """Begin a half dozen: keep the counters it begins with."""
    leg, shield = tables.legs[index], tables.shields[index]
    leg.hint_presses = shield.presses
    leg.hint_short = shield.presses_short
    leg.hint_weak = shield.presses_weak
    leg.hint_noisy = shield.presses_noisy
    leg.hint_received = leg.received
    leg.hint_missing = leg.lost + leg.late
    leg.hint_events = leg.events_removed
