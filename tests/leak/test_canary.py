"""A canary card keyed by every door, on every end a capture can have; then a search of everything that left red.

Searched: logs, console, database, recordings, API and event stream, what agents' phones received, temporary files,
shared memory, and the memory of the supervisor and all three processes. The canary is a published test number with
few repeated digits. Every search has its positive control: what must be found is found.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dtmf_shield.phone.door import Door
from tests.interop.callers import DOORS, Material, card_fields, keying_caller, make_material
from tests.interop.ears import NOTHING, channels_of, heard_by_all
from tests.interop.phones import AgentCall, Phone, Phones
from tests.interop.running_service import FLOW, QUICK_FLOW, RunningService, wait_until
from tests.interop.sipp import SippCaller

sys.path.insert(0, str(Path(__file__).parent))
from memory_scanner import Finding, byte_forms, scan, writable_mappings

pytestmark = pytest.mark.interop

CANARY = "6011000990139424"
ENDS = ("token", "timeout", "hangup", "declined")
RESULTS = {
    "token": {"token"},
    "timeout": {"attempts_used", "timed_out"},
    "hangup": {"caller_gone"},
    "declined": {"declined"},
}
HELD_BODY = bytearray(b"Signal=7\r\nDuration=80\r\n")
"""Held by this process: the control of the search for such bodies."""
INFO_BODY = re.compile(rb"Signal=[0-9*#]\r?\n")
ALLOCATOR = Path(__file__).parent / "never_reusing_allocator.c"
CELLS = [(door, end) for end in ENDS for door in DOORS]
SLOTS = "/memfd:dtmf-shield-slots (deleted)"
FILE_FORMS = frozenset(byte_forms(CANARY)) - {"int32_array", "int64_array"}
"""Arrays of small numbers are a form of memory; in files they would match by chance in silence."""


@dataclass(frozen=True)
class Swept:
    """Everything the run left, for the tests to search."""

    service: RunningService
    phones: dict[tuple[Door, str], Phone]
    agents: dict[tuple[Door, str], AgentCall]
    outcomes: dict[tuple[Door, str], dict[str, Any]]
    captures: dict[tuple[Door, str], dict[str, Any]]
    recordings: dict[tuple[Door, str], Path]
    held: list[Finding]
    """What the scanner saw of cde and media while the canary stood in its slots."""
    left: list[Finding]
    """What it saw in all four processes after the last outcome, the processes still running."""
    info_bodies: int
    """How many INFO bodies with a key were left in control's memory."""
    directory: Path


class Run:
    """Twelve calls: three doors, four ends; the gateway declines only while the declined ones are sent."""

    def __init__(self, phones: Phones, directory: Path, environment: dict[str, str]) -> None:
        self.directory, self._keeps_all = directory, bool(environment)
        self.phones = {cell: phones.open() for cell in CELLS}
        temporary = directory / "temporary"
        temporary.mkdir()
        addresses = {_name(cell): f"127.0.0.1:{phone.port}" for cell, phone in self.phones.items()}
        self.service = RunningService(
            directory, addresses, scan_mode=True, environment={"TMPDIR": str(temporary)} | environment
        )
        self.agents: dict[tuple[Door, str], AgentCall] = {}
        self.calls: dict[tuple[Door, str], str] = {}
        self.outcomes: dict[tuple[Door, str], dict[str, Any]] = {}
        self.captures: dict[tuple[Door, str], dict[str, Any]] = {}
        self.info_bodies = -1
        self._callers: dict[tuple[Door, str], SippCaller] = {}

    def play(self, work: Path) -> tuple[list[Finding], list[Finding]]:
        """Take every call to its end; return what scans found meanwhile and after."""
        digest = hashlib.sha256(CANARY.encode()).hexdigest()
        self.service.gateway("POST", "/canaries", {"sha256": digest})
        self.service.listen_to_events()
        whole, number, hashed = card_fields(CANARY), (CANARY,), (CANARY + "#",)
        material = {
            "token": make_material(work / "token", whole),
            "declined": make_material(work / "declined", whole, seed=2),
            "timeout": make_material(work / "timeout", hashed, seed=3),
            "hangup": make_material(work / "hangup", number, seed=4),
        }
        try:
            first = [cell for cell in CELLS if cell[1] != "declined"]
            self._begin(first, material, work)
            held = self._hang_up_mid_entry([cell for cell in first if cell[1] == "hangup"])
            self._end([cell for cell in first if cell[1] != "hangup"])
            self.service.gateway("POST", "/faults", {"fault": "decline", "count": len(DOORS)})
            declined = [cell for cell in CELLS if cell[1] == "declined"]
            self._begin(declined, material, work)
            self._end(declined)
        finally:
            for caller in self._callers.values():
                caller.stop()
        pids = self.service.pids()
        if not self._keeps_all:
            pids["supervisor"] = (
                self.service.supervisor_pid
            )  # It maps no slot and reads no socket: once will do.
        left = [finding for pid in pids.values() for finding in scan(pid, CANARY)]
        self.info_bodies = occurrences(pids["control"], INFO_BODY)
        return held, left

    def _begin(self, cells: list[tuple[Door, str]], material: dict[str, Material], work: Path) -> None:
        for cell in cells:
            door, end = cell
            scenario = keying_caller(door, material[end])
            self._callers[cell] = SippCaller(work, scenario, self.service.sip, dialled=_name(cell))
        for cell in cells:
            self.agents[cell] = self.phones[cell].incoming()
            self.calls[cell] = self.service.call_to(_name(cell))["id"]
            self.service.start_capture(self.calls[cell], QUICK_FLOW if cell[1] == "timeout" else FLOW)
        for cell in cells:
            self.service.wait_for_field(self.calls[cell], "pan", "waiting", "keying", "timeout")
            self._callers[cell].go()

    def _hang_up_mid_entry(self, cells: list[tuple[Door, str]]) -> list[Finding]:
        for cell in cells:
            self.service.wait_for_count(self.calls[cell], len(CANARY))
        pids = self.service.pids()
        forms = frozenset({"ascii"}) if self._keeps_all else None
        held = [finding for name in ("cde", "media") for finding in scan(pids[name], CANARY, include=forms)]
        self._end(cells, hang_up_first=True)
        return held

    def _end(self, cells: list[tuple[Door, str]], *, hang_up_first: bool = False) -> None:
        for cell in cells:
            if hang_up_first:
                self._callers[cell].go()
            self.outcomes[cell] = self.service.wait_for_outcome(self.calls[cell], 40.0)
            self.captures[cell] = self.service.get(f"/v1/calls/{self.calls[cell]}")["capture"]
            if not hang_up_first:
                self._callers[cell].go()
        for cell in cells:
            self._callers[cell].finish()
            self.phones[cell].wait_for_end(self.agents[cell])


def _name(cell: tuple[Door, str]) -> str:
    return f"{cell[0]}-{cell[1]}"


def never_reusing_allocator(directory: Path) -> dict[str, str]:
    """Build it and return the environment that puts it under every process of the service."""
    library = directory / "never_reusing.so"
    if shutil.which("cc") is None:
        pytest.fail("no C compiler: apt-get install gcc libc6-dev")
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(ALLOCATOR)], check=True)
    return {"LD_PRELOAD": str(library), "PYTHONMALLOC": "malloc"}


@pytest.fixture(scope="module", params=["normal", "never_reusing"])
def swept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swept]:
    """Run once as installed, and once with an allocator that keeps every copy ever made."""
    phones = Phones()
    keeps_all = request.param == "never_reusing"
    environment = never_reusing_allocator(tmp_path_factory.mktemp("allocator")) if keeps_all else {}
    run = Run(phones, tmp_path_factory.mktemp("service"), environment)
    try:
        held, left = run.play(tmp_path_factory.mktemp("callers"))
        recordings = {cell: run.service.recording_of(call) for cell, call in run.calls.items()}
        yield Swept(
            run.service,
            run.phones,
            run.agents,
            run.outcomes,
            run.captures,
            recordings,
            held,
            left,
            run.info_bodies,
            run.directory,
        )
    finally:
        run.service.stop()
        phones.close()


def occurrences(pid: int, pattern: re.Pattern[bytes]) -> int:
    """Count what matches in the readable and writable memory of a process."""
    count = 0
    with Path(f"/proc/{pid}/mem").open("rb") as memory:
        for mapping in writable_mappings(pid):
            with contextlib.suppress(OSError, OverflowError):
                memory.seek(mapping.start)
                count += len(pattern.findall(memory.read(mapping.end - mapping.start)))
    return count


def forms_in(data: bytes) -> set[str]:
    """Return the names of the forms in which the canary stands in ``data``."""
    return {form for form, pattern in byte_forms(CANARY).items() if form in FILE_FORMS and pattern in data}


def forms_in_files(directory: Path) -> dict[str, set[str]]:
    """Return which files of a tree hold the canary, and how."""
    found = {str(path): forms_in(path.read_bytes()) for path in directory.rglob("*") if path.is_file()}
    return {name: forms for name, forms in found.items() if forms}


@pytest.mark.parametrize("cell", CELLS, ids=_name)
def test_capture_ended_as_it_was_meant_to(swept: Swept, cell: tuple[Door, str]) -> None:
    assert swept.outcomes[cell]["result"] in RESULTS[cell[1]]


@pytest.mark.parametrize("door", DOORS)
def test_timeout_came_when_the_whole_number_was_held(swept: Swept, door: Door) -> None:
    pan = next(field for field in swept.captures[door, "timeout"]["fields"] if field["field"] == "pan")

    assert (pan["state"], pan["last4"]) == ("valid", CANARY[-4:])


def test_gateway_was_sent_the_canary_by_every_door(swept: Swept) -> None:
    """Without this, a clean search might mean that nothing was keyed."""
    booked = swept.service.gateway("GET", "/book")["operations"]

    codes = [entry["error_code"] for entry in booked if entry["last4"] == CANARY[-4:]]
    assert sorted(code or "" for code in codes) == ["", "", "", *["card_declined"] * 3]


def test_scanner_sees_the_canary_in_its_slots_while_it_is_keyed(swept: Swept) -> None:
    """The positive control: the same scanner on the same processes, a moment before."""
    assert {finding.mapping for finding in swept.held if finding.form == "ascii"} == {SLOTS}
    assert len({finding.pid for finding in swept.held}) == 2, "cde and media"


def test_canary_being_keyed_stands_in_no_other_memory(swept: Swept) -> None:
    assert [finding for finding in swept.held if finding.mapping != SLOTS] == []


def test_no_process_holds_the_canary_after_the_outcomes(swept: Swept) -> None:
    assert swept.left == []


def test_control_keeps_no_info_body(swept: Swept) -> None:
    """It carries them for an instant, as docs/pci-scope.md says; none stays."""
    assert occurrences(os.getpid(), INFO_BODY) > 0 < len(HELD_BODY)
    assert swept.info_bodies == 0


def test_search_of_files_finds_every_form_that_is_planted(tmp_path: Path) -> None:
    for form, pattern in byte_forms(CANARY).items():
        (tmp_path / form).write_bytes(b"\0" * 1_001 + pattern + b"\0")

    assert {Path(name).name for name in forms_in_files(tmp_path)} >= FILE_FORMS


def test_state_log_database_recordings_and_temporary_files_hold_no_canary(swept: Swept) -> None:
    names = {path.name for path in swept.directory.rglob("*")}

    assert {"service.log", "temporary", "audit.jsonl"} <= names
    assert any(name.endswith((".sqlite", ".sqlite3", ".db")) for name in names), names
    assert forms_in_files(swept.directory) == {}


def test_shared_memory_holds_no_canary(swept: Swept) -> None:
    assert forms_in_files(Path("/dev/shm")) == {}  # noqa: S108 - searched, not written


def test_api_event_stream_and_console_say_no_canary(swept: Swept) -> None:
    said = b"".join(swept.service.said)

    assert CANARY[-4:].encode() in said, (
        "last4 of the accepted card is said: this is the right place to search"
    )
    assert b"event:" in said, "the event stream was heard"
    assert forms_in(said) == set()


@pytest.mark.parametrize("cell", CELLS, ids=_name)
def test_agents_phone_received_no_canary_by_sip_or_rtp(swept: Swept, cell: tuple[Door, str]) -> None:
    agent = swept.agents[cell]

    assert b"INVITE " in swept.phones[cell].signalling
    assert b"INFO " not in swept.phones[cell].signalling
    assert forms_in(swept.phones[cell].signalling) == set()
    assert forms_in(agent.payload_bytes) == set()
    assert {packet.payload_type for packet in agent.packets} == {0}
    assert agent.call.events_received == []


@pytest.mark.parametrize("cell", CELLS, ids=_name)
def test_agent_and_recording_hold_no_tone(swept: Swept, cell: tuple[Door, str], tmp_path: Path) -> None:
    assert heard_by_all(swept.agents[cell].call.heard, tmp_path) == NOTHING
    for channel in channels_of(swept.recordings[cell]):
        assert heard_by_all(channel, tmp_path) == NOTHING


def test_service_leaves_in_good_order_and_nothing_is_left_behind(swept: Swept) -> None:
    """Last: what is written at the end is searched too."""
    assert swept.service.stop() == 0, swept.service.log_tail()

    assert forms_in_files(swept.directory) == {}
    assert wait_until(lambda: not (swept.service.state / "run.json").exists(), "the status file is gone")
