"""How a capture is said to have ended that the gateway was not asked about: by the flow's way out."""

from __future__ import annotations

from typing import Final

from dtmf_shield.call.call import Engagement
from dtmf_shield.flow.engine.commands import Exit, ExitCause
from dtmf_shield.model.capture import CaptureResult

_CAUSES: Final = {
    ExitCause.CALLER_GONE: CaptureResult.CALLER_GONE,
    ExitCause.AGENT_CANCELLED: CaptureResult.CANCELLED,
    ExitCause.TIME_UP: CaptureResult.TIMED_OUT,
    ExitCause.TOO_MANY_STEPS: CaptureResult.ATTEMPTS_USED,
}
_WORDS: Final = {"cancelled": CaptureResult.CANCELLED, "unknown": CaptureResult.UNKNOWN}


def result_of(engagement: Engagement, way_out: Exit) -> CaptureResult:
    """Return the result of a capture that the flow ends. Only the gateway says what became of money."""
    return result_of_exit(way_out, handed_over=engagement.handed_over, given_up=engagement.given_up)


def result_of_exit(
    way_out: Exit, *, handed_over: bool, given_up: CaptureResult | None = None
) -> CaptureResult:
    """Return it. ``handed_over``: a transfer has worked; ``given_up``: why a field was, if one was."""
    known = _CAUSES.get(way_out.cause) or _WORDS.get(way_out.result)
    if known is not None:
        return known
    if handed_over:
        return CaptureResult.HANDED_OVER
    if way_out.result != "failed":
        return CaptureResult.COMPLETED
    if given_up is not None:
        return given_up
    return CaptureResult.INTERRUPTED if way_out.to == "hangup" else CaptureResult.HANDED_OVER
