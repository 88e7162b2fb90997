"""Security headers of every answer: Content-Security-Policy level 3 without inline code, no referrer, no sniffing."""

from __future__ import annotations

from typing import Final

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "media-src 'self' blob:; frame-ancestors 'self'; base-uri 'none'; form-action 'self'"
)
SECURITY_HEADERS: Final = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"permissions-policy", b"microphone=(self), camera=(), geolocation=(), payment=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
TRANSPORT_SECURITY: Final = (b"strict-transport-security", b"max-age=31536000")
"""RFC 6797, where browsers come by TLS: a year in which they try no plain HTTP."""


def framed_by(origins: tuple[str, ...]) -> str:
    """Return the Content-Security-Policy of a page that ``origins`` may hold in a frame, beside our own pages.

    A browser asks it of each page around, up to the top (CSP level 3, section 6.4.2.1): all of them have to be named.
    """
    return CONTENT_SECURITY_POLICY.replace(
        "frame-ancestors 'self'", " ".join(["frame-ancestors 'self'", *origins])
    )
