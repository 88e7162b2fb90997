"""A site of another origin without any of our headers: a page that leaks in every place, and a page that attacks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PLACES = {
    "text": "document.body.append(N)",
    "spaced text": "document.body.append(N.match(/.{1,4}/g).join(' '))",
    "hidden text": "document.body.insertAdjacentHTML('beforeend', `<p hidden>${N}</p>`)",
    "attribute": "document.body.setAttribute('data-x', N)",
    "title": "document.title = N",
    "comment": "document.body.append(new Comment(N))",
    "field": "{ const f = document.createElement('input'); document.body.append(f); f.value = N }",
    "shadow tree": "{ const d = document.createElement('div'); document.body.append(d); "
    "d.attachShadow({ mode: 'closed' }).innerHTML = `<b>${N}</b>` }",
    "shown for a moment": "{ const t = new Text(N); document.body.append(t); setTimeout(() => t.remove()) }",
    "accessible name": "document.body.insertAdjacentHTML('beforeend', `<button aria-label='${N}'></button>`)",
    "local storage": "localStorage.setItem('x', N)",
    "session storage": "sessionStorage.setItem('x', N)",
    "cookie": "document.cookie = 'x=' + N",
    "database": "indexedDB.open(N)",
    "console": "console.log('x', N)",
    "error": "setTimeout(() => { throw new Error(N) })",
    "address": "fetch('/x?' + N)",
    "own address": "history.pushState(null, '', '#' + N)",
    "request body": "fetch('/x', { method: 'POST', body: N })",
    "request header": "fetch('/x', { headers: { 'x-number': N } })",
    "answer": "fetch('/echo')",
    "event stream": "new EventSource('/events')",
    "five digits only": "document.body.append(N.slice(2, 7))",
}
"""Where a page could leak a number N, and how."""


class _Handler(BaseHTTPRequestHandler):
    """``/leak`` runs nothing by itself; ``/echo`` and ``/events`` say the number."""

    number = ""

    def _answer(self, body: str, media_type: str) -> None:
        data = body.encode()
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        if self.path == "/echo":
            self._answer(self.number, "text/plain")
        elif self.path == "/events":
            self._answer(f"retry: 60000\ndata: {self.number}\n\n", "text/event-stream")
        else:
            self._answer("<!doctype html><title>another site</title><body></body>", "text/html")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer("", "text/plain")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
        """Say nothing."""


@contextmanager
def other_site(number: str = "") -> Iterator[str]:
    """Serve on a port of its own; give the address."""
    handler = type("Handler", (_Handler,), {"number": number})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
