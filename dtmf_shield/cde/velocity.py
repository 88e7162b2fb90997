"""Velocity rules against card testing: attempts and declines per caller, agent, flow and BIN in sliding windows.

No counter names anybody: a counter's name is HMAC-SHA256 (RFC 2104) of what it counts under a key that lives in this
process and dies with it. Counts of callers, agents and flows are told again at a start, from the ledger; those of BINs
are not: nothing made from a card number outlives the process. It reads no clock and draws no randomness.
"""

from __future__ import annotations

import enum
import hmac
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

COUNTERS_MAX: Final = 50_000
"""Counters at once; the one quiet longest is forgotten first, and counted."""
LIMIT_MAX: Final = 10_000
WINDOW_S_MAX: Final = 7 * 86_400
RULES_MAX: Final = 32
BIN_LENGTH: Final = 8
"""ISO/IEC 7812-1:2017; six digits where the number is shorter than BIN_8_NUMBER_LENGTH_MIN."""
BIN_LENGTH_SHORT: Final = 6
BIN_8_NUMBER_LENGTH_MIN: Final = 16


class Per(enum.StrEnum):
    """What a rule counts for."""

    CALLER = "caller"
    AGENT = "agent"
    FLOW = "flow"
    BIN = "bin"


class Counted(enum.StrEnum):
    """What a rule counts. A card on its way counts as declined until its answer is here."""

    ATTEMPTS = "attempts"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Rule:
    """At most ``limit`` of ``counted`` for one ``per`` within ``window_s``; the next attempt is stopped."""

    name: str
    per: Per
    counted: Counted
    limit: int
    window_s: float


Subject = Mapping[Per, bytes]
"""Names of counters, made by ``Velocity.subject``. What is not known (no caller number) is not counted."""


@dataclass(slots=True)
class _Counter:
    times_s: deque[float]
    under_way: int = 0


class Velocity:
    """All counters of one process."""

    def __init__(self, rules: Sequence[Rule], key: bytes, counters_max: int = COUNTERS_MAX) -> None:
        """``key``: 32 random bytes. Raises ValueError for rules outside their limits."""
        if len(rules) > RULES_MAX or len({rule.name for rule in rules}) != len(rules):
            raise ValueError("velocity rules: too many, or a name twice")
        if any(
            not (0 < rule.limit <= LIMIT_MAX and 0 < rule.window_s <= WINDOW_S_MAX and rule.name)
            for rule in rules
        ):
            raise ValueError("a velocity rule outside its limits")
        self._rules, self._counters_max = tuple(rules), counters_max
        self._keys = {per: hmac.digest(key, per.value.encode(), "sha256") for per in Per}
        self._counters: OrderedDict[tuple[str, bytes], _Counter] = OrderedDict()
        self.forgotten = 0
        """Counters given up because COUNTERS_MAX was reached."""

    @property
    def window_s(self) -> float:
        """How far back the longest rule looks."""
        return max((rule.window_s for rule in self._rules), default=0.0)

    def subject(
        self, *, caller: str = "", agent: str = "", flow: str = "", number: memoryview | None = None
    ) -> Subject:
        """Name the counters of one attempt. ``number``: the card number where it lies; its first digits are read
        there and nowhere copied.
        """
        texts = {Per.CALLER: caller, Per.AGENT: agent, Per.FLOW: flow}
        names = {
            per: hmac.digest(self._keys[per], text.encode(), "sha256") for per, text in texts.items() if text
        }
        if number is not None and len(number) >= BIN_LENGTH:
            length = BIN_LENGTH if len(number) >= BIN_8_NUMBER_LENGTH_MIN else BIN_LENGTH_SHORT
            names[Per.BIN] = hmac.digest(self._keys[Per.BIN], number[:length], "sha256")
        return names

    def begin(self, subject: Subject, now_s: float) -> Rule | None:
        """Return the rule that stops an attempt; None: it is counted, and ``end`` must follow."""
        rules = [rule for rule in self._rules if rule.per in subject]
        for rule in rules:
            counter = self._counters.get((rule.name, subject[rule.per]))
            if counter is not None and self._count(rule, counter, now_s) >= rule.limit:
                return rule
        for rule in rules:
            counter = self._counter(rule, subject[rule.per])
            if rule.counted is Counted.ATTEMPTS:
                counter.times_s.append(now_s)
            else:
                counter.under_way += 1
        return None

    def end(self, subject: Subject, now_s: float, *, declined: bool) -> None:
        """Take the end of an attempt that ``begin`` counted."""
        for rule in self._rules:
            if rule.per not in subject or rule.counted is not Counted.DECLINED:
                continue
            counter = self._counter(rule, subject[rule.per])
            counter.under_way = max(0, counter.under_way - 1)
            if declined:
                counter.times_s.append(now_s)

    def recall(self, subject: Subject, at_s: float, *, declined: bool) -> None:
        """Count an attempt of before this process. ``at_s``: on the clock of ``now_s``; oldest first."""
        for rule in self._rules:
            if rule.per in subject and (declined or rule.counted is Counted.ATTEMPTS):
                self._counter(rule, subject[rule.per]).times_s.append(at_s)

    def _count(self, rule: Rule, counter: _Counter, now_s: float) -> int:
        while counter.times_s and counter.times_s[0] <= now_s - rule.window_s:
            counter.times_s.popleft()
        return len(counter.times_s) + counter.under_way

    def _counter(self, rule: Rule, name: bytes) -> _Counter:
        place = (rule.name, name)
        counter = self._counters.get(place)
        if counter is None:
            # No more than the limit is ever asked for.
            counter = self._counters[place] = _Counter(deque(maxlen=rule.limit))
            if len(self._counters) > self._counters_max:
                self._counters.popitem(last=False)
                self.forgotten += 1
        self._counters.move_to_end(place)
        return counter

    def __repr__(self) -> str:
        return f"<Velocity {len(self._rules)} rules, {len(self._counters)} counters>"
