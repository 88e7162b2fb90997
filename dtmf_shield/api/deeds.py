"""Who did what through the API, for the audit log: one method a kind of deed, so that no row holds other facts.

``by`` is the principal's name: a person's, ``oidc:NAME``, ``link-…`` of a one-time link, ``key:NAME`` of a program's
key, ``key`` of the state directory's. A row is written once the deed is done, or right before its result is given; an
answer from the store of Idempotency-Keys is no deed. People, keys and sign-ins write rows of their own (``identity``),
and so do orders of payments and recordings (``ports``).
"""

from __future__ import annotations

import datetime
import enum
from typing import Final

from dtmf_shield.api.identity.identity import Note
from dtmf_shield.api.identity.principal import Principal
from dtmf_shield.api.views import CallView, CaptureView
from dtmf_shield.base.clock import Clock

DENIED_AGAIN_S: Final = 60.0
"""A denial of one person is told once in this time for each route and call."""
AUDIT_READ_AGAIN_S: Final = 600.0
"""A reader who turns pages, or a page that looks again by itself, is one reading for so long."""
SELDOM_KEPT_MAX: Final = 256
"""So many different ones are told in their time: a program in a loop fills no audit log."""


class CaptureDeed(enum.StrEnum):
    """What was done with a capture: the commands of the API, its start, and the payment taken."""

    START = "start"
    REQUEST = "request"
    REDO = "redo"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    PAY = "pay"


class Deeds:
    """Writes the rows; all methods belong to the loop that serves."""

    def __init__(self, note: Note, clock: Clock) -> None:
        self._note = note
        self._denied = _Seldom(clock, DENIED_AGAIN_S)
        self._audit_read = _Seldom(clock, AUDIT_READ_AGAIN_S)

    def with_capture(
        self, principal: Principal, deed: CaptureDeed, capture: CaptureView, field: str | None = None
    ) -> None:
        """Tell what ``principal`` did with a capture; ``field``: a name in its flow."""
        told = {} if field is None else {"field": field}
        self._note(
            "capture_commanded",
            capture=capture.id,
            call=capture.call,
            command=deed.value,
            **told,
            by=principal.name,
        )

    def token_taken(self, principal: Principal, capture: CaptureView) -> None:
        """Tell that a program fetches the token of a capture."""
        self._note("token_taken", capture=capture.id, call=capture.call, by=principal.name)

    def report_taken(
        self, principal: Principal, form: str, first: datetime.date, last: datetime.date
    ) -> None:
        """Tell that a report leaves as a file. ``form``: which, of the API's words."""
        self._note(
            "report_taken",
            format=form,
            from_day=first.isoformat(),
            to_day=last.isoformat(),
            by=principal.name,
        )

    def audit_read(self, principal: Principal) -> None:
        """Tell that somebody reads the audit log, once in AUDIT_READ_AGAIN_S for each."""
        if self._audit_read.is_due(principal.name):
            self._note("audit_read", by=principal.name)

    def webhook_tested(self, principal: Principal, webhook: str) -> None:
        """Tell who had an event of type ``test`` sent; ``webhook``: its name in the configuration."""
        self._note("webhook_tested", webhook=webhook, by=principal.name)

    def role_denied(self, principal: Principal, method: str, route: str) -> None:
        """Tell that a role was lacking; ``route``: its form, not the address."""
        if self._denied.is_due(principal.name, route):
            self._note("role_denied", by=principal.name, method=method, route=route)

    def call_denied(self, principal: Principal, call: CallView) -> None:
        """Tell that somebody asked for a call, or a capture of a call, that is another agent's."""
        if self._denied.is_due(principal.name, call.id):
            self._note("call_denied", call=call.id, by=principal.name)


class _Seldom:
    """Lets each of a few be told once in ``again_s``; bounded, and silent where all its places are taken."""

    def __init__(self, clock: Clock, again_s: float) -> None:
        self._clock, self._again_s = clock, again_s
        self._due_s: dict[tuple[str, ...], float] = {}

    def is_due(self, *one: str) -> bool:
        """Whether this is told now."""
        now_s = self._clock.now_s()
        if now_s < self._due_s.get(one, 0.0):
            return False
        if len(self._due_s) >= SELDOM_KEPT_MAX:
            self._due_s = {each: due_s for each, due_s in self._due_s.items() if now_s < due_s}
        if len(self._due_s) >= SELDOM_KEPT_MAX:
            return False
        self._due_s[one] = now_s + self._again_s
        return True
