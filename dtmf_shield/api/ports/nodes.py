"""The service's own health, as the API needs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dtmf_shield.api.views import NodeView


class NodeDesk(Protocol):
    """What is known of the nodes."""

    async def nodes(self) -> Sequence[NodeView]:
        """Return all of them."""


class NoNodes:
    """None."""

    async def nodes(self) -> Sequence[NodeView]:
        """None."""
        return ()
