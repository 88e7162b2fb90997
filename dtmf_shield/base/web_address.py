"""Host names, and the URLs of hooks: https anywhere, http to loopback only; no user, query or fragment."""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple

HOST_NAME: Final = re.compile(
    r"(?=.{1,253}$)(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
"""Letters, digits, hyphens (RFC 1123 section 2.1); the last label begins with a letter, so that no address is one."""
PORT_MAX: Final = 65_535
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::(?P<port>\d{1,5}))?"
    r"(?P<path>/[A-Za-z0-9._~/-]{0,200})?"
)
_ALLOWED: Final = "https://host/path, without user, query and fragment"


class WebAddress(NamedTuple):
    """Where a URL leads. ``host``: a name or a literal without brackets."""

    host: str
    port: int
    path: str
    tls: bool


def web_address(url: str) -> WebAddress:
    """Split a URL. Raises ValueError that says what is allowed."""
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError(_ALLOWED)
    host, tls = match["host"].strip("[]"), match["scheme"] == "https"
    address = WebAddress(host, int(match["port"] or _usual_port(tls)), match["path"] or "/", tls)
    literal = _literal(host)
    if not 0 < address.port <= PORT_MAX or (literal is None and HOST_NAME.fullmatch(host) is None):
        raise ValueError(_ALLOWED)
    if not tls and (literal is None or not literal.is_loopback):
        raise ValueError(f"{_ALLOWED}; http only to a loopback address such as 127.0.0.1")
    return address


def origin_of(address: WebAddress) -> str:
    """Return where a URL leads as browsers write an origin (RFC 6454 section 6.1): small letters, no usual port."""
    literal = _literal(address.host)
    host = f"[{literal}]" if literal is not None and literal.version == 6 else address.host.lower()
    origin = f"https://{host}" if address.tls else f"http://{host}"
    return origin if address.port == _usual_port(address.tls) else f"{origin}:{address.port}"


def _usual_port(tls: bool) -> int:
    return 443 if tls else 80


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
