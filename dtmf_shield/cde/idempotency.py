"""Idempotency keys and operation ids: UUID version 5 (RFC 9562 section 5.5) in a secret namespace of this installation.

The same operation always has the same key, also after a restart, and nobody else can compute it. A key is new only
where the caller keyed a card again (another capture), the amount changed, or the gateway is another one.
"""

from __future__ import annotations

import uuid

from dtmf_shield.model.ids import CallId, CaptureId, OperationId
from dtmf_shield.model.payment import OperationKind


class Keys:
    """Keys of one installation."""

    def __init__(self, namespace: uuid.UUID) -> None:
        self._namespace = namespace

    def of_capture(
        self,
        call_id: CallId,
        capture_id: CaptureId,
        kind: OperationKind,
        gateway: str,
        *,
        amount_minor: int = 0,
        currency: str = "",
    ) -> str:
        """Return the key of what a capture asks for, which sends one card once."""
        return self._key("capture", call_id, capture_id, kind, amount_minor, currency, gateway)

    def of_order(
        self, operation_id: OperationId, kind: OperationKind, amount_minor: int, currency: str
    ) -> str:
        """Return the key of what control orders under ``operation_id``."""
        return self._key("order", operation_id, kind, amount_minor, currency)

    def operation_id(self, key: str) -> OperationId:
        """Return the name of an operation of our own: the key itself stays between us and the gateway."""
        return OperationId(self._key("operation", key))

    def take_back_id(self, parent_id: OperationId, kind: OperationKind, number: int) -> OperationId:
        """Return the name of the void or refund that takes ``parent_id`` back. ``number``: of tries before."""
        return OperationId(self._key("take back", parent_id, kind, number))

    def customer(self, capture_id: CaptureId) -> str:
        """Return an opaque name of the payer, the same for all that follows from one capture."""
        return self._key("customer", capture_id)

    def _key(self, *parts: str | int) -> str:
        # Lengths keep ("a|b", "c") and ("a", "b|c") apart.
        return str(uuid.uuid5(self._namespace, "|".join(f"{len(str(part))}:{part}" for part in parts)))
