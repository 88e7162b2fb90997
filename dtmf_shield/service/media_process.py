"""The media process: takes sockets and channels from the supervisor, runs the shard, answers control and cde.

`python -m dtmf_shield.service.media_process`, started by the supervisor with its channel in DTMF_SHIELD_CHANNEL_FD.
First ConfigureMedia with the digit slots, then SocketsPassed, then a channel to each peer, again whenever a peer has
started again. Losing a peer changes no mask.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import sys
from typing import Final

import numpy as np

from dtmf_shield.account_data.slots import Region, create_region
from dtmf_shield.base.errors import InvariantError, OperatorError
from dtmf_shield.base.log import get_logger
from dtmf_shield.base.system_clock import SystemClock
from dtmf_shield.media import masker
from dtmf_shield.media.io.arena import Arena, ArenaMeasure
from dtmf_shield.media.io.shard import Shard
from dtmf_shield.media.recorder import RecordingFinished, RecordingWriter, make_tap_ring
from dtmf_shield.media.rtp.clock import SAMPLES_A_MS
from dtmf_shield.media.session.ears import make_ears
from dtmf_shield.media.session.legs import Tables, make_tables
from dtmf_shield.model.messages import (
    HEARTBEAT_INTERVAL_S,
    CdeToMedia,
    ConfigureMedia,
    ControlToMedia,
    Heartbeat,
    PeerConnected,
    PeerLost,
    ProcessName,
    ProcessReady,
    Shutdown,
    SocketKind,
    SocketsPassed,
    SupervisorToMedia,
)
from dtmf_shield.service.channel import Channel
from dtmf_shield.service.entry import run_process
from dtmf_shield.service.media_calls import MediaCalls
from dtmf_shield.service.prompts.pool import POOL_SAMPLES, PromptPool
from dtmf_shield.service.prompts.ringback import add_ringback
from dtmf_shield.service.seal.process_rights import give_up_common_rights
from dtmf_shield.service.seal.step import Step, told

CALLS_MAX: Final = 4_096
"""Rows of one shard: beyond it one core could not carry them."""
_log = get_logger("media")


class MediaProcess:
    """Everything the process holds, and its routing of messages."""

    def __init__(
        self, supervisor: Channel[SupervisorToMedia], tables: Tables, shard: Shard, slots: Region
    ) -> None:
        """Wire shard, writer and calls together; ``run`` starts them."""
        self._supervisor, self._shard, self._slots = supervisor, shard, slots
        self._writer = RecordingWriter(tables.taps, self._recording_finished)
        self._pool = PromptPool(tables.prompts, tables.prompts_wide)
        add_ringback(self._pool)
        self._calls = MediaCalls(
            shard, tables, self._writer, self._to_control, self._to_cde, self._pool, SystemClock()
        )
        self._control: Channel[ControlToMedia] | None = None
        self._cde: Channel[CdeToMedia] | None = None
        self._loop = asyncio.get_running_loop()
        self._leaving = asyncio.Event()

    async def run(self, weaker: tuple[str, ...]) -> None:
        """Serve until told to leave or the supervisor is gone."""
        self._shard.start()
        self._writer.start_thread()
        self._loop.add_reader(self._shard.events.fd, self._calls.shard_events)
        self._supervisor.attach(self._loop, self._supervisor_message, self._leaving.set)
        self._supervisor.send(ProcessReady(ProcessName.MEDIA, weaker))
        beating = asyncio.create_task(self._beat())
        try:
            await self._leaving.wait()
        finally:
            beating.cancel()
            self._stop()

    # --- supervisor --------------------------------------------------------------------------------------------

    def _supervisor_message(self, message: SupervisorToMedia, fds: tuple[int, ...]) -> None:
        match message:
            case SocketsPassed(kind=SocketKind.RTP, indexes=indexes) if len(indexes) == len(fds):
                for index, fd in zip(indexes, fds, strict=True):
                    self._shard.add_socket(index, fd)
            case PeerConnected(peer=peer) if len(fds) == 1:
                self._join(peer, socket.socket(fileno=fds[0]))
            case Shutdown():
                self._leaving.set()
            case _:
                for fd in fds:
                    os.close(fd)
                _log.error("unexpected_message", message=type(message).__name__)

    def _join(self, peer: ProcessName, sock: socket.socket) -> None:
        if peer is ProcessName.CONTROL:
            if self._control is not None:
                self._control.close()
            self._control = Channel(sock, ControlToMedia)
            self._control.attach(self._loop, self._control_message, self._control_lost)
        elif peer is ProcessName.CDE:
            if self._cde is not None:
                self._cde.close()
                self._calls.cde_lost()
            self._cde = Channel(sock, CdeToMedia)
            self._cde.attach(self._loop, self._cde_message, self._cde_lost)
        else:
            sock.close()

    async def _beat(self) -> None:
        """Tell the supervisor that the shard's loop turns, as long as it does."""
        last = -1
        while True:
            await asyncio.sleep(HEARTBEAT_INTERVAL_S)
            beat = self._shard.heartbeat
            if beat != last:
                self._supervisor.send(Heartbeat(ProcessName.MEDIA))
            last = beat

    # --- peers -------------------------------------------------------------------------------------------------

    def _control_message(self, message: ControlToMedia, fds: tuple[int, ...]) -> None:
        for fd in fds:
            os.close(fd)
        self._calls.control_message(message)

    def _cde_message(self, message: CdeToMedia, fds: tuple[int, ...]) -> None:
        for fd in fds:
            os.close(fd)
        self._calls.cde_message(message)

    def _control_lost(self) -> None:
        _log.warning("control_lost")
        self._control = None

    def _cde_lost(self) -> None:
        # No cde can have armed a slot since: a new one has no channel to us yet.
        _log.warning("cde_lost")
        self._cde = None
        self._calls.cde_lost()
        self._slots.wipe()
        self._supervisor.send(PeerLost(ProcessName.CDE))

    def _to_control(self, message: object) -> None:
        if self._control is not None:
            self._control.send(message)

    def _to_cde(self, message: object) -> None:
        if self._cde is not None:
            self._cde.send(message)

    def _recording_finished(self, finished: RecordingFinished) -> None:
        """Called in the writer thread."""
        self._loop.call_soon_threadsafe(self._calls.recording_finished, finished)

    def _stop(self) -> None:
        """Silence first, then complete the files."""
        self._loop.remove_reader(self._shard.events.fd)
        if not self._shard.stop():
            _log.error("shard_does_not_stop")
        self._calls.close_all()
        self._writer.close()
        for channel in (self._control, self._cde, self._supervisor):
            if channel is not None:
                channel.close()


def build_shard(configure: ConfigureMedia, slots: Region) -> tuple[Arena, Tables, Shard]:
    """Lay out the tables in locked memory and compile the loop (or load it). Raises OperatorError."""
    if not 0 < configure.calls_max <= CALLS_MAX:
        raise OperatorError(f"media.calls_max is {configure.calls_max}; allowed are 1 to {CALLS_MAX}")
    view = np.frombuffer(slots.view, np.uint8)
    taps = make_tap_ring()
    measure = ArenaMeasure()
    make_tables(configure.calls_max, configure.star_codes, view, taps, measure.take)
    make_ears(measure.take)
    arena = Arena(measure.size_bytes)
    tables = make_tables(configure.calls_max, configure.star_codes, view, taps, arena.take, POOL_SAMPLES)
    masker.set_style(tables.shields, configure.mask_style, configure.mask_level_dbm0)
    masker.set_echo_hold(tables.shields, configure.echo_hold_ms * SAMPLES_A_MS)
    shard = Shard(tables, make_ears(arena.take))
    shard.compile()
    return arena, tables, shard


def _raise_lock_limit() -> None:
    """Allow this process to lock what its hard limit allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))


def _missing(steps: tuple[Step, ...], slots: Region, arena: Arena) -> tuple[str, ...]:
    memory = (
        Step("memfd_secret", "" if slots.secret else "slots lie in ordinary memory"),
        Step("mlock", "" if slots.locked and arena.locked else "mlock was refused"),
    )
    return told(steps + memory)


def load_kernels() -> None:
    """Compile the packet loop or load it, before there is anything to serve: a spare process then starts at once."""
    descriptor, _ = create_region()
    region = Region(descriptor)
    os.close(descriptor)
    build_shard(ConfigureMedia(1, ("*1",)), region)


async def _serve(supervisor: Channel[SupervisorToMedia]) -> None:
    load_kernels()
    message, fds = supervisor.receive(timeout_s=None)  # a spare waits as long as the supervisor lives
    if not isinstance(message, ConfigureMedia) or len(fds) != 1:
        raise InvariantError("the first message to media is ConfigureMedia with one descriptor")
    steps = give_up_common_rights()
    _raise_lock_limit()
    slots = Region(fds[0])
    os.close(fds[0])
    try:
        arena, tables, shard = build_shard(message, slots)
    except ValueError as error:
        raise OperatorError(str(error)) from error
    try:
        await MediaProcess(supervisor, tables, shard, slots).run(_missing(steps, slots, arena))
    finally:
        arena.wipe()


def main() -> int:
    """Run the process."""
    return run_process(ProcessName.MEDIA, SupervisorToMedia, _serve)


if __name__ == "__main__":
    sys.exit(main())
