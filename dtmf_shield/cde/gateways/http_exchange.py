"""One HTTP/1.1 request and its answer over an open connection (RFC 9112), by h11.

The body goes through h11 and TLS as a view and is wiped by the caller right after. The answer is read completely or not
believed; what it means is for the connector.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final

import h11

from dtmf_shield.account_data.slots import Region
from dtmf_shield.cde.gateways.base import Answer, CardInSlot, Request, build_body
from dtmf_shield.cde.gateways.connection import Connection

ANSWER_BYTES_MAX: Final = 65_536
ANSWER_BYTES_RECEIVED_MAX: Final = 2 * ANSWER_BYTES_MAX
"""With head, chunk marks and interim answers."""
RETRY_AFTER_S_MAX: Final = 3_600.0


class GarbageError(Exception):
    """The peer said what is no answer: too long, cut short, or no HTTP."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What every request to one gateway bears: its Host, the headers that say who we are, the key that signs bodies."""

    host: str
    headers: tuple[tuple[str, str], ...]
    signing_key: bytes

    def __repr__(self) -> str:
        return f"<Identity for {self.host}>"


def send_request(
    connection: Connection, request: Request, card: CardInSlot | None, page: Region, identity: Identity
) -> h11.Connection:
    """Build ``request`` in ``page``, encrypt and send it, wipe the page. Return h11's state, which awaits the answer.

    There is no turn of the loop in it, so that one page serves every gateway and is never seen filled.
    Raises InvariantError or h11.LocalProtocolError before a byte has left, OSError when one may have.
    """
    http = h11.Connection(our_role=h11.CLIENT)
    try:
        body = build_body(page.view, request.body, card)
        head = http.send(_head(request, body, identity)) or b""
        # h11 passes the view on as it is; its types name bytes only.
        views = http.send_with_data_passthrough(h11.Data(data=body)) or []  # type: ignore[arg-type]
        http.send(h11.EndOfMessage())
        connection.send(head, *views)
    finally:
        page.wipe()
    return http


async def receive_answer(http: h11.Connection, connection: Connection) -> Answer:
    """Return the complete answer. Raises GarbageError, h11.RemoteProtocolError, OSError."""
    response, body, received_bytes = None, bytearray(), 0
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            data = await connection.receive()
            received_bytes += len(data)
            if received_bytes > ANSWER_BYTES_RECEIVED_MAX:
                raise GarbageError
            http.receive_data(data)
        elif isinstance(event, h11.Response):
            response = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > ANSWER_BYTES_MAX:
                raise GarbageError
        elif isinstance(event, h11.EndOfMessage) and response is not None:
            return Answer(response.status_code, bytes(body), _retry_after_s(response))
        elif not isinstance(event, h11.InformationalResponse):
            raise GarbageError


def may_be_kept(http: h11.Connection) -> bool:
    """Whether the connection can carry another request after a complete answer, with nothing said beyond it."""
    return http.our_state is h11.DONE and http.their_state is h11.DONE and http.trailing_data == (b"", False)


def _head(request: Request, body: memoryview, identity: Identity) -> h11.Request:
    headers = [
        ("Host", identity.host),
        *identity.headers,
        ("Content-Length", str(len(body))),
        *request.headers,
    ]
    if request.signature is not None and identity.signing_key:
        # One call on the view: a live hmac object would keep a block of the body.
        digest = hmac.digest(identity.signing_key, body, request.signature.algorithm)
        headers.append((request.signature.header, digest.hex()))
    return h11.Request(method=request.method, target=request.path, headers=headers)


def _retry_after_s(response: h11.Response) -> float:
    """Read Retry-After where it is a number of seconds; a date (RFC 9110 section 10.2.3) needs a clock we agree on."""
    value = next((value for name, value in response.headers if name == b"retry-after"), b"")
    return min(float(value), RETRY_AFTER_S_MAX) if value.isdigit() else 0.0
