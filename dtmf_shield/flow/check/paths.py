"""Whether every path ends, every step is reached, no loop is endless, and nothing is keyed unmasked."""

from __future__ import annotations

from collections.abc import Iterator

from dtmf_shield.flow.check.routes import cycles, implicit_ways, steps_of, ways
from dtmf_shield.flow.check.routes import reached as reached_from
from dtmf_shield.flow.finding import Finding
from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.steps import (
    CollectStep,
    ExitStep,
    HttpStep,
    MenuStep,
    MoneyStep,
    PlayStep,
    RepeatStep,
    SetStep,
    Step,
    TransferStep,
    targets_of,
)


def reached(flow: Flow) -> Iterator[Finding]:
    """A path leads to every step, from the start or from the end of max_duration."""
    starts = [flow.start] + ([flow.max_duration.then] if flow.max_duration is not None else [])
    for name in flow.steps.keys() - reached_from(ways(flow), starts):
        allowed = "a next that names it, or no such step"
        yield Finding("unreachable", ("steps", name), f"{name}, which no path leads to", allowed)


def way_out(flow: Flow) -> Iterator[Finding]:
    """From every step a path leads to an exit."""
    backwards: dict[str, set[str]] = {name: set() for name in flow.steps}
    for name, targets in ways(flow).items():
        for target in targets:
            backwards[target].add(name)
    exits = steps_of(flow, lambda step: isinstance(step, ExitStep | TransferStep))
    for name in flow.steps.keys() - reached_from(backwards, exits):
        yield Finding(
            "no-exit", ("steps", name), f"{name}, from which no path leads to an exit", "a way to an exit"
        )
    if not steps_of(flow, lambda step: isinstance(step, ExitStep)):
        yield Finding("no-exit", ("steps",), "no exit", "at least one step with do: exit")


def is_bounded(step: Step) -> bool:
    """Whether a step can be entered only so often."""
    return isinstance(step, RepeatStep | ExitStep) or step.limit is not None


def _free_ways(flow: Flow) -> dict[str, set[str]]:
    """Return the ways that count for loops: not those an agent asks for, not through steps that bound themselves.

    An agent's redo is a person's choice each time and within max_duration; a limit bounds every loop through its step.
    """
    graph: dict[str, set[str]] = {}
    for name, step in flow.steps.items():
        by_agent = {"next.agent_redo", "next.agent_cancel"}
        targets = {t for way, t in targets_of(step).items() if way not in by_agent}
        graph[name] = set() if is_bounded(step) else {t for t in targets if not is_bounded(flow.steps[t])}
    return graph


def loops(flow: Flow) -> Iterator[Finding]:
    """Every loop goes through a step with a limit, or a repeat: callers and networks try for ever."""
    for loop in cycles(_free_ways(flow)):
        found = f"the loop {' -> '.join([*loop, loop[0]])}"
        allowed = "a limit: {visits: 3, then: STEP} on one of its steps, or a repeat"
        yield Finding("endless-loop", ("steps", loop[0]), found, allowed)


def cancel(flow: Flow) -> Iterator[Finding]:
    """Where an agent is on the line, every step that asks the caller for something can be cancelled."""
    if flow.mode != "agent_assisted":
        return
    for name, step in flow.steps.items():
        if isinstance(step, CollectStep | MenuStep) and "agent_cancel" not in step.next:
            allowed = "next.agent_cancel, as an agent is on the line"
            yield Finding("agent-cancel", ("steps", name, "next"), "no agent_cancel", allowed)


def masked(flow: Flow) -> Iterator[Finding]:
    """No path lets a caller key while nothing masks: what is said before a masked step is where callers key ahead.

    With scope whole_flow every step is masked. With collect_steps the mask begins with the first step that takes keys
    and stays to the end; so what may be keyed ahead of that step must not lead straight to it.
    """
    if flow.masking.scope == "whole_flow":
        return
    graph = implicit_ways(flow)
    takes_keys = steps_of(flow, lambda step: isinstance(step, CollectStep | MenuStep | MoneyStep))
    unmasked = reached_from(graph, [flow.start], avoid=takes_keys)
    for name in sorted(unmasked):
        step = flow.steps[name]
        waits = isinstance(step, PlayStep) or (isinstance(step, HttpStep) and step.while_waiting is not None)
        silent = isinstance(step, HttpStep | SetStep | ExitStep)
        if (waits or not silent) and _leads_to_keys(flow, graph, name, set(takes_keys)):
            found = f"{name} is not masked, and callers may key ahead there"
            yield Finding("mask-skipped", ("masking", "scope"), found, "scope: whole_flow")


def _leads_to_keys(flow: Flow, graph: dict[str, set[str]], name: str, takes_keys: set[str]) -> bool:
    keeps = {step for step in takes_keys if getattr(flow.steps[step], "type_ahead", "drop") == "keep"}
    return bool(reached_from(graph, [name]) & keeps)
