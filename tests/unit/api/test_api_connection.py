"""Connections that say nothing end, one address does not take them all, and streams go on."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator

import pytest
from api_desk import API_KEY, ApiHouse, a_call

from dtmf_shield.api import connection
from dtmf_shield.api.connection import HEAD_TIME_MAX_S, KEEP_ALIVE_S, Connection
from dtmf_shield.api.server import serve
from dtmf_shield.api.site import LOOPBACK, Site

pytestmark = pytest.mark.anyio
HEAD = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n"
STREAM = f"GET /v1/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {API_KEY}\r\n\r\n".encode()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[socket.socket]:
    """Serve on a free port; yields the listening socket."""
    stop, sock = asyncio.Event(), socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(serve(ApiHouse(a_call()).app, sock, stop))
    await asyncio.sleep(0)  # or who comes at once is there before the server
    try:
        yield sock
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await serving


async def opened(sock: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(*sock.getsockname())


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the server closes."""
    with contextlib.suppress(ConnectionResetError):
        async with asyncio.timeout(10):
            return await reader.read()
    return b""


async def test_whoever_sends_no_whole_request_is_let_go_and_a_stream_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Connection, "head_time_max_s", 0.2)
    async with served() as sock:
        stream, asking = await opened(sock)
        asking.write(STREAM)
        silent, _quiet = await opened(sock)
        slow, dripping = await opened(sock)
        dripping.write(HEAD)

        async def drip() -> None:
            with contextlib.suppress(ConnectionError):
                for number in range(200):
                    dripping.write(b"x-%d: y\r\n" % number)
                    await dripping.drain()
                    await asyncio.sleep(0.02)

        dripped = asyncio.create_task(drip())
        assert (await rest(silent), await rest(slow)) == (b"", b"")
        dripped.cancel()

        async with asyncio.timeout(10):
            for _ in range(60):  # at 10 ms each: three times the limit
                await stream.readuntil(b"event: heartbeat\n")


async def test_a_connection_that_is_kept_is_served_again_and_has_its_time_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Connection, "head_time_max_s", 0.5)
    async with served() as sock, asyncio.timeout(10):
        reader, writer = await opened(sock)
        for _ in range(3):
            writer.write(HEAD)
            await asyncio.sleep(0.2)
            writer.write(b"\r\n")
            assert (await reader.readline()).split()[1] == b"200"
            while await reader.readline() != b"\r\n":
                pass
            await reader.readuntil(b"}")


def test_a_kept_connection_is_closed_by_the_shorter_time() -> None:
    assert KEEP_ALIVE_S < HEAD_TIME_MAX_S


async def test_one_address_holds_so_many_connections_and_this_machine_any_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Connection, "of_address_max", 2)
    async with served() as sock:
        own = [await opened(sock) for _ in range(4)]
        for _reader, writer in own:
            writer.write(HEAD + b"\r\n")
        async with asyncio.timeout(10):
            assert {(await reader.readline()).split()[1] for reader, _writer in own} == {b"200"}
    monkeypatch.setattr(connection, "is_loopback", lambda _host: False)
    async with served() as sock:
        held = [await opened(sock) for _ in range(2)]
        refused, _ = await opened(sock)
        assert await rest(refused) == b""
        held[0][1].close()
        await held[0][1].wait_closed()
        held[1][1].write(HEAD + b"connection: close\r\n\r\n")
        assert b"200 OK" in await rest(held[1][0])


@pytest.mark.parametrize(
    ("peer", "site", "counted"),
    [
        ("127.0.0.1", LOOPBACK, None),
        ("::1", LOOPBACK, None),
        ("192.0.2.7", LOOPBACK, "192.0.2.7"),
        ("::ffff:192.0.2.7", LOOPBACK, "192.0.2.7"),
        ("2001:db8::7", LOOPBACK, "2001:db8::/64"),
        ("192.0.2.7", Site(proxies=(ipaddress.ip_network("192.0.2.0/24"),)), None),
        ("198.51.100.7", Site(proxies=(ipaddress.ip_network("192.0.2.0/24"),)), "198.51.100.7"),
    ],
)
def test_whom_a_connection_is_counted_for(peer: str, site: Site, counted: str | None) -> None:
    assert connection._holder(peer, site) == counted


async def test_peers_that_are_gone_without_a_word_are_found() -> None:
    seen: list[socket.socket] = []

    class Looks(Connection):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
            seen.append(transport.get_extra_info("socket"))
            super().connection_made(transport)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dtmf_shield.api.server.Connection", Looks)
        async with served() as sock:
            reader, writer = await opened(sock)
            writer.write(HEAD + b"\r\n")
            await reader.readline()
            options = [
                seen[0].getsockopt(level, name)
                for level, name in (
                    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
                )
            ]

    assert options == [1, 60, 120_000]
