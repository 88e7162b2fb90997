"""Flows that a reload offers come to pages that are open: half-typed words stay, and no other flow starts by itself."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from dtmf_shield.api.views import FlowView, InputView
from tests.web.accessibility import axe_findings
from tests.web.layout import cut_off, overflow_px
from tests.web.pictures import page_picture
from tests.web.scenes import Scene, talking

CARD = FlowView(id="card-payment", title="Card payment")
NARROW, WIDE = (320, 700), (1280, 900)
GONE = "no longer offered"


def asking(**rules):
    """A flow that asks for a customer, in letters as ``rules`` say."""
    customer = InputView(name="customer", type="text", required=True, **{"length": 32, **rules})
    return FlowView(id="card-asking", title="Payment of a customer", inputs=(customer,))


@pytest.fixture
def typing(site, play):
    """The agent's page with two flows, the second chosen, its input half typed and the cursor within it."""
    page = play(Scene("reloaded", (talking(),), flows=(CARD, asking())))
    page.locator("#flow").select_option("card-asking")
    page.locator("#reference").fill("A-7")
    page.locator("#input-customer").fill("ABCDEF")
    page.locator("#input-customer").press("ArrowLeft")
    page.locator("#input-customer").press("ArrowLeft")
    return page


def half_typed(page):
    return page.evaluate(
        "() => (({ id, value, selectionStart }) => [id, value, selectionStart])(document.activeElement)"
    )


def options(page):
    return page.locator("#flow option")


def test_new_flow_is_offered_at_once_and_what_is_half_typed_stays(site, typing):
    before = half_typed(typing)
    site.offer(CARD, asking(), FlowView(id="new", title="A new one"))
    expect(options(typing)).to_have_text(["Card payment", "Payment of a customer", "A new one"])
    assert before == half_typed(typing) == ["input-customer", "ABCDEF", 4]
    expect(typing.locator("#flow")).to_have_value("card-asking")

    site.offer(CARD, asking(length=12))  # its rule has changed: the field is another one
    expect(typing.locator("#input-customer")).to_have_attribute("maxlength", "12")
    assert half_typed(typing) == before

    typing.keyboard.press("Enter")
    expect(typing.locator("#fields li")).to_have_count(0)  # the desk in memory knows no such flow
    expect(typing.locator("#start-note")).not_to_be_empty()
    expect(typing.locator("#reference")).to_have_value("A-7")


def test_flow_that_is_gone_starts_no_other_one_until_the_agent_chooses(site, typing):
    site.offer(CARD)
    expect(typing.locator("#start-note")).to_contain_text(GONE)
    expect(typing.locator("#status")).to_contain_text(GONE)
    expect(typing.locator("#flow")).to_be_visible()
    assert half_typed(typing)[:2] == ["input-customer", "ABCDEF"]

    typing.keyboard.press("Enter")
    expect(typing.locator("#flow")).to_be_focused()
    assert site.desk.asked == []
    assert looks_right(typing, "agent-flow-gone") == []

    typing.locator("#flow").select_option("card-payment")
    expect(typing.locator("#start-note")).to_be_empty()
    expect(typing.locator("#flow")).to_be_focused()  # one is no choice, but a place to go on from
    typing.locator("#start-button").press("Enter")
    expect(typing.locator("#fields li")).to_have_count(3)
    assert site.desk.asked == [("start", "c1", "card-payment", "A-7")]


def looks_right(page, name):
    """What is wrong with the page as it is: axe in both themes, and a telephone's width."""
    defects = []
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        defects += [f"{theme}: {finding}" for finding in axe_findings(page)]
        page_picture(page, name, theme)
    page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    defects += [f"{overflow_px(page)} px wide"] * (overflow_px(page) > NARROW[0])
    defects += [f"cut off: {text}" for text in cut_off(page)]
    page_picture(page, name, "narrow")
    page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
    return defects


def test_supervisor_is_offered_the_new_flow_and_told_of_one_that_is_gone(site, visitor):
    site.offer(CARD, asking())
    site.show(talking())
    page = visitor.page
    page.goto(site.login_url())
    page.goto(f"{site.url}/ui/supervisor/")
    page.locator("#rows .row-opener").click()
    page.locator("#flow").select_option("card-asking")
    page.locator("#input-customer").fill("ABC")

    site.offer(CARD, asking(), FlowView(id="new", title="A new one"))
    expect(options(page)).to_have_count(3)
    assert half_typed(page)[:2] == ["input-customer", "ABC"]
    site.offer(CARD)

    expect(page.locator("#start-note")).to_contain_text(GONE)
    expect(page.locator("#status")).to_contain_text(GONE)
    page.keyboard.press("Enter")
    expect(page.locator("#flow")).to_be_focused()
    assert site.desk.asked == []
    assert looks_right(page, "supervisor-flow-gone") == []
