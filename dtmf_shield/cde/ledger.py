"""The ledger as captures use it: an intent on disk before the first byte leaves, its outcome after, keys that repeat.

The idempotency key is a UUID version 5 (RFC 9562 section 5.5) in a secret namespace of this installation: the same
operation always has the same key, and nobody else can compute it. It retries nothing and talks to no gateway.
"""

from __future__ import annotations

import sqlite3
import uuid
from typing import Final

from dtmf_shield.base.clock import Clock
from dtmf_shield.base.log import get_logger
from dtmf_shield.cde.gateways.base import GatewayResult, GatewayResultKind
from dtmf_shield.model.capture import CaptureOutcome, CaptureResult
from dtmf_shield.model.ids import CallId, CaptureId
from dtmf_shield.store.ledger_rows import LedgerRows

_log = get_logger("ledger")

_STATES: Final = {
    GatewayResultKind.APPROVED: "approved",
    GatewayResultKind.DECLINED: "declined",
    GatewayResultKind.REFUSED: "declined",
    GatewayResultKind.FAILED_BEFORE_SEND: "failed_before_send",
    GatewayResultKind.UNKNOWN: "unknown",
}


class Ledger:
    """One installation's ledger."""

    def __init__(self, rows: LedgerRows, clock: Clock, *, gateway: str, test: bool) -> None:
        self._rows, self._clock, self._gateway, self._test = rows, clock, gateway, test
        namespace = rows.installation_value("idempotency_namespace", uuid.uuid4().hex)
        self._namespace = uuid.UUID(namespace)
        abandoned = rows.abandon(clock.wall_s())
        if abandoned:
            _log.warning("ledger_captures_abandoned", count=len(abandoned))
        self.abandoned = tuple(
            CaptureOutcome(
                capture_id=CaptureId(each.capture_id),
                result=CaptureResult.UNKNOWN if each.sent else CaptureResult.INTERRUPTED,
                test=test,
            )
            for each in abandoned
        )
        """How the captures of a cde that died have ended, for control."""

    def tokenize_key(self, call_id: CallId, capture_id: CaptureId) -> str:
        """Return the idempotency key of a capture's tokenisation. A capture sends one card, once."""
        return str(uuid.uuid5(self._namespace, f"{call_id}|{capture_id}|tokenize"))

    def capture_started(self, capture_id: CaptureId, call_id: CallId) -> None:
        """Note a capture. A ledger that cannot write is told at ``intend``, before money or cards move."""
        try:
            self._rows.start_capture(capture_id, call_id, test=self._test, wall_s=self._clock.wall_s())
        except sqlite3.Error as error:
            _log.error("ledger_write_failed", capture_id=capture_id, error=type(error).__name__)

    def capture_ended(self, outcome: CaptureOutcome) -> None:
        """Note a capture's end."""
        try:
            self._rows.end_capture(
                outcome.capture_id,
                result=outcome.result.value,
                brand=outcome.brand,
                last4=outcome.last4,
                wall_s=self._clock.wall_s(),
            )
        except sqlite3.Error as error:
            _log.error("ledger_write_failed", capture_id=outcome.capture_id, error=type(error).__name__)

    def intend(self, capture_id: CaptureId, key: str, expiry: tuple[int, int]) -> bool:
        """Write the intent. False: it is not on disk (or the key was used), and nothing may be sent."""
        try:
            self._rows.intend(
                capture_id,
                kind="tokenize",
                idem_key=key,
                gateway=self._gateway,
                expiry=expiry,
                wall_s=self._clock.wall_s(),
            )
        except sqlite3.Error as error:
            _log.error("ledger_write_failed", capture_id=capture_id, error=type(error).__name__)
            return False
        return True

    def settle(self, key: str, result: GatewayResult) -> None:
        """Write the outcome. Where that fails the intent stays, and becomes ``unknown`` at the next start."""
        try:
            self._rows.settle(
                key,
                state=_STATES[result.kind],
                token=result.token,
                decline_code=result.code,
                wall_s=self._clock.wall_s(),
            )
        except sqlite3.Error as error:
            _log.error("ledger_write_failed", key=key, error=type(error).__name__)

    def close(self) -> None:
        """Close the file."""
        self._rows.close()
