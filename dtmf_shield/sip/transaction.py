"""The four transaction state machines of RFC 3261 section 17 as literal tables, as corrected by RFC 6026.

A table maps (state, input) to (next state, actions). This file knows no message, no socket and no clock:
:mod:`dtmf_shield.sip.endpoint` carries the actions out.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from dtmf_shield.base.errors import InvariantError


class State(enum.Enum):
    """States of all four machines."""

    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    TERMINATED = "terminated"


class Input(enum.Enum):
    """What can happen to a transaction: RECEIVED by the wire, SENT by our own side, a timer, a dead transport."""

    REQUEST = "request received again"
    ACK = "ACK received"
    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    FAILURE = "3xx-6xx"
    RETRANSMIT_TIMER = "timer A, E or G"
    TIMEOUT_TIMER = "timer B, F or H"
    WAIT_TIMER = "timer D, I, J, K, L or M"
    TRANSPORT_ERROR = "transport error"


class Action(enum.Enum):
    """What to do on a transition."""

    SEND = "send the new message and keep it"
    RESEND = "send the kept message again"
    ACK = "send ACK for a failure"
    PASS = "hand the response to the core"  # noqa: S105 - an action, not a password
    TIMED_OUT = "tell the core"
    START_RETRANSMIT = "start timer A, E or G"
    AGAIN = "double the retransmission timer"
    SLOW = "set timer E to T2"
    STOP_RETRANSMIT = "stop timer A, E or G"
    STOP_TIMEOUT = "stop timer B, F or H"
    START_TIMEOUT = "start timer H"
    WAIT = "start timer D, I, J, K, L or M"


class Kind(enum.Enum):
    """Which machine."""

    INVITE_CLIENT = "INVITE client"
    CLIENT = "non-INVITE client"
    INVITE_SERVER = "INVITE server"
    SERVER = "non-INVITE server"


Table = dict[tuple[State, Input], tuple[State, tuple[Action, ...]]]

_S, _I, _A = State, Input, Action

# RFC 3261 section 17.1.1.2, figure 5, with RFC 6026 section 8.4 (Accepted, timer M).
INVITE_CLIENT: Final[Table] = {
    (_S.CALLING, _I.RETRANSMIT_TIMER): (_S.CALLING, (_A.RESEND, _A.AGAIN)),
    (_S.CALLING, _I.TIMEOUT_TIMER): (_S.TERMINATED, (_A.TIMED_OUT,)),
    (_S.CALLING, _I.TRANSPORT_ERROR): (_S.TERMINATED, (_A.TIMED_OUT,)),
    (_S.CALLING, _I.PROVISIONAL): (_S.PROCEEDING, (_A.STOP_RETRANSMIT, _A.STOP_TIMEOUT, _A.PASS)),
    (_S.CALLING, _I.SUCCESS): (_S.ACCEPTED, (_A.STOP_RETRANSMIT, _A.STOP_TIMEOUT, _A.WAIT, _A.PASS)),
    (_S.CALLING, _I.FAILURE): (
        _S.COMPLETED,
        (_A.STOP_RETRANSMIT, _A.STOP_TIMEOUT, _A.ACK, _A.WAIT, _A.PASS),
    ),
    (_S.PROCEEDING, _I.PROVISIONAL): (_S.PROCEEDING, (_A.PASS,)),
    # Armed only by CANCEL: RFC 3261 section 9.1 gives the final response 64*T1.
    (_S.PROCEEDING, _I.TIMEOUT_TIMER): (_S.TERMINATED, (_A.TIMED_OUT,)),
    (_S.PROCEEDING, _I.SUCCESS): (_S.ACCEPTED, (_A.STOP_TIMEOUT, _A.WAIT, _A.PASS)),
    (_S.PROCEEDING, _I.FAILURE): (_S.COMPLETED, (_A.STOP_TIMEOUT, _A.ACK, _A.WAIT, _A.PASS)),
    (_S.COMPLETED, _I.FAILURE): (_S.COMPLETED, (_A.ACK,)),
    (_S.COMPLETED, _I.TRANSPORT_ERROR): (_S.TERMINATED, (_A.TIMED_OUT,)),
    (_S.COMPLETED, _I.WAIT_TIMER): (_S.TERMINATED, ()),
    # Every 2xx goes up: a retransmission wants our ACK again, another To tag is a fork.
    (_S.ACCEPTED, _I.SUCCESS): (_S.ACCEPTED, (_A.PASS,)),
    (_S.ACCEPTED, _I.WAIT_TIMER): (_S.TERMINATED, ()),
}

# RFC 3261 section 17.1.2.2, figure 6.
CLIENT: Final[Table] = {
    (_S.TRYING, _I.RETRANSMIT_TIMER): (_S.TRYING, (_A.RESEND, _A.AGAIN)),
    (_S.TRYING, _I.TIMEOUT_TIMER): (_S.TERMINATED, (_A.TIMED_OUT,)),
    (_S.TRYING, _I.TRANSPORT_ERROR): (_S.TERMINATED, (_A.TIMED_OUT,)),
    (_S.TRYING, _I.PROVISIONAL): (_S.PROCEEDING, (_A.PASS,)),
    (_S.TRYING, _I.SUCCESS): (_S.COMPLETED, (_A.STOP_RETRANSMIT, _A.STOP_TIMEOUT, _A.WAIT, _A.PASS)),
    (_S.TRYING, _I.FAILURE): (_S.COMPLETED, (_A.STOP_RETRANSMIT, _A.STOP_TIMEOUT, _A.WAIT, _A.PASS)),
    (_S.PROCEEDING, _I.RETRANSMIT_TIMER): (_S.PROCEEDING, (_A.RESEND, _A.SLOW)),
    (_S.PROCEEDING, _I.TIMEOUT_TIMER): (_S.TERMINATED, (_A.TIMED_OUT,)),
    (_S.PROCEEDING, _I.TRANSPORT_ERROR): (_S.TERMINATED, (_A.TIMED_OUT,)),
    (_S.PROCEEDING, _I.PROVISIONAL): (_S.PROCEEDING, (_A.PASS,)),
    (_S.PROCEEDING, _I.SUCCESS): (_S.COMPLETED, (_A.STOP_RETRANSMIT, _A.STOP_TIMEOUT, _A.WAIT, _A.PASS)),
    (_S.PROCEEDING, _I.FAILURE): (_S.COMPLETED, (_A.STOP_RETRANSMIT, _A.STOP_TIMEOUT, _A.WAIT, _A.PASS)),
    (_S.COMPLETED, _I.WAIT_TIMER): (_S.TERMINATED, ()),
}

# RFC 3261 section 17.2.1, figure 7, with RFC 6026 section 8.5 (Accepted, timer L).
INVITE_SERVER: Final[Table] = {
    (_S.PROCEEDING, _I.REQUEST): (_S.PROCEEDING, (_A.RESEND,)),
    (_S.PROCEEDING, _I.PROVISIONAL): (_S.PROCEEDING, (_A.SEND,)),
    (_S.PROCEEDING, _I.SUCCESS): (_S.ACCEPTED, (_A.SEND, _A.WAIT)),
    (_S.PROCEEDING, _I.FAILURE): (_S.COMPLETED, (_A.SEND, _A.START_RETRANSMIT, _A.START_TIMEOUT)),
    (_S.PROCEEDING, _I.TRANSPORT_ERROR): (_S.TERMINATED, (_A.TIMED_OUT,)),
    (_S.COMPLETED, _I.REQUEST): (_S.COMPLETED, (_A.RESEND,)),
    (_S.COMPLETED, _I.RETRANSMIT_TIMER): (_S.COMPLETED, (_A.RESEND, _A.AGAIN)),
    (_S.COMPLETED, _I.TIMEOUT_TIMER): (_S.TERMINATED, (_A.TIMED_OUT,)),
    (_S.COMPLETED, _I.TRANSPORT_ERROR): (_S.TERMINATED, (_A.TIMED_OUT,)),
    (_S.COMPLETED, _I.ACK): (_S.CONFIRMED, (_A.STOP_RETRANSMIT, _A.STOP_TIMEOUT, _A.WAIT)),
    (_S.CONFIRMED, _I.WAIT_TIMER): (_S.TERMINATED, ()),
    # The core repeats its 2xx until the ACK comes; the transaction only absorbs INVITEs.
    (_S.ACCEPTED, _I.SUCCESS): (_S.ACCEPTED, (_A.SEND,)),
    (_S.ACCEPTED, _I.WAIT_TIMER): (_S.TERMINATED, ()),
}

# RFC 3261 section 17.2.2, figure 8.
SERVER: Final[Table] = {
    (_S.TRYING, _I.PROVISIONAL): (_S.PROCEEDING, (_A.SEND,)),
    (_S.TRYING, _I.SUCCESS): (_S.COMPLETED, (_A.SEND, _A.WAIT)),
    (_S.TRYING, _I.FAILURE): (_S.COMPLETED, (_A.SEND, _A.WAIT)),
    (_S.PROCEEDING, _I.REQUEST): (_S.PROCEEDING, (_A.RESEND,)),
    (_S.PROCEEDING, _I.PROVISIONAL): (_S.PROCEEDING, (_A.SEND,)),
    (_S.PROCEEDING, _I.SUCCESS): (_S.COMPLETED, (_A.SEND, _A.WAIT)),
    (_S.PROCEEDING, _I.FAILURE): (_S.COMPLETED, (_A.SEND, _A.WAIT)),
    (_S.PROCEEDING, _I.TRANSPORT_ERROR): (_S.TERMINATED, (_A.TIMED_OUT,)),
    (_S.COMPLETED, _I.REQUEST): (_S.COMPLETED, (_A.RESEND,)),
    (_S.COMPLETED, _I.TRANSPORT_ERROR): (_S.TERMINATED, (_A.TIMED_OUT,)),
    (_S.COMPLETED, _I.WAIT_TIMER): (_S.TERMINATED, ()),
}

TABLES: Final[dict[Kind, Table]] = {
    Kind.INVITE_CLIENT: INVITE_CLIENT,
    Kind.CLIENT: CLIENT,
    Kind.INVITE_SERVER: INVITE_SERVER,
    Kind.SERVER: SERVER,
}
INITIAL: Final[dict[Kind, State]] = {
    Kind.INVITE_CLIENT: State.CALLING,
    Kind.CLIENT: State.TRYING,
    Kind.INVITE_SERVER: State.PROCEEDING,
    Kind.SERVER: State.TRYING,
}

# What the network or a late timer may bring in any state and what then is nothing to do. RFC 3261 leaves these
# out of its figures; everything else that is missing in a table is our own mistake.
ABSORBED: Final = frozenset(Input) - {Input.PROVISIONAL, Input.SUCCESS, Input.FAILURE}
SERVER_KINDS: Final = frozenset({Kind.INVITE_SERVER, Kind.SERVER})


@dataclass(frozen=True, slots=True)
class Timers:
    """RFC 3261 table 4, in seconds. The names are the RFC's."""

    t1_s: float = 0.5
    t2_s: float = 4.0
    t4_s: float = 5.0
    d_s: float = 32.0
    reliable: bool = False
    """On a reliable transport A, E and G do not run and D, I, J and K are zero."""

    @property
    def timeout_s(self) -> float:
        """Timers B, F, H, and L and M of RFC 6026."""
        return 64 * self.t1_s

    def wait_s(self, kind: Kind, state: State) -> float:
        """Return timer D, I, J, K, L or M: how long a transaction absorbs what comes late."""
        if state is State.ACCEPTED:
            return self.timeout_s  # L and M wait for the core's ACK, whatever the transport
        if self.reliable:
            return 0.0
        if kind is Kind.INVITE_CLIENT:
            return max(self.d_s, self.timeout_s)
        return self.timeout_s if kind is Kind.SERVER else self.t4_s


def step(kind: Kind, state: State, event: Input) -> tuple[State, tuple[Action, ...]]:
    """Look up one transition.

    What a peer or a late timer may cause at any time and the figures leave out changes nothing. A response that
    our own side sends out of order raises InvariantError.
    """
    found = TABLES[kind].get((state, event))
    if found is not None:
        return found
    if event in ABSORBED or kind not in SERVER_KINDS:
        return state, ()
    raise InvariantError(f"{kind.value} transaction: {event.value} sent in state {state.value}")


def response_input(status: int) -> Input:
    """Return the class of a status code as an input."""
    if status < 200:
        return Input.PROVISIONAL
    return Input.SUCCESS if status < 300 else Input.FAILURE
