"""The one way a card number leaves: from the slot into a locked build page, from there into TLS, then wiped.

HTTP/1.1 (RFC 9112) by h11 over asyncio TLS streams, one connection a request in this version. Head and body go to
the stream as two writes; the body as one memoryview, which neither h11 nor asyncio copies. It decides nothing about
the answer: connectors read that.
"""

from __future__ import annotations

import asyncio
import base64
import random
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import h11

from dtmf_shield.account_data.slots import Region
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.base.log import get_logger
from dtmf_shield.cde.gateways.base import (
    Answer,
    CardInSlot,
    Request,
    Unanswered,
    build_body,
)

CONNECT_TIMEOUT_S: Final = 2.0
ANSWER_TIMEOUT_S: Final = 8.0
CONNECT_TRIES: Final = 2
RETRY_WAIT_S_MAX: Final = 0.25
ANSWER_BYTES_MAX: Final = 65_536
BUILD_PAGE_BYTES: Final = 4_096
BUILD_PAGES: Final = 16
"""Requests at once; more wait for a page."""
_READ_BYTES: Final = 16_384

_log = get_logger("gateway")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the gateway is. ``ip`` is a literal: a name would need a resolver and its files."""

    ip: str
    port: int
    server_name: str
    authorization: str

    def __repr__(self) -> str:
        return f"<Endpoint {self.ip}:{self.port}>"


class _NoAnswerError(Exception):
    """Bytes may have left; no complete answer came. ``reason``: reset, timeout, garbage."""


def tls_context(ca_file: Path) -> ssl.SSLContext:
    """Return a context that believes ``ca_file`` alone.

    Not ssl.create_default_context: that one honours SSLKEYLOGFILE and the system's authorities.
    Raises OperatorError where the file cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise OperatorError(f"{ca_file}: cannot read the gateway's authorities; name a PEM file") from error
    return context


def basic_authorization(user_file: Path) -> str:
    """Read ``user:password`` and return the Authorization header's value (RFC 7617). Raises OperatorError."""
    try:
        line = user_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"{user_file}: cannot read the gateway's credentials") from error
    if ":" not in line:
        raise OperatorError(f"{user_file}: found no colon; write user:password on one line")
    return "Basic " + base64.b64encode(line.encode("utf-8")).decode("ascii")


class GatewaySender:
    """Sends requests to one endpoint. ``health``: ok, refused, timeout or tls, of the last try."""

    def __init__(self, endpoint: Endpoint, tls: ssl.SSLContext, name: str, pages: Region) -> None:
        """``pages``: locked memory of BUILD_PAGES x BUILD_PAGE_BYTES. ``name``: of the gateway, for the log."""
        self._endpoint, self._tls, self._name, self._region = endpoint, tls, name, pages
        self._free_pages = list(range(BUILD_PAGES))
        self._page_free = asyncio.Semaphore(BUILD_PAGES)
        self.health = "ok"

    async def exchange(self, request: Request, card: CardInSlot | None) -> Answer | Unanswered:
        """Send once and wait for the answer. Never raises for what a peer or the network does."""
        async with self._page_free:
            page = self._free_pages.pop()
            try:
                return await self._exchange(request, card, page)
            finally:
                self._free_pages.append(page)

    async def probe(self) -> str:
        """Connect and leave. Return the health."""
        connected = await self._connect()
        if connected is not None:
            connected[1].close()
        return self.health

    async def _exchange(self, request: Request, card: CardInSlot | None, page: int) -> Answer | Unanswered:
        connected = await self._connect_patiently()
        if connected is None:
            return Unanswered(self.health, sent=False)
        reader, writer = connected
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                http = await self._send(writer, request, card, page)
                return await _receive(http, reader)
        except TimeoutError:
            return self._no_answer("timeout")
        except OSError:
            return self._no_answer("reset")
        except (_NoAnswerError, h11.RemoteProtocolError):
            return self._no_answer("garbage")
        finally:
            writer.transport.abort()

    def _no_answer(self, reason: str) -> Unanswered:
        _log.warning("gateway_no_answer", gateway=self._name, reason=reason)
        return Unanswered(reason, sent=True)

    async def _send(
        self, writer: asyncio.StreamWriter, request: Request, card: CardInSlot | None, page: int
    ) -> h11.Connection:
        http = h11.Connection(our_role=h11.CLIENT)
        start = page * BUILD_PAGE_BYTES
        try:
            body = build_body(self._region.view[start : start + BUILD_PAGE_BYTES], request.body, card)
            writer.write(http.send(self._head(request, len(body))) or b"")
            for view in http.send_with_data_passthrough(h11.Data(data=body)) or ():  # type: ignore[arg-type]
                writer.write(view)
            http.send(h11.EndOfMessage())
            await writer.drain()
        finally:
            self._region.wipe_range(start, BUILD_PAGE_BYTES)
        return http

    def _head(self, request: Request, length: int) -> h11.Request:
        headers = [
            ("Host", self._endpoint.server_name),
            ("Authorization", self._endpoint.authorization),
            ("Content-Length", str(length)),
            ("Connection", "close"),
            *request.headers,
        ]
        return h11.Request(method=request.method, target=request.path, headers=headers)

    async def _connect_patiently(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for left in reversed(range(CONNECT_TRIES)):
            connected = await self._connect()
            if connected is not None or self.health == "tls" or not left:
                return connected
            await asyncio.sleep(random.uniform(RETRY_WAIT_S_MAX / 2, RETRY_WAIT_S_MAX))  # noqa: S311 - jitter
        return None

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                connected = await asyncio.open_connection(
                    self._endpoint.ip,
                    self._endpoint.port,
                    ssl=self._tls,
                    server_hostname=self._endpoint.server_name,
                    limit=ANSWER_BYTES_MAX,
                )
        except TimeoutError:
            self.health = "timeout"
        except ssl.SSLError as error:
            _log.warning("gateway_tls_failed", gateway=self._name, reason=error.reason)
            self.health = "tls"
        except OSError:
            self.health = "refused"
        else:
            self.health = "ok"
            return connected
        return None


async def _receive(http: h11.Connection, reader: asyncio.StreamReader) -> Answer:
    """Return the complete answer. Raises _NoAnswerError, h11.RemoteProtocolError, OSError."""
    status, body = 0, bytearray()
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(_READ_BYTES))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > ANSWER_BYTES_MAX:
                raise _NoAnswerError("too long")
        elif isinstance(event, h11.EndOfMessage):
            return Answer(status, bytes(body))
        elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            raise _NoAnswerError("closed")
