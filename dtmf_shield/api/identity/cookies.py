"""The session cookie: set at a login, taken away at a logout (RFC 6265bis)."""

from __future__ import annotations

from fastapi.responses import Response

from dtmf_shield.api.site import Site


def set_session(answer: Response, site: Site, cookie: str) -> None:
    """Give the browser its session. No Max-Age: it ends with the browser, or sooner with the session itself."""
    # Not Secure without TLS: browsers keep Secure cookies from plain HTTP, and that is on loopback only.
    answer.set_cookie(site.cookie(), cookie, path="/", secure=site.secure, httponly=True, samesite="lax")


def drop_session(answer: Response, site: Site) -> None:
    """Take the browser's session away."""
    answer.delete_cookie(site.cookie(), path="/", secure=site.secure, httponly=True, samesite="lax")
