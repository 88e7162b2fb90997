"""The picture of docs/play.md: ``python -m tests.web.play_pictures``, run from the repository's root.

The whole service as `make serve` starts it but for its ports: the call, the keys and the counts in it are real.
"""

from __future__ import annotations

import socket
import sys
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, expect, sync_playwright

from tests.interop.running_service import SHIPPED_FLOWS, RunningService
from tests.web.browser import chromium, launch

OUT: Final = Path(__file__).parents[2] / "docs" / "play.png"
SCREEN: Final = {"width": 1440, "height": 890}
FLOW: Final = "card-payment-agent"
KEYS: Final = 10
"""Of the number, on the picture."""
LIMIT_MS: Final = 30_000
DRAWN_MS: Final = 900


def picture(browser: Browser, login_url: str) -> None:
    """Place the call, begin as the agent, key some of the number, and keep what it looks like."""
    page = browser.new_page(viewport=SCREEN, locale="en-GB")
    page.set_default_timeout(LIMIT_MS)
    page.goto(login_url)
    page.locator("#number").select_option("desk")
    page.locator("#call").click()
    expect(page.locator("#phase.good")).to_be_visible(timeout=LIMIT_MS)
    agent = next(frame for frame in page.frames if urlsplit(frame.url).path == "/ui/agent/")
    agent.locator("[data-input=amount]").fill("42.50")
    agent.locator("#reference").fill("88-1932")
    agent.locator("#start-button:not([aria-disabled='true'])").click()
    expect(page.locator("#parts [data-part=number].primary")).to_be_visible(timeout=LIMIT_MS)
    number = page.locator("#card-number").inner_text().replace(" ", "")
    page.locator("#keypad [tabindex='0']").focus()
    page.keyboard.type(number[:KEYS], delay=150)
    expect(page.locator("#heard dd b").first).to_have_text(f"{KEYS} of {KEYS}", timeout=LIMIT_MS)
    page.wait_for_timeout(DRAWN_MS)
    page.screenshot(path=OUT, animations="disabled")


def main() -> int:
    """Write docs/play.png."""
    path = chromium()
    if path is None:
        print("chromium is not installed")  # noqa: T201 - a command
        return 1
    with tempfile.TemporaryDirectory() as directory:
        flows = Path(directory) / "flows"
        flows.mkdir()
        (flows / f"{FLOW}.yaml").write_bytes((SHIPPED_FLOWS / f"{FLOW}.yaml").read_bytes())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            desk = free.getsockname()[1]
        service = RunningService(Path(directory), {"desk": f"127.0.0.1:{desk}"}, arguments=("--play",))
        try:
            with sync_playwright() as playwright:
                picture(launch(playwright, path), str(service.ready["login_url"]))
        finally:
            service.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
