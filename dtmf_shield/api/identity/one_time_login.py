"""Login by a one-time link: the ticket in the link opens one local session, kept in a signed cookie.

Tickets live in memory as digests and are spent by their first use. Sessions are stateless (HMAC-SHA-256 over their
random name and end), so that they outlive a restart of the process where the same secret is given again. Whoever
can read the terminal that started the service is its local administrator and holds every role.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import secrets
from typing import Final

from dtmf_shield.api.identity.principal import EVERY_ROLE, Principal
from dtmf_shield.base.clock import Clock
from dtmf_shield.base.errors import OperatorError

TICKET_LIFETIME_S: Final = 3_600
SESSION_LIFETIME_S: Final = 12 * 3_600
"""One long shift; then a new link."""
TICKETS_MAX: Final = 16
"""Unspent tickets; a further one drops the oldest."""
COOKIE: Final = "dtmf_shield_session"
COOKIE_CHARACTERS_MAX: Final = 256
SECRET_BYTES_MIN: Final = 16


class OneTimeLogin:
    """Issues tickets, turns each into one session, and reads session cookies back."""

    def __init__(self, clock: Clock, secret: bytes | None = None) -> None:
        if secret is not None and len(secret) < SECRET_BYTES_MIN:
            raise OperatorError(f"the login secret has {len(secret)} bytes; {SECRET_BYTES_MIN} are the least")
        self._clock = clock
        self._key = hmac.digest(secret or secrets.token_bytes(32), b"dtmf-shield session v1", "sha256")
        self._tickets: dict[bytes, float] = {}

    def issue(self, ticket: str = "") -> str:
        """Return a fresh ticket, good once and for TICKET_LIFETIME_S; ``ticket`` is one made elsewhere."""
        ticket = ticket or secrets.token_urlsafe(32)
        while len(self._tickets) >= TICKETS_MAX:
            del self._tickets[next(iter(self._tickets))]
        self._tickets[_digest(ticket)] = self._clock.wall_s() + TICKET_LIFETIME_S
        return ticket

    def redeem(self, ticket: str) -> str | None:
        """Spend ``ticket``; return the cookie value of a new session, or None where it is spent, old or unknown."""
        ends_s = self._tickets.pop(_digest(ticket), None)
        if ends_s is None or self._clock.wall_s() >= ends_s:
            return None
        body = f"{secrets.token_hex(12)}.{int(self._clock.wall_s()) + SESSION_LIFETIME_S}"
        return f"{body}.{self._sign(body)}"

    def session(self, cookie: str) -> Principal | None:
        """Return the principal of a cookie value, or None where it is forged, malformed or over."""
        if len(cookie) > COOKIE_CHARACTERS_MAX or not cookie.isascii():
            return None
        name, _, rest = cookie.partition(".")
        ends, _, signature = rest.partition(".")
        if not hmac.compare_digest(signature, self._sign(f"{name}.{ends}")):
            return None
        ends_s = float(ends)  # signed by us: a number
        if self._clock.wall_s() >= ends_s:
            return None
        return Principal(name, roles=EVERY_ROLE, by_cookie=True, ends_s=ends_s)

    def _sign(self, body: str) -> str:
        mac = hmac.digest(self._key, body.encode(), "sha256")
        return base64.urlsafe_b64encode(mac).decode().rstrip("=")


def login_url(host: str, port: int, ticket: str) -> str:
    """Return the link to print, for an IPv4 or IPv6 literal."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/login?ticket={ticket}"


def require_loopback(host: str) -> None:
    """Raise OperatorError unless ``host`` is a loopback literal: this version has no TLS and no users."""
    try:
        if ipaddress.ip_address(host.partition("%")[0]).is_loopback:
            return
    except ValueError:
        pass
    raise OperatorError(
        f"[api] listen: found {host!r}; allowed: a loopback address (127.0.0.1 or [::1]). The API has no TLS and one "
        "local login in this version; to reach it from elsewhere use an SSH tunnel (ssh -L 8080:127.0.0.1:8080 HOST)."
    )


def _digest(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode("utf-8", "replace")).digest()
