"""axe-core in a page: what it finds wrong, one line each."""

from __future__ import annotations

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

_RUN = """
async () => (await axe.run(document, { resultTypes: ['violations'] })).violations.map((one) =>
  `${one.id}: ${one.help}: ${one.nodes.map((node) => node.target.join(' ')).join(', ')}`)
"""


def axe_findings(page: Page) -> list[str]:
    """Return the violations of all of axe's default rules (WCAG A and AA, best practices) as the page is now."""
    if page.evaluate("typeof window.axe") == "undefined":
        page.evaluate(AXE_SCRIPT)
    found: list[str] = page.evaluate(_RUN)
    return found
