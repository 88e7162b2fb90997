"""The TEST gateway's server: HTTP/1.1 (RFC 9112) by h11 over TLS on loopback, connections kept alive.

``POST /pay`` speaks ``language.py``. For tests, with the same credentials: ``GET /book[?first=N&count=M]``,
``POST /faults`` (``faults.py``), ``POST /canaries {"sha256": HEX}`` and ``POST /settings {"key_rule":
"replay"|"success_only"|"none", "settles_at_once": bool}``. It serves loopback only and keeps nothing on disk. No
pipelining: a request that comes before the answer to the one before it waits.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import socket
import ssl
import struct
import urllib.parse
from pathlib import Path
from typing import Final, NoReturn

import h11
import msgspec

from dtmf_shield.service.test_gateway.book import BOOK_PAGE_ENTRIES_MAX, Book, KeyRule
from dtmf_shield.service.test_gateway.faults import NOT_BOOKED, Fault, FaultPlan
from dtmf_shield.service.test_gateway.language import Answer

LISTEN_IP: Final = "127.0.0.1"
BACKLOG: Final = 256
CONNECTIONS_MAX: Final = 1_024
"""One more is closed at once."""
REQUEST_BYTES_MAX: Final = 16_384
REQUEST_TIMEOUT_S: Final = 30.0
"""For one request to come in after its first byte, and for the answer to be taken."""
IDLE_TIMEOUT_S: Final = 75.0
"""A kept connection without a request is closed after it, as front servers do."""
HANG_S: Final = 60.0
CANARIES_MAX: Final = 1_000
PAY_PATH: Final = b"/pay"
BANNER: Final = "dtmf-shield-TEST-gateway"
_READ_BYTES: Final = 16_384
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class _GoneError(Exception):
    """The connection is to be ended without a further word."""


class _Settings(msgspec.Struct, forbid_unknown_fields=True):
    key_rule: KeyRule = KeyRule.REPLAY
    settles_at_once: bool = False


class _Canary(msgspec.Struct, forbid_unknown_fields=True):
    sha256: str


class _Named(msgspec.Struct):
    """What the fault plan must know of a request, whatever else stands in it."""

    transaction_id: str = ""
    method: str = ""


def server_context(
    certificate_file: Path, key_file: Path, client_ca_file: Path | None = None
) -> ssl.SSLContext:
    """Return a context; with ``client_ca_file`` every client must show a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate_file, key_file)
    if client_ca_file is not None:
        context.load_verify_locations(client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class TestGateway:
    """One gateway with its book and its fault plan."""

    __test__ = False  # Not a test class, whatever pytest makes of its name.

    def __init__(self, user_file: Path, plan: FaultPlan | None = None) -> None:
        credentials = user_file.read_text("utf-8").strip().encode()
        self._authorization = b"Basic " + base64.b64encode(credentials)
        self.book = Book()
        self.plan = plan or FaultPlan()
        self.connections_accepted = 0
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._context: ssl.SSLContext | None = None

    async def start(self, context: ssl.SSLContext, port: int) -> int:
        """Listen; return the port."""
        self._context = context
        self._server = await asyncio.start_server(
            self._accept, LISTEN_IP, port, ssl=context, backlog=BACKLOG, limit=REQUEST_BYTES_MAX
        )
        return int(self._server.sockets[0].getsockname()[1])

    def reload(self, certificate_file: Path, key_file: Path) -> bool:
        """Serve another certificate from the next connection on. Return False, and go on as before, where it is bad."""
        try:
            # A pair that does not match leaves a live context broken: try it on one that nobody uses.
            server_context(certificate_file, key_file)
        except (OSError, ValueError):
            return False
        if self._context is not None:
            self._context.load_cert_chain(certificate_file, key_file)
        return True

    async def stop(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    # --- connections --------------------------------------------------------------------------------------

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= CONNECTIONS_MAX:
            writer.transport.abort()
            return
        self.connections_accepted += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._requests(reader, writer)
        except (OSError, TimeoutError, h11.ProtocolError, _GoneError):
            pass  # The client went away or spoke nonsense: nothing to answer, nothing to keep.
        finally:
            writer.close()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http, doomed = h11.Connection(our_role=h11.SERVER), False
        while True:
            request, body = await _read(http, reader, writer, doomed=doomed)
            if not self._authorized(request):
                fault = Fault.NONE
                await _send(http, writer, 401, {"test": True, "error_code": "credentials"})
            elif len(body) > REQUEST_BYTES_MAX:
                await _send(http, writer, 413, {"test": True, "error_code": "too_long"})
                return
            elif (request.method, request.target) == (b"POST", PAY_PATH):
                fault = await self._pay(http, body, writer)
            else:
                fault = Fault.NONE
                await _send(http, writer, *self._manage(request.method, request.target, body))
            if fault is Fault.CLOSE or http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                return
            doomed = fault is Fault.CLOSE_ON_NEXT
            http.start_next_cycle()

    def _authorized(self, request: h11.Request) -> bool:
        given = next((value for name, value in request.headers if name == b"authorization"), b"")
        return hmac.compare_digest(given, self._authorization)

    # --- payments -----------------------------------------------------------------------------------------

    async def _pay(self, http: h11.Connection, body: bytes, writer: asyncio.StreamWriter) -> Fault:
        named = _named(body)
        fault, delay_s = self.plan.next_fault(named.transaction_id, named.method)
        if fault in NOT_BOOKED:
            await _refuse(http, writer, fault)
            return fault
        if fault is Fault.SLOW_BEFORE:
            await asyncio.sleep(delay_s)
        status, answer = self.book.take(body, decline=fault is Fault.DECLINE)
        if fault is Fault.SLOW:
            await asyncio.sleep(delay_s)
        await _answer(http, writer, fault, delay_s, status, answer)
        return fault

    # --- for tests ----------------------------------------------------------------------------------------

    def _manage(self, method: bytes, target: bytes, body: bytes) -> tuple[int, Answer]:
        path, _, query = target.partition(b"?")
        try:
            match (method, path):
                case (b"GET", b"/book"):
                    first, count = _page(query)
                    struck = {"faults": self.plan.struck, "connections": self.connections_accepted}
                    return 200, {**self.book.shown(first, count), **struck}
                case (b"POST", b"/faults"):
                    self.plan = FaultPlan.read(body)
                case (b"POST", b"/settings"):
                    settings = msgspec.json.decode(body, type=_Settings)
                    self.book.key_rule = settings.key_rule
                    self.book.settles_at_once = settings.settles_at_once
                case (b"POST", b"/canaries"):
                    self._announce(msgspec.json.decode(body, type=_Canary).sha256)
                case _:
                    return 404, {"test": True}
        except (ValueError, msgspec.MsgspecError) as error:
            return 400, {"test": True, "error_message": str(error)}
        return 200, {"test": True}

    def _announce(self, digest: str) -> None:
        if len(self.book.canary_digests) >= CANARIES_MAX:
            raise ValueError(f"no more than {CANARIES_MAX} canaries")
        self.book.canary_digests.add(digest)


def _page(query: bytes) -> tuple[int, int]:
    asked = urllib.parse.parse_qs(query.decode("ascii", "replace"))
    first, count = asked.get("first", ["0"])[0], asked.get("count", [str(BOOK_PAGE_ENTRIES_MAX)])[0]
    return max(0, int(first)), int(count)


def _named(body: bytes) -> _Named:
    try:
        return msgspec.json.decode(body, type=_Named)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Named()


async def _refuse(http: h11.Connection, writer: asyncio.StreamWriter, fault: Fault) -> None:
    """Do what a fault that books nothing does."""
    if fault is Fault.ERROR500:
        await _send(http, writer, 500, {"test": True})
    elif fault is Fault.CONFLICT:
        await _send(http, writer, 409, {"test": True, "error_code": "idempotency_key_in_use"})
    elif fault is Fault.BUSY:
        await _send(http, writer, 429, {"test": True, "error_code": "busy"}, ("Retry-After", "1"))
    elif fault is Fault.HANG_BEFORE:
        await asyncio.sleep(HANG_S)
        raise _GoneError
    else:
        _reset(writer)


async def _answer(
    http: h11.Connection,
    writer: asyncio.StreamWriter,
    fault: Fault,
    delay_s: float,
    status: int,
    answer: Answer,
) -> None:
    """Answer what was booked, as well as the fault allows."""
    if fault is Fault.HANG:
        await asyncio.sleep(HANG_S)
        raise _GoneError
    if fault is Fault.RESET:
        _reset(writer)
    if fault is Fault.GARBAGE:
        writer.write(b"TEST garbage, no HTTP\r\n\r\n")
        raise _GoneError
    if fault is Fault.ERROR500_AFTER:
        status, answer = 500, {"test": True}
    whole = _written(http, status, answer)
    if fault is Fault.CUT:
        writer.write(whole[:-10])
        raise _GoneError
    if fault is Fault.DRIBBLE:
        for index in range(len(whole)):
            writer.write(whole[index : index + 1])
            await asyncio.sleep(delay_s)
        return
    await _flush(writer, whole)


def _reset(writer: asyncio.StreamWriter) -> NoReturn:
    """End the connection with RST, so that the client sees a reset and no polite end. Raises _GoneError."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
    raise _GoneError


async def _read(
    http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, doomed: bool
) -> tuple[h11.Request, bytes]:
    """Return one request and its body, cut where it is too long. Raises _GoneError where none comes.

    ``doomed``: reset the connection as soon as the request begins to arrive.
    """
    request, body, wait_s = None, bytearray(), IDLE_TIMEOUT_S
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            async with asyncio.timeout(wait_s):
                data = await reader.read(_READ_BYTES)
            if data and doomed:
                _reset(writer)
            http.receive_data(data)
            wait_s = REQUEST_TIMEOUT_S
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data) and len(body) <= REQUEST_BYTES_MAX:
            body += event.data
            if len(body) > REQUEST_BYTES_MAX and request is not None:
                return request, bytes(body)
        elif isinstance(event, h11.EndOfMessage) and request is not None:
            return request, bytes(body)
        else:
            raise _GoneError


async def _send(
    http: h11.Connection, writer: asyncio.StreamWriter, status: int, answer: Answer, *more: tuple[str, str]
) -> None:
    await _flush(writer, _written(http, status, answer, *more))


async def _flush(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    async with asyncio.timeout(REQUEST_TIMEOUT_S):
        await writer.drain()


def _written(http: h11.Connection, status: int, answer: Answer, *more: tuple[str, str]) -> bytes:
    body = msgspec.json.encode(answer)
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Server", BANNER),
        *more,
    ]
    head = http.send(h11.Response(status_code=status, headers=headers)) or b""
    data = http.send(h11.Data(data=body)) or b""
    http.send(h11.EndOfMessage())
    return head + data
