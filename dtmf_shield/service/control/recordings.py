"""Recordings as files of one folder, named by moment and call: what media has completed, and nothing else.

A path never comes from outside: a name is asked for by its form, without dot or slash, and only a regular file with
the header that the recorder writes is one. What is in this folder has come through the masked bus.
"""

from __future__ import annotations

import datetime
import heapq
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from dtmf_shield.api.ports.recordings import RecordingNotFound
from dtmf_shield.api.views import RecordingPage, RecordingView

SUFFIX: Final = ".wav"
_MOMENT: Final = "%Y-%m-%dT%H-%M-%S"
_NAME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d)-([A-Za-z0-9]{1,36})(?:-(\d{1,3}))?")
_HEADER: Final = re.compile(rb"RIFF....WAVEfmt \x10\0\0\0\x01\0\x02\0\x40\x1f\0\0", re.DOTALL)
"""PCM, two channels, 8000 Hz."""
_HEADER_BYTES: Final = 44
_FRAME_BYTES: Final = 4
_SAMPLE_RATE_HZ: Final = 8_000


def file_name(began_s: float, call_id: str, part: int) -> str:
    """Return the name of a recording that begins now; ``began_s``: seconds since 1970."""
    began = datetime.datetime.fromtimestamp(began_s, datetime.UTC)
    return f"{began:{_MOMENT}}-{call_id}" + (f"-{part}" if part > 1 else "") + SUFFIX


class RecordingFolder:
    """Implements ``api.ports.RecordingDesk``. ``note`` writes to the audit log, on the loop's thread."""

    def __init__(self, folder: Path, note: Callable[[str, str], None]) -> None:
        """``note``: told (recording, who) before the file is given."""
        self._folder, self._note = folder, note

    def page(self, *, before: str, rows: int, call: str = "") -> RecordingPage:
        """Return the newest before a cursor; names sort by their moment."""
        fits = (
            name for name in self._names() if (not before or name < before) and (not call or call in name)
        )
        newest = heapq.nlargest(rows + 1, fits)
        views = [view for name in newest[:rows] if (view := self._view(name)) is not None]
        shown = tuple(view for view in views if call in ("", view.call))
        return RecordingPage(recordings=shown, next_cursor=newest[rows - 1] if len(newest) > rows else None)

    def recording(self, recording_id: str) -> RecordingView:
        """Return one."""
        view = self._view(recording_id)
        if view is None:
            raise RecordingNotFound
        return view

    def file(self, recording_id: str) -> Path:
        """Return its file."""
        self.recording(recording_id)
        return self._folder / (recording_id + SUFFIX)

    def taken(self, recording_id: str, by: str) -> None:
        """Note who takes it."""
        self._note(recording_id, by)

    def _names(self) -> Iterator[str]:
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    name = entry.name.removesuffix(SUFFIX)
                    if entry.name.endswith(SUFFIX) and _NAME.fullmatch(name):
                        yield name
        except FileNotFoundError:
            return

    def _view(self, name: str) -> RecordingView | None:
        match = _NAME.fullmatch(name)
        size = self._size(name) if match else None
        if match is None or size is None:
            return None
        try:
            began = datetime.datetime.strptime(match[1], _MOMENT).replace(tzinfo=datetime.UTC)
        except ValueError:
            return None
        frames = max(size - _HEADER_BYTES, 0) // _FRAME_BYTES
        return RecordingView(
            id=name,
            call=match[2],
            part=int(match[3] or 1),
            started_at=began,
            duration_ms=frames * 1_000 // _SAMPLE_RATE_HZ,
            size_bytes=size,
        )

    def _size(self, name: str) -> int | None:
        """Return the bytes of a complete recording, None for what is none."""
        path = self._folder / (name + SUFFIX)
        try:
            # Neither a link is followed nor a pipe waited for.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            status = os.fstat(descriptor)
            whole = stat.S_ISREG(status.st_mode) and _HEADER.match(os.read(descriptor, _HEADER_BYTES))
        finally:
            os.close(descriptor)
        return status.st_size if whole else None
