"""The longest a call in this flow can last: the longest path over time limits and visit limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dtmf_shield.flow.check.paths import loops
from dtmf_shield.flow.finding import Finding, Severity
from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.steps import (
    CollectStep,
    ExitStep,
    HttpStep,
    MenuStep,
    MoneyStep,
    PlayStep,
    RepeatStep,
    Step,
    targets_of,
)

PROMPT_MS: Final = 4_000
"""A prompt of about ten words."""
LONG_MS: Final = 900_000
SEARCHED_MAX: Final = 20_000
"""Places (step and visits so far) looked at; a flow with more is told its time bound by limits alone."""

_Counts = tuple[tuple[str, int], ...]


def worst_case(flow: Flow) -> Iterator[Finding]:
    """A flow that may last more than a quarter of an hour says what happens then."""
    if any(loops(flow)):
        return  # told already; an endless loop has no worst case
    duration_ms = worst_case_ms(flow)
    if flow.max_duration is None and duration_ms > LONG_MS:
        found = f"{duration_ms / 60_000:.0f} minutes at worst"
        allowed = "max_duration: {time: 15m, then: STEP}"
        yield Finding("duration", ("start",), found, allowed, severity=Severity.WARNING)


def worst_case_ms(flow: Flow) -> int:
    """Return the longest duration of a flow whose loops are bounded, in milliseconds."""
    search = _Search(flow)
    try:
        return search.longest(flow.start)
    except _TooManyError:
        visits = 1 + sum(_visits(step) for step in flow.steps.values())
        return sum(step_ms(flow, step) * min(_visits(step) or visits, visits) for step in flow.steps.values())


def step_ms(flow: Flow, step: Step) -> int:
    """Return the longest one visit of a step can take."""
    match step:
        case CollectStep():
            return (step.total_timeout or flow.defaults.total_timeout) + PROMPT_MS
        case MenuStep():
            attempts = step.attempts or flow.defaults.attempts
            each_ms = (step.first_digit_timeout or flow.defaults.first_digit_timeout) + PROMPT_MS
            return min(attempts * each_ms, (step.total_timeout or flow.defaults.total_timeout) + PROMPT_MS)
        case PlayStep():
            return PROMPT_MS
        case HttpStep() | MoneyStep():
            return step.timeout
        case _:
            return 0


def _visits(step: Step) -> int:
    if isinstance(step, RepeatStep):
        return step.times + 1
    return step.limit.visits if not isinstance(step, ExitStep) and step.limit is not None else 0


class _TooManyError(Exception):
    """More places than are looked at."""


class _Search:
    """Longest path from a step, by the visits that limited steps have had."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._known: dict[tuple[str, _Counts], int] = {}
        self._places = 0

    def longest(self, start: str) -> int:
        """Walk depth first with a stack of our own: paths are as long as all visits together."""
        root = self._enter(start, ())
        stack = [root]
        while stack:
            place = stack[-1]
            if place in self._known:
                stack.pop()
                continue
            behind = self._behind(place)
            unknown = [target for target in behind if target not in self._known]
            if unknown:
                self._places += len(unknown)
                if self._places > SEARCHED_MAX:
                    raise _TooManyError
                stack += unknown
                continue
            rest = max((self._known[target] for target in behind), default=0)
            self._known[place] = step_ms(self._flow, self._flow.steps[place[0]]) + rest
            stack.pop()
        return self._known[root]

    def _enter(self, name: str, counts: _Counts) -> tuple[str, _Counts]:
        """Count a visit; where the limit is used up go on to where it leads."""
        had = dict(counts)
        for _ in self._flow.steps:
            step = self._flow.steps[name]
            if isinstance(step, ExitStep | RepeatStep) or step.limit is None:
                break
            if had.get(name, 0) < step.limit.visits:
                had[name] = had.get(name, 0) + 1
                break
            name = step.limit.then
        return name, tuple(sorted(had.items()))

    def _behind(self, place: tuple[str, _Counts]) -> set[tuple[str, _Counts]]:
        name, counts = place
        step = self._flow.steps[name]
        if isinstance(step, RepeatStep):
            had = dict(counts)
            had[name] = had.get(name, 0) + 1
            target = step.step if had[name] <= step.times else step.next["done"]
            return {self._enter(target, tuple(sorted(had.items())))}
        by_agent = {"next.agent_redo", "next.agent_cancel", "limit.then"}
        targets = {target for way, target in targets_of(step).items() if way not in by_agent}
        return {self._enter(target, counts) for target in targets}
