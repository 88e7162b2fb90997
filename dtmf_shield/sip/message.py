"""SIP requests and responses as values, and how they are written (RFC 3261 sections 7 and 8.1.1).

Field values stay text and are parsed when asked for; the parser asks for those that decide. Bodies stay bytes;
a body that may hold keys is an OpaqueBody, which nobody here can look into.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NoReturn

from dtmf_shield.sip.errors import Malformed
from dtmf_shield.sip.uri import NameAddr, Via, parse_name_addr, parse_via, split_values

TokenSource = Callable[[], str]
"""Returns a fresh unguessable token of letters and digits: for branches, tags and Call-IDs."""

MAX_FORWARDS_DEFAULT: Final = 70
"""RFC 3261 section 8.1.1.6."""
CSEQ_MAX: Final = 2**31 - 1
"""RFC 3261 section 8.1.1.5: less than 2**31."""
BRANCH_COOKIE: Final = "z9hG4bK"
LIST_VALUES_MAX: Final = 64
"""Values of one list-valued field (Via, Route, Contact)."""

METHODS_KNOWN: Final = frozenset(
    [
        "INVITE",
        "ACK",
        "BYE",
        "CANCEL",
        "OPTIONS",
        "REGISTER",
        "INFO",
        "UPDATE",
        "PRACK",
        "SUBSCRIBE",
        "NOTIFY",
        "REFER",
        "MESSAGE",
        "PUBLISH",
    ]
)

_COMPACT: Final = {
    "a": "Accept-Contact", "b": "Referred-By", "c": "Content-Type", "d": "Request-Disposition",
    "e": "Content-Encoding", "f": "From", "i": "Call-ID", "j": "Reject-Contact", "k": "Supported",
    "l": "Content-Length", "m": "Contact", "n": "Identity-Info", "o": "Event", "r": "Refer-To", "s": "Subject",
    "t": "To", "u": "Allow-Events", "v": "Via", "x": "Session-Expires", "y": "Identity",
}  # fmt: skip
_KNOWN: Final = {
    name.lower(): name
    for name in (
        *_COMPACT.values(),
        *[
            "Accept",
            "Accept-Encoding",
            "Accept-Language",
            "Alert-Info",
            "Allow",
            "Authorization",
            "CSeq",
            "Call-Info",
            "Content-Disposition",
            "Content-Language",
            "Date",
            "Error-Info",
            "Expires",
            "In-Reply-To",
            "Info-Package",
            "MIME-Version",
            "Max-Forwards",
            "Min-Expires",
            "Min-SE",
            "Organization",
            "P-Asserted-Identity",
            "Priority",
            "Privacy",
            "Proxy-Authenticate",
            "Proxy-Authorization",
            "Proxy-Require",
            "RAck",
            "RSeq",
            "Reason",
            "Record-Route",
            "Recv-Info",
            "Replaces",
            "Reply-To",
            "Require",
            "Retry-After",
            "Route",
            "Server",
            "Timestamp",
            "Unsupported",
            "User-Agent",
            "WWW-Authenticate",
            "Warning",
        ],
    )
}
_LIST_VALUED: Final = frozenset({"Via", "Contact", "Route", "Record-Route"})

REASONS: Final = {
    100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued", 183: "Session Progress",
    200: "OK", 202: "Accepted", 300: "Multiple Choices", 301: "Moved Permanently", 302: "Moved Temporarily",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    406: "Not Acceptable", 407: "Proxy Authentication Required", 408: "Request Timeout", 410: "Gone",
    413: "Request Entity Too Large", 414: "Request-URI Too Long", 415: "Unsupported Media Type",
    416: "Unsupported URI Scheme", 420: "Bad Extension", 421: "Extension Required", 422: "Session Interval Too Small",
    423: "Interval Too Brief", 469: "Bad Info Package", 480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 483: "Too Many Hops", 484: "Address Incomplete",
    485: "Ambiguous", 486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 491: "Request Pending",
    493: "Undecipherable", 500: "Server Internal Error", 501: "Not Implemented", 502: "Bad Gateway",
    503: "Service Unavailable", 504: "Server Time-out", 505: "Version Not Supported", 513: "Message Too Large",
    600: "Busy Everywhere", 603: "Decline", 604: "Does Not Exist Anywhere", 606: "Not Acceptable",
}  # fmt: skip


def canonical_name(name: str) -> str:
    """Return a header name in its usual spelling, compact forms expanded (RFC 3261 section 7.3.3)."""
    lower = name.lower()
    return (
        _COMPACT.get(lower) or _KNOWN.get(lower) or "-".join(part.capitalize() for part in lower.split("-"))
    )


class OpaqueBody:
    """A body that may hold keys: it can be measured, handed on and wiped, not read, shown, compared or stored.

    ``content`` must be a buffer of its own (a bytearray): ``wipe`` overwrites it.
    """

    __slots__ = ("_content",)

    def __init__(self, content: bytearray) -> None:
        self._content = content

    def __len__(self) -> int:
        return len(self._content)

    def __repr__(self) -> str:
        return f"<OpaqueBody {len(self._content)} bytes>"

    __str__ = __repr__
    __iter__ = None
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("an OpaqueBody is not to be copied or stored")

    def view(self) -> memoryview:
        """Return the bytes for the one who carries them to where they are parsed; release it at once."""
        return memoryview(self._content)

    def wipe(self) -> None:
        """Overwrite the content."""
        self._content[:] = bytes(len(self._content))


Body = bytes | OpaqueBody


class Headers:
    """Header fields in order, by canonical name. List-valued fields hold one value an entry."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields = list(fields)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._fields == other._fields

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"<Headers {len(self._fields)} fields>"

    def get(self, name: str) -> str | None:
        """Return the first value of a canonical name."""
        for key, value in self._fields:
            if key == name:
                return value
        return None

    def get_all(self, name: str) -> list[str]:
        """Return every value of a canonical name, in order."""
        return [value for key, value in self._fields if key == name]

    def tokens(self, name: str) -> list[str]:
        """Return the comma-separated tokens of every field of that name."""
        return [
            item for value in self.get_all(name) for part in value.split(",") if (item := part.strip(" \t"))
        ]

    def add(self, name: str, value: str) -> None:
        """Append a field."""
        self._fields.append((name, value))

    def put_first(self, name: str, value: str) -> None:
        """Prepend a field."""
        self._fields.insert(0, (name, value))

    def set(self, name: str, value: str) -> None:
        """Replace every field of that name by one, in the place of the first."""
        for index, (key, _) in enumerate(self._fields):
            if key == name:
                self._fields[index] = (name, value)
                rest = [field for field in self._fields[index + 1 :] if field[0] != name]
                self._fields[index + 1 :] = rest
                return
        self._fields.append((name, value))

    def remove(self, name: str) -> None:
        """Remove every field of that name."""
        self._fields = [field for field in self._fields if field[0] != name]


@dataclass(frozen=True, slots=True)
class CSeq:
    """Command sequence number and method."""

    number: int
    method: str

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


class _Message:
    __slots__ = ("_cache", "body", "headers")

    def __init__(self, headers: Headers, body: Body = b"") -> None:
        self.headers = headers
        self.body = body
        self._cache: dict[str, object] = {}

    def _need(self, name: str) -> str:
        value = self.headers.get(name)
        if value is None:
            raise Malformed(f"no {name}")
        return value

    def name_addr(self, name: str) -> NameAddr:
        """Return the first value of a From-like field, parsed once. Raises Malformed."""
        parsed = self._cache.get(name)
        if not isinstance(parsed, NameAddr):
            parsed = self._cache[name] = parse_name_addr(self._need(name))
        return parsed

    @property
    def via(self) -> Via:
        """The top Via."""
        text = self._need("Via")
        parsed = self._cache.get(text)
        if not isinstance(parsed, Via):
            parsed = self._cache[text] = parse_via(text)
        return parsed

    @property
    def from_(self) -> NameAddr:
        """The From field."""
        return self.name_addr("From")

    @property
    def to(self) -> NameAddr:
        """The To field."""
        return self.name_addr("To")

    @property
    def from_tag(self) -> str:
        """The From tag; empty for a peer of RFC 2543."""
        return self.from_.tag or ""

    @property
    def to_tag(self) -> str:
        """The To tag; empty where there is none yet."""
        return self.to.tag or ""

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact."""
        return self.name_addr("Contact") if self.headers.get("Contact") is not None else None

    @property
    def call_id(self) -> str:
        """The Call-ID."""
        return self._need("Call-ID")

    @property
    def cseq(self) -> CSeq:
        """The CSeq."""
        parsed = self._cache.get("CSeq")
        if not isinstance(parsed, CSeq):
            parsed = self._cache["CSeq"] = parse_cseq(self._need("CSeq"))
        return parsed

    @property
    def content_type(self) -> str:
        """Type and subtype of the body in lower case, without parameters; empty where there is none."""
        return (self.headers.get("Content-Type") or "").partition(";")[0].strip(" \t").lower()

    def _encode(self, start_line: str) -> bytes:
        lines = [start_line]
        lines += [f"{name}: {value}" for name, value in self.headers if name != "Content-Length"]
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        head = "\r\n".join(lines).encode("utf-8", "surrogateescape")
        if isinstance(self.body, OpaqueBody):
            raise TypeError("an OpaqueBody leaves through its port only")
        return head + self.body


class Request(_Message):
    """A request. ``uri`` is the Request-URI as text; ``uri_text`` never changes on the way."""

    __slots__ = ("method", "uri")

    def __init__(self, method: str, uri: str, headers: Headers, body: Body = b"") -> None:
        super().__init__(headers, body)
        self.method = method
        self.uri = uri

    @property
    def max_forwards(self) -> int:
        """Max-Forwards; the default where a peer of RFC 2543 sends none. Raises Malformed."""
        text = self.headers.get("Max-Forwards")
        if text is None:
            return MAX_FORWARDS_DEFAULT
        if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > 255:
            raise Malformed("Max-Forwards out of range")
        return int(text)

    def serialize(self) -> bytes:
        """Write the request. Raises TypeError for an OpaqueBody."""
        return self._encode(f"{self.method} {self.uri} SIP/2.0")

    def __repr__(self) -> str:
        return f"<Request {self.method[:20]}>"


class Response(_Message):
    """A response."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str, headers: Headers, body: Body = b"") -> None:
        super().__init__(headers, body)
        self.status = status
        self.reason = reason

    def serialize(self) -> bytes:
        """Write the response. Raises TypeError for an OpaqueBody."""
        return self._encode(f"SIP/2.0 {self.status} {self.reason}")

    def __repr__(self) -> str:
        return f"<Response {self.status}>"


def parse_cseq(text: str) -> CSeq:
    """Parse a CSeq value. Raises Malformed."""
    parts = text.split()
    if len(parts) != 2 or not (parts[0].isascii() and parts[0].isdigit()) or len(parts[0]) > 20:
        raise Malformed("illegal CSeq")
    number = int(parts[0])
    if number > CSEQ_MAX:
        raise Malformed("CSeq out of range")
    return CSeq(number, parts[1])


def list_values(name: str, value: str) -> list[str]:
    """Split the value of a list-valued field into its entries; other fields stay whole. Raises Malformed."""
    if name not in _LIST_VALUED:
        return [value]
    values = [item.strip(" \t") for item in split_values(value)]
    if not all(values) or len(values) > LIST_VALUES_MAX:
        raise Malformed(f"illegal {name}")
    return values


def respond_to(
    request: Request,
    status: int,
    *,
    to_tag: str = "",
    reason: str = "",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> Response:
    """Build the answer to a request (RFC 3261 section 8.2.6): Via, From, To, Call-ID and CSeq are copied."""
    fields = Headers([("Via", via) for via in request.headers.get_all("Via")])
    fields.add("From", request._need("From"))
    to = request.to
    if to_tag and not to.tag and status > 100:
        fields.add("To", str(to.with_tag(to_tag)))
    else:
        fields.add("To", request._need("To"))
    fields.add("Call-ID", request.call_id)
    fields.add("CSeq", str(request.cseq))
    for name, value in headers:
        fields.add(name, value)
    return Response(status, reason or REASONS.get(status, "Unknown"), fields, body)
