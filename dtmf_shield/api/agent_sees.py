"""What of a capture is shown, as its flow's ``masking.agent_sees`` says: count, brand, last4.

It holds for pages and programs alike: both see the same views. How far a field is (waiting, keying, valid, refused and
why) is always shown, because the agent helps the caller by it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dtmf_shield.api.views import CaptureView, FieldView, OutcomeView

COUNT, BRAND, LAST4 = "count", "brand", "last4"


def shown(view: CaptureView, sees: Collection[str]) -> CaptureView:
    """Return the view without what the agent does not see. Shown twice is shown once: it changes nothing more."""
    if {COUNT, BRAND, LAST4} <= set(sees):
        return view
    hidden: dict[str, Any] = {"fields": tuple(_field(field, sees) for field in view.fields)}
    if view.outcome is not None:
        hidden["outcome"] = _outcome(view.outcome, sees)
    return view.model_copy(update=hidden)


def _field(field: FieldView, sees: Collection[str]) -> FieldView:
    update: dict[str, Any] = {}
    if COUNT not in sees:
        # A number's length and the shape of its mask tell the count as well.
        update |= {"count": None, "of": None, "of_usual": None, "masked": ""}
    if BRAND not in sees:
        update["brand"] = None
    if LAST4 not in sees:
        update["last4"] = None
    return field.model_copy(update=update)


def _outcome(outcome: OutcomeView, sees: Collection[str]) -> OutcomeView:
    brand = outcome.brand if BRAND in sees else None
    last4 = outcome.last4 if LAST4 in sees else None
    return outcome.model_copy(update={"brand": brand, "last4": last4})
