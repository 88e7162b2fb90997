"""The sockets that outlive a crash: bound once by the supervisor, passed by descriptor to whoever serves them.

It binds and reports; it reads and writes nothing.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from dtmf_shield.base.config import Config, MediaSection
from dtmf_shield.base.config_forms import split_host_port
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.model.ids import LegRole
from dtmf_shield.model.messages import rtp_socket_index
from dtmf_shield.model.stream import MediaPorts

SIP_RECEIVE_BUFFER_BYTES: Final = 1 << 20
"""Holds what arrives while control restarts."""
RTP_RECEIVE_BUFFER_BYTES: Final = 1 << 16
"""A second of G.711; older audio than that is worth nothing after a restart."""
SO_TIMESTAMPNS: Final = 35
"""Asks the kernel to stamp each packet with its arrival (socket(7)); Python does not name it."""
HTTP_BACKLOG: Final = 128
"""Connections that wait while control restarts."""
EVEN_PORT_TRIES_MAX: Final = 64
"""Where the system chooses ports, odd ones held back before one is taken as it is."""


@dataclass(slots=True)
class HeldSockets:
    """Everything bound. ``rtp`` maps the socket index of SocketsPassed to a socket."""

    sip: list[socket.socket] = field(default_factory=list)
    http: socket.socket | None = None
    rtp: dict[int, socket.socket] = field(default_factory=dict)
    ports: list[MediaPorts] = field(default_factory=list)

    def close(self) -> None:
        """Close all of them."""
        for held in (*self.sip, *self.rtp.values(), *((self.http,) if self.http else ())):
            held.close()


def bind_all(config: Config) -> HeldSockets:
    """Bind SIP, HTTP and the pool of RTP sockets. Raises OperatorError that names the busy address."""
    held = HeldSockets()
    try:
        for entry in config.sip.listen:
            held.sip.append(_bind(socket.SOCK_DGRAM, *split_host_port(entry), "sip.listen"))
            held.sip[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SIP_RECEIVE_BUFFER_BYTES)
        held.http = _bind(socket.SOCK_STREAM, *split_host_port(config.api.listen), "api.listen")
        held.http.listen(HTTP_BACKLOG)
        _bind_rtp_pool(held, config.media)
    except BaseException:
        held.close()
        raise
    return held


def _bind(kind: int, host: str, port: int, key: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, kind)
    if family == socket.AF_INET6:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if kind == socket.SOCK_STREAM:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if error.errno == errno.EADDRINUSE:
            reason = f"{shown} is in use by another program; stop it or set {key} to another port"
        elif error.errno == errno.EADDRNOTAVAIL:
            reason = f"{host} is not an address of this machine; set {key} to one that is"
        else:
            reason = f"{shown} cannot be bound ({error.strerror}); change {key}"
        raise OperatorError(f"{key}: {reason}") from error
    bound.setblocking(False)
    return bound


def _bind_rtp_pool(held: HeldSockets, media: MediaSection) -> None:
    families = [media.address] + ([media.address_v6] if media.address_v6 else [])
    candidates = {host: _candidate_ports(media) for host in families}
    for row in range(media.calls_max):
        ports: dict[tuple[LegRole, bool], int] = {}
        for role in LegRole:
            for v6, host in enumerate(families):
                bound = _bind_rtp(host, candidates[host], media)
                held.rtp[rtp_socket_index(row, role, v6=bool(v6))] = bound
                ports[role, bool(v6)] = bound.getsockname()[1]
        held.ports.append(
            MediaPorts(
                row=row,
                caller_port=ports[LegRole.CALLER, False],
                agent_port=ports[LegRole.AGENT, False],
                caller_port_v6=ports.get((LegRole.CALLER, True), 0),
                agent_port_v6=ports.get((LegRole.AGENT, True), 0),
            )
        )


def _candidate_ports(media: MediaSection) -> Iterator[int]:
    if media.port_min:
        first = media.port_min + media.port_min % 2
        yield from range(first, media.port_max + 1, 2)
        return
    while True:
        yield 0


def _bind_rtp(host: str, candidates: Iterator[int], media: MediaSection) -> socket.socket:
    """Bind the next free even port (RFC 3550 section 11: RTP on even ports)."""
    busy: list[int] = []
    odd: list[socket.socket] = []
    try:
        for port in candidates:
            try:
                bound = _bind(socket.SOCK_DGRAM, host, port, "media.address")
            except OperatorError as error:
                cause = error.__cause__
                if not (isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE):
                    raise
                busy.append(port)
                continue
            if bound.getsockname()[1] % 2 and len(odd) < EVEN_PORT_TRIES_MAX:
                odd.append(bound)
                continue
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RTP_RECEIVE_BUFFER_BYTES)
            with contextlib.suppress(OSError):  # without it, media takes the time at which it woke
                bound.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            return bound
    finally:
        for unused in odd:
            unused.close()
    shown = ", ".join(map(str, busy[:8])) + (" ..." if len(busy) > 8 else "")
    raise OperatorError(
        f"media.port_min..port_max ({media.port_min}-{media.port_max}): not enough free even ports on {host}; "
        f"in use by other programs: {shown or 'none, the range is too small'}; widen the range or lower media.calls_max"
    )
