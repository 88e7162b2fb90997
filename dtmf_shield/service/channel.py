"""The channel between two processes: msgspec messages and file descriptors over AF_UNIX SOCK_SEQPACKET.

One message a datagram, order kept, nothing lost but by the death of a peer. It does not reconnect: a channel
that has closed stays closed, and its owner is told once.
"""

from __future__ import annotations

import array
import asyncio
import os
import select
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.base.log import get_logger
from dtmf_shield.model.messages import MESSAGE_BYTES_MAX

CHANNEL_FD_VARIABLE: Final = "DTMF_SHIELD_CHANNEL_FD"
"""Environment variable by which a process finds its channel to the supervisor."""
CHANNEL_QUEUE_MAX: Final = 4_096
"""Messages waiting for a slow peer. One more and the peer is taken for dead: the channel closes."""
CHANNEL_DESCRIPTORS_MAX: Final = 200
"""File descriptors with one message; Linux allows 253 (SCM_MAX_FD)."""
CHANNEL_READ_BATCH_MAX: Final = 64
"""Messages taken at one wake-up, so that one busy channel does not starve the others."""
SEND_WAIT_MS: Final = 2_000
"""How long a channel without an event loop waits for room before it takes the peer for dead."""

_ANCILLARY_BYTES: Final = socket.CMSG_SPACE(CHANNEL_DESCRIPTORS_MAX * array.array("i").itemsize)

_log = get_logger("channel")
_encoder = msgspec.msgpack.Encoder()

Received = TypeVar("Received")
OnMessage = Callable[[Received, tuple[int, ...]], None]
OnClosed = Callable[[], None]


def connect_pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected sockets, one for each end of a channel. Both close on exec unless passed on."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class Channel(Generic[Received]):
    """One end of a channel. ``Received`` is the union of messages that may come in; anything may be sent.

    With an event loop: ``attach``. Without: ``receive`` (waits), or ``receive_now`` and ``fileno`` for epoll.
    Whoever receives descriptors owns them. Not safe to share between threads.
    """

    def __init__(self, sock: socket.socket, decode_type: Any) -> None:
        """Take over ``sock``. ``decode_type`` is ``Received`` once more: Channel[A | B](sock, A | B)."""
        sock.setblocking(False)
        self._sock = sock
        self._decoder = msgspec.msgpack.Decoder(decode_type)
        self._queue: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_message: OnMessage[Received] | None = None
        self._on_closed: OnClosed | None = None
        self.closed = False

    def fileno(self) -> int:
        """Return the socket's descriptor, -1 once closed."""
        return self._sock.fileno()

    def attach(
        self, loop: asyncio.AbstractEventLoop, on_message: OnMessage[Received], on_closed: OnClosed
    ) -> None:
        """Call ``on_message(message, fds)`` for each message and ``on_closed()`` once when the peer is gone.

        ``on_closed`` is not called for a close() of our own.
        """
        if self.closed:
            raise InvariantError("a closed channel cannot be attached")
        self._loop, self._on_message, self._on_closed = loop, on_message, on_closed
        loop.add_reader(self._sock.fileno(), self._read_ready)
        if self._queue:
            loop.add_writer(self._sock.fileno(), self._write_ready)

    def send(self, message: object, fds: Sequence[int] = ()) -> bool:
        """Send, or queue where the peer is slow. ``fds`` stay the caller's and may be closed at once.

        Returns False where the channel is closed or closed just now because the peer is gone or too slow.
        Raises InvariantError for a message over MESSAGE_BYTES_MAX or too many descriptors.
        """
        data = _encoder.encode(message)
        if len(data) > MESSAGE_BYTES_MAX or len(fds) > CHANNEL_DESCRIPTORS_MAX:
            raise InvariantError(f"{type(message).__name__} is too long for a channel")
        if self.closed:
            return False
        if not self._queue:
            sent = self._send_now(data, fds)
            if sent is not None:
                return sent
        return self._enqueue(data, fds)

    def receive_now(self) -> tuple[Received, tuple[int, ...]] | None:
        """Return the next message and its descriptors, None where none waits.

        Raises EOFError where the peer is gone (or sent what is no message); the channel is closed then.
        """
        if self.closed:
            raise EOFError("channel closed")
        try:
            data, ancillary, flags = self._receive_datagram()
        except BlockingIOError:
            return None
        except OSError:
            data, ancillary, flags = b"", [], 0
        fds = _descriptors(ancillary)
        if not data:
            self.close()
            raise EOFError("peer closed the channel")
        try:
            return self._decode(data, flags), fds
        except (msgspec.MsgspecError, InvariantError, UnicodeDecodeError) as error:
            # The error's text may quote the message: its type says enough.
            _log.error("channel_malformed", error=type(error).__name__, length=len(data))
            for fd in fds:
                os.close(fd)
            self.close()
            raise EOFError("malformed message") from None

    def receive(self, timeout_s: float | None = 5.0) -> tuple[Received, tuple[int, ...]]:
        """Wait for the next message, without end for None. Raises TimeoutError, EOFError."""
        received = self.receive_now()
        while received is None:
            poll = select.poll()
            poll.register(self._sock, select.POLLIN)
            if not poll.poll(None if timeout_s is None else timeout_s * 1_000):
                raise TimeoutError(f"no message within {timeout_s} s")
            received = self.receive_now()
        return received

    def close(self) -> None:
        """Close; what is queued is lost. Idempotent."""
        if self.closed:
            return
        self.closed = True
        if self._loop is not None:
            self._loop.remove_reader(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())
        for _, fds in self._queue:
            for fd in fds:
                os.close(fd)
        self._queue.clear()
        self._sock.close()

    def _receive_datagram(self) -> tuple[bytes, list[tuple[int, int, bytes]], int]:
        # Not socket.recv_fds: before Python 3.12 it drops the flags it is given.
        arguments = (MESSAGE_BYTES_MAX, _ANCILLARY_BYTES, socket.MSG_CMSG_CLOEXEC)
        try:
            return self._sock.recvmsg(*arguments)[:3]
        except ConnectionResetError:
            # The peer left with messages of ours unread; its own last words still wait behind the error.
            return self._sock.recvmsg(*arguments)[:3]

    def _decode(self, data: bytes, flags: int) -> Received:
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            raise InvariantError("message or descriptors cut")
        message: Received = self._decoder.decode(data)
        return message

    def _send_now(self, data: bytes, fds: Sequence[int]) -> bool | None:
        """Return True sent, False peer gone, None no room."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self._sock.sendmsg([data], rights, socket.MSG_NOSIGNAL)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            self._peer_gone()
            return False
        return True

    def _enqueue(self, data: bytes, fds: Sequence[int]) -> bool:
        if self._loop is None:
            return self._send_waiting(data, fds)
        if len(self._queue) >= CHANNEL_QUEUE_MAX:
            _log.error("channel_overflow", queued=len(self._queue))
            self._peer_gone()
            return False
        self._queue.append((data, tuple(os.dup(fd) for fd in fds)))
        self._loop.add_writer(self._sock.fileno(), self._write_ready)
        return True

    def _send_waiting(self, data: bytes, fds: Sequence[int]) -> bool:
        poll = select.poll()
        poll.register(self._sock, select.POLLOUT)
        if poll.poll(SEND_WAIT_MS):
            return bool(self._send_now(data, fds))
        self._peer_gone()
        return False

    def _write_ready(self) -> None:
        while self._queue and not self.closed:
            data, fds = self._queue[0]
            if self._send_now(data, fds) is not True:
                return
            self._queue.popleft()
            for fd in fds:
                os.close(fd)
        if self._loop is not None and not self.closed:
            self._loop.remove_writer(self._sock.fileno())

    def _read_ready(self) -> None:
        for _ in range(CHANNEL_READ_BATCH_MAX):
            if self.closed or self._on_message is None:
                return
            try:
                received = self.receive_now()
            except EOFError:
                self._tell_closed()
                return
            if received is None:
                return
            self._on_message(*received)

    def _peer_gone(self) -> None:
        self.close()
        if self._loop is not None:
            # Not from within send(): the caller is in the middle of something.
            self._loop.call_soon(self._tell_closed)

    def _tell_closed(self) -> None:
        on_closed, self._on_closed = self._on_closed, None
        if on_closed is not None:
            on_closed()


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> tuple[int, ...]:
    fds = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return tuple(fds)
