"""Test calls by way of the play process: implements ``api.ports.test_calls`` over its loopback HTTP.

Control passes on what that process made of its own calls. It decodes no sound and looks into no picture, and where
there are no play phones it has nobody to ask: the media process is never asked for audio.
"""

from __future__ import annotations

import asyncio
from typing import Final, NoReturn, TypeVar

import h11
from pydantic import BaseModel, ValidationError

from dtmf_shield.api.play import PlayPhones
from dtmf_shield.api.ports.test_calls import (
    EvidenceDesk,
    EvidenceFailed,
    EvidenceNotReady,
    NoTestCalls,
    PlayPhonesSilent,
    TestCallNotFound,
)
from dtmf_shield.api.views.test_calls import Side, TestCallEvidence, TestCallList
from dtmf_shield.base.log import get_logger
from dtmf_shield.base.web_address import web_address
from dtmf_shield.service.control.json_post import JSON, Answer, AnswerTooLongError, Server, ask

TIMEOUT_S: Final = 5.0
LIST_BYTES_MAX: Final = 16 * 1_024
EVIDENCE_BYTES_MAX: Final = 512 * 1_024
"""Peaks take 100 KB of it at most, 512 presses 70."""
PICTURE_BYTES_MAX: Final = 4 * 1_024 * 1_024
"""12,000 columns of 237 rows, a byte each before they are packed."""
ASKED_AT_ONCE_MAX: Final = 4
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_View = TypeVar("_View", bound=BaseModel)

_log = get_logger("control")


def test_calls_of(phones: PlayPhones | None) -> EvidenceDesk:
    """Return the desk of these phones; of none, one that says so."""
    return PlayedCalls(phones) if phones is not None else NoTestCalls()


class PlayedCalls:
    """Asks the play process."""

    def __init__(self, phones: PlayPhones) -> None:
        self._phones = phones
        self._asking = asyncio.Semaphore(ASKED_AT_ONCE_MAX)

    async def calls(self) -> TestCallList:
        """Return the calls that are kept. Raises PlayPhonesSilent."""
        return self._read(await self._ask("/test-calls", LIST_BYTES_MAX), TestCallList)

    async def evidence(self, call_id: str) -> TestCallEvidence:
        """Return one call's. Raises TestCallNotFound, EvidenceNotReady, EvidenceFailed, PlayPhonesSilent."""
        return self._read(
            await self._ask(f"/test-calls/{call_id}/evidence", EVIDENCE_BYTES_MAX), TestCallEvidence
        )

    async def picture(self, call_id: str, side: Side) -> bytes:
        """Return one side's. Raises TestCallNotFound, PlayPhonesSilent."""
        answer = await self._ask(f"/test-calls/{call_id}/{side}.png", PICTURE_BYTES_MAX)
        if not answer.body.startswith(_PNG):
            self._silent("no_picture")
        return answer.body

    async def _ask(self, path: str, bytes_max: int) -> Answer:
        credential = ("Authorization", f"Bearer {self._phones.key}")
        server = Server(web_address(self._phones.url + path), None, credential)
        try:
            async with asyncio.timeout(TIMEOUT_S), self._asking:
                answer = await ask(server, "GET", b"", JSON, bytes_max)
        except (OSError, h11.ProtocolError, AnswerTooLongError) as error:  # a time-out is an OSError too
            self._silent(type(error).__name__)
        if answer.status == 404:
            raise TestCallNotFound
        if answer.status == 409:
            raise EvidenceFailed if b"failed" in answer.body else EvidenceNotReady
        if answer.status != 200:
            self._silent("refused")
        return answer

    def _read(self, answer: Answer, view: type[_View]) -> _View:
        try:
            return view.model_validate_json(answer.body)
        except ValidationError:
            self._silent("not_understood")

    def _silent(self, reason: str) -> NoReturn:
        _log.warning("play_phones_silent", reason=reason)
        raise PlayPhonesSilent from None
