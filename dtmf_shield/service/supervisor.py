"""The supervisor: starts control, media and cde, joins them by channels, restarts what dies, holds the sockets.

It holds no audio, no SIP message and no digit: it creates the locked regions but never maps them. What it
cannot mend (three processes that keep dying) it ends, loudly.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final

from msgspec.structs import replace

from dtmf_shield.account_data.slots import create_region
from dtmf_shield.base.clock import Clock
from dtmf_shield.base.config import Config
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.base.log import get_logger
from dtmf_shield.model.gateway import GatewaySettings
from dtmf_shield.model.messages import (
    MAILBOX_BYTES,
    ConfigureCde,
    ConfigureControl,
    ConfigureMedia,
    Drain,
    Drained,
    FlowsServed,
    GatewayResolved,
    Heartbeat,
    PeerConnected,
    PeerLost,
    PortsAvailable,
    ProcessName,
    ProcessReady,
    Shutdown,
    SocketKind,
    SocketsPassed,
    StopService,
    ToSupervisor,
)
from dtmf_shield.model.stream import MaskStyle
from dtmf_shield.service.cde_configuration import CdeConfiguration, Reloaded
from dtmf_shield.service.channel import CHANNEL_DESCRIPTORS_MAX, connect_pair
from dtmf_shield.service.child import Child
from dtmf_shield.service.flows.versions import VERSIONS_FOLDER, make_room
from dtmf_shield.service.rehearsal import rehearse
from dtmf_shield.service.sockets import HeldSockets

HEARTBEAT_SILENCE_MAX_S: Final = 10.0
"""A ready process that says nothing for so long is stuck: it is killed and started again."""
START_TIME_MAX_S: Final = 300.0
"""A process that is not ready by then is killed; a start without warmed kernels compiles them first."""
RESTARTS_MAX: Final = 30
RESTART_WINDOW_S: Final = 60.0
"""More deaths than that within the window are no accident: the service ends, loudly."""
REJOIN_S: Final = 0.5
"""A channel closes a moment before its process is known to be dead."""
REJOIN_QUIET_S: Final = 5.0
"""So soon after two were joined, a lost channel is the one before: its end was told late."""
RETRY_S: Final = 1.0
"""When the system would not start a process (no memory, no descriptors), how long until the next try."""
STOP_TIME_MAX_S: Final = 5.0
"""What each process gets to leave in good order before it is killed."""
DRAIN_TIME_MAX_S: Final = 180.0
"""What running captures get to end before cde is replaced under them: 120 s of keying at most, then it is sent."""
SPARED: Final = (ProcessName.MEDIA, ProcessName.CONTROL)
"""cde is small and starts in a third of a second; it waits for nobody, so that it is sealed from its first moment."""
PORTS_BATCH: Final = 500
"""Rows in one message, well under MESSAGE_BYTES_MAX."""
STATUS_FILE: Final = "run.json"

_PAIRS: Final = (
    (ProcessName.CONTROL, ProcessName.MEDIA),
    (ProcessName.CONTROL, ProcessName.CDE),
    (ProcessName.MEDIA, ProcessName.CDE),
)

_log = get_logger("supervisor")


class Supervisor:
    """Runs the three processes until told to stop.

    ``on_status(name, details)`` is called for ``ready``, ``started``, ``died``; for a console or a test.
    """

    def __init__(
        self,
        *,
        config: Config,
        state_directory: Path,
        sockets: HeldSockets,
        configure_cde: ConfigureCde,
        configure_control: ConfigureControl,
        flow_files: tuple[str, ...],
        clock: Clock,
        scan_mode: bool = False,
        log: IO[bytes] | None = None,
        on_status: Callable[[str, dict[str, Any]], None] = lambda _name, _details: None,
        reread: Callable[[], Reloaded] | None = None,
    ) -> None:
        """Create the locked regions. ``scan_mode`` uses scannable memory, for the memory tests only.

        ``flow_files``: copies of flows that calls begin with. ``reread``: reads the configuration and the flows anew
        at SIGHUP; raises OperatorError, one or a group of them.
        """
        self._config, self._state_directory, self._sockets = config, state_directory, sockets
        self._cde, self._control_configuration = CdeConfiguration(configure_cde), configure_control
        self._clock, self._log_file, self._on_status = clock, log, on_status
        self._reread, self._flows = reread, _served(flow_files, configure_cde)
        self._flows_next = self._flows
        """Of a reload: served once its cde serves."""
        self._reloading: asyncio.Task[None] | None = None
        self._slots_fd, secret = create_region(allow_secret=not scan_mode)
        self._mailbox_fd, _ = create_region(MAILBOX_BYTES, allow_secret=not scan_mode)
        if not secret:
            _log.warning(
                "slots_not_secret", hint="this kernel has no memfd_secret: slots are locked, not hidden"
            )
        self._configure: Mapping[ProcessName, Callable[[Child], None]] = {
            ProcessName.MEDIA: self._configure_media,
            ProcessName.CDE: self._configure_cde,
            ProcessName.CONTROL: self._configure_control,
        }
        self._children: dict[ProcessName, Child] = {}
        self._spares: dict[ProcessName, Child] = {}
        """Second processes with everything loaded, waiting to be told whose place they take."""
        self._restarts: deque[float] = deque()
        self._joined_s: dict[tuple[ProcessName, ProcessName], float] = {}
        self._stopping = asyncio.Event()
        self._failure: str | None = None
        self._announced = False

    async def run(self) -> None:
        """Start, watch, stop. Raises OperatorError where the service cannot go on."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        for name in (ProcessName.MEDIA, ProcessName.CDE, ProcessName.CONTROL):
            self._start(name)
        watchdog = asyncio.create_task(self._watch_heartbeats())
        try:
            await self._stopping.wait()
        finally:
            watchdog.cancel()
            if self._reloading is not None:
                self._reloading.cancel()
            await self._shut_down()
        if self._failure:
            raise OperatorError(self._failure)

    def stop(self) -> None:
        """Ask for an orderly end: calls are hung up, recordings closed."""
        self._stopping.set()

    def reload(self) -> None:
        """Read the configuration anew and replace cde by one that has it; a bad one changes nothing."""
        if (self._reloading is not None and not self._reloading.done()) or self._cde.unproven:
            _log.warning("reload_refused", reason="a reload is still under way")
        elif self._reread is not None and self._announced:
            self._reloading = asyncio.get_running_loop().create_task(self._reload(self._reread))
            self._reloading.add_done_callback(self._reload_ended)

    def _reload_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # Our own mistake: without this line an operator would wait for a word for ever.
            self._refuse_reload(
                f"a mistake of this program ({type(error).__name__}: {error}); please report it"
            )

    def _refuse_reload(self, reason: str) -> None:
        _log.error("reload_refused", reason=reason)
        self._on_status("reload_refused", {"reason": reason})

    async def _reload(self, reread: Callable[[], Reloaded]) -> None:
        reasons: list[str] = []
        reloaded = Reloaded(self._cde.now, ())
        try:
            # Names are looked up: heartbeats and deaths must not wait for a resolver.
            reloaded = await asyncio.to_thread(reread)
        except* OperatorError as group:
            reasons += [str(error) for error in group.exceptions]
        reason = "; ".join(reasons) or await rehearse(reloaded.configure_cde, self._log_file)
        if reason:
            self._refuse_reload(reason)
            return
        self._cde.begin(reloaded.configure_cde)
        self._flows_next = _served(reloaded.flow_files, reloaded.configure_cde)
        await self._replace_cde(self._children[ProcessName.CDE])

    def _serve_flows(self) -> None:
        """A reload has come to its end: captures begin with its flows, in this control and in those after it."""
        before, self._flows = self._flows, self._flows_next
        make_room(self._state_directory / VERSIONS_FOLDER, self._flows.flow_files, before.flow_files)
        control = self._children.get(ProcessName.CONTROL)
        if control is not None:
            control.send(self._flows)

    async def _replace_cde(self, old: Child) -> None:
        """Let what runs in ``old`` end, then let it leave: ``_exited`` starts the new one in its place."""
        _log.info("cde_draining", pid=old.pid)
        old.send(Drain())
        # One that dies meanwhile is replaced as any that dies.
        waits = [asyncio.create_task(event.wait()) for event in (old.drained, old.ended)]
        done, _ = await asyncio.wait(waits, timeout=DRAIN_TIME_MAX_S, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if not done:
            _log.warning("cde_drain_cut", waited_s=round(DRAIN_TIME_MAX_S))
        old.leaving.set()
        old.send(Shutdown())
        try:
            async with asyncio.timeout(STOP_TIME_MAX_S):
                await old.ended.wait()
        except TimeoutError:
            old.kill()

    # --- gateways ------------------------------------------------------------------------------------

    @property
    def gateways(self) -> tuple[GatewaySettings, ...]:
        """As the next cde is told of them."""
        return self._cde.now.gateways

    def gateway_resolved(self, message: GatewayResolved) -> None:
        """Tell cde where a gateway is now, and every cde that is started later."""
        tell, cde = self._cde.gateway_moved(message), self._children.get(ProcessName.CDE)
        if tell and cde is not None:
            cde.send(message)

    # --- starting and joining ------------------------------------------------------------------------

    def _start(self, name: ProcessName) -> None:
        child = self._spares.pop(name, None) or self._spawn(name)
        child.last_heard_s = self._clock.now_s()
        self._children[name] = child
        self._configure[name](child)
        for pair in _PAIRS:
            if name in pair:
                self._join(*(self._children.get(each) for each in pair))
        self._write_status()
        _log.info("process_started", name=name, pid=child.pid)
        self._on_status("started", {"process": str(name), "pid": child.pid})

    def _spawn(self, name: ProcessName) -> Child:
        child = Child(name, {}, self._log_file)
        child.watch(
            asyncio.get_running_loop(), lambda message, _fds: self._receive(child, message), self._exited
        )
        return child

    def _configure_media(self, child: Child) -> None:
        star_codes = (self._config.capture.star_code,)
        media = self._config.media
        configure = ConfigureMedia(
            calls_max=media.calls_max,
            star_codes=star_codes,
            mask_style=MaskStyle(media.mask_style),
            mask_level_dbm0=media.mask_level_dbm0,
            echo_hold_ms=media.echo_hold_ms,
        )
        child.send(configure, (self._slots_fd,))
        indexes = sorted(self._sockets.rtp)
        for start in range(0, len(indexes), CHANNEL_DESCRIPTORS_MAX):
            batch = tuple(indexes[start : start + CHANNEL_DESCRIPTORS_MAX])
            fds = tuple(self._sockets.rtp[index].fileno() for index in batch)
            child.send(SocketsPassed(kind=SocketKind.RTP, indexes=batch), fds)

    def _configure_cde(self, child: Child) -> None:
        child.send(self._cde.now, (self._slots_fd, self._mailbox_fd))
        self._cde.started()

    def _configure_control(self, child: Child) -> None:
        child.send(self._control_configuration, (self._mailbox_fd,))
        child.send(self._flows)
        ports = self._sockets.ports
        for start in range(0, len(ports), PORTS_BATCH):
            complete = start + PORTS_BATCH >= len(ports)
            child.send(PortsAvailable(ports=tuple(ports[start : start + PORTS_BATCH]), complete=complete))
        sip_fds = tuple(sock.fileno() for sock in self._sockets.sip)
        child.send(SocketsPassed(kind=SocketKind.SIP_UDP, indexes=tuple(range(len(sip_fds)))), sip_fds)
        if self._sockets.http is not None:
            child.send(SocketsPassed(kind=SocketKind.HTTP, indexes=(0,)), (self._sockets.http.fileno(),))

    def _join(self, first: Child | None, second: Child | None) -> None:
        if first is None or second is None:
            return
        left, right = connect_pair()
        self._joined_s[first.name, second.name] = self._clock.now_s()
        first.send(PeerConnected(peer=second.name), (left.fileno(),))
        second.send(PeerConnected(peer=first.name), (right.fileno(),))
        left.close()
        right.close()

    # --- watching ------------------------------------------------------------------------------------

    def _receive(self, child: Child, message: ToSupervisor) -> None:
        child.last_heard_s = self._clock.now_s()
        match message:
            case ProcessReady(weaker=weaker):
                child.ready = True
                if child.name is ProcessName.CDE and self._cde.proven():
                    self._serve_flows()
                    _log.info("reloaded")
                    self._on_status("reloaded", {})
                child.weaker = weaker
                for protection, _, why in (each.partition(": ") for each in weaker):
                    _log.warning("protection_missing", name=child.name, protection=protection, why=why)
                self._write_status()
                self._announce()
            case StopService(reason=reason):
                if child.name is not ProcessName.CDE or not self._fall_back(reason):
                    self._fail(f"{child.name}: {reason}")
            case Drained():
                child.drained.set()
            case PeerLost(peer=peer):
                self._peer_lost(child, peer)
            case Heartbeat():
                pass

    def _fall_back(self, reason: str) -> bool:
        """A new cde does not serve although its rehearsal did: go back to what served. False: nothing to go back to."""
        if not self._cde.fall_back():
            return False
        _log.error("reload_failed", reason=reason)
        self._on_status("reload_refused", {"reason": reason})
        return True

    def _peer_lost(self, child: Child, peer: ProcessName) -> None:
        joined_s = self._joined_s.get((child.name, peer), 0.0)
        if self._clock.now_s() - joined_s > REJOIN_QUIET_S:
            loop = asyncio.get_running_loop()
            loop.call_later(REJOIN_S, self._rejoin, child, self._children.get(peer))

    def _rejoin(self, first: Child, second: Child | None) -> None:
        """Join two that live and have lost each other by a flooded or broken channel; a dead one joins anew anyway."""
        if all(each is not None and self._children.get(each.name) is each for each in (first, second)):
            _log.warning("peers_rejoined", first=first.name, second=second.name if second else "")
            self._join(first, second)

    def _announce(self) -> None:
        if not all(child.ready for child in self._children.values()):
            return
        name = "recovered" if self._announced else "ready"
        self._announced = True
        if name == "ready":
            # The link was for one use; a control that starts again must not revive it.
            self._control_configuration = replace(self._control_configuration, login_ticket="")
        _log.info(f"service_{name}")
        self._on_status(name, {})

    def _exited(self, child: Child) -> None:
        code = child.process.returncode
        if self._stopping.is_set():
            return
        if child.leaving.is_set():
            self._start_again(child.name)
            return
        if child.name is ProcessName.CDE and not child.ready:
            self._fall_back(f"it ended with code {code}")
        _log.error("process_died", name=child.name, pid=child.pid, code=code)
        self._on_status("died", {"process": str(child.name), "code": code})
        now_s = self._clock.now_s()
        self._restarts.append(now_s)
        while self._restarts and self._restarts[0] < now_s - RESTART_WINDOW_S:
            self._restarts.popleft()
        if len(self._restarts) > RESTARTS_MAX:
            self._fail(f"{child.name} died {len(self._restarts)} times within a minute; see the log above")
        elif child is self._spares.get(child.name):
            del self._spares[child.name]
        elif not child.ready and not self._announced:
            self._fail(f"{child.name} ended with code {code} before it was ready; see the log above")
        else:
            self._start_again(child.name)

    def _start_again(self, name: ProcessName) -> None:
        try:
            self._start(name)
        except OSError as error:
            _log.error("process_not_started", name=name, reason=error.strerror)
            asyncio.get_running_loop().call_later(RETRY_S, self._start_again, name)

    def _fail(self, reason: str) -> None:
        self._failure = self._failure or reason
        self._stopping.set()

    async def _watch_heartbeats(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            now_s = self._clock.now_s()
            missing = [name for name in SPARED if name not in self._spares]
            if self._announced and missing:
                # One at a time, and not before the service is ready: loading costs a core for a second.
                self._spares[missing[0]] = self._spawn(missing[0])
            for child in list(self._children.values()):
                limit_s = HEARTBEAT_SILENCE_MAX_S if child.ready else START_TIME_MAX_S
                if now_s - child.last_heard_s > limit_s:
                    _log.error("process_silent", name=child.name, pid=child.pid, silent_s=round(limit_s))
                    child.kill()
                    child.last_heard_s = now_s

    # --- stopping ------------------------------------------------------------------------------------

    async def _shut_down(self) -> None:
        for spare in self._spares.values():
            spare.kill()
            spare.process.wait()
        for group in ((ProcessName.CONTROL,), (ProcessName.MEDIA, ProcessName.CDE)):
            leaving = [self._children[name] for name in group if name in self._children]
            for child in leaving:
                child.send(Shutdown())
            deadline_s = self._clock.now_s() + STOP_TIME_MAX_S
            while any(child.process.poll() is None for child in leaving) and self._clock.now_s() < deadline_s:
                await asyncio.sleep(0.02)
            for child in leaving:
                child.kill()
                child.process.wait()
                child.channel.close()
        self._sockets.close()
        os.close(self._slots_fd)
        os.close(self._mailbox_fd)
        (self._state_directory / STATUS_FILE).unlink(missing_ok=True)
        _log.info("service_stopped")

    def _write_status(self) -> None:
        status = {
            "supervisor": os.getpid(),
            "processes": {str(name): child.describe() for name, child in self._children.items()},
            "sip": [list(sock.getsockname()[:2]) for sock in self._sockets.sip],
            "api": list(self._sockets.http.getsockname()[:2]) if self._sockets.http else None,
        }
        path = self._state_directory / STATUS_FILE
        part = path.with_suffix(".part")
        try:
            part.write_text(json.dumps(status, indent=1) + "\n")
            part.replace(path)
        except OSError as error:
            # A full disk must not keep a process from being started again.
            _log.error("status_not_written", reason=error.strerror)


def _served(flow_files: tuple[str, ...], configure_cde: ConfigureCde) -> FlowsServed:
    return FlowsServed(flow_files, tuple(gateway.name for gateway in configure_cde.gateways))
