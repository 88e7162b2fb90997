"""axe-core in a page: what it finds wrong, one line each."""

from __future__ import annotations

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

LATER = f"window.__bringAxe = () => {{ {AXE_SCRIPT} }};"
"""For a context's init script: every document has axe at hand, and pays for it only once it is asked for."""

ROWS_MAX = 20
_RUN = """
async (rowsMax) => {
  if (typeof window.axe === 'undefined') {
    if (typeof window.__bringAxe === 'undefined') return null;
    window.__bringAxe();
  }
  const rows = [...document.querySelectorAll(`tbody > tr:nth-child(n + ${rowsMax + 1})`)];
  const before = rows.map((row) => row.style.display);
  for (const row of rows) row.style.display = 'none';
  const found = await axe.run(document, { resultTypes: ['violations'] });
  rows.forEach((row, place) => { row.style.display = before[place]; });
  return found.violations.map((one) =>
    `${one.id}: ${one.help}: ${one.nodes.map((node) => node.target.join(' ')).join(', ')}`);
}
"""


def axe_findings(page: Page) -> list[str]:
    """Return the violations of all of axe's default rules (WCAG A and AA, best practices) as the page is now.

    Of a table the first ROWS_MAX rows are looked at: the hundredth is made by the same lines and takes as long again.
    """
    found: list[str] | None = page.evaluate(_RUN, ROWS_MAX)
    if found is None:
        page.evaluate(AXE_SCRIPT)
        found = page.evaluate(_RUN, ROWS_MAX)
    assert found is not None
    return found
