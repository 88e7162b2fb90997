"""A flow drawn: nodes and edges as data, as Mermaid text, and as SVG with a small layered layout of our own."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any, Final

from dtmf_shield.flow.check.routes import ways
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

BOX_WIDTH, BOX_HEIGHT = 190, 46
GAP_X, GAP_Y = 40, 64
MARGIN: Final = 24
_COLOURS: Final = {
    "collect": "#dbeafe",
    "menu": "#e0e7ff",
    "money": "#dcfce7",
    "http": "#fef3c7",
    "exit": "#e5e7eb",
}
_MONEY: Final = frozenset({"charge", "authorise", "authorize", "tokenize", "verify"})
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
        for way, target in targets_of(step).items():
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


def layers(flow: Flow) -> list[list[str]]:
    """Return the steps in rows: each below every step that leads to it, but for ways back (longest path)."""
    forward = _without_ways_back(flow)
    depth = dict.fromkeys(flow.steps, 0)
    for name in _in_order(flow, forward):
        for target in forward[name]:
            depth[target] = max(depth[target], depth[name] + 1)
    rows: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for name in flow.steps:
        rows[depth[name]].append(name)
    return rows


def _without_ways_back(flow: Flow) -> dict[str, list[str]]:
    """Drop the edges that close a loop in a depth-first walk from the start."""
    graph = {name: sorted(targets, key=list(flow.steps).index) for name, targets in ways(flow).items()}
    forward: dict[str, list[str]] = {name: [] for name in graph}
    done: set[str] = set()
    for root in [flow.start, *graph]:
        path: list[tuple[str, list[str]]] = [] if root in done else [(root, list(graph[root]))]
        while path:
            name, left = path[-1]
            if not left:
                done.add(name)
                path.pop()
                continue
            target = left.pop(0)
            if any(target == above for above, _ in path):
                continue
            forward[name].append(target)
            if target not in done:
                path.append((target, list(graph[target])))
    return forward


def _in_order(flow: Flow, forward: dict[str, list[str]]) -> list[str]:
    """Sort the steps so that every way leads onward (Kahn 1962)."""
    waiting = dict.fromkeys(flow.steps, 0)
    for targets in forward.values():
        for target in targets:
            waiting[target] += 1
    ready = [name for name, count in waiting.items() if count == 0]
    order: list[str] = []
    while ready:
        name = ready.pop(0)
        order.append(name)
        for target in forward[name]:
            waiting[target] -= 1
            if waiting[target] == 0:
                ready.append(target)
    return order


def as_svg(flow: Flow) -> str:
    """Return an SVG drawing, readable on light and dark ground."""
    rows = layers(flow)
    width = max(len(row) for row in rows) * (BOX_WIDTH + GAP_X) - GAP_X + 2 * MARGIN
    places: dict[str, tuple[float, float]] = {}
    for y, row in enumerate(rows):
        left = (width - len(row) * (BOX_WIDTH + GAP_X) + GAP_X) / 2
        for x, name in enumerate(row):
            places[name] = (left + x * (BOX_WIDTH + GAP_X), MARGIN + y * (BOX_HEIGHT + GAP_Y))
    height = MARGIN * 2 + len(rows) * (BOX_HEIGHT + GAP_Y) - GAP_Y
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'font-family="sans-serif" font-size="12"><title>{escape(flow.title)}</title>',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#6b7280"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
    ]
    parts += [_edge_svg(edge, places) for edge in edges(flow)]
    parts += [_box_svg(flow, name, *place) for name, place in places.items()]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _box_svg(flow: Flow, name: str, x: float, y: float) -> str:
    step = flow.steps[name]
    colour = _COLOURS.get("money" if step.do in _MONEY else step.do, "#f9fafb")
    weight = 3 if name == flow.start else 1
    middle = x + BOX_WIDTH / 2
    said = f"{step.do} {about(step)}".strip()
    return (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8" fill="{colour}" '
        f'stroke="#374151" stroke-width="{weight}"/>'
        f'<text x="{middle:.0f}" y="{y + 19:.0f}" text-anchor="middle" font-weight="bold">{escape(name)}</text>'
        f'<text x="{middle:.0f}" y="{y + 36:.0f}" text-anchor="middle" fill="#374151">{escape(said)}</text>'
    )


def _edge_svg(edge: Edge, places: dict[str, tuple[float, float]]) -> str:
    (x1, y1), (x2, y2) = places[edge.source], places[edge.target]
    if y2 > y1:
        start, finish = (x1 + BOX_WIDTH / 2, y1 + BOX_HEIGHT), (x2 + BOX_WIDTH / 2, y2)
        bend = (finish[1] - start[1]) / 2
        curve = f"C{start[0]:.0f} {start[1] + bend:.0f} {finish[0]:.0f} {finish[1] - bend:.0f}"
    else:
        # A way back leaves and arrives at the right side.
        start, finish = (x1 + BOX_WIDTH, y1 + BOX_HEIGHT / 2), (x2 + BOX_WIDTH, y2 + BOX_HEIGHT / 2 + 8)
        out = GAP_X * 0.9
        curve = f"C{start[0] + out:.0f} {start[1]:.0f} {finish[0] + out:.0f} {finish[1]:.0f}"
    at = (start[0] * 0.65 + finish[0] * 0.35, start[1] * 0.65 + finish[1] * 0.35)
    return (
        f'<path d="M{start[0]:.0f} {start[1]:.0f} {curve} {finish[0]:.0f} {finish[1]:.0f}" fill="none" '
        f'stroke="#6b7280" marker-end="url(#tip)"/>'
        f'<text x="{at[0]:.0f}" y="{at[1]:.0f}" font-size="10" text-anchor="middle" fill="#6b7280" '
        f'paint-order="stroke" stroke="#ffffff" stroke-width="3">{escape(edge.label)}</text>'
    )
