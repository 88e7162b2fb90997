"""TLS in front of a counterpart that speaks plain HTTP, and a journal of the keys that came.

``unknown_fields``: form fields that the gateway knows and the counterpart refuses; they are taken out on the way, so
that the template under test stays the gateway's.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import urllib.parse
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dtmf_shield.service.dev_certificates import DevCertificates

FORWARD_TIMEOUT_S = 10.0
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Relay(ThreadingHTTPServer):
    """Serves until closed. ``lose``: so many next answers are lost after the counterpart gave them."""

    daemon_threads = True

    def __init__(self, target_port: int, files: DevCertificates, unknown_fields: frozenset[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.gateway_certificate_file, files.gateway_key_file)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.target_port, self.unknown_fields, self.ca_file = target_port, unknown_fields, files.ca_file
        self.keys: Counter[str] = Counter()
        self.lose = 0
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def close(self) -> None:
        """End."""
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Relay

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.keys[self.headers.get("Idempotency-Key", "")] += 1
        self._forward(self._without_unknown_fields(body))

    def do_GET(self) -> None:
        self._forward(b"")

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name of the base class
        """Say nothing."""

    def _without_unknown_fields(self, body: bytes) -> bytes:
        kept = [
            pair
            for pair in body.split(b"&")
            if urllib.parse.unquote_plus(pair.partition(b"=")[0].decode()) not in self.server.unknown_fields
        ]
        return b"&".join(kept)

    def _forward(self, body: bytes) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.server.target_port, timeout=FORWARD_TIMEOUT_S
        )
        try:
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if self.server.lose:
            self.server.lose -= 1
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP | {"date", "server"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
