"""What the service may answer to the API instead of carrying a request out: understood, and nothing changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dtmf_shield.base.errors import DtmfShieldError


class DeskRefusal(DtmfShieldError):  # noqa: N818 - a refusal is no fault
    """A request that was understood and not carried out; nothing changed. Texts are fixed: nothing is echoed."""

    status: ClassVar[int] = 409
    """HTTP status that answers it."""
    slug: ClassVar[str] = "refused"
    """Last part of the problem's type URN."""
    title: ClassVar[str] = "The request was refused."

    def __init__(self, findings: Iterable[str] = ()) -> None:
        """``findings``: what was refused and what is allowed, in the service's words; no value of the request."""
        super().__init__(self.title)
        self.findings = list(findings)


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

    status, slug, title = 422, "input-refused", "This flow does not take these inputs."


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
