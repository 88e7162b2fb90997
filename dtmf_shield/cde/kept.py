"""Fields kept while their caller goes from a flow without an agent to an agent: the agent's flow does not ask again.

What is kept is no capture any more. It has told its end, takes no key, and nothing of it can be sent to a gateway; its
digits lie in its slot, which media does not write to, until they are taken over once, or wiped: by time, by the
caller's end, by another capture on that row, by newer ones where there are too many.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dtmf_shield.account_data import slots
from dtmf_shield.account_data.slots import Region
from dtmf_shield.cde.fields import wipe_between_fields
from dtmf_shield.cde.held import HeldFields
from dtmf_shield.model.ids import CaptureId
from dtmf_shield.model.messages import StartCapture

KEPT_MAX: Final = slots.SLOTS_MAX // 4
"""Slots that wait for an agent; more, and the oldest is wiped. Where slots run short a new capture takes theirs."""


@dataclass(slots=True)
class Kept:
    """What one capture has left. ``settles_s``: no late key of media can come into its slot after that; then None."""

    start: StartCapture
    slot: int
    held: HeldFields
    settles_s: float | None
    ends_s: float


class KeptFields:
    """What all handed-over captures of a process have left, oldest first."""

    def __init__(self, region: Region, give_back: Callable[[int, float], None]) -> None:
        """``give_back(slot, now_s)``: wipe a slot and let it rest."""
        self._region, self._give_back = region, give_back
        self._kept: OrderedDict[CaptureId, Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, kept: Kept, now_s: float) -> None:
        """Keep it, in place of whatever its row had left before."""
        self._forget_row(kept.start.row, now_s)
        while len(self._kept) >= KEPT_MAX:
            self.forget(next(iter(self._kept)), now_s)
        self._kept[kept.start.capture_id] = kept

    def take(self, start: StartCapture, now_s: float) -> Kept | None:
        """Return what a new capture takes over, whose slot is the taker's now; all else of its row is wiped."""
        kept = self._kept.get(start.takes_over)
        if kept is not None and kept.start.call_id == start.call_id and now_s < kept.ends_s:
            del self._kept[start.takes_over]
        else:
            kept = None
        self._forget_row(start.row, now_s)
        return kept

    def forget(self, capture_id: CaptureId, now_s: float) -> None:
        """Wipe what that capture has left, if it has."""
        kept = self._kept.pop(capture_id, None)
        if kept is not None:
            self._give_back(kept.slot, now_s)

    def give_up_slot(self, now_s: float) -> int | None:
        """Wipe the oldest to make room; return its slot, which needs no rest. None where there is none to have."""
        oldest = next(iter(self._kept.values()), None)
        if oldest is None or oldest.settles_s is not None:
            return None
        del self._kept[oldest.start.capture_id]
        self._region.wipe_range(oldest.slot * slots.SLOT_BYTES, slots.SLOT_BYTES)
        return oldest.slot

    @property
    def next_timer_s(self) -> float | None:
        """When ``handle_timer`` has something to do, None: never."""
        times_s = (kept.ends_s if kept.settles_s is None else kept.settles_s for kept in self._kept.values())
        return min(times_s, default=None)

    def handle_timer(self, now_s: float) -> None:
        """Wipe what nobody has taken over in time, and a late key beside what is kept."""
        for capture_id, kept in tuple(self._kept.items()):
            if kept.ends_s <= now_s:
                self.forget(capture_id, now_s)
            elif kept.settles_s is not None and kept.settles_s <= now_s:
                kept.settles_s = None
                start = kept.slot * slots.SLOT_BYTES
                wipe_between_fields(self._region.view[start : start + slots.SLOT_BYTES])

    def _forget_row(self, row: int, now_s: float) -> None:
        for capture_id, kept in tuple(self._kept.items()):
            if kept.start.row == row:
                self.forget(capture_id, now_s)

    def __repr__(self) -> str:
        return f"<KeptFields of {len(self._kept)} captures>"
