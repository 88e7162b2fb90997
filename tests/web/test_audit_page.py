"""The page of the audit log: rows under their days, filters in the address, and what the chain says, in every state."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from dtmf_shield.api.identity.principal import Role
from dtmf_shield.api.identity.sessions import OIDC
from dtmf_shield.api.ports.audit import EVERY_ROW
from dtmf_shield.api.resources.audit import PAGE_ROWS
from dtmf_shield.api.site import COOKIE
from dtmf_shield.audit.chain import AuditLog
from dtmf_shield.service.control.audit_reader import AuditFile
from tests.web.people_site import NARROW, TEST_DAY_S, PeopleSite, assert_sound, look_of, tab_to
from tests.web.pictures import page_picture

DAY_S = 86_400.0
EVENING_S = TEST_DAY_S + 0.99 * DAY_S
ROWS = 60
"""Of calls, before the others: two pages with them."""


class StageLog:
    """Reads the file that a test puts there."""

    def __init__(self, path):
        self.path = path

    def page(self, *, before, rows, wanted=EVERY_ROW):
        return AuditFile(self.path).page(before=before, rows=rows, wanted=wanted)


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """Paths of a log with rows, one that somebody changed, one without rows, and none."""
    folder = tmp_path_factory.mktemp("audit")
    whole = folder / "whole.jsonl"
    log = AuditLog(whole)
    log.append("control_started", TEST_DAY_S, restored=0)
    for number in range(ROWS):
        log.append("call_answered", TEST_DAY_S + 60.0 * number, call=f"c{number}", agent="desk-1")
    log.append("login", EVENING_S, user="ada", how="local", address="192.0.2.7")
    log.append(
        "capture_started", EVENING_S + DAY_S, capture="cap7", call="c7", flow="card-payment", version="9af3"
    )
    log.append("payment", EVENING_S + DAY_S + 40, operation="op7", kind="charge", state="approved", capture="cap7",
               amount_minor=1_050, currency="EUR", gateway="embedded", test=1)  # fmt: skip
    log.append("role_denied", EVENING_S + DAY_S + 50, by="ada", method="GET", route="/v1/users")
    log.append("thing_of_another_version", EVENING_S + DAY_S + 60, by="key:crm", far=4_242_424_242_424_242)
    log.close()
    broken = folder / "broken.jsonl"
    broken.write_bytes(whole.read_bytes().replace(b'"by": "ada"', b'"by": "bob"'))
    (folder / "empty.jsonl").touch()
    return {
        "rows": whole,
        "broken": broken,
        "empty": folder / "empty.jsonl",
        "refused": folder / "none.jsonl",
    }


@pytest.fixture(scope="module")
def site(own_network, logs):
    stage = StageLog(logs["rows"])
    site = PeopleSite(audit=stage)
    site.stage = stage
    yield site
    site.close()


@pytest.fixture
def auditor(site, logs, visit):
    def opened(state="rows", query="", **options):
        site.stage.path = logs[state]
        visitor = visit(**options)
        cookie = site.run(site.identity.sessions.open, "oidc:eve", OIDC, (Role.AUDITOR,))
        visitor.context.add_cookies([{"name": COOKIE, "value": cookie, "url": site.url}])
        visitor.page.goto(f"{site.url}/ui/{query}")
        visitor.page.wait_for_url("**/ui/audit/**")
        if query:
            visitor.page.goto(f"{site.url}/ui/audit/{query}")
        expect(visitor.page.locator("#alert:not(:empty), #log:not([hidden])").first).to_be_visible()
        return visitor.page

    return opened


def rows(page):
    return page.locator("#days .rows > li")


def test_an_auditor_lands_on_the_log_and_reads_it_to_its_beginning(auditor):
    page = auditor()

    expect(page.locator("#chain-title")).to_have_text("The chain is whole in all rows read here")
    expect(rows(page)).to_have_count(PAGE_ROWS)
    expect(rows(page).first).to_contain_text("thing of another version")
    expect(rows(page).first).to_contain_text("••••")
    expect(rows(page).nth(1)).to_contain_text("Refused: not of their role")
    expect(rows(page).nth(2)).to_contain_text("€10.50")
    expect(rows(page).nth(2).locator(".test")).to_have_text("TEST")
    expect(rows(page).nth(2)).to_contain_text("23:46:16")
    expect(page.locator("#status")).to_have_text(f"{PAGE_ROWS} rows.")
    page.locator("#older").press("Enter")
    expect(rows(page)).to_have_count(ROWS + 6)
    expect(rows(page).nth(PAGE_ROWS)).to_be_focused()
    expect(rows(page).last).to_contain_text("The service began")
    expect(page.locator("#older")).to_be_hidden()
    expect(page.locator("#days h3")).to_have_count(2)
    assert re.search(r"[0-9]{12}", page.locator("body").inner_text()) is None


def test_rows_are_found_by_event_person_call_and_day_and_the_address_says_which(auditor):
    page = auditor()
    tab_to(page, "event")
    page.locator("#event").select_option("call_answered")
    page.locator("#call").fill("c7")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(1)
    assert page.url.endswith("/ui/audit/?event=call_answered&call=c7")

    page.get_by_role("button", name="Show everything").click()
    expect(rows(page)).to_have_count(PAGE_ROWS)
    rows(page).get_by_role("link", name="ada").first.click()
    expect(rows(page)).to_have_count(2)
    expect(page.locator("#person")).to_have_value("ada")
    page.locator("#day").fill("2026-03-29")
    page.locator("#day").press("Enter")
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("Signed in")
    page.go_back()
    expect(rows(page)).to_have_count(2)
    page.locator("#person").fill("nobody")
    page.keyboard.press("Enter")
    expect(page.locator("#none")).to_contain_text("No such row")


def test_a_card_number_is_not_looked_for(auditor, site):
    page = auditor()
    site.requests.clear()
    page.locator("#person").fill("4242 4242 4242 4242")
    page.keyboard.press("Enter")

    expect(page.get_by_role("alert").first).to_contain_text("looks like a card number")
    expect(page.locator("#person")).to_have_value("")
    assert [path for path, _ in site.requests if path == "/v1/audit"] == []
    assert "4242" not in page.url


def test_a_session_that_has_ended_is_said_with_the_way_back(auditor, site):
    page = auditor()
    site.run(site.identity.sessions.close_all_of, "oidc:eve")
    page.locator("#older").click()

    expect(page.locator("#alert")).to_contain_text("Your session has ended")
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()


STATES = {
    "rows": "Refused: not of their role",
    "broken": "The chain is BROKEN",
    "empty": "Nothing has been written yet",
    "refused": "The audit log cannot be read just now",
}


@pytest.mark.parametrize(
    ("state", "look"),
    [(state, look) for state in STATES for look in ("light", "dark")]
    + [("rows", "narrow"), ("broken", "narrow")],
)
def test_each_state_is_accessible_and_fits(auditor, state, look):
    page = auditor(state, **look_of(look))
    expect(page.locator("body")).to_contain_text(STATES[state])

    page_picture(page, f"audit-{state}", look)
    assert_sound(page)


@pytest.mark.parametrize("language", ["de", "fr", "es"])
def test_the_page_speaks_the_language_and_fits(auditor, language):
    page = auditor("rows", f"?lang={language}", **NARROW)
    expect(page.locator("#menu-language")).to_have_value(language)
    expect(rows(page)).to_have_count(PAGE_ROWS)

    page_picture(page, f"audit-{language}", "narrow")
    assert_sound(page)
