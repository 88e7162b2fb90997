"""Debian's chromium, and visitors: each a browser context of its own whose every word is kept for a search.

Kept are requests and answers (addresses, headers, bodies), what event streams said, the console, everything the DOM
ever showed (an observer from the first moment on, shadow trees included), and what is stored. A name or an address
outside loopback is none to this browser, and who asks for one is written down. (Not by interception: that takes every
request through the tests' own process and its cache from the browser, which is no browser people have.)
"""

from __future__ import annotations

import json
import os
import shutil
from typing import Any
from urllib.parse import urljoin, urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    CDPSession,
    ConsoleMessage,
    Error,
    Page,
    Playwright,
    Request,
    Response,
)

FLAGS = (
    "--no-sandbox",  # as root there is none to be had; the pages are our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-domain-reliability",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE ::1",
)
WIDTH, HEIGHT = 1280, 900
LIMIT_MS = 10_000
BODIES_BYTES_MAX = 50_000_000
"""Of answers that the browser keeps for us."""
LIGHT = "/ui/shared/icon.svg"
LOOPBACK = {"127.0.0.1", "localhost", "::1"}

# Everything that is ever in the DOM is kept: a digit that shows for a moment only is found too.
_OBSERVER = """
(() => {
  const seen = window.__everShown = new Set();
  const whole = (node) => {
    if (node.nodeType === Node.TEXT_NODE || node.nodeType === Node.COMMENT_NODE) { seen.add(node.data); return; }
    if (node.attributes) for (const one of node.attributes) seen.add(one.value);
    for (const child of node.childNodes) whole(child);
    if (node.shadowRoot) watch(node.shadowRoot);
  };
  const watch = (root) => {
    whole(root);
    new MutationObserver((records) => {
      for (const one of records) {
        if (one.type === 'attributes') seen.add(one.target.getAttribute(one.attributeName) ?? '');
        else if (one.type === 'characterData') seen.add(one.target.data);
        else one.addedNodes.forEach(whole);
      }
    }).observe(root, { subtree: true, childList: true, attributes: true, characterData: true });
  };
  const attach = Element.prototype.attachShadow;
  Element.prototype.attachShadow = function (options) {
    const root = attach.call(this, options);
    watch(root);
    return root;
  };
  watch(document);
})();
"""

_DOCUMENT = """
async () => {
  const parts = [...window.__everShown, document.title, location.href];
  const walk = (root) => {
    parts.push(root.innerHTML ?? root.documentElement.outerHTML);
    for (const one of root.querySelectorAll('*')) {
      if ('value' in one) parts.push(String(one.value));
      if (one.shadowRoot) walk(one.shadowRoot);
    }
  };
  walk(document);
  const stored = [JSON.stringify({ ...localStorage }), JSON.stringify({ ...sessionStorage }), document.cookie];
  for (const one of await indexedDB.databases()) stored.push('indexedDB ' + one.name);
  for (const one of await (window.caches?.keys() ?? [])) stored.push('cache ' + one);
  return { dom: parts, storage: stored };
}
"""


def chromium() -> str | None:
    """Return the browser's path, or None where it is not installed; CHROMIUM names another."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium")


def launch(playwright: Playwright, path: str) -> Browser:
    """Start it without a window."""
    return playwright.chromium.launch(executable_path=path, args=list(FLAGS))


class Visitor:
    """One person at one browser."""

    def __init__(self, browser: Browser, *, kept: bool = True, **options: Any) -> None:
        """``kept``: False for who only looks: nothing is kept, so that :meth:`everything` has nothing to say."""
        options = {"viewport": {"width": WIDTH, "height": HEIGHT}, "reduced_motion": "reduce", **options}
        self.context: BrowserContext = browser.new_context(**options)
        self.context.set_default_timeout(LIMIT_MS)
        self.strayed: list[str] = []
        """Addresses outside loopback that something asked for."""
        self.network: list[str] = []
        self.console: list[str] = []
        self.events: list[dict[str, Any]] = []
        """What event streams said, as the browser understood it: eventName, eventId, data."""
        self.unread: list[str] = []
        """Answers whose body the browser had thrown away before it could be kept."""
        self._bodies: list[str] = []
        self._session: CDPSession | None = None
        self.context.on("request", self._note_stray)
        if kept:
            self.context.add_init_script(_OBSERVER)
        self.page = self._keep(self.context.new_page()) if kept else self.context.new_page()

    def _keep(self, page: Page) -> Page:
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.console.append(f"error: {error}"))
        page.on("request", self._asked)
        page.on("response", self._answered)
        self._session = self.context.new_cdp_session(page)
        self._session.send("Network.enable", {"maxTotalBufferSize": BODIES_BYTES_MAX})
        self._session.on("Network.eventSourceMessageReceived", self._heard)
        self._session.on("Network.loadingFinished", self._finished)
        return page

    def _note_stray(self, request: Request) -> None:
        if urlsplit(request.url).hostname not in {*LOOPBACK, None}:
            self.strayed.append(request.url)

    def _heard(self, event: dict[str, Any]) -> None:
        # Not its time: seconds of this machine, among whose digits any five may meet.
        self.events.append({name: event[name] for name in ("eventName", "eventId", "data")})

    def _said(self, message: ConsoleMessage) -> None:
        self.console.append(f"{message.type}: {message.text}")

    def _asked(self, request: Request) -> None:
        self.network += [request.method, request.url, json.dumps(request.headers), request.post_data or ""]

    def _answered(self, response: Response) -> None:
        self.network.append(json.dumps(response.headers))

    def _finished(self, event: dict[str, Any]) -> None:
        """Only what has an end has a body to be read; events of a stream are kept one by one."""
        self._bodies.append(event["requestId"])

    def everything(self) -> dict[str, str]:
        """Return all that this browser shows, stores, says and was told, by where it is.

        Raises RuntimeError where nothing was kept.
        """
        if self._session is None:
            raise RuntimeError("this visitor only looks: nothing of it is kept")
        for request_id in self._bodies:
            try:
                found_body = self._session.send("Network.getResponseBody", {"requestId": request_id})
                self.network.append(str(found_body["body"]))
            except Error as error:
                self.unread.append(error.message)
        self._bodies.clear()
        found: dict[str, list[str]] = self.page.evaluate(_DOCUMENT)
        cookies = [json.dumps(cookie) for cookie in self.context.cookies()]
        return {
            "dom": "\n".join([*found["dom"], self.page.locator("body").aria_snapshot()]),
            "storage": "\n".join([*found["storage"], *cookies]),
            "console": "\n".join(self.console),
            "network": "\n".join(self.network),
            "events": "\n".join(json.dumps(event) for event in self.events),
        }

    def forget(self) -> None:
        """Be as new: no cookie, nothing stored, one page, of the size and the looks of the beginning.

        The page is left for a picture of the same site: about:blank and back costs a process of the browser's.
        """
        for page in self.context.pages[1:]:
            page.close()
        self.page.unroute_all(behavior="ignoreErrors")
        self.context.clear_cookies()
        if self.page.url.startswith("http"):
            self._leave()
        self.page.emulate_media(color_scheme="light", forced_colors="none", reduced_motion="reduce")
        self.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})

    def _leave(self) -> None:
        try:
            self.page.evaluate("localStorage.clear(); sessionStorage.clear()")
            self.page.goto(urljoin(self.page.url, LIGHT))
        except Error:  # that site is gone, and the browser's page that says so may come after the next one
            gone, self.page = self.page, self.context.new_page()
            gone.close()

    def close(self) -> None:
        """Leave. Fails where something asked for an address outside loopback."""
        self.context.close()
        assert self.strayed == [], "asked for addresses outside loopback"
