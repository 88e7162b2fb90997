"""Own account, second factors, and what ends with a sign-in, over HTTP with a clock set by hand."""

from __future__ import annotations

import base64
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_desk import OURS, PASSWORD, ApiHouse, house_of_ada
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from dtmf_shield.api.identity.factors import STEP_S
from dtmf_shield.api.identity.login_guard import ATTEMPTS_MAX, LOCK_S
from dtmf_shield.api.identity.oidc import Person
from dtmf_shield.api.identity.sessions import IDLE_LIMIT_S
from dtmf_shield.api.limits import PROVIDER_RATE
from dtmf_shield.api.site import COOKIE, EMBED_COOKIE
from dtmf_shield.store.identity_rows import IDENTITY_FILE, IdentityRows

pytestmark = pytest.mark.anyio
OTHER = "nine brown otters 2"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def house() -> ApiHouse:
    return await house_of_ada()


async def post(client: httpx.AsyncClient, path: str, **body: Any) -> httpx.Response:
    return await client.post(path, json=body, headers=OURS)


async def sign_in(house: ApiHouse, code: str = "", password: str = PASSWORD) -> httpx.Response:
    async with house.client() as client:
        return await post(client, "/v1/login", name="ada", password=password, code=code)


def browser(house: ApiHouse) -> httpx.AsyncClient:
    client = house.client()
    client.cookies.set(COOKIE, house.identity.sessions.open("ada", "local"))
    return client


def problem(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).rpartition(":")[2]


def code_at(house: ApiHouse, secret: str, steps: int = 0) -> str:
    totp = TOTP(base64.b32decode(secret), 6, SHA1(), STEP_S)  # noqa: S303 - RFC 6238
    return totp.generate((int(house.clock.seconds) // STEP_S + steps) * STEP_S).decode()


async def set_up(house: ApiHouse) -> tuple[str, list[str]]:
    async with browser(house) as client:
        begun = (await post(client, "/v1/account/second-factor", current=PASSWORD)).json()
        code = code_at(house, begun["secret"])
        done = await post(client, "/v1/account/second-factor/confirm", code=code)
    house.clock.seconds += 2 * STEP_S
    return begun["secret"], done.json()["recovery_codes"]


async def test_a_code_is_asked_for_and_good_once_within_a_step(house: ApiHouse) -> None:
    secret, _ = await set_up(house)
    without, wrong = await sign_in(house), await sign_in(house, "000000")
    answers = [
        (await sign_in(house, code_at(house, secret, steps))).status_code
        for steps in (-2, -1, -1, 0, 1, 1, 2)
    ]

    assert [(one.status_code, problem(one)) for one in (without, wrong)] == [
        (401, "code-needed"),
        (401, "code-refused"),
    ]
    assert "set-cookie" not in without.headers
    assert answers == [401, 204, 401, 204, 204, 401, 401]


async def test_wrong_codes_lock_and_a_right_password_alone_forgets_none_of_them(house: ApiHouse) -> None:
    secret, _ = await set_up(house)
    counted = 0
    while counted < ATTEMPTS_MAX:
        assert problem(await sign_in(house)) == "code-needed"
        assert problem(await sign_in(house, "000000")) == "code-refused"
        counted += 1
        house.clock.seconds += 300
    house.clock.seconds -= 300
    locked = await sign_in(house, code_at(house, secret))

    assert (locked.status_code, problem(locked)) == (429, "too-many-attempts")
    house.clock.seconds += LOCK_S
    assert (await sign_in(house, code_at(house, secret))).status_code == 204
    failed = [row for row in house.noted if row["event"] == "login_failed"]
    assert {row["reason"] for row in failed} == {"code"}
    assert [row["locked"] for row in failed] == [0] * (ATTEMPTS_MAX - 1) + [1]


async def test_each_recovery_code_opens_once_and_is_told(house: ApiHouse) -> None:
    _, codes = await set_up(house)
    answers = [
        await sign_in(house, code) for code in (codes[0], codes[0], codes[1].upper().replace("-", " "))
    ]

    assert [answer.status_code for answer in answers] == [204, 401, 204]
    assert [row["left"] for row in house.noted if row["event"] == "recovery_code_used"] == [9, 8]


async def test_no_secret_of_a_factor_is_in_the_file_or_told(tmp_path: Path) -> None:
    house = ApiHouse(rows=IdentityRows(tmp_path / IDENTITY_FILE))
    link = house.identity.users.make("ada", ["agent"], None)
    await house.identity.set_password(link, PASSWORD, "127.0.0.1")
    secret, codes = await set_up(house)
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())

    assert house.identity.factors.of("ada") is not None
    for text in (
        secret.encode(),
        base64.b32decode(secret),
        codes[0].encode(),
        codes[0].replace("-", "").encode(),
    ):
        assert text not in kept
        assert text.decode("latin-1") not in repr(house.noted)
    assert b"ada" in kept  # the same search finds what is there


async def test_a_link_that_sets_a_password_takes_no_codes_place(house: ApiHouse) -> None:
    await set_up(house)
    secret = house.identity.users.reset("ada")
    async with house.client() as client:
        answer = await post(client, "/v1/password", link=secret, password=OTHER)

    assert (answer.status_code, "set-cookie" in answer.headers) == (204, False)
    assert problem(await sign_in(house, password=OTHER)) == "code-needed"


async def test_an_administrator_resets_a_lost_one(house: ApiHouse) -> None:
    await set_up(house)
    async with house.browser() as admin:
        path, keyed = "/v1/users/ada/commands", {**OURS, "idempotency-key": "key-00000001"}
        done = await admin.post(path, json={"command": "reset_second_factor"}, headers=keyed)
        again = await admin.post(
            path,
            json={"command": "reset_second_factor"},
            headers={**keyed, "idempotency-key": "key-00000002"},
        )

    assert (done.status_code, again.status_code, problem(again)) == (202, 409, "factor-off")
    assert done.json()["user"]["second_factor"] is False
    assert house.identity.sessions.of("ada") == 0
    assert (await sign_in(house)).status_code == 204
    assert "second_factor_reset" in [row["event"] for row in house.noted]


async def test_another_password_ends_other_sign_ins_and_a_wrong_one_counts(house: ApiHouse) -> None:
    async with browser(house) as client, browser(house) as other:
        wrong = await post(client, "/v1/account/password", current=OTHER, password=OTHER)
        same = await post(client, "/v1/account/password", current=PASSWORD, password=PASSWORD)
        weak = await post(client, "/v1/account/password", current=PASSWORD, password="short 1")
        done = await post(client, "/v1/account/password", current=PASSWORD, password=OTHER)
        after = [(await one.get("/v1/me")).status_code for one in (client, other)]

    assert [problem(one) for one in (wrong, same, weak)] == [
        "login-refused",
        "password-same",
        "password-weak",
    ]
    assert (done.status_code, after) == (204, [200, 401])
    assert (await sign_in(house)).status_code == 401
    assert (await sign_in(house, password=OTHER)).status_code == 204
    assert [row["event"] for row in house.noted][:3] == ["login_failed", "password_changed", "signed_out"]
    assert house.noted[0]["reason"] == "asked_again"


async def test_required_means_no_role_before(house: ApiHouse) -> None:
    house.identity.factor_required = True
    async with browser(house) as client:
        before = (await client.get("/v1/me")).json()
        denied, home = await client.get("/v1/calls"), await client.get("/ui/?lang=de")
        await set_up(house)
    async with browser(house) as client:
        after = (await client.get("/v1/me")).json()
        off = await post(client, "/v1/account/second-factor/remove", current=PASSWORD, code="000000")

    assert (before["roles"], before["pages"], before["second_factor_needed"]) == ([], ["account"], True)
    assert (denied.status_code, home.headers["location"]) == (403, "/ui/account/?lang=de")
    assert (after["roles"], after["second_factor_needed"]) == (["agent"], False)
    assert problem(off) == "code-refused"


async def panel_of(house: ApiHouse, client: httpx.AsyncClient) -> httpx.AsyncClient:
    ticket = (await client.post("/login/embed/ticket", headers=OURS)).json()["ticket"]
    async with house.client() as window:
        opened = await window.post("/login/embed", json={"ticket": ticket}, headers=OURS)
    assert opened.status_code == 204
    frame = house.client()
    frame.cookies.set(EMBED_COOKIE, opened.cookies[EMBED_COOKIE])
    return frame


async def test_signing_out_ends_the_panel_and_its_stream_and_no_other_browser(house: ApiHouse) -> None:
    async with browser(house) as client, browser(house) as other, await panel_of(house, client) as frame:
        cookie = frame.cookies[EMBED_COOKIE]
        panel = house.identity.sessions.principal(cookie)
        assert panel is not None and panel.panel
        stream = house.ring.stream(None, panel, lambda: house.identity.stands(panel))
        await anext(stream)
        await anext(stream)
        assert (await frame.get("/v1/account")).status_code == 403  # the panel is no page of one's account
        assert (await post(client, "/v1/logout")).status_code == 204
        rest = [frame_of async for frame_of in stream]
        after = [(await one.get("/v1/me")).status_code for one in (frame, other)]

    assert rest == []
    assert after == [401, 200]


@pytest.mark.parametrize(("name", "status"), [("ada", 200), ("bob", 401)])
async def test_a_panel_outlives_its_idle_page_and_passes_to_the_same_person_alone(
    house: ApiHouse, name: str, status: int
) -> None:
    link = house.identity.users.make("bob", ["agent"], None)
    await house.identity.set_password(link, PASSWORD, "127.0.0.1")
    async with browser(house) as client, await panel_of(house, client) as frame:
        house.clock.seconds += IDLE_LIMIT_S - 1
        assert (await frame.get("/v1/me")).status_code == 200
        house.clock.seconds += 2
        assert (await client.get("/v1/me")).status_code == 401
        assert (await post(client, "/v1/login", name=name, password=PASSWORD)).status_code == 204
        assert (await frame.get("/v1/me")).status_code == status
        await post(client, "/v1/logout")
        assert (await frame.get("/v1/me")).status_code == 401


async def test_one_of_ones_own_sessions_is_ended_and_nobody_elses(house: ApiHouse) -> None:
    stranger = house.identity.sessions.open("oidc:eve", "oidc", ["agent"])
    async with browser(house) as client, browser(house) as other, house.client() as eve:
        eve.cookies.set(COOKIE, stranger)
        [eves] = (await eve.get("/v1/account")).json()["sessions"]
        listed = (await client.get("/v1/account")).json()["sessions"]
        [one] = [one for one in listed if not one["this"]]
        foreign = await post(client, "/v1/account/sessions/commands", command="end", session=eves["id"])
        done = await post(client, "/v1/account/sessions/commands", command="end", session=one["id"])
        after = [(await each.get("/v1/me")).status_code for each in (client, other, eve)]

    assert foreign.status_code == 404
    assert (done.json(), after) == ({"ended": 1}, [200, 401, 200])
    assert one["since"].endswith("Z") and "." not in one["since"]


class Provider:
    """The provider's two steps."""

    async def begin(self, _redirect_uri: str, _asker: str) -> tuple[str, str]:
        return "https://login.test/auth", "a-browser"

    async def finish(self, _state: str, _code: str, _issuer: str, browser: str) -> Person:
        assert browser == "a-browser"
        return Person("oidc:eve", frozenset({"agent"}), ())


async def test_the_language_goes_the_whole_way_by_the_provider(house: ApiHouse) -> None:
    house.identity.oidc = Provider()  # type: ignore[assignment]  # a double
    found = {}
    async with house.client() as client:
        for asked in ("de", "evil%0d%0a"):
            gone = await client.get(f"/login/oidc?lang={asked}")
            way = gone.headers["set-cookie"].partition(";")[0]
            came = await client.get("/login/oidc/callback?state=s&code=c", headers={"cookie": way})
            found[asked] = came.headers["location"]

    assert found == {"de": "/ui/?lang=de", "evil%0d%0a": "/ui/"}


async def test_the_way_to_the_provider_is_limited_by_address(house: ApiHouse) -> None:
    house.identity.oidc = Provider()  # type: ignore[assignment]  # a double
    async with house.client() as client:
        answers = [(await client.get("/login/oidc")).status_code for _ in range(PROVIDER_RATE.burst + 1)]
        house.clock.seconds += 1
        later = (await client.get("/login/oidc")).status_code

    assert answers == [303] * PROVIDER_RATE.burst + [429]
    assert later == 303


def test_a_file_of_the_version_before_is_brought_up(tmp_path: Path) -> None:
    path = tmp_path / IDENTITY_FILE
    rows = IdentityRows(path)
    rows.close()
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE factors")
        database.execute("ALTER TABLE sessions DROP COLUMN parent")
        database.execute("INSERT INTO sessions VALUES (x'01', 'ada', 'local', '[]', NULL, 1, 2, 3)")
        database.execute("PRAGMA user_version=1")
    database.close()

    rows = IdentityRows(path)
    [session] = rows.sessions()

    assert (session.name, session.parent, rows.factors()) == ("ada", b"", [])
