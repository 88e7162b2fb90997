"""The graph of a flow: steps and the ways between them, reachability, loops."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.steps import ExitStep, HttpStep, MoneyStep, PlayStep, SetStep, Step, targets_of

PASSES_ALONE: Final = (PlayStep, SetStep, HttpStep)
"""Steps that end by themselves."""


def ways(flow: Flow) -> dict[str, set[str]]:
    """Return each step's next steps."""
    return {name: set(targets_of(step).values()) for name, step in flow.steps.items()}


def ways_through(flow: Flow, kinds: tuple[type, ...]) -> dict[str, set[str]]:
    """Return the next steps of steps of ``kinds``; every other step ends the path."""
    return {name: targets for name, targets in ways(flow).items() if isinstance(flow.steps[name], kinds)}


def implicit_ways(flow: Flow) -> dict[str, set[str]]:
    """Return each step's next steps, with those an agent's request or the end of time adds."""
    graph = ways(flow)
    for name, step in flow.steps.items():
        if isinstance(step, ExitStep):
            continue
        if flow.max_duration is not None and not isinstance(step, MoneyStep):
            graph[name].add(flow.max_duration.then)
    return graph


def reached(graph: dict[str, set[str]], start: Iterable[str], *, avoid: Iterable[str] = ()) -> set[str]:
    """Return every step that a path leads to, ``start`` included; paths do not go through ``avoid``."""
    barred = set(avoid)
    seen: set[str] = set()
    waiting = [name for name in start if name not in barred]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        waiting += [target for target in graph.get(name, ()) if target not in barred]
    return seen


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected components that hold a loop, each in the order of the file (Tarjan 1972)."""
    order = list(graph)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []
    for root in order:
        if root not in index:
            _connect(root, graph, index, low, stack, found)
    return [
        sorted(part, key=order.index) for part in found if len(part) > 1 or part[0] in graph.get(part[0], ())
    ]


def _connect(
    root: str,
    graph: dict[str, set[str]],
    index: dict[str, int],
    low: dict[str, int],
    stack: list[str],
    found: list[list[str]],
) -> None:
    index[root] = low[root] = len(index)
    stack.append(root)
    for target in graph.get(root, ()):
        if target not in index:
            _connect(target, graph, index, low, stack, found)  # at most STEPS_MAX deep
            low[root] = min(low[root], low[target])
        elif target in stack:
            low[root] = min(low[root], index[target])
    if low[root] == index[root]:
        part: list[str] = []
        while not part or part[-1] != root:
            part.append(stack.pop())
        found.append(part)


def steps_of(flow: Flow, wanted: Callable[[Step], bool]) -> list[str]:
    """Return the names of steps that are wanted."""
    return [name for name, step in flow.steps.items() if wanted(step)]
