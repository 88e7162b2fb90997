"""What an Endpoint is told, sends and tells: addresses, datagrams out, events up. Frozen, and none holds a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, NewType

from dtmf_shield.sip.message import Request, Response

TransactionId = NewType("TransactionId", int)
"""Ours, never on the wire; valid until the transaction's end."""
Flow = int
"""Index of the local socket in the endpoint's ``local`` addresses."""


class Address(NamedTuple):
    """A literal IP address and a UDP port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One datagram to send."""

    flow: Flow
    remote: Address
    data: bytes


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A new request, ACK and CANCEL excepted. Answer it by ``respond(transaction, ...)``."""

    transaction: TransactionId
    request: Request
    source: Address
    flow: Flow


@dataclass(frozen=True, slots=True)
class AckReceived:
    """The ACK of a 2xx; ``transaction`` is the INVITE's. It may bring the answer of a late offer."""

    transaction: TransactionId
    request: Request


@dataclass(frozen=True, slots=True)
class AckMissing:
    """No ACK came for a 2xx in 64*T1: end the session (RFC 3261 section 13.3.1.4)."""

    transaction: TransactionId


@dataclass(frozen=True, slots=True)
class CancelReceived:
    """A pending INVITE is to be given up; the CANCEL itself is answered already."""

    transaction: TransactionId
    reason: str
    """Its Reason field, empty for none."""


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """A response to a request of ours; for an INVITE there may be several, and 2xx of several forks."""

    transaction: TransactionId
    request: Request
    """Ours, as it was sent."""
    response: Response
    source: Address


@dataclass(frozen=True, slots=True)
class RequestTimedOut:
    """No final response came, or the datagram could not be sent: as a 408 (RFC 3261 section 8.1.3.1)."""

    transaction: TransactionId
    request: Request


@dataclass(frozen=True, slots=True)
class MessageRefused:
    """A malformed message was dropped or answered with ``status`` (0: dropped). For one log line without a body."""

    source: Address
    reason: str
    status: int


Event = (
    RequestReceived
    | AckReceived
    | AckMissing
    | CancelReceived
    | ResponseReceived
    | RequestTimedOut
    | MessageRefused
)
