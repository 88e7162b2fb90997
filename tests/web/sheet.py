"""One picture of all pictures that the tests made, a row a state: ``python -m tests.web.sheet [PART OF A NAME]``."""

from __future__ import annotations

import html
import sys

from playwright.sync_api import sync_playwright

from tests.web.browser import chromium, launch
from tests.web.pictures import LOOKS, OUT

ROWS_MAX = 14
"""States on one sheet: more would be too small to look at."""
STYLE = (
    "body{font:14px sans-serif;background:#888;margin:8px}tr{vertical-align:top}th{text-align:left}"
    "img{width:520px;display:block}img.narrow{width:200px}td,th{padding:4px}"
)


def row(state: str) -> str:
    """Return the row of one state."""
    cells = [
        f"<td><img class={look} src='{html.escape((OUT / f'{state}-{look}.png').as_uri())}'></td>"
        for look in LOOKS
        if (OUT / f"{state}-{look}.png").exists()
    ]
    return f"<tr><th colspan=3>{html.escape(state)}</th></tr><tr>{''.join(cells)}</tr>"


def main() -> int:
    """Write sheet-1.png and so on beside the pictures."""
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    states = sorted(
        path.name.removesuffix("-light.png") for path in OUT.glob("*-light.png") if part in path.name
    )
    path = chromium()
    if path is None or not states:
        print(f"nothing to show: chromium {path}, {len(states)} pictures in {OUT}")  # noqa: T201 - a command
        return 1
    with sync_playwright() as playwright:
        browser = launch(playwright, path)
        page = browser.new_page(viewport={"width": 1290, "height": 800})
        for number, first in enumerate(range(0, len(states), ROWS_MAX), 1):
            rows = "".join(row(state) for state in states[first : first + ROWS_MAX])
            source = OUT / "sheet.html"
            source.write_text(
                f"<!doctype html><meta charset=utf-8><style>{STYLE}</style><table>{rows}</table>"
            )
            page.goto(source.as_uri())
            page.screenshot(path=OUT / f"sheet-{number}.png", full_page=True)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
