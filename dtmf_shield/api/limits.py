"""How often one may ask: token buckets by principal, and by address for whoever is not signed in (429, RFC 6585).

An address of IPv6 is counted as its /64: one connection has that many, and whoever has it may use each once.

A stream that is open is never held up: only requests are counted. A right key or session is served however many wrong
ones its address has tried, so that nobody can lock another out.
"""

from __future__ import annotations

import ipaddress
import itertools
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from dtmf_shield.base.clock import Clock


@dataclass(frozen=True, slots=True)
class Rate:
    """``burst`` requests at once, then ``per_s`` a second."""

    per_s: float
    burst: int


SESSION_RATE: Final = Rate(per_s=50, burst=200)
"""A person's pages: a start loads some twenty files and asks some ten questions; then the stream tells."""
KEY_RATE: Final = Rate(per_s=500, burst=1_000)
"""A program: it may stand for hundreds of desktops."""
STRANGER_RATE: Final = Rate(per_s=50, burst=200)
"""An address without a session, or with a wrong key: sign-in pages, probes, and guesses."""
PROVIDER_RATE: Final = Rate(per_s=2, burst=60)
"""An address on its way to the provider: a shift begins at once in one office. It cannot push others out: where too
many ways are remembered, whoever has most of them loses one."""
BUCKETS_MAX: Final = 4_096
"""Askers remembered; the longest unheard is forgotten first, and begins with a full bucket again."""
LOOKED_AT_MAX: Final = 32
"""Among so many of the longest unheard one is looked for that may ask, so that who must wait is not let in by being
forgotten. No more: each request would pay for it."""
IPV6_NETWORK_BITS: Final = 64
"""RFC 4291 section 2.5.4, RFC 6177: no connection has less."""


def counted_as(address: str) -> str:
    """Return what an address is counted as: IPv4 as itself, IPv6 as its /64, any other text as it is."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    host_bits = found.max_prefixlen - IPV6_NETWORK_BITS
    return f"{ipaddress.IPv6Address(int(found) >> host_bits << host_bits)}/{IPV6_NETWORK_BITS}"


class RateLimit:
    """Buckets of one rate, by name."""

    def __init__(self, rate: Rate, clock: Clock, buckets_max: int = BUCKETS_MAX) -> None:
        self._rate, self._clock, self._buckets_max = rate, clock, buckets_max
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> int:
        """Count a request of ``name``. Return 0, or in how many seconds it may ask again; that one is not counted."""
        now_s = self._clock.now_s()
        left = self._left(*self._buckets.pop(name, (float(self._rate.burst), now_s)), now_s)
        allowed = left >= 1
        if len(self._buckets) >= self._buckets_max:
            del self._buckets[self._going(now_s)]
        self._buckets[name] = (left - allowed, now_s)
        return 0 if allowed else math.ceil((1 - left) / self._rate.per_s)

    def _left(self, left: float, at_s: float, now_s: float) -> float:
        return min(float(self._rate.burst), left + max(now_s - at_s, 0.0) * self._rate.per_s)

    def _going(self, now_s: float) -> str:
        """Return who is forgotten: the longest unheard that would be let in, among the first few."""
        oldest = itertools.islice(self._buckets.items(), LOOKED_AT_MAX)
        may_ask = (name for name, (left, at_s) in oldest if self._left(left, at_s, now_s) >= 1)
        return next(may_ask, next(iter(self._buckets)))


class Limits:
    """The limits of one application."""

    def __init__(self, clock: Clock) -> None:
        self.sessions = RateLimit(SESSION_RATE, clock)
        self.keys = RateLimit(KEY_RATE, clock)
        self.strangers = RateLimit(STRANGER_RATE, clock)
        self.provider = RateLimit(PROVIDER_RATE, clock)
