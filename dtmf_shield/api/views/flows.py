"""Views of the flows that a capture may be started with."""

from __future__ import annotations

from typing import Literal

from dtmf_shield.api.views.words import (
    Prose,
    View,
)


class InputView(View):
    """One input of a flow that whoever starts it may say, as text in ``inputs`` under this name.

    What is null or empty is no rule. ``pattern`` (a regular expression of Python) must match the whole.
    """

    name: Prose
    type: Literal["money", "currency", "text", "digits"]
    required: bool
    min: Prose | None = None
    max: Prose | None = None
    allowed: tuple[Prose, ...] = ()
    pattern: Prose | None = None
    length: int


class FlowView(View):
    """A flow that a capture may be started with."""

    id: Prose
    title: Prose
    needs_amount: bool = False
    """Whether an amount must be said to start it: ``amount_minor`` and ``currency``, or the inputs that hold them."""
    inputs: tuple[InputView, ...] = ()
    """Those that come with the call (a SIP header, a number) are not among them."""
    agent_pays: bool = False
    """Whether a menu of it has a choice that the agent may take, which is what ``can_pay`` of a capture waits for."""


class FlowList(View):
    """Flows by their identifier."""

    flows: tuple[FlowView, ...]
