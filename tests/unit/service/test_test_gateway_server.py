"""The TEST gateway's server on loopback: kept connections, each fault as it says, client certificates, reload."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dtmf_shield.service.dev_certificates import DevCertificates, ensure_dev_certificates
from dtmf_shield.service.test_gateway import server as serving
from dtmf_shield.service.test_gateway.faults import Fault, FaultPlan
from dtmf_shield.service.test_gateway.server import TestGateway, server_context

CARD = {"method": "tokenize", "cardnumber": "4242424242424242", "cvv": "123"}


class Connection:
    """One kept connection, spoken by hand so that every byte is seen."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, user: str) -> None:
        self.reader, self.writer, self._user = reader, writer, user

    async def send(self, method: str, path: str, body: object = None, *, user: str | None = None) -> None:
        data = json.dumps(body).encode()
        credentials = base64.b64encode((user or self._user).encode()).decode()
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {credentials}\r\n"
        self.writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, bytes, Any]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return int(head[9:12]), head, json.loads(await self.reader.readexactly(length))

    async def ask(self, method: str, path: str, body: object = None, **more: Any) -> tuple[int, bytes, Any]:
        await self.send(method, path, body, **more)
        return await self.answer()

    async def pay(self, key: str, **more: Any) -> tuple[int, bytes, Any]:
        return await self.ask("POST", "/pay", {"transaction_id": key, **CARD, **more})


class Site:
    """A running gateway and ways to reach it."""

    def __init__(self, gateway: TestGateway, port: int, files: DevCertificates) -> None:
        self.gateway, self.port, self.files = gateway, port, files

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.files.ca_file)
        return context

    async def connect(self, context: ssl.SSLContext | None = None) -> Connection:
        streams = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context or self.context(), server_hostname="localhost"
        )
        return Connection(*streams, self.files.gateway_user_file.read_text().strip())

    def faults(self, plan: object) -> None:
        self.gateway.plan = FaultPlan.read(json.dumps(plan).encode())

    @property
    def booked(self) -> int:
        return len(self.gateway.book.operations)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> DevCertificates:
    return ensure_dev_certificates(tmp_path_factory.mktemp("gateway"))


@asynccontextmanager
async def running(files: DevCertificates, client_ca_file: Path | None = None) -> AsyncIterator[Site]:
    gateway = TestGateway(files.gateway_user_file)
    context = server_context(files.gateway_certificate_file, files.gateway_key_file, client_ca_file)
    port = await gateway.start(context, 0)
    try:
        yield Site(gateway, port, files)
    finally:
        await gateway.stop()


def at_site(files: DevCertificates, scenario: Callable[[Site, Connection], Awaitable[None]]) -> None:
    async def run() -> None:
        async with running(files) as site, asyncio.timeout(20):
            connection = await site.connect()
            await scenario(site, connection)
            connection.writer.transport.abort()

    asyncio.run(run())


def test_many_requests_go_over_one_connection(files: DevCertificates) -> None:
    async def scenario(site: Site, connection: Connection) -> None:
        answers = [await connection.pay(f"k{i}") for i in range(5)]

        assert {status for status, _, _ in answers} == {200}
        assert all(b"dtmf-shield-TEST-gateway" in head for _, head, _ in answers)
        assert (site.booked, site.gateway.connections_accepted) == (5, 1)

    at_site(files, scenario)


def test_wrong_credentials_get_401_and_nothing_is_booked(files: DevCertificates) -> None:
    async def scenario(site: Site, connection: Connection) -> None:
        status, _, _ = await connection.ask("POST", "/pay", {"transaction_id": "k", **CARD}, user="test:no")

        assert (status, site.booked) == (401, 0)

    at_site(files, scenario)


def test_request_that_is_too_long_is_refused(files: DevCertificates) -> None:
    async def scenario(site: Site, connection: Connection) -> None:
        status, _, _ = await connection.pay("k", description="x" * serving.REQUEST_BYTES_MAX)

        assert (status, site.booked) == (413, 0)

    at_site(files, scenario)


def test_one_connection_too_many_is_closed(files: DevCertificates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "CONNECTIONS_MAX", 1)

    async def scenario(site: Site, connection: Connection) -> None:
        await connection.pay("k1")
        second = await site.connect()
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await second.pay("k2")

        assert (await connection.pay("k3"))[0] == 200

    at_site(files, scenario)


def test_idle_connection_is_closed(files: DevCertificates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "IDLE_TIMEOUT_S", 0.05)

    async def scenario(site: Site, connection: Connection) -> None:
        assert await connection.reader.read() == b""

    at_site(files, scenario)


@pytest.mark.parametrize(
    ("fault", "status", "booked", "header"),
    [
        ("error500", 500, 0, b""),
        ("error500_after", 500, 1, b""),
        ("busy", 429, 0, b"Retry-After: 1"),
        ("conflict", 409, 0, b""),
        ("decline", 200, 1, b""),
        ("slow", 200, 1, b""),
        ("slow_before", 200, 1, b""),
        ("dribble", 200, 1, b""),
    ],
)
def test_fault_that_answers(
    files: DevCertificates, fault: str, status: int, booked: int, header: bytes
) -> None:
    async def scenario(site: Site, connection: Connection) -> None:
        site.faults({"fault": fault, "count": 1, "delay_ms": 1})

        got, head, answer = await connection.pay("k")

        assert (got, site.booked) == (status, booked)
        assert header in head
        assert answer["test"] is True
        assert (await connection.pay("k2"))[2]["error_code"] is None

    at_site(files, scenario)


@pytest.mark.parametrize(
    ("fault", "booked", "last"),
    [
        ("reset", 1, "reset"),
        ("reset_before", 0, "reset"),
        ("garbage", 1, "TEST garbage, no HTTP\r\n\r\n"),
        ("cut", 1, "HTTP/1.1 200"),
    ],
)
def test_fault_that_ends_the_connection(files: DevCertificates, fault: str, booked: int, last: str) -> None:
    async def scenario(site: Site, connection: Connection) -> None:
        site.faults({"fault": fault, "count": 1})
        await connection.send("POST", "/pay", {"transaction_id": "k", **CARD})
        try:
            seen = (await connection.reader.read()).decode()
        except ConnectionResetError:
            seen = "reset"

        assert seen.startswith(last)
        assert site.booked == booked

    at_site(files, scenario)


@pytest.mark.parametrize(("fault", "booked"), [("hang", 1), ("hang_before", 0)])
def test_fault_that_hangs(files: DevCertificates, fault: str, booked: int) -> None:
    async def scenario(site: Site, connection: Connection) -> None:
        site.faults({"fault": fault, "count": 1})
        await connection.send("POST", "/pay", {"transaction_id": "k", **CARD})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.reader.read(), 0.2)

        assert site.booked == booked

    at_site(files, scenario)


def test_connection_closed_right_after_the_answer(files: DevCertificates) -> None:
    async def scenario(site: Site, connection: Connection) -> None:
        site.faults({"fault": "close", "count": 1})

        status, head, _ = await connection.pay("k")

        assert status == 200
        assert b"close" not in head.lower()
        assert await connection.reader.read() == b""

    at_site(files, scenario)


def test_connection_reset_under_the_next_request(files: DevCertificates) -> None:
    async def scenario(site: Site, connection: Connection) -> None:
        site.faults({"fault": "close_on_next", "count": 1})
        assert (await connection.pay("k"))[0] == 200
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.reader.read(1), 0.05)

        with pytest.raises(ConnectionError):
            await connection.pay("k2")
        assert site.booked == 1

    at_site(files, scenario)


def test_late_operation_is_booked_though_the_client_has_gone(files: DevCertificates) -> None:
    async def scenario(site: Site, connection: Connection) -> None:
        site.faults({"fault": "slow_before", "count": 1, "delay_ms": 100})
        await connection.send("POST", "/pay", {"transaction_id": "k", **CARD})
        await asyncio.sleep(0.03)
        connection.writer.transport.abort()
        assert site.booked == 0

        await asyncio.sleep(0.2)

        assert site.booked == 1

    at_site(files, scenario)


def test_plan_strikes_the_same_requests_in_whatever_order() -> None:
    plan = json.dumps({"seed": 7, "faults": [{"fault": "reset", "probability": 0.3}]}).encode()
    keys = [f"k{i}" for i in range(300)]

    there = FaultPlan.read(plan)
    back = FaultPlan.read(plan)
    struck = {key for key in keys if there.next_fault(key, "charge")[0] is Fault.RESET}
    struck_back = {key for key in reversed(keys) if back.next_fault(key, "charge")[0] is Fault.RESET}

    assert struck == struck_back
    assert 50 < len(struck) < 130
    assert there.struck == {"reset": len(struck)}


def test_rules_are_tried_in_order_and_keep_to_methods_skip_and_count() -> None:
    rules = [
        {"fault": "busy", "methods": ["charge"], "skip": 1, "count": 1},
        {"fault": "slow", "delay_ms": 20, "count": 2},
    ]
    plan = FaultPlan.read(json.dumps({"faults": rules}).encode())

    struck = [plan.next_fault("k", method)[0].value for method in ("refund", "charge", "charge", "charge")]

    assert struck == ["slow", "slow", "busy", "none"]


@pytest.mark.parametrize(
    "plan",
    [
        {"fault": "nothing"},
        {"fault": "slow", "delay_ms": 60_001},
        {"fault": "slow", "probability": 1.1},
        {"fault": "slow", "count": -1},
        {"faults": [{"fault": "slow"}] * 33},
        {"sede": 1},
        [],
    ],
)
def test_plan_beyond_its_limits_is_refused(files: DevCertificates, plan: object) -> None:
    async def scenario(_site: Site, connection: Connection) -> None:
        assert (await connection.ask("POST", "/faults", plan))[0] == 400

    at_site(files, scenario)


def test_rule_of_keys_is_set_and_book_paged_over_http(files: DevCertificates) -> None:
    async def scenario(_site: Site, connection: Connection) -> None:
        await connection.ask("POST", "/settings", {"key_rule": "none"})
        for _ in range(3):
            await connection.pay("k")

        _, _, page = await connection.ask("GET", "/book?first=1&count=1")

        assert (len(page["operations"]), page["total"], page["next"]) == (1, 3, 2)
        assert (await connection.ask("POST", "/settings", {"key_rule": "some"}))[0] == 400
        assert (await connection.ask("GET", "/book?first=x"))[0] == 400
        assert (await connection.ask("GET", "/nothing"))[0] == 404

    at_site(files, scenario)


def test_client_certificate_is_demanded(files: DevCertificates) -> None:
    async def run() -> None:
        async with running(files, client_ca_file=files.ca_file) as site, asyncio.timeout(20):
            with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                await (await site.connect()).pay("k")
            context = site.context()
            context.load_cert_chain(files.gateway_certificate_file, files.gateway_key_file)
            with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                # A server's certificate is not one of a client (RFC 5280 section 4.2.1.12).
                await (await site.connect(context)).pay("k")

    asyncio.run(run())


def test_certificate_is_replaced_while_it_serves_and_a_bad_one_is_not(
    files: DevCertificates, tmp_path: Path
) -> None:
    fresh = ensure_dev_certificates(tmp_path)

    async def run() -> None:
        async with running(files) as site, asyncio.timeout(20):
            assert not site.gateway.reload(fresh.gateway_certificate_file, files.gateway_key_file)
            assert (await (await site.connect()).pay("k1"))[0] == 200
            assert site.gateway.reload(fresh.gateway_certificate_file, fresh.gateway_key_file)
            with pytest.raises(ssl.SSLCertVerificationError):
                await site.connect()

    asyncio.run(run())
