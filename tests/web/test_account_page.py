"""One's own account as people use it: password, second factor by keyboard, sessions; the code step of the sign-in."""

from __future__ import annotations

import base64
import time

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from playwright.sync_api import expect

from dtmf_shield.api.identity.factors import RECOVERY_CODES, STEP_S
from dtmf_shield.api.identity.principal import Role
from dtmf_shield.api.identity.sessions import LOCAL, OIDC
from dtmf_shield.api.site import COOKIE
from tests.web.layout import cut_off, overflow_px
from tests.web.people_site import NARROW, OTHER_PASSWORD, PASSWORD, PeopleSite, assert_sound, look_of, tab_to
from tests.web.pictures import LOOKS, page_picture


@pytest.fixture(scope="module")
def people(own_network):
    site = PeopleSite()
    yield site
    site.close()


@pytest.fixture
def account(people, visit):
    """A browser on the account page with that cookie."""

    def opened(cookie, query="", **options):
        visitor = visit(**options)
        visitor.context.add_cookies([{"name": COOKIE, "value": cookie, "url": people.url}])
        visitor.page.goto(f"{people.url}/ui/account/{query}")
        expect(visitor.page.locator("#main")).to_be_visible()
        return visitor.page

    return opened


def code_of(text, steps=0):
    secret = base64.b32decode(text.replace(" ", ""))
    step = int(time.time()) // STEP_S + steps
    return TOTP(secret, 6, SHA1(), STEP_S).generate(step * STEP_S).decode()  # noqa: S303 - RFC 6238


def set_up(page):
    """Set a second factor up by keyboard alone; return secret and recovery codes."""
    tab_to(page, "factor-current")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#begun")).to_be_focused()
    secret = page.locator("#secret").inner_text()
    tab_to(page, "confirm-code")
    page.keyboard.type(code_of(secret))
    page.keyboard.press("Enter")
    expect(page.locator("#recovery")).to_be_focused()
    return secret, page.locator("#codes code").all_inner_texts()


def test_second_factor_is_set_up_by_keyboard_and_asked_for_at_the_sign_in(people, account, visitor):
    page = account(people.hire("ada", Role.SUPERVISOR))
    secret, codes = set_up(page)
    assert len(set(codes)) == RECOVERY_CODES
    page.locator("#recovery-done").click()
    assert codes[0] not in page.content()
    expect(page.locator("#factor-left")).to_have_text("10 recovery codes left")

    other = visitor.page
    other.goto(f"{people.url}/ui/?lang=de")
    other.locator("#name").fill("ada")
    other.locator("#password").fill(PASSWORD)
    other.keyboard.press("Enter")
    expect(other.locator("#code")).to_be_focused()
    assert visitor.context.cookies() == []
    other.keyboard.type("abcdef")
    other.keyboard.press("Enter")
    expect(other.get_by_role("alert")).to_contain_text("Der Code ist falsch")
    other.keyboard.type(code_of(secret, steps=1))
    other.keyboard.press("Enter")

    other.wait_for_url(f"{people.url}/ui/supervisor/?lang=de")


def test_recovery_code_opens_in_place_of_the_phone_once(people, account, visit):
    _, codes = set_up(account(people.hire("bea", Role.SUPERVISOR)))
    first, second = (typed_in(people, visit().page, "bea", codes[0].upper()) for _ in range(2))

    first.wait_for_url(f"{people.url}/ui/supervisor/")
    expect(second.get_by_role("alert")).to_contain_text("The code is wrong")


def typed_in(people, page, name, code):
    page.goto(f"{people.url}/ui/")
    page.locator("#name").fill(name)
    page.locator("#password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.locator("#code").fill(code)
    page.keyboard.press("Enter")
    return page


def test_password_is_changed_and_other_browsers_are_out(people, account):
    cookie = people.hire("cleo", Role.SUPERVISOR)
    other = account(people.run(people.identity.sessions.open, "cleo", LOCAL))
    page = account(cookie)
    expect(page.locator("#sessions li")).to_have_count(2)
    for field, text in (("current", OTHER_PASSWORD), ("password", OTHER_PASSWORD), ("again", OTHER_PASSWORD)):
        page.locator(f"#{field}").fill(text)
    page.locator("#change").click()
    expect(page.get_by_role("alert")).to_have_text("Your current password is wrong.")
    expect(page.locator("#current")).to_be_focused()

    page.locator("#current").fill(PASSWORD)
    page.keyboard.press("Enter")

    expect(page.locator("#status")).to_have_text("Your password is changed. Your other sessions have ended.")
    expect(page.locator("#sessions li")).to_have_count(1)
    other.reload()
    expect(other.locator("#password")).to_be_visible()
    expect(other.locator("#sessions")).to_have_count(0)


def test_a_session_elsewhere_is_ended(people, account):
    cookie = people.hire("dan", Role.AUDITOR)
    people.run(people.identity.sessions.open, "dan", LOCAL)
    page = account(cookie)

    page.locator("#sessions li button").click()

    expect(page.locator("#status")).to_have_text("1 session has ended.")
    expect(page.locator("#sessions li")).to_have_count(1)


def test_who_has_no_page_of_a_role_is_led_to_the_account_and_the_provider_keeps_its_passwords(
    people, visitor
):
    cookie = people.run(people.identity.sessions.open, "oidc:eve", OIDC, ())
    visitor.context.add_cookies([{"name": COOKIE, "value": cookie, "url": people.url}])
    visitor.page.goto(f"{people.url}/ui/")

    visitor.page.wait_for_url(f"{people.url}/ui/account/")
    expect(visitor.page.locator("#main")).to_be_visible()
    expect(visitor.page.locator("#password-form")).to_be_hidden()
    expect(visitor.page.locator("#factor")).to_be_hidden()


def test_where_it_is_required_nothing_is_open_before(people, account, visitor):
    people.run(setattr, people.identity, "factor_required", True)
    try:
        cookie = people.hire("finn", Role.SUPERVISOR)
        visitor.context.add_cookies([{"name": COOKIE, "value": cookie, "url": people.url}])
        visitor.page.goto(f"{people.url}/ui/")
        visitor.page.wait_for_url(f"{people.url}/ui/account/")
        page = visitor.page
        expect(page.locator("#needed")).to_be_visible()
        assert page.evaluate("fetch('/v1/calls').then((answer) => answer.status)") == 403
        set_up(page)
        expect(page.locator("#needed")).to_be_hidden()
        assert page.evaluate("fetch('/v1/calls').then((answer) => answer.status)") == 200
    finally:
        people.run(setattr, people.identity, "factor_required", False)


def test_who_signs_in_in_an_embedded_panels_window_and_may_not_go_on_is_told_what_to_do(people, visit):
    people.hire("greta", Role.AGENT)
    supervisor = people.hire("hugo", Role.SUPERVISOR)
    people.run(setattr, people.identity, "factor_required", True)
    try:
        page = visit(viewport={"width": 320, "height": 640}).page
        page.goto(f"{people.url}/ui/embed/login/?lang=de")
        page.locator("#name").fill("greta")
        page.locator("#password").fill(PASSWORD)
        page.locator("#submit").click()
        expect(page.locator("#alert")).to_contain_text(
            "drücken Sie dort, woher Sie kamen, noch einmal „Anmelden“"
        )
        expect(page.locator("#account-link")).to_be_focused()
        expect(page.locator("#form")).to_be_hidden()
        assert_sound(page)
        page.reload()
        page.set_viewport_size({"width": 1280, "height": 900})
        page.locator("#account-link").click()
        expect(page.locator("#needed")).to_be_visible()
        set_up(page)
        page.goto(f"{people.url}/ui/embed/login/")
        expect(page.get_by_role("heading")).to_have_text("You are signed in")
    finally:
        people.run(setattr, people.identity, "factor_required", False)
    other = visit()
    other.context.add_cookies([{"name": COOKIE, "value": supervisor, "url": people.url}])
    other.page.goto(f"{people.url}/ui/embed/login/")
    expect(other.page.locator("#alert")).to_have_text(
        "You are signed in, but not as an agent. Ask your administrator."
    )
    expect(other.page.locator("#form")).to_be_visible()


@pytest.mark.parametrize("look", LOOKS)
def test_account_and_code_step_are_accessible_and_fit(people, account, visit, look):
    name = f"gil-{look}"
    page = account(people.hire(name, Role.AGENT, Role.SUPERVISOR), **look_of(look))
    page_picture(page, "account", look)
    assert_sound(page)
    page.locator("#factor-current").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#begun")).to_be_focused()
    page_picture(page, "account-begun", look)
    assert_sound(page)
    page.locator("#confirm-code").fill(code_of(page.locator("#secret").inner_text()))
    page.keyboard.press("Enter")
    expect(page.locator("#recovery")).to_be_focused()
    page_picture(page, "account-codes", look)
    assert_sound(page)

    step = visit(**look_of(look)).page
    step.goto(f"{people.url}/ui/")
    step.locator("#name").fill(name)
    step.locator("#password").fill(PASSWORD)
    step.keyboard.press("Enter")
    expect(step.locator("#code")).to_be_focused()
    page_picture(step, "signin-code", look)
    assert_sound(step)


@pytest.mark.parametrize("language", ["de", "fr", "es"])
def test_longer_words_fit_a_narrow_window(people, account, language):
    page = account(people.hire(f"hal-{language}", Role.AGENT), f"?lang={language}", **NARROW)

    assert (overflow_px(page), cut_off(page)) == (320, [])
