"""Bytes to Request or Response (RFC 3261 sections 7, 18.3 and 25), strictly: what the grammar forbids is refused.

It reads one datagram. It does not look into bodies, and it never quotes a message in an error.
"""

from __future__ import annotations

import re
from typing import Final

from dtmf_shield.sip.errors import Drop, Malformed, Reject
from dtmf_shield.sip.message import (
    BRANCH_COOKIE,
    METHODS_KNOWN,
    Body,
    Headers,
    OpaqueBody,
    Request,
    Response,
    canonical_name,
    list_values,
)
from dtmf_shield.sip.uri import TOKEN, parse_name_addr, parse_uri, parse_via

MESSAGE_BYTES_MAX: Final = 16_384
"""Larger than any INVITE we relay; a UDP datagram could have 65 535."""
HEADERS_MAX: Final = 128
"""Header fields; ``longreq`` of RFC 4475 has 40."""
HEADER_BYTES_MAX: Final = 8_192
"""One field with its continuation lines."""
DIGITS_MAX: Final = 10
"""Of a number in a header: more cannot be in range."""

_ECHOED: Final = ("Via", "From", "To", "Call-ID", "CSeq")
_SINGLE: Final = ("From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type")
_HEAD_END: Final = re.compile(rb"\r\n\r\n")
_KEEP_ALIVE: Final = re.compile(rb"[\r\n\x00]*")
_STATUS_LINE: Final = re.compile(r"SIP/2\.0 ([1-6][0-9]{2}) (.*)", re.I)
_VERSION: Final = re.compile(r"SIP/[0-9]+\.[0-9]+", re.I)
_CALL_ID: Final = re.compile(
    r"[A-Za-z0-9\-.!%*_+`'~()<>:\\\"/\[\]?{}]+(?:@[A-Za-z0-9\-.!%*_+`'~()<>:\\\"/\[\]?{}]+)?"
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+[ \t]*/[ \t]*[A-Za-z0-9\-.!%*_+`'~]+[ \t]*(?:;.*)?")


def parse_message(data: bytes | bytearray | memoryview) -> Request | Response:
    """Parse one datagram; bytes after Content-Length are ignored (RFC 3261 section 18.3).

    Raises Reject for a request that can be answered, Drop for everything else.
    """
    view = memoryview(data)
    if len(view) > MESSAGE_BYTES_MAX:
        raise Drop("message too long")
    if _KEEP_ALIVE.fullmatch(view):
        raise Drop("keep-alive")
    end = _HEAD_END.search(view)
    if end is None:
        raise Drop("no end of headers")
    text = bytes(view[: end.start()]).decode("utf-8", "surrogateescape").lstrip("\r\n")
    start_line, fields, fault = _split_head(text)
    tail = view[end.end() :]
    if start_line[:4].upper() == "SIP/":
        return _parse_response(start_line, fields, fault, tail)
    return _parse_request(start_line, fields, fault, tail)


def _split_head(text: str) -> tuple[str, list[tuple[str, str]], str]:
    """Return start line, canonical fields, and the first fault found while splitting (empty for none)."""
    start_line, *lines = text.split("\r\n")
    unfolded: list[str] = []
    for line in lines:
        if line[:1] in (" ", "\t") and unfolded:
            unfolded[-1] += " " + line.strip(" \t")
        else:
            unfolded.append(line)
    fields: list[tuple[str, str]] = []
    fault = ""
    if len(unfolded) > HEADERS_MAX:
        fault, unfolded = "too many headers", unfolded[:HEADERS_MAX]
    for line in unfolded:
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        if not colon or not TOKEN.fullmatch(name):
            fault = fault or "illegal header name"
            continue
        if len(line) > HEADER_BYTES_MAX:
            fault = fault or "header too long"
            continue
        if _CONTROL.search(value) or not _is_text(value):
            fault = fault or "illegal character in header"
            continue
        name = canonical_name(name)
        try:
            fields += [(name, item) for item in list_values(name, value.strip(" \t"))]
        except Malformed as error:
            fault = fault or error.reason
    return start_line, fields, fault


def _is_text(value: str) -> bool:
    """Whether the bytes were UTF-8: surrogateescape turns every other byte into a lone surrogate."""
    return not any("\ud800" <= character <= "\udfff" for character in value) if not value.isascii() else True


def _parse_response(start_line: str, fields: list[tuple[str, str]], fault: str, tail: memoryview) -> Response:
    match = _STATUS_LINE.fullmatch(start_line)
    if match is None:
        raise Drop("illegal status line")
    if fault:
        raise Drop(fault)
    headers = Headers(fields)
    try:
        _check_single(headers)
        body = _body(headers, tail, opaque=False)
        response = Response(int(match[1]), match[2], headers, body)
        _check_common(response)
    except Malformed as error:
        raise Drop(error.reason) from None
    return response


def _parse_request(start_line: str, fields: list[tuple[str, str]], fault: str, tail: memoryview) -> Request:
    method, _, rest = start_line.partition(" ")
    if not TOKEN.fullmatch(method):
        raise Drop("illegal method")
    echo = tuple(field for field in fields if field[0] in _ECHOED)
    headers = Headers(fields)
    try:
        parse_via(headers.get("Via") or "")
    except Malformed:
        # Without a Via there is nobody to answer.
        raise Drop("illegal Via") from None
    body: Body = b""
    try:
        _refuse(fault)
        uri = _request_uri(rest)
        _check_single(headers)
        body = _body(headers, tail, opaque=_may_hold_keys(method, headers))
        request = Request(method, uri, headers, body)
        _check_request(request)
    except Malformed as error:
        if isinstance(body, OpaqueBody):
            body.wipe()
        if method == "ACK":
            raise Drop(error.reason) from None
        extra = (("Accept", "application/sdp"),) if error.status == 415 else ()
        raise Reject(error.reason, error.status, echo=_well_formed(echo), extra=extra) from None
    return request


def _refuse(fault: str) -> None:
    if fault:
        raise Malformed(fault)


def _request_uri(rest: str) -> str:
    uri, _, version = rest.partition(" ")
    if not uri or not version or " " in version:
        raise Malformed("illegal request line")
    if version.upper() != "SIP/2.0":
        if _VERSION.fullmatch(version):
            raise Malformed("version not supported", 505)
        raise Malformed("illegal request line")
    if parse_uri(uri).headers:
        raise Malformed("headers in Request-URI")  # RFC 3261 section 19.1.1, table 1
    return uri


def _may_hold_keys(method: str, headers: Headers) -> bool:
    kind = (headers.get("Content-Type") or "").lstrip().lower()
    return method == "INFO" or kind.startswith(("application/dtmf", "application/vnd.nortelnetworks.digits"))


def _body(headers: Headers, tail: memoryview, *, opaque: bool) -> Body:
    text = headers.get("Content-Length")
    length = len(tail)
    if text is not None:
        if not (text.isascii() and text.isdigit()) or len(text) > DIGITS_MAX:
            raise Malformed("illegal Content-Length")
        length = int(text)
        if length > len(tail):
            raise Malformed("Content-Length beyond the datagram")
    return OpaqueBody(bytearray(tail[:length])) if opaque else bytes(tail[:length])


def _check_single(headers: Headers) -> None:
    for name in _SINGLE:
        if len(headers.get_all(name)) > 1:
            raise Malformed(f"repeated {name}")


def _check_common(message: Request | Response) -> None:
    if not _CALL_ID.fullmatch(message.call_id):
        raise Malformed("illegal Call-ID")
    _ = message.from_, message.to, message.via
    if not TOKEN.fullmatch(message.cseq.method):
        raise Malformed("illegal CSeq")
    for name in ("Contact", "Route", "Record-Route"):
        for value in message.headers.get_all(name):
            if not (name == "Contact" and value == "*"):
                parse_name_addr(value)
    kind = message.headers.get("Content-Type")
    if kind is not None and not _MEDIA_TYPE.fullmatch(kind):
        raise Malformed("illegal Content-Type")


def _check_request(request: Request) -> None:
    _check_common(request)
    if request.cseq.method != request.method:
        raise Malformed("CSeq of another method", 400 if request.method in METHODS_KNOWN else 501)
    _ = request.max_forwards
    if request.via.branch in ("", BRANCH_COOKIE):
        raise Malformed("empty branch")
    for via in request.headers.get_all("Via")[1:]:
        parse_via(via)
    expires = request.headers.get("Expires")
    if expires is not None and not (
        expires.isascii() and expires.isdigit() and len(expires) <= DIGITS_MAX and int(expires) < 2**32
    ):
        raise Malformed("Expires out of range")
    if len(request.body) and request.headers.get("Content-Type") is None:
        raise Malformed("body without Content-Type", 415)


def _well_formed(echo: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return what an answer can copy: the first of each single field, every Via."""
    kept: list[tuple[str, str]] = []
    for name, value in echo:
        if name == "Via" or name not in {key for key, _ in kept}:
            kept.append((name, value))
    return tuple(kept)
