"""The event stream is cut and comes back: the agent is told meanwhile, and nothing is lost or told twice.

HTML Living Standard section 9.2: the browser comes back by itself, with the last event id that it understood.
"""

import pytest
from playwright.sync_api import expect

from dtmf_shield.api.events import EVENTS_MAX
from dtmf_shield.api.site import COOKIE
from dtmf_shield.api.views import ServiceView, ShieldState
from dtmf_shield.model.ids import CallId
from tests.web.scenes import keying, scene, talking

EVENTS = "/v1/events"
BACK_LIMIT_MS = 15_000


def numbers(visitor):
    """Numbers of the events that the browser understood, in order, without heartbeats."""
    ids = [event["eventId"] for event in visitor.events if event["eventName"] != "heartbeat"]
    return [int(one.rpartition("-")[2]) for one in ids]


def resumed_with(site):
    return [headers.get("last-event-id") for path, headers in site.requests if path == EVENTS]


def drawn(page, keys):
    """The caller's keys as drawn: one bullet each."""
    page.wait_for_function(
        "(keys) => (document.querySelector('#fields li').textContent.match(/•/g) ?? []).length === keys",
        arg=keys,
        timeout=BACK_LIMIT_MS,
    )


def test_stream_that_ends_is_resumed_and_nothing_is_lost_or_told_twice(site, visitor, play):
    page = play(scene("keying"))
    drawn(page, 6)
    last_seen = visitor.events[-1]["eventId"]

    site.cut_streams()
    for count in (7, 8, 9):
        site.show(talking(keying(count)))
    drawn(page, 9)

    assert resumed_with(site)[1:] == [last_seen]
    told = numbers(visitor)
    assert told == list(range(told[0], told[0] + len(told)))
    assert [event["eventName"] for event in visitor.events].count("resync") == 1


def test_agent_is_told_while_the_service_is_away_and_sees_what_happened_meanwhile(site, visitor, play):
    page = play(scene("keying"))
    drawn(page, 6)

    site.down()
    expect(page.locator("#alert")).not_to_be_empty()
    expect(page.locator("#badge")).not_to_have_attribute("data-state", "on")
    for count in (7, 8):
        site.show(talking(keying(count)))
    site.up()

    drawn(page, 8)
    expect(page.locator("#badge")).to_have_attribute("data-state", "on")
    expect(page.locator("#alert")).to_be_empty()
    told = numbers(visitor)
    assert told == list(range(told[0], told[0] + len(told)))


def test_reader_who_fell_behind_the_ring_gets_a_whole_snapshot(site, visitor, play):
    page = play(scene("keying"))
    drawn(page, 6)

    site.down()
    changes = [ServiceView(shield=shield, gateway="up") for shield in (ShieldState.FAULT, ShieldState.ON)]
    site.run(
        lambda: [site.desk.listener.service_changed(changes[turn % 2]) for turn in range(EVENTS_MAX + 2)]
    )
    site.show(talking(keying(7)))
    site.up()

    drawn(page, 7)
    assert [event["eventName"] for event in visitor.events].count("resync") == 2


def signed_in(site, visitor, name, agent):
    """Put the session of an agent of one desk into the browser."""
    cookie = site.run(site.identity.sessions.open, name, "oidc", ["agent"], [agent])
    visitor.context.add_cookies([{"name": COOKIE, "value": cookie, "url": site.url}])


def test_page_that_comes_back_with_the_session_of_somebody_else_shows_nothing_of_before(site, visitor):
    site.show(talking(agent="desk-1", caller_masked="••11"))
    site.show(talking(id=CallId("c2"), agent="desk-2", caller_masked="••22"))
    signed_in(site, visitor, "ada", "desk-1")
    page = visitor.page
    page.goto(f"{site.url}/ui/agent/")
    expect(page.locator("#calls li")).to_have_count(1)
    expect(page.locator("#calls li")).to_contain_text("••11")
    last_seen = visitor.events[-1]["eventId"]

    signed_in(site, visitor, "bob", "desk-2")
    site.cut_streams()

    expect(page.locator("#calls")).to_contain_text("••22", timeout=BACK_LIMIT_MS)
    expect(page.locator("#calls li")).to_have_count(1)
    expect(page.locator("body")).not_to_contain_text("••11")
    assert resumed_with(site)[-1] == last_seen


def test_page_asks_for_nothing_while_its_stream_is_quiet(site, visitor, play):
    """One stream carries everything: a browser has six connections per origin over all its tabs (HTTP/1.1)."""
    page = play(scene("keying"))
    drawn(page, 6)
    asked = len(site.requests)

    page.wait_for_timeout(1_200)  # a page that polls would ask once a second

    assert len(site.requests) == asked
    assert [path for path, _ in site.requests].count(EVENTS) == 1


@pytest.mark.parametrize("name", ["shield-fault", "connection-lost", "signed-out", "invalid-luhn"])
def test_what_matters_is_said_in_a_live_region(play, name):
    page = play(scene(name))

    expect(page.get_by_role("alert").filter(has_text=" ")).to_have_count(1)
    assert page.get_by_role("status").count() >= 1
