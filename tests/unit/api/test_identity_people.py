"""Users, their one-time links, passwords and sessions over HTTP: made, signed in, disabled, told in the audit log."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_desk import OURS, PASSWORD, TEST_PAN, ApiHouse, a_call, a_capture

from dtmf_shield.api.identity.login_guard import ATTEMPTS_MAX, LOCK_S
from dtmf_shield.api.identity.sessions import IDLE_LIMIT_S, SESSION_LIMIT_S, SESSIONS_OF_ONE_MAX
from dtmf_shield.api.identity.users import LINK_LIFETIME_S
from dtmf_shield.api.site import COOKIE
from dtmf_shield.store.identity_rows import IDENTITY_FILE, IdentityRows

pytestmark = pytest.mark.anyio
OTHER = "nine brown otters 2"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def house() -> ApiHouse:
    return ApiHouse(
        a_call("c1", agent="desk-1", capture=a_capture("cap1", "c1")), a_call("c2", agent="desk-2")
    )


_keys = iter(range(10_000_000, 99_999_999))


async def post(client: httpx.AsyncClient, path: str, **body: Any) -> httpx.Response:
    return await client.post(path, json=body, headers={**OURS, "idempotency-key": f"key-{next(_keys)}"})


async def hired(house: ApiHouse, name: str, *roles: str, agents: list[str] | None = None) -> None:
    """Make a user and set the password, as an administrator and the person do."""
    async with house.browser() as admin, house.client() as person:
        made = await post(admin, "/v1/users", name=name, roles=list(roles), agents=agents)
        assert made.status_code == 201, made.text
        link = made.json()["link"].partition("#")[2]
        assert (await post(person, "/v1/password", link=link, password=PASSWORD)).status_code == 204


@asynccontextmanager
async def signed_in(house: ApiHouse, name: str) -> AsyncIterator[httpx.AsyncClient]:
    async with house.client() as client:
        answer = await post(client, "/v1/login", name=name, password=PASSWORD)
        assert answer.status_code == 204, answer.text
        yield client


def problem(answer: httpx.Response) -> str:
    return answer.json()["type"].rpartition(":")[2]


def events(house: ApiHouse) -> list[str]:
    return [row["event"] for row in house.noted]


async def test_an_administrator_makes_a_user_who_sets_a_password_and_signs_in(house: ApiHouse) -> None:
    await hired(house, "ada", "agent", agents=["desk-1"])
    async with signed_in(house, "ada") as ada:
        me = (await ada.get("/v1/me")).json()
        calls = (await ada.get("/v1/calls")).json()["calls"]

    assert (me["name"], me["roles"], me["agents"], me["pages"]) == (
        "ada",
        ["agent"],
        ["desk-1"],
        ["agent", "account"],
    )
    assert me["idle_limit_s"] == IDLE_LIMIT_S == 900
    assert [call["id"] for call in calls] == ["c1"]
    assert events(house) == ["user_made", "password_set", "login"]
    assert house.noted[0]["by"].startswith("link-")
    assert house.noted[2] == {"event": "login", "user": "ada", "how": "local", "address": "127.0.0.1"}


async def test_nothing_secret_is_in_answers_lists_audit_or_file(house: ApiHouse, tmp_path: Path) -> None:
    rows = IdentityRows(tmp_path / IDENTITY_FILE)
    house = ApiHouse(rows=rows)
    await hired(house, "ada", "agent")
    async with signed_in(house, "ada") as ada, house.browser() as admin:
        cookie = ada.cookies[COOKIE]
        listed = (await admin.get("/v1/users")).text
        link = (await post(admin, "/v1/users/ada/commands", command="reset")).json()["link"].partition("#")[2]
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for secret in (PASSWORD, cookie, link):
        assert secret not in listed
        assert secret not in json.dumps(house.noted)
        assert secret.encode() not in kept
    assert b"ada" in kept  # the same search finds what is there
    assert "argon2" not in listed
    assert (tmp_path / IDENTITY_FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "password",
    ["short 1", "no digit in here", "1234 5678 90 12", "x" * 127 + "12", "adalovelace1", "aaaaaaaaaaa1"],
)
async def test_a_weak_password_is_refused_and_the_link_stays_good(house: ApiHouse, password: str) -> None:
    secret = house.identity.users.make("ada", ["agent"], None)
    async with house.client() as client:
        refused = await post(client, "/v1/password", link=secret, password=password)
        taken = await post(client, "/v1/password", link=secret, password=PASSWORD)

    assert refused.status_code == 422
    assert taken.status_code == 204


async def test_a_card_number_is_no_password(house: ApiHouse) -> None:
    secret = house.identity.users.make("ada", ["agent"], None)
    async with house.client() as client:
        refused = await post(client, "/v1/password", link=secret, password=f"card {TEST_PAN}")

    assert problem(refused) == "card-number"


async def test_a_link_sets_one_password_within_a_day_and_the_newest_alone_is_good(house: ApiHouse) -> None:
    users = house.identity.users
    first = users.make("ada", ["agent"], None)
    second = users.new_link("ada")
    async with house.client() as client:
        for spent in (first, "never made", second[:-1]):
            assert problem(await post(client, "/v1/password", link=spent, password=PASSWORD)) == "link-spent"
        assert (await post(client, "/v1/password", link=second, password=PASSWORD)).status_code == 204
        assert problem(await post(client, "/v1/password", link=second, password=OTHER)) == "link-spent"
        late = users.new_link("ada")
        house.clock.seconds += LINK_LIFETIME_S
        assert problem(await post(client, "/v1/password", link=late, password=PASSWORD)) == "link-spent"


async def test_what_was_wrong_is_never_told(house: ApiHouse) -> None:
    await hired(house, "ada", "agent")
    await hired(house, "gone", "agent")
    house.identity.users.disable("gone")
    async with house.client() as client:
        answers = [
            await post(client, "/v1/login", name=name, password=password)
            for name, password in (
                ("ada", OTHER),
                ("nobody", PASSWORD),
                ("gone", PASSWORD),
                ("ADA'--", OTHER),
            )
        ]

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    failed = [row["user"] for row in house.noted if row["event"] == "login_failed"]
    assert failed == ["ada", "unknown", "gone", "unknown"]  # a password typed as a name stays out of the log


async def test_an_unknown_name_is_hashed_like_a_known_one(
    house: ApiHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hired(house, "ada", "agent")
    verified = []
    passwords = house.identity._passwords
    real = passwords._verify
    monkeypatch.setattr(
        passwords, "_verify", lambda kept, given: verified.append(kept.rsplit("$", 2)[0]) or real(kept, given)
    )
    async with house.client() as client:
        for name in ("ada", "nobody"):
            await post(client, "/v1/login", name=name, password=OTHER)

    assert len(verified) == 2
    assert verified[0] == verified[1]  # the same parameters, so the same time


async def test_wrong_passwords_lock_and_a_right_one_does_not_help(house: ApiHouse) -> None:
    await hired(house, "ada", "agent")
    async with house.client() as client:
        for _ in range(ATTEMPTS_MAX):
            assert (await post(client, "/v1/login", name="ada", password=OTHER)).status_code == 401
            house.clock.seconds += 300
        locked = await post(client, "/v1/login", name="ada", password=PASSWORD)
        house.clock.seconds += LOCK_S
        opened = await post(client, "/v1/login", name="ada", password=PASSWORD)

    assert (locked.status_code, problem(locked)) == (429, "too-many-attempts")
    assert int(locked.headers["retry-after"]) == LOCK_S - 300
    assert opened.status_code == 204
    assert [row["locked"] for row in house.noted if row["event"] == "login_failed"] == [0] * 9 + [1]


async def test_a_flood_of_failures_fills_no_audit_log(house: ApiHouse) -> None:
    async with house.client() as client:
        for number in range(100):
            await client.get("/login", params={"ticket": f"guess{number}"})

    assert events(house).count("login_failed") == 60
    assert events(house).count("login_failures_many") == 1


@pytest.mark.parametrize("path", ["/v1/login", "/v1/password", "/v1/logout"])
@pytest.mark.parametrize(
    "headers", [{}, {"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}]
)
async def test_another_site_cannot_sign_a_browser_in_or_out(
    house: ApiHouse, path: str, headers: dict[str, str]
) -> None:
    await hired(house, "ada", "agent")
    bodies = {
        "/v1/login": {"name": "ada", "password": PASSWORD},
        "/v1/password": {"link": "x", "password": PASSWORD},
        "/v1/logout": {},
    }
    async with house.browser() as client:
        refused = await client.post(path, json=bodies[path], headers=headers)
        still = await client.get("/v1/me")

    assert (refused.status_code, problem(refused)) == (403, "cross-site")
    assert still.status_code == 200


async def test_a_planted_cookie_is_never_the_signed_in_one(house: ApiHouse) -> None:
    await hired(house, "ada", "agent")
    async with house.client() as client:
        client.cookies.set(COOKIE, "planted-by-somebody")
        await post(client, "/v1/login", name="ada", password=PASSWORD)
        first = client.cookies.jar
        cookies = [cookie.value for cookie in first if cookie.name == COOKIE and cookie.value]
        assert cookies[-1] != "planted-by-somebody"
        client.cookies.clear()
        client.cookies.set(COOKIE, cookies[-1])
        answer = await post(client, "/v1/login", name="ada", password=PASSWORD)
        fresh = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
        old = await client.get("/v1/me", headers={"cookie": f"{COOKIE}={cookies[-1]}"})

    assert fresh != cookies[-1]
    assert old.status_code == 401  # signing in again ends what the browser had


async def test_logout_ends_session_cookie_and_streams(house: ApiHouse) -> None:
    await hired(house, "ada", "agent")
    async with signed_in(house, "ada") as ada:
        cookie = ada.cookies[COOKIE]
        principal = house.identity.sessions.principal(cookie)
        assert principal is not None
        stream = house.ring.stream(None, principal, lambda: house.identity.stands(principal))
        await anext(stream)
        await anext(stream)
        answer = await post(ada, "/v1/logout")
        ended = [chunk async for chunk in stream]
        after = await ada.get("/v1/me", headers={"cookie": f"{COOKIE}={cookie}"})

    assert answer.status_code == 204
    assert f'{COOKIE}=""' in answer.headers["set-cookie"]
    assert ended == []
    assert after.status_code == 401
    assert events(house)[-1] == "logout"


@pytest.mark.parametrize("command", ["disable", "reset", "sign_out"])
async def test_an_administrator_ends_sessions_and_streams_at_once(house: ApiHouse, command: str) -> None:
    await hired(house, "ada", "agent")
    async with signed_in(house, "ada") as ada, house.browser() as admin:
        principal = house.identity.sessions.principal(ada.cookies[COOKIE])
        assert principal is not None
        stream = house.ring.stream(None, principal, lambda: house.identity.stands(principal))
        await anext(stream)
        await anext(stream)
        assert (await ada.get("/v1/calls")).status_code == 200
        answer = await post(admin, "/v1/users/ada/commands", command=command)
        assert answer.status_code == 202, answer.text
        assert [chunk async for chunk in stream] == []
        assert (await ada.get("/v1/calls")).status_code == 401

    back = 204 if command == "sign_out" else 401
    async with house.client() as client:
        assert (await post(client, "/v1/login", name="ada", password=PASSWORD)).status_code == back


async def test_other_rights_hold_at_once_and_end_streams_of_the_old_ones(house: ApiHouse) -> None:
    await hired(house, "ada", "agent", agents=["desk-1"])
    async with signed_in(house, "ada") as ada, house.browser() as admin:
        principal = house.identity.sessions.principal(ada.cookies[COOKIE])
        assert principal is not None
        assert house.identity.stands(principal)
        await post(admin, "/v1/users/ada/commands", command="change", agents=["desk-2"])
        listed = (await ada.get("/v1/calls")).json()["calls"]
        assert [call["id"] for call in listed] == ["c2"]
        assert not house.identity.stands(principal)
        for told, kept in (({"language": "fr"}, "fr"), ({"browsers_language": True}, None)):
            changed = await post(admin, "/v1/users/ada/commands", command="change", **told)
            assert changed.json()["user"]["language"] == kept
        await post(admin, "/v1/users/ada/commands", command="change", roles=["auditor"])
        assert (await ada.get("/v1/calls")).status_code == 403

    assert house.noted[-1] == {
        "event": "role_denied", "by": "ada", "method": "GET", "route": "/v1/calls"
    }  # fmt: skip


async def test_a_session_ends_when_idle_or_old_and_a_stream_keeps_none_alive(house: ApiHouse) -> None:
    await hired(house, "ada", "agent")
    async with signed_in(house, "ada") as ada:
        for _ in range(int(SESSION_LIMIT_S / IDLE_LIMIT_S * 1.25) - 1):
            house.clock.seconds += IDLE_LIMIT_S * 0.8
            assert (await ada.get("/v1/me")).status_code == 200
        house.clock.seconds += IDLE_LIMIT_S * 0.8
        assert (await ada.get("/v1/me")).status_code == 401  # twelve hours

    async with signed_in(house, "ada") as ada:
        house.clock.seconds += IDLE_LIMIT_S * 0.8
        cookie = ada.cookies[COOKIE]
        assert house.identity.sessions.principal(cookie, active=False) is not None
        house.clock.seconds += IDLE_LIMIT_S * 0.3
        assert (await ada.get("/v1/me")).status_code == 401


LOOKS_OF_PAGES = [
    "/v1/nodes",
    "/v1/test-calls",
    "/v1/calls",
    "/v1/flows",
    "/v1/audit",
    "/v1/sessions",
    "/ui/agent/",
]


@pytest.mark.parametrize("path", LOOKS_OF_PAGES)
async def test_what_a_page_reads_by_itself_is_nobodys_use(house: ApiHouse, path: str) -> None:
    """PCI DSS 8.2.8: a page that looks every few seconds is as idle as whoever left it open."""
    async with house.browser() as page:
        for _ in range(3):
            house.clock.seconds += IDLE_LIMIT_S * 0.3
            assert (await page.get(path)).status_code < 500
        house.clock.seconds += IDLE_LIMIT_S * 0.2

        assert (await page.get("/v1/me")).status_code == 401


@pytest.mark.parametrize("use", ["presence", "change"])
async def test_a_key_or_a_click_and_a_change_are_use(house: ApiHouse, use: str) -> None:
    await hired(house, "ada", "agent")
    async with house.browser() as page:
        house.clock.seconds += IDLE_LIMIT_S * 0.8
        answer = await (
            page.get("/v1/me")
            if use == "presence"
            else post(page, "/v1/users/ada/commands", command="sign_out")
        )
        assert answer.status_code in (200, 202)
        house.clock.seconds += IDLE_LIMIT_S * 0.8

        assert (await page.get("/v1/me")).status_code == 200


async def test_sessions_outlive_a_restart_of_control_and_are_bounded(tmp_path: Path) -> None:
    before = ApiHouse(rows=IdentityRows(tmp_path / IDENTITY_FILE))
    await hired(before, "ada", "agent")
    cookies = []
    for _ in range(SESSIONS_OF_ONE_MAX + 1):
        before.clock.seconds += 1
        cookies.append(before.identity.sessions.open("ada", "local"))

    after = ApiHouse(rows=IdentityRows(tmp_path / IDENTITY_FILE))
    after.clock.seconds = before.clock.seconds

    assert after.identity.sessions.principal(cookies[-1]) is not None
    assert after.identity.sessions.principal(cookies[0]) is None
    assert after.identity.sessions.of("ada") == SESSIONS_OF_ONE_MAX


async def test_what_the_command_line_writes_is_taken_over_and_told(tmp_path: Path) -> None:
    path = tmp_path / IDENTITY_FILE
    house, other = ApiHouse(rows=IdentityRows(path)), ApiHouse(rows=IdentityRows(path))
    await hired(house, "ada", "agent")
    async with signed_in(house, "ada") as ada:
        other.identity.take_over()
        other.identity.users.disable("ada")
        other.rows.add_note("user_disabled", {"user": "ada", "by": "command-line"})
        house.identity.take_over()
        assert (await ada.get("/v1/me")).status_code == 401

    assert house.noted[-1] == {"event": "user_disabled", "user": "ada", "by": "command-line"}
    house.identity.take_over()
    assert events(house).count("user_disabled") == 1


async def test_the_last_administrator_stays(house: ApiHouse) -> None:
    await hired(house, "first", "admin")
    async with house.browser() as admin:
        for command in ({"command": "disable"}, {"command": "change", "roles": ["agent"]}):
            refused = await post(admin, "/v1/users/first/commands", **command)
            assert (refused.status_code, problem(refused)) == (409, "last-admin")
        await hired(house, "second", "admin")
        assert (await post(admin, "/v1/users/first/commands", command="disable")).status_code == 202


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "Ada", "roles": ["agent"]}, 422),
        ({"name": "a", "roles": ["agent"]}, 422),
        ({"name": "ada", "roles": []}, 422),
        ({"name": "ada", "roles": ["king"]}, 422),
        ({"name": "ada", "roles": ["agent"], "password": PASSWORD}, 422),
        ({"name": "taken", "roles": ["agent"]}, 409),
    ],
)
async def test_users_that_cannot_be_made(house: ApiHouse, body: dict[str, Any], status: int) -> None:
    house.identity.users.make("taken", ["agent"], None)
    async with house.browser() as admin:
        assert (await post(admin, "/v1/users", **body)).status_code == status


async def test_commands_to_nobody_are_not_found(house: ApiHouse) -> None:
    async with house.browser() as admin:
        for command in ("disable", "enable", "reset", "sign_out"):
            answer = await post(admin, "/v1/users/nobody/commands", command=command)
            assert (answer.status_code, problem(answer)) == (404, "user-not-found")


async def test_the_sign_in_page_is_told_what_there_is_to_sign_in_with(house: ApiHouse) -> None:
    async with house.client() as client:
        before = (await client.get("/v1/login")).json()
        await hired(house, "ada", "agent")
        after = (await client.get("/v1/login")).json()
        welcome = await client.get("/welcome")

    assert before == {"passwords": False, "oidc": None}
    assert after["passwords"] is True
    assert 'data-t="welcome.title"' in welcome.text


async def test_people_of_the_provider_are_listed_and_signed_out_at_once(house: ApiHouse) -> None:
    cookie = house.identity.sessions.open("oidc:eve", "oidc", ["agent"], ["desk-1"])
    async with house.browser() as admin, house.client() as eve:
        eve.cookies.set(COOKIE, cookie)
        assert (await eve.get("/v1/me")).json()["name"] == "oidc:eve"
        listed = (await admin.get("/v1/sessions")).json()["sessions"]
        ended = await post(admin, "/v1/sessions/commands", command="sign_out", name="oidc:eve")
        nobody = await post(admin, "/v1/sessions/commands", command="sign_out", name="oidc:eve")
        after = await eve.get("/v1/me")

    assert [(one["name"][:4], one["how"]) for one in listed] == [("link", "link"), ("oidc", "oidc")]
    assert cookie not in json.dumps(listed)
    assert (ended.json(), nobody.json()) == ({"ended": 1}, {"ended": 0})
    assert after.status_code == 401
    assert events(house) == ["signed_out"]
