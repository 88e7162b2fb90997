"""The ledger as payments use it: an intent on disk before the first byte leaves, its outcome after, tokens sealed.

Every failure to write is answered here: an intent that is not on disk forbids the send; an outcome that is not on disk
is kept and written again, and where even that fails it is ``unknown`` at the next start. It sends nothing.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from dtmf_shield.base.clock import Clock
from dtmf_shield.base.errors import DtmfShieldError
from dtmf_shield.base.log import get_logger
from dtmf_shield.cde.gateways.base import GatewayResult, GatewayResultKind
from dtmf_shield.cde.idempotency import Keys
from dtmf_shield.model.capture import CaptureOutcome, CaptureResult
from dtmf_shield.model.ids import NO_TOKEN, CaptureId, OperationId, Token
from dtmf_shield.model.payment import OperationState
from dtmf_shield.store.abandoned import AbandonedCapture
from dtmf_shield.store.ledger_rows import LedgerRows, NewCapture, PastAttempt
from dtmf_shield.store.operation_rows import TAKEN_BACK, NewOperation, OperationRow, Settlement

UNSAVED_MAX: Final = 1_000
"""Outcomes waiting for a disk that refuses; more are found out again from the gateway."""
LEFT_BEFORE_S: Final = 10.0
"""Control may have left so long before cde is told to: the supervisor waits 5 s for it."""
SENT_BEFORE_S: Final = 3_600.0
"""What was sent longer ago is hardly settled in the very seconds of leaving."""
STATES: Final = {
    GatewayResultKind.APPROVED: OperationState.APPROVED,
    GatewayResultKind.DECLINED: OperationState.DECLINED,
    GatewayResultKind.ACTION_REQUIRED: OperationState.ACTION_REQUIRED,
    GatewayResultKind.REFUSED: OperationState.DECLINED,
    GatewayResultKind.BUSY: OperationState.FAILED_BEFORE_SEND,
    GatewayResultKind.FAILED_BEFORE_SEND: OperationState.FAILED_BEFORE_SEND,
    GatewayResultKind.NOT_FOUND: OperationState.FAILED_BEFORE_SEND,
    GatewayResultKind.UNKNOWN: OperationState.UNKNOWN,
}

_log = get_logger("ledger")


class TokenCipher(Protocol):
    """What seals tokens at rest; see ``cde.keys``."""

    def seal(self, token: str, *, row: str) -> tuple[bytes, str]:
        """Return sealed bytes and the name of the data key."""

    def open(self, sealed: bytes, dek_id: str, *, row: str) -> str:
        """Return the token. Raises DtmfShieldError where it does not open."""


class Ledger:
    """One installation's ledger, as one process writes it."""

    def __init__(self, rows: LedgerRows, clock: Clock, cipher: TokenCipher, *, test: bool) -> None:
        """``test``: everything goes to the TEST gateway, and every row says so."""
        self._rows, self._clock, self._cipher, self._test = rows, clock, cipher, test
        self.keys = Keys(uuid.UUID(rows.installation_value("idempotency_namespace", uuid.uuid4().hex)))
        self._unsaved: OrderedDict[str, Settlement] = OrderedDict()
        self._expiries: dict[CaptureId, tuple[int, int]] = {}
        self._seal_clear_tokens()

    def take_over(self) -> tuple[CaptureOutcome, ...]:
        """End what a process that died left open. Return how its captures have ended, as their money did."""
        abandoned = self._rows.abandon(self._clock.wall_s())
        if abandoned:
            _log.warning("ledger_captures_abandoned", count=len(abandoned))
        return tuple(self._outcome(each) for each in abandoned)

    def _outcome(self, abandoned: AbandonedCapture) -> CaptureOutcome:
        approved = abandoned.result is CaptureResult.APPROVED
        row = self._rows.operations.by_id(abandoned.operation_id) if approved else None
        return CaptureOutcome(
            capture_id=CaptureId(abandoned.capture_id),
            result=abandoned.result,
            token=Token(self.token(row)) if row is not None else NO_TOKEN,
            operation_id=OperationId(abandoned.operation_id),
            test=self._test,
        )

    # --- captures -----------------------------------------------------------------------------------------

    def capture_started(self, new: NewCapture) -> None:
        """Note a capture. A ledger that cannot write is told at ``intend``, before money or cards move."""
        with self._logged(new.capture_id):
            self._rows.start_capture(new, wall_s=self._clock.wall_s())

    def new_capture(
        self, capture_id: CaptureId, call_id: str, *, flow: str = "", caller: str = "", agent: str = ""
    ) -> NewCapture:
        """Return the row of a capture of this process."""
        return NewCapture(capture_id, call_id, flow, caller, agent, self._test)

    def capture_ended(self, outcome: CaptureOutcome) -> None:
        """Note a capture's end."""
        expiry = self._expiries.pop(outcome.capture_id, None)
        with self._logged(outcome.capture_id):
            self._rows.end_capture(
                outcome.capture_id,
                result=outcome.result.value,
                brand=outcome.brand,
                last4=outcome.last4,
                expiry=expiry,
                wall_s=self._clock.wall_s(),
            )

    def note_expiry(self, capture_id: CaptureId, expiry: tuple[int, int]) -> None:
        """Remember a running capture's expiry for the row of its end; (0, 0): it has none.

        Not a commit of its own: the caller waits for each.
        """
        if expiry != (0, 0):
            self._expiries[capture_id] = expiry

    def unwanted(self, capture_id: CaptureId) -> None:
        """Note on disk that what a capture charged or held is to be taken back."""
        with self._logged(capture_id):
            self._rows.operations.mark_unwanted(capture_id)

    def attempts_since(self, wall_s: float, limit: int) -> tuple[PastAttempt, ...]:
        """Return cards sent since ``wall_s``, oldest first; none where the ledger cannot be read."""
        with self._logged("attempts"):
            return self._rows.attempts_since(wall_s, limit)
        return ()

    # --- operations ---------------------------------------------------------------------------------------

    @contextmanager
    def one_step(self) -> Iterator[None]:
        """What is asked and intended inside is one step. Raises sqlite3.Error where the ledger cannot be written."""
        with self._rows.operations.transaction():
            yield

    def intend(self, new: NewOperation) -> OperationRow | None:
        """Write the intent. None: it is not on disk (or the key was used), and nothing may be sent."""
        wall_s = self._clock.wall_s()
        with self._logged(new.operation_id):
            self._rows.operations.insert(new, wall_s=wall_s)
            return OperationRow(
                **{name: getattr(new, name) for name in new.__slots__},
                state=OperationState.INTENT.value,
                token=b"",
                dek_id="",
                decline_code="",
                gw_ref="",
                attempts=1,
                unwanted=False,
                sent_at=wall_s,
                settled_at=0.0,
                test=self._test,
            )
        return None

    def count_attempt(self, row: OperationRow) -> bool:
        """Note one more send of the same bytes. False: it is not on disk, and nothing may be sent."""
        with self._logged(row.operation_id):
            self._rows.operations.count_attempt(row.idem_key)
            return True
        return False

    def settle(self, row: OperationRow, result: GatewayResult, reason: str = "") -> bool:
        """Write the outcome. False: the row was settled before, by a person or another process."""
        sealed, dek_id = self._sealed(row, result.token)
        code = TAKEN_BACK if result.voided else result.code
        settlement = Settlement(
            STATES[result.kind].value,
            token=sealed,
            dek_id=dek_id,
            decline_code=code,
            gw_ref=result.reference,
            auth_code=result.auth_code,
            net_txn_id=result.network_transaction_id,
            avs=result.avs,
            cvc_check=result.cvc_check,
            reason=reason,
        )
        return self._save(row.idem_key, settlement)

    def save_again(self) -> None:
        """Write the outcomes that a refusing disk left over."""
        for key, settlement in tuple(self._unsaved.items()):
            del self._unsaved[key]
            self._save(key, settlement)
            if key in self._unsaved:
                return

    def operation(self, operation_id: OperationId) -> OperationRow | None:
        """Return one operation. Raises sqlite3.Error."""
        return self._rows.operations.by_id(operation_id)

    def of_capture(self, capture_id: CaptureId) -> tuple[OperationRow, ...]:
        """Return a capture's operations. Raises sqlite3.Error."""
        return self._rows.operations.of_capture(capture_id)

    def children(self, operation_id: OperationId) -> tuple[OperationRow, ...]:
        """Return what was done with an operation. Raises sqlite3.Error."""
        return self._rows.operations.children(operation_id)

    def note_leaving(self) -> None:
        """Note that this process was told to leave: from now on control may be gone."""
        with self._logged("leaving"):
            self._rows.note_leaving(self._clock.wall_s())

    def settled_at_leaving(self) -> tuple[OperationRow, ...]:
        """Return, once, what was settled while the process before was told to leave; nothing where it died."""
        with self._logged("leaving"):
            left_s = self._rows.take_leaving()
            if left_s is not None:
                since_s = left_s - LEFT_BEFORE_S
                return self._rows.operations.settled_since(since_s, sent_s=left_s - SENT_BEFORE_S)
        return ()

    def unknown_money(self) -> tuple[OperationRow, ...]:
        """Return operations that may have moved money; none where the ledger cannot be read."""
        with self._logged("unknown"):
            return self._rows.operations.unknown_money()
        return ()

    def to_take_back(self) -> tuple[OperationRow, ...]:
        """Return approved money that nobody waited for and nothing was done about."""
        with self._logged("unwanted"):
            return self._rows.operations.to_take_back()
        return ()

    def token(self, row: OperationRow) -> str:
        """Return the token an operation gave or was done with, empty where there is none or it does not open."""
        holder: OperationRow | None = row
        with self._logged(row.operation_id):
            while holder is not None and not holder.token:
                parent = holder.parent_id
                holder = self._rows.operations.by_id(parent) if parent else None
        if holder is None:
            return ""
        if not holder.dek_id:
            return holder.token.decode("utf-8", errors="replace")
        try:
            return self._cipher.open(holder.token, holder.dek_id, row=holder.idem_key)
        except DtmfShieldError as error:
            _log.error("token_does_not_open", operation_id=holder.operation_id, error=str(error))
            return ""

    def close(self) -> None:
        """Close the file."""
        self._rows.close()

    # --- within -------------------------------------------------------------------------------------------

    def _save(self, key: str, settlement: Settlement) -> bool:
        with self._logged("outcome"):
            return self._rows.operations.settle(key, settlement, wall_s=self._clock.wall_s())
        self._unsaved[key] = settlement
        if len(self._unsaved) > UNSAVED_MAX:
            self._unsaved.popitem(last=False)
        return True

    def _sealed(self, row: OperationRow, token: str) -> tuple[bytes, str]:
        if not token:
            return b"", ""
        try:
            return self._cipher.seal(token, row=row.idem_key)
        except ValueError:
            # Without its token the operation still stands; what needs the token will say that there is none.
            _log.error("token_too_long", operation_id=row.operation_id)
            return b"", ""

    def _seal_clear_tokens(self) -> None:
        """Seal what a version without encryption at rest has left."""
        while rows := self._rows.operations.clear_tokens():
            with self._rows.operations.transaction():
                for row in rows:
                    sealed, dek_id = self._cipher.seal(row.token.decode(), row=row.idem_key)
                    self._rows.operations.seal_token(row.idem_key, sealed, dek_id)
            _log.info("ledger_tokens_sealed", count=len(rows))

    @contextmanager
    def _logged(self, what: str) -> Iterator[None]:
        """Tell a refusing disk in the log; what the caller returns then is its own."""
        try:
            yield
        except sqlite3.Error as error:
            _log.error("ledger_write_failed", what=what, error=type(error).__name__)
