"""Signing in as a browser does it: the one-time link, the same link again, no session, and a page of another role."""

import pytest

from dtmf_shield.api.identity.one_time_login import COOKIE
from dtmf_shield.api.identity.principal import Principal, Role
from tests.web.accessibility import axe_findings
from tests.web.layout import cut_off, overflow_px
from tests.web.other_site import other_site
from tests.web.pictures import LOOKS, page_picture
from tests.web.scenes import scene


def went_to(visitor, url):
    return visitor.page.goto(url)


def test_one_time_link_opens_the_page_and_leaves_no_ticket_behind(site, visitor):
    link = site.login_url()

    answer = went_to(visitor, link)

    assert (answer.status, visitor.page.url) == (200, f"{site.url}/ui/agent/")
    ticket = link.rpartition("=")[2]
    assert ticket not in visitor.page.evaluate("document.documentElement.outerHTML + document.referrer")
    [cookie] = visitor.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    assert ticket not in cookie["value"]
    assert visitor.page.evaluate("document.cookie") == ""


def test_spent_link_opens_nothing_in_another_browser(site, visit):
    link = site.login_url()
    first, second = visit(), visit()
    went_to(first, link)

    answer = went_to(second, link)

    assert answer.status == 401
    assert second.context.cookies() == []
    assert second.page.locator("#calls").count() == 0


def test_no_session_no_page_and_no_events(site, visitor):
    assert went_to(visitor, f"{site.url}/ui/agent/").status == 401
    assert went_to(visitor, f"{site.url}/v1/events").status == 401
    assert went_to(visitor, f"{site.url}/v1/calls").status == 401


def test_session_is_not_valid_with_one_character_changed(site, visitor):
    went_to(visitor, site.login_url())
    [cookie] = visitor.context.cookies()
    other = "A" if cookie["value"][-2] != "A" else "B"
    forged = cookie["value"][:-2] + other + cookie["value"][-1]
    visitor.context.add_cookies([{"name": COOKIE, "value": forged, "url": site.url}])

    assert went_to(visitor, f"{site.url}/ui/agent/").status == 401


@pytest.fixture
def as_role(site, monkeypatch):
    """Make every session of the site one of that role; the server knows more ways to become somebody than this."""

    def become(role):
        somebody = Principal("somebody", roles=frozenset({role}), by_cookie=True, ends_s=float("inf"))
        monkeypatch.setattr(site.login, "session", lambda cookie: somebody)

    return become


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.ADMIN])
def test_page_of_another_role_is_refused(site, visitor, as_role, role):
    went_to(visitor, site.login_url())
    as_role(role)

    answer = went_to(visitor, f"{site.url}/ui/agent/")

    assert answer.status == 403
    assert visitor.page.locator("#calls").count() == 0


def test_agent_of_that_role_is_let_in(site, visitor, as_role):
    """The control of the test before: it is the role that decides."""
    went_to(visitor, site.login_url())
    as_role(Role.AGENT)

    assert went_to(visitor, f"{site.url}/ui/agent/").status == 200


def test_command_of_another_sites_page_is_refused(site, visitor, play):
    """A page of another origin (another port is another) has the cookie sent along, and is refused all the same."""
    play(scene("keying"))
    site.requests.clear()
    with other_site() as address:
        visitor.page.goto(address)
        visitor.page.evaluate(
            """(url) => fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include',
                 headers: { 'content-type': 'text/plain' }, body: '{"command":"cancel"}' }).catch(() => null)""",
            f"{site.url}/v1/captures/cap1/commands",
        )

    [headers] = [headers for path, headers in site.requests if path.endswith("/commands")]
    assert COOKIE in headers["cookie"]
    assert site.desk.asked == []


def test_page_of_another_site_cannot_read_what_calls_there_are(site, visitor, play):
    play(scene("keying"))
    with other_site() as address:
        visitor.page.goto(address)
        answer = visitor.page.evaluate(
            "(url) => fetch(url, { credentials: 'include' }).then(() => 'read', () => 'refused')",
            f"{site.url}/v1/calls",
        )

    assert answer == "refused"


@pytest.mark.parametrize("look", LOOKS)
def test_sign_in_page_is_accessible_and_fits(site, visit, look):
    options = {"viewport": {"width": 320, "height": 700}} if look == "narrow" else {}
    visitor = visit(color_scheme="dark" if look == "dark" else "light", **options)
    went_to(visitor, f"{site.url}/ui/")

    page_picture(visitor.page, "signin", look)
    assert axe_findings(visitor.page) == []
    assert overflow_px(visitor.page) <= visitor.page.viewport_size["width"]
    assert cut_off(visitor.page) == []
