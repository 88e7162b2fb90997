"""The server serves a socket it was given, and leaves when told, open streams or not."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest
from api_desk import API_KEY, ApiHouse, a_call

from dtmf_shield.api.server import serve
from dtmf_shield.base.errors import OperatorError

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_it_serves_streams_and_leaves_when_told() -> None:
    house, stop = ApiHouse(a_call()), asyncio.Event()
    sock = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    serving = asyncio.create_task(serve(house.app, sock, stop))
    headers = {"authorization": f"Bearer {API_KEY}"}

    async with (
        httpx.AsyncClient(base_url=url, headers=headers, timeout=10) as client,
        client.stream("GET", "/v1/events") as stream,
    ):
        lines = stream.aiter_lines()
        while await anext(lines) != "event: resync":
            pass
        assert (await client.get("/livez")).status_code == 200
        assert "server" not in (await client.get("/v1/calls")).headers
        stop.set()
        async with asyncio.timeout(10):
            await serving

    assert sock.fileno() == -1


async def test_a_socket_on_another_address_is_refused() -> None:
    with socket.create_server(("0.0.0.0", 0)) as sock, pytest.raises(OperatorError, match="loopback"):
        await serve(ApiHouse().app, sock, asyncio.Event())
