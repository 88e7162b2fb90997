"""From one call to the next on the agent page: which one opens, whose form is typed into; two presses are one wish."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from dtmf_shield.api.views import CallState, FlowView, InputView
from dtmf_shield.model.capture import CaptureResult, CaptureState
from tests.web.accessibility import axe_findings
from tests.web.layout import cut_off, overflow_px
from tests.web.pictures import page_picture
from tests.web.scenes import Scene, confirming, ended, scene, talking

CHARGE = FlowView(
    id="card-charge",
    title="Card payment",
    inputs=(
        InputView(name="customer", type="text", required=True, length=32, pattern="[A-Z]{3}"),
        InputView(name="amount", type="money", required=True, min="0.50", max="500.00", length=12),
    ),
)
SECOND = talking(id="c2", caller_masked="••22")
LATE_MS = 300


@pytest.fixture
def late(visitor):
    """Hold every POST back a little, as a slow line does."""

    def held(route):
        visitor.page.wait_for_timeout(LATE_MS)
        route.continue_()

    visitor.page.route(lambda url: "/v1/ca" in url, held)


def test_the_next_call_opens_once_the_one_with_the_result_is_over_and_both_are_listed(site, play):
    page = play(Scene("paid", (ended(CaptureResult.APPROVED),)))
    site.show(SECOND)
    expect(page.locator("#calls li")).to_have_count(2)
    expect(page.locator("#outcome")).to_be_visible()

    site.show(ended(CaptureResult.APPROVED, state=CallState.ENDED))
    expect(page.locator("#desk-title")).to_have_text("Caller ••22")
    expect(page.locator("#start-button")).to_be_visible()
    expect(page.locator("#status")).to_contain_text("Now on this page: Caller ••22, Talking")
    expect(page.locator("#calls li").last).to_contain_text("Payment approved")


def test_what_was_typed_for_one_caller_is_not_in_the_next_ones_form(play):
    page = play(Scene("two", (talking(), SECOND), flows=(CHARGE,)))
    page.get_by_label("Amount").fill("42.50")
    page.get_by_label("Customer").fill("ABC")
    page.get_by_label("Your reference").fill("R-1")

    page.locator("#calls button[aria-current=false]").click()
    for label in ("Amount", "Customer", "Your reference"):
        expect(page.get_by_label(label)).to_have_value("")


def test_two_presses_are_one_wish_and_nothing_is_refused(site, play, late):
    page = play(scene("confirming"))
    with page.expect_response("**/pay") as taken:
        page.evaluate("document.getElementById('pay').click(); document.getElementById('pay').click()")
        expect(page.locator("#pay")).to_have_attribute("aria-disabled", "true")
        expect(page.locator("#actions-note")).to_have_text("The payment is on its way.")
    assert taken.value.ok
    page.locator("#pay").click(force=True)
    expect(page.locator("#status")).to_have_text("The payment is on its way.")

    site.show(talking(confirming().model_copy(update={"can_pay": False, "state": CaptureState.PAYING})))
    expect(page.locator("#pay")).to_have_attribute("aria-disabled", "true")
    expect(page.locator("#told")).to_be_hidden()
    assert [one for one in site.desk.asked if one[0] == "pay"] == [("pay", "cap1")]


def test_two_presses_start_one_capture(site, play, late):
    page = play(scene("talking"))
    page.evaluate(
        "document.getElementById('start-button').click(); document.getElementById('start-button').click()"
    )
    expect(page.locator("#start-note")).to_have_text("Being started.")
    expect(page.locator("#fields li")).to_have_count(3)

    expect(page.locator("#told")).to_be_hidden()
    assert len([path for path, _ in site.requests if path.endswith("/captures")]) == 1


def test_a_value_that_the_flow_does_not_take_is_marked_in_the_pages_language(site, play):
    """By the page itself, and where the service finds what the page cannot."""
    page = play(Scene("rules", (talking(),), flows=(CHARGE,)))
    page.goto(f"{site.url}/ui/agent/?lang=de")
    amount, customer = page.locator("#input-amount"), page.locator("#input-customer")
    customer.fill("UNFIT")
    amount.fill("900")
    page.locator("#start-button").click()

    expect(amount).to_be_focused()
    expect(amount).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#input-amount-note")).to_have_text(
        "Betrag: nicht angenommen. Ein Betrag wie 12,50, mindestens 0,50, höchstens 500,00."
    )
    assert [path for path, _ in site.requests if path.endswith("/captures")] == []

    amount.fill("42,50")
    page.locator("#start-button").click()
    expect(customer).to_be_focused()
    expect(page.locator("#input-customer-note")).to_have_text(
        "Customer: nicht angenommen. Nie eine Kartennummer, in der Form [A-Z]{3}."
    )
    expect(amount).to_have_attribute("aria-invalid", "false")


def test_a_session_that_nobody_uses_is_warned_before_its_end_and_kept_by_a_press(site, visitor):
    """Found in both looks, by keyboard, and gone with the first key."""
    page = visitor.page
    page.clock.install()
    site.show(talking())
    page.goto(site.login_url())
    expect(page.locator("#badge")).to_have_attribute("data-state", "on")
    page.clock.fast_forward(12 * 60_000)
    expect(page.locator("#idle")).to_be_hidden()
    page.clock.fast_forward(90_000)
    expect(page.get_by_role("alert").filter(has_text="signed out in a minute")).to_be_visible()
    expect(page.locator("#badge")).to_have_attribute("data-state", "on")

    page.set_viewport_size({"width": 320, "height": 700})
    found = []
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme=theme)
        found += axe_findings(page)
        page_picture(page, "agent-idle", f"narrow-{theme}")
    assert found == []
    assert (overflow_px(page) <= 320, cut_off(page)) == (True, [])

    site.requests.clear()
    page.locator("#idle-stay").press("Enter")
    expect(page.locator("#idle")).to_be_hidden()
    assert "/v1/me" in [path for path, _ in site.requests]


def test_the_focus_goes_to_the_call_where_what_had_it_is_gone(site, play):
    page = play(scene("keying"))
    page.locator("#pause").focus()
    site.show(talking(id="c2"))
    expect(page.locator("#calls li")).to_have_count(2)
    site.show(ended(CaptureResult.CANCELLED))
    expect(page.locator("#outcome")).to_be_focused()


@pytest.mark.parametrize("control", ["#cancel", "#pause", "#fields button"])
def test_what_is_blocked_while_the_card_is_sent_says_why(play, control):
    page = play(scene("sending"))
    page.locator(control).first.press("Enter")
    expect(page.locator("#status")).to_have_text("Nothing can be changed until the result is here.")
