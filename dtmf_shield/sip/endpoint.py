"""The SIP endpoint without I/O: transactions on the wire, ACK, CANCEL and 2xx retransmission (RFC 3261 sections 8,
9, 13, 17, 18; RFC 3581; RFC 6026).

The shell feeds datagrams and time, sends what comes out, and hands events to the core. It knows no call.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from dtmf_shield.sip.errors import Drop, Malformed, Reject
from dtmf_shield.sip.events import (
    AckMissing,
    AckReceived,
    Address,
    CancelReceived,
    Event,
    Flow,
    MessageRefused,
    Outgoing,
    RequestReceived,
    RequestTimedOut,
    ResponseReceived,
    TransactionId,
)
from dtmf_shield.sip.message import (
    BRANCH_COOKIE,
    REASONS,
    CSeq,
    Headers,
    OpaqueBody,
    Request,
    Response,
    TokenSource,
    respond_to,
)
from dtmf_shield.sip.parser import parse_message
from dtmf_shield.sip.transaction import (
    INITIAL,
    SERVER_KINDS,
    Action,
    Input,
    Kind,
    State,
    Timers,
    response_input,
    step,
)
from dtmf_shield.sip.uri import Via, format_parameters, host_port, parse_via

TRANSACTIONS_MAX: Final = 20_000
"""Both kinds together; a new request beyond is answered 503 without state."""
RETRY_AFTER_S: Final = 10
"""Said with every 503."""
EVENTS_MAX: Final = 10_000
"""Events nobody has taken yet; refusals beyond are not reported."""
SIP_PORT: Final = 5060

WireKey = tuple[str, ...]


@dataclass(slots=True, eq=False)
class _Transaction:
    number: TransactionId
    kind: Kind
    wire_key: WireKey
    request: Request
    remote: Address
    flow: Flow
    state: State
    kept: bytes = b""
    """The last message sent: what RESEND repeats."""
    interval_s: float = 0.0
    deadlines: dict[Input, float] = field(default_factory=dict)
    to_tag: str = ""
    cancel_wanted: str | None = None
    """CANCEL asked for before any response: sent with the first one. Holds the Reason."""
    cancelled: bool = False
    acks: dict[str, Outgoing] = field(default_factory=dict)
    """By To tag: the ACK that answers each repetition of a 2xx."""
    merged_key: WireKey = ()


@dataclass(slots=True, eq=False)
class _Success:
    """A 2xx to an INVITE, repeated by the core until its ACK (RFC 3261 section 13.3.1.4)."""

    transaction: TransactionId
    key: WireKey
    outgoing: Outgoing
    interval_s: float
    due_s: float
    give_up_s: float


class Endpoint:
    """All transactions of one process. ``local`` are the addresses of its sockets, by flow."""

    def __init__(
        self,
        *,
        tokens: TokenSource,
        local: Sequence[Address],
        admit: Callable[[str], bool] = lambda _host: True,
        timers: Timers | None = None,
        transactions_max: int = TRANSACTIONS_MAX,
    ) -> None:
        """``admit`` decides by source address who is heard at all: others get silence."""
        self._tokens = tokens
        self.local = tuple(local)
        self._admit = admit
        self._timers = timers or Timers()
        self._transactions_max = transactions_max
        self._by_number: dict[TransactionId, _Transaction] = {}
        self._by_wire: dict[WireKey, _Transaction] = {}
        self._merged: dict[WireKey, TransactionId] = {}
        self._successes: dict[WireKey, _Success] = {}
        self._heap: list[tuple[float, int, TransactionId, Input | None, WireKey]] = []
        self._out: deque[Outgoing] = deque()
        self._events: deque[Event] = deque()
        self._count = 0
        self.unknown_sources = 0
        """Datagrams that were not heard."""

    # --- the verbs of the shell ---------------------------------------------------------------------------

    def receive_datagram(
        self, now_s: float, data: bytes | bytearray | memoryview, source: Address, flow: Flow = 0
    ) -> None:
        """Take one datagram. Never raises for what a peer sent."""
        if not self._admit(source.host):
            self.unknown_sources += 1
            return
        try:
            message = parse_message(data)
            if isinstance(message, Response):
                self._receive_response(now_s, message, source)
            else:
                self._receive_request(now_s, message, source, flow)
        except Drop as error:
            if error.reason != "keep-alive":
                self._refused(source, error.reason, 0)
        except Malformed as error:
            self._refused(source, error.reason, 0)
        except Reject as error:
            self._answer_stateless(error, source, flow)

    def datagrams_to_send(self) -> list[Outgoing]:
        """Return and forget what is to be sent now, in order."""
        out = list(self._out)
        self._out.clear()
        return out

    def next_timer_s(self, now_s: float) -> float | None:
        """Return seconds until handle_timer wants to be called; None: nothing pending."""
        while self._heap and not self._alive(self._heap[0]):
            heapq.heappop(self._heap)
        return max(0.0, self._heap[0][0] - now_s) if self._heap else None

    def handle_timer(self, now_s: float) -> None:
        """Fire what is due."""
        while self._heap and self._heap[0][0] <= now_s:
            entry = heapq.heappop(self._heap)
            if not self._alive(entry):
                continue
            _, _, number, timer, key = entry
            if timer is None:
                self._repeat_success(now_s, self._successes[key])
            else:
                transaction = self._by_number[number]
                del transaction.deadlines[timer]
                self._advance(now_s, transaction, timer)

    def next_event(self) -> Event | None:
        """Return the oldest event, None when there is none."""
        return self._events.popleft() if self._events else None

    def transport_failed(self, now_s: float, outgoing: Outgoing) -> None:
        """Say that a datagram could not be sent: its transaction ends (RFC 3261 section 18.4)."""
        for transaction in list(self._by_number.values()):
            if transaction.kept is outgoing.data and transaction.remote == outgoing.remote:
                self._advance(now_s, transaction, Input.TRANSPORT_ERROR)
                return

    def table_sizes(self) -> tuple[int, ...]:
        """Return how many entries each table holds: all zero when nothing is going on."""
        return (len(self._by_number), len(self._by_wire), len(self._merged), len(self._successes))

    # --- the verbs of the core ----------------------------------------------------------------------------

    def flow_to(self, host: str) -> Flow:
        """Return the socket of the same address family as ``host``. Raises LookupError where there is none."""
        for flow, address in enumerate(self.local):
            if (":" in address.host) == (":" in host):
                return flow
        raise LookupError("no socket of that address family")

    def send_request(self, now_s: float, request: Request, remote: Address, flow: Flow) -> TransactionId:
        """Send a request, ACK and CANCEL excepted, in a new client transaction. Adds the Via."""
        kind = Kind.INVITE_CLIENT if request.method == "INVITE" else Kind.CLIENT
        branch = BRANCH_COOKIE + self._tokens()
        request.headers.put_first("Via", self._via(flow, branch))
        transaction = self._new(kind, (branch, request.method), request, remote, flow)
        transaction.kept = request.serialize()
        transaction.interval_s = self._timers.t1_s
        self._send(flow, remote, transaction.kept)
        if not self._timers.reliable:
            self._arm(now_s, transaction, Input.RETRANSMIT_TIMER, transaction.interval_s)
        self._arm(now_s, transaction, Input.TIMEOUT_TIMER, self._timers.timeout_s)
        return transaction.number

    def send_ack(
        self, transaction: TransactionId, to_tag: str, ack: Request, remote: Address, flow: Flow
    ) -> None:
        """Send the ACK of a 2xx. It is repeated for each repetition of that 2xx while the INVITE is remembered."""
        ack.headers.put_first("Via", self._via(flow, BRANCH_COOKIE + self._tokens()))
        outgoing = Outgoing(flow, remote, ack.serialize())
        self._out.append(outgoing)
        invite = self._by_number.get(transaction)
        if invite is not None:
            invite.acks[to_tag] = outgoing

    def cancel(self, now_s: float, transaction: TransactionId, reason: str = "") -> None:
        """Give up a pending INVITE of ours (RFC 3261 section 9.1); nothing happens once it is final."""
        invite = self._by_number.get(transaction)
        if invite is None or invite.cancelled:
            return
        if invite.state is State.CALLING:
            invite.cancel_wanted = reason  # not before a provisional response
        elif invite.state is State.PROCEEDING:
            self._send_cancel(now_s, invite, reason)

    def respond(self, now_s: float, transaction: TransactionId, response: Response) -> None:
        """Send a response of ours. One for a transaction that is over is forgotten."""
        server = self._by_number.get(transaction)
        if server is None or server.kind not in SERVER_KINDS:
            return
        if server.state in (State.COMPLETED, State.CONFIRMED, State.TERMINATED):
            return
        if response.status > 100:
            server.to_tag = response.to_tag
        event = response_input(response.status)
        data = response.serialize()
        if event is Input.SUCCESS and server.kind is Kind.INVITE_SERVER:
            self._keep_success(now_s, server, response, data)
        self._advance(now_s, server, event, data=data)

    # --- requests -----------------------------------------------------------------------------------------

    def _receive_request(self, now_s: float, request: Request, source: Address, flow: Flow) -> None:
        if not self._handed_over(now_s, request, source, flow) and isinstance(request.body, OpaqueBody):
            # A repetition, or a request answered here: nobody else will wipe the key it carries.
            request.body.wipe()

    def _handed_over(self, now_s: float, request: Request, source: Address, flow: Flow) -> bool:
        """Sort a request; tell whether it went to the core, which wipes an opaque body itself."""
        via = request.via
        _note_source(request, source)
        key = _server_key(request)
        known = self._by_wire.get(key)
        if request.method == "ACK":
            self._receive_ack(now_s, request, known)
            return False
        if known is not None:
            self._advance(now_s, known, Input.REQUEST)
            return False
        remote = _answer_address(via, source)
        if request.method == "CANCEL":
            self._receive_cancel(now_s, request, key, remote, flow)
            return False
        if len(self._by_number) >= self._transactions_max:
            busy = respond_to(
                request, 503, to_tag=self._tokens(), headers=[("Retry-After", str(RETRY_AFTER_S))]
            )
            self._send(flow, remote, busy.serialize())
            self._refused(source, "too many transactions", 503)
            return False
        kind = Kind.INVITE_SERVER if request.method == "INVITE" else Kind.SERVER
        merged = (request.call_id, request.from_tag, str(request.cseq))
        if not request.to_tag and merged in self._merged:
            # RFC 3261 section 8.2.2.2: the same request by another path.
            transaction = self._new(kind, key, request, remote, flow)
            self.respond(now_s, transaction.number, respond_to(request, 482, to_tag=self._tokens()))
            return False
        transaction = self._new(kind, key, request, remote, flow)
        if not request.to_tag:
            transaction.merged_key = merged
            self._merged[merged] = transaction.number
        self._events.append(RequestReceived(transaction.number, request, source, flow))
        return True

    def _receive_ack(self, now_s: float, request: Request, known: _Transaction | None) -> None:
        if known is not None and known.state is not State.ACCEPTED:
            self._advance(now_s, known, Input.ACK)
            return
        success = self._successes.pop(_success_key(request), None)
        if success is not None:
            self._events.append(AckReceived(success.transaction, request))

    def _receive_cancel(
        self, now_s: float, request: Request, key: WireKey, remote: Address, flow: Flow
    ) -> None:
        invite = self._by_wire.get((*key[:-1], "INVITE"))
        if invite is None:
            # RFC 3261 section 9.2; without state, so that stray CANCELs fill no table.
            gone = respond_to(request, 481, to_tag=self._tokens())
            self._send(flow, remote, gone.serialize())
            return
        transaction = self._new(Kind.SERVER, key, request, remote, flow)
        invite.to_tag = invite.to_tag or self._tokens()
        self.respond(now_s, transaction.number, respond_to(request, 200, to_tag=invite.to_tag))
        if invite.state is State.PROCEEDING and not invite.cancelled:
            invite.cancelled = True
            self._events.append(CancelReceived(invite.number, request.headers.get("Reason") or ""))

    def _answer_stateless(self, error: Reject, source: Address, flow: Flow) -> None:
        headers = Headers(error.echo)
        to = headers.get("To")
        if to is not None and ";tag=" not in to.replace(" ", "").lower() and '"' not in to.rpartition(">")[2]:
            headers.set("To", f"{to};tag={self._tokens()}")
        for name, value in error.extra:
            headers.add(name, value)
        response = Response(error.status, REASONS.get(error.status, "Unknown"), headers)
        via = parse_via(headers.get("Via") or "")
        remote = _answer_address(via, source)
        self._send(flow, remote, response.serialize())
        self._refused(source, error.reason, error.status)

    # --- responses ----------------------------------------------------------------------------------------

    def _receive_response(self, now_s: float, response: Response, source: Address) -> None:
        if len(response.headers.get_all("Via")) != 1:
            raise Drop("response with several Vias")  # RFC 3261 section 8.1.3.3
        via = response.via
        transaction = self._by_wire.get((via.branch or "", response.cseq.method))
        if transaction is None or transaction.kind in SERVER_KINDS:
            raise Drop("response to nothing of ours")
        ours = transaction.request
        if (
            response.call_id != ours.call_id
            or response.cseq != ours.cseq
            or response.from_tag != ours.from_tag
        ):
            raise Drop("response of another dialog")
        event = response_input(response.status)
        self._advance(now_s, transaction, event, response=response, source=source)
        if transaction.state is State.PROCEEDING and transaction.cancel_wanted is not None:
            self._send_cancel(now_s, transaction, transaction.cancel_wanted)

    def _pass_response(self, transaction: _Transaction, response: Response, source: Address) -> None:
        if transaction.kind is Kind.INVITE_CLIENT and 200 <= response.status < 300:
            ack = transaction.acks.get(response.to_tag)
            if ack is not None:
                self._out.append(ack)
                return
        if transaction.request.method != "CANCEL":
            self._events.append(ResponseReceived(transaction.number, transaction.request, response, source))

    def _send_cancel(self, now_s: float, invite: _Transaction, reason: str) -> None:
        invite.cancelled, invite.cancel_wanted = True, None
        fields = Headers(
            [("Via", invite.request.headers.get("Via") or ""), *_same_dialog_fields(invite.request)]
        )
        fields.add("To", invite.request.headers.get("To") or "")
        fields.add("CSeq", str(CSeq(invite.request.cseq.number, "CANCEL")))
        if reason:
            fields.add("Reason", reason)
        request = Request("CANCEL", invite.request.uri, fields)
        cancel = self._new(Kind.CLIENT, (invite.wire_key[0], "CANCEL"), request, invite.remote, invite.flow)
        cancel.kept = request.serialize()
        cancel.interval_s = self._timers.t1_s
        self._send(cancel.flow, cancel.remote, cancel.kept)
        if not self._timers.reliable:
            self._arm(now_s, cancel, Input.RETRANSMIT_TIMER, cancel.interval_s)
        self._arm(now_s, cancel, Input.TIMEOUT_TIMER, self._timers.timeout_s)
        self._arm(now_s, invite, Input.TIMEOUT_TIMER, self._timers.timeout_s)

    # --- the machine --------------------------------------------------------------------------------------

    def _advance(
        self,
        now_s: float,
        transaction: _Transaction,
        event: Input,
        *,
        data: bytes = b"",
        response: Response | None = None,
        source: Address | None = None,
    ) -> None:
        transaction.state, actions = step(transaction.kind, transaction.state, event)
        for action in actions:
            if action is Action.SEND:
                transaction.kept = data
                self._send(transaction.flow, transaction.remote, data)
            elif action is Action.PASS and response is not None and source is not None:
                self._pass_response(transaction, response, source)
            elif action is Action.ACK and response is not None:
                self._send_failure_ack(transaction, response)
            else:
                self._act(now_s, transaction, action)
        if transaction.state is State.TERMINATED:
            self._forget(transaction)

    def _act(self, now_s: float, transaction: _Transaction, action: Action) -> None:
        timers = self._timers
        if action is Action.RESEND:
            if transaction.kept:
                self._send(transaction.flow, transaction.remote, transaction.kept)
        elif action is Action.TIMED_OUT:
            if transaction.kind not in SERVER_KINDS and transaction.request.method != "CANCEL":
                self._events.append(RequestTimedOut(transaction.number, transaction.request))
        elif action is Action.START_RETRANSMIT:
            transaction.interval_s = timers.t1_s
            if not timers.reliable:
                self._arm(now_s, transaction, Input.RETRANSMIT_TIMER, transaction.interval_s)
        elif action is Action.AGAIN:
            # Timer A has no upper bound (section 17.1.1.2); E and G stop growing at T2.
            doubled = 2 * transaction.interval_s
            bounded = doubled if transaction.kind is Kind.INVITE_CLIENT else min(doubled, timers.t2_s)
            transaction.interval_s = bounded
            self._arm(now_s, transaction, Input.RETRANSMIT_TIMER, bounded)
        elif action is Action.SLOW:
            self._arm(now_s, transaction, Input.RETRANSMIT_TIMER, timers.t2_s)
        elif action is Action.STOP_RETRANSMIT:
            transaction.deadlines.pop(Input.RETRANSMIT_TIMER, None)
        elif action is Action.STOP_TIMEOUT:
            transaction.deadlines.pop(Input.TIMEOUT_TIMER, None)
        elif action is Action.START_TIMEOUT:
            self._arm(now_s, transaction, Input.TIMEOUT_TIMER, timers.timeout_s)
        elif action is Action.WAIT:
            wait_s = timers.wait_s(transaction.kind, transaction.state)
            self._arm(now_s, transaction, Input.WAIT_TIMER, wait_s)

    def _send_failure_ack(self, transaction: _Transaction, response: Response) -> None:
        """RFC 3261 section 17.1.1.3: same branch, same Request-URI, the To of the response."""
        invite = transaction.request
        fields = Headers([("Via", invite.headers.get("Via") or ""), *_same_dialog_fields(invite)])
        fields.add("To", response.headers.get("To") or "")
        fields.add("CSeq", str(CSeq(invite.cseq.number, "ACK")))
        self._send(transaction.flow, transaction.remote, Request("ACK", invite.uri, fields).serialize())

    def _keep_success(self, now_s: float, server: _Transaction, response: Response, data: bytes) -> None:
        key = _success_key(response)
        outgoing = Outgoing(server.flow, server.remote, data)
        due_s = now_s + self._timers.t1_s
        give_up_s = now_s + self._timers.timeout_s
        success = _Success(server.number, key, outgoing, self._timers.t1_s, due_s, give_up_s)
        self._successes[key] = success
        self._push(due_s, server.number, None, key)

    def _repeat_success(self, now_s: float, success: _Success) -> None:
        if now_s >= success.give_up_s:
            del self._successes[success.key]
            self._events.append(AckMissing(success.transaction))
            return
        self._out.append(success.outgoing)
        success.interval_s = min(2 * success.interval_s, self._timers.t2_s)
        success.due_s = min(now_s + success.interval_s, success.give_up_s)
        self._push(success.due_s, success.transaction, None, success.key)

    # --- tables and timers --------------------------------------------------------------------------------

    def _new(
        self, kind: Kind, wire_key: WireKey, request: Request, remote: Address, flow: Flow
    ) -> _Transaction:
        self._count += 1
        number = TransactionId(self._count)
        transaction = _Transaction(number, kind, wire_key, request, remote, flow, INITIAL[kind])
        self._by_number[number] = self._by_wire[wire_key] = transaction
        return transaction

    def _forget(self, transaction: _Transaction) -> None:
        transaction.deadlines.clear()
        self._by_number.pop(transaction.number, None)
        self._by_wire.pop(transaction.wire_key, None)
        if self._merged.get(transaction.merged_key) == transaction.number:
            del self._merged[transaction.merged_key]

    def _arm(self, now_s: float, transaction: _Transaction, timer: Input, delay_s: float) -> None:
        transaction.deadlines[timer] = now_s + delay_s
        self._push(now_s + delay_s, transaction.number, timer, ())

    def _push(self, due_s: float, number: TransactionId, timer: Input | None, key: WireKey) -> None:
        self._count += 1
        heapq.heappush(self._heap, (due_s, self._count, number, timer, key))

    def _alive(self, entry: tuple[float, int, TransactionId, Input | None, WireKey]) -> bool:
        due_s, _, number, timer, key = entry
        if timer is None:
            success = self._successes.get(key)
            return success is not None and success.due_s == due_s
        transaction = self._by_number.get(number)
        return transaction is not None and transaction.deadlines.get(timer) == due_s

    def _send(self, flow: Flow, remote: Address, data: bytes) -> None:
        self._out.append(Outgoing(flow, remote, data))

    def _via(self, flow: Flow, branch: str) -> str:
        local = self.local[flow]
        return f"SIP/2.0/UDP {host_port(local.host, local.port)};rport;branch={branch}"

    def _refused(self, source: Address, reason: str, status: int) -> None:
        if len(self._events) < EVENTS_MAX:
            self._events.append(MessageRefused(source, reason, status))


def _same_dialog_fields(invite: Request) -> list[tuple[str, str]]:
    """Fields that an ACK of a failure and a CANCEL take over from their INVITE."""
    kept = ("Route", "From", "Call-ID", "Max-Forwards")
    return [item for item in invite.headers if item[0] in kept]


def _server_key(request: Request) -> WireKey:
    """RFC 3261 section 17.2.3; for a branch without the cookie the fields of RFC 2543."""
    via = request.via
    method = "INVITE" if request.method == "ACK" else request.method
    if via.branch is not None and via.branch.startswith(BRANCH_COOKIE):
        return (via.branch, via.host.lower(), str(via.port or SIP_PORT), method)
    cseq = str(request.cseq.number)
    return ("2543", request.uri, request.from_tag, request.call_id, cseq, str(via), method)


def _success_key(message: Request | Response) -> WireKey:
    return (message.call_id, message.from_tag, message.to_tag, str(message.cseq.number))


def _note_source(request: Request, source: Address) -> None:
    """Fill ``received`` and ``rport`` of the top Via (RFC 3261 section 18.2.1, RFC 3581 section 4)."""
    via = request.via
    wants_port = via.parameter("rport") is not None
    if via.host == source.host and not wants_port:
        return
    kept = tuple(pair for pair in via.parameters if pair[0].lower() not in ("received", "rport"))
    noted = (*kept, ("received", source.host), *((("rport", str(source.port)),) if wants_port else ()))
    top = f"SIP/{via.version}/{via.transport} {host_port(via.host, via.port)}{format_parameters(noted)}"
    others = request.headers.get_all("Via")[1:]
    request.headers.set("Via", top)
    for other in others:
        request.headers.add("Via", other)


def _answer_address(via: Via, source: Address) -> Address:
    """Where a response goes (RFC 3261 section 18.2.2, RFC 3581): always to the source's IP address.

    ``maddr`` is not followed: it would let anyone aim our answers.
    """
    if via.parameter("rport") is not None:
        return source
    return Address(source.host, via.port or SIP_PORT)
