"""One TLS connection to a gateway: what was written can be wiped at once, and it is known whether a byte left.

A TCP transport of asyncio below, ssl.SSLObject on two memory buffers in between (RFC 8446, RFC 5246). asyncio's own TLS
streams are not used, because three things must be exact here: OpenSSL has encrypted the clear bytes when ``send``
returns, so that nothing queues a view of the build page; the pin is compared before any byte of a request; and a
connection that ended while it was idle is found out in the same turn of the loop in which it would be used.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from dtmf_shield.cde.gateways.tls import UnreadableCertificateError, pin_of

OBJECTION_WAIT_S_MAX: Final = 0.5
OBJECTION_WAIT_S_MIN: Final = 0.1
RECEIVED_BYTES_MAX: Final = 262_144
"""Unread ciphertext of one connection. A peer that sends more than it was asked for is cut off."""
_READ_BYTES: Final = 16_384


class HandshakeError(OSError):
    """The peer took the connection and ended it before TLS stood, without saying why."""


class PinMismatchError(Exception):
    """The gateway's key is none of the pinned ones."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom to connect to: a literal address, the name its certificate must bear, and the pins, empty for any key."""

    address: str
    port: int
    server_name: str
    pins: frozenset[str] = frozenset()


class Connection(asyncio.Protocol):
    """One connection. Made by ``connect``; used by one exchange at a time; ended by ``abort`` or ``close``."""

    def __init__(self, peer: Peer, context: ssl.SSLContext) -> None:
        self.peer = peer
        self.idle_since_s = 0.0
        """When it was opened or last used, by time.monotonic."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=peer.server_name)
        self._socket: socket.socket | None = None
        self._transport: asyncio.Transport | None = None
        self._ended = False
        self._arrived = asyncio.Event()

    # --- asyncio.Protocol ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take ciphertext; it is opened when it is asked for."""
        self._incoming.write(data)
        if self._incoming.pending > RECEIVED_BYTES_MAX:
            self.abort()
        self._arrived.set()

    def eof_received(self) -> None:
        """The peer has ended its side: nobody would read an answer, so we end ours."""
        self._ended = True
        self._arrived.set()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is no more."""
        self._ended = True
        self._arrived.set()

    # --- opening ------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect, shake hands, compare the pin. Raises OSError, PinMismatchError; then it is ended."""
        try:
            begun_s = time.monotonic()
            await self._connect()
            round_trip_s = time.monotonic() - begun_s
            await self._secure(round_trip_s)
        except BaseException:
            self.abort()
            raise

    async def _connect(self) -> None:
        loop, v6 = asyncio.get_running_loop(), ip_address(self.peer.address).version == 6
        self._socket = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        await loop.sock_connect(self._socket, (self.peer.address, self.peer.port))
        await loop.create_connection(lambda: self, sock=self._socket)

    async def _secure(self, round_trip_s: float) -> None:
        try:
            await self._shake_hands()
            self._compare_pin()
            await self._hear_objection(round_trip_s)
        except ConnectionResetError:
            raise HandshakeError from None

    async def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                await self._more()
            except ssl.SSLError:
                self._flush()  # the alert that tells the peer why
                raise
            else:
                self._flush()
                return

    def _compare_pin(self) -> None:
        if not self.peer.pins:
            return
        try:
            pin = pin_of(self._tls.getpeercert(binary_form=True) or b"")
        except UnreadableCertificateError:
            raise PinMismatchError from None
        if pin not in self.peer.pins:
            raise PinMismatchError

    async def _hear_objection(self, round_trip_s: float) -> None:
        """Give a TLS 1.3 server the time to refuse our certificate, while nothing of a request has left.

        RFC 8446 section 4.4: the client is done before the server has read its certificate. Most servers answer at once
        with a session ticket (section 4.6.1); for one that says nothing two round trips are waited.
        """
        if self._tls.version() != "TLSv1.3":
            return
        wait_s = min(OBJECTION_WAIT_S_MAX, max(OBJECTION_WAIT_S_MIN, 2 * round_trip_s))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                if not self._incoming.pending:
                    await self._more()
        if self._read() is not None:
            raise ConnectionResetError("the gateway spoke before it was asked")

    # --- using --------------------------------------------------------------------------------------------

    async def is_usable(self) -> bool:
        """Whether it is open with nothing said since. True holds until the caller next waits for anything."""
        if not self._ended and self._nothing_arrived():
            return True
        # Two turns of the loop: one to see what has arrived, one to take it in.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        try:
            return not self._ended and self._read() is None and not self._ended
        except OSError:
            return False

    def send(self, *views: bytes | memoryview) -> None:
        """Encrypt ``views`` and hand the ciphertext to the system. When it returns or raises they may be wiped.

        Raises OSError. Whatever happens, a byte may have left afterwards.
        """
        for view in views:
            rest = memoryview(view)
            while rest:
                # Never wants to wait: the buffer below grows. Renegotiation, which could, is refused (RFC 8446 C.5).
                rest = rest[self._tls.write(rest) :]
        self._flush()

    async def receive(self) -> bytes:
        """Return what the peer says next, ``b""`` where it has ended properly (close_notify). Raises OSError."""
        while True:
            data = self._read()
            if data is not None:
                return data
            await self._more()

    def abort(self) -> None:
        """End it at once."""
        self._ended = True
        if self._transport is not None:
            self._transport.abort()
        elif self._socket is not None:
            self._socket.close()

    def close(self) -> None:
        """End it properly: close_notify, without waiting for the peer's."""
        with contextlib.suppress(OSError):  # the peer's close_notify has not come, or never will
            self._tls.unwrap()
        self._flush()
        self._ended = True
        if self._transport is not None:
            self._transport.close()

    def _nothing_arrived(self) -> bool:
        if self._socket is None or self._incoming.pending or self._tls.pending():
            return False
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def _read(self) -> bytes | None:
        """Return clear bytes, ``b""`` at a proper end, None where more must arrive first. Raises OSError."""
        self._arrived.clear()
        try:
            data = self._tls.read(_READ_BYTES)
        except ssl.SSLWantReadError:
            data = None
        except ssl.SSLZeroReturnError:
            data = b""
        self._flush()  # an answer to a key update (RFC 8446 section 4.6.3), an alert
        return data

    async def _more(self) -> None:
        if self._ended:
            raise ConnectionResetError("the gateway ended the connection")
        await self._arrived.wait()
        self._arrived.clear()
        if self._ended and not self._incoming.pending:
            raise ConnectionResetError("the gateway ended the connection")

    def _flush(self) -> None:
        if self._outgoing.pending and self._transport is not None:
            self._transport.write(self._outgoing.read())
