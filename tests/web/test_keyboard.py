"""A whole payment without a mouse: every step reached by Tab, seen where it is, and done by the keyboard."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.web.layout import focused
from tests.web.scenes import MAIN, confirming, scene, talking
from tests.web.waiting import until

TABS_MAX = 40
CARD = "5555555555554444"
AMOUNT_MINOR = 4_251


def tab_to(page, selector, key="Tab"):
    """Press Tab until the focus is there; each stop on the way must be seen. Returns the stops' names."""
    stops = []
    for _ in range(TABS_MAX):
        page.keyboard.press(key)
        stop = focused(page)
        if stop is None:
            continue
        assert stop["outlined"] and stop["inside"] and not stop["covered"], stop
        stops.append(stop["name"])
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return stops
    raise AssertionError(f"Tab does not lead to {selector}: {stops}")


def all_stops(page):
    """Tab once around the page; the stops in order, with their place in the document."""
    page.evaluate("document.activeElement.blur()")
    stops = []
    for _ in range(TABS_MAX):
        page.keyboard.press("Tab")
        stop = focused(page)
        if stop is None:
            if stops:
                return stops
            continue
        stops.append(stop)
    return stops


@pytest.mark.parametrize("name", [name for name in MAIN if scene(name).connection == "live"])
def test_focus_goes_in_reading_order_and_is_always_seen(play, name):
    page = play(scene(name))
    controls = page.locator("button:visible, input:visible, select:visible, a:visible").count()

    stops = all_stops(page)

    assert len(stops) == controls
    assert [stop["after"] for stop in stops] == sorted(stop["after"] for stop in stops)
    assert [stop for stop in stops if not stop["outlined"] or stop["covered"] or not stop["inside"]] == []


def test_alt_and_a_digit_goes_to_a_fields_reset(play):
    page = play(scene("card-valid"))

    page.keyboard.press("Alt+2")

    assert page.evaluate(
        "document.activeElement === document.querySelectorAll('#fields li')[1].querySelector('button')"
    )


def test_focus_stays_where_it_is_while_events_come_in(site, play):
    page = play(scene("confirming"))
    tab_to(page, "#pay")

    site.show(talking(confirming(), state="held"))
    site.show(talking(confirming()))
    page.wait_for_timeout(200)  # longer than the events take to be drawn

    assert focused(page)["name"] == "pay"


def test_each_command_is_given_by_keyboard(site, play):
    page = play(scene("confirming"))
    for selector, key, asked in (
        ("#fields button", "Enter", ("request", "cap1", "pan")),
        ("#pause", "Space", ("pause", "cap1")),
        ("#pay", "Enter", ("pay", "cap1")),
        ("#cancel", "Space", None),
        ("#confirm-yes", "Enter", ("cancel", "cap1")),
    ):
        before = list(site.desk.asked)
        page.evaluate("document.activeElement.blur()")
        tab_to(page, selector)
        page.keyboard.press(key)
        if asked is not None:
            assert until(page, lambda before=before: site.desk.asked != before), selector
        assert site.desk.asked == before + [asked] * (asked is not None)


def test_command_that_cannot_be_given_stays_reachable_and_does_nothing(site, play):
    page = play(scene("sending"))

    tab_to(page, "#cancel")
    page.keyboard.press("Enter")
    page.wait_for_timeout(150)  # a request would be there by then

    assert page.locator("#cancel").get_attribute("aria-disabled") == "true"
    assert site.desk.asked == []


@pytest.mark.xdist_group("whole")
def test_whole_payment_of_a_real_call_by_keyboard_alone(whole_site, whole_visitor):
    page = whole_visitor.page
    with whole_site.call() as (caller, call_id):
        tab_to(page, "#calls button")
        page.keyboard.press("Enter")
        whole_site.service.start_capture(
            call_id, "card-payment-agent", reference="A-1", amount_minor=AMOUNT_MINOR, currency="GBP"
        )
        whole_site.key_card(caller, call_id, CARD)
        expect(page.locator("#pay")).to_be_visible(timeout=25_000)
        tab_to(page, "#pay")
        page.keyboard.press("Enter")
        outcome = whole_site.service.wait_for_outcome(call_id)
        expect(page.locator("#outcome")).to_be_visible()

    assert outcome["result"] == "approved"
    assert len(whole_site.booked(AMOUNT_MINOR)) == 1
