"""The sample CRM of docs/integrate on an origin of its own, and a page that has nothing but a frame and a mouth."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

SAMPLE = Path(__file__).parents[2] / "docs" / "integrate" / "sample-crm"
WRITTEN = b"http://127.0.0.1:8080"
"""Where the sample looks for the service."""
FLOW = (b"card-payment-agent", b"card-charge")
"""The flow that the sample starts, and the one that the desk of tests has with an amount."""
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript"}
BARE = b"""<!doctype html><html lang="en"><title>a page</title><body><h1>A page</h1></body></html>"""


class _Handler(BaseHTTPRequestHandler):
    service = ""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path.strip("/") or "index.html"
        file = SAMPLE / path
        found = (
            BARE
            if path == "bare.html"
            else file.read_bytes()
            if file.parent == SAMPLE and file.is_file()
            else None
        )
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Type", TYPES.get(file.suffix, "text/plain"))
        self.end_headers()
        self.wfile.write((found or b"").replace(WRITTEN, self.service.encode()).replace(*FLOW))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
        """Say nothing."""


class CrmSite:
    """``url``: its origin. ``service``: the origin that the sample's pages are made to name."""

    def __init__(self) -> None:
        self.handler = type("Handler", (_Handler,), {})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def looks_at(self, service: str) -> None:
        self.handler.service = service  # type: ignore[attr-defined]  # the handler is made by the server


@contextmanager
def crm_site() -> Iterator[CrmSite]:
    """Serve on a port of its own."""
    site = CrmSite()
    thread = threading.Thread(target=site.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.server.shutdown()
        site.server.server_close()
        thread.join(5)
