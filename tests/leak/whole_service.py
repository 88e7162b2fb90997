"""A whole service under the memory scan: callers by every door, ends of every kind, a random canary, an injected fault.

The canary is made at run time, Luhn-valid, and known to the TEST gateway by its digest alone. The fault is an exception
in cde when a card has just been sent, thrown by a ``sitecustomize`` in its path: no product code knows of it.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import secrets
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dtmf_shield.phone.door import Door
from tests.interop.callers import DOORS, Material, card_fields, keying_caller, make_material
from tests.interop.phones import AgentCall, Phone, Phones
from tests.interop.running_service import FLOW, RunningService, wait_until
from tests.interop.sipp import SippCaller
from tests.leak.media_forms import search
from tests.leak.memory_scanner import Finding, scan, scan_for

ENDS = ("token", "cancel", "hangup", "exception", "reset", "garbage", "hang", "media_crash")
"""How captures end. ``hang``: the gateway books, no answer; ``reset``: it books and cuts; ``garbage``: no HTTP."""
FAULTS = frozenset({"reset", "garbage", "hang"})
"""Ends that the TEST gateway brings about by a fault of that name."""
RESULTS = {
    "token": {"token"},
    "cancel": {"cancelled"},
    "hangup": {"caller_gone"},
    "exception": {"unknown"},
    "reset": {"unknown"},
    "garbage": {"unknown"},
    "hang": {"unknown", "token"},
    "media_crash": {"interrupted"},
}
MID_ENTRY = frozenset({"cancel", "hangup", "media_crash"})
KEYS_FORGOTTEN_S = 2.5
"""Media keeps keys for joining doors, and presses for their late packets, no longer than that."""
DISTINCT_DIGITS_MIN = 7

_SITECUSTOMIZE = """
import sys
if any("cde_process" in argument for argument in sys.orig_argv):
    import signal
    import h11
    broken = []
    whole = h11.Connection.next_event
    def next_event(self):
        if broken:
            raise ZeroDivisionError("injected")
        return whole(self)
    h11.Connection.next_event = next_event
    signal.signal(signal.SIGUSR1, lambda *_: broken.clear() if broken else broken.append(True))
"""


def random_canary() -> str:
    """Return a random Luhn-valid number of 16 digits in a Discover range, of many different digits."""
    while True:
        body = "6011" + "".join(secrets.choice("0123456789") for _ in range(11))
        check = next(str(digit) for digit in range(10) if _luhn(body + str(digit)))
        number = body + check
        repeats = any(first == second for first, second in itertools.pairwise(number[4:]))
        if len(set(number[2:-2])) >= DISTINCT_DIGITS_MIN and not repeats:
            return number


def _luhn(number: str) -> bool:
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in number[-2::-2])
    return (sum(doubled) + sum(int(digit) for digit in number[::-2])) % 10 == 0


@dataclass
class Cell:
    """One capture: a door and an end, its caller, its agent and what came of it."""

    door: Door
    end: str
    phone: Phone
    caller: SippCaller | None = None
    agent: AgentCall | None = None
    call_id: str = ""
    outcome: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As dialled."""
        return f"{self.door}-{self.end.replace('_', '-')}"


@dataclass(frozen=True)
class Scanned:
    """What one scan of all processes found."""

    findings: list[Finding]
    tones: int


class WholeService:
    """The service with phones and callers. ``environment`` goes to all its processes."""

    def __init__(
        self,
        phones: Phones,
        directory: Path,
        ends: tuple[str, ...],
        environment: dict[str, str],
        *,
        scan_mode: bool = True,
    ) -> None:
        self.canary, self.directory = random_canary(), directory
        self.security_code = "".join(secrets.choice("0123456789") for _ in range(3))
        self.held: list[Finding] = []
        """What the scanner saw of cde and media while the number stood in its slots."""
        self._work = directory.parent / f"{directory.name}-callers"
        self.cells = {(door, end): Cell(door, end, phones.open()) for end in ends for door in DOORS}
        temporary, path = directory / "temporary", self._work / "path"
        temporary.mkdir(parents=True)
        path.mkdir(parents=True)
        (path / "sitecustomize.py").write_text(_SITECUSTOMIZE, "utf-8")
        inherited = os.environ.get("PYTHONPATH")
        variables = {
            "TMPDIR": str(temporary),
            "PYTHONPATH": f"{path}:{inherited}" if inherited else str(path),
            **environment,
        }
        addresses = {cell.name: f"127.0.0.1:{cell.phone.port}" for cell in self.cells.values()}
        self.service = RunningService(directory, addresses, scan_mode=scan_mode, environment=variables)
        digest = hashlib.sha256(self.canary.encode()).hexdigest()
        self.service.gateway("POST", "/canaries", {"sha256": digest})

    # --- ends ----------------------------------------------------------------------------------------------

    def play(self, *ends: str, meanwhile: tuple[str, ...] = ()) -> None:
        """Take the calls of ``ends``, by every door at once, to their ends; they are hung up then.

        At most one of ``ends`` goes to the gateway with a fault. ``meanwhile`` is played while cards are being sent.
        """
        cells = [cell for cell in self.cells.values() if cell.end in ends]
        self._set_faults(ends)
        try:
            self._begin(cells)
            for cell in cells:
                if cell.end in MID_ENTRY:
                    self.service.wait_for_count(cell.call_id, len(self.canary) - (cell.end == "hangup"))
            self._interrupt(cells)
            if meanwhile:
                for cell in cells:
                    self._wait_for_sending(cell.call_id)
                self.play(*meanwhile)
            for cell in cells:
                cell.outcome = self.service.wait_for_outcome(cell.call_id, 40.0)
            self._hang_up(cells)
        finally:
            for cell in cells:
                if cell.caller is not None:
                    cell.caller.stop()
        self._clear_faults(ends)

    def _set_faults(self, ends: tuple[str, ...]) -> None:
        for fault in FAULTS.intersection(ends):
            # Enough for asking once more, as the embedded gateway's idempotency allows; not for ``hang``: 8 s each.
            count = len(DOORS) * (1 if fault == "hang" else 10)
            self.service.gateway("POST", "/faults", {"fault": fault, "count": count})
        if "exception" in ends:
            self._toggle_exception()

    def _clear_faults(self, ends: tuple[str, ...]) -> None:
        if FAULTS.intersection(ends):
            self.service.gateway("POST", "/faults", {"fault": "none", "count": 0})
        if "exception" in ends:
            self._toggle_exception()

    def _wait_for_sending(self, call_id: str) -> None:
        def look() -> bool:
            capture = self.service.capture(call_id)
            return capture is not None and capture["state"] == "sending"

        wait_until(look, f"the card of call {call_id} is being sent")

    def _begin(self, cells: list[Cell]) -> None:
        for cell in cells:
            number = make_material(
                self._work / cell.end, self._fields(cell.end), seed=1 + ENDS.index(cell.end)
            )
            cell.caller = self._call(cell, number)
        for cell in cells:
            cell.agent = cell.phone.incoming()
            cell.call_id = self.service.call_to(cell.name)["id"]
            self.service.start_capture(cell.call_id, FLOW)
        for cell in cells:
            self.service.wait_for_field(cell.call_id, "pan", "waiting")
            if cell.caller is not None:
                cell.caller.go()

    def _call(self, cell: Cell, material: Material) -> SippCaller:
        return SippCaller(self._work, keying_caller(cell.door, material), self.service.sip, dialled=cell.name)

    def _fields(self, end: str) -> tuple[str, ...]:
        number, date, _ = card_fields(self.canary)
        return (self.canary,) if end in MID_ENTRY else (number, date, self.security_code)

    def _interrupt(self, cells: list[Cell]) -> None:
        if any(cell.end in MID_ENTRY for cell in cells):
            self.held = self.scan_slots()
        for cell in cells:
            if cell.end == "hangup" and cell.caller is not None:
                cell.caller.go()
            elif cell.end == "cancel":
                capture = self.service.capture(cell.call_id)
                path = f"/v1/captures/{capture['id'] if capture else ''}/commands"
                assert self.service.post(path, {"command": "cancel"}).status_code == 202
        if any(cell.end == "media_crash" for cell in cells):
            killed_s = self.service.kill("media")
            self.service.wait_for_event("recovered", since_s=killed_s)

    def _hang_up(self, cells: list[Cell]) -> None:
        for cell in cells:
            if cell.caller is not None and cell.end != "hangup":
                cell.caller.go()
        for cell in cells:
            if cell.caller is not None and cell.agent is not None:
                cell.caller.finish()
                cell.phone.wait_for_end(cell.agent)

    def _toggle_exception(self) -> None:
        os.kill(self.service.pids()["cde"], signal.SIGUSR1)
        time.sleep(0.1)  # the handler runs between two turns of its loop and answers nobody

    # --- scans ---------------------------------------------------------------------------------------------

    def scan(self) -> Scanned:
        """Search every process of the service for every form, media's tables for codes at a stride and for tones."""
        time.sleep(KEYS_FORGOTTEN_S)  # what media may remember for joining two doors is over
        pids = self.service.pids()
        findings = []
        for pid in (self.service.supervisor_pid, *pids.values()):
            findings += scan(pid, self.canary)
            findings += scan_for(pid, {"security_code": f'"cvv":"{self.security_code}'.encode()})
        strided, tones = search(pids["media"], self.canary)
        return Scanned(findings + strided, tones)

    def scan_slots(self) -> list[Finding]:
        """Search cde and media for the plain number while it is being keyed: the positive control."""
        pids = self.service.pids()
        include = frozenset({"ascii"})
        return [each for name in ("cde", "media") for each in scan(pids[name], self.canary, include=include)]
