"""The control process put together: call core, SIP shell, channels to media and cde, API, registry, audit.

It routes messages and decides nothing about calls: that is the core's. Its own death costs no call: records of
confirmed calls are in the registry, sockets belong to the supervisor, and masks stay as they are.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import secrets
import socket
import sqlite3
from dataclasses import asdict
from pathlib import Path
from typing import Final

import msgspec
from fastapi import FastAPI

from dtmf_shield.api.app import create_app, event_ring
from dtmf_shield.api.identity.secret import in_letters
from dtmf_shield.api.play import PlayPhones
from dtmf_shield.api.server import serve
from dtmf_shield.base.config import Config
from dtmf_shield.base.config_forms import split_host_port
from dtmf_shield.base.errors import InvariantError, OperatorError
from dtmf_shield.base.log import get_logger
from dtmf_shield.base.system_clock import SystemClock
from dtmf_shield.call.core import CallCore
from dtmf_shield.call.errors import CallUnknown
from dtmf_shield.call.events import (
    CallAnswered,
    CallEnded,
    CallEvent,
    CallHandedOver,
    CallPhase,
    CaptureChanged,
    CaptureNotStarted,
    FlowAlerted,
    FlowMoved,
    ShieldStateChanged,
)
from dtmf_shield.call.record import CallRecord
from dtmf_shield.call.settings import AgentTarget, CallSettings, Route, Trunk
from dtmf_shield.flow.engine.events import HookAnswered
from dtmf_shield.flow.language import Flow
from dtmf_shield.model.capture import CaptureOutcome, CaptureProgress
from dtmf_shield.model.ids import CallId
from dtmf_shield.model.media_health import MediaHealth
from dtmf_shield.model.messages import (
    HEARTBEAT_INTERVAL_S,
    CallClosed,
    CallStatistics,
    CaptureArmed,
    CapturesPaused,
    CdeToControl,
    CellFreed,
    ChoiceMade,
    ChoiceRefused,
    ConfigureControl,
    ControlKeyed,
    FieldGivenUp,
    FlowsServed,
    GatewayHealth,
    Heartbeat,
    KeysHinted,
    LineHinted,
    MediaToControl,
    PaymentChanged,
    PeerConnected,
    PeerLost,
    PortsAvailable,
    ProcessName,
    ProcessReady,
    PromptEnd,
    PromptEnded,
    PromptsLoaded,
    RecordingClosed,
    ShieldChanged,
    Shutdown,
    SocketKind,
    SocketsPassed,
    StarCodeKeyed,
    ToControl,
    VelocityStopped,
)
from dtmf_shield.model.stream import Codec, LegStatistics
from dtmf_shield.service.channel import Channel
from dtmf_shield.service.control.audit_trail import AuditTrail
from dtmf_shield.service.control.capture_port import CdeCaptures
from dtmf_shield.service.control.desk import Desk
from dtmf_shield.service.control.flow_bench import FlowBench
from dtmf_shield.service.control.hook_settings import hooks_of
from dtmf_shield.service.control.hooks import ControlHooks
from dtmf_shield.service.control.identity import ControlIdentity
from dtmf_shield.service.control.mailbox import MailboxWriter
from dtmf_shield.service.control.media_port import MediaRows
from dtmf_shield.service.control.media_watch import MediaWatch
from dtmf_shield.service.control.recordings import file_name
from dtmf_shield.service.control.reports import CaptureReports
from dtmf_shield.service.control.resources import Resources
from dtmf_shield.service.control.test_calls import test_calls_of
from dtmf_shield.service.flows import findings as flow_findings
from dtmf_shield.service.flows.versions import VERSIONS_FOLDER, FlowShelf
from dtmf_shield.service.prompts.check import PROMPTS_FOLDER
from dtmf_shield.service.prompts.flows import flow_prompts
from dtmf_shield.service.seal.process_rights import give_up_common_rights
from dtmf_shield.service.seal.step import told
from dtmf_shield.signalling.udp import UdpShell
from dtmf_shield.sip.events import Address
from dtmf_shield.store.calls import CallRegistry

FAREWELL_S: Final = 0.3
"""How long BYEs get to be answered when the service stops."""
NAME_BYTES: Final = 12
"""Randomness of tags, branches and identifiers; RFC 3261 section 19.3 asks for 4 bytes at least."""

_log = get_logger("control")


class Registry:
    """Implements ``call.ports.StorePort`` over the call registry."""

    def __init__(self, path: Path) -> None:
        self._registry = CallRegistry(path)
        self._encoder = msgspec.msgpack.Encoder()

    def put(self, record: CallRecord) -> None:
        """Write or replace one record. A full disk, or a peer's route set beyond all measure, costs the record: the
        call goes on, and would not outlive a crash of this process.
        """
        try:
            self._registry.put(record.call_id, self._encoder.encode(record))
        except (sqlite3.Error, ValueError) as error:
            _log.error("call_record_not_written", call_id=record.call_id, error=type(error).__name__)

    def remove(self, call_id: CallId) -> None:
        """Forget one."""
        try:
            self._registry.remove(call_id)
        except sqlite3.Error as error:
            _log.error("call_record_not_removed", call_id=call_id, error=type(error).__name__)

    def records(self) -> list[CallRecord]:
        """All records; one that cannot be read (another version wrote it) is left out and forgotten."""
        found: list[CallRecord] = []
        for raw in self._registry.records():
            try:
                found.append(msgspec.msgpack.decode(raw, type=CallRecord))
            except msgspec.MsgspecError:
                _log.error("call_record_unreadable", length=len(raw))
        return found

    def clear(self) -> None:
        """Forget all."""
        self._registry.clear()


def new_name() -> str:
    """Return a name for a call, a capture, a tag or a branch.

    Letters alone: a run of digits may look like a card number, which the log scrubs and the API refuses.
    """
    return in_letters(secrets.token_hex(NAME_BYTES))


def settings_of(config: Config, flows: dict[str, Flow], caller_key: bytes = b"") -> CallSettings:
    """The configuration as the call core needs it."""
    agents = {}
    for agent in config.agents:
        host, port = split_host_port(agent.address)
        agents[agent.name] = AgentTarget(agent.name, agent.user, host, port)
    return CallSettings(
        trunks=tuple(
            Trunk(
                trunk.name,
                tuple(ipaddress.ip_network(network) for network in trunk.networks),
                trunk.accept_info,
                tuple(trunk.pass_headers),
            )
            for trunk in config.trunks
        ),
        agents=agents,
        routes=tuple(
            Route(route.dialled, route.agent, route.flow or route.capture, route.language or "")
            for route in config.routes
        ),
        flows=flows,
        default_flow=config.capture.default_flow,
        codecs=tuple(Codec(name) for name in config.media.codecs),
        calls_max=config.media.calls_max,
        ring_limit_s=float(config.sip.ring_limit_s),
        mask_tail_s=config.capture.mask_tail_s,
        caller_key=caller_key,
    )


class ControlProcess:
    """Everything the process holds, and its routing of messages."""

    def __init__(self, supervisor: Channel[ToControl]) -> None:
        self._supervisor = supervisor
        self._clock = SystemClock()
        self._leaving = asyncio.Event()
        self._sockets_here = asyncio.Event()
        self._sip: list[socket.socket] = []
        self._http: socket.socket | None = None
        self._media_channel: Channel[MediaToControl] | None = None
        self._cde_channel: Channel[CdeToControl] | None = None
        self._ports_complete = False
        self._flow_readers: set[asyncio.Task[None]] = set()
        self._flow_reading = asyncio.Lock()
        """One reload after the other, in the order in which they were told."""
        self._core_stands = False
        self._weaker: tuple[str, ...] = ()
        self._waiting: dict[ProcessName, socket.socket] = {}
        self._recordings: dict[CallId, int] = {}
        self._gateways: tuple[str, ...] = ()
        """Names that a flow's step may ask for."""

    async def run(self) -> None:
        """Serve until told to leave or the supervisor is gone."""
        # A spare waits as long as the supervisor lives.
        message, fds = self._supervisor.receive(timeout_s=None)
        if not isinstance(message, ConfigureControl) or len(fds) != 1:
            raise InvariantError("the first message to control is ConfigureControl with one descriptor")
        self._configure(message, fds[0])
        served, _ = self._supervisor.receive(timeout_s=None)
        if not isinstance(served, FlowsServed):
            raise InvariantError("the second message to control is FlowsServed")
        self._gateways = served.gateways
        self._shelf.serve(self._shelf.read(served.flow_files))
        self._supervisor.attach(asyncio.get_running_loop(), self._supervisor_message, self._leave)
        await self._sockets_here.wait()
        if self._leaving.is_set():
            return
        await self._serve(message)

    def _configure(self, message: ConfigureControl, mailbox_fd: int) -> None:
        self._config = Config.model_validate_json(message.config_json)
        self._state = Path(message.state_directory)
        self._shelf = FlowShelf(self._state / VERSIONS_FOLDER, self._unfit)
        self._rows = MediaRows(self._clock, self._config.media.address, self._config.media.address_v6)
        self._captures = CdeCaptures(self._clock, MailboxWriter(mailbox_fd))
        os.close(mailbox_fd)
        self._registry = Registry(self._state / "calls.sqlite3")
        self._audit = AuditTrail(self._state, self._config.audit, self._clock)
        self._reports = CaptureReports(self._state, self._clock, self._config.reports.keep_days)

    def _unfit(self, flow: Flow) -> list[str]:
        """Say what this configuration lacks for a flow."""
        return flow_findings.findings(flow, self._config, self._gateways)

    async def _serve(self, message: ConfigureControl) -> None:
        self._weaker = told(give_up_common_rights())
        loop = asyncio.get_running_loop()
        local = [Address(*sock.getsockname()[:2]) for sock in self._sip]
        self._hooks = ControlHooks(hooks_of(self._config), self._clock, self._hook_answered)
        self._core = CallCore(
            settings=settings_of(self._config, self._shelf.flows, message.caller_key),
            local=local,
            media=self._rows,
            capture=self._captures,
            store=self._registry,
            tokens=new_name,
            wall_offset_s=self._clock.wall_s() - self._clock.now_s(),
            hooks=self._hooks,
        )
        self._shell = UdpShell(self._core, self._sip, self._clock, self._drain_events)
        self._desk = Desk(self._core, self._shelf.flows, self._clock, self._shell.settle)
        self._identity = ControlIdentity(
            self._config, self._state, self._clock, self._audit.note, message.api_key
        )
        first_start = bool(message.login_ticket)
        if first_start:
            self._identity.identity.login.issue(message.login_ticket)
            self._registry.clear()  # a service that has just started has no calls
        self._resources = Resources(
            self._config,
            self._state,
            self._clock,
            self._captures,
            self._desk,
            self._audit,
            FlowBench(self._shelf, self._unfit),
            self._weaker,
        )
        self._watch = self._media_watch()
        self._desk.line = self._watch.line
        self._resources.nodes.flow_prompts = lambda: [*map(flow_prompts, self._shelf.flows.values())]
        app = self._app(PlayPhones(message.play_url, message.play_key) if message.play_url else None)
        # The mask of every restored call is on before its first packet is handled.
        records = self._registry.records()
        restored = self._core.restore(self._clock.now_s(), records, self._versions(records))
        self._core_stands = True
        self._join_waiting()
        self._shell.attach(loop)
        self._audit.start()
        self._resources.start(event_ring(app))
        self._audit.note("control_started", restored=restored)
        serving = asyncio.create_task(self._serve_http(app))
        works = (self._beat(), self._identity.watch(), self._reports.keep_tidy(), self._watch.run())
        beside = [asyncio.create_task(work) for work in works]
        self._supervisor.send(ProcessReady(ProcessName.CONTROL, self._weaker))
        try:
            await self._leaving.wait()
        finally:
            for task in beside:
                task.cancel()
            await self._farewell(serving)
            await serving
            self._identity.close()

    def _app(self, play: PlayPhones | None) -> FastAPI:
        return create_app(
            self._desk,
            self._identity.identity,
            site=self._identity.site,
            clock=self._clock,
            backing=self._resources.backing(self._reports, test_calls_of(play)),
            play=play,
        )

    def _media_watch(self) -> MediaWatch:
        return MediaWatch(
            self._rows,
            self._core.snapshots,
            self._desk.call_changed,
            self._resources.nodes.media_health,
            lambda count: self._audit.note("keys_after_mask", count=count),
        )

    def _versions(self, records: list[CallRecord]) -> dict[str, Flow]:
        """Return the flows, by fingerprint, that captures which still run have begun with."""
        running = {(record.flow_id, record.flow_fingerprint) for record in records if record.flow_fingerprint}
        found = {wanted: self._shelf.version(flow_id, wanted) for flow_id, wanted in running}
        return {wanted: flow for wanted, flow in found.items() if flow is not None}

    def _hook_answered(self, call_id: CallId, mark: int, answer: HookAnswered) -> None:
        self._core.hook_answered(self._clock.now_s(), call_id, mark, answer)
        self._shell.settle()

    async def _serve_http(self, app: FastAPI) -> None:
        if self._http is not None:
            await serve(app, self._http, self._leaving, tls=self._identity.tls)

    async def _beat(self) -> None:
        while True:
            self._supervisor.send(Heartbeat(ProcessName.CONTROL))
            await asyncio.sleep(HEARTBEAT_INTERVAL_S)

    async def _farewell(self, serving: asyncio.Task[None]) -> None:
        """Hang up every call; recordings close with their rows. What cde says of them meanwhile is noted and told."""
        self._core.ready = False
        self._core.hang_up_all(self._clock.now_s())
        self._shell.settle()
        await self._hooks.close()
        await asyncio.gather(asyncio.sleep(FAREWELL_S), asyncio.wait((serving,)))
        await self._resources.close()
        self._shell.close()
        self._audit.note("control_stopped")
        self._audit.close()
        self._reports.close()

    def _leave(self) -> None:
        self._leaving.set()
        self._sockets_here.set()

    # --- supervisor --------------------------------------------------------------------------------------------

    def _supervisor_message(self, message: ToControl, fds: tuple[int, ...]) -> None:
        match message:
            case FlowsServed():
                reading = asyncio.get_running_loop().create_task(self._serve_flows(message))
                self._flow_readers.add(reading)
                reading.add_done_callback(self._flow_readers.discard)
            case PortsAvailable(ports=ports, complete=complete):
                self._rows.learn(ports)
                self._ports_complete = complete
            case SocketsPassed(kind=SocketKind.SIP_UDP):
                self._sip = [socket.socket(fileno=fd) for fd in fds]
            case SocketsPassed(kind=SocketKind.HTTP):
                self._http = socket.socket(fileno=fds[0])
            case PeerConnected(peer=peer):
                self._join(peer, socket.socket(fileno=fds[0]))
            case Shutdown():
                self._leave()
            case _:
                for fd in fds:
                    os.close(fd)
        if self._sip and self._http is not None and self._ports_complete:
            self._sockets_here.set()

    async def _serve_flows(self, served: FlowsServed) -> None:
        """Let captures begin with these versions; where one cannot be read, with those of before."""
        async with self._flow_reading:
            try:
                # Calls must not wait for the reading of a hundred flows.
                loaded = await asyncio.to_thread(self._shelf.read, served.flow_files)
            except OperatorError as error:
                _log.error("flows_not_reloaded", reason=str(error))
                return
            self._gateways = served.gateways
            changes = self._shelf.serve(loaded)
        _log.info("flows_reloaded", **asdict(changes))
        if self._core_stands:
            self._core.flows_changed(self._shelf.flows)
            self._desk.flows_changed(self._shelf.flows)
            self._audit.note("flows_reloaded", **asdict(changes))

    def _join(self, peer: ProcessName, sock: socket.socket) -> None:
        if not self._core_stands:
            self._waiting[peer] = sock
        elif peer is ProcessName.MEDIA:
            self._join_media(sock)
        elif peer is ProcessName.CDE:
            self._join_cde(sock)

    def _join_waiting(self) -> None:
        for peer, sock in self._waiting.items():
            self._join(peer, sock)
        self._waiting.clear()

    def _join_media(self, sock: socket.socket) -> None:
        channel: Channel[MediaToControl] = Channel(sock, MediaToControl)
        self._watch.media_lost()  # its end may not have been told yet
        self._rows.connect(channel)
        self._rows.load_prompts(str(self._state / PROMPTS_FOLDER))
        channel.attach(
            asyncio.get_running_loop(),
            lambda message, _fds: self._media_message(message),
            lambda: self._media_lost(channel),
        )
        if self._media_channel is None:
            self._core.media_joined(self._clock.now_s())
        else:
            _log.warning("media_restarted")
            self._core.media_restarted(self._clock.now_s())
        # Media may have died with a former control: what it still records it goes on with.
        for snapshot in self._core.snapshots():
            if snapshot.phase in (CallPhase.TALKING, CallPhase.HELD):
                self._record(snapshot.call_id, snapshot.row)
        self._media_channel = channel
        self._desk.media_changed(up=True)
        self._resources.nodes.process("media", up=True)
        self._shell.settle()

    def _join_cde(self, sock: socket.socket) -> None:
        channel: Channel[CdeToControl] = Channel(sock, CdeToControl)
        again = self._cde_channel is not None
        self._cde_channel = channel
        self._captures.connect(channel)
        self._desk.captures_paused(paused=False)
        channel.attach(
            asyncio.get_running_loop(),
            lambda message, _fds: self._cde_message(message),
            lambda: self._cde_lost(channel),
        )
        if again:
            _log.warning("cde_restarted")
            self._core.cde_restarted(self._clock.now_s())
        self._resources.payments.cde_joined()
        self._resources.nodes.process("cde", up=True)
        self._shell.settle()

    def _media_lost(self, channel: Channel[MediaToControl]) -> None:
        if channel is self._media_channel:
            self._rows.connect(None)
            self._watch.media_lost()
            self._desk.media_changed(up=False)
            self._resources.nodes.process("media", up=False)
            self._supervisor.send(PeerLost(ProcessName.MEDIA))

    def _cde_lost(self, channel: Channel[CdeToControl]) -> None:
        if channel is self._cde_channel:
            self._captures.connect(None)
            self._resources.nodes.process("cde", up=False)
            self._supervisor.send(PeerLost(ProcessName.CDE))

    # --- media and cde -----------------------------------------------------------------------------------------

    def _media_message(self, message: MediaToControl) -> None:
        now_s = self._clock.now_s()
        match message:
            case ShieldChanged():
                self._core.shield_changed(now_s, message)
            case StarCodeKeyed():
                self._core.star_code_keyed(now_s, message)
            case PromptEnded():
                self._prompt_ended(now_s, message)
            case PromptsLoaded():
                self._prompts_loaded(message)
            case LineHinted():
                self._core.line_hinted(now_s, message)
            case RecordingClosed(call_id=call_id, path=path, duration_ms=duration_ms, frames_dropped=dropped):
                # Without a path the disk refused: only a part lies there.
                facts = {"kept": int(bool(path)), "ms": duration_ms, "frames_dropped": dropped}
                self._audit.note("recording_closed", call=call_id, **facts)
            case CallStatistics():
                self._watch.statistics_told(message)
                return  # it changes nothing about the call
            case MediaHealth():
                self._watch.health_told(message)
                return
            case CallClosed(call_id=call_id, caller=caller, agent=agent):
                self._log_statistics(call_id, caller, agent)
                self._resources.nodes.call_closed((caller, agent))
            case _:
                pass
        self._shell.settle()

    def _cde_message(self, message: CdeToControl) -> None:
        now_s = self._clock.now_s()
        match message:
            case FieldGivenUp():
                self._reports.given_up(message)
                self._core.capture_message(now_s, message)
            case CaptureArmed() | ChoiceMade() | ChoiceRefused() | ControlKeyed() | KeysHinted():
                self._core.capture_message(now_s, message)
            case CaptureProgress():
                self._desk.progressed(message)
                self._reports.progressed(message)
                self._core.capture_message(now_s, message)
            case CaptureOutcome():
                self._desk.finished(message)
                self._core.capture_message(now_s, message)
                self._audit.capture_ended(message, told_by_cde=True)
                self._reports.ended(message)
            case StarCodeKeyed():
                self._core.star_code_keyed(now_s, message)
            case CapturesPaused():
                self._desk.captures_paused(paused=True)
            case CellFreed(cell=cell):
                self._captures.cell_freed(cell)
            case PaymentChanged():
                self._audit.payment_changed(message)
                self._resources.payment_changed(message)
            case VelocityStopped(capture_id=capture_id, rule=rule):
                self._audit.note("velocity_stopped", capture=capture_id, rule=rule)
                _log.warning("velocity_stopped", capture_id=capture_id, rule=rule)
            case GatewayHealth(gateways=found):
                self._resources.nodes.gateways_found(found)
                self._desk.gateways_changed([each.up for each in found])
                self._core.gateways_changed(now_s, {each.name: each.up for each in found})
        self._shell.settle()

    def _prompt_ended(self, now_s: float, message: PromptEnded) -> None:
        if message.reason is PromptEnd.MISSING:
            _log.warning("prompt_missing", call_id=message.call_id, next="run: dtmf-shield prompts build")
        self._core.prompt_ended(now_s, message)

    def _prompts_loaded(self, message: PromptsLoaded) -> None:
        self._resources.nodes.prompts_loaded(message)
        if message.reason or not message.count:
            reason = (
                message.reason or "none are built; flows go on without a word; run: dtmf-shield prompts build"
            )
            _log.warning("prompts_missing", directory=message.path, reason=reason)
        else:
            _log.info("prompts_loaded", directory=message.path, pieces=message.count)

    # --- events of the core ------------------------------------------------------------------------------------

    def _drain_events(self) -> None:
        while (event := self._core.next_event()) is not None:
            self._take(event)

    def _take(self, event: CallEvent) -> None:
        match event:
            case CallAnswered(call_id=call_id, row=row, restored=restored):
                if not restored:
                    self._record(call_id, row)
                self._audit.note("call_answered", call=call_id)
            case CallEnded(call_id=call_id, status=status, reason=reason, capture=outcome):
                self._recordings.pop(call_id, None)
                self._desk.ended(call_id, outcome)
                self._audit.note("call_ended", call=call_id, status=status, reason=reason)
                return
            case CallHandedOver(call_id=call_id, target=target, ok=ok, reason=reason, status=status):
                facts: dict[str, str | int] = {
                    "target": target,
                    "ok": int(ok),
                    "reason": reason,
                    "status": status,
                }
                self._audit.note("call_handed_over", call=call_id, **facts)
                _log.info("call_handed_over", call_id=call_id, **facts)
            case ShieldStateChanged(call_id=call_id, role=role, mode=mode):
                self._audit.note("shield", call=call_id, leg=role.value, mode=mode.value)
            case CaptureChanged(call_id=call_id):
                self._note_capture(call_id)
            case FlowMoved(call_id=call_id, flow_id=flow_id, step=step):
                _log.debug("flow_step", call_id=call_id, flow=flow_id, step=step)
                return
            case FlowAlerted(call_id=call_id, capture_id=capture_id, flow_id=flow_id, alert=alert):
                self._audit.note("flow_alert", call=call_id, capture=capture_id, flow=flow_id, alert=alert)
                _log.warning("flow_alert", call_id=call_id, capture_id=capture_id, flow=flow_id, alert=alert)
            case CaptureNotStarted(call_id=call_id, flow_id=flow_id, reason=reason, faults=faults):
                _log.warning(
                    "capture_not_started", call_id=call_id, flow=flow_id, reason=reason, faults=faults
                )
            case _:
                pass  # CallStarted, CallPhaseChanged: only the view changes
        self._desk.call_changed(event.call_id)

    def _note_capture(self, call_id: CallId) -> None:
        try:
            call = self._core.snapshot(call_id)
        except CallUnknown:
            return  # The call is over: cde tells how its capture ends.
        self._audit.capture_changed(call)
        self._reports.capture_changed(call)

    def _record(self, call_id: CallId, row: int) -> None:
        recording = self._config.recording
        if not recording.enabled:
            return
        directory = self._state / recording.directory
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            _log.error("recording_folder_missing", call_id=call_id, error=error.strerror)
            return
        part = self._recordings.get(call_id, 0) + 1
        self._recordings[call_id] = part
        name = file_name(self._clock.wall_s(), call_id, part)
        self._rows.start_recording(call_id, row, str(directory / name))

    def _log_statistics(self, call_id: CallId, caller: LegStatistics, agent: LegStatistics) -> None:
        """One canonical line a call."""
        legs = {"caller": caller, "agent": agent}
        counters = {
            f"{name}_{key}": value
            for name, leg in legs.items()
            for key, value in msgspec.to_builtins(leg).items()
        }
        _log.info("call_media", call_id=call_id, **counters)
