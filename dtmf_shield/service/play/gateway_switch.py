"""The switch at the TEST gateway: up, slow, dead, or an answer that is lost on its way."""

from __future__ import annotations

import base64
import enum
import http.client
import json
import ssl
from pathlib import Path
from typing import Any, Final

from dtmf_shield.base.errors import PeerError

LIMIT_S: Final = 5.0
SLOW_MS: Final = 5_000
_OK: Final = 200


class GatewayMode(enum.StrEnum):
    """How the TEST gateway behaves."""

    UP = "up"
    SLOW = "slow"
    DEAD = "dead"
    LOST = "lost"
    """Money moves, the answer never comes: the result is unknown until it is looked up."""


_PLANS: Final[dict[GatewayMode, dict[str, Any]]] = {
    GatewayMode.UP: {"fault": "none"},
    GatewayMode.SLOW: {"fault": "slow", "delay_ms": SLOW_MS},
    GatewayMode.DEAD: {"fault": "reset_before"},
    # The token before it is given, or there is no money to move.
    GatewayMode.LOST: {"faults": [{"fault": "reset", "methods": ["charge", "authorize", "verify"]}]},
}


class GatewaySwitch:
    """Sets the plan of the TEST gateway of this service."""

    def __init__(self, port: int, ca_file: Path, user_file: Path) -> None:
        self._port, self._ca_file, self._user_file = port, ca_file, user_file

    def set(self, mode: GatewayMode) -> None:
        """Set it; blocks for at most LIMIT_S. Raises PeerError where the gateway does not answer or refuses."""
        user = base64.b64encode(self._user_file.read_text("utf-8").strip().encode()).decode()
        connection = http.client.HTTPSConnection(
            "localhost",
            self._port,
            timeout=LIMIT_S,
            context=ssl.create_default_context(cafile=str(self._ca_file)),
        )
        try:
            connection.request(
                "POST", "/faults", json.dumps(_PLANS[mode]), {"Authorization": f"Basic {user}"}
            )
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            raise PeerError(f"the TEST gateway does not answer: {type(error).__name__}", 0) from error
        finally:
            connection.close()
        if status != _OK:
            raise PeerError("the TEST gateway refused its plan of faults", status)
