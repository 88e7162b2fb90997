"""One HTTP connection as uvicorn serves it, with the limits that uvicorn has not: how long a request's head may take,
and how many connections one address may hold. Whoever opens connections and says nothing shuts nobody else out.

A stream that is open is never touched: its request has come. The time of a body is the gate's.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

import h11
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from dtmf_shield.api.events import SUBSCRIBERS_MAX
from dtmf_shield.api.identity.one_time_login import is_loopback
from dtmf_shield.api.limits import counted_as
from dtmf_shield.api.site import Site

CONNECTIONS_MAX: Final = SUBSCRIBERS_MAX + 256
"""Every event stream, and what else pages and programs ask meanwhile."""
CONNECTIONS_OF_ADDRESS_MAX: Final = SUBSCRIBERS_MAX
"""A whole office may come by one address; a third stays for others. Proxies of ours and this machine have no limit."""
KEEP_ALIVE_S: Final = 15
"""How long a connection is kept for a next request."""
HEAD_TIME_MAX_S: Final = 20.0
"""For a request's head, counted from when it may begin: longer than KEEP_ALIVE_S, in which none may begin at all."""


class Connection(H11Protocol):
    """See the module. uvicorn makes one for each connection, once TLS stands."""

    head_time_max_s = HEAD_TIME_MAX_S
    of_address_max = CONNECTIONS_OF_ADDRESS_MAX

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_timer: asyncio.TimerHandle | None = None
        self._holder: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Take the connection, unless its address has too many."""
        super().connection_made(transport)
        self._holder = _holder(self.client[0] if self.client is not None else "", self._site)
        if self._holder is not None and self._of_same_holder() > self.of_address_max:
            transport.abort()
            return
        self._watch_head()

    def handle_events(self) -> None:
        """Serve what has come; where that is no whole head of a request, time goes on."""
        super().handle_events()
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        super().connection_lost(exc)

    @property
    def _site(self) -> Site:
        return cast(Site, cast(FastAPI, self.config.app).state.context.site)

    def _of_same_holder(self) -> int:
        others = (each for each in self.connections if isinstance(each, Connection))
        return sum(each._holder == self._holder for each in others)

    def _watch_head(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop_timer()
        elif self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(self.head_time_max_s, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _holder(peer: str, site: Site) -> str | None:
    """Return whom connections from ``peer`` are counted for; None: nobody, they have no limit."""
    if not peer or is_loopback(peer) or (site.proxies and site.takes_peer(peer)):
        return None
    return counted_as(peer)
