"""What the OIDC client needs of the network: two questions to the provider, bounded by who implements them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from dtmf_shield.base.errors import DtmfShieldError


class ProviderUnreachable(DtmfShieldError):  # noqa: N818 - nothing of ours is at fault
    """No answer, or none that can be used. ``reason`` is from a closed set and names no value."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class ProviderWeb(Protocol):
    """JSON from the provider, over TLS or from loopback."""

    async def get(self, url: str) -> tuple[int, bytes]:
        """Return status and body. Raises ProviderUnreachable."""

    async def post_form(
        self, url: str, fields: Mapping[str, str], basic: tuple[str, str] | None
    ) -> tuple[int, bytes]:
        """Send a form, with HTTP Basic where ``basic`` has user and password. Raises ProviderUnreachable."""


class NoProviderWeb:
    """No network at all: for a service without a provider."""

    async def get(self, url: str) -> tuple[int, bytes]:
        """Refuse."""
        raise ProviderUnreachable("no_provider")

    async def post_form(
        self, url: str, fields: Mapping[str, str], basic: tuple[str, str] | None
    ) -> tuple[int, bytes]:
        """Refuse."""
        raise ProviderUnreachable("no_provider")
