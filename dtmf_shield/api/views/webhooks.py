"""Views of webhooks: where to, and how it goes. No secret."""

from __future__ import annotations

from dtmf_shield.api.views.words import Prose, View, WholeSecond, Word


class WebhookView(View):
    """One receiver. The counters are since the state directory was made."""

    name: Prose
    url: Prose
    events: tuple[Word, ...]
    waiting: int
    delivered: int
    dropped: int
    """Never sent: the queue was full, and these were the oldest."""
    given_up: int
    """Refused so often that they are not sent again."""
    failures: int = 0
    """In a row, since the last that arrived or since the start."""
    last_delivered_at: WholeSecond | None = None
    last_error: Word | None = None
    """Of the last attempt; null where it arrived."""
    last_error_note: Prose | None = None
    """The same in words."""
    last_status: int | None = None
    """HTTP status of the last attempt; null where none came."""
    next_attempt_at: WholeSecond | None = None
    """Null while nothing waits."""


class WebhookList(View):
    """The receivers of the configuration."""

    webhooks: tuple[WebhookView, ...]
