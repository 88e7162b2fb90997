"""Drives one real cde process: plays supervisor, control and media by socket pairs, beside a real TEST gateway."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any, TypeVar

from msgspec.structs import replace

from dtmf_shield.account_data import slots
from dtmf_shield.account_data.slots import Region, create_region
from dtmf_shield.model.capture import (
    CaptureOutcome,
    CaptureProgress,
    CaptureSpec,
    CaptureState,
    FieldKind,
    FieldSpec,
)
from dtmf_shield.model.gateway import GatewaySettings, VelocityRule
from dtmf_shield.model.ids import NO_CAPTURE, CallId, CaptureId, LegRole
from dtmf_shield.model.keys import KekSettings
from dtmf_shield.model.messages import (
    MAILBOX_BYTES,
    MAILBOX_CELL_BYTES,
    ArmSlot,
    CaptureArmed,
    CdeToControl,
    CdeToMedia,
    CellFreed,
    CollectField,
    ConfigureCde,
    DisarmSlot,
    InfoMailed,
    KeysWritten,
    PeerConnected,
    ProcessName,
    ProcessReady,
    Shutdown,
    SlotArmed,
    StartCapture,
    SubmitCapture,
    ToSupervisor,
)
from dtmf_shield.service.channel import Channel, connect_pair
from dtmf_shield.service.dev_certificates import ensure_dev_certificates

CALL = CallId("call-1")
PAN, EXPIRY, CODE = "pan", "expiry", "code"
SPEC = CaptureSpec(
    fields=(
        FieldSpec(name=PAN, kind=FieldKind.CARD_NUMBER),
        FieldSpec(name=EXPIRY, kind=FieldKind.EXPIRY),
        FieldSpec(name=CODE, kind=FieldKind.SECURITY_CODE),
    )
)

Wanted = TypeVar("Wanted")


class Gateway:
    """The TEST gateway as a process."""

    def __init__(self, state_directory: Path) -> None:
        self.files = ensure_dev_certificates(state_directory)
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "dtmf_shield.service.test_gateway",
                "--state-directory",
                str(state_directory),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.port = int(json.loads(self._process.stdout.readline())["port"])

    def ask(self, method: str, path: str, body: object = None) -> Any:
        context = ssl.create_default_context(cafile=str(self.files.ca_file))
        connection = http.client.HTTPSConnection("localhost", self.port, context=context, timeout=10)
        user = base64.b64encode(self.files.gateway_user_file.read_bytes().strip()).decode()
        connection.request(method, path, json.dumps(body), {"Authorization": f"Basic {user}"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def fault(self, name: str, count: int = 1) -> None:
        self.ask("POST", "/faults", {"fault": name, "count": count})

    def book(self) -> Any:
        return self.ask("GET", "/book")

    def stand_still(self) -> None:
        """Read and answer nothing until ``go_on``; the system goes on taking what is sent."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


class CdeDriver:
    """A cde process with everything around it. ``environment`` adds variables, such as LD_PRELOAD.

    ``log``: where it writes its log; a pipe without one, which is full after some 200 captures.
    """

    def __init__(
        self,
        state_directory: Path,
        gateway: Gateway,
        *,
        environment: dict[str, str] | None = None,
        idempotency: str = "replay",
        gateway_port: int | None = None,
        fallback_port: int | None = None,
        ca_file: Path | None = None,
        scan_mode: bool = True,
        require: tuple[str, ...] = (),
        rehearsal: bool = False,
        velocity: tuple[VelocityRule, ...] = (),
        test: bool = True,
        log: IO[bytes] | None = None,
    ) -> None:
        slots_fd, _ = create_region(allow_secret=not scan_mode)
        mailbox_fd, _ = create_region(MAILBOX_BYTES, allow_secret=not scan_mode)
        self.slots, self.mailbox = Region(slots_fd), Region(mailbox_fd, MAILBOX_BYTES)
        ours, theirs = connect_pair()
        variables = {**os.environ, "DTMF_SHIELD_CHANNEL_FD": str(theirs.fileno()), **(environment or {})}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dtmf_shield.service.cde_process"],
            pass_fds=[theirs.fileno()],
            env=variables,
            stderr=log or subprocess.PIPE,
        )
        theirs.close()
        self.supervisor: Channel[ToSupervisor] = Channel(ours, ToSupervisor)
        configure = self._configure(
            state_directory, gateway, gateway_port or gateway.port, ca_file, idempotency, scan_mode, test
        )
        if fallback_port is not None:
            fallback = replace(configure.gateways[0], name="fallback", port=fallback_port)
            configure = replace(configure, gateways=(*configure.gateways, fallback))
        self.supervisor.send(
            replace(configure, require=require, rehearsal=rehearsal, velocity=velocity),
            (slots_fd, mailbox_fd),
        )
        os.close(slots_fd)
        os.close(mailbox_fd)
        try:
            ready, _ = self.supervisor.receive(20)
        except EOFError:
            ready = None  # it said nothing
        if not isinstance(ready, ProcessReady):
            self.supervisor.close()
            assert self.process.stderr is not None
            self.process.stderr.close()
            raise OSError(f"cde told {ready} and left with {self.process.wait(10)}")
        self.weaker = ready.weaker
        self.control = self.connect_control()
        self.media = self.connect_media()
        self.told: list[CdeToControl] = []
        self.arm: ArmSlot | None = None

    @staticmethod
    def _configure(
        state_directory: Path,
        gateway: Gateway,
        port: int,
        ca_file: Path | None,
        idempotency: str,
        scan_mode: bool,
        test: bool,
    ) -> ConfigureCde:
        return ConfigureCde(
            state_directory=str(state_directory),
            gateways=(
                GatewaySettings(
                    name="embedded",
                    template="generic",
                    addresses=("127.0.0.1",),
                    port=port,
                    server_name="localhost",
                    ca_file=str(ca_file or gateway.files.ca_file),
                    credentials_file=str(gateway.files.gateway_user_file),
                    path="/pay",
                    idempotency=idempotency,
                    parameters=(("extended", "yes"), ("token_parameter", "token")),
                ),
            ),
            keys=KekSettings(file=str(state_directory / "kek.json")),
            test=test,
            scan_mode=scan_mode,
        )

    def connect_control(self) -> Channel[CdeToControl]:
        self.control = Channel(self._connect(ProcessName.CONTROL), CdeToControl)
        return self.control

    def connect_media(self) -> Channel[CdeToMedia]:
        self.media = Channel(self._connect(ProcessName.MEDIA), CdeToMedia)
        return self.media

    def _connect(self, peer: ProcessName) -> Any:
        ours, theirs = connect_pair()
        self.supervisor.send(PeerConnected(peer), (theirs.fileno(),))
        theirs.close()
        return ours

    # --- control ----------------------------------------------------------------------------------------

    def wait_for(self, kind: type[Wanted], timeout_s: float = 15.0) -> Wanted:
        end_s = time.monotonic() + timeout_s
        while True:
            message, _ = self.control.receive(max(0.01, end_s - time.monotonic()))
            self.told.append(message)
            if isinstance(message, kind):
                return message

    def wait_for_state(self, state: CaptureState) -> CaptureProgress:
        while True:
            progress = self.wait_for(CaptureProgress)
            if progress.state is state:
                return progress

    def start(
        self,
        name: str,
        spec: CaptureSpec = SPEC,
        *,
        call: CallId = CALL,
        row: int = 7,
        takes_over: CaptureId = NO_CAPTURE,
    ) -> CaptureId:
        capture_id = CaptureId(name)
        self.control.send(StartCapture(capture_id, call, row, spec, takes_over=takes_over))
        message, _ = self.media.receive()
        while isinstance(message, DisarmSlot):  # of the capture before
            message, _ = self.media.receive()
        assert isinstance(message, ArmSlot)
        self.arm = message
        self.slots.view[message.slot * slots.SLOT_BYTES + slots.HEAD_AT] = 0
        self.media.send(SlotArmed(message.slot, message.generation, ok=True))
        self.wait_for(CaptureArmed)
        return capture_id

    def collect(self, capture_id: CaptureId, field: str) -> None:
        self.control.send(CollectField(capture_id, field))

    def hold(
        self, name: str, number: str, *, by_info: bool = False, call: CallId = CALL, row: int = 7
    ) -> CaptureId:
        """Start a capture and key all its fields."""
        key = self.key_by_info if by_info else self.key
        capture_id = self.start(name, call=call, row=row)
        for field, keys in ((PAN, number + "#"), (EXPIRY, "1230"), (CODE, "123")):
            self.collect(capture_id, field)
            self.wait_for_state(CaptureState.WAITING)
            key(keys)
            self.wait_for_state(CaptureState.HELD)
        return capture_id

    def pay(self, name: str, number: str, *, by_info: bool = False) -> CaptureOutcome:
        """Run a whole capture: three fields, submit, outcome."""
        self.control.send(SubmitCapture(self.hold(name, number, by_info=by_info), "order 17"))
        return self.wait_for(CaptureOutcome)

    # --- the caller -------------------------------------------------------------------------------------

    def key(self, keys: str) -> None:
        """Write keys as media does: the key, then head, then the message."""
        assert self.arm is not None
        base = self.arm.slot * slots.SLOT_BYTES
        for key in keys:
            head = self.slots.view[base + slots.HEAD_AT] % slots.RING_KEYS
            self.slots.view[base + slots.RING_AT + head] = ord(key)
            head = (head + 1) % slots.RING_KEYS
            self.slots.view[base + slots.HEAD_AT] = head
            self.media.send(KeysWritten(self.arm.slot, self.arm.generation, head))

    def key_by_info(self, keys: str, role: LegRole = LegRole.CALLER) -> None:
        """Put each key into the mailbox as control does."""
        for key in keys:
            body = f"Signal={key}\r\nDuration=160\r\n".encode()
            self.mailbox.view[MAILBOX_CELL_BYTES : MAILBOX_CELL_BYTES + len(body)] = body
            self.control.send(InfoMailed(CALL, 7, role, 1, len(body)))
            self.wait_for(CellFreed)

    # --- after ------------------------------------------------------------------------------------------

    def log(self) -> str:
        """End the process and return everything it logged."""
        self.supervisor.send(Shutdown())
        assert self.process.wait(10) == 0
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()

    def close(self) -> None:
        for channel in (self.supervisor, self.control, self.media):
            channel.close()
        if self.process.poll() is None:
            self.process.wait(10)
        if self.process.stderr is not None:
            self.process.stderr.close()
