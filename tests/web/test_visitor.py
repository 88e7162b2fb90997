"""The browser and the site of the other tests: nothing outside loopback is reached, each test has both as new."""

from __future__ import annotations

import pytest
from playwright.sync_api import Error

from dtmf_shield.api.views import ServiceView, ShieldState
from tests.web.browser import Visitor
from tests.web.other_site import other_site
from tests.web.scenes import talking


@pytest.mark.parametrize("host", ["192.0.2.1", "example.org"])  # RFC 5737, RFC 2606: nobody's
def test_what_lies_outside_loopback_is_not_reached_and_told(browser, host):
    visitor = Visitor(browser, kept=False)

    with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
        visitor.page.goto(f"http://{host}/")
    with pytest.raises(AssertionError, match="outside loopback"):
        visitor.close()

    assert visitor.strayed == [f"http://{host}/"]


def test_the_onlooker_is_as_new_for_each_test(site, onlooker):
    onlooker.page.goto(f"{site.url}/ui/")
    onlooker.page.evaluate("localStorage.kept = sessionStorage.kept = 'kept'")
    onlooker.context.add_cookies([{"name": "kept", "value": "1", "url": site.url}])
    onlooker.page.emulate_media(color_scheme="dark", forced_colors="active")
    onlooker.page.set_viewport_size({"width": 320, "height": 700})
    onlooker.context.new_page()

    onlooker.forget()
    onlooker.page.goto(f"{site.url}/ui/")

    stored = onlooker.page.evaluate("[localStorage.length, sessionStorage.length, innerWidth]")
    dark = onlooker.page.evaluate(
        "matchMedia('(prefers-color-scheme: dark), (forced-colors: active)').matches"
    )
    assert (stored, dark, len(onlooker.context.pages)) == ([0, 0, 1280], False, 1)
    assert onlooker.context.cookies() == []


def test_the_onlooker_is_as_new_where_its_site_is_gone(site, onlooker):
    with other_site("") as gone:
        onlooker.page.goto(gone)

    for _ in range(2):
        onlooker.forget()
        onlooker.page.goto(f"{site.url}/ui/")

    assert onlooker.page.url.startswith(site.url)
    assert len(onlooker.context.pages) == 1


def test_the_site_tells_each_test_what_the_one_before_was_told(site):
    told = []
    site.run(site.app.state.context.ring.tap, lambda event: told.append(event.type))

    for _ in range(2):
        site.reset()
        told.clear()
        site.show_service(ServiceView(shield=ShieldState.FAULT, gateway="down"))
        site.show(talking())

        assert told == ["shield", "payment", "call", "shield", "line"]
