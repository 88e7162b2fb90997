"""The media process's book of calls: messages of control and cde become shard commands, shard events messages.

Knows rows, generations and slots; holds no audio and no key. It keeps calls apart when a row is used again, and
keeps every mask as it is when control or cde is lost.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from dtmf_shield.account_data.slots import SLOTS_MAX
from dtmf_shield.base.clock import Clock
from dtmf_shield.base.log import get_logger
from dtmf_shield.media.frames import FRAME_MS_MAX
from dtmf_shield.media.io.rings import ShardEvent
from dtmf_shield.media.io.shard import Shard, pack_address
from dtmf_shield.media.masker import MODE_CAPTURE, MODE_GUARD, MODE_MUTE, STYLES
from dtmf_shield.media.recorder import RecordingFinished, RecordingWriter
from dtmf_shield.media.rtp.clock import SAMPLE_RATE_HZ, SAMPLES_A_MS
from dtmf_shield.media.session import commands, ears, hints, legs, playing
from dtmf_shield.model.capture import Hint
from dtmf_shield.model.ids import CallId, LegRole
from dtmf_shield.model.media_health import AskMediaHealth, MediaHealth
from dtmf_shield.model.messages import (
    ArmSlot,
    AskStatistics,
    CallClosed,
    CallStatistics,
    CdeToMedia,
    CloseCall,
    ControlToMedia,
    DisarmSlot,
    KeysWritten,
    LineHinted,
    LoadPrompts,
    OpenCall,
    PlayPrompt,
    PromptEnd,
    PromptEnded,
    RecordingClosed,
    SetShield,
    SetStream,
    ShieldChanged,
    SlotArmed,
    StarCodeKeyed,
    StartRecording,
    StopPrompt,
    rtp_socket_index,
)
from dtmf_shield.model.stream import Codec, Direction, LegStatistics, ShieldMode, Strictness
from dtmf_shield.service.prompts.pool import PromptPool, load_prompts

PTIME_MS_MIN: Final = 10
PTIME_MS_MAX: Final = FRAME_MS_MAX
"""A ptime outside these is taken as the nearer one."""
SOCKADDR_IN_BYTES: Final = 16

_MODES: Final = {
    ShieldMode.MUTE: MODE_MUTE,
    ShieldMode.GUARD: MODE_GUARD,
    ShieldMode.CAPTURE: MODE_CAPTURE,
}
_TELLS_LESS: Final = {
    STYLES["tone"]: 0,
    STYLES["beep"]: 0,
    STYLES["noise"]: 1,
    STYLES["silence"]: 2,
}
"""Styles of what stands in place of a key, by how much less they tell; two that tell the same stand for each other."""
_MODE_NAMES: Final = {number: mode for mode, number in _MODES.items()}
_CODECS: Final = {
    Codec.PCMU: legs.CODEC_PCMU,
    Codec.PCMA: legs.CODEC_PCMA,
    Codec.G722: legs.CODEC_G722,
}
_DIRECTIONS: Final = {
    Direction.SENDRECV: legs.DIRECTION_SENDRECV,
    Direction.SENDONLY: legs.DIRECTION_SENDONLY,
    Direction.RECVONLY: legs.DIRECTION_RECVONLY,
    Direction.INACTIVE: legs.DIRECTION_INACTIVE,
}
_ENDS: Final = {
    playing.PROMPT_DONE: PromptEnd.DONE,
    playing.PROMPT_STOPPED: PromptEnd.STOPPED,
    playing.PROMPT_STOPPED_BY_KEY: PromptEnd.STOPPED_BY_KEY,
    playing.PROMPT_REPLACED: PromptEnd.REPLACED,
}
_HINTS: Final = {
    hints.HINT_SHORT_TONES: Hint.SHORT_TONES,
    hints.HINT_WEAK_TONES: Hint.WEAK_TONES,
    hints.HINT_NOISY_LINE: Hint.NOISY_LINE,
}
_STATISTICS: Final = LegStatistics.__struct_fields__

_log = get_logger("media")


@dataclass(slots=True)
class _Call:
    call_id: CallId
    row: int
    generation: int
    recording: bool = False
    unrecorded: set[LegRole] = field(default_factory=set)
    """Sides of which a recording holds silence for the time being."""
    closing: CallClosed | None = None
    """The last statistics, waiting for the recording to be complete."""


class MediaCalls:
    """Calls in the tables of one shard. `to_control` and `to_cde` send where there is a channel."""

    def __init__(
        self,
        shard: Shard,
        tables: legs.Tables,
        writer: RecordingWriter,
        to_control: Callable[[object], Any],
        to_cde: Callable[[object], Any],
        pool: PromptPool,
        clock: Clock,
    ) -> None:
        """Start with no call."""
        self._pool, self._clock = pool, clock
        self._shard, self._tables, self._writer = shard, tables, writer
        self._to_control, self._to_cde = to_control, to_cde
        self._rows: dict[int, _Call] = {}
        self._generations: dict[int, _Call] = {}
        self._last_generation = 0
        self._style = int(tables.shields[0]["style"])
        """The server's, which every row has before its first call."""
        self._events_lost = 0

    # --- control ---------------------------------------------------------------------------------------------

    def control_message(self, message: ControlToMedia) -> None:
        """Do what control asks. What is not for a call of ours is logged and dropped."""
        if isinstance(message, LoadPrompts):
            self._to_control(load_prompts(self._pool, message.path))
            return
        if isinstance(message, AskMediaHealth):
            self._to_control(self._health())
            return
        if isinstance(message, OpenCall):
            self._open(message)
            return
        call = self._find(message.call_id, message.row)
        if call is None:
            _log.warning("no_such_call", message=type(message).__name__, call_id=message.call_id)
            return
        match message:
            case SetStream():
                self._set_stream(call, message)
            case SetShield(role=role, mode=mode, strictness=strictness):
                self._set_shield(call, role, mode, strictness)
            case StartRecording(path=path):
                self._record(call, Path(path))
            case PlayPrompt():
                self._play(call, message)
            case StopPrompt(role=role, play_id=play_id):
                self._post(commands.COMMAND_STOP_PLAY, call, role, (play_id,))
            case AskStatistics():
                self._to_control(CallStatistics(call.call_id, *self._statistics(call)))
            case CloseCall():
                self._close(call)

    def cde_message(self, message: CdeToMedia) -> None:
        """Arm or disarm a slot."""
        if not 0 <= message.slot < SLOTS_MAX:
            _log.error("no_such_slot", slot=message.slot)
            return
        if isinstance(message, DisarmSlot):
            self._shard.commands.post(commands.COMMAND_DISARM, 0, 0, (message.slot, message.generation))
            return
        self._arm(message)

    def cde_lost(self) -> None:
        """Write no more keys; what lies in armed slots is wiped. Masks stay."""
        self._shard.commands.post(commands.COMMAND_DISARM_ALL, 0, 0)

    def close_all(self) -> None:
        """Complete the recordings, for the end of the process; the shard has stopped."""
        for call in self._generations.values():
            if call.recording:
                self._writer.stop(call.row, call.generation, self._dropped(call))

    # --- shard and writer --------------------------------------------------------------------------------------

    def shard_event(self, event: ShardEvent) -> None:
        """Pass on what the shard tells."""
        call = self._generations.get(event.generation)
        role = LegRole.AGENT if event.agent else LegRole.CALLER
        first, second, third, fourth = event.numbers
        if event.kind == legs.EVENT_SLOT_ARMED:
            self._to_cde(SlotArmed(first, second, ok=bool(third)))
        elif event.kind == legs.EVENT_KEYS_WRITTEN:
            heard_s = self._clock.now_s()
            self._to_cde(KeysWritten(first, second, third, overrun=bool(fourth), heard_s=heard_s))
        elif call is None:
            return
        elif event.kind == legs.EVENT_SHIELD_CHANGED:
            self._to_control(ShieldChanged(call.call_id, role, _MODE_NAMES[first]))
        elif event.kind == legs.EVENT_STAR_CODE:
            self._to_control(StarCodeKeyed(call.call_id, role, first))
        elif event.kind == legs.EVENT_PROMPT_ENDED:
            self._to_control(PromptEnded(call.call_id, role, first, _ENDS[second]))
        elif event.kind == legs.EVENT_KEY_AFTER_MASK:
            _log.error("key_after_mask", call_id=call.call_id, role=role.value)
        elif event.kind == legs.EVENT_LINE_HINT:
            self._to_control(LineHinted(call.call_id, role, _HINTS[first]))
        elif event.kind == legs.EVENT_CALL_CLOSED:
            self._closed(call)

    def shard_events(self) -> None:
        """Read and pass on everything the shard has told."""
        for event in self._shard.events.read():
            self.shard_event(event)
        lost = self._shard.events.lost
        if lost != self._events_lost:
            _log.error("shard_events_lost", count=lost - self._events_lost)
            self._events_lost = lost
            self._find_closed()

    def recording_finished(self, finished: RecordingFinished) -> None:
        """Tell control that the file is complete, then that the call is closed."""
        call = self._generations.get(finished.generation)
        if call is None:
            return
        call.recording = False
        path = "" if finished.failed else finished.path
        self._to_control(RecordingClosed(call.call_id, path, finished.duration_ms, finished.frames_dropped))
        if call.closing is not None:
            self._forget(call, call.closing)

    # --- within ------------------------------------------------------------------------------------------------

    def _find(self, call_id: CallId, row: int) -> _Call | None:
        call = self._rows.get(row)
        return call if call is not None and call.call_id == call_id else None

    def _post(
        self, kind: int, call: _Call, role: LegRole, numbers: tuple[int, ...] = (), address: bytes = b""
    ) -> None:
        leg = 2 * call.row + (role is LegRole.AGENT)
        self._shard.commands.post(kind, leg, call.generation, numbers, address)

    def _open(self, message: OpenCall) -> None:
        if not 0 <= message.row < self._shard.n_rows:
            _log.error("no_such_row", row=message.row, call_id=message.call_id)
            return
        holder = self._rows.get(message.row)
        if holder is not None and holder.call_id == message.call_id:
            # Control has started again and takes the call up: its audio and its mask go on.
            return
        if holder is not None:
            self._close(holder)
        self._last_generation += 1
        call = _Call(message.call_id, message.row, self._last_generation)
        self._rows[call.row] = self._generations[call.generation] = call
        # RFC 3550 section 5.1: SSRC, first sequence number and first timestamp are random.
        numbers = [secrets.randbits(bits) for bits in (32, 16, 32, 32, 16, 32)]
        self._post(commands.COMMAND_OPEN, call, LegRole.CALLER, tuple(numbers))

    def _set_stream(self, call: _Call, message: SetStream) -> None:
        stream = message.stream
        try:
            address = pack_address(stream.remote_host, stream.remote_port)
        except ValueError:
            _log.error("no_such_address", call_id=call.call_id)
            return
        ptime_ms = min(max(stream.ptime_ms, PTIME_MS_MIN), PTIME_MS_MAX)
        numbers = (
            rtp_socket_index(call.row, message.role, v6=len(address) > SOCKADDR_IN_BYTES),
            len(address),
            _CODECS[stream.codec],
            stream.payload_type,
            stream.telephone_event_payload_type,
            SAMPLES_A_MS * ptime_ms,
            _DIRECTIONS[stream.direction],
        )
        self._post(commands.COMMAND_STREAM, call, message.role, numbers, address)

    def _set_shield(self, call: _Call, role: LegRole, mode: ShieldMode, strictness: Strictness) -> None:
        style = self._style
        wanted = STYLES[strictness.style.value] if strictness.style is not None else style
        if _TELLS_LESS[wanted] > _TELLS_LESS[style]:
            style = wanted
        if strictness.unrecorded:
            call.unrecorded.add(role)
        else:
            call.unrecorded.discard(role)
        numbers = (_MODES[mode], 1 + style, int(strictness.withheld), int(strictness.unrecorded))
        self._post(commands.COMMAND_SHIELD, call, role, numbers)

    def _play(self, call: _Call, message: PlayPrompt) -> None:
        places = self._pool.places(message.pieces[: legs.PIECES_MAX])
        if places is None:
            # The flow goes on without it: a caller who hears nothing is helped by the agent or by time.
            _log.error("prompt_missing", call_id=call.call_id)
            self._to_control(PromptEnded(call.call_id, message.role, message.play_id, PromptEnd.MISSING))
            return
        flags = playing.PLAY_LOOP * message.loop | playing.PLAY_BARGE_IN * message.barge_in
        for at, (start, length) in enumerate(places or [(0, 0)]):
            marks = playing.PLAY_FIRST * (at == 0) | playing.PLAY_LAST * (at >= len(places) - 1)
            numbers = (message.play_id, start, length, flags | marks)
            self._post(commands.COMMAND_PLAY, call, message.role, numbers)

    def _record(self, call: _Call, path: Path) -> None:
        if call.recording:
            return
        call.recording = True
        # First the writer, then the shard: no frame comes before its file is ordered.
        self._writer.start(call.row, call.generation, path)
        unrecorded = tuple(int(role in call.unrecorded) for role in (LegRole.CALLER, LegRole.AGENT))
        self._post(commands.COMMAND_RECORD, call, LegRole.CALLER, unrecorded)

    def _close(self, call: _Call) -> None:
        if self._rows.get(call.row) is call:
            del self._rows[call.row]
        self._post(commands.COMMAND_CLOSE, call, LegRole.CALLER)

    def _closed(self, call: _Call) -> None:
        if call.closing is not None:
            return
        closed = CallClosed(call.call_id, *self._statistics(call))
        if call.recording:
            call.closing = closed
            self._writer.stop(call.row, call.generation, self._dropped(call))
        else:
            self._forget(call, closed)

    def _find_closed(self) -> None:
        """Notice by the tables the closed calls whose event was lost: their recordings would never end.

        One whose event is still to come is told now, and the event finds nothing more to do.
        """
        for call in list(self._generations.values()):
            if self._rows.get(call.row) is call or call.closing is not None:
                continue
            leg = self._tables.legs[2 * call.row]
            if not leg["active"] or int(leg["generation"]) != call.generation:
                self._closed(call)

    def _forget(self, call: _Call, closed: CallClosed) -> None:
        del self._generations[call.generation]
        self._to_control(closed)

    def _arm(self, message: ArmSlot) -> None:
        call = self._find(message.call_id, message.row)
        if call is None:
            self._to_cde(SlotArmed(message.slot, message.generation, ok=False))
        else:
            self._post(commands.COMMAND_ARM, call, LegRole.CALLER, (message.slot, message.generation))

    def _legs(self, call: _Call) -> tuple[Any, Any]:
        return self._tables.legs[2 * call.row], self._tables.legs[2 * call.row + 1]

    def _statistics(self, call: _Call) -> tuple[LegStatistics, LegStatistics]:
        """Read the counters of both legs; zeroes where another call has taken the row."""
        counted = [leg for leg in self._legs(call) if int(leg["generation"]) == call.generation]
        if len(counted) < 2:
            return LegStatistics(), LegStatistics()
        caller, agent = (LegStatistics(**{name: int(leg[name]) for name in _STATISTICS}) for leg in counted)
        return caller, agent

    def _health(self) -> MediaHealth:
        """Read what the packet thread and the sentinel have counted."""
        posts, totals = self._shard.ears.posts, self._shard.ears.totals
        return MediaHealth(
            threads=(self._shard.health(),),
            listened_legs=int(np.count_nonzero(posts["leg"])),
            listened_s=int(totals[ears.HEARD_TICKS]) // SAMPLE_RATE_HZ,
            keys_after_mask=int(totals[ears.HEARD_KEYS]),
            events_lost=self._shard.events.lost,
        )

    def _dropped(self, call: _Call) -> int:
        return sum(int(leg["recording_dropped"]) for leg in self._legs(call))
