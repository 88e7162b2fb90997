"""What axe does not see: a page wider than its window, words cut off, controls without an edge, hidden focus."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

_CUT_OFF = """
() => {
  const found = [];
  const clipped = (one) => one && (getComputedStyle(one).clipPath !== 'none' || clipped(one.parentElement));
  for (const one of document.querySelectorAll('body *')) {
    const speaks = [...one.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!speaks || !one.checkVisibility()) continue;
    const style = getComputedStyle(one), box = one.getBoundingClientRect();
    if (clipped(one)) continue;  // hidden from eyes on purpose, for ears
    if (one.closest('[role=region][tabindex="0"]')) continue;  // a panel that scrolls, by keyboard too
    const hides = style.overflowX !== 'visible' && one.scrollWidth > one.clientWidth + 1
      || style.overflowY !== 'visible' && one.scrollHeight > one.clientHeight + 1;
    if (hides || box.right > document.documentElement.clientWidth + 1 || box.left < -1)
      found.push(one.textContent.trim().slice(0, 60));
  }
  return found;
}
"""

_UNMARKED = """
() => [...document.querySelectorAll('button, input, select, textarea')]
  .filter((one) => one.checkVisibility())
  .filter((one) => {
    const style = getComputedStyle(one);
    const edge = (side) => style[`border${side}Style`] !== 'none' && parseFloat(style[`border${side}Width`]) > 0;
    return !['Top', 'Right', 'Bottom', 'Left'].some(edge);
  })
  .concat([...document.querySelectorAll(
    '[aria-current]:not([aria-current="false"]), [aria-pressed="true"]')]
    .filter((one) => matchMedia('(forced-colors: active)').matches && one.checkVisibility())
    .filter((one) => {
      const style = getComputedStyle(one);
      const outlined = style.outlineStyle !== 'none' && !one.matches(':focus-visible');
      return parseFloat(style.borderBottomWidth) < 2 && !outlined;
    }))
  .map((one) => `${one.tagName.toLowerCase()} ${one.id || one.textContent.trim().slice(0, 40)}`)
"""

_FOCUSED = """
() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const style = getComputedStyle(one), box = one.getBoundingClientRect();
  const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  return {
    name: one.id || one.getAttribute('aria-label') || one.textContent.trim(), tag: one.tagName.toLowerCase(),
    outlined: one.matches(':focus-visible') && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
    covered: !(top && (one.contains(top) || top.contains(one))),
    inside: box.top >= 0 && box.bottom <= innerHeight, top: box.top, left: box.left,
    after: [...document.querySelectorAll('*')].indexOf(one),
  };
}
"""


def overflow_px(page: Page) -> int:
    """Return how wide the page's content is, in CSS pixels."""
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return width


def cut_off(page: Page) -> list[str]:
    """Return the beginnings of texts that stick out of the window, or of a box that hides what does not fit."""
    found: list[str] = page.evaluate(_CUT_OFF)
    return found


def unmarked_controls(page: Page) -> list[str]:
    """Return controls that only a background tells from text: forced colours take backgrounds away.

    With those colours on, also what is current or pressed and has no mark of it but that.
    """
    found: list[str] = page.evaluate(_UNMARKED)
    return found


def focused(page: Page) -> dict[str, Any] | None:
    """Return what has the focus and whether an eye finds it, or None."""
    found: dict[str, Any] | None = page.evaluate(_FOCUSED)
    return found
