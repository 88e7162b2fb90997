"""The pictures of docs/agents.md: ``python -m tests.web.agent_pictures``, run from the repository's root."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page

from dtmf_shield.api.views import CallView, CaptureView, FlowView, ServiceView, ShieldState
from dtmf_shield.model.capture import CaptureResult, CaptureState, Hint
from dtmf_shield.model.ids import CallId
from tests.web.desk_site import DeskSite
from tests.web.picture_run import take
from tests.web.scenes import CVV, EXPIRY, PAN, WELL, all_valid, confirming, ended, keying, progressed, talking

OUT: Final = Path(__file__).parents[2] / "docs" / "agents"
DESK: Final = {"width": 1120, "height": 640}
TELEPHONE: Final = {"width": 340, "height": 640}
FLOW: Final = FlowView(id="card-payment", title="Card payment", agent_pays=True)
SHOWN_MS: Final = 600
"""Longer than words for the screen reader are held back."""


def code_keyed() -> CaptureView:
    """Return a capture whose security code is being keyed, on a line that repeats keys."""
    accepted = (PAN, EXPIRY)
    view = progressed(
        all_valid(), state=CaptureState.KEYING, field=CVV, count=2, length=3, usual=3, accepted=accepted
    )
    say = "Last, the three digits on the back of the card."
    return view.model_copy(update={"hint": Hint.DUPLICATE_KEYS, "say": say, "reference": "88-1932"})


def shot(page: Page, site: DeskSite, name: str, *calls: CallView, service: ServiceView = WELL) -> None:
    """Show calls and the service on a fresh page and keep what it looks like."""
    site.reset()
    site.desk.offered = (FLOW,)
    for call in calls:
        site.show(call)
    site.show_service(service)
    page.goto(f"{site.url}/ui/agent/")
    page.locator("body[data-connection='live']").wait_for()
    page.wait_for_timeout(SHOWN_MS)
    page.screenshot(path=OUT / f"{name}.png", full_page=True, animations="disabled")


def pictures(browser: Browser, site: DeskSite) -> None:
    """Take all of them, each as small as its page is."""
    page = browser.new_page(viewport=DESK, locale="en-GB")
    page.goto(site.login_url())
    waiting = talking(id=CallId("c2"), caller_masked="••07", dialled="+441632960002")
    shot(page, site, "keying", talking(code_keyed()), waiting)
    asked = confirming().model_copy(update={"say": "Shall I take 42 pounds 50 from this card?"})
    shot(page, site, "confirm", talking(asked))
    shot(page, site, "approved", ended(CaptureResult.APPROVED))
    fault = ServiceView(shield=ShieldState.FAULT, gateway="up")
    shot(page, site, "fault", talking(keying(6)), service=fault)
    page.set_viewport_size(TELEPHONE)
    page.emulate_media(color_scheme="dark")
    shot(page, site, "narrow", talking(code_keyed()))


def main() -> int:
    """Write docs/agents/*.png."""
    OUT.mkdir(parents=True, exist_ok=True)
    return take(DeskSite, pictures)


if __name__ == "__main__":
    sys.exit(main())
