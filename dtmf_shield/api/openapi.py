"""Prints the OpenAPI document: ``python -m dtmf_shield.api.openapi > tests/golden/openapi.json``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from dtmf_shield.api.app import create_app
from dtmf_shield.api.identity.identity import Identity
from dtmf_shield.api.ports import NOTHING_GIVEN, CallNotFound, CaptureNotFound, DeskListener
from dtmf_shield.api.views import CallView, FlowView, ServiceView, ShieldState
from dtmf_shield.base.system_clock import SystemClock
from dtmf_shield.model.ids import CallId, CaptureId
from dtmf_shield.model.payment import NO_MONEY, Money
from dtmf_shield.store.identity_rows import IdentityRows


class EmptyDesk:
    """A desk without a call: enough to describe the API."""

    def calls(self) -> Sequence[CallView]:
        """No calls."""
        return ()

    def flows(self) -> Sequence[FlowView]:
        """No flows."""
        return ()

    def service(self) -> ServiceView:
        """Nothing is shielded here."""
        return ServiceView(shield=ShieldState.OFF)

    def subscribe(self, listener: DeskListener) -> None:
        """Never has anything to tell."""

    def call(self, call_id: CallId) -> NoReturn:
        """Refuse."""
        raise CallNotFound

    def capture(self, capture_id: CaptureId) -> NoReturn:
        """Refuse."""
        raise CaptureNotFound

    def token(self, capture_id: CaptureId) -> NoReturn:
        """Refuse."""
        raise CaptureNotFound

    def start_capture(
        self,
        call_id: CallId,
        flow_id: str,
        reference: str,
        amount: Money = NO_MONEY,
        given: Mapping[str, str] = NOTHING_GIVEN,
        language: str = "",
    ) -> NoReturn:
        """Refuse."""
        raise CallNotFound

    def request_field(self, capture_id: CaptureId, field: str) -> NoReturn:
        """Refuse."""
        raise CaptureNotFound

    def take_payment(self, capture_id: CaptureId) -> NoReturn:
        """Refuse."""
        raise CaptureNotFound

    def pause_capture(self, capture_id: CaptureId) -> NoReturn:
        """Refuse."""
        raise CaptureNotFound

    def resume_capture(self, capture_id: CaptureId) -> NoReturn:
        """Refuse."""
        raise CaptureNotFound

    def cancel_capture(self, capture_id: CaptureId) -> NoReturn:
        """Refuse."""
        raise CaptureNotFound


def openapi_text() -> str:
    """Return the document as committed: sorted, indented, ending in a line break."""
    app = create_app(EmptyDesk(), Identity(IdentityRows(None), SystemClock()))
    return json.dumps(app.openapi(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(openapi_text())
