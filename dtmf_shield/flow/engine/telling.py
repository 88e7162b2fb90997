"""What the progress of a capture means to a flow: the events between two looks at it."""

from __future__ import annotations

from dtmf_shield.flow.engine.events import (
    Accepted,
    Event,
    FieldLost,
    Progressed,
    Rejected,
    Undone,
)
from dtmf_shield.flow.language.fields import released_text
from dtmf_shield.flow.language.flow import Flow
from dtmf_shield.model.capture import CaptureProgress


def events_between(flow: Flow, before: CaptureProgress, after: CaptureProgress) -> tuple[Event, ...]:
    """Return what has happened from ``before`` to ``after``, in the order a flow must hear it.

    The first look at a new capture is no loss of what the earlier one held: CaptureEnded has told of that. A field
    that was given up is told by a message of its own.
    """
    if after.capture_id != before.capture_id:
        before = CaptureProgress(capture_id=after.capture_id, state=after.state, field=after.field)
    happened: list[Event] = [FieldLost(name) for name in before.accepted if name not in after.accepted]
    happened += [accepted(flow, name, after) for name in after.accepted if name not in before.accepted]
    if happened or not after.field:
        return tuple(happened)
    if after.field != before.field:
        # Keys typed ahead may have served the field, and been refused, before it was first told of.
        before = CaptureProgress(capture_id=after.capture_id, state=after.state, field=after.field)
    if after.reason is not None and after.attempt > before.attempt:
        return (Rejected(after.field, after.reason),)
    if after.count < before.count:
        return (Undone(after.field, after.count, after.length or after.usual),)
    if after.count > before.count:
        return (Progressed(after.field, after.count, after.brand),)
    return ()


def accepted(flow: Flow, name: str, after: CaptureProgress) -> Accepted:
    """Return that a field is held, with what may be told of it."""
    field = flow.fields[name]
    keyed = next((value.value for value in after.values if value.field == name), "")
    value = released_text(field, keyed) if keyed else ""
    if field.type != "card_number":
        return Accepted(name, value=value)
    last4 = after.last4 if name == after.field else ""
    return Accepted(name, brand=after.brand, last4=last4, value=value)
