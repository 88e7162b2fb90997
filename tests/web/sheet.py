"""Pictures of all pictures that the tests made, twenty on a sheet: ``python -m tests.web.sheet [PART OF A NAME]``."""

from __future__ import annotations

import html
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.web.browser import chromium, launch
from tests.web.pictures import LOOKS, OUT

ON_A_SHEET = 20
"""More would be too small to look at."""
STYLE = (
    "body{font:13px sans-serif;background:#999;margin:8px;display:grid;gap:8px;grid-template-columns:repeat(4,1fr)}"
    "figure{margin:0}img{width:100%;max-height:420px;object-fit:cover;object-position:top;display:block}"
)


def figure(path: Path) -> str:
    """Return one picture with its name."""
    return f"<figure>{html.escape(path.stem)}<img src='{html.escape(path.as_uri())}'></figure>"


def main() -> int:
    """Write sheet-light-1.png and so on beside the pictures."""
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    path = chromium()
    if path is None:
        print("chromium is not installed")  # noqa: T201 - a command
        return 1
    with sync_playwright() as playwright:
        browser = launch(playwright, path)
        page = browser.new_page(viewport={"width": 1560, "height": 800})
        for look in LOOKS:
            pictures = [one for one in sorted(OUT.glob(f"*-{look}.png")) if part in one.name]
            for first in range(0, len(pictures), ON_A_SHEET):
                figures = "".join(map(figure, pictures[first : first + ON_A_SHEET]))
                source = OUT / "sheet.html"
                source.write_text(f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{figures}")
                page.goto(source.as_uri())
                page.screenshot(path=OUT / f"sheet-{look}-{first // ON_A_SHEET + 1}.png", full_page=True)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
