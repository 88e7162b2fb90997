"""The session cookie: set at a login, taken away at a logout (RFC 6265bis)."""

from __future__ import annotations

from fastapi.responses import Response

from dtmf_shield.api.site import EMBED_COOKIE, Site


def set_session(answer: Response, site: Site, cookie: str) -> None:
    """Give the browser its session. No Max-Age: it ends with the browser, or sooner with the session itself."""
    # Not Secure without TLS: browsers keep Secure cookies from plain HTTP, and that is on loopback only.
    answer.set_cookie(site.cookie(), cookie, path="/", secure=site.secure, httponly=True, samesite="lax")


def drop_session(answer: Response, site: Site) -> None:
    """Take the browser's session away."""
    answer.delete_cookie(site.cookie(), path="/", secure=site.secure, httponly=True, samesite="lax")


def set_embedded_session(answer: Response, site: Site, cookie: str) -> None:
    """Give an embedded page a session of its own, which no other page's frame sees (CHIPS: Partitioned).

    Without TLS browsers take no SameSite=None, so there only a page of the same site may hold the panel.
    """
    name = site.cookie(EMBED_COOKIE)
    answer.set_cookie(
        name, cookie, path="/", secure=site.secure, httponly=True, samesite="none" if site.secure else "lax"
    )
    if site.secure:
        # http.cookies knows the word from Python 3.14 on.
        key, value = answer.raw_headers[-1]
        answer.raw_headers[-1] = (key, value + b"; Partitioned")
