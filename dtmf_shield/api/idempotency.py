"""Stored answers for POST requests by their Idempotency-Key: the same request again gets the same answer.

Only carried-out requests (2xx) are stored: a refusal changed nothing and may be tried again with the same key. Keys and
bodies are held as keyed digests, never as text, in memory: for 24 hours, until newer ones need the place, or until this
process ends. Whoever holds most answers gives the place, so that nobody's flood drops the answers of others.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from dtmf_shield.api.problem import ApiRefusal
from dtmf_shield.base.clock import Clock

ANSWERS_MAX: Final = 4_096
"""About two POST requests for each of 2000 calls."""
ANSWER_LIFETIME_S: Final = 24 * 3_600


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What was answered to a request that had this ``fingerprint``."""

    fingerprint: bytes
    status: int
    body: bytes
    ends_s: float


class StoredAnswers:
    """A bounded table of answers. Of whoever holds most of them the oldest goes first."""

    def __init__(self, clock: Clock, answers_max: int = ANSWERS_MAX) -> None:
        self._clock = clock
        self._answers_max = answers_max
        self._key = secrets.token_bytes(32)
        self._answers: dict[str, OrderedDict[bytes, StoredAnswer]] = {}
        """By principal, then by key: each principal's oldest first."""
        self._count = 0

    def find(self, principal: str, key: str, request: bytes) -> StoredAnswer | None:
        """Return the stored answer. Raises ApiRefusal (409) where the key was used for another request."""
        own = self._answers.get(principal)
        answer = None if own is None else own.get(self._digest(key.encode()))
        if answer is None or self._clock.now_s() >= answer.ends_s:
            return None
        if answer.fingerprint != self._digest(request):
            raise ApiRefusal(
                409, "idempotency-key-reused", "This Idempotency-Key was used for another request."
            )
        return answer

    def store(self, principal: str, key: str, request: bytes, status: int, body: bytes) -> None:
        """Keep the answer to a request that was carried out."""
        place = self._digest(key.encode())
        own = self._answers.setdefault(principal, OrderedDict())
        self._count += place not in own
        own[place] = StoredAnswer(
            self._digest(request), status, body, self._clock.now_s() + ANSWER_LIFETIME_S
        )
        own.move_to_end(place)
        while self._count > self._answers_max:
            self._drop_one()

    def _drop_one(self) -> None:
        principal, answers = max(self._answers.items(), key=lambda entry: len(entry[1]))
        answers.popitem(last=False)
        self._count -= 1
        if not answers:
            del self._answers[principal]

    def _digest(self, text: bytes) -> bytes:
        return hashlib.blake2b(text, key=self._key, digest_size=32).digest()
