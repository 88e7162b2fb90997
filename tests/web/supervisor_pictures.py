"""The pictures of docs/operating/supervisor.md: ``python -m tests.web.supervisor_pictures`` from the root."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page

from dtmf_shield.api.views import FlowView
from tests.web.desk_site import DeskSite
from tests.web.picture_run import take
from tests.web.supervisor_scenes import house, weeks

OUT: Final = Path(__file__).parents[2] / "docs" / "operating" / "supervisor"
DESK: Final = {"width": 1600, "height": 900}
TELEPHONE: Final = {"width": 340, "height": 760}
FLOW: Final = FlowView(id="card-payment", title="Card payment", agent_pays=True)
CALLS: Final = 14


def show_live(page: Page, site: DeskSite, calls: int) -> None:
    """Show a house of so many calls."""
    site.reset()
    site.desk.offered = (FLOW,)
    for call in house(calls):
        site.show(call)
    page.goto(f"{site.url}/ui/supervisor/")
    page.locator("#sum-calls").wait_for()
    page.wait_for_timeout(300)


def show_reports(page: Page, site: DeskSite) -> None:
    """Show a report of a month."""
    site.reset()
    site.reports.shown = weeks()
    page.goto(f"{site.url}/ui/supervisor/#reports")
    page.locator("#chart-days svg.picture").wait_for()
    page.wait_for_timeout(200)


def pictures(browser: Browser, site: DeskSite) -> None:
    """Take all of them."""
    page = browser.new_page(viewport=DESK, locale="en-GB")
    page.goto(site.login_url())
    show_live(page, site, CALLS)
    page.locator("#rows .row-opener").nth(1).click()
    page.wait_for_timeout(300)
    page.screenshot(path=OUT / "live.png", animations="disabled")
    show_reports(page, site)
    page.screenshot(path=OUT / "reports.png", full_page=True, animations="disabled")
    page.set_viewport_size(TELEPHONE)
    page.emulate_media(color_scheme="dark")
    page.goto("about:blank")
    show_live(page, site, 3)
    page.screenshot(path=OUT / "narrow.png", animations="disabled")


def main() -> int:
    """Write docs/operating/supervisor/*.png."""
    OUT.mkdir(parents=True, exist_ok=True)
    return take(DeskSite, pictures)


if __name__ == "__main__":
    sys.exit(main())
