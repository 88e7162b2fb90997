"""Control's audit trail: rows, the captures they speak of, signed roots and their anchor. A full disk stops no call."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dtmf_shield.api.ports.payments import PaymentOrder
from dtmf_shield.audit.anchor import Anchor, FileAnchor, SyslogAnchor
from dtmf_shield.audit.chain import AuditLog, tail
from dtmf_shield.audit.keeper import RootKeeper
from dtmf_shield.audit.roots import RootsDoNotFitError, RootWriter
from dtmf_shield.audit.signing import KEY_FILE, ensure_signer
from dtmf_shield.base.clock import Clock
from dtmf_shield.base.config import AuditSection
from dtmf_shield.base.config_forms import split_host_port
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.base.log import get_logger
from dtmf_shield.call.events import CallSnapshot
from dtmf_shield.model.capture import CaptureOutcome
from dtmf_shield.model.messages import PaymentChanged
from dtmf_shield.service.control.audit_memory import AuditMemory, Begun
from dtmf_shield.service.flows.versions import VERSION_CHARACTERS

AUDIT_FILE: Final = "audit.jsonl"
TAIL_BYTES: Final = 1_000_000
"""Of the log, read at the start for what has been noted already: some 4,000 rows, the calls of a few hundred."""

_log = get_logger("audit")


class AuditTrail:
    """Owns the log and the thread of its roots."""

    def __init__(self, state: Path, section: AuditSection, clock: Clock) -> None:
        """Open the log. Raises OperatorError where it is none."""
        self._state, self._section, self._clock = state, section, clock
        self._rows = AuditLog(state / AUDIT_FILE)
        self._keeper: RootKeeper | None = None
        self._memory = AuditMemory()
        self._memory.learn(tail(state / AUDIT_FILE, TAIL_BYTES))

    def start(self) -> None:
        """Begin to put rows under roots. Without a key or a roots file that fits there are rows all the same."""
        try:
            writer = self._writer()
        except (OSError, OperatorError) as error:
            _log.error("audit_roots_missing", error=str(error))
            return
        anchor = anchor_of(self._section)
        interval_s = float(self._section.root_interval_s)
        self._keeper = RootKeeper(writer, anchor, self._clock, interval_s=interval_s)
        self._keeper.start()

    def _writer(self) -> RootWriter:
        signer = ensure_signer(self._state / KEY_FILE)
        try:
            return RootWriter(self._state / AUDIT_FILE, signer)
        except RootsDoNotFitError as error:
            away = RootWriter.set_aside(self._state / AUDIT_FILE, self._clock.wall_s())
            _log.error("audit_roots_set_aside", error=str(error), now=str(away))
            self.note("audit_roots_set_aside", now=away.name)
            return RootWriter(self._state / AUDIT_FILE, signer)

    def note(self, event: str, **facts: str | int) -> None:
        """Append one row."""
        try:
            self._rows.append(event, self._clock.wall_s(), **facts)
        except OSError as error:
            # A full disk must not stop calls, nor the timers that loosen and tighten their masks.
            _log.error("audit_not_written", what=event, error=error.strerror)

    def capture_changed(self, call: CallSnapshot) -> None:
        """Note the start of a call's capture when it is first seen, and an end that the call itself has decided."""
        capture = call.capture
        if capture is None:
            return
        if capture.outcome is not None:
            self.capture_ended(capture.outcome)
        elif self._memory.started(capture.capture_id, Begun(call.call_id, capture.flow_id)):
            self.note(
                "capture_started",
                capture=capture.capture_id,
                call=call.call_id,
                flow=capture.flow_id,
                version=capture.flow_fingerprint[:VERSION_CHARACTERS],
            )

    def capture_ended(self, outcome: CaptureOutcome, *, told_by_cde: bool = False) -> None:
        """Note an end once, and once more where the truth replaces a guess.

        cde tells also of captures that an earlier control has started; it tells a fresh control all it knows again.
        """
        if not told_by_cde and not self._memory.runs(outcome.capture_id):
            return
        begun = self._memory.ended(outcome.capture_id, outcome.result)
        if begun is None:
            return
        facts = {"call": begun.call_id, "flow": begun.flow_id} if begun.call_id else {}
        self.note("capture_ended", capture=outcome.capture_id, result=outcome.result.value, **facts)

    def payment_changed(self, payment: PaymentChanged) -> None:
        """Note what an operation at a gateway has become, each state and code once."""
        if not self._memory.operation_is(payment.operation_id, payment.state.value, payment.code):
            return
        self.note(
            "payment",
            operation=payment.operation_id,
            kind=payment.kind.value,
            state=payment.state.value,
            parent=payment.parent_id,
            capture=payment.capture_id,
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            gateway=payment.gateway,
            code=payment.code,
            test=int(payment.test),
        )

    def payment_ordered(self, order: PaymentOrder, amount_minor: int) -> None:
        """Note who has ordered what, before it is sent. 0: the whole."""
        self.note(
            "payment_ordered",
            operation=order.id,
            kind=order.kind.value,
            parent=order.parent,
            amount_minor=amount_minor,
            by=order.by,
        )

    def recording_taken(self, recording: str, by: str) -> None:
        """Note who takes a recording, before it is given."""
        self.note("recording_taken", recording=recording, by=by)

    def close(self) -> None:
        """Write the last root and close the log."""
        if self._keeper is not None:
            self._keeper.close()
        self._rows.close()


def anchor_of(section: AuditSection) -> Anchor | None:
    """Return the anchor that the configuration names, None for none."""
    if section.anchor == "file" and section.anchor_file:
        return FileAnchor(Path(section.anchor_file))
    if section.anchor == "syslog" and section.syslog_address:
        return SyslogAnchor(*split_host_port(section.syslog_address), tcp=section.syslog_transport == "tcp")
    return None
