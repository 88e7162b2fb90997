"""``Unanswered.sent`` is exact: False if and only if not one byte of the request has left."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from dtmf_shield.cde.gateways.base import Answer, Unanswered
from tests.unit.cde.authority import Authority
from tests.unit.cde.gateway_site import (
    OK,
    REQUEST,
    Site,
    Taken,
    card,
    keep_answering,
    server_context,
    serving,
    wire,
)

UNCUT = 1_000_000
EVERY = 7
"""Step of the cuts within the handshake; within the request each byte is cut."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


async def handshake_bytes(authority: Authority, site: Site) -> int:
    """Return how many bytes a client sends before its first request."""
    async with wire(site.port, UNCUT) as line:
        sender = site.sender(authority, port=line.port)
        await sender.probe()
        await asyncio.sleep(0.05)
        sent = line.from_client
        sender.close()
    return sent


async def request_bytes(authority: Authority, site: Site) -> int:
    async with wire(site.port, UNCUT) as line:
        sender = site.sender(authority, port=line.port)
        await sender.exchange(REQUEST, card())
        sent = line.from_client
        sender.close()
    return sent


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_request_cut_at_any_byte_is_told_exactly(authority: Authority, version: ssl.TLSVersion) -> None:
    """The wire ends after each number of the client's bytes in turn."""
    context = server_context(authority.leaf(), version)

    async def scenario() -> None:
        async with serving(keep_answering, context) as site:
            handshake = await handshake_bytes(authority, site)
            whole = await request_bytes(authority, site)
            assert 0 < handshake < whole
            site.requests.clear()
            unsent = sent = 0
            for cut in [*range(1, handshake, EVERY), *range(handshake + 1, whole)]:
                async with wire(site.port, cut) as line:
                    sender = site.sender(authority, port=line.port)
                    answer = await sender.exchange(REQUEST, card())
                    assert isinstance(answer, Unanswered), cut
                    assert answer.sent == (line.from_client > handshake), (cut, answer, line.from_client)
                    assert site.page_is_wiped
                    unsent, sent = unsent + (not answer.sent), sent + answer.sent
                    sender.close()
            assert unsent > 20
            assert sent > 100
            # No server ever saw a whole request: a body cut short is none.
            assert site.requests == []

    asyncio.run(scenario())


def test_kept_connection_reset_under_the_request_is_sent_and_not_sent_again(authority: Authority) -> None:
    async def script(taken: Taken) -> None:
        await taken.request()
        await taken.say(OK)
        await taken.reader.readexactly(1)
        taken.reset()

    async def scenario() -> None:
        async with serving(script, server_context(authority.leaf())) as site:
            sender = site.sender(authority)
            assert isinstance(await sender.exchange(REQUEST, card()), Answer)

            answer = await sender.exchange(REQUEST, card())

            assert isinstance(answer, Unanswered)
            assert (answer.sent, answer.reason) == (True, "reset")
            assert site.accepted == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("after", [0, 1, 10])
def test_alert_or_noise_below_tls_is_no_answer(authority: Authority, after: int) -> None:
    """Bytes that are no TLS come in the middle of the answer, as from somebody on the wire."""

    async def script(taken: Taken) -> None:
        await taken.request()
        await taken.say(OK[:after])
        await asyncio.sleep(0.01)
        below = taken.writer.transport._ssl_protocol._transport
        below.write(b"\x15\x03\x03\x00\x02\x02\x28" if after % 2 else b"noise" * 20)
        await asyncio.sleep(1)

    async def scenario() -> None:
        async with serving(script, server_context(authority.leaf())) as site:
            answer = await site.sender(authority).exchange(REQUEST, card())

            assert answer == Unanswered("tls", sent=True)

    asyncio.run(scenario())


def test_objection_that_comes_late_is_told_as_sent(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that objects to our certificate only after we no longer listen: then the request has left."""
    monkeypatch.setattr("dtmf_shield.cde.gateways.connection.OBJECTION_WAIT_S_MAX", 0.0)
    context = server_context(authority.leaf(), ssl.TLSVersion.TLSv1_3)
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_REQUIRED

    async def scenario() -> None:
        async with serving(keep_answering, context) as site:
            answer = await site.sender(authority).exchange(REQUEST, card())

            assert isinstance(answer, Unanswered)
            assert answer.sent
            assert site.requests == []

    asyncio.run(scenario())
