"""One browser, one site and one network namespace for the run; a visitor of its own for each test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.web import isolation
from tests.web.accessibility import LATER
from tests.web.browser import Visitor, chromium, launch
from tests.web.desk_site import DeskSite
from tests.web.scenes import Scene
from tests.web.signing_in import sign_in
from tests.web.whole_site import WholeSite

MISSING = (
    "chromium is not installed (apt-get install chromium), so NOTHING of the pages was tested in a browser"
)
DRAWN_LIMIT_MS = 10_000
WHOLE = {"whole_site", "service", "newcomer"}
"""Fixtures that start the whole service."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is about a browser; what has the whole service in it waits for calls."""
    for item in items:
        if "/tests/web/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)
            if WHOLE & set(getattr(item, "fixturenames", ())):
                item.add_marker(pytest.mark.interop)


@pytest.fixture(scope="session")
def own_network() -> bool:
    """Whether the whole run has a network with loopback alone; entered before any thread of it begins."""
    return isolation.enter()


@pytest.fixture(scope="session")
def browser(own_network: bool) -> Iterator[Browser]:
    path = chromium()
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    with sync_playwright() as playwright:
        browser = launch(playwright, path)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def the_site(own_network: bool) -> Iterator[DeskSite]:
    site = DeskSite()
    yield site
    site.close()


@pytest.fixture
def site(the_site: DeskSite) -> DeskSite:
    the_site.reset()
    return the_site


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Open visitors; each is searched for strayed requests at the end."""
    visitors: list[Visitor] = []

    def opened(**options: Any) -> Visitor:
        visitors.append(Visitor(browser, **options))
        return visitors[-1]

    yield opened
    for visitor in visitors:
        visitor.close()


@pytest.fixture
def visitor(visit: Callable[..., Visitor]) -> Visitor:
    return visit()


@pytest.fixture(scope="session")
def the_onlooker(browser: Browser) -> Iterator[Visitor]:
    visitor = Visitor(browser, kept=False)
    visitor.context.add_init_script(LATER)
    yield visitor
    visitor.close()


@pytest.fixture
def onlooker(the_onlooker: Visitor) -> Iterator[Visitor]:
    """A browser for tests that only look at pages: one for all, as new for each; keeps nothing for a search."""
    yield the_onlooker
    the_onlooker.forget()  # at the end: a page that is left open reads events, and comes back for them in the next test
    assert the_onlooker.strayed == [], "asked for addresses outside loopback"


@pytest.fixture
def play(site: DeskSite, visitor: Visitor) -> Iterator[Callable[[Scene], Page]]:
    """Show a scene in a signed-in browser of the test's own; returns once it is drawn."""
    yield partial(show, site, visitor)
    if site.is_down:
        site.up()


@pytest.fixture
def walk(site: DeskSite, onlooker: Visitor) -> Iterator[Callable[[Scene], Page]]:
    """Show a scene in the onlooker's browser, signed in; returns once it is drawn."""
    yield partial(show, site, onlooker)
    if site.is_down:
        site.up()


def show(site: DeskSite, visitor: Visitor, scene: Scene) -> Page:
    """Sign in and show a scene; return the page once it is drawn."""
    set_desk(site, scene)
    sign_in(site, visitor)
    visitor.page.goto(f"{site.url}/ui/{scene.page}/")
    expect(visitor.page.locator("#calls li")).to_have_count(len(scene.calls), timeout=DRAWN_LIMIT_MS)
    if scene.later is not None:
        site.show(scene.later)
    spoil(site, visitor, scene.connection)
    expect(visitor.page.locator("#badge")).to_have_attribute(
        "data-state", scene.badge, timeout=DRAWN_LIMIT_MS
    )
    return visitor.page


@pytest.fixture(scope="session")
def whole_site(own_network: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeSite]:
    site = WholeSite(tmp_path_factory.mktemp("whole"))
    yield site
    site.close()


@pytest.fixture(scope="session")
def whole_visitor(whole_site: WholeSite, browser: Browser) -> Iterator[Visitor]:
    """The one person who has the one-time link of the whole service."""
    visitor = Visitor(browser)
    visitor.page.goto(whole_site.login_url)
    expect(visitor.page.locator("#badge")).to_have_attribute("data-state", "on", timeout=DRAWN_LIMIT_MS)
    yield visitor
    visitor.close()


def set_desk(site: DeskSite, scene: Scene) -> None:
    """Put on the desk what the scene holds."""
    if scene.flows is not None:
        site.offer(*scene.flows)
    site.show_service(scene.service)
    for call in scene.calls:
        site.show(call)


def spoil(site: DeskSite, visitor: Visitor, connection: str) -> None:
    """Take the server away, or the session."""
    if connection == "lost":
        site.down()
    elif connection == "signed-out":
        visitor.context.clear_cookies()
        site.cut_streams()
