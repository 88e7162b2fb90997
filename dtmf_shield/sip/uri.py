"""SIP URIs, name-addr and Via values (RFC 3261 sections 19.1, 20.10, 20.42, 25.1). Escapes are never decoded.

Strict where the RFC lets a receiver choose: what is read here is exactly what the next hop would read. Other
schemes are kept as text; resolving names is not done here.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from dtmf_shield.sip.errors import Malformed

PARAMETERS_MAX: Final = 32
"""Parameters of one URI or header value; real ones have fewer than ten."""
HOST_CHARACTERS_MAX: Final = 255
"""RFC 1035 section 2.3.4."""
URIS_CACHED: Final = 2_048

Parameters = tuple[tuple[str, str | None], ...]

TOKEN: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_PARAMETER_TOKEN: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~:]+")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")
_USER: Final = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/]|%[0-9A-Fa-f]{2})+")
_PASSWORD: Final = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()&=+$,]|%[0-9A-Fa-f]{2})*")
_LABEL: Final = re.compile(r"[A-Za-z0-9_\-]{1,63}")
_IPV4: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_URI_PARAMETER: Final = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()\[\]/:&+$]|%[0-9A-Fa-f]{2})+")
_URI_HEADERS: Final = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()\[\]/?:+$&=]|%[0-9A-Fa-f]{2})*")
_OTHER_URI: Final = re.compile(r"[A-Za-z0-9\-_.!~*'();/?:@&=+$,%\[\]#|]+")
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_VIA: Final = re.compile(
    r"SIP[ \t]*/[ \t]*([A-Za-z0-9.\-]+)[ \t]*/[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)[ \t]+([^;\s]+)", re.IGNORECASE
)
_SPACED_COLON: Final = re.compile(r"[ \t]*:[ \t]*")


@dataclass(frozen=True, slots=True)
class Uri:
    """A URI. For schemes other than sip and sips everything after the colon is ``opaque``."""

    scheme: str
    user: str | None
    host: str
    port: int | None = None
    parameters: Parameters = ()
    headers: str = ""
    opaque: str = ""

    def parameter(self, name: str) -> str | None:
        """Return a parameter's value, ``""`` for one without a value, None where it is missing."""
        return _parameter(self.parameters, name)

    def without_headers(self) -> Uri:
        """Return the URI as it may stand in a Request-URI."""
        return Uri(self.scheme, self.user, self.host, self.port, self.parameters, "", self.opaque)

    def __str__(self) -> str:
        if self.opaque:
            return f"{self.scheme}:{self.opaque}"
        user = f"{self.user}@" if self.user is not None else ""
        headers = f"?{self.headers}" if self.headers else ""
        address = host_port(self.host, self.port)
        return f"{self.scheme}:{user}{address}{format_parameters(self.parameters)}{headers}"


@dataclass(frozen=True, slots=True)
class NameAddr:
    """A From, To, Contact, Route or Record-Route value. ``display_name`` is raw, quotes included."""

    display_name: str
    uri: Uri
    parameters: Parameters = ()

    @property
    def tag(self) -> str | None:
        """The dialog tag."""
        return _parameter(self.parameters, "tag")

    def parameter(self, name: str) -> str | None:
        """As Uri.parameter, for the header's own parameters."""
        return _parameter(self.parameters, name)

    def with_tag(self, tag: str) -> NameAddr:
        """Return the same with this tag."""
        others = tuple(pair for pair in self.parameters if pair[0].lower() != "tag")
        return NameAddr(self.display_name, self.uri, (*others, ("tag", tag)))

    def __str__(self) -> str:
        name = f"{self.display_name} " if self.display_name else ""
        return f"{name}<{self.uri}>{format_parameters(self.parameters)}"


@dataclass(frozen=True, slots=True)
class Via:
    """One Via value. ``version`` is kept: an answer to another version must echo it."""

    version: str
    transport: str
    host: str
    port: int | None
    parameters: Parameters = ()

    @property
    def branch(self) -> str | None:
        """The branch parameter."""
        return _parameter(self.parameters, "branch")

    def parameter(self, name: str) -> str | None:
        """As Uri.parameter."""
        return _parameter(self.parameters, name)

    def __str__(self) -> str:
        address = host_port(self.host, self.port)
        return f"SIP/{self.version}/{self.transport} {address}{format_parameters(self.parameters)}"


@lru_cache(maxsize=URIS_CACHED)
def parse_uri(text: str) -> Uri:
    """Parse a URI without angle brackets. Raises Malformed."""
    scheme, colon, rest = text.partition(":")
    if not colon or not _SCHEME.fullmatch(scheme) or not rest:
        raise Malformed("URI without scheme")
    if scheme.lower() not in ("sip", "sips"):
        if not _OTHER_URI.fullmatch(rest):
            raise Malformed("illegal character in URI")
        return Uri(scheme.lower(), None, "", opaque=rest)
    user, at, remainder = rest.rpartition("@")
    if at and not _user_legal(user):
        raise Malformed("illegal user part in URI")
    remainder, question, headers = remainder.partition("?")
    if question and not (headers and _URI_HEADERS.fullmatch(headers)):
        raise Malformed("illegal header part in URI")
    address, *raw = remainder.split(";")
    host, port = parse_host_port(address)
    return Uri(scheme.lower(), user if at else None, host, port, _uri_parameters(raw), headers)


def parse_name_addr(text: str) -> NameAddr:
    """Parse one name-addr or addr-spec with header parameters. Raises Malformed."""
    display, rest = _display_name(text.strip(" \t"))
    if rest.startswith("<"):
        inner, close, tail = rest[1:].partition(">")
        if not close:
            raise Malformed("open angle bracket")
        return NameAddr(display, parse_uri(inner), parse_parameters(tail))
    # RFC 3261 section 20.10: without brackets, what follows a semicolon belongs to the header, and the URI may
    # hold neither comma, question mark nor semicolon.
    address, semicolon, tail = rest.partition(";")
    address = address.rstrip(" \t")
    if "?" in address or "," in address:
        raise Malformed("URI needs angle brackets")
    return NameAddr("", parse_uri(address), parse_parameters(semicolon + tail))


def parse_via(text: str) -> Via:
    """Parse one Via value. Raises Malformed."""
    text = text.strip(" \t")
    head, semicolon, tail = text.partition(";")
    match = _VIA.fullmatch(_SPACED_COLON.sub(":", head.rstrip(" \t")))
    if match is None:
        raise Malformed("illegal Via")
    host, port = parse_host_port(match[3])
    return Via(match[1], match[2].upper(), host, port, parse_parameters(semicolon + tail))


def parse_host_port(text: str) -> tuple[str, int | None]:
    """Parse ``host``, ``host:port`` or ``[v6]:port``; IPv6 comes back without brackets. Raises Malformed."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not is_ip(host) or ":" not in host or (rest and not rest.startswith(":")):
            raise Malformed("illegal IPv6 reference")
        return host, _port(rest[1:]) if rest else None
    host, colon, port = text.partition(":")
    if not (is_ip(host) if _IPV4.fullmatch(host) else _is_host_name(host)):
        raise Malformed("illegal host")
    return host, _port(port) if colon else None


def is_ip(host: str) -> bool:
    """Whether ``host`` is an IPv4 or IPv6 literal without a zone."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def host_port(host: str, port: int | None) -> str:
    """Write host and port as in a URI or Via."""
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def parse_parameters(text: str) -> Parameters:
    """Parse ``;name=value;name="quoted"`` with white space anywhere. Raises Malformed."""
    found: list[tuple[str, str | None]] = []
    rest = text.strip(" \t")
    while rest:
        if not rest.startswith(";"):
            raise Malformed("illegal parameter")
        name, rest = _take(TOKEN, rest[1:].lstrip(" \t"))
        value: str | None = None
        if rest.startswith("="):
            value, rest = _parameter_value(rest[1:].lstrip(" \t"))
        found.append((name, value))
        if len(found) > PARAMETERS_MAX:
            raise Malformed("too many parameters")
    if len({name.lower() for name, _ in found}) != len(found):
        raise Malformed("repeated parameter")
    return tuple(found)


def format_parameters(parameters: Parameters) -> str:
    """Write parameters with their semicolons."""
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in parameters)


def split_values(text: str) -> list[str]:
    """Split a header value at its commas, but not at those in quotes or angle brackets. Raises Malformed."""
    if "," not in text:
        return [text]
    parts: list[str] = []
    start, position, bracket = 0, 0, False
    while position < len(text):
        character = text[position]
        if character == '"' and not bracket:
            match = _QUOTED.match(text, position)
            if match is None:
                raise Malformed("open quote")
            position = match.end()
            continue
        if character in "<>":
            bracket = character == "<"
        elif character == "," and not bracket:
            parts.append(text[start:position])
            start = position + 1
        position += 1
    parts.append(text[start:])
    return parts


def _display_name(text: str) -> tuple[str, str]:
    if text.startswith('"'):
        match = _QUOTED.match(text)
        if match is None:
            raise Malformed("open quote")
        rest = text[match.end() :].lstrip(" \t")
        if not rest.startswith("<"):
            raise Malformed("display name without angle brackets")
        return match.group(), rest
    position = text.find("<")
    if position < 0 or ";" in text[:position]:
        return "", text
    display = text[:position].rstrip(" \t")
    # RFC 3261 section 25.1: *(token LWS); other names need quotes.
    if not all(TOKEN.fullmatch(word) for word in display.split()):
        raise Malformed("illegal display name")
    return display, text[position:]


def _parameter_value(rest: str) -> tuple[str, str]:
    if rest.startswith('"'):
        return _take(_QUOTED, rest)
    if rest.startswith("["):
        inner, bracket, tail = rest[1:].partition("]")
        if not bracket or not is_ip(inner):
            raise Malformed("illegal IPv6 reference")
        return f"[{inner}]", tail.lstrip(" \t")
    # An IPv6 address in received= stands bare as often as in brackets (RFC 5118 section 4.5).
    return _take(_PARAMETER_TOKEN, rest)


def _take(pattern: re.Pattern[str], text: str) -> tuple[str, str]:
    match = pattern.match(text)
    if match is None:
        raise Malformed("illegal parameter")
    return match.group(), text[match.end() :].lstrip(" \t")


def _is_host_name(host: str) -> bool:
    if not host or len(host) > HOST_CHARACTERS_MAX:
        return False
    labels = host.removesuffix(".").split(".")
    if not all(_LABEL.fullmatch(label) and label[0] != "-" and label[-1] != "-" for label in labels):
        return False
    return labels[-1][0].isalpha()  # RFC 3261 section 25.1: toplabel


def _user_legal(user: str) -> bool:
    name, colon, password = user.partition(":")
    return bool(_USER.fullmatch(name)) and (not colon or bool(_PASSWORD.fullmatch(password)))


def _uri_parameters(raw: list[str]) -> Parameters:
    if len(raw) > PARAMETERS_MAX:
        raise Malformed("too many parameters")
    found: list[tuple[str, str | None]] = []
    for item in raw:
        name, equals, value = item.partition("=")
        if not _URI_PARAMETER.fullmatch(name) or (equals and not _URI_PARAMETER.fullmatch(value)):
            raise Malformed("illegal URI parameter")
        found.append((name, value if equals else None))
    return tuple(found)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or not 0 < int(text) <= 65_535:
        raise Malformed("illegal port")
    return int(text)


def _parameter(parameters: Parameters, name: str) -> str | None:
    for key, value in parameters:
        if key.lower() == name:
            return "" if value is None else value
    return None
