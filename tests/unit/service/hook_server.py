"""A merchant's look-up service for tests: stdlib HTTP on loopback, in a thread, with an answer that the test says."""

import json
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Script:
    """What the server answers, and what it was asked."""

    def __init__(self, body=b"{}", status=200, content_type="application/json", headers=(), delay_s=0.0):
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status, self.content_type, self.headers, self.delay_s = status, content_type, headers, delay_s
        self.raw = b""
        self.asked, self.heads, self.paths, self.bodies, self.statuses = [], [], [], [], []
        self.release = threading.Event()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        script = self.server.script
        length = int(self.headers["Content-Length"])
        script.bodies.append(self.rfile.read(length))
        script.asked.append(json.loads(script.bodies[-1]))
        script.heads.append(dict(self.headers))
        script.paths.append(self.path)
        script.statuses.append(script.status)
        script.release.wait(script.delay_s)
        try:
            if script.raw:
                self.wfile.write(script.raw)
                return
            self.send_response(script.status)
            self.send_header("Content-Type", script.content_type)
            self.send_header("Content-Length", str(len(script.body)))
            for name, value in script.headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(script.body)
        except OSError:
            return  # the client has left

    def log_message(self, *_arguments):
        pass


class Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_arguments):
        pass  # clients that hang up are what some tests are about


@contextmanager
def serving(script, certificate=None):
    """Serve ``script``; yields the port. ``certificate``: (certificate file, key file) for TLS."""
    server = Quiet(("127.0.0.1", 0), Handler)
    server.script = script
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        script.release.set()
        server.shutdown()
        server.server_close()
