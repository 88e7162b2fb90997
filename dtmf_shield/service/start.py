"""From a configuration to a running service: directories, keys, certificates, the test gateway, the supervisor."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import secrets
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, Final

from dtmf_shield.api.identity.one_time_login import login_url
from dtmf_shield.base.config import Config, load_config
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.base.log import get_logger
from dtmf_shield.base.system_clock import SystemClock
from dtmf_shield.flow.language import Flow
from dtmf_shield.model.gateway import GatewaySettings, VelocityRule
from dtmf_shield.model.messages import ConfigureCde, ConfigureControl
from dtmf_shield.service import api_settings, gateway_settings
from dtmf_shield.service.cde_configuration import Reloaded
from dtmf_shield.service.control import hook_settings, webhook_settings
from dtmf_shield.service.flows import routes as route_flows
from dtmf_shield.service.flows.files import load, served_files
from dtmf_shield.service.flows.versions import VERSIONS_FOLDER, make_room, take_over
from dtmf_shield.service.gateway_names import GatewayNames
from dtmf_shield.service.kept_secrets import API_KEY_FILE, CALLER_KEY_FILE, SECRET_BYTES, kept_secret
from dtmf_shield.service.key_settings import kek_findings, kek_settings
from dtmf_shield.service.play.launch import PlayKeeper, refuse_outside_demo, settings_for
from dtmf_shield.service.seal.environment import leaks_of_environment
from dtmf_shield.service.sockets import HeldSockets, bind_all
from dtmf_shield.service.state_directory import state_directory_of
from dtmf_shield.service.supervisor import Supervisor
from dtmf_shield.service.test_gateway.launch import TestGatewayProcess

RELOADED: Final = frozenset({"gateway", "fallback_gateway", "cde", "keys", "payments", "velocity"})
"""Sections that SIGHUP brings into force, beside the flow files; the others wait for a restart, and the log says so."""

_log = get_logger("start")


def read_config(path: Path | None) -> tuple[Config, Path]:
    """Return the configuration and the directory that relative paths in it start from."""
    if path is None:
        return Config(), Path.cwd()
    return load_config(path), path.resolve().parent


def check(config: Config, base: Path) -> list[str]:
    """Check what the configuration points at: flows, files, environment. Returns one sentence a finding."""
    findings: list[str] = []
    known: dict[str, Flow] = {}
    for path in served_files(config, base):
        try:
            flow = load(path)
            if flow.id in known:
                findings.append(
                    f"{path}: another file has a flow {flow.id!r} too; give one of them another id"
                )
            known[flow.id] = flow
        except* OperatorError as group:
            findings += [str(error) for error in group.exceptions]
    findings += route_flows.findings(config, known)
    findings += gateway_settings.findings(config, base)
    findings += hook_settings.findings(config, base)
    findings += webhook_settings.findings(config, base)
    findings += api_settings.findings(config, base)
    findings += kek_findings(config.keys, base)
    return findings + leaks_of_environment(os.environ)


def _hold(state: Path) -> int:
    """Lock the state directory for this process: two services would break its audit chain. Returns a descriptor."""
    descriptor = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise OperatorError(
            f"state.directory: {state} is in use by another running service; stop it or name another directory"
        ) from None
    return descriptor


async def serve(
    config: Config,
    base: Path,
    *,
    state_directory: Path | None = None,
    log: IO[bytes] | None = None,
    scan_mode: bool = False,
    play: bool = False,
    on_status: Callable[[str, dict[str, Any]], None] = lambda _name, _details: None,
    reread: Callable[[], tuple[Config, Path]] | None = None,
) -> None:
    """Run the service until SIGTERM or SIGINT. Raises OperatorError that says what to change.

    ``reread`` reads the configuration anew at SIGHUP. ``play``: with play phones and their page.
    """
    _refuse_findings(config, base)
    if play:
        refuse_outside_demo(config)
    state = state_directory_of(config, base, state_directory)
    sockets = bind_all(config)
    gateway, phones, lock = None, None, -1
    watching: list[asyncio.Task[None]] = []
    try:
        lock = _hold(state)
        api_settings.require_somebody(config, state)
        if config.gateway.kind == "embedded":
            gateway = await TestGatewayProcess.start(state, log=log)
        configure_cde = await asyncio.to_thread(_configure_cde, config, base, state, gateway, scan_mode)
        ticket = secrets.token_urlsafe(SECRET_BYTES)
        if play and gateway is not None:
            phones = await _play_phones(config, sockets, gateway, log)
        configure_control = _configure_control(config, base, state, ticket, phones)
        api = sockets.http.getsockname()[:2] if sockets.http else ("", 0)
        details = {
            "sip": [list(sock.getsockname()[:2]) for sock in sockets.sip],
            "api": list(api),
            "login_url": login_url(api_settings.origin_of(config.api, *api), ticket),
            "state_directory": str(state),
            "gateway": "embedded TEST gateway" if gateway else config.gateway.address,
            "gateway_pid": gateway.pid if gateway else 0,
            "gateway_port": gateway.port if gateway else 0,
            "play_pid": phones.pid if phones else 0,
        }
        supervisor = Supervisor(
            config=config,
            state_directory=state,
            sockets=sockets,
            configure_cde=configure_cde,
            configure_control=configure_control,
            flow_files=await asyncio.to_thread(_first_flows, state, served_files(config, base)),
            clock=SystemClock(),
            scan_mode=scan_mode,
            log=log,
            on_status=lambda name, more: on_status(name, {**details, **more}),
            reread=lambda: _read_again(
                config, reread or (lambda: (config, base)), state, gateway, scan_mode, play=play
            ),
        )
        names = GatewayNames(lambda: supervisor.gateways, supervisor.gateway_resolved)
        watching.append(asyncio.create_task(names.watch()))
        if phones is not None:
            watch = phones.watch(lambda name, more: on_status(name, {**details, **more}))
            watching.append(asyncio.create_task(watch))
        await supervisor.run()
    finally:
        for task in watching:
            task.cancel()
        sockets.close()
        if phones is not None:
            await phones.stop()
        if gateway is not None:
            await gateway.stop()
        if lock >= 0:
            os.close(lock)


async def _play_phones(
    config: Config, sockets: HeldSockets, gateway: TestGatewayProcess, log: IO[bytes] | None
) -> PlayKeeper | None:
    """Start them where there is an API whose page drives them."""
    if sockets.http is None:
        return None
    sip = next(sock for sock in sockets.sip if sock.family == socket.AF_INET)
    addresses = [held.getsockname()[:2] for held in (sip, sockets.http)]
    return await PlayKeeper.start(settings_for(config, addresses[0], addresses[1], gateway), log=log)


def _first_flows(state: Path, files: Iterable[Path]) -> tuple[str, ...]:
    names = take_over(state / VERSIONS_FOLDER, files)
    make_room(state / VERSIONS_FOLDER, names)
    return names


def _refuse_findings(config: Config, base: Path) -> None:
    findings = check(config, base)
    if findings:
        raise OperatorError("; ".join(findings))


def _read_again(
    running: Config,
    reread: Callable[[], tuple[Config, Path]],
    state: Path,
    gateway: TestGatewayProcess | None,
    scan_mode: bool,
    *,
    play: bool = False,
) -> Reloaded:
    """Read the configuration anew, for cde alone, and the flows. Raises OperatorError, one or a group of them."""
    config, base = reread()
    _refuse_findings(config, base)
    if play:
        refuse_outside_demo(config)  # play phones never meet a real gateway
    waiting = [name for name in Config.model_fields if name not in RELOADED]
    waiting = [name for name in waiting if getattr(config, name) != getattr(running, name)]
    if waiting:
        _log.warning("reload_needs_restart", sections=waiting)
    # The others go on with what they have: cde and the flows must agree with them.
    agreed = running.model_copy(update={name: getattr(config, name) for name in RELOADED})
    if waiting:
        _refuse_findings(agreed, base)
    configure_cde = _configure_cde(agreed, base, state, gateway, scan_mode)
    return Reloaded(configure_cde, take_over(state / VERSIONS_FOLDER, served_files(agreed, base)))


def _resolved(config: Config, base: Path) -> dict[str, Any]:
    data = config.model_dump()
    for hook, section in zip(data["hooks"], config.hooks, strict=True):
        hook.update(hook_settings.resolved(section, base))
    for webhook, receiver in zip(data["webhooks"], config.webhooks, strict=True):
        webhook.update(webhook_settings.resolved(receiver, base))
    for name in ("gateway", "fallback_gateway"):
        # Control shows how long certificates last; it uses none of them.
        for key in ("ca_file", "client_certificate_file") if data[name] else ():
            data[name][key] = data[name][key] and str((base / data[name][key]).absolute())
    api_settings.resolve(data, config, base)
    if config.audit.anchor_file:
        data["audit"]["anchor_file"] = str((base / config.audit.anchor_file).absolute())
    return data


def _configure_control(
    config: Config, base: Path, state: Path, ticket: str, phones: PlayKeeper | None
) -> ConfigureControl:
    return ConfigureControl(
        config_json=json.dumps(_resolved(config, base)).encode(),
        state_directory=str(state),
        login_ticket=ticket,
        api_key=kept_secret(state / API_KEY_FILE),
        caller_key=kept_secret(state / CALLER_KEY_FILE).encode(),
        play_url=phones.url if phones else "",
        play_key=phones.key if phones else "",
    )


def _configure_cde(
    config: Config, base: Path, state: Path, gateway: TestGatewayProcess | None, scan_mode: bool
) -> ConfigureCde:
    gateways = _gateways(config, base, gateway)
    return ConfigureCde(
        state_directory=str(state),
        gateways=gateways,
        star_codes=(config.capture.star_code,),
        keys=kek_settings(config.keys, base, state, os.environ),
        velocity=tuple(VelocityRule(**rule.model_dump()) for rule in config.velocity),
        on_hang_up=config.payments.on_hang_up,
        test=gateway_settings.is_test(config),
        scan_mode=scan_mode,
        require=tuple(config.cde.require),
    )


def _gateways(config: Config, base: Path, gateway: TestGatewayProcess | None) -> tuple[GatewaySettings, ...]:
    if config.gateway.kind != "embedded":
        return gateway_settings.configured_settings(config, base)
    if gateway is None:
        raise OperatorError(
            "gateway.kind: the embedded TEST gateway starts with the service only; start it anew"
        )
    return (gateway_settings.embedded_settings(gateway),)
