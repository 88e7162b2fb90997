"""What goes with a caller from a flow to somebody else's flow: fields, which cde keeps, values, and the language.

The next flow on the call has them, once, within HANDOVER_KEPT_S_MAX. Values are held in memory alone: after a crash of
control only cde still knows what was keyed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dtmf_shield.call.call import Call, Engagement, Timer
from dtmf_shield.call.flow_start import NOTHING_GIVEN
from dtmf_shield.flow.engine.commands import Exit, ExitCause
from dtmf_shield.model.capture import HANDOVER_KEPT_S_MAX, CaptureResult
from dtmf_shield.model.ids import NO_CAPTURE

_GROUPS: Final = ("inputs", "fields", "vars")
"""Of a name that stands in several the last counts: what the caller has chosen last."""


def leads_to_another(way_out: Exit, *, alone: bool, handed_over: bool) -> bool:
    """Whether the caller goes, or has gone, to somebody who was not there when the flow began.

    ``alone``: nobody is on the line with the caller; ``handed_over``: a transfer has worked.
    """
    elsewhere = bool(alone or way_out.target or way_out.to == "queue")
    wanted = way_out.to != "hangup" and way_out.cause is not ExitCause.CALLER_GONE
    return handed_over or (wanted and elsewhere)


def keeps(result: CaptureResult) -> bool:
    """Whether what was entered may serve another flow: not where somebody wanted it gone, or money may have moved."""
    return result not in (CaptureResult.CANCELLED, CaptureResult.CALLER_GONE, CaptureResult.UNKNOWN)


def known_values(values: Mapping[str, str]) -> dict[str, str]:
    """Return what of a flow's values an input of the next flow may be filled with, by name."""
    return {
        path.partition(".")[2]: value
        for group in _GROUPS
        for path, value in values.items()
        if path.partition(".")[0] == group
    }


def remember(now_s: float, call: Call, engagement: Engagement, *, held: bool) -> None:
    """Note what the next flow need not ask. ``held``: cde keeps the fields of the capture that ends."""
    state = engagement.state
    call.kept = engagement.capture_id if held else NO_CAPTURE
    call.known = known_values(state.values)
    call.language = state.language
    call.deadlines[Timer.KEPT] = now_s + HANDOVER_KEPT_S_MAX


def forget_known(call: Call) -> None:
    """The time is over, or a flow has begun: what it was not told by then it is to be told by whoever starts it."""
    call.known = NOTHING_GIVEN
    call.deadlines.pop(Timer.KEPT, None)
