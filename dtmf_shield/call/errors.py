"""Why a command about a call or a capture was not carried out; nothing changed then. Texts are fixed."""

from __future__ import annotations

from typing import ClassVar

from dtmf_shield.base.errors import DtmfShieldError


class CommandRefused(DtmfShieldError):  # noqa: N818 - a refusal is no fault
    """Root of the refusals."""

    text: ClassVar[str] = "refused"

    def __init__(self) -> None:
        super().__init__(self.text)


class CallUnknown(CommandRefused):
    """No such call, or none any more."""

    text = "there is no such call"


class CallNotTalking(CommandRefused):
    """A capture needs both sides connected."""

    text = "the call is not connected"


class CaptureUnknown(CommandRefused):
    """No such capture."""

    text = "there is no such capture"


class CaptureRunning(CommandRefused):
    """One capture a call at a time."""

    text = "this call has a capture running"


class CaptureSending(CommandRefused):
    """The card is on its way to the gateway."""

    text = "the card is being sent"


class CaptureOver(CommandRefused):
    """The capture has ended."""

    text = "the capture has ended"


class FlowUnknown(CommandRefused):
    """No such flow."""

    text = "there is no flow of that name"


class FieldUnknown(CommandRefused):
    """The flow has no such field."""

    text = "the flow has no field of that name"


class NothingToPay(CommandRefused):
    """The flow is not at a menu whose choice the agent may take."""

    text = "the flow does not wait for the payment to be taken"


class CaptureUnavailable(CommandRefused):
    """The capture process is away or full."""

    text = "no capture can start just now"


class AmountNeeded(CommandRefused):
    """The flow moves money and nobody says how much."""

    text = "the flow needs an amount and a currency"


class InputRefused(CommandRefused):
    """The reference or the amount is not one that the flow takes."""

    text = "the flow does not take this reference or amount"


class AmountNotTaken(CommandRefused):
    """The flow moves no money, or says itself how much."""

    text = "the flow takes no amount"
