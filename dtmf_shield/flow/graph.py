"""A flow as a graph: nodes and edges as data, as a list of text and as Mermaid; ``drawing.py`` draws it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.steps import (
    CollectStep,
    ExitStep,
    HttpStep,
    MenuStep,
    MoneyStep,
    Step,
    targets_of,
)

_RANK: Final = {"keys": 0, "step": 0, "next": 1, "limit": 2}
_SHAPES: Final = {"menu": ("{{", "}}"), "exit": ("([", "])"), "http": ("[/", "/]")}


@dataclass(frozen=True, slots=True)
class Edge:
    """One way from a step to another, with the outcomes and keys that take it."""

    source: str
    target: str
    label: str


def edges(flow: Flow) -> list[Edge]:
    """Return every way, those between the same two steps as one."""
    found: list[Edge] = []
    for name, step in flow.steps.items():
        by_target: dict[str, list[str]] = {}
        for way, target in _ways_in_order(step):
            by_target.setdefault(target, []).append(_label(way))
        found += [Edge(name, target, ", ".join(labels)) for target, labels in by_target.items()]
    return found


def _label(way: str) -> str:
    group, _, word = way.partition(".")
    return {"keys": f"key {word}", "limit": "limit", "step": "again"}.get(group, word)


def as_data(flow: Flow) -> dict[str, Any]:
    """Return nodes and edges for a program or the web view."""
    nodes = [{"name": name, "do": step.do, "about": about(step)} for name, step in flow.steps.items()]
    return {
        "id": flow.id,
        "title": flow.title,
        "start": flow.start,
        "nodes": nodes,
        "edges": [{"from": edge.source, "to": edge.target, "label": edge.label} for edge in edges(flow)],
    }


def as_json(flow: Flow) -> str:
    """Return nodes and edges as a line of JSON."""
    return json.dumps(as_data(flow)) + "\n"


def about(step: Step) -> str:
    """Return what a step is about, in a word or two."""
    match step:
        case CollectStep():
            return step.field
        case MenuStep():
            return f"{len(step.keys)} options"
        case HttpStep():
            return step.request.hook
        case MoneyStep():
            return step.amount or ""
        case ExitStep():
            return f"{step.result}, to {step.to}"
    return ""


def as_mermaid(flow: Flow) -> str:
    """Return a Mermaid flowchart."""
    # A step may be called "end", which Mermaid keeps for itself: identifiers get a prefix.
    lines = ["flowchart TD", f"    begin((start)) --> s_{flow.start}"]
    for name, step in flow.steps.items():
        left, right = _SHAPES.get(step.do, ("[", "]"))
        said = f"<b>{name}</b><br/>{step.do} {about(step)}".rstrip()
        lines.append(f'    s_{name}{left}"{said}"{right}')
    lines += [f'    s_{edge.source} -->|"{edge.label}"| s_{edge.target}' for edge in edges(flow)]
    return "\n".join(lines) + "\n"


def as_text(flow: Flow) -> str:
    """Return what the drawing shows as a list: each step, and behind it where each of its ways leads."""
    limit = flow.max_duration
    lines = [f"{flow.title} (begins with {flow.start})"]
    lines += [f"after {limit.time // 1000} s -> {limit.then}"] if limit is not None else []
    ways = edges(flow)
    for name in in_order(flow):
        step = flow.steps[name]
        lines.append(f"{name}: {step.do} {about(step)}".rstrip())
        lines += [f"  {edge.label} -> {edge.target}" for edge in ways if edge.source == name]
    return "\n".join(lines) + "\n"


def in_order(flow: Flow) -> list[str]:
    """Return the steps so that each comes before those it leads to, but for ways back; its first way comes next.

    Reverse postorder of a depth-first walk from the start (Hopcroft and Tarjan 1973).
    """
    graph = {
        name: list(dict.fromkeys(target for _, target in _ways_in_order(step)))
        for name, step in flow.steps.items()
    }
    order: list[str] = []
    for root in [flow.start, *flow.steps]:  # what only the end of max_duration leads to comes behind
        if root not in order:
            order += _reverse_postorder(graph, root, set(order))
    return order


def _reverse_postorder(graph: dict[str, list[str]], root: str, done: set[str]) -> list[str]:
    left: list[str] = []
    path = [(root, list(graph[root]))]
    while path:
        name, targets = path[-1]
        if not targets:
            left.append(name)
            done.add(name)
            path.pop()
            continue
        target = targets.pop()  # the first way is walked last, and so stands right behind the step
        if target not in done and all(target != above for above, _ in path):
            path.append((target, list(graph[target])))
    return left[::-1]


def _ways_in_order(step: Step) -> list[tuple[str, str]]:
    """Return the ways of a step: options of a menu before what becomes of no choice, a limit last."""
    return sorted(targets_of(step).items(), key=lambda way: _RANK[way[0].partition(".")[0]])
