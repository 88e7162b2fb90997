"""Views of recordings: what they are, not what is in them."""

from __future__ import annotations

from typing import Literal

from dtmf_shield.api.views.words import Identifier, View, WholeSecond


class RecordingView(View):
    """One recording of a call, whole: WAV, two channels, 8 kHz. Every one comes from the masked bus."""

    id: Identifier
    call: Identifier
    part: int = 1
    """From 2 on where the media process was started again within the call."""
    started_at: WholeSecond
    duration_ms: int
    size_bytes: int
    legs: tuple[Literal["caller", "agent"], ...] = ("caller", "agent")
    """Left and right."""
    masked: Literal[True] = True


class RecordingPage(View):
    """Newest first. ``next_cursor``: ask for the next page with it; null on the last."""

    recordings: tuple[RecordingView, ...]
    next_cursor: Identifier | None = None
