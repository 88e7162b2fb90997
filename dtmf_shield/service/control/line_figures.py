"""What is shown of a leg's line, worked out of media's counters: recent loss, that of the call, jitter, doors.

Pure functions. Counters of keys come in here and leave as the doors that were used.
"""

from __future__ import annotations

from typing import Final

import msgspec

from dtmf_shield.api.views import Door, LegLineView, LineQuality
from dtmf_shield.call.events import LegLine
from dtmf_shield.model.stream import LegStatistics

RECENT_PACKETS_MIN: Final = 50
"""A second of audio: of fewer packets no share is worked out. On hold none come at all."""
LOSS_FAIR_PERMILLE: Final = 10
LOSS_POOR_PERMILLE: Final = 30
"""At 3 % one key of 50 ms in 450 is missed in the tones (media.session.hints), and speech is heard to break."""
JITTER_FAIR_MS: Final = 20
"""The length of a usual packet: what is smaller, the smallest buffer of a phone evens out."""
JITTER_POOR_MS: Final = 50
"""The most that ITU-T Y.1541 table 1 allows a network for telephony (classes 0 and 1)."""
LOSS_STEP_PERMILLE: Final = 5
JITTER_STEP_MS: Final = 5
LATE_STEP: Final = 25
"""Changes smaller than these steps are not told: the figures are for people, and events go to every reader."""


class LegFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Of one leg: the members of :class:`dtmf_shield.api.views.LegLineView` that media knows."""

    quality: LineQuality | None = None
    recent_loss_permille: int | None = None
    loss_permille: int | None = None
    late: int = 0
    jitter_ms: int | None = None
    tones: bool = False
    events: bool = False


NO_FIGURES: Final = LegFigures()


def leg_figures(before: LegStatistics, now: LegStatistics) -> LegFigures:
    """Return the figures of a leg; ``before``: the answer before this one, zeroes for the first."""
    recent = _loss_permille(before, now)
    jitter_ms = round(now.jitter_us / 1_000) if recent is not None else None
    return LegFigures(
        quality=_quality(recent, jitter_ms),
        recent_loss_permille=recent,
        loss_permille=_loss_permille(LegStatistics(), now),
        late=now.late,
        jitter_ms=jitter_ms,
        tones=now.keys_tones > 0,
        events=now.keys_events > 0,
    )


def _loss_permille(before: LegStatistics, now: LegStatistics) -> int | None:
    """Return which share was lost or too late. A packet that comes after all is taken off the lost ones again."""
    lost = now.lost - before.lost
    due = now.received - before.received + lost
    if due < RECENT_PACKETS_MIN:
        return None
    missing = max(0, lost + now.late - before.late)
    return min(1_000, round(1_000 * missing / due))


def _quality(loss_permille: int | None, jitter_ms: int | None) -> LineQuality | None:
    if loss_permille is None or jitter_ms is None:
        return None
    if loss_permille >= LOSS_POOR_PERMILLE or jitter_ms >= JITTER_POOR_MS:
        return LineQuality.POOR
    if loss_permille >= LOSS_FAIR_PERMILLE or jitter_ms >= JITTER_FAIR_MS:
        return LineQuality.FAIR
    return LineQuality.GOOD


def is_noticeable(shown: LegFigures, now: LegFigures) -> bool:
    """Whether ``now`` is to be shown in place of ``shown``."""
    words = (shown.quality, shown.tones, shown.events) != (now.quality, now.tones, now.events)
    return words or any(
        _differ(one, other, step)
        for one, other, step in (
            (shown.recent_loss_permille, now.recent_loss_permille, LOSS_STEP_PERMILLE),
            (shown.loss_permille, now.loss_permille, LOSS_STEP_PERMILLE),
            (shown.jitter_ms, now.jitter_ms, JITTER_STEP_MS),
            (shown.late, now.late, LATE_STEP),
        )
    )


def _differ(one: int | None, other: int | None, step: int) -> bool:
    if one is None or other is None:
        return one is not other
    return abs(one - other) >= step


def leg_view(agreed: LegLine, figures: LegFigures) -> LegLineView | None:
    """Return the leg's line; None where it has agreed on no codec."""
    if agreed.codec is None:
        return None
    used = {Door.TONES: figures.tones, Door.EVENTS: figures.events, Door.INFO: agreed.info}
    return LegLineView(
        codec=agreed.codec,
        telephone_event=agreed.telephone_event,
        doors=tuple(door for door, came in used.items() if came),
        quality=figures.quality,
        recent_loss_permille=figures.recent_loss_permille,
        loss_permille=figures.loss_permille,
        late=figures.late,
        jitter_ms=figures.jitter_ms,
    )
