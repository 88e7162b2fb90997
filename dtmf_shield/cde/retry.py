"""May this be sent again? One table, one function: what an exchange left behind, and what the gateway does with keys.

A re-send is always the same bytes under the same key. Doubt never goes away by itself: once bytes may have reached the
gateway without a believable answer, "refused", "busy" or "no connection" of a later try say nothing about the first.
It reads no clock and sends nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from dtmf_shield.cde.gateways.base import (
    Answer,
    GatewayResult,
    GatewayResultKind,
    Idempotency,
    Unanswered,
)

SENDS_MAX: Final = 4
"""The first send and three more. A gateway that is down is down for longer than any caller waits."""
WAIT_S_FIRST: Final = 0.2
WAIT_S_MAX: Final = 2.0
"""Between sends, doubled from the first; Retry-After may ask for more, up to what is left of the payment's time."""
KEY_LIFE_SHARE: Final = 0.8
"""Of ``key_ttl_s`` that is used: their clock is not ours, and a key forgotten by a minute charges twice."""
HTTP_CONFLICT: Final = 409


class Ending(enum.Enum):
    """What one exchange left behind."""

    NOTHING_LEFT = "no byte left"
    BUSY = "429: nothing was done, ask later"
    KEY_IN_USE = "409: the same key is being worked on"
    NO_ANSWER = "bytes left, no answer to believe: timeout, reset, 5xx, garbage, processing"
    REFUSED = "refused us: credentials, request"
    SETTLED = "approved, declined, action required"


class Verdict(enum.Enum):
    """What follows."""

    SETTLED = "the answer stands"
    NOTHING_DONE = "the gateway certainly did nothing"
    AGAIN = "send again: nothing was done"
    AGAIN_IN_DOUBT = "send again: the gateway replays its first answer"
    UNKNOWN = "look it up; never send again by hand"


_E, _I, _V = Ending, Idempotency, Verdict
VERDICTS: Final[Mapping[tuple[Ending, Idempotency, bool], Verdict]] = {
    # (how it ended, what the gateway does with a known key, in doubt from an earlier send)
    (_E.NOTHING_LEFT, _I.REPLAY, False): _V.AGAIN,
    (_E.NOTHING_LEFT, _I.SUCCESS_ONLY, False): _V.AGAIN,
    (_E.NOTHING_LEFT, _I.NONE, False): _V.AGAIN,
    (_E.NOTHING_LEFT, _I.REPLAY, True): _V.AGAIN_IN_DOUBT,
    (_E.NOTHING_LEFT, _I.SUCCESS_ONLY, True): _V.UNKNOWN,
    (_E.NOTHING_LEFT, _I.NONE, True): _V.UNKNOWN,
    (_E.BUSY, _I.REPLAY, False): _V.AGAIN,
    (_E.BUSY, _I.SUCCESS_ONLY, False): _V.AGAIN,
    (_E.BUSY, _I.NONE, False): _V.AGAIN,
    # Busy says that this send did nothing, not that the one before did nothing.
    (_E.BUSY, _I.REPLAY, True): _V.AGAIN_IN_DOUBT,
    (_E.BUSY, _I.SUCCESS_ONLY, True): _V.UNKNOWN,
    (_E.BUSY, _I.NONE, True): _V.UNKNOWN,
    # A gateway that says so keeps the key at least while it works; one without keys means something else by 409.
    (_E.KEY_IN_USE, _I.REPLAY, False): _V.AGAIN_IN_DOUBT,
    (_E.KEY_IN_USE, _I.SUCCESS_ONLY, False): _V.AGAIN_IN_DOUBT,
    (_E.KEY_IN_USE, _I.NONE, False): _V.UNKNOWN,
    (_E.KEY_IN_USE, _I.REPLAY, True): _V.AGAIN_IN_DOUBT,
    (_E.KEY_IN_USE, _I.SUCCESS_ONLY, True): _V.AGAIN_IN_DOUBT,
    (_E.KEY_IN_USE, _I.NONE, True): _V.UNKNOWN,
    (_E.NO_ANSWER, _I.REPLAY, False): _V.AGAIN_IN_DOUBT,
    # Only successes are kept under the key: a first send still at work would be done twice.
    (_E.NO_ANSWER, _I.SUCCESS_ONLY, False): _V.UNKNOWN,
    (_E.NO_ANSWER, _I.NONE, False): _V.UNKNOWN,
    (_E.NO_ANSWER, _I.REPLAY, True): _V.AGAIN_IN_DOUBT,
    (_E.NO_ANSWER, _I.SUCCESS_ONLY, True): _V.UNKNOWN,
    (_E.NO_ANSWER, _I.NONE, True): _V.UNKNOWN,
    (_E.REFUSED, _I.REPLAY, False): _V.SETTLED,
    (_E.REFUSED, _I.SUCCESS_ONLY, False): _V.SETTLED,
    (_E.REFUSED, _I.NONE, False): _V.SETTLED,
    # Credentials revoked between two sends, or parameters that "differ": the first send may have been taken.
    (_E.REFUSED, _I.REPLAY, True): _V.UNKNOWN,
    (_E.REFUSED, _I.SUCCESS_ONLY, True): _V.UNKNOWN,
    (_E.REFUSED, _I.NONE, True): _V.UNKNOWN,
    (_E.SETTLED, _I.REPLAY, False): _V.SETTLED,
    (_E.SETTLED, _I.SUCCESS_ONLY, False): _V.SETTLED,
    (_E.SETTLED, _I.NONE, False): _V.SETTLED,
    (_E.SETTLED, _I.REPLAY, True): _V.SETTLED,
    (_E.SETTLED, _I.SUCCESS_ONLY, True): _V.SETTLED,
    (_E.SETTLED, _I.NONE, True): _V.SETTLED,
}
_LEAVES_DOUBT: Final = frozenset({Ending.NO_ANSWER, Ending.KEY_IN_USE})
_ENDINGS: Final = {
    GatewayResultKind.APPROVED: Ending.SETTLED,
    GatewayResultKind.DECLINED: Ending.SETTLED,
    GatewayResultKind.ACTION_REQUIRED: Ending.SETTLED,
    GatewayResultKind.REFUSED: Ending.REFUSED,
    GatewayResultKind.BUSY: Ending.BUSY,
    # An answer came, so something left; a connector that says otherwise is not believed about money.
    GatewayResultKind.FAILED_BEFORE_SEND: Ending.NO_ANSWER,
    GatewayResultKind.NOT_FOUND: Ending.REFUSED,
    GatewayResultKind.UNKNOWN: Ending.NO_ANSWER,
}
_SETTLED_KINDS: Final = frozenset(kind for kind, ending in _ENDINGS.items() if ending is Ending.SETTLED)


def ending_of(answer: Answer | Unanswered, result: GatewayResult | None) -> Ending:
    """Class what came back. ``result``: the connector's reading of an Answer."""
    if isinstance(answer, Unanswered) or result is None:
        left = not isinstance(answer, Unanswered) or answer.sent
        return Ending.NO_ANSWER if left else Ending.NOTHING_LEFT
    if answer.status == HTTP_CONFLICT and result.kind not in _SETTLED_KINDS:
        return Ending.KEY_IN_USE
    return _ENDINGS[result.kind]


def decide(
    ending: Ending,
    idempotency: Idempotency,
    *,
    in_doubt: bool,
    sends_left: int,
    time_left_s: float,
    key_is_known: bool,
) -> Verdict:
    """Say what follows a send. ``in_doubt``: an earlier send of this operation may have arrived.

    ``time_left_s``: until the next send would have to begin. ``key_is_known``: see ``key_is_known()``.
    """
    verdict = VERDICTS[ending, idempotency, in_doubt]
    out = sends_left <= 0 or time_left_s <= 0
    if verdict is Verdict.AGAIN and out:
        return Verdict.NOTHING_DONE
    if verdict is Verdict.AGAIN_IN_DOUBT and (out or not key_is_known):
        return Verdict.UNKNOWN
    return verdict


def doubt_after(ending: Ending, *, in_doubt: bool) -> bool:
    """Return whether the operation is in doubt now."""
    return in_doubt or ending in _LEAVES_DOUBT


def key_is_known(age_s: float, key_ttl_s: float) -> bool:
    """Whether a key first sent ``age_s`` ago is still known for sure. A clock that went backwards knows nothing."""
    return 0 <= age_s <= key_ttl_s * KEY_LIFE_SHARE


def wait_s(sends: int, *, retry_after_s: float, jitter: float) -> float:
    """Return how long to wait after ``sends`` sends. ``jitter``: random, 0 to 1."""
    base = min(WAIT_S_FIRST * 2.0 ** (sends - 1), WAIT_S_MAX)
    return max(base * (0.5 + jitter / 2), retry_after_s)
