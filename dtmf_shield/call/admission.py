"""Checks that every request passes before anything is done with it (RFC 3261 section 8.2), and OPTIONS."""

from __future__ import annotations

from dtmf_shield.call.context import ACCEPT, ALLOW, Context
from dtmf_shield.sip.endpoint import RETRY_AFTER_S
from dtmf_shield.sip.events import RequestReceived
from dtmf_shield.sip.message import METHODS_KNOWN, Request
from dtmf_shield.sip.uri import parse_uri

SERVED = frozenset({"INVITE", "BYE", "OPTIONS", "INFO", "UPDATE"})

Refusal = tuple[int, tuple[tuple[str, str], ...]]


def refusal_of(request: Request) -> Refusal | None:
    """Return status and fields that refuse a request whatever the call; None where it may go on."""
    if request.method not in METHODS_KNOWN:
        return 501, (("Allow", ALLOW),)
    if request.method not in SERVED:
        return 405, (("Allow", ALLOW),)
    # RFC 3261 section 8.2.2.1: sips wants TLS all the way, which this version does not speak.
    if parse_uri(request.uri).scheme != "sip":
        return 416, ()
    required = request.headers.tokens("Require")
    if required:
        return 420, (("Unsupported", ", ".join(required)),)  # section 8.2.2.3: we support no extension
    return _body_refusal(request) if request.method in ("INVITE", "UPDATE") else None


def _body_refusal(request: Request) -> Refusal | None:
    encodings = [item.lower() for item in request.headers.tokens("Content-Encoding")]
    if any(item != "identity" for item in encodings):
        return 415, (("Accept-Encoding", "identity"),)
    if len(request.body) and request.content_type != "application/sdp":
        return 415, (("Accept", "application/sdp"),)
    accepted = [item.partition(";")[0].strip().lower() for item in request.headers.tokens("Accept")]
    if accepted and not {"application/sdp", "application/*", "*/*"}.intersection(accepted):
        return 406, ()
    return None


def answer_options(ctx: Context, now_s: float, event: RequestReceived, *, ready: bool) -> None:
    """Answer OPTIONS: it mirrors readiness (SIP clause 11; 503 takes us out of a dispatcher's set)."""
    if not ready:
        headers: tuple[tuple[str, str], ...] = (("Retry-After", str(RETRY_AFTER_S)),)
        ctx.answer(now_s, event.transaction, event.request, 503, headers=headers)
        return
    headers = (("Allow", ALLOW), ("Accept", ACCEPT), ("Supported", ""))
    ctx.answer(now_s, event.transaction, event.request, 200, headers=headers)
