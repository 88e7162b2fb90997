"""Test calls as the API needs them of the play phones, which exist in demo mode alone."""

from __future__ import annotations

from typing import NoReturn, Protocol

from dtmf_shield.api.ports.refusals import DeskRefusal
from dtmf_shield.api.views.test_calls import Side, TestCallEvidence, TestCallList


class NoPlayPhones(DeskRefusal):
    """The service runs without play phones."""

    status, slug, title = (
        404,
        "no-test-calls",
        "Test calls are placed by the play phones, which run in demo mode only.",
    )


class TestCallNotFound(DeskRefusal):
    """None of that name is kept, or it has no such side."""

    __test__ = False
    status, slug, title = 404, "test-call-not-found", "There is no such test call. The last few are kept."


class EvidenceNotReady(DeskRefusal):
    """The call goes on, or is being judged."""

    status, slug, title = 409, "evidence-not-ready", "The call goes on, or its evidence is being made."


class EvidenceFailed(DeskRefusal):
    """It could not be judged."""

    status, slug, title = 409, "evidence-failed", "No evidence could be made of this call. Place another one."


class PlayPhonesSilent(DeskRefusal):
    """Their process gave no answer in time, or none that is understood."""

    status, slug, title = (
        503,
        "play-phones-silent",
        "The play phones do not answer. Calls go on as before; start the service again to have them back.",
    )


class EvidenceDesk(Protocol):
    """Asks the play phones. Every answer is bounded in time and size."""

    async def calls(self) -> TestCallList:
        """Return the calls that are kept. Raises NoPlayPhones, PlayPhonesSilent."""

    async def evidence(self, call_id: str) -> TestCallEvidence:
        """Return the evidence of one.

        Raises NoPlayPhones, TestCallNotFound, EvidenceNotReady, EvidenceFailed, PlayPhonesSilent.
        """

    async def picture(self, call_id: str, side: Side) -> bytes:
        """Return the spectrum of one side, PNG. Raises NoPlayPhones, TestCallNotFound, PlayPhonesSilent."""


class NoTestCalls:
    """A service without play phones."""

    async def calls(self) -> TestCallList:
        """Refuse."""
        return self._refuse()

    async def evidence(self, _call_id: str) -> TestCallEvidence:
        """Refuse."""
        return self._refuse()

    async def picture(self, _call_id: str, _side: Side) -> bytes:
        """Refuse."""
        return self._refuse()

    def _refuse(self) -> NoReturn:
        raise NoPlayPhones
