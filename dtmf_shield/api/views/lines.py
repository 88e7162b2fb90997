"""Views of a call's line: codec, the doors keys came by, how good it is. Figures of packets, never of a key."""

from __future__ import annotations

import enum

from dtmf_shield.api.views.words import View
from dtmf_shield.model.stream import Codec


class Door(enum.StrEnum):
    """How keys come: as tones in the audio, as RFC 4733 events, as SIP INFO."""

    TONES = "tones"
    EVENTS = "events"
    INFO = "info"


class LineQuality(enum.StrEnum):
    """What the figures of a line come to."""

    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"


class LegLineView(View):
    """One leg's line. Figures are of what comes from it; null where too little has come to tell."""

    codec: Codec
    telephone_event: bool = False
    """Whether RFC 4733 events were agreed on."""
    doors: tuple[Door, ...] = ()
    """By which keys have come so far: not which keys, and not how many."""
    quality: LineQuality | None = None
    """Of the last seconds."""
    recent_loss_permille: int | None = None
    """Packets lost, or too late to be heard, of those of the last seconds."""
    loss_permille: int | None = None
    """The same of the whole call."""
    late: int = 0
    """Packets of the whole call that came too late to be heard."""
    jitter_ms: int | None = None
    """Of the moment (RFC 3550 section 6.4.1)."""


class LineView(View):
    """The line of a call. ``agent``: null while the caller is alone."""

    caller: LegLineView
    agent: LegLineView | None = None
