"""Keys of a leg: two doors joined into one, then into the digit slot (caller) or against the star codes (agent).

A key goes nowhere else: event records say which slot and how many, never which key. SIP INFO has no media time and is
joined in cde.
"""

from typing import Any, Final

from dtmf_shield.account_data.slots import (
    FLAG_OVERRUN,
    FLAGS_AT,
    GENERATION_AT,
    HEAD_AT,
    RING_AT,
    RING_KEYS,
    SLOT_BYTES,
    STATE_ARMED,
    STATE_AT,
    TAIL_AT,
)
from dtmf_shield.media.rtp.clock import NS_A_MS, SAMPLES_A_MS
from dtmf_shield.media.rtp.kernel import fence, kernel
from dtmf_shield.media.rtp.packet import octet
from dtmf_shield.media.rtp.telephone_event import EVENT_KEY_CODES, PRESS_NONE, PRESS_OPEN
from dtmf_shield.media.session.legs import (
    EVENT_KEYS_WRITTEN,
    EVENT_STAR_CODE,
    KEYS_REMEMBERED,
    STAR_KEYS_MAX,
    Tables,
    post_event,
)
from dtmf_shield.media.session.playing import key_stops_prompt

DOOR_NONE: Final = 0
DOOR_INBAND: Final = 1
DOOR_EVENT: Final = 2
_DOOR_JOINED: Final = 3
"""A key both doors have told: a third telling is a new press."""

ONSET_ERROR_SAMPLES: Final = 5 * SAMPLES_A_MS
"""Registration places an onset to within two of its steps of 2.5 ms."""
JOIN_SAMPLES_MAX: Final = 80 * SAMPLES_A_MS + ONSET_ERROR_SAMPLES
"""Onsets of one press through two doors lie within 80 ms: as long as two presses of one key are apart at least."""
TONE_SAMPLES_MIN: Final = 40 * SAMPLES_A_MS
"""Shortest tone that is a key (ITU-T Q.24)."""
KEY_KEPT_NS: Final = 500 * NS_A_MS
"""By then the other door has told its half, or never will."""
STAR_GAP_NS_MAX: Final = 3_000 * NS_A_MS
"""Longest pause within a star code."""


@kernel
def take_key(
    tables: Tables, index: int, code: int, onset_samples: int, slack_samples: int, door: int, now_ns: int
) -> None:
    """Take a key heard on the leg at `index`; `code` in ASCII, `onset_samples` on the shield's clock.

    `slack_samples`: by how much the press may have begun earlier than `onset_samples` says.
    """
    leg = tables.legs[index]
    if _is_told(leg, code, onset_samples, slack_samples, door):
        return
    if door == DOOR_INBAND and _is_held_by_event(tables, index, code, onset_samples):
        return
    at = leg.key_next % KEYS_REMEMBERED
    leg.key_next = at + 1
    leg.key_codes[at] = code
    leg.key_doors[at] = door
    leg.key_onsets[at] = onset_samples
    leg.key_heard_ns[at] = now_ns
    if door == DOOR_EVENT:
        leg.keys_events += 1
    else:
        leg.keys_tones += 1
    key_stops_prompt(tables, index)
    if index & 1:
        _match_star_codes(tables, index, code, now_ns)
    elif leg.slot > 0:
        _write_slot(tables, index, code)


@kernel
def forget_old_keys(tables: Tables, index: int, now_ns: int) -> None:
    """Wipe keys that nothing can be joined to any more, and star code beginnings that have lapsed."""
    leg = tables.legs[index]
    for at in range(KEYS_REMEMBERED):
        if leg.key_doors[at] != DOOR_NONE and now_ns - leg.key_heard_ns[at] > KEY_KEPT_NS:
            leg.key_codes[at] = 0
            leg.key_doors[at] = DOOR_NONE
            leg.key_onsets[at] = 0
    if leg.star_count > 0 and now_ns - leg.star_heard_ns > STAR_GAP_NS_MAX:
        leg.star_count = 0
        leg.star_keys[:] = 0


@kernel
def move_keys(tables: Tables, index: int, samples: int) -> None:
    """Move the onsets kept for joining by `samples`: the shield's clock begins anew."""
    leg = tables.legs[index]
    leg.press_from += samples
    leg.press_until += samples
    for at in range(KEYS_REMEMBERED):
        if leg.key_doors[at] != DOOR_NONE:
            leg.key_onsets[at] += samples


@kernel
def _is_told(leg: Any, code: int, onset_samples: int, slack_samples: int, door: int) -> bool:
    """Tell whether the other door has told this press already, and join the two: one to one.

    Of several the oldest: each door tells its presses in order. The nearest may be the partner of the next.
    """
    best = -1
    for at in range(KEYS_REMEMBERED):
        other = leg.key_doors[at]
        if leg.key_codes[at] != code or other in (DOOR_NONE, _DOOR_JOINED, door):
            continue
        distance = leg.key_onsets[at] - onset_samples
        near = -JOIN_SAMPLES_MAX - slack_samples <= distance <= JOIN_SAMPLES_MAX
        if near and (best < 0 or leg.key_onsets[at] < leg.key_onsets[best]):
            best = at
    if best < 0:
        return False
    leg.key_doors[best] = _DOOR_JOINED
    return True


@kernel
def _is_held_by_event(tables: Tables, index: int, code: int, onset_samples: int) -> bool:
    """Tell whether a tone lies within an event press of its key: a tone that registers late, or again after a dropout.

    Events name begin and end; what sounds between is the same press.
    """
    leg, press = tables.legs[index], tables.presses[index][0]
    if press.state == PRESS_NONE or octet(EVENT_KEY_CODES, press.code) != code:
        return False
    if onset_samples < leg.press_from - JOIN_SAMPLES_MAX:
        return False
    return bool(press.state == PRESS_OPEN or onset_samples + TONE_SAMPLES_MIN <= leg.press_until)


@kernel
def _write_slot(tables: Tables, index: int, code: int) -> None:
    """Write a key into the armed slot and tell its length: the key, a fence, then the head."""
    leg = tables.legs[index]
    slots = tables.slots
    base = (leg.slot - 1) * SLOT_BYTES
    generation = 0
    for byte in range(4):
        generation |= octet(slots, base + GENERATION_AT + byte) << (8 * byte)
    if slots[base + STATE_AT] != STATE_ARMED or generation != leg.slot_generation:
        return
    head = octet(slots, base + HEAD_AT) % RING_KEYS
    # Both count modulo the ring, so one cell stays free: a full ring would look empty.
    overrun = (head - octet(slots, base + TAIL_AT)) % RING_KEYS == RING_KEYS - 1
    if overrun:
        slots[base + FLAGS_AT] |= FLAG_OVERRUN
    else:
        slots[base + RING_AT + head] = code
        fence()
        head = (head + 1) % RING_KEYS
        slots[base + HEAD_AT] = head
    post_event(tables, EVENT_KEYS_WRITTEN, index, leg.slot - 1, leg.slot_generation, head, int(overrun))


@kernel
def _match_star_codes(tables: Tables, index: int, code: int, now_ns: int) -> None:
    """Append a key of the agent's and tell a configured code that now stands at the end."""
    leg = tables.legs[index]
    if leg.star_count > 0 and now_ns - leg.star_heard_ns > STAR_GAP_NS_MAX:
        leg.star_count = 0
    leg.star_heard_ns = now_ns
    keys = leg.star_keys
    if leg.star_count == STAR_KEYS_MAX:
        for at in range(STAR_KEYS_MAX - 1):
            keys[at] = keys[at + 1]
        leg.star_count -= 1
    keys[leg.star_count] = code
    leg.star_count += 1
    for which in range(len(tables.star_lengths)):
        if _ends_with(tables, leg, which):
            leg.star_count = 0
            keys[:] = 0
            post_event(tables, EVENT_STAR_CODE, index, which, 0, 0, 0)
            return


@kernel
def _ends_with(tables: Tables, leg: Any, which: int) -> bool:
    length = tables.star_lengths[which]
    if length == 0 or leg.star_count < length:
        return False
    differ = 0
    for at in range(length):
        differ += leg.star_keys[leg.star_count - length + at] != tables.star_codes[which, at]
    return differ == 0
