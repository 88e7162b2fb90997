"""A command that takes pictures for the documents: chromium, a site, and what is to be photographed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from playwright.sync_api import Browser, sync_playwright

from tests.web.browser import chromium, launch
from tests.web.desk_site import DeskSite

Site = TypeVar("Site", bound=DeskSite)


def take(open_site: Callable[[], Site], pictures: Callable[[Browser, Site], None]) -> int:
    """Open a site and a browser for ``pictures``; return the command's exit code, 1 where there is no chromium."""
    path = chromium()
    if path is None:
        print("chromium is not installed")  # noqa: T201 - a command
        return 1
    site = open_site()
    try:
        with sync_playwright() as playwright:
            browser = launch(playwright, path)
            pictures(browser, site)
            browser.close()
    finally:
        site.close()
    return 0
