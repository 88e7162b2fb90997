"""One-time login, sessions, and the refusal of any address but loopback."""

from __future__ import annotations

import pytest
from api_desk import ApiHouse, a_call

from dtmf_shield.api.identity.one_time_login import (
    TICKET_LIFETIME_S,
    TICKETS_MAX,
    login_url,
    require_loopback,
)
from dtmf_shield.api.site import COOKIE
from dtmf_shield.base.errors import OperatorError


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_a_ticket_is_good_once() -> None:
    login = ApiHouse().login
    ticket = login.issue()

    assert login.redeem(ticket) is not None
    assert login.redeem(ticket) is None
    assert login.redeem("never issued") is None


def test_a_ticket_grows_old() -> None:
    house = ApiHouse()
    ticket = house.login.issue()

    house.clock.seconds += TICKET_LIFETIME_S

    assert house.login.redeem(ticket) is None


def test_unspent_tickets_are_bounded_and_the_oldest_goes_first() -> None:
    house = ApiHouse()
    tickets = []
    for _ in range(TICKETS_MAX + 1):
        tickets.append(house.login.issue())
        house.clock.seconds += 1

    assert house.login.redeem(tickets[0]) is None
    assert all(house.login.redeem(ticket) for ticket in tickets[1:])


def test_a_link_that_sets_a_password_opens_no_session_and_is_not_used_up_by_trying() -> None:
    house = ApiHouse()
    secret = house.identity.users.make("ada", ["agent"], None)

    assert house.login.redeem(secret) is None
    assert house.identity.users.link_for(secret) is not None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1"])
def test_loopback_is_taken(host: str) -> None:
    require_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_any_other_address_is_refused_with_the_way_out(host: str) -> None:
    with pytest.raises(OperatorError, match=r"allowed: a loopback address .* SSH tunnel"):
        require_loopback(host)


def test_the_link_to_print_is_at_the_origin() -> None:
    assert login_url("http://[::1]:8080", "t") == "http://[::1]:8080/login?ticket=t"


@pytest.mark.anyio
async def test_the_link_opens_a_session_and_leads_to_the_page() -> None:
    house = ApiHouse(a_call())
    async with house.client() as client:
        answer = await client.get("/login", params={"ticket": house.login.issue()})

        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/")
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert "path=/" in cookie
        assert "secure" not in cookie  # plain HTTP on loopback: a browser would not keep it
        assert (await client.get("/v1/calls")).status_code == 200
        assert 'id="start-button"' in (await client.get("/ui/agent/")).text


@pytest.mark.anyio
async def test_a_spent_link_shows_how_to_sign_in_but_lets_the_signed_in_pass() -> None:
    house = ApiHouse()
    ticket = house.login.issue()
    async with house.client() as first, house.client() as second:
        await first.get("/login", params={"ticket": ticket})

        assert (await first.get("/login", params={"ticket": ticket})).status_code == 303
        refused = await second.get("/login", params={"ticket": ticket})
        assert refused.status_code == 401
        assert 'id="link-help"' in refused.text
        assert COOKIE not in second.cookies


@pytest.mark.anyio
@pytest.mark.parametrize(
    "path", ["/v1/calls", "/v1/calls/c1", "/v1/captures/cap1", "/v1/flows", "/v1/events"]
)
@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic eDp5", "Bearer ", "Bearer é"])
async def test_without_a_login_or_key_every_resource_is_closed(path: str, authorization: str) -> None:
    house = ApiHouse(a_call())
    headers = [(b"authorization", authorization.encode("latin-1"))] if authorization else []
    async with house.client() as client:
        answer = await client.get(path, headers=headers)

    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:dtmf-shield:problem:not-signed-in"


@pytest.mark.anyio
async def test_without_a_configured_key_no_bearer_is_good() -> None:
    house = ApiHouse(api_key=None)
    async with house.client(authorization="Bearer None") as client:
        assert (await client.get("/v1/calls")).status_code == 401


@pytest.mark.anyio
async def test_the_page_without_a_session_is_the_sign_in_page_and_its_files_are_open() -> None:
    house = ApiHouse(a_call())
    async with house.client() as client:
        assert (await client.get("/ui/")).status_code == 401
        assert (await client.get("/ui/agent/app.js")).headers["content-type"].startswith("text/javascript")
        assert (await client.get("/ui/agent/index.html")).status_code == 404
        assert (await client.get("/ui/agent/..%2fapp.py")).status_code == 404
        assert (await client.get("/ui")).headers["location"] == "/ui/"


@pytest.mark.anyio
async def test_a_file_that_has_not_changed_is_not_sent_again() -> None:
    async with ApiHouse().client() as client:
        first = await client.get("/ui/shared/style.css")
        again = await client.get("/ui/shared/style.css", headers={"if-none-match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")
