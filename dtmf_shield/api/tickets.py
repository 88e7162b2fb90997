"""Tickets that open one thing once, within TICKET_LIFETIME_S, as whoever asked for them.

One book of them is for the event stream (readers that cannot send a header, such as EventSource in another program's
page), one for the session of an embedded page. A ticket of one book opens nothing of the other.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from typing import Final

from dtmf_shield.api.identity.principal import Principal
from dtmf_shield.base.clock import Clock

TICKET_LIFETIME_S: Final = 30
TICKETS_MAX: Final = 1_024
"""Not spent yet; a further one drops the oldest."""
TICKET_BYTES: Final = 24


class Tickets:
    """A book of tickets in memory, as digests."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tickets: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()

    def issue(self, principal: Principal) -> str:
        """Return a fresh ticket."""
        ticket = secrets.token_urlsafe(TICKET_BYTES)
        self._tickets[_digest(ticket)] = (principal, self._clock.now_s() + TICKET_LIFETIME_S)
        while len(self._tickets) > TICKETS_MAX:
            self._tickets.popitem(last=False)
        return ticket

    def redeem(self, ticket: str) -> Principal | None:
        """Spend a ticket; None where it is spent, old or unknown."""
        principal, ends_s = self._tickets.pop(_digest(ticket), (None, 0.0))
        return principal if self._clock.now_s() < ends_s else None


def _digest(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode("utf-8", "replace")).digest()
