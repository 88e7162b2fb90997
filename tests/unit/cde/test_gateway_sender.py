"""The sender against gateways that behave, misbehave and lie: kept connections, answers, limits, addresses."""

from __future__ import annotations

import asyncio
import hmac
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from dtmf_shield.base.errors import InvariantError
from dtmf_shield.cde.gateways import connection as connecting
from dtmf_shield.cde.gateways import http_exchange as speaking
from dtmf_shield.cde.gateways import sender as sending
from dtmf_shield.cde.gateways.base import EXCHANGE_TIME_MAX_S, Answer, Request, Signature, Unanswered
from dtmf_shield.cde.gateways.connection import Connection, Peer
from dtmf_shield.cde.gateways.sender import GatewaySender
from dtmf_shield.cde.gateways.tls import client_context
from tests.unit.cde.authority import Authority, Leaf
from tests.unit.cde.gateway_site import (
    BODY,
    OK,
    REQUEST,
    Script,
    Site,
    Taken,
    card,
    keep_answering,
    server_context,
    serving,
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def leaf(authority: Authority) -> Leaf:
    return authority.leaf()


Scenario = Callable[[Site, GatewaySender], Awaitable[None]]


@pytest.fixture
def run(authority: Authority, leaf: Leaf) -> Callable[[Script, Scenario], None]:
    """Run a scenario with a site that follows a script and a sender to it; its page must be left wiped."""

    def run(script: Script, scenario: Scenario, context: ssl.SSLContext | None = None) -> None:
        async def whole() -> None:
            async with serving(script, context or server_context(leaf)) as site:
                sender = site.sender(authority)
                await scenario(site, sender)
                assert site.page_is_wiped
                sender.close()

        asyncio.run(whole())

    return run


def answering(*answers: bytes) -> Script:
    """Answer each request of a connection with the next of ``answers``, then end it."""

    async def script(taken: Taken) -> None:
        for answer in answers:
            await taken.request()
            await taken.say(answer)

    return script


# --- kept connections -----------------------------------------------------------------------------------------


def test_twenty_requests_go_over_one_connection(run) -> None:
    async def scenario(site: Site, sender: GatewaySender) -> None:
        answers = [await sender.exchange(REQUEST, card()) for _ in range(20)]

        assert answers == [Answer(200, b'{"token_id":1}\n')] * 20
        assert site.accepted == 1
        assert {request.split(b"\r\n\r\n")[1] for request in site.requests} == {BODY}

    run(keep_answering, scenario)


def test_request_bears_host_length_and_our_headers(authority: Authority, leaf: Leaf) -> None:
    async def scenario() -> None:
        async with serving(keep_answering, server_context(leaf)) as site:
            sender = site.sender(authority, headers=(("Authorization", "Bearer x"),))
            await sender.exchange(REQUEST, card())

            head = site.requests[0].split(b"\r\n\r\n")[0].decode()
            assert head.split("\r\n") == [
                "POST /pay HTTP/1.1",
                f"Host: localhost:{site.port}",
                "Authorization: Bearer x",
                f"Content-Length: {len(BODY)}",
                "Accept: application/json",
            ]

    asyncio.run(scenario())


def test_body_is_signed_where_the_template_asks_and_a_key_is_there(authority: Authority, leaf: Leaf) -> None:
    signed = replace(REQUEST, signature=Signature("X-Signature", "sha256"))

    async def scenario() -> None:
        async with serving(keep_answering, server_context(leaf)) as site:
            await site.sender(authority, signing_key=b"secret").exchange(signed, card())
            await site.sender(authority).exchange(signed, card())

            expected = hmac.digest(b"secret", BODY, "sha256").hex()
            assert f"X-Signature: {expected}".encode() in site.requests[0]
            assert b"X-Signature" not in site.requests[1]

    asyncio.run(scenario())


async def close_properly(taken: Taken) -> None:
    await answering(OK)(taken)


async def reset_when_idle(taken: Taken) -> None:
    await answering(OK)(taken)
    await asyncio.sleep(0.02)
    taken.reset()


async def speak_when_idle(taken: Taken) -> None:
    await answering(OK)(taken)
    await asyncio.sleep(0.02)
    await taken.say(OK)
    await asyncio.sleep(1)


async def answer_twice(taken: Taken) -> None:
    await answering(OK + OK)(taken)
    await asyncio.sleep(1)


async def announce_the_end(taken: Taken) -> None:
    await answering(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))(taken)
    await asyncio.sleep(1)


@pytest.mark.parametrize(
    "script", [close_properly, reset_when_idle, speak_when_idle, answer_twice, announce_the_end]
)
def test_connection_that_ended_or_spoke_while_idle_is_not_used_again(run, script: Script) -> None:
    async def scenario(site: Site, sender: GatewaySender) -> None:
        for _ in range(3):
            assert await sender.exchange(REQUEST, card()) == Answer(200, b'{"token_id":1}\n')
            await asyncio.sleep(0.04)

        assert (site.accepted, len(site.requests)) == (3, 3)

    run(script, scenario)


def test_end_that_came_in_this_very_turn_of_the_loop_is_seen(run) -> None:
    """The peer's end lies in the socket, unseen by the loop, when the connection is taken from the pool."""

    async def script(taken: Taken) -> None:
        await taken.request()
        await taken.say(OK)
        taken.reset()

    async def scenario(site: Site, sender: GatewaySender) -> None:
        for _ in range(20):
            assert isinstance(await sender.exchange(REQUEST, card()), Answer)
        assert len(site.requests) == 20

    run(script, scenario)


def test_warm_connection_is_there_before_it_is_needed(run) -> None:
    async def scenario(site: Site, sender: GatewaySender) -> None:
        sender.warm()
        sender.warm()
        await asyncio.sleep(0.1)
        assert site.accepted == 2

        await asyncio.gather(sender.exchange(REQUEST, card()), sender.exchange(REQUEST, card()))
        assert site.accepted == 2

        sender.warm()
        await asyncio.sleep(0.1)
        assert site.accepted == 2

    run(keep_answering, scenario)


def test_announced_exchanges_that_never_come_are_forgotten(run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fallback gateway is told of every capture and asked of hardly one."""
    monkeypatch.setattr(sending, "KEPT_S_MAX", 0.1)

    async def scenario(site: Site, sender: GatewaySender) -> None:
        for expected in (1, 2):
            sender.warm()
            await asyncio.sleep(0.15)
            assert site.accepted == expected

    run(keep_answering, scenario)


def test_warm_replaces_a_connection_that_has_ended(run) -> None:
    async def scenario(site: Site, sender: GatewaySender) -> None:
        await sender.exchange(REQUEST, card())
        await asyncio.sleep(0.05)
        sender.warm()
        await asyncio.sleep(0.1)

        assert site.accepted == 2

    run(close_properly, scenario)


def test_old_connection_is_left_before_the_gateway_leaves_it(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "KEPT_S_MAX", 0.05)

    async def scenario(site: Site, sender: GatewaySender) -> None:
        await sender.exchange(REQUEST, card())
        await asyncio.sleep(0.06)
        await sender.exchange(REQUEST, card())

        assert site.accepted == 2

    run(keep_answering, scenario)


def test_no_more_connections_are_kept_than_the_limit(run) -> None:
    async def scenario(site: Site, sender: GatewaySender) -> None:
        for _ in range(sending.KEPT_CONNECTIONS_MAX + 3):
            await sender.probe()

        assert len(sender._idle) == sending.KEPT_CONNECTIONS_MAX

    run(keep_answering, scenario)


# --- answers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK,
            b'{"token_id":1}\n',
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"until the end"),
    ],
    ids=["interim", "chunked", "empty", "until_the_end", "http_1_0"],
)
def test_every_form_of_answer_is_read(run, said: bytes, expected: bytes) -> None:
    async def scenario(_site: Site, sender: GatewaySender) -> None:
        assert await sender.exchange(REQUEST, card()) == Answer(200, expected)

    run(answering(said), scenario)


@pytest.mark.parametrize(
    ("header", "seconds"), [(b"7", 7.0), (b"999999", 3600.0), (b"soon", 0.0), (b"-1", 0.0)]
)
def test_retry_after_is_read_within_its_limit(run, header: bytes, seconds: float) -> None:
    busy = b"HTTP/1.1 429 Slow\r\nRetry-After: " + header + b"\r\nContent-Length: 0\r\n\r\n"

    async def scenario(_site: Site, sender: GatewaySender) -> None:
        assert await sender.exchange(REQUEST, card()) == Answer(429, b"", seconds)

    run(answering(busy), scenario)


LONG = speaking.ANSWER_BYTES_MAX + 1
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "said",
    [
        b"no HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 6_000 + OK,
        f"HTTP/1.1 200 OK\r\nContent-Length: {LONG}\r\n\r\n".encode() + bytes(LONG),
        CHUNKED + b"10001\r\n" + bytes(LONG) + b"\r\n0\r\n\r\n",
        CHUNKED + b"zz\r\n",
        b"\x00" * 100,
    ],
    ids=[
        "no_http",
        "length_no_number",
        "two_lengths",
        "switching",
        "endless_head",
        "endless_interim",
        "long",
        "long_chunk",
        "bad_chunk",
        "zeros",
    ],
)
def test_garbage_is_no_answer(run, said: bytes) -> None:
    async def scenario(site: Site, sender: GatewaySender) -> None:
        assert await sender.exchange(REQUEST, card()) == Unanswered("garbage", sent=True)
        assert len(site.requests) == 1

    run(answering(said), scenario)


def test_answer_cut_at_any_byte_is_no_answer(run) -> None:
    async def script(taken: Taken) -> None:
        await taken.request()
        await taken.say(OK[: taken.number])

    async def scenario(_site: Site, sender: GatewaySender) -> None:
        for _ in range(len(OK)):
            answer = await sender.exchange(REQUEST, card())
            assert isinstance(answer, Unanswered)
            assert answer.sent
        assert await sender.exchange(REQUEST, card()) == Answer(200, b'{"token_id":1}\n')

    run(script, scenario)


def test_answer_without_a_length_needs_a_proper_end(run) -> None:
    """RFC 9112 section 9.8: without close_notify it may have been cut by anyone."""

    async def script(taken: Taken) -> None:
        await taken.request()
        await taken.say(b"HTTP/1.1 200 OK\r\n\r\nuntil the e")
        taken.reset()

    async def scenario(_site: Site, sender: GatewaySender) -> None:
        assert await sender.exchange(REQUEST, card()) == Unanswered("reset", sent=True)

    run(script, scenario)


def test_dribbled_answer_is_given_up_at_the_total_time(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "ANSWER_TIMEOUT_S", 0.2)

    async def script(taken: Taken) -> None:
        await taken.request()
        for index in range(len(OK)):
            await taken.say(OK[index : index + 1])
            await asyncio.sleep(0.05)

    async def scenario(site: Site, sender: GatewaySender) -> None:
        begun_s = asyncio.get_running_loop().time()
        assert await sender.exchange(REQUEST, card()) == Unanswered("timeout", sent=True)
        assert asyncio.get_running_loop().time() - begun_s < 1.0
        # The late rest of it is not taken for the answer to what is sent next.
        sending.ANSWER_TIMEOUT_S = 5.0
        assert await sender.exchange(REQUEST, card()) == Answer(200, b'{"token_id":1}\n')
        assert site.accepted == 2

    run(script, scenario)


def test_peer_that_floods_an_idle_connection_is_cut_off(run) -> None:
    async def script(taken: Taken) -> None:
        await answering(OK)(taken)
        while True:
            await taken.say(bytes(65_536))

    async def scenario(_site: Site, sender: GatewaySender) -> None:
        assert isinstance(await sender.exchange(REQUEST, card()), Answer)
        await asyncio.sleep(0.2)
        kept = sender._idle[0]

        assert kept._incoming.pending < connecting.RECEIVED_BYTES_MAX + 300_000
        assert not await kept.is_usable()

    run(script, scenario)


# --- limits and our own mistakes ------------------------------------------------------------------------------


def test_exchange_beyond_the_limit_fails_unsent(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "EXCHANGES_MAX", 1)
    monkeypatch.setattr(sending, "CONNECT_TIMEOUT_S", 0.1)

    async def script(taken: Taken) -> None:
        await taken.request()
        await asyncio.sleep(0.3)
        await taken.say(OK)

    async def scenario(site: Site, sender: GatewaySender) -> None:
        first, second = await asyncio.gather(
            sender.exchange(REQUEST, card()), sender.exchange(REQUEST, card())
        )

        assert isinstance(first, Answer)
        assert second == Unanswered("timeout", sent=False)
        assert len(site.requests) == 1

    run(script, scenario)


@pytest.mark.parametrize(
    "request_",
    [
        replace(REQUEST, body=(b"x" * (sending.BUILD_PAGE_BYTES + 1),)),
        replace(REQUEST, headers=(("Bad header", "x"),)),
        replace(REQUEST, path="/a b"),
    ],
    ids=["too_long", "header", "path"],
)
def test_request_that_cannot_be_built_is_our_mistake_and_sends_nothing(run, request_: Request) -> None:
    async def scenario(site: Site, sender: GatewaySender) -> None:
        with pytest.raises((InvariantError, Exception)) as caught:
            await sender.exchange(request_, card())

        assert not isinstance(caught.value, OSError)
        await asyncio.sleep(0.02)
        assert site.requests == []

    run(keep_answering, scenario)


def test_body_that_names_a_card_without_one_sends_nothing(run) -> None:
    async def scenario(site: Site, sender: GatewaySender) -> None:
        with pytest.raises(InvariantError):
            await sender.exchange(REQUEST, None)
        assert site.requests == []

    run(keep_answering, scenario)


def test_cancelled_exchange_leaves_nothing_behind(run) -> None:
    async def script(taken: Taken) -> None:
        await taken.request()
        await asyncio.sleep(5)

    async def scenario(site: Site, sender: GatewaySender) -> None:
        task = asyncio.create_task(sender.exchange(REQUEST, card()))
        while not site.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert sender._idle == []

    run(script, scenario)


def test_what_was_sent_may_be_wiped_at_once_though_the_peer_reads_nothing(
    authority: Authority, leaf: Leaf
) -> None:
    """Backpressure: more than the system takes waits as ciphertext, never as a view of what was given."""
    page, blocks = memoryview(bytearray(4_096)), 2_000
    read = asyncio.Event()

    async def script(taken: Taken) -> None:
        await read.wait()
        data = await taken.reader.readexactly(4_096 * blocks)
        assert data == b"".join(bytes([index % 251]) * 4_096 for index in range(blocks))
        await taken.say(b"all")

    async def scenario() -> None:
        async with serving(script, server_context(leaf)) as site:
            connection = Connection(Peer("127.0.0.1", site.port, "localhost"), client_context(authority.file))
            await connection.open()
            for index in range(blocks):
                page[:] = bytes([index % 251]) * 4_096
                connection.send(page)
                page[:] = bytes(4_096)
            assert connection._transport is not None
            assert connection._transport.get_write_buffer_size() > 1_000_000
            read.set()

            assert await connection.receive() == b"all"
            connection.abort()

    asyncio.run(scenario())


def test_secrets_stand_in_no_repr(authority: Authority, leaf: Leaf) -> None:
    async def scenario() -> None:
        async with serving(keep_answering, server_context(leaf)) as site:
            sender = site.sender(authority, headers=(("Authorization", "hidden"),), signing_key=b"hidden")

            assert "hidden" not in repr((sender, sender._endpoint, sender._identity))

    asyncio.run(scenario())


# --- addresses ------------------------------------------------------------------------------------------------


def test_addresses_are_tried_in_turn_and_the_good_one_is_remembered(authority: Authority, leaf: Leaf) -> None:
    async def scenario() -> None:
        async with serving(keep_answering, server_context(leaf)) as site:
            sender = site.sender(authority, addresses=("127.0.0.2", "127.0.0.3", "127.0.0.1"))

            assert isinstance(await sender.exchange(REQUEST, card()), Answer)
            assert sender._addresses == ("127.0.0.1", "127.0.0.2", "127.0.0.3")

    asyncio.run(scenario())


def test_address_that_never_answers_leaves_time_for_the_next(
    authority: Authority, leaf: Leaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "CONNECT_TIMEOUT_S", 0.4)
    monkeypatch.setattr(sending, "CONNECT_TIMEOUT_S_MIN", 0.1)

    async def hang(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)

    async def scenario() -> None:
        async with serving(keep_answering, server_context(leaf)) as site:
            silent = await asyncio.start_server(hang, "127.0.0.2", site.port)
            sender = site.sender(authority, addresses=("127.0.0.2", "127.0.0.1"))
            begun_s = asyncio.get_running_loop().time()

            assert isinstance(await sender.exchange(REQUEST, card()), Answer)
            assert 0.15 < asyncio.get_running_loop().time() - begun_s < 1.0

            sender.set_addresses(["127.0.0.2"])
            assert await sender.exchange(REQUEST, card()) == Unanswered("timeout", sent=False)
            silent.close()

    asyncio.run(scenario())


def test_nobody_there_is_refused(authority: Authority, leaf: Leaf) -> None:
    async def scenario() -> None:
        async with serving(keep_answering, server_context(leaf)) as site:
            sender = site.sender(authority, addresses=("127.0.0.2",))

            assert await sender.exchange(REQUEST, card()) == Unanswered("refused", sent=False)

    asyncio.run(scenario())


def test_new_addresses_end_idle_connections_to_others(run) -> None:
    async def scenario(site: Site, sender: GatewaySender) -> None:
        await sender.exchange(REQUEST, card())
        sender.set_addresses(["127.0.0.2"])

        assert await sender.exchange(REQUEST, card()) == Unanswered("refused", sent=False)
        assert len(site.requests) == 1

    run(keep_answering, scenario)


@pytest.mark.parametrize("addresses", [[], ["127.0.0.1"] * 9])
def test_number_of_addresses_is_limited(run, addresses: list[str]) -> None:
    async def scenario(_site: Site, sender: GatewaySender) -> None:
        with pytest.raises(InvariantError):
            sender.set_addresses(addresses)

    run(keep_answering, scenario)


def test_addresses_that_change_while_a_connection_is_opened_stay_changed(run) -> None:
    async def scenario(_site: Site, sender: GatewaySender) -> None:
        opening = asyncio.create_task(sender.probe())
        await asyncio.sleep(0)
        sender.set_addresses(["127.0.0.2"])
        assert await opening == "ok"

        assert await sender.exchange(REQUEST, card()) == Unanswered("refused", sent=False)

    run(keep_answering, scenario)


def test_exchange_takes_no_longer_than_payments_reckon_with() -> None:
    assert sending.CONNECT_TIMEOUT_S + sending.ANSWER_TIMEOUT_S == EXCHANGE_TIME_MAX_S
