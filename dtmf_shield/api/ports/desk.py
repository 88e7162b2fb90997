"""Calls and captures as the API needs them of the service.

The service adapts the B2BUA core to :class:`CallDesk`. Every method runs on the event loop that serves HTTP, returns
at once, and blocks on nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol

from dtmf_shield.api.views import CallView, CaptureView, FlowView, ServiceView
from dtmf_shield.model.ids import CallId, CaptureId, Token
from dtmf_shield.model.payment import NO_MONEY, Money

NOTHING_GIVEN: Final[Mapping[str, str]] = MappingProxyType({})


class DeskListener(Protocol):
    """Who wants to know of changes. Called on the event loop, never blocks, never raises."""

    def call_changed(self, call: CallView) -> None:
        """Take the whole new view of a call; what changed in it is found by comparing."""

    def service_changed(self, service: ServiceView) -> None:
        """Take the new state of what holds for every call."""

    def flows_changed(self, flows: Sequence[FlowView]) -> None:
        """Take the flows that an agent may start from now on."""


class CallDesk(Protocol):
    """Calls and captures, as the API sees them."""

    def calls(self) -> Sequence[CallView]:
        """Return calls in progress, newest first, then the last few that ended."""

    def call(self, call_id: CallId) -> CallView:
        """Return one call. Raises CallNotFound."""

    def capture(self, capture_id: CaptureId) -> CaptureView:
        """Return one capture, running or of a call still listed. Raises CaptureNotFound."""

    def token(self, capture_id: CaptureId) -> Token:
        """Return the token of a capture that ended with one. Raises CaptureNotFound, TokenNotThere."""

    def start_capture(
        self,
        call_id: CallId,
        flow_id: str,
        reference: str,
        amount: Money = NO_MONEY,
        given: Mapping[str, str] = NOTHING_GIVEN,
        language: str = "",
    ) -> CaptureId:
        """Begin a capture. ``given``: inputs as the flow names them; ``language``: empty, as the route says.

        Raises CallNotFound, CallNotTalking, CaptureRunning, FlowUnknown, AmountNeeded, AmountNotTaken,
        InputRefused, CapturesFull.
        """

    def request_field(self, capture_id: CaptureId, field: str) -> None:
        """Collect ``field`` now, its old content wiped.

        Raises CaptureNotFound, CaptureOver, CaptureSending, FieldUnknown.
        """

    def take_payment(self, capture_id: CaptureId) -> None:
        """Choose what the flow's menu lets the agent choose.

        Raises CaptureNotFound, CaptureOver, CaptureSending, NothingToPay.
        """

    def pause_capture(self, capture_id: CaptureId) -> None:
        """Drop keys, mask on, until resumed. Raises CaptureNotFound, CaptureOver, CaptureSending, CapturesFull."""

    def resume_capture(self, capture_id: CaptureId) -> None:
        """Go on. Raises CaptureNotFound, CaptureOver, CaptureSending."""

    def cancel_capture(self, capture_id: CaptureId) -> None:
        """Wipe and end. Raises CaptureNotFound, CaptureOver, CaptureSending."""

    def flows(self) -> Sequence[FlowView]:
        """Return the flows an agent may start."""

    def service(self) -> ServiceView:
        """Return what holds for every call."""

    def subscribe(self, listener: DeskListener) -> None:
        """Tell ``listener`` of every change from now on, until the process ends."""
