"""What is done about an operation whose outcome is unknown, until it is known. Facts in, one step out.

Looked up where the gateway can be asked; else sent again under the same key while the key is surely known; else a
person decides. ``unknown`` is never read as declined. It reads no clock and sends nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from dtmf_shield.cde.gateways.base import Capabilities, GatewayResultKind, Idempotency
from dtmf_shield.cde.retry import key_is_known
from dtmf_shield.model.payment import OperationKind

WAIT_S_FIRST: Final = 0.5
WAIT_S_MAX: Final = 900.0
"""Between two looks, doubled from the first: quick while a caller waits, a few an hour in a long outage."""
ALARM_AFTER_S: Final = 300.0
"""An operation that is unknown for so long is told at error level and to control, once."""
NOT_FOUND_BELIEVED_S: Final = 600.0
"""A gateway that does not know an operation is believed only so long after it was sent: requests may be stuck on their
way, and books of gateways follow late."""
PERSON_LOOK_S: Final = 60.0
"""How often it is seen whether a person has settled what only a person can."""


class Step(enum.Enum):
    """What to do now."""

    LOOK_UP = "ask the gateway what became of it"
    SEND_AGAIN = "send the same bytes under the same key"
    PERSON = "alert; a person decides"


FIRST_STEPS: Final[Mapping[tuple[bool, bool], Step]] = {
    # (it can be looked up, it can be sent again)
    (True, True): Step.LOOK_UP,
    (True, False): Step.LOOK_UP,
    (False, True): Step.SEND_AGAIN,
    (False, False): Step.PERSON,
}


class After(enum.Enum):
    """What follows a look-up."""

    SETTLE = "it is known"
    SEND_AGAIN = "it never arrived, or cannot be seen: send the same bytes under the same key"
    NOT_DONE = "it never arrived and is not sent any more"
    WAIT = "look again later"


_SETTLED: Final = frozenset(
    {GatewayResultKind.APPROVED, GatewayResultKind.DECLINED, GatewayResultKind.ACTION_REQUIRED}
)


def can_look_up(capabilities: Capabilities, kind: OperationKind, *, has_reference: bool) -> bool:
    """Whether the gateway can be asked about an operation. ``has_reference``: it told its own name of it."""
    return kind in capabilities.lookup_by_key or (has_reference and kind in capabilities.lookup_by_reference)


def can_send_again(capabilities: Capabilities, *, by_card: bool, key_age_s: float) -> bool:
    """Whether the same bytes may be sent once more. ``by_card``: they held a card, which is gone."""
    return (
        capabilities.idempotency is Idempotency.REPLAY
        and not by_card
        and key_is_known(key_age_s, capabilities.key_ttl_s)
    )


def after_lookup(found: GatewayResultKind, *, wanted: bool, may_send_again: bool, age_s: float) -> After:
    """Say what follows a look-up. ``wanted``: somebody still wants it done. ``age_s``: since it was last sent."""
    if found in _SETTLED:
        return After.SETTLE
    if found is GatewayResultKind.NOT_FOUND:
        if wanted and may_send_again:
            return After.SEND_AGAIN
        return After.NOT_DONE if age_s >= NOT_FOUND_BELIEVED_S else After.WAIT
    if found is GatewayResultKind.REFUSED and may_send_again:
        # We may not look. The key tells as well.
        return After.SEND_AGAIN
    return After.WAIT


def wait_s(looks: int, jitter: float) -> float:
    """Return how long to wait after ``looks`` looks. ``jitter``: random, 0 to 1."""
    return min(WAIT_S_FIRST * 2.0 ** min(looks, 32), WAIT_S_MAX) * (0.8 + 0.4 * jitter)
