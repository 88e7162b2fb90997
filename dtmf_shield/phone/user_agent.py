"""The test phone's signalling, without a socket: calls both ways, INFO, re-INVITE, CANCEL, BYE (RFC 3261 over UDP).

Deliberately small and separate from the service's own transaction and call code, so that a mistake there is not
answered by the same mistake here. No authentication, no forks, no session timers, no TCP.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Final

from dtmf_shield.sip.errors import Drop, Reject
from dtmf_shield.sip.message import Headers, OpaqueBody, Request, Response, respond_to
from dtmf_shield.sip.parser import parse_message

T1_S: Final = 0.5
T2_S: Final = 4.0
GIVE_UP_S: Final = 64 * T1_S
ANSWERS_KEPT_MAX: Final = 64
CALLS_MAX: Final = 256
FAREWELL_STEPS: Final = 100_000
"""Requests that a call may still send before its farewell: more than any call does."""
_CONTACT: Final = re.compile(r"<?(sips?:(?:[^@>;]*@)?(\[[0-9A-Fa-f:.]+\]|[^:;>]+)(?::(\d+))?[^>]*)>?")

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class CallIncoming:
    """Someone calls; it rings until `answer` or `refuse`. `dialled`, `caller`: user parts of Request-URI and From."""

    call_id: str
    dialled: str
    caller: str
    sdp: bytes


@dataclass(frozen=True, slots=True)
class CallProgressing:
    """A provisional response with its status."""

    call_id: str
    status: int
    sdp: bytes


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """A 2xx to our INVITE or re-INVITE; `sdp` is the answer."""

    call_id: str
    sdp: bytes


@dataclass(frozen=True, slots=True)
class CallConfirmed:
    """The ACK to a call that we answered."""

    call_id: str


@dataclass(frozen=True, slots=True)
class CallRefused:
    """Our INVITE failed with `status` (408 where nobody answered)."""

    call_id: str
    status: int


@dataclass(frozen=True, slots=True)
class CallOffered:
    """A re-INVITE or UPDATE came; it was answered with our present description."""

    call_id: str
    sdp: bytes


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The other side sent BYE or CANCEL, or our BYE was answered."""

    call_id: str


@dataclass(frozen=True, slots=True)
class InfoReceived:
    """An INFO reached this phone. Its body is not kept."""

    call_id: str
    content_type: str
    body_bytes: int


@dataclass(frozen=True, slots=True)
class RequestAnswered:
    """A final response to an in-dialog request that is no INVITE."""

    call_id: str
    method: str
    status: int


Event = (
    CallIncoming
    | CallProgressing
    | CallAnswered
    | CallConfirmed
    | CallRefused
    | CallOffered
    | CallEnded
    | InfoReceived
    | RequestAnswered
)


class _State(Enum):
    CALLING = auto()
    RINGING = auto()
    TALKING = auto()
    ENDED = auto()


@dataclass(slots=True)
class _Call:
    """One dialog. `local` and `remote` are From and To values as we write them in requests."""

    call_id: str
    state: _State
    peer: Address
    target: str
    local: str
    remote: str
    sdp: bytes
    cseq: int = 1
    invite: Request | None = None
    incoming: Request | None = None
    cancelled: bool = False


@dataclass(slots=True)
class _Sending:
    """Something repeated until it is answered: a request, or a 2xx until its ACK (RFC 3261 section 13.3.1.4)."""

    data: bytes
    peer: Address
    next_s: float
    interval_s: float
    give_up_s: float
    call_id: str
    method: str
    final: bool = field(default=False)


class PhoneUserAgent:
    """Signalling of one phone at one address."""

    def __init__(self, address: Address, tokens: Callable[[], str]) -> None:
        self._address = address
        self._tokens = tokens
        self._calls: dict[str, _Call] = {}
        self._sending: dict[tuple[str, str], _Sending] = {}
        self._answers: dict[tuple[str, str], bytes] = {}
        self._out: deque[tuple[bytes, Address]] = deque()
        self._events: deque[Event] = deque()

    # What the phone's owner wants

    def invite(
        self,
        uri: str,
        sdp: bytes,
        now_s: float,
        *,
        user: str = "caller",
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Call `uri` (a literal address) with more `headers`; returns the Call-ID. Raises ValueError."""
        match = _CONTACT.fullmatch(uri)
        if match is None or len(self._calls) >= CALLS_MAX:
            raise ValueError("not a sip: URI with a literal address, or too many calls")
        call_id = f"{self._tokens()}@{self._host()}"
        local = f"<sip:{user}@{self._host()}>;tag={self._tokens()}"
        peer = (match[2].strip("[]"), int(match[3] or 5060))
        call = _Call(call_id, _State.CALLING, peer, uri, local, f"<{uri}>", sdp)
        self._calls[call_id] = call
        call.invite = self._request(call, "INVITE", sdp)
        for name, value in (headers or {}).items():
            call.invite.headers.add(name, value)
        self._send(call.invite, call, now_s)
        return call_id

    def answer(self, call_id: str, sdp: bytes, now_s: float) -> None:
        """Answer a ringing call."""
        call = self._calls[call_id]
        if call.incoming is None or call.state is not _State.RINGING:
            return
        call.state, call.sdp = _State.TALKING, sdp
        self._accept(call, call.incoming, now_s)

    def ring(self, call_id: str, sdp: bytes = b"") -> None:
        """Say 180, or 183 with early media."""
        call = self._calls[call_id]
        if call.incoming is not None:
            self._respond(call, call.incoming, 183 if sdp else 180, sdp)

    def refuse(self, call_id: str, status: int) -> None:
        """Refuse a ringing call."""
        call = self._calls[call_id]
        if call.incoming is not None and call.state is _State.RINGING:
            call.state = _State.ENDED
            self._respond(call, call.incoming, status)

    def reinvite(self, call_id: str, sdp: bytes, now_s: float) -> None:
        """Offer a new description within the call: hold, resume."""
        call = self._calls[call_id]
        call.sdp, call.cseq = sdp, call.cseq + 1
        call.invite = self._request(call, "INVITE", sdp)
        self._send(call.invite, call, now_s)

    def info(self, call_id: str, content_type: str, body: bytes, now_s: float) -> None:
        """Send an INFO within the call (RFC 6086 legacy use)."""
        call = self._calls[call_id]
        call.cseq += 1
        self._send(self._request(call, "INFO", body, content_type), call, now_s)

    def hang_up(self, call_id: str, now_s: float) -> None:
        """End the call: BYE, or CANCEL while it still rings at the other side."""
        call = self._calls[call_id]
        if call.state is _State.TALKING:
            call.state = _State.ENDED
            call.cseq += 1
            self._send(self._request(call, "BYE"), call, now_s)
        elif call.state is _State.CALLING and call.invite is not None and not call.cancelled:
            call.cancelled = True
            headers = Headers([("Via", call.invite.headers.get("Via") or ""), ("Max-Forwards", "70")])
            for name, value in (("From", call.local), ("To", call.remote), ("Call-ID", call_id)):
                headers.add(name, value)
            headers.add("CSeq", f"{call.cseq} CANCEL")
            self._send(Request("CANCEL", call.invite.uri, headers), call, now_s)
        elif call.state is _State.RINGING:
            self.refuse(call_id, 486)

    def farewell(self, call_id: str) -> tuple[bytes, Address]:
        """Return a BYE and where to, for who has to end the call once this phone is there no more. Sends nothing."""
        call = self._calls[call_id]
        # RFC 3261 section 12.2.2: its CSeq must be above that of every request before it.
        return self._request(replace(call, cseq=call.cseq + FAREWELL_STEPS), "BYE").serialize(), call.peer

    def forget(self, call_id: str) -> None:
        """Keep nothing of a call that has ended; what still comes for it is answered 481."""
        call = self._calls.get(call_id)
        if call is not None and call.state is _State.ENDED:
            del self._calls[call_id]

    # The wire

    def receive_datagram(self, data: bytes, source: Address, now_s: float) -> None:
        """Take one datagram; what is no SIP is dropped."""
        try:
            message = parse_message(data)
        except (Drop, Reject):
            return
        if isinstance(message, Response):
            self._take_response(message, now_s)
        else:
            self._take_request(message, source, now_s)

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Return and forget what is to be sent."""
        out = list(self._out)
        self._out.clear()
        return out

    def next_event(self) -> Event | None:
        """Return the next event, or None."""
        return self._events.popleft() if self._events else None

    def next_timer_s(self) -> float | None:
        """Return when `handle_timer` wants to be called, or None."""
        return min((sending.next_s for sending in self._sending.values()), default=None)

    def handle_timer(self, now_s: float) -> None:
        """Repeat what was not answered; give up after 64*T1."""
        for key, sending in list(self._sending.items()):
            if sending.next_s > now_s:
                continue
            if now_s >= sending.give_up_s:
                del self._sending[key]
                self._gave_up(sending)
                continue
            self._out.append((sending.data, sending.peer))
            sending.interval_s *= 2
            if sending.method != "INVITE" or sending.final:
                sending.interval_s = min(sending.interval_s, T2_S)  # RFC 3261 sections 17.1.2.2 and 13.3.1.4
            sending.next_s = now_s + sending.interval_s

    # Responses to what we sent

    def _take_response(self, response: Response, now_s: float) -> None:
        method = response.cseq.method
        call = self._calls.get(response.call_id)
        if call is None:
            return
        if response.status < 200:
            if method == "INVITE":
                self._sending.pop((_branch(response), method), None)
                if response.status > 100:
                    self._events.append(CallProgressing(call.call_id, response.status, _bytes(response)))
            return
        waited_for = self._sending.pop((_branch(response), method), None) is not None
        if method == "INVITE":
            self._take_invite_final(call, response)
        elif method == "BYE":
            self._events.append(CallEnded(call.call_id))
        elif waited_for:
            self._events.append(RequestAnswered(call.call_id, method, response.status))

    def _take_invite_final(self, call: _Call, response: Response) -> None:
        """Acknowledge every final response, repeats too; tell only of the first."""
        invite = call.invite
        if invite is None or response.cseq.number != invite.cseq.number:
            return
        success = response.status < 300
        first_dialog = call.state is _State.CALLING
        if success and first_dialog:
            call.remote = response.headers.get("To") or call.remote
            self._learn_target(call, response.headers.get("Contact"))
        ack = self._request(call, "ACK")
        ack.headers.set("CSeq", f"{invite.cseq.number} ACK")
        if not success:  # RFC 3261 section 17.1.1.3: the transaction's own branch and To
            ack.uri = invite.uri
            ack.headers.set("Via", invite.headers.get("Via") or "")
            ack.headers.set("To", response.headers.get("To") or call.remote)
        self._out.append((ack.serialize(), call.peer))
        answered = self._answers.get((call.call_id, str(invite.cseq.number))) is not None
        self._remember((call.call_id, str(invite.cseq.number)), b"")
        if answered:
            return
        if success:
            call.state = _State.TALKING if first_dialog else call.state
            self._events.append(CallAnswered(call.call_id, _bytes(response)))
        else:
            if first_dialog:
                call.state = _State.ENDED
            self._events.append(CallRefused(call.call_id, response.status))

    # Requests of the other side

    def _take_request(self, request: Request, source: Address, now_s: float) -> None:
        method = request.method
        if method == "ACK":
            self._sending.pop((request.call_id, "2xx"), None)
            if (call := self._calls.get(request.call_id)) and call.state is _State.TALKING:
                self._events.append(CallConfirmed(call.call_id))
            return
        if (kept := self._answers.get((_branch(request), method))) is not None:
            self._out.append((kept, source))
            return
        call = self._calls.get(request.call_id)
        if method == "INVITE" and call is None:
            self._take_call(request, source)
        elif method == "OPTIONS" and call is None:
            self._out.append((respond_to(request, 200, to_tag=self._tokens()).serialize(), source))
        elif call is None:
            self._out.append((respond_to(request, 481, to_tag=self._tokens()).serialize(), source))
        else:
            call.peer = source
            self._take_in_dialog(call, request, now_s)

    def _take_call(self, request: Request, source: Address) -> None:
        if len(self._calls) >= CALLS_MAX:
            self._out.append((respond_to(request, 486, to_tag=self._tokens()).serialize(), source))
            return
        local = f"{request.headers.get('To')};tag={self._tokens()}"
        call = _Call(
            request.call_id,
            _State.RINGING,
            source,
            request.uri,
            local,
            request.headers.get("From") or "",
            b"",
            incoming=request,
        )
        self._learn_target(call, request.headers.get("Contact"))
        call.peer = source
        self._calls[call.call_id] = call
        self._respond(call, request, 100)  # stops the caller's repeats, and answers any that come
        user = request.uri.partition(":")[2].partition("@")[0]
        self._events.append(CallIncoming(call.call_id, user, request.from_.uri.user or "", _bytes(request)))

    def _take_in_dialog(self, call: _Call, request: Request, now_s: float) -> None:
        match request.method:
            case "INVITE" | "UPDATE":
                self._learn_target(call, request.headers.get("Contact"))
                self._events.append(CallOffered(call.call_id, _bytes(request)))
                self._accept(call, request, now_s)
            case "BYE":
                self._respond(call, request, 200)
                self._end(call)
            case "CANCEL":
                self._respond(call, request, 200)
                if call.state is _State.RINGING and call.incoming is not None:
                    self._respond(call, call.incoming, 487)
                    self._end(call)
            case "INFO":
                body = request.body
                self._events.append(InfoReceived(call.call_id, request.content_type, len(body)))
                self._respond(call, request, 200)
            case _:
                self._respond(call, request, 200)

    def _accept(self, call: _Call, request: Request, now_s: float) -> None:
        """Answer 200 with our description; to an INVITE again and again until its ACK."""
        data = self._respond(call, request, 200, call.sdp)
        if request.method == "INVITE":
            self._sending[(call.call_id, "2xx")] = _Sending(
                data, call.peer, now_s + T1_S, T1_S, now_s + GIVE_UP_S, call.call_id, "INVITE", final=True
            )

    def _respond(self, call: _Call, request: Request, status: int, body: bytes = b"") -> bytes:
        tag = call.local.rpartition("tag=")[2]
        fields = [("Contact", f"<sip:phone@{self._host()}>")]
        if body:
            fields.append(("Content-Type", "application/sdp"))
        data = respond_to(request, status, to_tag=tag, headers=fields, body=body).serialize()
        self._out.append((data, call.peer))
        self._remember((_branch(request), request.method), data)
        return data

    def _end(self, call: _Call) -> None:
        if call.state is not _State.ENDED:
            call.state = _State.ENDED
            self._events.append(CallEnded(call.call_id))

    def _gave_up(self, sending: _Sending) -> None:
        call = self._calls.get(sending.call_id)
        if call is None:
            return
        if sending.method == "INVITE" and not sending.final and call.state is _State.CALLING:
            call.state = _State.ENDED
            self._events.append(CallRefused(call.call_id, 408))
        elif sending.method == "BYE" or sending.final:
            call.state = _State.ENDED
            self._events.append(CallEnded(call.call_id))

    # Writing

    def _host(self) -> str:
        host, port = self._address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def _request(self, call: _Call, method: str, body: bytes = b"", content_type: str = "") -> Request:
        headers = Headers([("Via", f"SIP/2.0/UDP {self._host()};branch=z9hG4bK{self._tokens()};rport")])
        headers.add("Max-Forwards", "70")
        headers.add("From", call.local)
        headers.add("To", call.remote)
        headers.add("Call-ID", call.call_id)
        headers.add("CSeq", f"{call.cseq} {method}")
        headers.add("Contact", f"<sip:phone@{self._host()}>")
        if body:
            headers.add("Content-Type", content_type or "application/sdp")
        return Request(method, call.target, headers, body)

    def _send(self, request: Request, call: _Call, now_s: float) -> None:
        data = request.serialize()
        self._out.append((data, call.peer))
        self._sending[(_branch(request), request.method)] = _Sending(
            data, call.peer, now_s + T1_S, T1_S, now_s + GIVE_UP_S, call.call_id, request.method
        )

    def _learn_target(self, call: _Call, contact: str | None) -> None:
        match = _CONTACT.search(contact or "")
        if match is not None:
            call.target = match[1]
            call.peer = (match[2].strip("[]"), int(match[3] or 5060))

    def _remember(self, key: tuple[str, str], data: bytes) -> None:
        self._answers[key] = data
        while len(self._answers) > ANSWERS_KEPT_MAX * max(len(self._calls), 1):
            del self._answers[next(iter(self._answers))]


def _bytes(message: Request | Response) -> bytes:
    return b"" if isinstance(message.body, OpaqueBody) else message.body


def _branch(message: Request | Response) -> str:
    return message.via.branch or ""
