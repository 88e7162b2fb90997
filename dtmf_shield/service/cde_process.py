"""The cde process: sealed, one thread, one loop; joins channels, timers, ledger and gateway to the captures.

``python -m dtmf_shield.service.cde_process`` with the supervisor's channel as descriptor DTMF_SHIELD_CHANNEL_FD. The
first message is ConfigureCde with two descriptors: digit slots and INFO mailbox.
"""

from __future__ import annotations

import asyncio
import datetime
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
from dtmf_shield.cde.gateways.base import GatewayResult
from dtmf_shield.cde.gateways.sender import BUILD_PAGE_BYTES
from dtmf_shield.cde.keys.opening import open_token_cipher
from dtmf_shield.cde.submission import Submission
from dtmf_shield.model.capture import CaptureOutcome
from dtmf_shield.model.ids import CallId, CaptureId, OperationId
from dtmf_shield.model.messages import (
    HEARTBEAT_INTERVAL_S,
    CapturesPaused,
    CdeToControl,
    CdeToMedia,
    ConfigureCde,
    ControlToCde,
    Drain,
    Drained,
    GatewayHealth,
    GatewayResolved,
    Heartbeat,
    MediaToCde,
    OrderPayment,
    PeerConnected,
    ProcessName,
    ProcessReady,
    Shutdown,
    StartCapture,
    SupervisorToCde,
)
from dtmf_shield.service.cde_payments import LEDGER_FILE, CdePayments, open_gateway
from dtmf_shield.service.channel import Channel
from dtmf_shield.service.entry import run_process
from dtmf_shield.service.seal.doors import close_doors
from dtmf_shield.service.seal.environment import refuse_leaking_environment
from dtmf_shield.service.seal.process_rights import give_up_rights
from dtmf_shield.service.seal.step import Step, refuse_without, told

CONFIGURE_TIMEOUT_S: Final = 30.0
"""The supervisor configures right after it starts us: by then it is stuck or gone."""
PROBE_INTERVAL_S: Final = 30.0
"""How stale the agent page's word on the gateway may be while no card is sent."""
LAST_TIME_ZONE: Final = datetime.timezone(datetime.timedelta(hours=-12))

_log = get_logger("cde")


class CdeProcess:
    """The composition. Implements ``captures.Outlets`` and ``payments.CapturesPort``: reading, feeding, re-arming."""

    def __init__(
        self,
        configure: ConfigureCde,
        supervisor: Channel[SupervisorToCde],
        slots: Region,
        mailbox: Mailbox,
        page: Region,
        clock: Clock,
    ) -> None:
        """Open everything that needs files. Raises OperatorError."""
        self._supervisor, self._clock = supervisor, clock
        self._control: Channel[ControlToCde] | None = None
        self._media: Channel[MediaToCde] | None = None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._leave = asyncio.Event()
        self._payments = CdePayments(configure, page, clock, self, self.to_control, self._exchanged)
        self._captures = Captures(
            slots,
            mailbox,
            IinTable(
                resources.files("dtmf_shield.cde").joinpath("iin.toml").read_text("utf-8"),
                refuses_test_cards=not configure.test,
            ),
            self,
            star_codes=configure.star_codes,
            first_generation=secrets.randbits(32),
            test=configure.test,
            earlier=self._payments.earlier,
        )
        self._found = self._payments.health

    async def run(self, weaker: tuple[str, ...]) -> None:
        """Serve until told to leave or the supervisor is gone."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._leave.set)
        self._supervisor.attach(self._loop, self._supervisor_message, self._leave.set)
        self._supervisor.send(ProcessReady(ProcessName.CDE, weaker))
        rhythms = [
            asyncio.create_task(work) for work in (self._beat(), self._probe(), self._payments.reconcile())
        ]
        try:
            await self._leave.wait()
            await self._payments.leave()
        finally:
            for task in rhythms:
                task.cancel()
            await asyncio.gather(*rhythms, return_exceptions=True)
            self._captures.wipe()
            self._payments.close()

    # --- captures.Outlets ---------------------------------------------------------------------------------

    def to_control(self, message: CdeToControl) -> None:
        """Send to control, if it is there."""
        if self._control is not None:
            self._control.send(message)

    def to_media(self, message: CdeToMedia) -> bool:
        """Send to media, if it is there."""
        return self._media is not None and self._media.send(message)

    def started(self, start: StartCapture) -> None:
        """Note in ledger and log."""
        self._payments.started(start)
        _log.info("capture_started", capture_id=start.capture_id, call_id=start.call_id)

    def last_field(self, capture_id: CaptureId, call_id: CallId) -> None:
        """Get ready to send."""
        self._payments.last_field(capture_id, call_id)

    def ended(self, outcome: CaptureOutcome) -> None:
        """Note in ledger and log: one line a capture."""
        self._payments.ended(outcome)
        _log.info(
            "capture_ended",
            capture_id=outcome.capture_id,
            result=outcome.result.value,
            brand=outcome.brand,
            code=outcome.gateway_code,
            test=outcome.test,
        )
        self._loop.call_soon(self._tell_if_drained)

    def send(self, submission: Submission) -> None:
        """Begin a payment."""
        self._payments.submit(submission)

    def stopped(self, capture_id: CaptureId, *, caller_gone: bool) -> None:
        """Call off what can be called off."""
        self._payments.stopped(capture_id, caller_gone=caller_gone)

    def today(self) -> tuple[int, int]:
        """Year and month at UTC-12."""
        there = datetime.datetime.fromtimestamp(self._clock.wall_s(), LAST_TIME_ZONE)
        return there.year, there.month

    # --- payments.CapturesPort ----------------------------------------------------------------------------

    def tokenized(self, capture_id: CaptureId, now_s: float) -> None:
        """Wipe the digits."""
        self._captures.tokenized(capture_id, now_s)
        self._rearm()

    def settling(self, capture_id: CaptureId, now_s: float) -> None:
        """Wipe the digits and wait."""
        self._captures.settling(capture_id, now_s)
        self._rearm()

    def velocity_stopped(self, capture_id: CaptureId, now_s: float) -> None:
        """End a capture before anything was sent."""
        self._captures.velocity_stopped(capture_id, now_s)
        self._rearm()

    def gateway_answered(
        self, capture_id: CaptureId, result: GatewayResult, now_s: float, operation_id: OperationId
    ) -> None:
        """End a capture."""
        self._captures.gateway_answered(capture_id, result, now_s, operation_id)
        self._rearm()

    # --- channels -----------------------------------------------------------------------------------------

    def _supervisor_message(self, message: SupervisorToCde, fds: tuple[int, ...]) -> None:
        match message:
            case Shutdown():
                self._leave.set()
            case Drain():
                self._captures.draining = True
                self.to_control(CapturesPaused())
                self._tell_if_drained()
            case GatewayResolved():
                self._payments.resolved(message)
            case PeerConnected(peer=ProcessName.CONTROL):
                self._control_connected(socket.socket(fileno=fds[0]))
            case PeerConnected(peer=ProcessName.MEDIA):
                self._media_connected(socket.socket(fileno=fds[0]))
            case _:
                _log.error("supervisor_message_unexpected", message=type(message).__name__)

    def _tell_if_drained(self) -> None:
        if self._captures.draining and self._captures.idle and self._payments.idle:
            self._supervisor.send(Drained())

    def _control_connected(self, sock: socket.socket) -> None:
        if self._control is not None:
            self._control.close()
        channel: Channel[ControlToCde] = Channel(sock, ControlToCde)
        self._control = channel
        channel.attach(self._loop, self._control_message, lambda: None)
        self.to_control(GatewayHealth(self._found))
        if self._captures.draining:
            self.to_control(CapturesPaused())
        self._captures.control_connected()
        self._payments.control_connected()

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
        if isinstance(message, OrderPayment):
            self._payments.order(message)
            return
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
            await self._payments.probe()
            self._tell_health()
            await asyncio.sleep(PROBE_INTERVAL_S)

    def _exchanged(self) -> None:
        self._tell_health()
        self._loop.call_soon(self._tell_if_drained)

    def _tell_health(self) -> None:
        before, self._found = self._found, self._payments.health
        for found in self._found:
            if found not in before:
                _log.info("gateway_health", gateway=found.name, up=found.up, reason=found.reason)
        if self._found != before:
            self.to_control(GatewayHealth(self._found))


def _configuration(supervisor: Channel[SupervisorToCde]) -> tuple[ConfigureCde, int, int]:
    """Wait for the first message. Raises InvariantError where it is another one."""
    message, fds = supervisor.receive(CONFIGURE_TIMEOUT_S)
    if not isinstance(message, ConfigureCde) or len(fds) != 2:
        raise InvariantError("the first message to cde is ConfigureCde with two descriptors")
    return message, fds[0], fds[1]


def _memory_steps(slots: Region, mailbox: Mailbox, page: Region) -> tuple[Step, Step]:
    """Return how memory that holds digits is protected. INFO bodies lay in control, which nothing hides: no step."""
    hidden = slots.secret and page.secret
    locked = slots.locked and mailbox.locked and page.locked
    return (
        Step("memfd_secret", "" if hidden else "slots or build page lie in ordinary memory"),
        Step("mlock", "" if locked else "mlock was refused"),
    )


def _rehearse(configure: ConfigureCde, page: Region, steps: tuple[Step, ...]) -> None:
    """Read what the configuration names, and seal. Raises OperatorError."""
    for settings in configure.gateways:
        open_gateway(settings, page, test=configure.test)
    ledger = Path(configure.state_directory) / LEDGER_FILE
    if ledger.exists():
        # As the keys commands do beside a running service; captures and operations are not touched.
        open_token_cipher(configure.keys, ledger, SystemClock())
    refuse_without(configure.require, (*steps, *close_doors(_ports(configure))))


def _ports(configure: ConfigureCde) -> set[int]:
    return {settings.port for settings in configure.gateways}


async def _serve(supervisor: Channel[SupervisorToCde]) -> None:
    refuse_leaking_environment(os.environ)
    configure, slots_fd, mailbox_fd = _configuration(supervisor)
    steps = give_up_rights(os.environ, scan_mode=configure.scan_mode)
    slots, mailbox = Region(slots_fd), Mailbox(mailbox_fd)
    page_fd, _ = create_region(BUILD_PAGE_BYTES, allow_secret=not configure.scan_mode)
    page = Region(page_fd, BUILD_PAGE_BYTES)
    steps += _memory_steps(slots, mailbox, page)
    if configure.rehearsal:
        _rehearse(configure, page, steps)
        return
    # A cde that died left its last captures in the slots, and bodies nobody will read in the mailbox.
    slots.wipe()
    mailbox.wipe_all()
    process = CdeProcess(configure, supervisor, slots, mailbox, page, SystemClock())
    # Everything that takes a file is open. From here on there are none.
    steps += close_doors(_ports(configure))
    refuse_without(configure.require, steps)
    await process.run(told(steps))


def main() -> int:
    """Run the process."""
    return run_process(ProcessName.CDE, SupervisorToCde, _serve)


if __name__ == "__main__":
    sys.exit(main())
