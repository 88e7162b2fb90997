"""The UDP shell of the call core: reads sockets, feeds the core, sends, re-arms one timer. It knows no SIP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Final

from dtmf_shield.base.clock import Clock
from dtmf_shield.base.log import get_logger
from dtmf_shield.call.core import CallCore
from dtmf_shield.sip.events import Address, Outgoing

DATAGRAM_BYTES_MAX: Final = 65_535
READ_BATCH_MAX: Final = 64
"""Datagrams taken at one wake-up, so that timers and channels get their turn."""
REFUSAL_LOG_INTERVAL_S: Final = 60.0
REFUSALS_REMEMBERED: Final = 1_024

_log = get_logger("signalling")


class UdpShell:
    """Drives one CallCore over already bound sockets. ``after`` is called after each input, to take events."""

    def __init__(
        self, core: CallCore, sockets: Sequence[socket.socket], clock: Clock, after: Callable[[], None]
    ) -> None:
        self._core, self._sockets, self._clock, self._after = core, tuple(sockets), clock, after
        self._buffer = bytearray(DATAGRAM_BYTES_MAX)
        self._view = memoryview(self._buffer)
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._settling = False
        self._refusals: dict[tuple[str, str], tuple[float, int]] = {}

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start to read."""
        self._loop = loop
        for flow, sock in enumerate(self._sockets):
            sock.setblocking(False)
            loop.add_reader(sock.fileno(), self._read, flow)
        self.settle()

    def close(self) -> None:
        """Stop to read, close the sockets."""
        if self._timer is not None:
            self._timer.cancel()
        for sock in self._sockets:
            if self._loop is not None:
                self._loop.remove_reader(sock.fileno())
            sock.close()
        self._loop = None

    def settle(self) -> None:
        """Send what the core has to send, log what it refused, take its events, re-arm the timer."""
        self._settling = False
        try:
            for outgoing in self._core.datagrams_to_send():
                self._send(outgoing)
            self._log_refusals()
            self._after()
        finally:
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        delay_s = self._core.next_timer_s(self._clock.now_s())
        if self._loop is not None and delay_s is not None:
            self._timer = self._loop.call_later(delay_s, self._timer_due)

    def _settle_soon(self) -> None:
        if self._loop is not None and not self._settling:
            self._settling = True
            self._loop.call_soon(self.settle)

    def _timer_due(self) -> None:
        self._timer = None
        try:
            self._core.handle_timer(self._clock.now_s())
        finally:
            self.settle()

    def _read(self, flow: int) -> None:
        for _ in range(READ_BATCH_MAX):
            try:
                length, source = self._sockets[flow].recvfrom_into(self._buffer)
            except BlockingIOError:
                break
            except OSError:
                continue  # an ICMP error of an earlier datagram: its transaction times out by itself
            address = Address(source[0].partition("%")[0], source[1])
            try:
                self._core.receive_datagram(self._clock.now_s(), self._view[:length], address, flow)
            finally:
                # One buffer for all: an INFO body does not outlive its turn, whatever happens in it.
                self._view[:length] = bytes(length)
                self._settle_soon()

    def _send(self, outgoing: Outgoing) -> None:
        try:
            self._sockets[outgoing.flow].sendto(outgoing.data, tuple(outgoing.remote))
        except BlockingIOError:
            return  # as if lost on the wire: the transaction sends again
        except OSError:
            self._core.transport_failed(self._clock.now_s(), outgoing)

    def _log_refusals(self) -> None:
        """One line per source, reason and minute; never a body."""
        for refusal in self._core.take_refusals():
            key, now_s = (refusal.source, refusal.reason), self._clock.now_s()
            since_s, count = self._refusals.get(key, (-REFUSAL_LOG_INTERVAL_S, 0))
            if now_s - since_s < REFUSAL_LOG_INTERVAL_S:
                self._refusals[key] = (since_s, count + 1)
                continue
            if len(self._refusals) >= REFUSALS_REMEMBERED:
                self._refusals.clear()
            self._refusals[key] = (now_s, 0)
            _log.warning(
                "sip_refused", source=refusal.source, reason=refusal.reason, status=refusal.status, more=count
            )
