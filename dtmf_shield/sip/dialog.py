"""Dialogs (RFC 3261 section 12): what must be remembered of one, and the requests made from it.

A Dialog holds plain values only, so that it can be stored and taken up again after a crash. It sends nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from dtmf_shield.sip.events import Address, Flow
from dtmf_shield.sip.message import (
    CSEQ_MAX,
    MAX_FORWARDS_DEFAULT,
    CSeq,
    Headers,
    Request,
    Response,
)
from dtmf_shield.sip.uri import NameAddr, Uri, is_ip, parse_name_addr, parse_uri

CSEQ_NONE = -1
"""The peer has sent no request yet."""
SIP_PORT = 5060


class Dialog(msgspec.Struct, kw_only=True):
    """One side's view of a dialog. ``local`` and ``remote`` are name-addr texts without tag.

    ``peer_host`` and ``peer_port`` are where the peer's messages came from: the fallback where Contact or route
    name no address that may be sent to.
    """

    call_id: str
    local_tag: str
    remote_tag: str
    local: str
    remote: str
    remote_target: str
    contact: str
    route_set: tuple[str, ...] = ()
    local_cseq: int = 0
    remote_cseq: int = CSEQ_NONE
    peer_host: str = ""
    peer_port: int = SIP_PORT
    flow: Flow = 0

    @property
    def key(self) -> tuple[str, str, str]:
        """Call-ID, local tag, remote tag."""
        return (self.call_id, self.local_tag, self.remote_tag)

    def request(
        self,
        method: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        content_type: str = "",
        body: bytes = b"",
    ) -> Request:
        """Build the next request within the dialog (section 12.2.1.1)."""
        self.local_cseq += 1
        return self._build(method, self.local_cseq, headers, content_type, body)

    def ack(self, cseq_number: int, *, content_type: str = "", body: bytes = b"") -> Request:
        """Build the ACK of a 2xx (section 13.2.2.4): the CSeq number of its INVITE."""
        return self._build("ACK", cseq_number, (), content_type, body)

    def accept_cseq(self, request: Request) -> bool:
        """Take note of the peer's CSeq; False where it is out of order (section 12.2.2: answer 500)."""
        number = request.cseq.number
        if number <= self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def refresh_target(self, message: Request | Response) -> None:
        """Follow the peer's Contact (section 12.2.2)."""
        if message.contact is not None and message.contact.uri.host:
            self.remote_target = str(message.contact.uri.without_headers())

    def next_hop(self, may_send_to: Callable[[str], bool]) -> Address:
        """Return where requests go: first route, else remote target, where its host is an address that
        ``may_send_to`` allows; else where the peer's messages come from (names are not resolved here).
        """
        uri = parse_name_addr(self.route_set[0]).uri if self.route_set else parse_uri(self.remote_target)
        if is_ip(uri.host) and may_send_to(uri.host):
            return Address(uri.host, uri.port or SIP_PORT)
        return Address(self.peer_host, self.peer_port)

    def _build(
        self, method: str, number: int, headers: Iterable[tuple[str, str]], content_type: str, body: bytes
    ) -> Request:
        target, routes = self.remote_target, list(self.route_set)
        if routes and parse_name_addr(routes[0]).uri.parameter("lr") is None:
            # Section 12.2.1.1: a strict router is the Request-URI, the target the last route.
            target = str(parse_name_addr(routes.pop(0)).uri.without_headers())
            routes.append(f"<{self.remote_target}>")
        fields = Headers([("Route", route) for route in routes])
        fields.add("From", _tagged(self.local, self.local_tag))
        fields.add("To", _tagged(self.remote, self.remote_tag))
        fields.add("Call-ID", self.call_id)
        fields.add("CSeq", str(CSeq(number, method)))
        fields.add("Max-Forwards", str(MAX_FORWARDS_DEFAULT))
        if method in ("INVITE", "UPDATE"):
            fields.add("Contact", f"<{self.contact}>")
        for name, value in headers:
            fields.add(name, value)
        if body:
            fields.add("Content-Type", content_type)
        return Request(method, target, fields, body)


def dialog_of_received_invite(
    request: Request, *, local_tag: str, contact: str, source: Address, flow: Flow
) -> Dialog:
    """Make the UAS's side (section 12.1.1)."""
    target = request.contact.uri.without_headers() if request.contact is not None else request.from_.uri
    return Dialog(
        call_id=request.call_id,
        local_tag=local_tag,
        remote_tag=request.from_tag,
        local=_untagged(request.to),
        remote=_untagged(request.from_),
        remote_target=str(target),
        contact=contact,
        route_set=tuple(request.headers.get_all("Record-Route")),
        remote_cseq=request.cseq.number,
        peer_host=source.host,
        peer_port=source.port,
        flow=flow,
    )


def dialog_of_sent_invite(
    request: Request, response: Response, *, contact: str, source: Address, flow: Flow
) -> Dialog:
    """Make the UAC's side from a response with a To tag (section 12.1.2)."""
    target = (
        response.contact.uri.without_headers() if response.contact is not None else parse_uri(request.uri)
    )
    return Dialog(
        call_id=request.call_id,
        local_tag=request.from_tag,
        remote_tag=response.to_tag,
        local=_untagged(request.from_),
        remote=_untagged(request.to),
        remote_target=str(target),
        contact=contact,
        route_set=tuple(reversed(response.headers.get_all("Record-Route"))),
        local_cseq=request.cseq.number,
        peer_host=source.host,
        peer_port=source.port,
        flow=flow,
    )


def new_request(
    method: str,
    *,
    uri: str,
    local: NameAddr,
    remote: NameAddr,
    call_id: str,
    tag: str,
    contact: str = "",
    cseq_number: int = 1,
    max_forwards: int = MAX_FORWARDS_DEFAULT,
    headers: Iterable[tuple[str, str]] = (),
    content_type: str = "",
    body: bytes = b"",
) -> Request:
    """Build a request outside dialogs (section 8.1.1); ``tag`` is our From tag. The endpoint adds the Via."""
    fields = Headers([("From", str(local.with_tag(tag))), ("To", _untagged(remote)), ("Call-ID", call_id)])
    fields.add("CSeq", str(CSeq(min(cseq_number, CSEQ_MAX), method)))
    fields.add("Max-Forwards", str(max_forwards))
    if contact:
        fields.add("Contact", f"<{contact}>")
    for name, value in headers:
        fields.add(name, value)
    if body:
        fields.add("Content-Type", content_type)
    return Request(method, uri, fields, body)


def sip_uri(user: str, address: Address) -> Uri:
    """Return ``sip:user@host:port``."""
    return Uri("sip", user or None, address.host, address.port)


def _untagged(address: NameAddr) -> str:
    kept = tuple(pair for pair in address.parameters if pair[0].lower() != "tag")
    return str(NameAddr(address.display_name, address.uri, kept))


def _tagged(text: str, tag: str) -> str:
    return f"{text};tag={tag}" if tag else text
