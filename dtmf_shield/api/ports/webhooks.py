"""Webhooks, as the API needs them of the service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dtmf_shield.api.ports.refusals import DeskRefusal
from dtmf_shield.api.views import WebhookView


class WebhookDesk(Protocol):
    """Receivers of events. Every method returns at once."""

    def webhooks(self) -> Sequence[WebhookView]:
        """Return all of them."""

    def test(self, name: str) -> WebhookView:
        """Queue an event of type ``test``. Raises WebhookNotFound."""


class WebhookNotFound(DeskRefusal):
    """None of that name in the configuration."""

    status, slug, title = 404, "webhook-not-found", "There is no such webhook."


class NoWebhooks:
    """None configured."""

    def webhooks(self) -> Sequence[WebhookView]:
        """None."""
        return ()

    def test(self, _name: str) -> WebhookView:
        """Refuse."""
        raise WebhookNotFound
