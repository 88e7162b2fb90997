"""What the API needs of others, as protocols, and the refusals they may answer with.

The service adapts the B2BUA core to :class:`CallDesk`. Every method runs on the event loop that serves HTTP, returns
at once, and blocks on nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from dtmf_shield.api.views import CallView, CaptureView, FlowView, ServiceView
from dtmf_shield.base.errors import DtmfShieldError
from dtmf_shield.model.ids import CallId, CaptureId, Token
from dtmf_shield.model.payment import NO_MONEY, Money


class DeskRefusal(DtmfShieldError):  # noqa: N818 - a refusal is no fault
    """A request that was understood and not carried out; nothing changed. Texts are fixed: nothing is echoed."""

    status: ClassVar[int] = 409
    """HTTP status that answers it."""
    slug: ClassVar[str] = "refused"
    """Last part of the problem's type URN."""
    title: ClassVar[str] = "The request was refused."

    def __init__(self) -> None:
        super().__init__(self.title)


class CallNotFound(DeskRefusal):
    """No such call, or none any more."""

    status, slug, title = 404, "call-not-found", "There is no such call."


class CaptureNotFound(DeskRefusal):
    """No such capture, or none any more."""

    status, slug, title = 404, "capture-not-found", "There is no such capture."


class CallNotTalking(DeskRefusal):
    """A capture needs both sides connected."""

    status, slug, title = 409, "call-not-talking", "The call is not connected, so no capture can start."


class CaptureRunning(DeskRefusal):
    """One capture a call at a time."""

    status, slug, title = 409, "capture-running", "This call already has a capture running."


class CaptureSending(DeskRefusal):
    """The card is on its way to the gateway: nothing can be changed any more."""

    status, slug, title = 409, "capture-sending", "The card is being sent; wait for the result."


class CaptureOver(DeskRefusal):
    """The capture has ended."""

    status, slug, title = 409, "capture-over", "The capture has ended. Start a new one."


class TokenNotThere(DeskRefusal):
    """The capture has not ended with a token."""

    status, slug, title = 404, "no-token", "This capture has no token."


class FlowUnknown(DeskRefusal):
    """No such flow in the configuration."""

    status, slug, title = 422, "flow-unknown", "There is no flow of that name."


class FieldUnknown(DeskRefusal):
    """The flow of this capture has no such field."""

    status, slug, title = 422, "field-unknown", "This capture has no field of that name."


class AmountNeeded(DeskRefusal):
    """The flow charges or authorizes, and the request says no amount."""

    status, slug, title = 422, "amount-needed", "This flow needs an amount and a currency."


class AmountNotTaken(DeskRefusal):
    """The flow moves no money, or has an amount of its own."""

    status, slug, title = 422, "amount-not-taken", "This flow takes no amount."


class InputRefused(DeskRefusal):
    """The flow has rules for its inputs (range, currency, form) and one is not kept."""

    status, slug, title = 422, "input-refused", "This flow does not take this reference, amount or currency."


class NothingToPay(DeskRefusal):
    """The flow is not at the menu whose choice the agent may take."""

    status, slug, title = (
        409,
        "nothing-to-pay",
        "The caller has not come to the point where the payment is taken.",
    )


class CapturesFull(DeskRefusal):
    """Every digit slot is taken, or the capture process is away for a moment."""

    status, slug, title = 503, "captures-full", "No capture can start just now. Try again in a moment."


class DeskListener(Protocol):
    """Who wants to know of changes. Called on the event loop, never blocks, never raises."""

    def call_changed(self, call: CallView) -> None:
        """Take the whole new view of a call; what changed in it is found by comparing."""

    def service_changed(self, service: ServiceView) -> None:
        """Take the new state of what holds for every call."""


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
        self, call_id: CallId, flow_id: str, reference: str, amount: Money = NO_MONEY
    ) -> CaptureId:
        """Begin a capture.

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
