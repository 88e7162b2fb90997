"""Where browsers reach the service: its public name, whether by TLS, and which proxies are believed about addresses.

Without a public name the service answers to loopback names only, in plain HTTP (RFC 6265bis section 4.1.2.5: Secure
cookies need https, so there the cookie has no ``__Host-`` prefix).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

COOKIE: Final = "dtmf_shield_session"
EMBED_COOKIE: Final = "dtmf_shield_embedded"
"""The session of an embedded page: one of its own, so that the cookie of people at our pages stays SameSite=Lax."""
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Site:
    """``origin``: such as https://pay.example.com, empty for loopback. ``hosts``: names taken beside loopback ones.

    ``proxies``: networks of proxies in front; where there are any, nobody else is answered, but for loopback.
    ``embed_origins``: whose pages may hold the capture panel, as browsers write origins.
    """

    origin: str = ""
    hosts: frozenset[str] = frozenset()
    proxies: tuple[Network, ...] = ()
    embed_origins: tuple[str, ...] = ()

    @property
    def secure(self) -> bool:
        """Whether browsers come by TLS."""
        return self.origin.startswith("https:")

    def cookie(self, name: str = COOKIE) -> str:
        """Return the name of a cookie: with ``__Host-`` a browser takes it from this host over TLS alone."""
        return f"__Host-{name}" if self.secure else name

    def answers_to(self, host: str) -> bool:
        """Whether a Host header may name the service so; a foreign one is DNS rebinding."""
        name = _host_name(host)
        if name == "localhost" or name in self.hosts:
            return True
        address = _literal(name)
        return address is not None and address.is_loopback

    def origin_of(self, scheme: str, host: str) -> str:
        """Return the origin that a page of ours has when it was asked for by this Host header."""
        if self.origin and _host_name(host) in self.hosts:
            return self.origin
        return f"{scheme}://{host}"

    def takes_peer(self, peer: str) -> bool:
        """Whether a connection from ``peer`` is answered."""
        if not self.proxies:
            return True
        address = _literal(peer)
        return address is not None and (address.is_loopback or self._is_proxy(peer))

    def client(self, peer: str, forwarded: str) -> str:
        """Return the address of who asks: the peer, or the last one that is no proxy of ours.

        ``forwarded``: X-Forwarded-For. Its left end is whatever the client wrote, so it is read from the right.
        """
        if not self.proxies or not (self._is_proxy(peer) or _is_loopback(peer)):
            return peer
        for hop in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
            if _literal(hop) is None:
                break
            if not self._is_proxy(hop):
                return hop
        return peer

    def _is_proxy(self, text: str) -> bool:
        address = _literal(text)
        return address is not None and any(address in network for network in self.proxies)


LOOPBACK: Final = Site()


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host.rpartition("]")[0].lstrip("[").lower()
    return host.partition(":")[0].lower()


def _literal(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_loopback(text: str) -> bool:
    address = _literal(text)
    return address is not None and address.is_loopback
