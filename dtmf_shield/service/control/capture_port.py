"""The cde process as the call core sees it: commands over one channel, INFO bodies through the mailbox."""

from __future__ import annotations

from dtmf_shield.base.clock import Clock
from dtmf_shield.call.ports import CaptureCommand
from dtmf_shield.model.ids import CallId, LegRole
from dtmf_shield.model.messages import CdeToControl, InfoMailed, OrderPayment
from dtmf_shield.service.channel import Channel
from dtmf_shield.service.control.mailbox import MailboxWriter
from dtmf_shield.sip.message import OpaqueBody


class CdeCaptures:
    """Implements ``call.ports.CapturePort``."""

    def __init__(self, clock: Clock, mailbox: MailboxWriter) -> None:
        self._clock, self._mailbox = clock, mailbox
        self._channel: Channel[CdeToControl] | None = None

    def connect(self, channel: Channel[CdeToControl] | None) -> None:
        """Use ``channel`` from now on; None while cde is away."""
        self._channel = channel
        if channel is not None:
            self._mailbox.free_all()

    @property
    def connected(self) -> bool:
        """Whether cde is there."""
        return self._channel is not None

    def send(self, message: CaptureCommand) -> bool:
        """Pass a command on; False where cde is away."""
        return self._channel is not None and self._channel.send(message)

    def order(self, message: OrderPayment) -> bool:
        """Pass an order on; False where cde is away."""
        return self._channel is not None and self._channel.send(message)

    def opaque_info(self, call_id: CallId, row: int, role: LegRole, body: OpaqueBody) -> bool:
        """Carry an unread INFO body to cde; False where no cell is free or cde is away."""
        if self._channel is None:
            return False
        with body.view() as view:
            placed = self._mailbox.put(view, self._clock.now_s())
        if placed is None:
            return False
        cell, length = placed
        if self._channel.send(InfoMailed(call_id, row, role, cell, length)):
            return True
        self._mailbox.free(cell)
        return False

    def cell_freed(self, cell: int) -> None:
        """Cde has wiped the cell."""
        self._mailbox.free(cell)
