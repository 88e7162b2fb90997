"""The panel in pages of other origins: who may hold it, who may load what, and the session of its own."""

from __future__ import annotations

import httpx
import pytest
from api_desk import ApiHouse, a_call

from dtmf_shield.api.headers import CONTENT_SECURITY_POLICY
from dtmf_shield.api.identity.oidc import OidcRefusal, Person
from dtmf_shield.api.site import Site
from dtmf_shield.api.tickets import TICKET_LIFETIME_S

pytestmark = pytest.mark.anyio
CRM = "https://crm.test"
OURS = "http://127.0.0.1:8080"
PLAIN = Site(embed_origins=("http://127.0.0.1:9000",))
SECURE = Site("https://pay.test", frozenset({"pay.test"}), embed_origins=(CRM, "https://help.test:8443"))
BY_TLS = {"host": "pay.test", "origin": "https://pay.test", "sec-fetch-site": "same-origin"}
PATHS = ("/ui/", "/ui/agent/", "/ui/embed/login/", "/login", "/welcome", "/v1/me", "/nothing")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def ancestors(answer: httpx.Response) -> str:
    [found] = [
        part.strip() for part in answer.headers["content-security-policy"].split(";") if "frame-anc" in part
    ]
    return found


async def test_only_the_panel_may_be_held_and_only_by_those_named() -> None:
    house = ApiHouse(a_call(), site=SECURE)
    async with house.client(host="pay.test") as browser:
        panel = await browser.get("/ui/embed/")
        others = [await browser.get(path) for path in PATHS]

    assert ancestors(panel) == f"frame-ancestors 'self' {CRM} https://help.test:8443"
    assert {ancestors(answer) for answer in others} == {"frame-ancestors 'self'"}
    assert f'content="{CRM} https://help.test:8443"' in panel.text
    rest = panel.headers["content-security-policy"].replace(ancestors(panel), "frame-ancestors 'self'")
    assert rest == CONTENT_SECURITY_POLICY


async def test_without_the_setting_nothing_is_open_to_others() -> None:
    house = ApiHouse(a_call())
    async with house.client(origin=CRM) as browser:
        answers = [await browser.get(path) for path in ("/ui/embed/", "/ui/embed/capture_element.js", *PATHS)]

    assert {ancestors(answer) for answer in answers} == {"frame-ancestors 'self'"}
    for name, value in (
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("access-control-allow-origin", None),
    ):
        assert {answer.headers.get(name) for answer in answers} == {value}


async def test_other_pages_load_the_element_and_nothing_else() -> None:
    house = ApiHouse(a_call(), site=SECURE)
    found = {}
    async with house.client(host="pay.test") as browser:
        for name in ("embed/capture_element.js", "embed/app.js", "agent/app.js"):
            for origin in (CRM, "https://evil.test"):
                answer = await browser.get(f"/ui/{name}", headers={"origin": origin})
                found[name, origin] = (
                    answer.headers["cross-origin-resource-policy"],
                    answer.headers.get("access-control-allow-origin"),
                )

    assert found.pop(("embed/capture_element.js", CRM)) == ("cross-origin", CRM)
    assert found.pop(("embed/capture_element.js", "https://evil.test")) == ("cross-origin", None)
    assert set(found.values()) == {("same-origin", None)}


async def test_the_window_of_the_frame_may_answer_it_and_no_other_page_its_opener() -> None:
    house = ApiHouse(a_call(), site=SECURE)
    async with house.client(host="pay.test") as browser:
        policies = {path: await browser.get(path) for path in ("/ui/embed/login/", "/ui/agent/", "/ui/")}

    assert {path: one.headers["cross-origin-opener-policy"] for path, one in policies.items()} == {
        "/ui/embed/login/": "unsafe-none",
        "/ui/agent/": "same-origin",
        "/ui/": "same-origin",
    }


async def signed_in(house: ApiHouse, name: str = "ada", roles: tuple[str, ...] = ("agent", "admin")) -> str:
    secret = house.identity.users.make(name, list(roles), ["desk-1"])
    return await house.identity.set_password(secret, "seven green kites 4", "127.0.0.1")


async def ticket(house: ApiHouse, cookie: str, **headers: str) -> httpx.Response:
    sent = {**BY_TLS, "cookie": f"{house.site.cookie()}={cookie}", **headers}
    async with house.client(**sent) as browser:
        return await browser.post("/login/embed/ticket")


async def spend(house: ApiHouse, text: str, **headers: str) -> httpx.Response:
    async with house.client(**{**BY_TLS, **headers}) as browser:
        return await browser.post("/login/embed", json={"ticket": text})


async def embedded_me(house: ApiHouse, answer: httpx.Response) -> httpx.Response:
    pair = answer.headers["set-cookie"].partition(";")[0]
    async with house.client(host="pay.test", cookie=pair) as browser:
        return await browser.get("/v1/me")


async def test_a_ticket_opens_one_session_that_is_an_agents_and_nothing_more() -> None:
    house = ApiHouse(a_call(), site=SECURE)
    cookie = await signed_in(house)
    text = (await ticket(house, cookie)).json()["ticket"]

    opened, again = await spend(house, text), await spend(house, text)
    me = (await embedded_me(house, opened)).json()

    assert (opened.status_code, again.status_code) == (204, 401)
    assert (me["name"], me["roles"], me["agents"]) == ("ada", ["agent"], ["desk-1"])
    assert [note for note in house.noted if note.get("how") == "embed"] == [
        {"event": "login", "user": "ada", "how": "embed", "address": "127.0.0.1"}
    ]
    assert text not in repr(house.noted)


async def test_the_cookie_of_the_frame_is_partitioned_and_ours_stays_lax() -> None:
    house = ApiHouse(a_call(), site=SECURE)
    cookie = await signed_in(house)
    opened = await spend(house, (await ticket(house, cookie)).json()["ticket"])
    async with house.client(**BY_TLS) as browser:
        body = {"name": "ada", "password": "seven green kites 4"}
        usual = await browser.post("/v1/login", json=body)

    name, *attributes = opened.headers["set-cookie"].split("; ")
    assert name.startswith("__Host-dtmf_shield_embedded=")
    assert {one.lower() for one in attributes} == {
        "path=/", "secure", "httponly", "samesite=none", "partitioned"
    }  # fmt: skip
    assert "samesite=lax" in usual.headers["set-cookie"].lower()
    assert "partitioned" not in usual.headers["set-cookie"].lower()


async def test_without_tls_the_cookie_is_for_pages_of_the_same_site() -> None:
    house = ApiHouse(a_call(), site=PLAIN)
    cookie, ours = await signed_in(house), {"host": "127.0.0.1:8080", "origin": OURS}
    opened = await spend(house, (await ticket(house, cookie, **ours)).json()["ticket"], **ours)

    set_cookie = opened.headers["set-cookie"].lower()
    assert set_cookie.startswith("dtmf_shield_embedded=")
    assert "samesite=lax" in set_cookie
    assert "partitioned" not in set_cookie
    assert "secure" not in set_cookie


@pytest.mark.parametrize(("after_s", "status"), [(TICKET_LIFETIME_S - 1, 204), (TICKET_LIFETIME_S, 401)])
async def test_a_ticket_lasts_half_a_minute(after_s: float, status: int) -> None:
    house = ApiHouse(a_call(), site=SECURE)
    text = (await ticket(house, await signed_in(house))).json()["ticket"]
    house.clock.seconds += after_s

    assert (await spend(house, text)).status_code == status


async def test_a_ticket_is_asked_for_by_agents_from_our_own_page() -> None:
    house = ApiHouse(a_call(), site=SECURE)
    agent, auditor = await signed_in(house), await signed_in(house, "bob", ("auditor",))
    text = (await ticket(house, agent)).json()["ticket"]

    assert (await ticket(house, agent, origin=CRM, **{"sec-fetch-site": "cross-site"})).status_code == 403
    assert (await ticket(house, auditor)).status_code == 403
    assert (await ticket(house, "nobody")).status_code == 401
    assert (await spend(house, text, origin=CRM, **{"sec-fetch-site": "cross-site"})).status_code == 403
    assert (await spend(house, text)).status_code == 204  # the control: that ticket was good


async def test_a_ticket_for_events_opens_no_session_and_the_other_way_round() -> None:
    house = ApiHouse(a_call(), site=SECURE)
    cookie = await signed_in(house)
    for_frame = (await ticket(house, cookie)).json()["ticket"]
    async with house.client(
        **BY_TLS, cookie=f"{house.site.cookie()}={cookie}", **{"idempotency-key": "ticket-01"}
    ) as browser:
        for_events = (await browser.post("/v1/events/tickets", json={})).json()["ticket"]
        events = await browser.get(f"/v1/events?ticket={for_frame}")

    assert (events.status_code, (await spend(house, for_events)).status_code) == (401, 401)


async def test_the_session_of_the_frame_ends_with_the_person_and_no_later_than_theirs() -> None:
    house = ApiHouse(a_call(), site=SECURE)
    cookie = await signed_in(house, roles=("agent",))
    first = house.identity.sessions.principal(cookie)
    house.clock.seconds += 600
    opened = await spend(house, (await ticket(house, cookie)).json()["ticket"])
    embedded = house.identity.sessions.all()[-1]

    assert first is not None
    assert embedded.ends == first.ends_s
    assert (await embedded_me(house, opened)).status_code == 200
    house.identity.users.disable("ada")
    assert (await embedded_me(house, opened)).status_code == 401


class ProviderThatKnowsAda:
    """The provider, shortened to the two steps that the pages know."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def begin(self, _redirect_uri: str, _asker: str) -> tuple[str, str]:
        return "https://login.test/auth", "a-browser"

    async def finish(self, _state: str, _code: str, _issuer: str, browser: str) -> Person:
        self.asked.append(browser)
        return Person("oidc:ada", frozenset({"agent"}), None)


@pytest.mark.parametrize(("query", "back"), [("?from=embed", "/ui/embed/login/"), ("", "/ui/")])
async def test_the_way_by_the_provider_leads_back_into_the_window_it_began_in(query: str, back: str) -> None:
    house, provider = ApiHouse(a_call(), site=SECURE), ProviderThatKnowsAda()
    house.identity.oidc = provider  # type: ignore[assignment]  # a double
    async with house.client(host="pay.test") as browser:
        gone = await browser.get(f"/login/oidc{query}")
        way = gone.headers["set-cookie"].partition(";")[0]
        came = await browser.get("/login/oidc/callback?state=s&code=c", headers={"cookie": way})

    assert (gone.headers["location"], came.headers["location"]) == ("https://login.test/auth", back)
    assert provider.asked == ["a-browser"]
    assert {one.headers["cross-origin-opener-policy"] for one in (gone, came)} == {"unsafe-none"}


class ProviderThatSaysNo(ProviderThatKnowsAda):
    """``at``: the step at which it does."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self.at = at

    async def begin(self, redirect_uri: str, asker: str) -> tuple[str, str]:
        if self.at == "begin":
            raise OidcRefusal("provider", "provider_unreachable")
        return await super().begin(redirect_uri, asker)

    async def finish(self, _state: str, _code: str, _issuer: str, _browser: str) -> Person:
        raise OidcRefusal("no-role", "no_role")


@pytest.mark.parametrize(
    ("began", "page", "policy"), [("embed", "/ui/embed/login/", "unsafe-none"), ("", "/ui/", "same-origin")]
)
@pytest.mark.parametrize(("at", "slug"), [("begin", "provider"), ("finish", "no-role")])
async def test_a_way_by_the_provider_that_fails_is_told_where_it_began(
    began: str, page: str, policy: str, at: str, slug: str
) -> None:
    """Else the window were cut from the frame that waits for it, and no later success could reach that."""
    house = ApiHouse(a_call(), site=SECURE)
    house.identity.oidc = ProviderThatSaysNo(at)  # type: ignore[assignment]  # a double
    async with house.client(host="pay.test") as browser:
        answer = await browser.get(f"/login/oidc?lang=de&from={began}")
        if at == "finish":
            way = answer.headers["set-cookie"].partition(";")[0]
            answer = await browser.get("/login/oidc/callback?state=s&code=c", headers={"cookie": way})

    assert answer.headers["location"] == f"{page}?failed={slug}&lang=de"
    assert answer.headers["cross-origin-opener-policy"] == policy
