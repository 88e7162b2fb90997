"""One question for JSON over HTTP/1.1 (RFC 9112) on a connection of its own: no redirect, proxy, cookie or cache.

It gives back status and body, or raises; what the answer means is told in ``hooks`` and ``provider_web``. h11 frames
the messages: the same reader as towards the gateway, and every limit is ours. The caller bounds the time.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import h11

from dtmf_shield.base.web_address import WebAddress

ANSWER_BYTES_MAX: Final = 16_384
"""32 values of 64 characters fit four times."""
HEADER_BYTES_MAX: Final = 16_384
READ_BYTES: Final = 4_096
JSON: Final = "application/json"


class AnswerTooLongError(Exception):
    """More than ANSWER_BYTES_MAX."""


@dataclass(frozen=True, slots=True, repr=False)
class Server:
    """Where to, and as whom. ``credential``: one header, secret, so there is no repr."""

    address: WebAddress
    tls: ssl.SSLContext | None
    credential: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """``content_type`` without its parameters, lower case."""

    status: int
    content_type: str
    body: bytes


async def post(server: Server, body: bytes, headers: Sequence[tuple[str, str]] = ()) -> Answer:
    """Send ``body`` as JSON, with ``headers`` beside our own, and return the answer.

    Raises OSError, h11.ProtocolError, AnswerTooLongError.
    """
    return await ask(server, "POST", body, JSON, ANSWER_BYTES_MAX, headers)


async def ask(
    server: Server,
    method: str,
    body: bytes,
    content_type: str,
    answer_bytes_max: int,
    more: Sequence[tuple[str, str]] = (),
) -> Answer:
    """Send one request, with ``more`` headers, and return the answer; see :func:`post`."""
    address = server.address
    reader, writer = await asyncio.open_connection(
        address.host,
        address.port,
        ssl=server.tls,
        server_hostname=address.host if server.tls is not None else None,
        limit=READ_BYTES,
    )
    try:
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEADER_BYTES_MAX)
        for event in (
            _head(server, method, content_type, len(body), more),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            writer.write(connection.send(event) or b"")
        await writer.drain()
        return await _answer(connection, reader, answer_bytes_max)
    finally:
        writer.transport.abort()  # one request a connection: there is nothing to wait for


def _head(
    server: Server, method: str, content_type: str, length: int, more: Sequence[tuple[str, str]]
) -> h11.Request:
    address = server.address
    host = f"[{address.host}]" if ":" in address.host else address.host
    headers = [
        ("Host", f"{host}:{address.port}"),
        ("Content-Type", content_type),
        ("Content-Length", str(length)),
        ("Accept", JSON),
        ("Accept-Encoding", "identity"),  # what is not packed cannot unpack to more than its limit
        ("User-Agent", "dtmf-shield"),
        ("Connection", "close"),
        *more,
    ]
    if server.credential is not None:
        headers.append(server.credential)
    return h11.Request(method=method, target=address.path, headers=headers)


async def _answer(connection: h11.Connection, reader: asyncio.StreamReader, bytes_max: int) -> Answer:
    head: h11.Response | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        match event:
            case h11.NEED_DATA:
                connection.receive_data(await reader.read(READ_BYTES))
            case h11.Response():
                head = event
            case h11.Data():
                body += event.data
                if len(body) > bytes_max:
                    raise AnswerTooLongError
            case h11.EndOfMessage() if head is not None:
                return Answer(head.status_code, _content_type(head), bytes(body))
            case h11.InformationalResponse():
                pass  # RFC 9110 section 15.2: any number may come before the answer; the time bounds them
            case _:
                raise h11.RemoteProtocolError("the connection ended before the answer")


def _content_type(head: h11.Response) -> str:
    found = [value for name, value in head.headers if name == b"content-type"]
    return found[0].decode("latin-1").partition(";")[0].strip().lower() if found else ""
