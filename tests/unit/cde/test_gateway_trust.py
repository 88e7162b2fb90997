"""Who is believed to be the gateway, and who we are to it: chains, names, pins, our certificate. Refused is unsent."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from dtmf_shield.cde.gateways.base import Answer, Unanswered
from dtmf_shield.cde.gateways.tls import pin_of
from tests.unit.cde.authority import Authority, Leaf
from tests.unit.cde.gateway_site import (
    OK,
    REQUEST,
    Taken,
    card,
    keep_answering,
    server_context,
    serving,
)

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def leaf(authority: Authority) -> Leaf:
    return authority.leaf()


async def close_properly(taken: Taken) -> None:
    """Answer one request and end the connection, so that the next one is new."""
    await taken.request()
    await taken.say(OK)


def refused(
    authority: Authority, leaf: Leaf, reason: str, version: ssl.TLSVersion | None = None, **changes: object
) -> None:
    """Assert that a sender with ``changes`` sends nothing to a server with ``leaf``, for ``reason``."""

    async def scenario() -> None:
        async with serving(keep_answering, server_context(leaf, version)) as site:
            sender = site.sender(authority, **changes)

            assert await sender.exchange(REQUEST, card()) == Unanswered(reason, sent=False)
            assert (sender.health, await sender.probe()) == (reason, reason)
            await asyncio.sleep(0.02)
            assert site.requests == []
            assert site.page_is_wiped

    asyncio.run(scenario())


@pytest.mark.parametrize("version", VERSIONS)
def test_certificate_of_another_authority_is_refused(
    authority: Authority, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    refused(authority, Authority(tmp_path, "another").leaf(), "tls", version)


@pytest.mark.parametrize("version", VERSIONS)
def test_certificate_of_another_name_is_refused(authority: Authority, version: ssl.TLSVersion) -> None:
    refused(authority, authority.leaf("other.example"), "tls", version)


def test_certificate_of_a_client_is_refused_of_a_server(authority: Authority) -> None:
    refused(authority, authority.leaf(client=True), "tls")


@pytest.mark.parametrize("version", VERSIONS)
def test_key_that_is_not_pinned_is_refused_though_its_authority_is_believed(
    authority: Authority, leaf: Leaf, version: ssl.TLSVersion
) -> None:
    pins = frozenset(pin_of(authority.leaf().der) for _ in range(2))

    refused(authority, leaf, "pin", version, pins=pins)


def test_pinned_key_of_another_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    """Pins come beside the check of the chain."""
    other = Authority(tmp_path, "another").leaf()

    refused(authority, other, "tls", pins=frozenset({pin_of(other.der)}))


def test_pin_is_compared_on_every_connect_and_the_backup_is_as_good(authority: Authority, leaf: Leaf) -> None:
    backup, third = authority.leaf(), authority.leaf()
    context = server_context(leaf)

    async def scenario() -> None:
        async with serving(close_properly, context) as site:
            sender = site.sender(authority, pins=frozenset({pin_of(leaf.der), pin_of(backup.der)}))
            seen = [await sender.exchange(REQUEST, card())]
            for now in (backup, third):
                context.load_cert_chain(now.certificate_file, now.key_file)
                await asyncio.sleep(0.02)
                seen.append(await sender.exchange(REQUEST, card()))

            assert [isinstance(one, Answer) for one in seen] == [True, True, False]
            assert seen[2] == Unanswered("pin", sent=False)
            assert (sender.health, len(site.requests)) == ("pin", 2)

    asyncio.run(scenario())


def demanding(authority: Authority, leaf: Leaf, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = server_context(leaf, version)
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.mark.parametrize("version", VERSIONS)
def test_gateway_that_wants_our_certificate_gets_nothing_without_it(
    authority: Authority, leaf: Leaf, version: ssl.TLSVersion
) -> None:
    """In TLS 1.3 it objects only after we are done with the handshake: nothing must have left by then."""

    async def scenario() -> None:
        async with serving(keep_answering, demanding(authority, leaf, version)) as site:
            assert await site.sender(authority).exchange(REQUEST, card()) == Unanswered("tls", sent=False)
            assert site.requests == []

    asyncio.run(scenario())


@pytest.mark.parametrize("version", VERSIONS)
def test_our_certificate_is_shown(authority: Authority, leaf: Leaf, version: ssl.TLSVersion) -> None:
    async def scenario() -> None:
        async with serving(keep_answering, demanding(authority, leaf, version)) as site:
            sender = site.sender(authority, own=authority.leaf("shield", client=True))

            assert isinstance(await sender.exchange(REQUEST, card()), Answer)

    asyncio.run(scenario())


@pytest.mark.parametrize("version", VERSIONS)
def test_certificate_the_gateway_does_not_believe_is_refused_unsent(
    authority: Authority, leaf: Leaf, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    stranger = Authority(tmp_path, "another").leaf("shield", client=True)

    async def scenario() -> None:
        async with serving(keep_answering, demanding(authority, leaf, version)) as site:
            sender = site.sender(authority, own=stranger)

            assert await sender.exchange(REQUEST, card()) == Unanswered("tls", sent=False)

    asyncio.run(scenario())
