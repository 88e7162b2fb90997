"""What an administrator gives and takes: roles, calls, language, sign-ins; asked twice where it is their own."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from dtmf_shield.api.identity.principal import Role
from dtmf_shield.api.identity.sessions import LOCAL, OIDC
from dtmf_shield.api.site import COOKIE
from tests.web.layout import overflow_px
from tests.web.people_site import NARROW, PeopleSite, assert_sound, look_of, tab_to
from tests.web.pictures import LOOKS, page_picture

CHIEF = "chief"


@pytest.fixture(scope="module")
def people(own_network):
    site = PeopleSite()
    site.hire(CHIEF, Role.ADMIN)
    yield site
    site.close()


@pytest.fixture
def chief(people, visit):
    """The page of an administrator who is a local user: one of the list."""

    def opened(query="", **options):
        visitor = visit(**options)
        cookie = people.run(people.identity.sessions.open, CHIEF, LOCAL)
        visitor.context.add_cookies([{"name": COOKIE, "value": cookie, "url": people.url}])
        visitor.page.goto(f"{people.url}/ui/admin/{query}")
        expect(visitor.page.locator("#main")).to_be_visible()
        return visitor.page

    return opened


def row_of(page, name, of="users"):
    return page.locator(f'#{of} li[data-name="{name}"]')


def test_roles_calls_and_language_are_changed_by_keyboard(people, chief):
    people.hire("ann", Role.AUDITOR)
    page = chief()
    row = row_of(page, "ann")
    row.get_by_role("button", name="Change rights: ann").press("Enter")
    expect(row.locator("input[value=agent]")).to_be_focused()
    page.keyboard.press("Space")
    row.get_by_role("button", name="Save: ann").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("choose every call")
    expect(page.locator("#change-agents")).to_be_focused()

    page.keyboard.type("desk-1, desk-2")
    page.locator("#change-language").select_option("fr")
    tab_to(page, "Save: ann")
    page.keyboard.press("Enter")

    expect(row).to_contain_text("calls of desk-1, desk-2")
    expect(row.get_by_role("button", name="Change rights: ann")).to_be_focused()
    ann = people.run(people.identity.users.find, "ann")
    assert (ann.roles, ann.agents, ann.language) == (("agent", "auditor"), ("desk-1", "desk-2"), "fr")

    page.keyboard.press("Enter")
    expect(page.locator("#change-agents")).to_have_value("desk-1, desk-2")
    row.get_by_label("Every call", exact=True).check()
    page.locator("#change-language").select_option("")
    row.get_by_role("button", name="Save: ann").click()

    expect(row).to_contain_text("every call")
    ann = people.run(people.identity.users.find, "ann")
    assert (ann.agents, ann.language) == (None, "")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(row.locator("form")).to_have_count(0)


def test_the_last_administrator_stays_and_another_gives_it_up_when_asked_twice(people, chief):
    page = chief()
    row = row_of(page, CHIEF)
    expect(row).to_contain_text("You")
    row.get_by_role("button", name="Change rights").click()
    row.locator("input[value=admin]").uncheck()
    row.locator("input[value=auditor]").check()
    row.get_by_role("button", name="Save").click()
    row.get_by_role("button", name="You give up administration. Really?").click()
    expect(page.get_by_role("alert")).to_contain_text("This is the last administrator")

    people.hire("second", Role.ADMIN)
    row.get_by_role("button", name="You give up administration. Really?").click()

    page.wait_for_url(lambda url: not url.endswith("/ui/admin/"))
    assert people.run(people.identity.users.find, CHIEF).roles == ("auditor",)
    people.run(lambda: people.identity.users.change(CHIEF, roles=["admin"]))


def test_who_came_by_the_provider_is_signed_out_and_oneself_when_asked_twice(people, chief):
    for _ in range(2):
        people.run(people.identity.sessions.open, "oidc:eve", OIDC, (Role.AGENT,))
    page = chief()
    eve = row_of(page, "oidc:eve", "sessions")
    expect(eve).to_contain_text("by the provider")
    expect(eve).to_contain_text("2 browsers")

    eve.get_by_role("button", name="Sign out: oidc:eve").click()

    expect(eve).to_have_count(0)
    expect(page.locator("#status")).to_have_text("2 sessions have ended.")
    assert people.run(people.identity.sessions.of, "oidc:eve") == 0
    own = row_of(page, CHIEF, "sessions")
    own.get_by_role("button", name="Sign out").click()
    own.get_by_role("button", name="That is you. Really?").click()
    expect(page.locator("#name")).to_be_visible()
    assert people.run(people.identity.sessions.of, CHIEF) == 0


@pytest.mark.parametrize("look", LOOKS)
def test_the_form_of_a_change_is_accessible_and_fits(people, chief, look):
    if people.run(people.identity.users.find, "a-long-name.of-somebody@work") is None:
        people.hire("a-long-name.of-somebody@work", Role.AGENT, Role.ENGINEER)
    page = chief(**look_of(look))
    row_of(page, "a-long-name.of-somebody@work").get_by_role("button", name="Change rights").click()
    expect(page.locator("#change-agents")).to_be_visible()

    page_picture(page, "admin-change", look)
    assert_sound(page)


@pytest.mark.parametrize("language", ["de", "fr", "es"])
def test_an_open_form_speaks_the_language_that_is_chosen_and_fits(chief, language):
    page = chief(**NARROW)
    row = row_of(page, CHIEF)
    row.locator("button").first.click()
    page.locator("#menu-opener").click()
    page.locator("#menu-language").select_option(language)

    expect(row.get_by_role("button", name="Save")).to_have_count(0)
    expect(row.locator("form")).to_be_visible()
    assert overflow_px(page) == 320
