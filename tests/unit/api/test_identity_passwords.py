"""Hashing of passwords: argon2id with the parameters that were decided, off the event loop, and a bounded queue."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from dtmf_shield.api.identity.passwords import HASHES_WAITING_MAX, MEMORY_KIB, TIME_COST, Passwords
from dtmf_shield.api.problem import ApiRefusal

pytestmark = pytest.mark.anyio
PASSWORD = "seven green kites 4"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords()
    yield made
    made.close()


async def test_a_hash_names_the_parameters_that_were_decided(passwords: Passwords) -> None:
    kept = await passwords.hashed(PASSWORD)

    assert kept.startswith(f"$argon2id$v=19$m={MEMORY_KIB},t={TIME_COST},p=1$")
    assert (MEMORY_KIB, TIME_COST) == (19_456, 2)
    assert await passwords.right(kept, PASSWORD)
    assert not await passwords.right(kept, PASSWORD + "!")
    assert not await passwords.right("", PASSWORD)
    assert not await passwords.right("no hash at all", PASSWORD)


async def turns_while(work: asyncio.Future[object]) -> int:
    turns = 0
    while not work.done():
        await asyncio.sleep(0)
        turns += 1
    return turns


async def test_the_event_loop_goes_on_while_a_password_is_hashed(passwords: Passwords) -> None:
    async def on_the_loop() -> object:
        return passwords._hasher.hash(PASSWORD)

    beside = await turns_while(asyncio.ensure_future(passwords.hashed(PASSWORD)))
    blocking = await turns_while(asyncio.ensure_future(on_the_loop()))

    assert blocking <= 2  # the control: a hash on the loop lets nothing else run
    assert beside > 20


async def test_the_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(memory_kib=8, time_cost=1)
    waiting = [asyncio.ensure_future(passwords.hashed(PASSWORD)) for _ in range(HASHES_WAITING_MAX)]
    await asyncio.sleep(0)

    with pytest.raises(ApiRefusal) as refused:
        await passwords.hashed(PASSWORD)
    await asyncio.gather(*waiting)

    assert refused.value.status == 503
    assert await passwords.hashed(PASSWORD)
    passwords.close()
