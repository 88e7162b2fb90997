"""The gate in front of every route (ASGI): who may be named, how much may be sent, and what no request may hold.

Refuses foreign Host names (DNS rebinding), bodies over BODY_BYTES_MAX, and text with a card number in it, before any
parser or log sees it; adds the security headers to every answer. Does not authenticate.
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import parse_qsl, unquote_plus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dtmf_shield.api import problem
from dtmf_shield.api.headers import SECURITY_HEADERS, TRANSPORT_SECURITY
from dtmf_shield.api.oidc_pages import CALLBACK
from dtmf_shield.api.site import LOOPBACK, Site
from dtmf_shield.base.log import holds_card_number

BODY_BYTES_MAX: Final = 16 * 1_024
"""The longest request of this API is under 1 KiB, but for flows in hand."""
DRAFT_PATH: Final = "/v1/flow-drafts/"
DRAFT_BYTES_MAX: Final = 64 * 1_024
"""The longest shipped flow has 7 KB."""
URL_BYTES_MAX: Final = 4_096
"""Codes of some OIDC providers take 2 KiB."""
BODY_TIME_MAX_S: Final = 20.0
"""A draft over a line of 64 kbit/s takes eight seconds."""


class Gate:
    """ASGI middleware; see the module."""

    def __init__(self, app: ASGIApp, site: Site = LOOPBACK, body_time_max_s: float = BODY_TIME_MAX_S) -> None:
        self._app, self._site, self._body_time_max_s = app, site, body_time_max_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request or refuse it; anything but HTTP is left unanswered."""
        if scope["type"] != "http":
            return
        guarded = _with_headers(send, secure=self._site.secure)
        refusal = _head_refusal(scope, self._site)
        if refusal is None and scope["method"] not in ("GET", "HEAD"):
            bytes_max = DRAFT_BYTES_MAX if scope["path"].startswith(DRAFT_PATH) else BODY_BYTES_MAX
            body, refusal = await self._body(receive, bytes_max)
            receive = _replay(body, receive)
        if refusal is not None:
            answer = problem.response(*refusal)
            if refusal[0] in _UNREAD:
                answer.headers["connection"] = "close"  # what is still to come is no request
            await answer(scope, receive, guarded)
            return
        await self._app(scope, receive, guarded)

    async def _body(self, receive: Receive, bytes_max: int) -> tuple[bytes, _Refusal | None]:
        """Return the whole body, or why it is not taken."""
        try:
            async with asyncio.timeout(self._body_time_max_s):
                body = await _read_body(receive, bytes_max)
        except TimeoutError:
            return b"", (
                408,
                "body-too-slow",
                f"A request body takes at most {self._body_time_max_s:g} seconds.",
            )
        if body is None:
            return b"", (413, "body-too-large", f"A request body has at most {bytes_max} bytes.")
        return body, _body_refusal(body)


_Refusal = tuple[int, str, str]
_UNREAD: Final = frozenset({408, 413})
_CARD_NUMBER: Final = (
    422,
    "card-number",
    "The request holds what looks like a card number. It was not kept.",
)
_NOT_UTF_8: Final = (400, "not-utf-8", "A request body is text in UTF-8.")


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
    if _query_holds_card_number(path, query) or any(_bare_card_number(segment) for segment in segments):
        return _CARD_NUMBER
    return None


def _query_holds_card_number(path: str, query: str) -> bool:
    """A provider's words are random, and identifiers with dashes (RFC 9562) among them: one in 150 of those holds
    digits that pass for a card. They are judged one by one there; none is logged, and none kept.
    """
    if path == CALLBACK:
        return any(
            _bare_card_number(word) for pair in parse_qsl(query, keep_blank_values=True) for word in pair
        )
    return holds_card_number(unquote_plus(query))


def _bare_card_number(text: str) -> bool:
    """Random identifiers hold letters; among them a run of digits means nothing."""
    return not any(character.isalpha() for character in text) and holds_card_number(text)


def _body_refusal(body: bytes) -> _Refusal | None:
    """RFC 8259 section 8.1: JSON is UTF-8. Parsers take UTF-16 and UTF-32 as well, in which no number is found here;
    what is ASCII in them passes for UTF-8 with NULs between, which no JSON text has.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return _NOT_UTF_8
    if "\0" in text:
        return _NOT_UTF_8
    return _CARD_NUMBER if holds_card_number(text) else None


async def _read_body(receive: Receive, bytes_max: int) -> bytes | None:
    """Return the whole body, or None where it is too long. Stops reading there."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > bytes_max:
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
