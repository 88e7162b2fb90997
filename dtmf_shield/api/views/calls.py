"""Views of calls and of what holds for every call."""

from __future__ import annotations

import enum
from typing import Literal

from dtmf_shield.api.views.captures import CaptureView
from dtmf_shield.api.views.flows import FlowView
from dtmf_shield.api.views.lines import LineView
from dtmf_shield.api.views.words import (
    Answering,
    CallerMasked,
    Dialled,
    Prose,
    View,
    WholeSecond,
)
from dtmf_shield.model.ids import CallId
from dtmf_shield.model.stream import ShieldMode


class CallState(enum.StrEnum):
    """Where a call is, in words for the agent."""

    RINGING = "ringing"
    EARLY = "early"
    TALKING = "talking"
    HELD = "held"
    ENDED = "ended"


class ShieldState(enum.StrEnum):
    """``off`` only where there is no audio to shield (an ended call); ``fault`` is never to be read as on."""

    ON = "on"
    OFF = "off"
    FAULT = "fault"


class ShieldView(View):
    """The shield of one call: its state, and how the audio coming from each leg is treated."""

    state: ShieldState
    caller: ShieldMode | None = None
    agent: ShieldMode | None = None
    caller_withheld: bool = False
    """The agent hears nothing of the caller for now, as the flow wants it."""
    agent_withheld: bool = False
    """The caller hears nothing of the agent."""
    unrecorded: bool = False
    """The recording holds silence."""


class CallView(View):
    """One call with its last capture."""

    id: CallId
    trunk: Prose
    dialled: Dialled
    agent: Prose = ""
    """Whose call it is; empty while the caller is alone."""
    caller_masked: CallerMasked
    state: CallState
    started_at: WholeSecond
    shield: ShieldView
    line: LineView | None = None
    """Null until the caller's codec is agreed on."""
    capture: CaptureView | None = None


class ServiceView(View):
    """What holds for every call: whether media shields, whether the payment services answer."""

    shield: ShieldState
    gateway: Answering = "unknown"


class CallList(View):
    """Calls in progress, then those that ended lately."""

    calls: tuple[CallView, ...]


class Snapshot(View):
    """Everything a page needs to start or to start again."""

    v: Literal[1] = 1
    service: ServiceView
    flows: tuple[FlowView, ...]
    calls: tuple[CallView, ...]
