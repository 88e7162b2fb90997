"""What of a caller's INVITE goes on to whoever is called for it, then or later: name, number, allowed headers, hops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from dtmf_shield.flow.inputs import may_be_card
from dtmf_shield.sip.message import Request

HEADER_CHARACTERS_MAX: Final = 64
"""No header is kept, and no input is, that is longer."""
NEVER_PASSED: Final = frozenset(
    {
        *("Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards"),
        *("Contact", "Route", "Record-Route", "Allow"),
        *("Supported", "Require", "Proxy-Require", "Content-Length", "Content-Type", "Content-Encoding"),
        *("User-Agent", "Server", "Session-Expires", "Min-SE", "Authorization", "Proxy-Authorization"),
    }
)
"""Ours on each leg, whatever a trunk's allow-list says."""


class Onward(msgspec.Struct, frozen=True, kw_only=True):
    """Values for an INVITE of ours.

    ``max_forwards``: what is left of the caller's, so that a loop ends (RFC 3261 section 16.3).
    """

    display_name: str = ""
    user: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    max_forwards: int = 0

    @property
    def kept(self) -> Onward:
        """What may be written to disk: no header that may hold a card number, none longer than a flow may be told."""
        headers = tuple(
            (name, value)
            for name, value in self.headers
            if len(value) <= HEADER_CHARACTERS_MAX and not may_be_card(value)
        )
        return msgspec.structs.replace(self, headers=headers)


def onward_of(request: Request, pass_headers: Sequence[str]) -> Onward:
    """Read a caller's INVITE. ``pass_headers``: canonical names that its trunk lets pass."""
    names = [name for name in pass_headers if name not in NEVER_PASSED]
    user = caller_user(request)
    legal = user if request.from_.uri.user is not None else user.replace("/", "")
    return Onward(
        display_name=request.from_.display_name,
        user=legal or None,
        headers=tuple((name, value) for name, value in request.headers if name in names),
        max_forwards=request.max_forwards - 1,
    )


def caller_user(request: Request) -> str:
    """Return who calls: the user part of From, or the number of a tel URI (RFC 3966)."""
    uri = request.from_.uri
    return uri.user if uri.user is not None else uri.opaque.partition(";")[0]
