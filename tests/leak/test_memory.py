"""No copy of a card in any process of the service after the outcome, by every door and on every end.

Scanned after each end: all readable and writable maps of supervisor, control, media and cde, in 21 byte forms and 3
pointer forms; media's locked tables besides for codes at any stride and for tones. The normal allocator: every door
with every end. The never-reusing one, where each copy ever made stays: every door with a token and one more end, which
changes from day to day. tests/leak/test_canary.py adds token, timeout, hang-up and decline by every door under both,
tests/leak/test_cde_memory.py all ends of cde by itself. Then files; then the mode that customers run, unreadable.
"""

from __future__ import annotations

import datetime
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.interop.phones import Phones
from tests.leak.media_forms import STRIDE_BYTES_MAX, alphabets, flags_of_maps, search, strided_forms, tones_in
from tests.leak.memory_scanner import byte_forms, pointer_forms, scan, scan_for
from tests.leak.whole_service import DOORS, ENDS, RESULTS, Scanned, WholeService, random_canary
from tests.vectors.dtmf_signal import Recipe, tone_pair

pytestmark = pytest.mark.interop

ALLOCATOR = Path(__file__).parent / "never_reusing_allocator.c"
SLOTS = "/memfd:dtmf-shield-slots (deleted)"
ROTATING = tuple(end for end in ENDS if end != "token")
END_OF_TODAY = ROTATING[datetime.datetime.now(datetime.UTC).date().toordinal() % len(ROTATING)]
BATCHES = {
    "normal": (
        ("token", "cancel", "hangup"),
        ("exception",),
        ("reset",),
        ("garbage",),
        ("hang", "media_crash"),
    ),
    "never_reusing": (("token",), (END_OF_TODAY,)),
}
"""Ends that are played together, with one scan after them. Media crashes while the hanging cards are being sent."""
CELLS = [
    (allocator, door, end)
    for allocator, batches in BATCHES.items()
    for batch in batches
    for end in batch
    for door in DOORS
]
FILE_FORMS = frozenset(byte_forms("0")) - {"int32_array", "int64_array"}
"""Arrays of small numbers are a form of memory; in files they would match by chance in silence."""


@dataclass(frozen=True)
class Run:
    """One service, all its ends played, still running."""

    whole: WholeService
    scanned: dict[tuple[str, ...], Scanned]


@pytest.fixture(scope="module")
def never_reusing(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Build the never-reusing allocator; return the environment that puts it under every process."""
    if shutil.which("cc") is None:
        pytest.fail("no C compiler: apt-get install gcc libc6-dev")
    library = tmp_path_factory.mktemp("allocator") / "never_reusing.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(ALLOCATOR)], check=True)
    return {"LD_PRELOAD": str(library), "PYTHONMALLOC": "malloc"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, never_reusing: dict[str, str]) -> Iterator[dict[str, Run]]:
    phones, runs = Phones(), {}
    try:
        for allocator, batches in BATCHES.items():
            environment = never_reusing if allocator == "never_reusing" else {}
            ends = tuple(end for batch in batches for end in batch)
            whole = WholeService(phones, tmp_path_factory.mktemp(allocator), ends, environment)
            runs[allocator] = Run(whole, {})
            for batch in batches:
                if batch == ("hang", "media_crash"):
                    whole.play("hang", meanwhile=("media_crash",))
                else:
                    whole.play(*batch)
                runs[allocator].scanned[batch] = whole.scan()
        yield runs
    finally:
        for run in runs.values():
            run.whole.service.stop()
        phones.close()


# --- the positive controls ---------------------------------------------------------------------------------

_HOLDER = """
import ctypes, mmap, sys
number = bytearray(16)
sys.stdin.buffer.raw.readinto(number)
text = number.decode()
digits = [code - 48 for code in number]
code_text = '"cvv":"' + chr(49) + chr(50) + chr(51)
slot, ring = mmap.mmap(-1, 65_536), mmap.mmap(-1, 65_536)
for region in (slot, ring):
    ctypes.CDLL(None).mlock(ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(region))), 65_536)
slot[80:96] = bytes(number)
for index, digit in enumerate(digits):
    ring[100 + 96 * index] = digit
sys.stdout.write("holding\\n")
sys.stdout.flush()
sys.stdin.buffer.raw.read(1)
"""


@pytest.mark.parametrize("allocator", BATCHES)
def test_scan_finds_text_list_slot_code_and_event_ring_in_a_process_that_holds_them(
    allocator: str, never_reusing: dict[str, str]
) -> None:
    canary = random_canary()
    environment = never_reusing if allocator == "never_reusing" else {}
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **environment},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(canary.encode())
        process.stdin.flush()
        process.stdout.readline()
        whole = {finding.form for finding in scan(process.pid, canary)}
        code = scan_for(process.pid, {"security_code": b'"cvv":"123'})
        strided, _ = search(process.pid, canary)
        forms = len(byte_forms(canary)), len(pointer_forms(canary, process.pid))
        process.stdin.close()

    assert forms == (21, 3)
    assert {"ascii", "list_of_ints", "first", "middle", "last"} <= whole
    assert code
    assert {"strided_event_codes", "strided_ascii"} <= {finding.form for finding in strided}


@pytest.mark.parametrize("stride", [1, 2, 4, 12, 96, 172, 1_500, STRIDE_BYTES_MAX])
@pytest.mark.parametrize(
    "form", ["strided_event_codes", "strided_ascii", "strided_keypad", "strided_keypad_from_1"]
)
def test_codes_at_any_stride_are_found_forwards_and_backwards(stride: int, form: str) -> None:
    canary = random_canary()
    codes = alphabets(canary)[form][:-1]
    for wanted in (codes, codes[::-1]):
        data = np.random.default_rng(1).integers(0, 16, 40_000).astype(np.uint8)
        data[500 : 500 + stride * len(wanted) : stride] = wanted

        assert form in strided_forms(data, canary)


def test_memory_without_the_codes_is_silent() -> None:
    data = np.random.default_rng(2).integers(0, 12, 200_000).astype(np.uint8)

    assert strided_forms(data, random_canary()) == {}


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
def test_tone_of_one_key_in_raw_memory_is_found(rate_hz: int) -> None:
    rng = np.random.default_rng(3)
    tone = tone_pair("5", 480, Recipe(level_dbm0=-20.0), rng)
    tone = np.interp(np.arange(0, 480, 8_000 / rate_hz), np.arange(480), tone)
    noise = rng.normal(0, 300, 30_000)
    quiet = noise.astype(np.int16)
    loud = quiet.copy()
    loud[9_999 : 9_999 + len(tone)] = tone.astype(np.int16)

    assert tones_in(quiet.view(np.uint8)) == 0
    assert tones_in(loud.view(np.uint8)) > 0


def test_scanner_sees_the_number_in_its_slots_while_it_is_keyed(runs: dict[str, Run]) -> None:
    """In the very processes that are found clean a moment later."""
    held = runs["normal"].whole.held

    assert {finding.mapping for finding in held if finding.form == "ascii"} == {SLOTS}
    assert len({finding.pid for finding in held}) == 2, "cde and media"


# --- the ends ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("allocator", "door", "end"), CELLS)
def test_capture_ended_as_it_was_meant_to(runs: dict[str, Run], allocator: str, door: str, end: str) -> None:
    outcome = runs[allocator].whole.cells[door, end].outcome

    assert outcome["result"] in RESULTS[end]


@pytest.mark.parametrize("allocator", BATCHES)
def test_gateway_was_sent_the_number_by_every_door(runs: dict[str, Run], allocator: str) -> None:
    """Without this, a clean scan might mean that nothing was sent."""
    whole = runs[allocator].whole
    booked = whole.service.gateway("GET", "/book")["operations"]

    tokens = [entry for entry in booked if entry["last4"] == whole.canary[-4:] and not entry["error_code"]]
    assert len(tokens) >= len(DOORS)


def test_exception_was_thrown_while_cards_were_sent(runs: dict[str, Run]) -> None:
    assert runs["normal"].whole.service.log().count('"exchange_broken"') == len(DOORS)
    assert "ZeroDivisionError" in runs["normal"].whole.service.log()


@pytest.mark.parametrize(("allocator", "batch"), [(a, b) for a, batches in BATCHES.items() for b in batches])
def test_no_process_holds_number_or_code_after_the_end(
    runs: dict[str, Run], allocator: str, batch: tuple[str, ...]
) -> None:
    assert runs[allocator].scanned[batch].findings == []


@pytest.mark.parametrize(("allocator", "batch"), [(a, b) for a, batches in BATCHES.items() for b in batches])
def test_media_holds_no_tone_after_the_end(
    runs: dict[str, Run], allocator: str, batch: tuple[str, ...]
) -> None:
    assert runs[allocator].scanned[batch].tones == 0


# --- everything else ---------------------------------------------------------------------------------------


def forms_in_files(directory: Path, canary: str) -> dict[str, set[str]]:
    """Return which files of a tree hold the number, and how."""
    forms = {form: pattern for form, pattern in byte_forms(canary).items() if form in FILE_FORMS}
    found: dict[str, set[str]] = {}
    for path in directory.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            found[str(path)] = {form for form, pattern in forms.items() if pattern in data}
    return {name: held for name, held in found.items() if held}


@pytest.mark.parametrize("allocator", BATCHES)
def test_files_and_shared_memory_hold_no_number(runs: dict[str, Run], allocator: str, tmp_path: Path) -> None:
    whole = runs[allocator].whole
    names = {path.name for path in whole.directory.rglob("*")}
    (tmp_path / "planted").write_text(f"x{whole.canary}x")

    assert {"service.log", "temporary", "audit.jsonl", "ledger.sqlite3", "recordings"} <= names
    assert forms_in_files(whole.directory, whole.canary) == {}
    assert forms_in_files(Path("/dev/shm"), whole.canary) == {}  # noqa: S108 - searched, not written
    assert forms_in_files(tmp_path, whole.canary) != {}, "the control"


@pytest.mark.parametrize("allocator", BATCHES)
def test_seal_lacked_nothing_but_what_the_scan_needs(runs: dict[str, Run], allocator: str) -> None:
    """What is clean here must not be clean because cde ran with less than a customer's."""
    missing = {
        line.split('"protection": "')[1].split('"')[0]
        for line in runs[allocator].whole.service.log().splitlines()
        if "protection_missing" in line and '"name": "cde"' in line
    }

    assert missing <= {"dumpable", "memfd_secret"} | (
        {"scribble_on_free"} if allocator != "normal" else set()
    )


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeService]:
    """The service as customers run it: secret memory, nothing switched off for a scan. One card by events."""
    phones = Phones()
    whole = WholeService(phones, tmp_path_factory.mktemp("live"), ("token",), {}, scan_mode=False)
    try:
        whole.play("token")
        yield whole
    finally:
        whole.service.stop()
        phones.close()


def test_tokens_are_right_with_secret_memory(live: WholeService) -> None:
    booked = {entry["token"][-4:] for entry in live.service.gateway("GET", "/book")["operations"]}

    for cell in live.cells.values():
        assert (cell.outcome["result"], cell.outcome["last4"]) == ("token", live.canary[-4:])
        assert cell.outcome["token_reference"][-4:] in booked


@pytest.mark.parametrize("name", ["cde", "media"])
def test_slots_are_secret_locked_undumpable_and_unreadable_even_for_root(
    live: WholeService, name: str
) -> None:
    pid = live.service.pids()[name]
    secret = {
        start: flags for start, (mapping, flags) in flags_of_maps(pid).items() if "secretmem" in mapping
    }

    assert secret
    for start, flags in secret.items():
        assert {"lo", "dd"} <= flags
        with Path(f"/proc/{pid}/mem").open("rb") as memory, pytest.raises(OSError, match="Input/output"):
            memory.seek(start)
            memory.read(16)


@pytest.mark.parametrize("name", ["cde", "media", "control"])
def test_no_process_of_the_service_can_be_dumped(live: WholeService, name: str) -> None:
    """A process that may be dumped belongs to its user; the files of one that may not belong to root alone."""
    pid = live.service.pids()[name]
    core = Path(f"/proc/{pid}/limits").read_text().splitlines()

    assert next(line.split()[4:6] for line in core if line.startswith("Max core file size")) == ["0", "0"]
    assert "protection_missing" not in live.service.log()
