"""The one way a card number leaves: from the slot into a locked build page, from there into TLS, then wiped.

One pool of kept connections a gateway. A connection is opened while the last field is keyed (``warm``), tried before
each use, and replaced where it ended meanwhile; a request that may have left is never sent again here. This decides
nothing about answers: connectors read them, and the payment engine decides what follows.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import h11

from dtmf_shield.account_data.slots import Region
from dtmf_shield.base.errors import InvariantError
from dtmf_shield.base.log import get_logger
from dtmf_shield.cde.gateways.base import Answer, CardInSlot, Request, Unanswered
from dtmf_shield.cde.gateways.connection import Connection, HandshakeError, Peer, PinMismatchError
from dtmf_shield.cde.gateways.http_exchange import (
    GarbageError,
    Identity,
    may_be_kept,
    receive_answer,
    send_request,
)

CONNECT_TIMEOUT_S: Final = 2.0
"""For all addresses together: TCP, TLS, pin."""
CONNECT_TIMEOUT_S_MIN: Final = 0.5
"""What one address of several gets at least."""
ANSWER_TIMEOUT_S: Final = 8.0
"""From the first byte of the request to the last of the answer."""
HTTPS_PORT: Final = 443
BUILD_PAGE_BYTES: Final = 4_096
"""The longest body."""
EXCHANGES_MAX: Final = 64
"""At once with one gateway; more wait for as long as a connection may take, then fail unsent."""
ADDRESSES_MAX: Final = 8
KEPT_CONNECTIONS_MAX: Final = 8
"""Idle ones. More exchanges than that at once open connections of their own."""
KEPT_S_MAX: Final = 55.0
"""Front servers close idle connections after 60 s or more; we do not wait for them to."""

_log = get_logger("gateway")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the gateway is and who we are there.

    ``addresses`` are literals, tried in turn: a name would need a resolver and its files. ``headers``: Authorization
    and the like. ``pins``: empty, or any of them is the gateway's key.
    """

    addresses: tuple[str, ...]
    port: int
    server_name: str
    headers: tuple[tuple[str, str], ...] = ()
    signing_key: bytes = b""
    pins: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"<Endpoint {self.server_name}:{self.port}>"


class GatewaySender:
    """Sends requests to one gateway. ``health`` is that of the last try: ok refused timeout tls pin."""

    def __init__(self, endpoint: Endpoint, tls: ssl.SSLContext, name: str, page: Region) -> None:
        """``name``: of the gateway, for the log. ``page``: BUILD_PAGE_BYTES of locked memory, for all gateways."""
        self._endpoint, self._tls, self.name, self._page = endpoint, tls, name, page
        self._identity = Identity(_host(endpoint), endpoint.headers, endpoint.signing_key)
        self._room = asyncio.Semaphore(EXCHANGES_MAX)
        self._addresses: tuple[str, ...] = ()
        self.set_addresses(endpoint.addresses)
        self._idle: list[Connection] = []
        self._expected = 0
        """Exchanges announced by ``warm`` and not yet begun."""
        self._opening = 0
        """Connections that ``warm`` is opening."""
        self._warming: set[asyncio.Task[None]] = set()
        self.health = "ok"

    async def exchange(self, request: Request, card: CardInSlot | None) -> Answer | Unanswered:
        """Send once and wait for the answer. Never raises for what a peer or the network does."""
        self._expected = max(0, self._expected - 1)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._room.acquire()
        except TimeoutError:
            _log.warning("gateway_exchanges_at_their_limit", gateway=self.name, exchanges=EXCHANGES_MAX)
            return Unanswered("timeout", sent=False)
        try:
            connection = await self._ready_connection()
            if connection is None:
                return Unanswered(self.health, sent=False)
            return await self._exchange(connection, request, card)
        finally:
            self._room.release()

    async def _exchange(
        self, connection: Connection, request: Request, card: CardInSlot | None
    ) -> Answer | Unanswered:
        try:
            # No turn of the loop lies between the connection's trial and the first byte.
            http = send_request(connection, request, card, self._page, self._identity)
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = await receive_answer(http, connection)
        except (OSError, GarbageError, h11.RemoteProtocolError) as error:
            connection.abort()
            reason = _reason(error)
            _log.warning("gateway_no_answer", gateway=self.name, reason=reason)
            return Unanswered(reason, sent=True)
        except BaseException:
            connection.abort()
            raise
        self._keep_or_close(connection, http)
        return answer

    def warm(self) -> None:
        """An exchange will follow soon: have a connection ready for it. Returns at once."""
        self._expected = min(self._expected + 1, KEPT_CONNECTIONS_MAX)
        if len(self._warming) < KEPT_CONNECTIONS_MAX:
            task = asyncio.get_running_loop().create_task(self._warm())
            self._warming.add(task)
            task.add_done_callback(self._warming.discard)

    async def probe(self) -> str:
        """Connect anew, keep the connection in place of the oldest, and return the health."""
        await self._drop_unusable()
        connection = await self._connect()
        if connection is not None:
            self._keep(connection)
        return self.health

    def set_addresses(self, addresses: Sequence[str]) -> None:
        """Connect to these from now on. Connections in use go on; idle ones to other addresses are dropped when met.

        Raises InvariantError for none or too many.
        """
        if not 1 <= len(addresses) <= ADDRESSES_MAX:
            raise InvariantError(f"a gateway has 1 to {ADDRESSES_MAX} addresses")
        self._addresses = tuple(addresses)

    def close(self) -> None:
        """End every idle connection and what is being opened."""
        for task in self._warming:
            task.cancel()
        while self._idle:
            self._idle.pop().close()

    # --- kept connections ---------------------------------------------------------------------------------

    async def _ready_connection(self) -> Connection | None:
        """Return a connection that was open and silent a moment ago, else a new one, None where there is no way."""
        while self._idle:
            # The newest first: it is the least likely to be at its end.
            connection = self._idle.pop()
            if self._young(connection) and await connection.is_usable():
                return connection
            connection.close()
        return await self._connect()

    async def _warm(self) -> None:
        await self._drop_unusable()
        while len(self._idle) + self._opening < self._expected:
            self._opening += 1
            try:
                connection = await self._connect()
            finally:
                self._opening -= 1
            if connection is None:
                return
            self._keep(connection)

    async def _drop_unusable(self) -> None:
        tried, self._idle = self._idle, []
        for connection in tried:
            if self._young(connection) and await connection.is_usable():
                self._idle.append(connection)
            else:
                connection.close()

    def _young(self, connection: Connection) -> bool:
        age_s = time.monotonic() - connection.idle_since_s
        return age_s < KEPT_S_MAX and connection.peer.address in self._addresses

    def _keep_or_close(self, connection: Connection, http: h11.Connection) -> None:
        if may_be_kept(http):
            self._keep(connection)
        else:
            connection.close()

    def _keep(self, connection: Connection) -> None:
        connection.idle_since_s = time.monotonic()
        self._idle.append(connection)
        if len(self._idle) > KEPT_CONNECTIONS_MAX:
            self._idle.pop(0).close()

    # --- new connections ----------------------------------------------------------------------------------

    async def _connect(self) -> Connection | None:
        """Try each address in turn, the last good one first. Return a connection, or None and the health says why."""
        timeout_s = max(CONNECT_TIMEOUT_S_MIN, CONNECT_TIMEOUT_S / len(self._addresses))
        for address in self._addresses:
            endpoint = self._endpoint
            peer = Peer(address, endpoint.port, endpoint.server_name, endpoint.pins)
            connection = Connection(peer, self._tls)
            try:
                async with asyncio.timeout(timeout_s):
                    await connection.open()
            except (OSError, PinMismatchError) as error:
                self.health = _reason_before(error)
                detail = error.reason if isinstance(error, ssl.SSLError) else type(error).__name__
                _log.warning("gateway_no_connection", gateway=self.name, reason=self.health, detail=detail)
            else:
                self.health = "ok"
                if address in self._addresses:  # it may have been taken away meanwhile
                    others = (other for other in self._addresses if other != address)
                    self._addresses = (address, *others)
                return connection
        return None


def _host(endpoint: Endpoint) -> str:
    name = f"[{endpoint.server_name}]" if ":" in endpoint.server_name else endpoint.server_name
    return name if endpoint.port == HTTPS_PORT else f"{name}:{endpoint.port}"


def _reason_before(error: Exception) -> str:
    match error:
        case TimeoutError():
            return "timeout"
        case PinMismatchError():
            return "pin"
        case ssl.SSLError() | HandshakeError():
            return "tls"
        case _:
            return "refused"


def _reason(error: Exception) -> str:
    match error:
        case TimeoutError():
            return "timeout"
        case ssl.SSLError():
            return "tls"
        case OSError():
            return "reset"
        case _:
            return "garbage"
