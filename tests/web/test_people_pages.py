"""Sign-in, welcome and administration as people use them: by keyboard, in their language, in light, dark and narrow."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from dtmf_shield.api.identity.principal import Role
from dtmf_shield.api.identity.sessions import OIDC
from dtmf_shield.api.site import COOKIE
from tests.web.layout import cut_off, overflow_px
from tests.web.people_site import NARROW, OTHER_PASSWORD, PASSWORD, PeopleSite, assert_sound, look_of, tab_to
from tests.web.pictures import LOOKS, page_picture

LANGUAGES = {"de": "Deutsch", "fr": "Français", "es": "Español"}
REFUSED = {
    "en": "Name or password is wrong.",
    "de": "Name oder Passwort ist falsch.",
    "fr": "Nom ou mot de passe incorrect.",
    "es": "El nombre o la contraseña no son correctos.",
}


@pytest.fixture(scope="module")
def people(own_network):
    site = PeopleSite()
    yield site
    site.close()


@pytest.fixture
def administrator(people, visit):
    """A browser on the administration page; what is given goes to the browser's context."""

    def opened(query="", **options):
        visitor = visit(**options)
        cookie = people.run(people.identity.sessions.open, "chief", OIDC, (Role.ADMIN,))
        visitor.context.add_cookies([{"name": COOKIE, "value": cookie, "url": people.url}])
        visitor.page.goto(f"{people.url}/ui/admin/{query}")
        expect(visitor.page.locator("#main")).to_be_visible()
        return visitor.page

    return opened


def test_name_and_password_by_keyboard_alone(people, visitor):
    people.hire("kay", Role.SUPERVISOR)
    page = visitor.page
    page.goto(f"{people.url}/ui/")
    expect(page.locator("#name")).to_be_focused()

    page.keyboard.type("kay")
    tab_to(page, "password")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")

    page.wait_for_url(f"{people.url}/ui/supervisor/")
    assert PASSWORD not in page.evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }])")


@pytest.mark.parametrize("language", REFUSED)
def test_wrong_password_is_said_in_words(people, visitor, language):
    name = f"wren-{language}"
    people.hire(name, Role.AGENT)
    page = visitor.page
    page.goto(f"{people.url}/ui/?lang={language}")
    page.locator("#name").fill(name)
    page.locator("#password").fill(OTHER_PASSWORD)
    expect(page.locator("#alert")).to_be_empty()

    page.keyboard.press("Enter")

    expect(page.get_by_role("alert")).to_have_text(REFUSED[language])
    expect(page.locator("#password")).to_be_focused()
    expect(page.locator("#password")).to_have_value("")
    assert visitor.context.cookies() == []


def test_what_was_refused_is_said_anew_in_the_language_chosen(people, visitor):
    people.hire("lin", Role.AGENT)
    page = visitor.page
    page.goto(f"{people.url}/ui/")
    page.locator("#name").fill("lin")
    page.locator("#password").fill(OTHER_PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#alert")).to_have_text(REFUSED["en"])

    page.locator("#language").select_option("es")

    expect(page.locator("#alert")).to_have_text(REFUSED["es"])
    page.goto(f"{people.url}/welcome")
    expect(page.locator("h1")).to_have_text("Elija su contraseña")
    expect(page.locator("html")).to_have_attribute("lang", "es")


def test_browsers_language_is_spoken_where_none_is_chosen(people, visit):
    people.hire("fay", Role.AGENT)
    page = visit(locale="fr-CA").page
    page.goto(f"{people.url}/ui/")

    expect(page.locator("#title")).to_have_text("Connexion")


def test_look_chosen_at_sign_in_is_kept(people, administrator):
    page = administrator()
    page.goto(f"{people.url}/welcome")
    page.locator("#look").select_option("dark")
    expect(page.locator("html")).to_have_attribute("data-look", "dark")

    page.goto(f"{people.url}/ui/admin/")

    expect(page.locator("html")).to_have_attribute("data-look", "dark")


def test_new_user_gets_a_link_once_sets_a_password_and_lands_on_their_page(people, administrator, visit):
    page = administrator()
    page.locator("#user-name").fill("nora")
    page.locator("#user-roles input[value=engineer]").check()
    page.locator("#new-user button").click()
    expect(page.locator("#secret")).to_be_focused()
    link = page.locator("#secret-text").inner_text()
    assert link.startswith(f"{people.url}/welcome#")
    expect(page.locator("#users li", has_text="nora")).to_contain_text("Has no password yet")
    page.reload()
    expect(page.locator("#users li", has_text="nora")).to_be_visible()
    assert link.rpartition("#")[2] not in page.content()

    nora = visit().page
    nora.goto(link)
    expect(nora.locator("#password")).to_be_focused()
    assert nora.url == f"{people.url}/welcome"
    nora.keyboard.type("too short 1")
    nora.keyboard.press("Tab")
    nora.keyboard.type("too short 2")
    nora.keyboard.press("Enter")
    expect(nora.get_by_role("alert")).to_have_text("The two are not the same.")
    for field in ("#password", "#again"):
        nora.locator(field).fill("too short 1")
    nora.keyboard.press("Enter")
    expect(nora.get_by_role("alert")).to_contain_text("At least 12 characters")
    for field in ("#password", "#again"):
        nora.locator(field).fill(PASSWORD)
    nora.keyboard.press("Enter")
    nora.wait_for_url(f"{people.url}/ui/engineer/")

    second = visit().page
    second.goto(link)
    for field in ("#password", "#again"):
        second.locator(field).fill(OTHER_PASSWORD)
    second.keyboard.press("Enter")
    expect(second.get_by_role("alert")).to_contain_text("This link was used")


def test_welcome_without_a_link_says_so(people, visitor):
    visitor.page.goto(f"{people.url}/welcome")

    expect(visitor.page.get_by_role("alert")).to_contain_text("This link is not whole")


def test_what_takes_something_away_is_asked_once_more(people, administrator):
    people.hire("olaf", Role.AGENT)
    page = administrator()
    row = page.locator("#users li", has_text="olaf")

    row.get_by_role("button", name="Disable: olaf").click()
    expect(row.get_by_role("button", name="Really disable?: olaf")).to_be_visible()
    assert people.run(people.identity.users.active, "olaf") is not None
    row.get_by_role("button", name="Really disable?: olaf").click()

    expect(row).to_contain_text("Disabled")
    assert people.run(people.identity.users.active, "olaf") is None


def test_key_of_a_program_is_shown_once(people, administrator):
    page = administrator()
    page.locator("#key-name").fill("crm")
    page.locator("#new-key button").click()
    expect(page.get_by_role("alert")).to_have_text("Choose a role at least.")
    page.locator("#key-roles input[value=agent]").check()
    page.locator("#new-key button").click()
    expect(page.get_by_role("alert")).to_contain_text("choose every call")
    expect(page.locator("#key-agents")).to_be_focused()
    page.keyboard.type("desk-1")
    page.keyboard.press("Enter")
    expect(page.locator("#secret-title")).to_have_text("Key of crm")
    secret = page.locator("#secret-text").inner_text()

    page.locator("#secret-done").click()

    expect(page.locator("#secret")).to_be_hidden()
    assert people.run(people.identity.keys.principal, secret).agents == {"desk-1"}
    assert secret not in page.content()


def test_menu_leads_to_the_pages_of_the_person_and_out(people, administrator):
    people.hire("gus", Role.AGENT)
    page = administrator()
    page.locator("#menu-opener").click()
    expect(page.locator("#menu-opener")).to_contain_text("chief")
    page.locator("#menu-language").select_option("de")
    expect(page.locator("#users-title")).to_have_text("Benutzer")

    page.locator("#leave").click()

    page.wait_for_url(f"{people.url}/ui/")
    expect(page.locator("#title")).to_have_text("Anmelden")


def test_who_has_every_role_finds_administration_in_the_menu(people, visitor):
    page = visitor.page
    page.goto(people.login_url())
    page.locator("#menu-opener").click()
    expect(page.locator("#menu .pages a")).to_have_count(6)

    paths = [
        urlsplit(link.evaluate("(one) => one.href")).path for link in page.locator("#menu .pages a").all()
    ]
    page.locator("#menu .pages a", has_text="Administration").click()

    assert paths == [
        "/ui/agent/",
        "/ui/supervisor/",
        "/ui/engineer/",
        "/ui/admin/",
        "/ui/audit/",
        "/ui/account/",
    ]
    expect(page.locator("#menu .pages a[aria-current=page]")).to_have_attribute("href", "/ui/admin/")


def test_german_where_the_address_asks_for_it(people, administrator, visitor):
    people.hire("dora", Role.AGENT)
    page = visitor.page
    page.goto(f"{people.url}/ui/?lang=de")
    expect(page.locator("#title")).to_have_text("Anmelden")
    expect(page).to_have_title("Anmelden · dtmf-shield")
    page.goto(f"{people.url}/welcome?lang=de#secret")
    expect(page.locator("h1")).to_have_text("Passwort festlegen")
    expect(page.get_by_label("Neues Passwort")).to_be_focused()
    admin = administrator("?lang=de")
    expect(admin.locator("#users-title")).to_have_text("Benutzer")
    expect(admin.locator("#user-roles")).to_contain_text("Agent: eigene Anrufe")
    expect(admin.locator("html")).to_have_attribute("lang", "de")


@pytest.mark.parametrize("look", LOOKS)
def test_sign_in_with_a_refusal_is_accessible_and_fits(people, visit, look):
    people.hire(f"sam-{look}", Role.AGENT)
    page = visit(**look_of(look)).page
    page.goto(f"{people.url}/ui/")
    page.locator("#name").fill(f"sam-{look}")
    page.locator("#password").fill(OTHER_PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#alert")).not_to_be_empty()

    page_picture(page, "signin-refused", look)
    assert_sound(page)


@pytest.mark.parametrize("look", LOOKS)
def test_welcome_is_accessible_and_fits(people, visit, look):
    page = visit(**look_of(look)).page
    page.goto(f"{people.url}/welcome#secret")
    expect(page.locator("#password")).to_be_focused()

    page_picture(page, "welcome", look)
    assert_sound(page)


@pytest.mark.parametrize("look", LOOKS)
def test_administration_is_accessible_and_fits(people, administrator, look):
    people.hire(f"a-long-name-of-somebody.at.work@{look}", Role.AGENT, Role.ENGINEER)
    page = administrator(**look_of(look))
    page.locator("#user-name").fill(f"pat-{look}")
    page.locator("#user-roles input[value=agent]").check()
    page.locator("#user-agents").fill("desk-1, desk-2")
    page.locator("#new-user button").click()
    expect(page.locator("#secret")).to_be_focused()

    page_picture(page, "admin", look)
    assert_sound(page)


OWN_PAGES = ["/ui/agent/", "/ui/account/"]


@pytest.fixture
def agent(people, visit):
    """A browser of somebody who has the agent's page alone."""

    def opened(path, **options):
        visitor = visit(**options)
        cookie = people.run(people.identity.sessions.open, "kim", OIDC, (Role.AGENT,))
        visitor.context.add_cookies([{"name": COOKIE, "value": cookie, "url": people.url}])
        answer = visitor.page.goto(people.url + path)
        expect(visitor.page.locator("#page")).to_be_visible()
        return answer.status, visitor.page

    return opened


def test_who_asks_for_a_page_of_another_role_is_told_so_and_led_to_their_own(agent):
    status, page = agent("/ui/admin/")

    assert status == 403
    expect(page.locator("#title")).to_have_text("This page is not yours")
    expect(page.locator("#note")).to_contain_text("kim")
    assert [link.get_attribute("href") for link in page.locator("#pages a").all()] == OWN_PAGES
    tab_to(page, "leave")
    page.keyboard.press("Enter")
    # Where nobody has a password yet, the way in is the link.
    expect(page.locator("#title")).to_have_text(re.compile("Sign in|Open the one-time link"))


def test_an_address_that_is_no_page_leads_back(agent, visit, people):
    status, page = agent("/ui/nothing/")
    stranger = visit().page

    assert (status, stranger.goto(f"{people.url}/ui/nothing/").status) == (404, 404)
    for one, addresses in ((page, OWN_PAGES), (stranger, ["/ui/"])):
        expect(one.locator("#title")).to_have_text("There is no such page")
        assert [link.get_attribute("href") for link in one.locator("#pages a").all()] == addresses


@pytest.mark.parametrize("look", LOOKS)
def test_the_way_back_is_accessible_and_fits(agent, look):
    _, page = agent("/ui/admin/", **look_of(look))

    page_picture(page, "elsewhere", look)
    assert_sound(page)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_way_back_fits_in_other_languages(agent, language):
    _, page = agent(f"/ui/admin/?lang={language}", **NARROW)

    page_picture(page, f"elsewhere-{language}", "narrow")
    assert (overflow_px(page), cut_off(page)) == (320, [])


@pytest.mark.parametrize("language", LANGUAGES)
def test_longer_words_of_other_languages_fit_a_narrow_window(people, administrator, visit, language):
    stranger = visit(**NARROW).page
    for path in (f"/ui/?lang={language}", f"/welcome?lang={language}"):
        stranger.goto(people.url + path)
        expect(stranger.locator("#language")).to_have_value(language)
        assert (overflow_px(stranger), cut_off(stranger)) == (320, [])
    page = administrator(f"?lang={language}", **NARROW)
    expect(page.locator("#menu-language")).to_have_value(language)

    page_picture(page, f"admin-{language}", "narrow")
    assert (overflow_px(page), cut_off(page)) == (320, [])
