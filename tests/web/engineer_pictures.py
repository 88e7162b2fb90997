"""The pictures of docs/operating/engineer.md: ``python -m tests.web.engineer_pictures``, from the repository's root."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser

from tests.web.engineer_site import EngineerSite
from tests.web.picture_run import take

OUT: Final = Path(__file__).parents[2] / "docs" / "operating"
SCREEN: Final = {"width": 1360, "height": 860}
TALL: Final = {"width": 1360, "height": 2400}
EVIDENCE: Final = {"width": 1360, "height": 1280}
FLOW: Final = "card-payment-agent"
STARTS_MS: Final = 30_000
CHECKED_MS: Final = 1_500


def pictures(browser: Browser, site: EngineerSite) -> None:
    """Take all."""
    page = browser.new_page(viewport=SCREEN, locale="en-GB")
    page.goto(site.login_url())
    page.goto(f"{site.url}/ui/engineer/")
    page.locator("#flow-list button", has_text=FLOW).click(timeout=STARTS_MS)
    page.locator("#steps li", has_text="unknown_result").first.wait_for(timeout=STARTS_MS)
    text = page.locator("#text").input_value()
    page.locator("#text").fill(text.replace("start: card\n", "start: cart\n"))
    page.locator("#findings button").click(timeout=STARTS_MS)
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(CHECKED_MS)
    page.screenshot(path=OUT / "engineer-flow.png", animations="disabled")
    page.locator("#revert").click()
    page.locator("#findings button").wait_for(state="detached", timeout=STARTS_MS)
    page.locator("#run").click()
    page.locator("#line-rows tr").last.wait_for(timeout=STARTS_MS)
    page.set_viewport_size(TALL)  # the bar stays in sight, and would lie over the card
    page.evaluate("scrollTo(0, 0)")
    page.locator(".simulate").screenshot(path=OUT / "engineer-simulation.png", animations="disabled")
    page.locator("#to-health").click()
    card = page.locator(".part", has=page.locator(".sentinel"))
    card.screenshot(path=OUT / "engineer-media.png", animations="disabled")
    site.played.show("clean")
    page.set_viewport_size(EVIDENCE)
    page.locator("#to-test-calls").click()
    page.locator("#evidence .tools button", has_text="Card number").click(timeout=STARTS_MS)
    page.mouse.move(0, 0)
    page.wait_for_timeout(CHECKED_MS)
    page.screenshot(path=OUT / "engineer-evidence.png", animations="disabled")


def main() -> int:
    """Write docs/operating/engineer-*.png."""
    with tempfile.TemporaryDirectory() as directory:
        return take(lambda: EngineerSite(Path(directory)), pictures)


if __name__ == "__main__":
    sys.exit(main())
