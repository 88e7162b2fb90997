"""A real call, a real card keyed, a real browser: no run of the card's digits is in anything the browser knows.

The controls come first: in each place where a page could leak, the same search finds the number.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.interop.running_service import FLOW
from tests.web.digit_search import places_with_digits
from tests.web.other_site import PLACES, other_site
from tests.web.waiting import until
from tests.web.whole_site import request_keys

CARD = "5555555555554444"
"""A published test card whose runs of five digits stand in nothing else."""
MARK_MS = 1_500


@pytest.mark.parametrize("place", PLACES)
def test_control_a_page_that_leaks_is_found_out(visitor, place):
    with other_site(CARD) as address:
        visitor.page.goto(f"{address}/")
        before = places_with_digits(CARD, visitor.everything())
        visitor.page.evaluate(f"() => {{ const N = '{CARD}'; {PLACES[place]} }}")

        assert before == []
        assert until(visitor.page, lambda: places_with_digits(CARD, visitor.everything()))


@pytest.mark.xdist_group("whole")
def test_nothing_of_a_keyed_card_reaches_the_browser(whole_site, whole_visitor):
    page = whole_visitor.page
    with whole_site.call() as (caller, call_id):
        expect(page.locator(f"#calls li[data-call='{call_id}'], #calls li")).not_to_have_count(0)
        page.locator("#calls button").first.click()
        page.locator("#flow").select_option(FLOW)  # others ask for an amount first
        page.locator("#start-button:not([aria-disabled='true'])").click()
        whole_site.key_card(caller, call_id, CARD)
        outcome = whole_site.service.wait_for_outcome(call_id)
        expect(page.locator("#outcome")).to_be_visible()
        known = whole_visitor.everything()

    assert (outcome["result"], outcome["last4"]) == ("token", CARD[-4:])
    # The search would see something: the page does show what it may.
    assert CARD[-4:] in known["dom"]
    assert CARD[-4:] in known["events"]
    assert '\\"count\\":' in known["events"]
    assert whole_visitor.unread == []
    drawn = whole_site.random_names() | request_keys(whole_visitor.network)
    drawn |= {cookie["value"] for cookie in whole_visitor.context.cookies()}
    drawn |= {event["eventId"].rpartition("-")[0] for event in whole_visitor.events} - {""}
    assert places_with_digits(CARD, {**known, "said by the service": whole_site.said()}, drawn) == []


@pytest.mark.xdist_group("whole")
def test_nothing_of_a_keyed_card_reaches_a_supervisor_and_the_capture_is_in_the_report(
    whole_site, whole_visitor
):
    page = whole_visitor.page
    home = page.url
    page.goto(f"{home.partition('/ui/')[0]}/ui/supervisor/")
    with whole_site.call() as (caller, call_id):
        page.locator(f"#rows [data-call='{call_id}'] .row-opener").click()
        page.locator("#flow").select_option(FLOW)
        page.locator("#start-button:not([aria-disabled='true'])").click()
        whole_site.key_card(caller, call_id, CARD)
        whole_site.service.wait_for_outcome(call_id)
        expect(page.locator("#outcome")).to_be_visible()
        live = whole_visitor.everything()
    page.locator("#tab-reports").click()
    expect(page.locator("#chart-days")).to_be_visible()
    expect(page.locator("#report")).to_contain_text("Card number")
    known = whole_visitor.everything()
    page.goto(home)

    # The search would see something: the page does show what it may.
    assert CARD[-4:] in live["dom"]
    drawn = whole_site.random_names() | request_keys(whole_visitor.network)
    drawn |= {cookie["value"] for cookie in whole_visitor.context.cookies()}
    drawn |= {event["eventId"].rpartition("-")[0] for event in whole_visitor.events} - {""}
    assert places_with_digits(CARD, live, drawn) == []
    assert places_with_digits(CARD, known, drawn) == []
