"""A gateway of the tests that does what a script says, a wire before it that can be cut, and a sender to both."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from dtmf_shield.account_data import slots
from dtmf_shield.account_data.slots import Region, create_region
from dtmf_shield.cde.gateways.base import CardInSlot, Request, SlotField
from dtmf_shield.cde.gateways.sender import BUILD_PAGE_BYTES, Endpoint, GatewaySender
from dtmf_shield.cde.gateways.tls import client_context
from tests.unit.cde.authority import Authority, Leaf

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"token_id":1}\n'
REQUEST = Request("POST", "/pay", (("Accept", "application/json"),), (b'{"n":"', SlotField.NUMBER, b'"}'))
BODY = b'{"n":"4242424242424242"}'
ONE_SCENARIO_S = 30


@dataclass(slots=True)
class Taken:
    """One accepted connection, as the script sees it. ``number`` counts from 0."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int
    site: Site

    async def request(self) -> bytes:
        """Return one whole request; raises IncompleteReadError where the connection ends before."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        whole = head + await self.reader.readexactly(length)
        self.site.requests.append(whole)
        return whole

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """End it without a word of TLS."""
        self.writer.transport.abort()


Script = Callable[[Taken], Awaitable[None]]


@dataclass(slots=True)
class Site:
    """What runs: the server's port, and what it has seen."""

    port: int = 0
    accepted: int = 0
    requests: list[bytes] = field(default_factory=list)
    page: Region = field(default_factory=lambda: Region(create_region(BUILD_PAGE_BYTES)[0], BUILD_PAGE_BYTES))

    @property
    def page_is_wiped(self) -> bool:
        return bytes(self.page.view) == bytes(BUILD_PAGE_BYTES)

    def sender(self, authority: Authority, **changes: Any) -> GatewaySender:
        """Return a sender to the server. ``changes``: of Endpoint, or ``own`` for our certificate."""
        own: Leaf | None = changes.pop("own", None)
        context = client_context(
            authority.file,
            certificate_file=own.certificate_file if own else None,
            key_file=own.key_file if own else None,
        )
        settings = {"addresses": ("127.0.0.1",), "port": self.port, "server_name": "localhost", **changes}
        return GatewaySender(Endpoint(**settings), context, "test", self.page)


def card() -> CardInSlot:
    slot = bytearray(slots.SLOT_BYTES)
    slot[slots.CARD_NUMBER_AT : slots.CARD_NUMBER_AT + 16] = b"4242424242424242"
    return CardInSlot(memoryview(slot), 16, 0, 0)


async def keep_answering(taken: Taken) -> None:
    """The script of a gateway in good health."""
    while True:
        await taken.request()
        await taken.say(OK)


def server_context(leaf: Leaf, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf.certificate_file, leaf.key_file)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


@asynccontextmanager
async def serving(script: Script, context: ssl.SSLContext, host: str = "127.0.0.1") -> AsyncIterator[Site]:
    """Run a server; a script that ends, or whose connection ends, closes the connection properly."""
    site = Site()
    running: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(Taken(reader, writer, site.accepted, site)))
        running.add(task)
        task.add_done_callback(running.discard)
        site.accepted += 1

    async def serve(taken: Taken) -> None:
        try:
            await script(taken)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            taken.writer.close()

    server = await asyncio.start_server(accept, host, 0, ssl=context)
    site.port = server.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(ONE_SCENARIO_S):
            yield site
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@dataclass(slots=True)
class Wire:
    """A TCP connection between client and server that ends once the client has sent ``cut_after`` bytes."""

    server_port: int
    cut_after: int
    port: int = 0
    from_client: int = 0
    """Bytes of the client that reached the wire, passed on or not."""

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.server_port)
        back = asyncio.create_task(self._pass_back(to_reader, writer))
        try:
            while self.from_client < self.cut_after:
                data = await reader.read(65_536)
                if not data:
                    break
                to_writer.write(data[: max(0, self.cut_after - self.from_client)])
                self.from_client += len(data)
        finally:
            back.cancel()
            for end in (writer, to_writer):
                end.transport.abort()

    @staticmethod
    async def _pass_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)


@asynccontextmanager
async def wire(server_port: int, cut_after: int) -> AsyncIterator[Wire]:
    """Put a wire before a server."""
    made = Wire(server_port, cut_after)
    listening = await asyncio.start_server(made.carry, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        listening.close()
