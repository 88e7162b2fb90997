"""What the API needs of the service, as protocols, and the refusals they may answer with."""

from dtmf_shield.api.ports.desk import NOTHING_GIVEN, CallDesk, DeskListener
from dtmf_shield.api.ports.refusals import (
    AmountNeeded,
    AmountNotTaken,
    CallNotFound,
    CallNotTalking,
    CaptureNotFound,
    CaptureOver,
    CaptureRunning,
    CaptureSending,
    CapturesFull,
    DeskRefusal,
    FieldUnknown,
    FlowUnknown,
    InputRefused,
    NothingToPay,
    TokenNotThere,
)

__all__ = [
    "NOTHING_GIVEN",
    "AmountNeeded",
    "AmountNotTaken",
    "CallDesk",
    "CallNotFound",
    "CallNotTalking",
    "CaptureNotFound",
    "CaptureOver",
    "CaptureRunning",
    "CaptureSending",
    "CapturesFull",
    "DeskListener",
    "DeskRefusal",
    "FieldUnknown",
    "FlowUnknown",
    "InputRefused",
    "NothingToPay",
    "TokenNotThere",
]
