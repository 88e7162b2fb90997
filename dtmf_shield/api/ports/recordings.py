"""Recordings, as the API needs them of the service."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

from dtmf_shield.api.ports.refusals import DeskRefusal
from dtmf_shield.api.views import RecordingPage, RecordingView

RECORDINGS_PAGE_MAX: Final = 200


class RecordingDesk(Protocol):
    """Complete recordings. ``page``, ``recording`` and ``file`` read files: call them in a thread."""

    def page(self, *, before: str, rows: int, call: str = "") -> RecordingPage:
        """Return the newest before a cursor (empty: the newest), of one call where it is given."""

    def recording(self, recording_id: str) -> RecordingView:
        """Return one. Raises RecordingNotFound."""

    def file(self, recording_id: str) -> Path:
        """Return its file. Raises RecordingNotFound."""

    def taken(self, recording_id: str, by: str) -> None:
        """Note in the audit log that ``by`` takes it, before it is given."""


class RecordingNotFound(DeskRefusal):
    """None of that name, or it is still being written."""

    status, slug, title = 404, "recording-not-found", "There is no such recording."


class NoRecordings:
    """Nothing is recorded."""

    def page(self, *, before: str, rows: int, call: str = "") -> RecordingPage:
        """None."""
        del before, rows, call
        return RecordingPage(recordings=())

    def recording(self, recording_id: str) -> RecordingView:
        """Refuse."""
        raise RecordingNotFound

    def file(self, recording_id: str) -> Path:
        """Refuse."""
        raise RecordingNotFound

    def taken(self, recording_id: str, by: str) -> None:
        """Never called: there is none to take."""
