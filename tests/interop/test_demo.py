"""The demonstration as a newcomer runs it: exit code, summary, files, and whose phones called.

Its own judgement of leaks has its positive control inside: it fails where the caller's side was not heard.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import soundfile

from dtmf_shield.phone.door import Door
from tests.interop.callers import VISA
from tests.interop.ears import NOTHING, channels_of, heard_by_all

pytestmark = pytest.mark.interop

DEMO_LIMIT_S = 90.0
"""The promise to the newcomer."""
POLL_S = 0.2
KEYS_OF_A_CARD = 24
"""Number with hash, expiry, security code."""
FILES = ("caller.wav", "agent.wav", "recording.wav", "evidence.png")
CALL_KEYS = {
    "door",
    "token",
    "last4",
    "digits_sent",
    "digits_heard_caller_side",
    "digits_heard_agent_side",
    "digits_in_recording",
    "added_delay_ms",
}
PHONE_PROGRAM = "pjsua2_phone.py"
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass
class DemoRun:
    """What one demonstration left."""

    out: Path
    code: int = -1
    printed: str = ""
    errors: str = ""
    phone_processes: set[int] = field(default_factory=set)
    """Every pjsua2 phone that was seen among its children."""

    @property
    def summary(self) -> dict[str, Any]:
        """What summary.json holds."""
        content: dict[str, Any] = json.loads((self.out / "summary.json").read_text("utf-8"))
        return content


def run_demo(out: Path, *options: str) -> DemoRun:
    """Run it to its end within its promised time, watching its children."""
    run = DemoRun(out)
    command = [sys.executable, "-m", "dtmf_shield", "demo", "--out", str(out), "--json", *options]
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    deadline_s = time.monotonic() + DEMO_LIMIT_S
    try:
        while process.poll() is None and time.monotonic() < deadline_s:
            run.phone_processes |= {pid for pid in children(process.pid) if PHONE_PROGRAM in programs_of(pid)}
            time.sleep(POLL_S)
        assert process.poll() is not None, f"no end within {DEMO_LIMIT_S:.0f} s"
    finally:
        if process.poll() is None:
            process.terminate()
        run.printed, run.errors = process.communicate(timeout=15)
    run.code = process.returncode
    return run


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def programs_of(pid: int) -> list[str]:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        return [Path(word).name for word in words]
    except OSError:
        return []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    """All doors, the phones that are there."""
    return run_demo(tmp_path_factory.mktemp("demo") / "all", "--door", "all")


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    """One door by the project's own phone."""
    return run_demo(tmp_path_factory.mktemp("demo") / "scripted", "--door", "inband", "--phone", "scripted")


def assert_complete(run: DemoRun, doors: list[str]) -> None:
    """Every call: a token, all keys heard where they were sent and none where they must not be."""
    assert run.code == 0, run.errors + run.printed
    assert json.loads(run.printed) == run.summary
    assert set(run.summary) == {"calls", "leak"}
    assert run.summary["leak"] is False
    calls = run.summary["calls"]
    assert [call["door"] for call in calls] == doors
    for call in calls:
        assert set(call) == CALL_KEYS
        assert call["token"].startswith("tok_TEST_")
        assert call["last4"] == VISA[-4:]
        assert call["digits_sent"] == call["digits_heard_caller_side"] == KEYS_OF_A_CARD
        assert (call["digits_heard_agent_side"], call["digits_in_recording"]) == (0, 0)
        assert 0 < call["added_delay_ms"] < 20
    assert len({call["token"] for call in calls}) == len(calls)


def assert_files(directory: Path) -> None:
    """Sound of some length in every WAV file, and a picture."""
    for name, channels in zip(FILES, (1, 1, 2), strict=False):
        described = soundfile.info(directory / name)
        assert (described.samplerate, described.channels) == (8_000, channels), name
        assert described.duration > 5, name
    assert (directory / "evidence.png").read_bytes().startswith(PNG)


def test_every_door_ends_with_a_token_and_nothing_leaks(whole: DemoRun) -> None:
    assert_complete(whole, [str(door) for door in Door])


def test_files_lie_where_the_documents_say(whole: DemoRun) -> None:
    assert_files(whole.out)
    for door in Door:
        assert_files(whole.out / str(door))


def test_our_ears_agree_with_its_judgement_of_the_in_band_call(whole: DemoRun, tmp_path: Path) -> None:
    directory = whole.out / str(Door.INBAND)

    caller = heard_by_all(channels_of(directory / "caller.wav")[0], tmp_path)
    assert {name: len(keys) for name, keys in caller.items()} == dict.fromkeys(NOTHING, KEYS_OF_A_CARD)
    assert heard_by_all(channels_of(directory / "agent.wav")[0], tmp_path) == NOTHING
    for channel in channels_of(directory / "recording.wav"):
        assert heard_by_all(channel, tmp_path) == NOTHING


def test_pjsua2_calls_where_it_is_installed(whole: DemoRun) -> None:
    expected = 2 * len(Door) if importlib.util.find_spec("pjsua2") is not None else 0

    assert len(whole.phone_processes) == expected


def test_own_phone_takes_its_place_on_demand(scripted: DemoRun) -> None:
    assert_complete(scripted, [str(Door.INBAND)])
    assert_files(scripted.out)
    assert scripted.phone_processes == set()
