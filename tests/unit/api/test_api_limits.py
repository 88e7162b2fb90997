"""Rate limits: how often one may ask, who is counted by what, and that a stream is never held up."""

from __future__ import annotations

import httpx
import pytest
from api_desk import API_KEY, BASE_URL, ApiHouse, HandClock, a_call

from dtmf_shield.api.limits import SESSION_RATE, STRANGER_RATE, Rate, RateLimit, counted_as

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_a_bucket_lets_a_burst_through_and_then_so_many_a_second() -> None:
    clock = HandClock()
    limit = RateLimit(Rate(per_s=0.5, burst=3), clock)

    assert [limit.take("a") for _ in range(5)] == [0, 0, 0, 2, 2]
    assert limit.take("b") == 0
    clock.seconds += 2
    assert [limit.take("a") for _ in range(2)] == [0, 2]
    clock.seconds += 1_000
    assert [limit.take("a") for _ in range(4)] == [0, 0, 0, 2]


def test_askers_are_forgotten_longest_unheard_first() -> None:
    limit = RateLimit(Rate(per_s=0.1, burst=1), HandClock(), buckets_max=2)
    for name in ("a", "b", "a", "c"):
        limit.take(name)

    assert (limit.take("a") > 0, limit.take("b")) == (True, 0)


def test_who_must_wait_is_not_let_in_by_being_forgotten() -> None:
    limit = RateLimit(Rate(per_s=0.1, burst=2), HandClock(), buckets_max=8)
    for name in ("a", "a", *"bcdefghijk"):
        limit.take(name)

    assert limit.take("a") > 0
    assert len(limit._buckets) == 8


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:1::7", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:1::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("a-test", "a-test"),
    ],
)
def test_an_address_of_ipv6_is_counted_as_its_network(address: str, counted: str) -> None:
    assert counted_as(address) == counted


async def test_a_session_that_asks_too_often_waits_and_others_do_not() -> None:
    house = ApiHouse(a_call())
    async with house.browser() as one, house.browser() as other, house.machine() as machine:
        answers = [await one.get("/v1/calls") for _ in range(SESSION_RATE.burst + 1)]
        others = [await other.get("/v1/calls"), await machine.get("/v1/calls")]
        house.clock.seconds += int(answers[-1].headers["retry-after"])
        again = await one.get("/v1/calls")

    assert {answer.status_code for answer in answers[:-1]} == {200}
    assert (answers[-1].status_code, answers[-1].headers["content-type"]) == (429, "application/problem+json")
    assert [answer.status_code for answer in (*others, again)] == [200, 200, 200]


async def test_strangers_of_one_ipv6_connection_share_their_requests() -> None:
    house = ApiHouse(a_call())
    found = {}
    for network in ("2001:db8:0:1", "2001:db8:0:2"):
        for number in range(STRANGER_RATE.burst + 1 if network.endswith("1") else 1):
            transport = httpx.ASGITransport(app=house.app, client=(f"{network}::{number:x}", 40_000))
            async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client:
                found[network] = (await client.get("/livez")).status_code

    assert found == {"2001:db8:0:1": 429, "2001:db8:0:2": 200}


async def test_guesses_of_a_key_are_counted_by_address_and_the_right_key_goes_on() -> None:
    house = ApiHouse(a_call())
    async with house.client() as client:
        guesses = [
            (await client.get("/v1/calls", headers={"authorization": f"Bearer guess-{number}"})).status_code
            for number in range(STRANGER_RATE.burst + 2)
        ]
        unsigned = [await client.get(path) for path in ("/v1/calls", "/ui/", "/livez", "/login?ticket=x")]
        right = await client.get("/v1/calls", headers={"authorization": f"Bearer {API_KEY}"})

    assert guesses == [401] * STRANGER_RATE.burst + [429] * 2
    assert [answer.status_code for answer in unsigned] == [429] * 4
    assert right.status_code == 200
