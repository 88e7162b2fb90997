"""The gate in front of every route (ASGI): who may be named, how much may be sent, and what no request may hold.

Refuses foreign Host names (DNS rebinding), bodies over BODY_BYTES_MAX, and text with a card number in it, before any
parser or log sees it; adds the security headers to every answer. Does not authenticate.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote_plus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dtmf_shield.api import problem
from dtmf_shield.api.headers import SECURITY_HEADERS, TRANSPORT_SECURITY
from dtmf_shield.api.site import LOOPBACK, Site
from dtmf_shield.base.log import holds_card_number

BODY_BYTES_MAX: Final = 16 * 1_024
"""The longest request of this API is under 1 KiB."""
URL_BYTES_MAX: Final = 4_096
"""Codes of some OIDC providers take 2 KiB."""


class Gate:
    """ASGI middleware; see the module."""

    def __init__(self, app: ASGIApp, site: Site = LOOPBACK) -> None:
        self._app, self._site = app, site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request or refuse it; anything but HTTP is left unanswered."""
        if scope["type"] != "http":
            return
        guarded = _with_headers(send, secure=self._site.secure)
        refusal = _head_refusal(scope, self._site)
        if refusal is None and scope["method"] not in ("GET", "HEAD"):
            body = await _read_body(receive)
            refusal = _body_refusal(body)
            receive = _replay(body or b"", receive)
        if refusal is not None:
            await problem.response(*refusal)(scope, receive, guarded)
            return
        await self._app(scope, receive, guarded)


_Refusal = tuple[int, str, str]
_CARD_NUMBER: Final = (
    422,
    "card-number",
    "The request holds what looks like a card number. It was not kept.",
)


def _head_refusal(scope: Scope, site: Site) -> _Refusal | None:
    headers = dict(scope["headers"])
    peer = scope.get("client")
    if peer is not None and not site.takes_peer(peer[0]):
        return (403, "not-a-proxy", "This service answers to its proxy only.")
    if not site.answers_to(headers.get(b"host", b"").decode("latin-1")):
        return (421, "foreign-host", "This service answers to its own name only.")
    path, query = scope["path"], scope["query_string"].decode("latin-1")
    if len(path) + len(query) > URL_BYTES_MAX:
        return (414, "url-too-long", f"An address has at most {URL_BYTES_MAX} bytes.")
    segments = [*path.split("/"), *headers.get(b"idempotency-key", b"").decode("latin-1").split("/")]
    if holds_card_number(unquote_plus(query)) or any(_bare_card_number(segment) for segment in segments):
        return _CARD_NUMBER
    return None


def _bare_card_number(text: str) -> bool:
    """Random identifiers hold letters; among them a run of digits means nothing."""
    return not any(character.isalpha() for character in text) and holds_card_number(text)


def _body_refusal(body: bytes | None) -> _Refusal | None:
    if body is None:
        return (413, "body-too-large", f"A request body has at most {BODY_BYTES_MAX} bytes.")
    return _CARD_NUMBER if holds_card_number(body.decode("utf-8", "replace")) else None


async def _read_body(receive: Receive) -> bytes | None:
    """Return the whole body, or None where it is too long. Stops reading there; the connection closes."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > BODY_BYTES_MAX:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replayed() -> Message:
        nonlocal sent
        if sent:
            return await receive()  # tells of the disconnect
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _with_headers(send: Send, *, secure: bool) -> Send:
    ours = (*SECURITY_HEADERS, TRANSPORT_SECURITY) if secure else SECURITY_HEADERS

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message["headers"]}
            added = [(name, value) for name, value in ours if name not in present]
            if b"cache-control" not in present:
                added.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return guarded
