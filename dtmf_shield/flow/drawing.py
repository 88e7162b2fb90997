"""A flow as SVG: one column of steps, every way written out beside its step and led to its target in a lane of its own.

Nothing overlaps by construction: boxes have their column, the words of the ways another, and behind them each target
has a vertical lane that all ways to it share. Colours follow the reader's dark or light ground; none means anything
that a word does not say too. The same content as a list is in the drawing's description.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Final

from dtmf_shield.flow.graph import Edge, about, as_text, edges, in_order
from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.steps import ExitStep, MoneyStep, Step

MARGIN: Final = 24
LINE: Final = 18
"""Height of one line of text."""
GAP: Final = 26
"""Between two steps: room for the arrow onward."""
LANE: Final = 14
CHARACTER: Final = 7.4
"""Width of a character at 12 px, on the safe side: fonts differ."""
BOX_LINES: Final = 2

_STYLE: Final = """<style>
.ground{fill:#ffffff} text{fill:#1f2937} .said{fill:#374151} .way{fill:#374151}
.box{fill:#f9fafb;stroke:#4b5563} .collect{fill:#dbeafe} .menu{fill:#e0e7ff} .http{fill:#fef3c7}
.money{fill:#dcfce7;stroke:#15803d;stroke-width:2} .exit{fill:#e5e7eb;stroke-dasharray:5 3} .start{stroke-width:3}
.line{fill:none;stroke:#6b7280} .back{stroke-dasharray:4 3} .tip{fill:#6b7280}
@media (prefers-color-scheme: dark){
.ground{fill:#111827} text{fill:#f3f4f6} .said{fill:#d1d5db} .way{fill:#d1d5db}
.box{fill:#1f2937;stroke:#9ca3af} .collect{fill:#1e3a5f} .menu{fill:#312e60} .http{fill:#4a3a10}
.money{fill:#14432a;stroke:#4ade80} .exit{fill:#374151} .line{stroke:#9ca3af} .tip{fill:#9ca3af}}
</style>"""
_TIP: Final = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto-start-reverse"><path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>'
)


@dataclass(frozen=True, slots=True)
class Row:
    """One step's place: its box and the ways out of it, in pixels from the top."""

    name: str
    ways: tuple[Edge, ...]
    top: float
    height: float

    @property
    def entry(self) -> float:
        """Where a lane arrives: above the words of the row."""
        return self.top + LINE / 2

    def way(self, place: int) -> float:
        """The middle of one way's words."""
        return self.top + LINE * (place + 1.5)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is, in pixels. ``lanes``: target to the place of its lane, from the left."""

    rows: tuple[Row, ...]
    box_width: float
    words_width: float
    lanes: dict[str, int]
    above: str = ""
    """What is written above the first step."""

    @property
    def words_left(self) -> float:
        """Where the words of the ways begin."""
        return MARGIN + self.box_width + 12

    def lane(self, target: str) -> float:
        """Where a target's lane is."""
        return self.words_left + self.words_width + LANE * (self.lanes[target] + 1)

    @property
    def width(self) -> float:
        """Of the whole drawing."""
        lanes = self.words_left + self.words_width + LANE * (max(self.lanes.values(), default=0) + 1)
        return max(lanes, MARGIN + len(self.above) * CHARACTER) + MARGIN

    @property
    def height(self) -> float:
        """Of the whole drawing."""
        last = self.rows[-1]
        return last.top + last.height + MARGIN


def layout(flow: Flow) -> Layout:
    """Place the steps of a flow."""
    order, every = in_order(flow), edges(flow)
    rows: list[Row] = []
    top = float(MARGIN + LINE)
    for name in order:
        ways = tuple(edge for edge in every if edge.source == name)
        height = max(LINE * (BOX_LINES + 0.7), LINE * (len(ways) + 1.3))
        rows.append(Row(name, ways, top, height))
        top += height + GAP
    texts = [text for name in order for text in (name, said_of(flow.steps[name]))]
    box_width = max(len(text) for text in texts) * CHARACTER + 24
    words_width = max((len(words_of(edge)) for edge in every), default=0) * CHARACTER + 12
    limit = flow.max_duration
    above = f"after {limit.time // 1000} s, wherever it is: {limit.then}" if limit is not None else ""
    return Layout(tuple(rows), box_width, words_width, _lanes(rows), above)


def _lanes(rows: list[Row]) -> dict[str, int]:
    """Give each target that is not simply the next step the nearest lane that is free over its whole length."""
    place = {row.name: at for at, row in enumerate(rows)}
    spans: dict[str, tuple[int, int]] = {}
    for row in rows:
        for edge in row.ways:
            if _leads_on(place, edge):
                continue
            low, high = spans.get(edge.target, (place[edge.target], place[edge.target]))
            spans[edge.target] = (min(low, place[row.name]), max(high, place[row.name]))
    taken: list[list[tuple[int, int]]] = []
    lanes: dict[str, int] = {}
    for target, span in sorted(spans.items(), key=lambda each: (each[1][1] - each[1][0], place[each[0]])):
        at = next(
            (
                at
                for at, lane in enumerate(taken)
                if all(span[1] < low or span[0] > high for low, high in lane)
            ),
            len(taken),
        )
        if at == len(taken):
            taken.append([])
        taken[at].append(span)
        lanes[target] = at
    return lanes


def _leads_on(place: dict[str, int], edge: Edge) -> bool:
    return place[edge.target] == place[edge.source] + 1


def said_of(step: Step) -> str:
    """Return the second line of a box: what the step does, in words."""
    return f"{step.do} {about(step)}".strip()


def words_of(edge: Edge) -> str:
    """Return what stands beside a step for one way."""
    return f"{edge.label} \u2192 {edge.target}"


def as_svg(flow: Flow) -> str:
    """Return an SVG drawing, readable on light and dark ground."""
    placed = layout(flow)
    rows = {row.name: row for row in placed.rows}
    place = {row.name: at for at, row in enumerate(placed.rows)}
    size = f"{placed.width:.0f} {placed.height:.0f}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img" aria-labelledby="title list" '
        f'font-family="sans-serif" font-size="12"><title id="title">{escape(flow.title)}</title>'
        f'<desc id="list">{escape(as_text(flow))}</desc>',
        _STYLE,
        _TIP,
        f'<rect class="ground" width="{placed.width:.0f}" height="{placed.height:.0f}"/>',
    ]
    if placed.above:
        parts.append(f'<text class="way" x="{MARGIN}" y="{MARGIN + 4}">{escape(placed.above)}</text>')
    for row in placed.rows:
        for at, edge in enumerate(row.ways):
            way_on = _leads_on(place, edge)
            parts.append(_arrow(placed, row) if way_on else _way(placed, row, at, rows[edge.target], edge))
            parts.append(_words(placed, row, at, edge))
    parts += [_box(flow, row, placed.box_width) for row in placed.rows]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _box(flow: Flow, row: Row, width: float) -> str:
    step = flow.steps[row.name]
    kinds = ["box", "money" if isinstance(step, MoneyStep) else step.do]
    kinds += ["start"] if row.name == flow.start else []
    rounded = row.height / 2 if isinstance(step, ExitStep) else 8
    middle, upper = MARGIN + width / 2, row.top + row.height / 2
    return (
        f'<rect class="{" ".join(kinds)}" x="{MARGIN}" y="{row.top:.0f}" width="{width:.0f}" '
        f'height="{row.height:.0f}" rx="{rounded:.0f}"/>'
        f'<text x="{middle:.0f}" y="{upper - 3:.0f}" text-anchor="middle" font-weight="bold">{escape(row.name)}</text>'
        f'<text class="said" x="{middle:.0f}" y="{upper + 14:.0f}" text-anchor="middle">{escape(said_of(step))}</text>'
    )


def _words(placed: Layout, row: Row, at: int, edge: Edge) -> str:
    y = row.way(at) + 4
    return f'<text class="way" x="{placed.words_left:.0f}" y="{y:.0f}">{escape(words_of(edge))}</text>'


def _arrow(placed: Layout, row: Row) -> str:
    """Draw the way to the step below."""
    x, y = MARGIN + placed.box_width / 2, row.top + row.height
    return f'<path class="line" d="M{x:.0f} {y:.0f}V{y + GAP:.0f}" marker-end="url(#tip)"/>'


def _way(placed: Layout, row: Row, at: int, target: Row, edge: Edge) -> str:
    """Draw a way from its words to the target's lane, a dot where it joins, and into the target from the right."""
    left = placed.words_left + len(words_of(edge)) * CHARACTER + 4
    lane, y = placed.lane(edge.target), row.way(at)
    back = " back" if target.top <= row.top else ""
    box = MARGIN + placed.box_width
    return (
        f'<path class="line{back}" d="M{left:.0f} {y:.0f}H{lane:.0f}V{target.entry:.0f}H{box:.0f}" '
        f'marker-end="url(#tip)"/><circle class="tip" cx="{lane:.0f}" cy="{y:.0f}" r="2.5"/>'
    )
