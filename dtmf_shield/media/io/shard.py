"""The shard: one thread outside the GIL that waits in epoll, receives, lets `session` work, and sends.

The only place where the media path touches a socket. Believes a packet only from the exact address that signalling
gave (no learning, no SRTP, no RTCP here); a free row's packets are read and dropped, so a port used again carries
nothing old.
"""

from __future__ import annotations

import ipaddress
import os
import select
import socket
import struct
import threading
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.media.io.libc import (
    EPOLL_EVENT_DTYPE,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    c_epoll_wait,
    c_read,
    c_sendto,
    c_write,
    epoll_add,
    epoll_remove,
    monotonic_ns,
    realtime_ns,
)
from dtmf_shield.media.io.reception import (
    Reception,
    arrival_ns,
    is_cut,
    make_reception,
    receive_datagram,
)
from dtmf_shield.media.io.rings import CommandRing, EventReader
from dtmf_shield.media.io.stay import BUSY_NS, StayBook, ThreadMeter, make_stay_book, note_stay
from dtmf_shield.media.rtp.clock import NS_A_MS
from dtmf_shield.media.rtp.kernel import fence, kernel
from dtmf_shield.media.session.commands import apply_command
from dtmf_shield.media.session.ears import Ears
from dtmf_shield.media.session.legs import Tables
from dtmf_shield.media.session.output import pace_prompt
from dtmf_shield.media.session.receive import receive_packet, tick
from dtmf_shield.model.media_health import MediaThread
from dtmf_shield.model.messages import SOCKETS_PER_ROW

EPOLL_BATCH: Final = 64
"""Sockets served between two looks at the clock."""
TICK_MS: Final = 50
"""Longest wait; also how often keys are forgotten and the heart beats."""
PACE_WAIT_MS: Final = 4
"""Longest wait while a prompt plays: a fifth of its frame."""
_WAKE: Final = 1 << 32
"""epoll data of the command eventfd; sockets have their index."""

CONTROL_STOP: Final = 0
CONTROL_HEARTBEAT: Final = 1
THREAD_NAME: Final = "shard-0"
"""There is one."""


class Wires(NamedTuple):
    """What ties the loop to the world. Written by the shard but for control[CONTROL_STOP], commands and sockets."""

    control: NDArray[np.int64]
    """Shape (2,): stop, heartbeat."""
    epoll_fd: int
    command_fd: int
    event_fd: int
    sockets: NDArray[np.int32]
    """Descriptor of each socket index, -1 for none; shape (4 * n_rows,)."""
    commands: NDArray[Any]
    commands_done: NDArray[np.int64]
    ready: NDArray[Any]
    """Records of EPOLL_EVENT_DTYPE, shape (EPOLL_BATCH,)."""
    reception: Reception
    stays: StayBook
    tally: NDArray[np.int64]
    """Shape (1,): what is read from and written to an eventfd."""
    time: NDArray[np.int64]
    """Shape (2,): struct timespec."""
    clock_distance_ns: NDArray[np.int64]
    """Shape (1,): by how much CLOCK_REALTIME was ahead of the monotonic clock when the loop woke."""


@kernel
def run_shard(tables: Tables, ears: Ears, wires: Wires) -> None:
    """Serve until told to stop. Raises nothing, allocates nothing."""
    told = tables.event_heads[0]
    ticked_ns = np.int64(0)
    fence()
    while wires.control[CONTROL_STOP] == 0:
        wait_ms = PACE_WAIT_MS if tables.play_count[0] > 0 else TICK_MS
        n_ready = c_epoll_wait(wires.epoll_fd, wires.ready.ctypes.data, EPOLL_BATCH, wait_ms)
        now_ns = monotonic_ns(wires.time)
        wires.clock_distance_ns[0] = realtime_ns(wires.time) - now_ns
        for at in range(n_ready):
            data = int(np.int64(wires.ready[at].data))
            if data == _WAKE:
                _take_commands(tables, ears, wires, now_ns)
            else:
                _serve_socket(tables, ears, wires, data, now_ns)
        if tables.play_count[0] > 0:
            _pace_prompts(tables, wires.sockets, now_ns)
        if now_ns - ticked_ns >= TICK_MS * NS_A_MS:
            tick(tables, ears, now_ns)
            ticked_ns = now_ns
            wires.control[CONTROL_HEARTBEAT] += 1
        if tables.event_heads[0] != told:
            wires.tally[0] = tables.event_heads[0] - told
            told = tables.event_heads[0]
            c_write(wires.event_fd, wires.tally.ctypes.data, 8)
        wires.stays.totals[BUSY_NS] += monotonic_ns(wires.time) - now_ns
        fence()


@kernel
def _pace_prompts(tables: Tables, sockets: NDArray[np.int32], now_ns: int) -> None:
    """Send what is due of prompts that no peer's packets carry."""
    for index in range(len(tables.legs)):
        if tables.plays[index].playing:
            for at in range(pace_prompt(tables, index, now_ns)):
                _send(tables, sockets, index, at)


@kernel
def _take_commands(tables: Tables, ears: Ears, wires: Wires, now_ns: int) -> None:
    """Apply as many commands as the eventfd counts."""
    if c_read(wires.command_fd, wires.tally.ctypes.data, 8) != 8:
        return
    for _ in range(wires.tally[0]):
        apply_command(tables, ears, wires.commands[wires.commands_done[0] % len(wires.commands)], now_ns)
        wires.commands_done[0] += 1


@kernel
def _is_from(source: NDArray[np.uint8], expected: NDArray[np.uint8], address_bytes: int) -> bool:
    """Compare two sockaddr: family, port and address; not IPv6's flow label and scope, which are no identity."""
    differ = 0
    for at in range(4):
        differ |= source[at] ^ expected[at]
    first, last = (4, 8) if address_bytes == 16 else (8, 24)
    for at in range(first, last):
        differ |= source[at] ^ expected[at]
    return differ == 0


@kernel
def _serve_socket(tables: Tables, ears: Ears, wires: Wires, socket_index: int, now_ns: int) -> None:
    """Receive one packet, have it worked on, send what comes of it, wipe what came."""
    index = socket_index >> 1  # one leg has two sockets, of the two families
    leg = tables.legs[index]
    size = receive_datagram(wires.reception, wires.sockets[socket_index])
    if size < 0:
        return
    if leg.has_stream:
        if not _is_from(wires.reception.source, tables.addresses[index], leg.address_bytes):
            leg.bad_source += 1
        elif is_cut(wires.reception):
            leg.malformed += 1
        else:
            _pass_packet(tables, ears, wires, index, size, now_ns)
    tables.packet[:size] = 0


@kernel
def _pass_packet(tables: Tables, ears: Ears, wires: Wires, index: int, size: int, now_ns: int) -> None:
    """Have a packet from the leg's phone worked on, send what comes of it, and count how long it has stayed."""
    arrived_ns = arrival_ns(wires.reception, wires.clock_distance_ns[0], now_ns)
    n_packets = receive_packet(tables, ears, index, size, now_ns, arrived_ns)
    n_sent = 0
    for at in range(n_packets):
        n_sent += _send(tables, wires.sockets, index ^ 1, at)
    if n_sent > 0:
        note_stay(wires.stays, monotonic_ns(wires.time) - arrived_ns)


@kernel
def _send(tables: Tables, sockets: NDArray[np.int32], index: int, at: int) -> int:
    """Send packet `at` to the phone of the leg at `index`; return how many left, 1 or 0."""
    leg = tables.legs[index]
    size = tables.out_bytes[at]
    sent = c_sendto(
        sockets[leg.socket_index],
        tables.out[at].ctypes.data,
        size,
        MSG_DONTWAIT | MSG_NOSIGNAL,
        tables.addresses[index].ctypes.data,
        leg.address_bytes,
    )
    if sent == size:
        leg.sent += 1
        return 1
    leg.send_failed += 1
    return 0


def pack_address(host: str, port: int) -> bytes:
    """Return the sockaddr of an IP literal: 16 bytes for IPv4, 28 for IPv6. Raises ValueError."""
    address = ipaddress.ip_address(host)
    if not 0 < port < 1 << 16:
        raise ValueError("no such port")
    if address.version == 4:
        return struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", port, address.packed)
    return struct.pack("=H", socket.AF_INET6) + struct.pack("!HI16s", port, 0, address.packed) + bytes(4)


class Shard:
    """The thread and its wires. All methods are for the process's one loop thread."""

    def __init__(self, tables: Tables, ears: Ears) -> None:
        """Make the wires; `start` lets the thread run."""
        self._tables, self.ears = tables, ears
        self.commands = CommandRing()
        self.events = EventReader(tables)
        self._epoll = select.epoll()
        n_sockets = SOCKETS_PER_ROW * (len(tables.legs) // 2)
        self._wires = Wires(
            control=np.zeros(2, np.int64),
            epoll_fd=self._epoll.fileno(),
            command_fd=self.commands.fd,
            event_fd=self.events.fd,
            sockets=np.full(n_sockets, -1, np.int32),
            commands=self.commands.cells,
            commands_done=self.commands.done,
            ready=np.zeros(EPOLL_BATCH, EPOLL_EVENT_DTYPE),
            reception=make_reception(tables.packet),
            stays=make_stay_book(),
            tally=np.zeros(1, np.int64),
            time=np.zeros(2, np.int64),
            clock_distance_ns=np.zeros(1, np.int64),
        )
        epoll_add(self._epoll.fileno(), self.commands.fd, _WAKE)
        self._meter = ThreadMeter(THREAD_NAME, self._wires.stays)
        self._thread = threading.Thread(
            target=run_shard, args=(tables, ears, self._wires), name=THREAD_NAME, daemon=True
        )

    @property
    def heartbeat(self) -> int:
        """Grows while the loop turns."""
        return int(self._wires.control[CONTROL_HEARTBEAT])

    @property
    def n_rows(self) -> int:
        """Calls the tables have room for."""
        return len(self._tables.legs) // 2

    def health(self) -> MediaThread:
        """Return how the thread does, its busyness since last asked."""
        return self._meter.read()

    def compile(self) -> None:
        """Compile the loop or load it from the cache, and return at once."""
        self._wires.control[CONTROL_STOP] = 1
        run_shard(self._tables, self.ears, self._wires)
        self._wires.control[CONTROL_STOP] = 0

    def start(self) -> None:
        """Let the thread run."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> bool:
        """Ask the thread to leave; tell whether it did."""
        self._wires.control[CONTROL_STOP] = 1
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def add_socket(self, socket_index: int, fd: int) -> None:
        """Serve `fd`, which becomes ours, as `socket_index`; an older one is closed. Raises InvariantError."""
        if not 0 <= socket_index < len(self._wires.sockets):
            os.close(fd)
            raise InvariantError(f"socket index {socket_index} is outside the tables")
        old = int(self._wires.sockets[socket_index])
        if old >= 0:
            epoll_remove(self._epoll.fileno(), old)
            os.close(old)
        self._wires.sockets[socket_index] = fd
        epoll_add(self._epoll.fileno(), fd, socket_index)
