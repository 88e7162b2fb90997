"""The TEST gateway's server: HTTP/1.1 (RFC 9112) by h11 over TLS on loopback, one request a connection.

POST /pay speaks the generic connector's JSON; GET /book, POST /faults and POST /canaries are for tests. It serves
loopback only and keeps nothing on disk.
"""

from __future__ import annotations

import asyncio
import base64
import enum
import hmac
import json
import ssl
from pathlib import Path
from typing import Final

import h11

from dtmf_shield.service.test_gateway.book import Answer, Book

LISTEN_IP: Final = "127.0.0.1"
REQUEST_BYTES_MAX: Final = 16_384
REQUEST_TIMEOUT_S: Final = 30.0
PAY_PATH: Final = "/pay"
BANNER: Final = "dtmf-shield-TEST-gateway"


class Fault(enum.StrEnum):
    """What can be made to go wrong."""

    NONE = "none"
    HANG = "hang"
    """Take the request, book it, never answer."""
    RESET = "reset"
    """Take the request, book it, cut the connection: the answer is lost."""
    ERROR500 = "error500"
    GARBAGE = "garbage"
    DECLINE = "decline"


class TestGateway:
    """One gateway with its book and its fault plan: ``fault`` happens ``faults_left`` times."""

    __test__ = False  # Not a test class, whatever pytest makes of its name.

    def __init__(self, user_file: Path, fault: Fault = Fault.NONE) -> None:
        credentials = user_file.read_text("utf-8").strip().encode()
        self._authorization = b"Basic " + base64.b64encode(credentials)
        self.book = Book()
        self.fault = fault
        self.faults_left = 0 if fault is Fault.NONE else 1_000_000
        self._server: asyncio.Server | None = None

    async def start(self, certificate_file: Path, key_file: Path, port: int) -> int:
        """Listen; return the port."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate_file, key_file)
        self._server = await asyncio.start_server(self._serve, LISTEN_IP, port, ssl=context)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                http = h11.Connection(our_role=h11.SERVER)
                request, body = await _read(http, reader)
                if request is not None:
                    await self._answer(http, request, body, writer)
        except (OSError, TimeoutError, h11.RemoteProtocolError, asyncio.IncompleteReadError):
            pass  # The client went away or spoke nonsense: nothing to answer, nothing to keep.
        finally:
            writer.close()

    async def _answer(
        self, http: h11.Connection, request: h11.Request, body: bytes, writer: asyncio.StreamWriter
    ) -> None:
        if not self._authorized(request):
            _send(http, writer, 401, {"test": True, "error_code": "credentials"})
        elif (request.method, request.target) == (b"POST", PAY_PATH.encode()):
            await self._pay(http, body, writer)
        else:
            _send(http, writer, *self._manage(request.method, request.target, body))
        await writer.drain()

    def _authorized(self, request: h11.Request) -> bool:
        given = next((value for name, value in request.headers if name == b"authorization"), b"")
        return hmac.compare_digest(given, self._authorization)

    async def _pay(self, http: h11.Connection, body: bytes, writer: asyncio.StreamWriter) -> None:
        fault = self._next_fault()
        if fault is Fault.ERROR500:
            _send(http, writer, 500, {"test": True})
            return
        status, answer = self.book.take(body, decline=fault is Fault.DECLINE)
        if fault is Fault.HANG:
            await asyncio.sleep(REQUEST_TIMEOUT_S)
        elif fault is Fault.RESET:
            writer.transport.abort()
        elif fault is Fault.GARBAGE:
            writer.write(b"TEST garbage, no HTTP\r\n\r\n")
        else:
            _send(http, writer, status, answer)

    def _next_fault(self) -> Fault:
        if self.faults_left <= 0:
            return Fault.NONE
        self.faults_left -= 1
        return self.fault

    def _manage(self, method: bytes, target: bytes, body: bytes) -> tuple[int, Answer]:
        try:
            if (method, target) == (b"GET", b"/book"):
                return 200, self.book.shown()
            if (method, target) == (b"POST", b"/faults"):
                plan = json.loads(body)
                self.fault, self.faults_left = Fault(plan["fault"]), int(plan.get("count", 1_000_000))
                return 200, {"test": True}
            if (method, target) == (b"POST", b"/canaries"):
                self.book.canary_digests.add(str(json.loads(body)["sha256"]))
                return 200, {"test": True}
        except (ValueError, KeyError, TypeError):
            return 400, {"test": True}
        return 404, {"test": True}


async def _read(http: h11.Connection, reader: asyncio.StreamReader) -> tuple[h11.Request | None, bytes]:
    request, body = None, bytearray()
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(REQUEST_BYTES_MAX))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > REQUEST_BYTES_MAX:
                return None, b""
        elif isinstance(event, h11.EndOfMessage):
            return request, bytes(body)
        else:
            return None, b""


def _send(http: h11.Connection, writer: asyncio.StreamWriter, status: int, answer: Answer) -> None:
    body = json.dumps(answer).encode()
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Server", BANNER),
        ("Connection", "close"),
    ]
    writer.write(http.send(h11.Response(status_code=status, headers=headers)) or b"")
    writer.write(http.send(h11.Data(data=body)) or b"")
    http.send(h11.EndOfMessage())
