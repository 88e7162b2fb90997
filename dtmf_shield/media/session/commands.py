"""What the process may tell a shard about a call: the records of its command ring and their effect on the tables.

A command for another call than the row holds (its generation differs) changes nothing. Every call is born MUTE.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.account_data.slots import HEAD_AT, RING_AT, RING_KEYS, SLOT_BYTES
from dtmf_shield.media.masker import MODE_MUTE, force_mute, reset_shield
from dtmf_shield.media.rtp.clock import SAMPLES_A_MS
from dtmf_shield.media.rtp.kernel import kernel
from dtmf_shield.media.rtp.telephone_event import forget_presses
from dtmf_shield.media.session.ears import Ears
from dtmf_shield.media.session.hints import forget_hints
from dtmf_shield.media.session.legs import (
    ADDRESS_BYTES,
    CODEC_G722,
    EVENT_CALL_CLOSED,
    EVENT_SHIELD_CHANGED,
    EVENT_SLOT_ARMED,
    Tables,
    post_event,
)
from dtmf_shield.media.session.playing import PROMPT_STOPPED, add_piece, stop_prompt
from dtmf_shield.media.session.sentinel import let_go
from dtmf_shield.media.session.source import change_source
from dtmf_shield.media.session.transcoding import forget_codec

COMMAND_OPEN: Final = 1
COMMAND_STREAM: Final = 2
COMMAND_SHIELD: Final = 3
COMMAND_RECORD: Final = 4
COMMAND_CLOSE: Final = 5
COMMAND_ARM: Final = 6
COMMAND_DISARM: Final = 7
COMMAND_DISARM_ALL: Final = 8
COMMAND_PLAY: Final = 9
COMMAND_STOP_PLAY: Final = 10

WITHHELD_SAMPLES: Final = 1 << 40
"""A mute without an end: four years."""
RELEASE_SAMPLES: Final = 120 * SAMPLES_A_MS
"""What is heard again of a leg that was withheld begins so much later: a key may just have ended, its echo not yet."""

COMMAND_DTYPE: Final = np.dtype(
    [
        ("kind", np.int64),
        ("leg", np.int64),  # leg index; of the caller where a command is for the whole call
        ("generation", np.int64),  # of the call
        ("numbers", np.int64, (8,)),  # per kind, see the functions below
        ("address", np.uint8, (ADDRESS_BYTES,)),
    ],
    align=True,
)


@kernel
def apply_command(tables: Tables, ears: Ears, command: Any, now_ns: int) -> None:
    """Apply one command record (COMMAND_DTYPE) to the tables; the sentinel's ears leave a leg with its call."""
    kind, index = command.kind, command.leg
    if kind == COMMAND_DISARM_ALL:
        _disarm_all(tables)
        return
    if kind == COMMAND_DISARM:
        _disarm(tables, command.numbers[0], command.numbers[1])
        return
    if kind == COMMAND_OPEN:
        let_go(tables, ears, index)
        _open(tables, index, command.generation, command.numbers)
        return
    leg = tables.legs[index]
    known = leg.active and leg.generation == command.generation
    if kind == COMMAND_ARM:
        _arm(tables, index, command.numbers[0], command.numbers[1], known)
    elif not known:
        return
    elif kind == COMMAND_STREAM:
        _set_stream(tables, index, command)
    elif kind == COMMAND_SHIELD:
        _set_shield(tables, index, command.numbers)
    elif kind == COMMAND_RECORD:
        _record(tables, index, command.numbers, now_ns)
    elif kind == COMMAND_PLAY:
        add_piece(tables, index, command.numbers)
    elif kind == COMMAND_STOP_PLAY:
        if command.numbers[0] == tables.plays[index].play_id:
            stop_prompt(tables, index, PROMPT_STOPPED)
    elif kind == COMMAND_CLOSE:
        let_go(tables, ears, index)
        _close(tables, index)


@kernel
def _clear(tables: Tables, index: int) -> None:
    """Wipe everything a leg's record and its companions hold."""
    octets = tables.legs[index : index + 1].view(np.uint8)
    octets[:] = 0
    reset_shield(tables.shields, index)
    forget_codec(tables, index)
    forget_presses(tables.presses[index])
    tables.addresses[index, :] = 0
    stop_prompt(tables, index, PROMPT_STOPPED)


@kernel
def _open(tables: Tables, index: int, generation: int, numbers: NDArray[np.int64]) -> None:
    """Take the row: numbers = SSRC, first sequence number, first timestamp to the caller; the same to the agent."""
    for side in range(2):
        _clear(tables, index + side)
        leg = tables.legs[index + side]
        leg.active = 1
        leg.generation = generation
        leg.mode = MODE_MUTE
        leg.payload_type = -1
        leg.event_payload_type = -1
        leg.send_ssrc = numbers[3 * side]
        leg.send_sequence = numbers[3 * side + 1]
        leg.send_timestamp = numbers[3 * side + 2]
        leg.send_marker = 1


@kernel
def _set_stream(tables: Tables, index: int, command: Any) -> None:
    """numbers = socket index, address length, codec, payload type, event payload type, frame samples, direction."""
    leg, numbers = tables.legs[index], command.numbers
    if leg.has_stream and leg.codec != numbers[2]:
        _leave_codec(tables, index, numbers[2])
    leg.has_stream = 1
    leg.socket_index = numbers[0]
    leg.address_bytes = numbers[1]
    leg.codec = numbers[2]
    leg.payload_type = numbers[3]
    leg.event_payload_type = numbers[4]
    leg.frame_samples = numbers[5]
    leg.direction = numbers[6]
    address = command.address
    for at in range(ADDRESS_BYTES):
        tables.addresses[index, at] = address[at]


@kernel
def _set_shield(tables: Tables, index: int, numbers: NDArray[np.int64]) -> None:
    """numbers = mode, 1 + style of what replaces (0: as it is), 1 to replace everything, 1 to record nothing."""
    leg, shield = tables.legs[index], tables.shields[index]
    leg.mode = numbers[0]
    if numbers[1] > 0:
        shield.style = numbers[1] - 1
    if numbers[2] != 0:
        force_mute(tables.shields, index, WITHHELD_SAMPLES)
    elif shield.mute_until_samples - shield.position_samples > WITHHELD_SAMPLES // 2:
        shield.mute_until_samples = shield.position_samples + RELEASE_SAMPLES
    leg.recording = int(leg.recording_started_ns > 0 and numbers[3] == 0)
    post_event(tables, EVENT_SHIELD_CHANGED, index, leg.mode, 0, 0, 0)


@kernel
def _leave_codec(tables: Tables, index: int, codec: int) -> None:
    """Forget what the codec that a leg has spoken left behind; mode, books and timelines stay.

    Between PCMU and PCMA the audio goes on. Between sample rates what is held and heard counts in another measure.
    """
    forget_codec(tables, index)
    if tables.legs[index].codec == CODEC_G722 or codec == CODEC_G722:
        change_source(tables, index, 0)  # the timeline has not moved: what comes next tells the pause


@kernel
def _record(tables: Tables, index: int, numbers: NDArray[np.int64], now_ns: int) -> None:
    """numbers = 1 to record nothing of the caller for the time being; the same of the agent."""
    for side in range(2):
        leg = tables.legs[index + side]
        leg.recording = int(numbers[side] == 0)
        leg.recording_started_ns = now_ns
        leg.recording_placed = 0
        leg.recording_dropped = 0


@kernel
def _close(tables: Tables, index: int) -> None:
    """Free the row, keep the counters for the last statistics, wipe the rest.

    The event tells the counters only by their place: the process reads them before the row is opened again.
    """
    post_event(tables, EVENT_CALL_CLOSED, index, 0, 0, 0, 0)
    for side in range(2):
        leg = tables.legs[index + side]
        generation, dropped = leg.generation, leg.recording_dropped
        received, sent, failed, lost, late = leg.received, leg.sent, leg.send_failed, leg.lost, leg.late
        bad_source, malformed = leg.bad_source, leg.malformed
        events, masked = leg.events_removed, leg.masked_samples
        jitter_us, keys_tones, keys_events = leg.jitter_us, leg.keys_tones, leg.keys_events
        _clear(tables, index + side)
        leg.generation, leg.recording_dropped = generation, dropped
        leg.received, leg.sent, leg.send_failed, leg.lost, leg.late = received, sent, failed, lost, late
        leg.bad_source, leg.malformed = bad_source, malformed
        leg.events_removed, leg.masked_samples = events, masked
        leg.jitter_us, leg.keys_tones, leg.keys_events = jitter_us, keys_tones, keys_events


@kernel
def _arm(tables: Tables, index: int, slot: int, generation: int, known: bool) -> None:
    """Let keys of the caller leg go to `slot`."""
    if known:
        tables.legs[index].slot = slot + 1
        tables.legs[index].slot_generation = generation
        forget_hints(tables, index)
    post_event(tables, EVENT_SLOT_ARMED, index, slot, generation, int(known), 0)


@kernel
def _disarm(tables: Tables, slot: int, generation: int) -> None:
    for index in range(len(tables.legs)):
        leg = tables.legs[index]
        if leg.slot == slot + 1 and leg.slot_generation == generation:
            leg.slot = 0


@kernel
def _disarm_all(tables: Tables) -> None:
    """cde is gone: write nothing more, and wipe the keys it did not take. The masks stay as they are."""
    for index in range(len(tables.legs)):
        leg = tables.legs[index]
        if leg.slot > 0:
            base = (leg.slot - 1) * SLOT_BYTES
            tables.slots[base + RING_AT : base + RING_AT + RING_KEYS] = 0
            tables.slots[base + HEAD_AT] = 0
            leg.slot = 0
