"""What goes wrong at the TEST gateway, and when: a plan of rules, drawn by a seed or counted.

A plan is the body of ``POST /faults``. One rule, as often as ``count`` says::

    {"fault": "reset", "count": 1}

or many, tried in this order for every payment request until one strikes::

    {"seed": 7, "faults": [{"fault": "reset", "probability": 0.02, "methods": ["charge"]},
                           {"fault": "slow", "probability": 0.1, "delay_ms": 300, "skip": 10, "count": 500}]}

``probability`` (1) is drawn from seed, key and how often the key has come, so a run strikes the same requests in
whatever order they arrive. ``skip`` (0) requests pass before a rule begins, ``count`` (1,000,000) times it strikes,
``methods`` (all) it is about, ``delay_ms`` (500) goes with slow, slow_before and dribble. ``{"fault": "none"}`` ends
the plan.
"""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass, field
from typing import Final

import msgspec

RULES_MAX: Final = 32
COUNT_MAX: Final = 1_000_000
DELAY_MS_MAX: Final = 60_000
KEYS_REMEMBERED_MAX: Final = 200_000
"""How often they have come is counted; further keys are all taken for new ones."""


class Fault(enum.StrEnum):
    """What can go wrong. Booked: the operation is done and stands in the book."""

    NONE = "none"
    HANG = "hang"
    """Booked, never answered."""
    HANG_BEFORE = "hang_before"
    """Not booked, never answered."""
    SLOW = "slow"
    """Booked at once, answered after delay_ms."""
    SLOW_BEFORE = "slow_before"
    """Booked and answered after delay_ms, even where the client has gone: until then lookup finds nothing."""
    RESET = "reset"
    """Booked, then the connection is reset: the answer is lost."""
    RESET_BEFORE = "reset_before"
    """Not booked, the connection is reset."""
    ERROR500 = "error500"
    """Not booked, 500."""
    ERROR500_AFTER = "error500_after"
    """Booked, 500."""
    GARBAGE = "garbage"
    """Booked, the answer is no HTTP."""
    CUT = "cut"
    """Booked, the connection is closed within the answer's body."""
    DRIBBLE = "dribble"
    """Booked, the answer comes by one byte every delay_ms."""
    CLOSE = "close"
    """Booked and answered as if the connection stayed open, and closed right after."""
    CLOSE_ON_NEXT = "close_on_next"
    """Booked and answered; the connection is reset as soon as the next request begins to arrive, unread."""
    BUSY = "busy"
    """Not booked, 429 with Retry-After: 1."""
    CONFLICT = "conflict"
    """Not booked, 409."""
    DECLINE = "decline"
    """Booked as declined, card_declined."""


NOT_BOOKED: Final = frozenset(
    {Fault.HANG_BEFORE, Fault.RESET_BEFORE, Fault.ERROR500, Fault.BUSY, Fault.CONFLICT}
)


class FaultRule(msgspec.Struct, forbid_unknown_fields=True):
    """One rule of a plan."""

    fault: Fault
    probability: float = 1.0
    count: int = COUNT_MAX
    skip: int = 0
    delay_ms: int = 500
    methods: tuple[str, ...] = ()

    def allowed(self) -> bool:
        """Whether all numbers are within their limits."""
        return (
            0.0 <= self.probability <= 1.0
            and 0 <= self.count <= COUNT_MAX
            and 0 <= self.skip <= COUNT_MAX
            and 0 <= self.delay_ms <= DELAY_MS_MAX
        )


class _Plan(msgspec.Struct, forbid_unknown_fields=True):
    seed: int = 0
    faults: tuple[FaultRule, ...] = ()


@dataclass(slots=True)
class FaultPlan:
    """Rules with what is left of them, and how often each fault has struck."""

    seed: int = 0
    rules: tuple[FaultRule, ...] = ()
    struck: dict[str, int] = field(default_factory=dict)
    _times: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, body: bytes) -> FaultPlan:
        """Read a plan. Raises msgspec.MsgspecError or ValueError for one that is not allowed."""
        asked: object = msgspec.json.decode(body)
        one = isinstance(asked, dict) and "fault" in asked
        plan = msgspec.convert({"faults": [asked]} if one else asked, _Plan)
        if len(plan.faults) > RULES_MAX or not all(rule.allowed() for rule in plan.faults):
            raise ValueError("a rule beyond its limits")
        return cls(plan.seed, tuple(rule for rule in plan.faults if rule.fault is not Fault.NONE))

    def next_fault(self, key: str, method: str) -> tuple[Fault, float]:
        """Return what happens to this request, and the delay in seconds that goes with it."""
        if not self.rules:
            return Fault.NONE, 0.0
        times = self._times.get(key, 0)
        if key in self._times or len(self._times) < KEYS_REMEMBERED_MAX:
            self._times[key] = times + 1
        for index, rule in enumerate(self.rules):
            if self._strikes(rule, f"{self.seed}:{index}:{times}:{key}", method):
                self.struck[rule.fault] = self.struck.get(rule.fault, 0) + 1
                return rule.fault, rule.delay_ms / 1000
        return Fault.NONE, 0.0

    @staticmethod
    def _strikes(rule: FaultRule, draw: str, method: str) -> bool:
        if rule.count <= 0 or (rule.methods and method not in rule.methods):
            return False
        if rule.skip > 0:
            rule.skip -= 1
            return False
        if rule.probability < 1.0 and random.Random(draw).random() >= rule.probability:  # noqa: S311 - no secret
            return False
        rule.count -= 1
        return True
