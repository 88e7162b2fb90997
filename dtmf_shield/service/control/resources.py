"""What the API shows and orders beside calls and captures, put together from the parts that do it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dtmf_shield.api.events import EventRing
from dtmf_shield.base.clock import Clock
from dtmf_shield.base.config import Config
from dtmf_shield.service.control.audit_trail import AuditTrail
from dtmf_shield.service.control.capture_port import CdeCaptures
from dtmf_shield.service.control.desk import Desk
from dtmf_shield.service.control.payment_book import PaymentBook
from dtmf_shield.service.control.webhook_settings import webhooks_of
from dtmf_shield.service.control.webhooks import ControlWebhooks
from dtmf_shield.store.payment_rows import LEDGER_FILE, PaymentRows
from dtmf_shield.store.webhook_queue import WebhookQueue

WEBHOOKS_FILE: Final = "webhooks.sqlite3"


class Resources:
    """One of each; the process tells them what happens."""

    def __init__(
        self,
        config: Config,
        state: Path,
        clock: Clock,
        captures: CdeCaptures,
        desk: Desk,
        audit: AuditTrail,
    ) -> None:
        self.payments = PaymentBook(
            PaymentRows(state / LEDGER_FILE), captures.order, desk.token_reference, audit.payment_ordered
        )
        self.webhooks = ControlWebhooks(webhooks_of(config), WebhookQueue(state / WEBHOOKS_FILE), clock)

    def start(self, ring: EventRing) -> None:
        """Begin to tell events on."""
        ring.tap(lambda event: self.webhooks.published(event.type, event.data))
        self.webhooks.start()

    async def close(self) -> None:
        """Stop telling."""
        await self.webhooks.close()
