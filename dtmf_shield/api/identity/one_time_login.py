"""Login by a one-time link: the ticket in the link opens one local session, once.

Tickets are kept as digests and are spent by their first use. Whoever can read the terminal that started the service,
or write its state directory, is its local administrator and holds every role.
"""

from __future__ import annotations

import ipaddress
import secrets
from typing import Final

from dtmf_shield.api.identity.principal import EVERY_ROLE
from dtmf_shield.api.identity.secret import digest_of, new_secret
from dtmf_shield.api.identity.sessions import LINK, Sessions
from dtmf_shield.base.clock import Clock
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.store.identity_rows import IdentityRows, LinkRow

TICKET_LIFETIME_S: Final = 3_600.0
TICKETS_MAX: Final = 16
"""Unspent tickets; a further one drops the oldest."""
SESSION_LINK: Final = "session"


def issue_ticket(rows: IdentityRows, clock: Clock, ticket: str = "") -> str:
    """Return a fresh ticket, good once and for TICKET_LIFETIME_S; ``ticket`` is one made elsewhere."""
    now_s, ticket = clock.wall_s(), ticket or new_secret()
    unspent = sorted(
        (link for link in rows.links() if link.purpose == SESSION_LINK), key=lambda link: link.ends
    )
    for link in unspent[: max(0, len(unspent) - TICKETS_MAX + 1)]:
        rows.take_link(link.digest)
    rows.put(LinkRow(digest_of(ticket), SESSION_LINK, "", now_s + TICKET_LIFETIME_S))
    return ticket


class OneTimeLogin:
    """Issues tickets and turns each into one session."""

    def __init__(self, rows: IdentityRows, clock: Clock, sessions: Sessions) -> None:
        self._rows, self._clock, self._sessions = rows, clock, sessions

    def issue(self, ticket: str = "") -> str:
        """Return a fresh ticket; see :func:`issue_ticket`."""
        return issue_ticket(self._rows, self._clock, ticket)

    def redeem(self, ticket: str) -> str | None:
        """Spend ``ticket``; return the cookie of a new session, or None where it is spent, old or unknown."""
        digest = digest_of(ticket)
        # A link that sets a password opens no session, and is not used up by the attempt.
        if not any(link.digest == digest and link.purpose == SESSION_LINK for link in self._rows.links()):
            return None
        link = self._rows.take_link(digest)
        if link is None or self._clock.wall_s() >= link.ends:
            return None
        return self._sessions.open(f"link-{secrets.token_hex(4)}", LINK, EVERY_ROLE)


def login_url(origin: str, ticket: str) -> str:
    """Return the link to print. ``origin``: such as http://127.0.0.1:8080."""
    return f"{origin}/login?ticket={ticket}"


def is_loopback(host: str) -> bool:
    """Whether ``host`` is a loopback literal."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def require_loopback(host: str) -> None:
    """Raise OperatorError unless ``host`` is a loopback literal: without TLS the API is on no other."""
    if is_loopback(host):
        return
    raise OperatorError(
        f"[api] listen: found {host!r}; allowed: a loopback address (127.0.0.1 or [::1]), or any other with public_url "
        "and TLS (tls_certificate_file and tls_key_file, or behind_proxy). To reach a loopback one from elsewhere use "
        "an SSH tunnel (ssh -L 8080:127.0.0.1:8080 HOST)."
    )
