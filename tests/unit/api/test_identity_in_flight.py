"""What happens while a password is hashed: too many wait, an administrator acts, or the password is another by then."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from api_desk import OURS, PASSWORD, ApiHouse, house_of_ada

from dtmf_shield.api.identity.login_guard import ADDRESS_ATTEMPTS_MAX, ATTEMPTS_MAX, ENTRIES_MAX
from dtmf_shield.api.identity.passwords import HASHES_WAITING_MAX
from dtmf_shield.api.site import COOKIE

pytestmark = pytest.mark.anyio
OTHER = "nine brown otters 2"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def house() -> ApiHouse:
    return await house_of_ada()


async def sign_in(house: ApiHouse, password: str = PASSWORD) -> httpx.Response:
    async with house.client() as client:
        return await client.post("/v1/login", json={"name": "ada", "password": password}, headers=OURS)


async def another_password(house: ApiHouse, current: str = PASSWORD) -> httpx.Response:
    async with house.client() as client:
        client.cookies.set(COOKIE, house.identity.sessions.open("ada", "local"))
        body = {"current": current, "password": OTHER}
        return await client.post("/v1/account/password", json=body, headers=OURS)


def problem(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).rpartition(":")[2]


def while_hashing(
    house: ApiHouse, monkeypatch: pytest.MonkeyPatch, hashing: str, act: Callable[[], object]
) -> None:
    """Call ``act`` right after a hash is done and before who waits for it goes on."""
    passwords = house.identity._passwords
    real = getattr(passwords, hashing)

    async def acted(*texts: str) -> object:
        done = await real(*texts)
        act()
        return done

    monkeypatch.setattr(passwords, hashing, acted)


async def test_who_is_told_to_come_again_has_not_tried(house: ApiHouse) -> None:
    house.identity._passwords._waiting = HASHES_WAITING_MAX
    busy = [await sign_in(house) for _ in range(2 * ADDRESS_ATTEMPTS_MAX)]
    house.identity._passwords._waiting = 0

    assert {(one.status_code, problem(one)) for one in busy} == {(503, "too-many-logins")}
    wrong = [(await sign_in(house, OTHER)).status_code for _ in range(2)]
    assert wrong == [401, 401]
    assert (await sign_in(house)).status_code == 204


async def test_wrong_passwords_stay_counted_whatever_comes_between(house: ApiHouse) -> None:
    for _ in range(ATTEMPTS_MAX):
        house.identity._passwords._waiting = HASHES_WAITING_MAX
        assert (await sign_in(house)).status_code == 503
        house.identity._passwords._waiting = 0
        assert (await sign_in(house, OTHER)).status_code == 401
        house.clock.seconds += 300

    assert (await sign_in(house)).status_code == 429


async def test_a_flood_of_invented_names_wipes_out_nobodys_failures(house: ApiHouse) -> None:
    guard, now_s = house.identity.guard, house.clock.seconds
    for _ in range(ATTEMPTS_MAX - 1):
        guard.tried("ada", "192.0.2.1", now_s)
    now_s += guard.wait_s("ada", "", now_s)  # nine, and she could be tried again
    for number in range(ENTRIES_MAX):
        guard.tried(f"invented{number}", f"a{number}", now_s)

    assert guard.tried("ada", "192.0.2.1", now_s).locked


async def test_a_sign_in_on_its_way_opens_nothing_once_the_password_is_another(
    house: ApiHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = await house.identity.hashed("ada", OTHER)
    while_hashing(house, monkeypatch, "right", lambda: house.identity.users.change_password("ada", hashed))

    late = await sign_in(house)

    assert (late.status_code, problem(late)) == (401, "login-refused")
    assert house.identity.sessions.of("ada") == 0


@pytest.mark.parametrize("hashing", ["right", "hashed"])
async def test_no_password_is_changed_by_a_session_that_has_ended(
    house: ApiHouse, monkeypatch: pytest.MonkeyPatch, hashing: str
) -> None:
    while_hashing(house, monkeypatch, hashing, lambda: house.identity.sessions.close_all_of("ada"))

    late = await another_password(house)
    monkeypatch.undo()

    assert (late.status_code, problem(late)) == (401, "not-signed-in")
    assert (await sign_in(house, OTHER)).status_code == 401
    assert (await sign_in(house)).status_code == 204


async def test_no_second_factor_is_begun_by_a_session_that_has_ended(
    house: ApiHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    while_hashing(house, monkeypatch, "right", lambda: house.identity.sessions.close_all_of("ada"))

    async with house.client() as client:
        client.cookies.set(COOKIE, house.identity.sessions.open("ada", "local"))
        late = await client.post("/v1/account/second-factor", json={"current": PASSWORD}, headers=OURS)

    assert (late.status_code, problem(late)) == (401, "not-signed-in")
    assert not house.identity.factors.begun("ada")


async def test_a_password_that_was_taken_away_meanwhile_stays_away(
    house: ApiHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    while_hashing(house, monkeypatch, "hashed", lambda: house.identity.users.reset("ada"))

    late = await another_password(house)
    monkeypatch.undo()

    assert (late.status_code, problem(late)) == (403, "login-refused")
    assert house.identity.users.active("ada") is None
    assert "password_changed" not in [row["event"] for row in house.noted]
