"""Identifiers. Opaque, random, never derived from a caller, an agent or a card."""

from __future__ import annotations

import enum
from typing import Final, NewType

CallId = NewType("CallId", str)
"""One call of two legs."""

CaptureId = NewType("CaptureId", str)
"""One capture within a call."""

Token = NewType("Token", str)
"""What a gateway gave in exchange for a card. Worth money only together with the merchant's credentials."""

OperationId = NewType("OperationId", str)
"""One operation at a gateway: random, chosen by whoever asks for it."""

NO_TOKEN: Final = Token("")
NO_CAPTURE: Final = CaptureId("")
NO_OPERATION: Final = OperationId("")


class LegRole(enum.StrEnum):
    """Which side of the call a leg faces."""

    CALLER = "caller"
    AGENT = "agent"

    @property
    def peer(self) -> LegRole:
        """The other leg of the same call."""
        return LegRole.AGENT if self is LegRole.CALLER else LegRole.CALLER
