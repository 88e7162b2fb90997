"""A submitted capture as the payment engine gets it: where the card lies, what is wanted, whom attempts count for."""

from __future__ import annotations

from dataclasses import dataclass

from dtmf_shield.cde.gateways.base import CardInSlot
from dtmf_shield.model.ids import CallId, CaptureId
from dtmf_shield.model.messages import SubmitCapture


@dataclass(frozen=True, slots=True)
class Submission:
    """Holds no digit itself; ``card`` views the slot, which is wiped as soon as the gateway has a token.

    ``expiry``: (month, two-digit year), (0, 0) without one. ``flow``, ``caller`` and ``agent``: as StartCapture had
    them.
    """

    capture_id: CaptureId
    call_id: CallId
    card: CardInSlot
    expiry: tuple[int, int]
    order: SubmitCapture
    flow: str = ""
    caller: str = ""
    agent: str = ""
