"""What a capture tells: progress, whose urgency is here, and messages beside it."""

from __future__ import annotations

import enum

from dtmf_shield.model.messages import ChoiceMade, ChoiceRefused, ControlKeyed, FieldGivenUp, KeysHinted

CaptureMessage = FieldGivenUp | ChoiceMade | ChoiceRefused | ControlKeyed | KeysHinted
"""What a capture tells beside its progress."""


class Change(enum.IntEnum):
    """Whether there is news for control. LATER may be batched; NOW is an edge that must not be lost."""

    NONE = 0
    LATER = 1
    NOW = 2
