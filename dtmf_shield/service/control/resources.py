"""What the API shows and orders beside calls and captures, put together from the parts that do it."""

from __future__ import annotations

from pathlib import Path

from dtmf_shield.service.control.audit_trail import AuditTrail
from dtmf_shield.service.control.capture_port import CdeCaptures
from dtmf_shield.service.control.desk import Desk
from dtmf_shield.service.control.payment_book import PaymentBook
from dtmf_shield.store.payment_rows import LEDGER_FILE, PaymentRows


class Resources:
    """One of each; the process tells them what happens."""

    def __init__(self, state: Path, captures: CdeCaptures, desk: Desk, audit: AuditTrail) -> None:
        self.payments = PaymentBook(
            PaymentRows(state / LEDGER_FILE), captures.order, desk.token_reference, audit.payment_ordered
        )
