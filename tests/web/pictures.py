"""Pictures of each page in each state, for people; tests.web.sheet puts them side by side."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import Page

from tests.web.scenes import Scene

OUT = Path(os.environ.get("WEB_PICTURES") or Path(__file__).parent / "out")
LOOKS = ("light", "dark", "narrow")


def picture(page: Page, scene: Scene, look: str) -> Path:
    """Keep the whole page as it is now; ``look``: one of LOOKS."""
    return page_picture(page, str(scene), look)


def page_picture(page: Page, name: str, look: str) -> Path:
    """Keep a page that is none of the scenes."""
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"{name}-{look}.png"
    page.screenshot(path=path, full_page=True, animations="disabled")
    return path
