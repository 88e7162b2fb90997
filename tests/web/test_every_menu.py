"""What every page of a signed-in person has: a menu that signs out, and a word to the service that one is there."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from dtmf_shield.api.play import PlayPhones
from tests.web.people_site import PeopleSite, assert_sound

PAGES = ["agent", "supervisor", "engineer", "admin", "audit", "account", "play"]
NOBODY = "http://127.0.0.1:9"
"""The discard port: these play phones are away."""
A_WHILE_MS = 21_000


@pytest.fixture(scope="module")
def demo(own_network):
    site = PeopleSite(play=PlayPhones(NOBODY, "key"))
    yield site
    site.close()


@pytest.fixture
def signed_in(demo, visitor):
    """The browser of somebody who has every role, and whose clock the test turns."""

    def opened(name):
        visitor.context.clock.install()
        visitor.page.goto(demo.login_url())
        visitor.page.goto(f"{demo.url}/ui/{name}/")
        expect(visitor.page.locator("#menu-opener")).to_contain_text("link-")
        return visitor.page

    return opened


@pytest.mark.parametrize("name", PAGES)
def test_a_key_tells_of_presence_and_the_menu_signs_out(demo, signed_in, name):
    page = signed_in(name)
    page.clock.fast_forward(A_WHILE_MS)
    with page.expect_request("**/v1/me"):
        page.keyboard.press("Shift")

    page.locator("#menu-opener").press("Enter")
    page.locator("#leave").press("Enter")

    expect(page).to_have_url(f"{demo.url}/ui/")
    expect(page.locator("#signin, #page").first).to_be_visible()
    assert demo.run(demo.identity.sessions.all) == []


@pytest.mark.parametrize("name", ["agent", "supervisor"])
def test_a_page_is_made_anew_where_somebody_else_has_signed_in_meanwhile(demo, signed_in, visitor, name):
    page = signed_in(name)
    before = page.locator("#menu-opener").inner_text()

    visitor.context.new_page().goto(demo.login_url())
    page.evaluate("window.kept = 1")
    page.clock.fast_forward(A_WHILE_MS)
    page.keyboard.press("Shift")

    expect(page.locator("#menu-opener")).to_contain_text("link-")
    expect(page.locator("#menu-opener")).not_to_have_text(before)
    assert page.evaluate("window.kept") is None
    for session in demo.run(demo.identity.sessions.all):
        demo.run(demo.identity.sessions.close, session.digest)


def test_signing_out_in_the_frame_of_the_play_page_leaves_it_whole(demo, signed_in):
    page = signed_in("play")
    frame = page.frame_locator("#agent")
    frame.locator("#menu-opener").click()
    frame.locator("#leave").click()

    expect(page).to_have_url(f"{demo.url}/ui/")
    assert demo.run(demo.identity.sessions.all) == []


def test_a_sign_out_that_fails_is_said_in_the_menu(demo, signed_in, visitor):
    page = signed_in("supervisor")
    visitor.context.route("**/v1/logout", lambda route: route.abort())
    page.locator("#menu-opener").click()
    page.locator("#leave").click()

    expect(page.locator("#menu [role=alert]")).to_contain_text("still signed in")
    page.locator("#menu-language").select_option("de")
    expect(page.locator("#menu [role=alert]")).to_contain_text("noch angemeldet")
    assert_sound(page)


def test_the_play_page_says_when_the_session_has_ended(demo, signed_in, visitor):
    page = signed_in("play")
    expect(page.locator("#alert")).not_to_be_empty()  # the phones are away

    visitor.context.clear_cookies()
    demo.cut_streams()

    expect(page.locator("#alert")).to_contain_text("Your session has ended")
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    page.locator("#menu-opener").click()
    page.locator("#menu-language").select_option("fr")
    expect(page.locator("#alert")).not_to_contain_text("Your session")
    page.get_by_role("link", name="Se connecter").click()
    expect(page).to_have_url(f"{demo.url}/ui/")
