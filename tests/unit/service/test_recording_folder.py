"""Recordings as files: only what the recorder has completed, and no path from outside."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dtmf_shield.api.ports.recordings import RecordingNotFound
from dtmf_shield.media.recorder import WavRecording
from dtmf_shield.service.control.recordings import RecordingFolder, file_name

NOON_S = datetime(2026, 3, 29, 12, tzinfo=UTC).timestamp()


def record(folder: Path, name: str, frames: int = 8_000) -> Path:
    """As the recorder does it, but for the audio."""
    path = folder / name
    recording = WavRecording(path)
    recording._end_samples = frames
    recording.finish()
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number, call in enumerate(("aa11", "bb22", "cc33")):
        record(folder, file_name(NOON_S + 60 * number, call, 1))
    record(folder, file_name(NOON_S + 200, "cc33", 2), frames=4_000)
    return folder


@pytest.fixture
def taken() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def recordings(folder: Path, taken: list[tuple[str, str]]) -> RecordingFolder:
    return RecordingFolder(folder, lambda recording, by: taken.append((recording, by)))


def test_newest_come_first_and_pages_meet(recordings: RecordingFolder) -> None:
    first = recordings.page(before="", rows=3)
    second = recordings.page(before=first.next_cursor or "", rows=3)

    assert [view.call for view in (*first.recordings, *second.recordings)] == ["cc33", "cc33", "bb22", "aa11"]
    assert second.next_cursor is None


def test_one_recording_says_when_and_how_long(recordings: RecordingFolder) -> None:
    (again, whole) = recordings.page(before="", rows=9, call="cc33").recordings

    assert (again.part, again.duration_ms, whole.part, whole.duration_ms) == (2, 500, 1, 1_000)
    assert whole.started_at == datetime(2026, 3, 29, 12, 2, tzinfo=UTC)
    assert (whole.masked, whole.legs, whole.size_bytes) == (True, ("caller", "agent"), 32_044)
    assert recordings.recording(whole.id) == whole


def test_what_the_recorder_has_not_completed_is_none(folder: Path, recordings: RecordingFolder) -> None:
    (folder / "2026-03-29T12-30-00-dd44.wav.part").write_bytes(b"RIFF")
    (folder / "2026-03-29T12-31-00-dd44.wav").write_bytes(b"RIFF....WAVEfmt of somebody else")
    (folder / "notes.wav").write_bytes(b"")
    (folder / "2026-03-29T12-32-00-dd44.wav").mkdir()
    mono = (
        b"RIFF"
        + struct.pack("<I", 36)
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, 1, 8_000, 16_000, 2, 16)
    )
    (folder / "2026-03-29T12-33-00-dd44.wav").write_bytes(mono + b"data" + bytes(4))

    assert [view.call for view in recordings.page(before="", rows=9).recordings] == [
        "cc33",
        "cc33",
        "bb22",
        "aa11",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "..",
        "",
        "2026-03-29T12-00-00-../x",
        "/etc/passwd",
        "notes",
        "2026-99-99T12-00-00-aa11",
        "link",
    ],
)
def test_a_name_leads_nowhere_else(folder: Path, recordings: RecordingFolder, name: str) -> None:
    record(folder.parent, "secret.wav")

    with pytest.raises(RecordingNotFound):
        recordings.file(name)


def test_a_link_is_not_followed(folder: Path, recordings: RecordingFolder) -> None:
    outside = record(folder.parent, "outside.wav")
    name = "2026-03-29T12-40-00-ee55"
    (folder / f"{name}.wav").symlink_to(outside)

    with pytest.raises(RecordingNotFound):
        recordings.file(name)


def test_who_takes_one_is_noted(recordings: RecordingFolder, taken: list[tuple[str, str]]) -> None:
    view = recordings.page(before="", rows=1).recordings[0]

    assert recordings.file(view.id).read_bytes()[:4] == b"RIFF"
    recordings.taken(view.id, "paula")
    assert taken == [(view.id, "paula")]


def test_a_service_that_has_recorded_nothing(tmp_path: Path) -> None:
    assert RecordingFolder(tmp_path / "none", lambda *_: None).page(before="", rows=5).recordings == ()
