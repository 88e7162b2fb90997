"""The cde process: hardened, one thread, one loop; joins channels, timers, ledger and gateway to the captures.

``python -m dtmf_shield.service.cde_process`` with the supervisor's channel as descriptor DTMF_SHIELD_CHANNEL_FD. The
first message is ConfigureCde with two descriptors: digit slots and INFO mailbox.
"""

from __future__ import annotations

import asyncio
import datetime
import encodings.idna  # noqa: F401 - used by asyncio's TLS; a sealed process cannot import it later
import functools
import os
import secrets
import signal
import socket
import sys
from importlib import resources
from pathlib import Path
from typing import Final

from dtmf_shield.account_data.mailbox import Mailbox
from dtmf_shield.account_data.slots import Region, create_region
from dtmf_shield.base.clock import Clock
from dtmf_shield.base.errors import InvariantError
from dtmf_shield.base.log import get_logger
from dtmf_shield.base.system_clock import SystemClock
from dtmf_shield.cde.captures import Captures
from dtmf_shield.cde.card import IinTable
from dtmf_shield.cde.gateways.base import (
    GatewayResult,
    GatewayResultKind,
    Idempotency,
    Order,
)
from dtmf_shield.cde.gateways.generic import GenericConnector
from dtmf_shield.cde.gateways.sender import (
    BUILD_PAGE_BYTES,
    BUILD_PAGES,
    Endpoint,
    GatewaySender,
    basic_authorization,
    tls_context,
)
from dtmf_shield.cde.ledger import Ledger
from dtmf_shield.cde.payments import Payments
from dtmf_shield.cde.submission import Submission
from dtmf_shield.model.capture import CaptureOutcome
from dtmf_shield.model.ids import CallId, CaptureId
from dtmf_shield.model.messages import (
    HEARTBEAT_INTERVAL_S,
    CdeToControl,
    CdeToMedia,
    ConfigureCde,
    ControlToCde,
    GatewayHealth,
    GatewaySettings,
    Heartbeat,
    MediaToCde,
    PeerConnected,
    ProcessName,
    ProcessReady,
    Shutdown,
    SupervisorToCde,
)
from dtmf_shield.model.payment import OperationKind
from dtmf_shield.service.channel import Channel
from dtmf_shield.service.entry import run_process
from dtmf_shield.service.hardening import harden, refuse_leaking_environment
from dtmf_shield.store.ledger_rows import LedgerRows

CONFIGURE_TIMEOUT_S: Final = 30.0
"""The supervisor configures right after it starts us: by then it is stuck or gone."""
PROBE_INTERVAL_S: Final = 30.0
"""How stale the agent page's word on the gateway may be while no card is sent."""
SENDING_AT_EXIT_S: Final = 3.0
"""What exchanges under way get to end when the process is told to leave; then their intents stay in the ledger."""
LEDGER_FILE: Final = "ledger.sqlite3"
LAST_TIME_ZONE: Final = datetime.timezone(datetime.timedelta(hours=-12))

_BROKEN: Final = GatewayResult(GatewayResultKind.UNKNOWN, code="broken")
_NOT_WRITTEN: Final = GatewayResult(GatewayResultKind.REFUSED, code="ledger")

_log = get_logger("cde")


class CdeProcess:
    """The composition. Implements ``captures.Outlets``; everything here is reading, feeding, sending, re-arming."""

    def __init__(
        self,
        configure: ConfigureCde,
        supervisor: Channel[SupervisorToCde],
        slots: Region,
        mailbox: Mailbox,
        pages: Region,
        clock: Clock,
    ) -> None:
        """Open everything that needs files. Raises OperatorError."""
        self._supervisor, self._clock = supervisor, clock
        self._control: Channel[ControlToCde] | None = None
        self._media: Channel[MediaToCde] | None = None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._leave = asyncio.Event()
        self._health = GatewayHealth(up=True, reason="ok")
        primary = configure.gateways[0]
        self._sender = _sender(primary, pages)
        connector = GenericConnector(primary.name, Idempotency(primary.idempotency), primary.path)
        self._payments = Payments(connector, self._sender)
        state_directory = Path(configure.state_directory)
        rows = LedgerRows(state_directory / LEDGER_FILE)
        self._ledger = Ledger(rows, clock, gateway=primary.name, test=configure.test)
        self._captures = Captures(
            slots,
            mailbox,
            IinTable(resources.files("dtmf_shield.cde").joinpath("iin.toml").read_text("utf-8")),
            self,
            star_codes=configure.star_codes,
            first_generation=secrets.randbits(32),
            test=configure.test,
            earlier=self._ledger.abandoned,
        )

    async def run(self, weaker: tuple[str, ...]) -> None:
        """Serve until told to leave or the supervisor is gone."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._leave.set)
        self._supervisor.attach(self._loop, self._supervisor_message, self._leave.set)
        self._supervisor.send(ProcessReady(ProcessName.CDE, weaker))
        rhythms = [asyncio.create_task(self._beat()), asyncio.create_task(self._probe())]
        try:
            await self._leave.wait()
            if self._sending:
                await asyncio.wait(self._sending, timeout=SENDING_AT_EXIT_S)
        finally:
            for task in (*rhythms, *self._sending):
                task.cancel()
            await asyncio.gather(*rhythms, *self._sending, return_exceptions=True)
            self._captures.wipe()
            self._ledger.close()

    # --- captures.Outlets ---------------------------------------------------------------------------------

    def to_control(self, message: CdeToControl) -> None:
        """Send to control, if it is there."""
        if self._control is not None:
            self._control.send(message)

    def to_media(self, message: CdeToMedia) -> bool:
        """Send to media, if it is there."""
        return self._media is not None and self._media.send(message)

    def started(self, capture_id: CaptureId, call_id: CallId) -> None:
        """Note in ledger and log."""
        self._ledger.capture_started(capture_id, call_id)
        _log.info("capture_started", capture_id=capture_id, call_id=call_id)

    def ended(self, outcome: CaptureOutcome) -> None:
        """Note in ledger and log: one line a capture."""
        self._ledger.capture_ended(outcome)
        _log.info(
            "capture_ended",
            capture_id=outcome.capture_id,
            result=outcome.result.value,
            brand=outcome.brand,
            code=outcome.gateway_code,
            test=outcome.test,
        )

    def send(self, submission: Submission) -> None:
        """Begin an exchange with the gateway."""
        capture_id = submission.capture_id
        key = self._ledger.tokenize_key(submission.call_id, capture_id)
        order = Order(OperationKind.TOKENIZE, key, card=submission.card, reference=submission.order.reference)
        task = self._loop.create_task(self._tokenize(capture_id, order, submission.expiry))
        self._sending.add(task)
        task.add_done_callback(functools.partial(self._sent, capture_id))

    def stopped(self, capture_id: CaptureId, *, caller_gone: bool) -> None:
        """Nothing follows a token that is asked for: there is nothing to call off."""

    def _sent(self, capture_id: CaptureId, task: asyncio.Task[None]) -> None:
        """An exchange that broke, by a mistake of ours, must not leave its card in the slot for ever."""
        self._sending.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # The error's text may speak of what was sent: its type says enough.
            _log.error("exchange_broken", capture_id=capture_id, error=type(error).__name__)
            self._captures.gateway_answered(capture_id, _BROKEN, self._clock.now_s())
            self._rearm()

    def today(self) -> tuple[int, int]:
        """Year and month at UTC-12."""
        there = datetime.datetime.fromtimestamp(self._clock.wall_s(), LAST_TIME_ZONE)
        return there.year, there.month

    # --- channels -----------------------------------------------------------------------------------------

    def _supervisor_message(self, message: SupervisorToCde, fds: tuple[int, ...]) -> None:
        match message:
            case Shutdown():
                self._leave.set()
            case PeerConnected(peer=ProcessName.CONTROL):
                self._control_connected(socket.socket(fileno=fds[0]))
            case PeerConnected(peer=ProcessName.MEDIA):
                self._media_connected(socket.socket(fileno=fds[0]))
            case _:
                _log.error("supervisor_message_unexpected", message=type(message).__name__)

    def _control_connected(self, sock: socket.socket) -> None:
        if self._control is not None:
            self._control.close()
        channel: Channel[ControlToCde] = Channel(sock, ControlToCde)
        self._control = channel
        channel.attach(self._loop, self._control_message, lambda: None)
        self.to_control(self._health)
        self._captures.control_connected()

    def _media_connected(self, sock: socket.socket) -> None:
        if self._media is not None:
            self._media.close()
            self._media_gone(self._media)
        channel: Channel[MediaToCde] = Channel(sock, MediaToCde)
        self._media = channel
        channel.attach(self._loop, self._media_message, lambda: self._media_gone(channel))

    def _media_gone(self, channel: Channel[MediaToCde]) -> None:
        if self._media is channel:
            self._media = None
            self._captures.media_lost(self._clock.now_s())
            self._rearm()

    def _control_message(self, message: ControlToCde, _fds: tuple[int, ...]) -> None:
        self._captures.control_message(message, self._clock.now_s())
        self._rearm()

    def _media_message(self, message: MediaToCde, _fds: tuple[int, ...]) -> None:
        self._captures.media_message(message, self._clock.now_s())
        self._rearm()

    # --- time ---------------------------------------------------------------------------------------------

    def _rearm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due_s = self._captures.next_timer_s
        delay_s = max(0.0, due_s - self._clock.now_s()) if due_s is not None else None
        self._timer = self._loop.call_later(delay_s, self._timer_due) if delay_s is not None else None

    def _timer_due(self) -> None:
        self._captures.handle_timer(self._clock.now_s())
        self._rearm()

    async def _beat(self) -> None:
        while True:
            self._supervisor.send(Heartbeat(ProcessName.CDE))
            await asyncio.sleep(HEARTBEAT_INTERVAL_S)

    async def _probe(self) -> None:
        while True:
            self._tell_health(await self._sender.probe())
            await asyncio.sleep(PROBE_INTERVAL_S)

    # --- gateway ------------------------------------------------------------------------------------------

    async def _tokenize(self, capture_id: CaptureId, order: Order, expiry: tuple[int, int]) -> None:
        if self._ledger.intend(capture_id, order.key, expiry):
            result = await self._payments.perform(order)
            self._ledger.settle(order.key, result)
        else:
            result = _NOT_WRITTEN
        self._tell_health(self._sender.health)
        self._captures.gateway_answered(capture_id, result, self._clock.now_s())
        self._rearm()

    def _tell_health(self, reason: str) -> None:
        health = GatewayHealth(up=reason == "ok", reason=reason)
        if health != self._health:
            self._health = health
            _log.info("gateway_health", up=health.up, reason=reason)
            self.to_control(health)


def _sender(settings: GatewaySettings, pages: Region) -> GatewaySender:
    endpoint = Endpoint(
        ip=settings.addresses[0],
        port=settings.port,
        server_name=settings.server_name,
        authorization=basic_authorization(Path(settings.credentials_file)),
    )
    return GatewaySender(endpoint, tls_context(Path(settings.ca_file)), settings.name, pages)


def _configuration(supervisor: Channel[SupervisorToCde]) -> tuple[ConfigureCde, int, int]:
    """Wait for the first message. Raises InvariantError where it is another one."""
    message, fds = supervisor.receive(CONFIGURE_TIMEOUT_S)
    if not isinstance(message, ConfigureCde) or len(fds) != 2:
        raise InvariantError("the first message to cde is ConfigureCde with two descriptors")
    return message, fds[0], fds[1]


async def _serve(supervisor: Channel[SupervisorToCde]) -> None:
    refuse_leaking_environment(os.environ)
    configure, slots_fd, mailbox_fd = _configuration(supervisor)
    weaker = list(harden(os.environ, scan_mode=configure.scan_mode))
    slots, mailbox = Region(slots_fd), Mailbox(mailbox_fd)
    # A cde that died left its last captures in the slots, and bodies nobody will read in the mailbox.
    slots.wipe()
    mailbox.wipe_all()
    pages_fd, secret = create_region(BUILD_PAGES * BUILD_PAGE_BYTES, allow_secret=not configure.scan_mode)
    pages = Region(pages_fd, BUILD_PAGES * BUILD_PAGE_BYTES)
    if not secret or not slots.secret:
        weaker.append("memfd_secret")
    if not (slots.locked and mailbox.locked and pages.locked):
        weaker.append("mlock")
    process = CdeProcess(configure, supervisor, slots, mailbox, pages, SystemClock())
    await process.run(tuple(weaker))


def main() -> int:
    """Run the process."""
    return run_process(ProcessName.CDE, SupervisorToCde, _serve)


if __name__ == "__main__":
    sys.exit(main())
