"""A file of users and sessions that takes nothing, as on a full disk: rights still end, and work goes on."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import httpx
import pytest
from api_desk import OURS, ApiHouse, a_call, a_capture
from structlog.testing import capture_logs

from dtmf_shield.api.identity.sessions import NOT_WRITTEN_TOLD_S, SEEN_WRITTEN_S
from dtmf_shield.api.site import COOKIE
from dtmf_shield.store.identity_rows import IDENTITY_FILE, IdentityRows

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def full(house: ApiHouse, state: bool) -> None:
    house.rows._database.execute(f"PRAGMA query_only={int(state)}")


def told(house: ApiHouse, event: str) -> int:
    return [row["event"] for row in house.noted].count(event)


async def statuses(house: ApiHouse, cookie: str, key: str) -> list[int]:
    async with house.client() as client:
        by_cookie = await client.get("/v1/me", headers={"cookie": f"{COOKIE}={cookie}"})
        by_key = await client.get("/v1/calls", headers={"authorization": f"Bearer {key}"})
    return [by_cookie.status_code, by_key.status_code]


async def test_rights_end_although_the_file_takes_nothing_and_each_note_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / IDENTITY_FILE
    house, other = ApiHouse(a_call(), rows=IdentityRows(path)), ApiHouse(rows=IdentityRows(path))
    await house.identity.set_password(
        house.identity.users.make("ada", ["agent"], None), "seven green kites 4", "127.0.0.1"
    )
    key = house.identity.keys.make("crm", ["agent"])
    cookie = house.identity.sessions.open("ada", "local")
    house.identity.sessions.open("oidc:eve", "oidc", ["agent"], ends=house.clock.seconds + 1)
    house.clock.seconds += 2  # hers is over, and is swept when sessions are read
    streams_looked = []
    house.identity.when_revoked(lambda: streams_looked.append(True))
    house.identity.take_over()
    other.identity.take_over()
    assert await statuses(house, cookie, key) == [200, 200]
    other.identity.users.disable("ada")
    other.identity.keys.revoke("crm")
    other.rows.add_note("user_disabled", {"user": "ada"})

    full(house, True)
    streams_looked.clear()
    for _ in range(2):
        with pytest.raises(sqlite3.OperationalError):
            house.identity.take_over()
    ended, looked = await statuses(house, cookie, key), len(streams_looked)
    full(house, False)
    for event in ("user_disabled", "key_revoked"):
        house.identity.take_over()
        other.rows.add_note(event, {"user": "ada"})  # may have the number of one that was told
    house.identity.take_over()

    assert (ended, looked) == ([401, 401], 2)
    assert (told(house, "user_disabled"), told(house, "key_revoked")) == (2, 1)


async def command(house: ApiHouse, cookie: str, number: int) -> httpx.Response:
    async with house.client() as client:
        return await client.post(
            "/v1/captures/cap1/commands",
            json={"command": "pause"},
            headers={**OURS, "cookie": f"{COOKIE}={cookie}", "idempotency-key": f"key-{number:08d}"},
        )


async def test_a_command_is_carried_out_although_the_last_use_of_its_session_is_not_written() -> None:
    house = ApiHouse(a_call(capture=a_capture()))
    cookie = house.login.redeem(house.login.issue()) or ""
    full(house, True)
    answers = []
    with capture_logs() as logs:
        for number in range(2 + int(NOT_WRITTEN_TOLD_S / SEEN_WRITTEN_S)):
            house.clock.seconds += SEEN_WRITTEN_S
            answers.append((await command(house, cookie, number)).status_code)

    assert set(answers) == {202}
    assert house.desk.asked == [("pause", "cap1")] * len(answers)
    assert [line["event"] for line in logs] == ["sessions_not_written"] * 2
