"""Views of flows for those who write them: versions, texts, findings, pictures, transcripts. No call is in them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import PlainSerializer, WithJsonSchema

from dtmf_shield.api.views.words import NO_LONG_RUN, Prose, Step, View, without_long_runs

TEXT_CHARACTERS_MAX: Final = 200_000
"""As long a flow as the loader takes."""
SVG_CHARACTERS_MAX: Final = 2_000_000


def _schema(characters_max: int) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": NO_LONG_RUN, "maxLength": characters_max})


SourceText = Annotated[str, PlainSerializer(without_long_runs, return_type=str), _schema(TEXT_CHARACTERS_MAX)]
"""Text of a flow file: no run of digits in it is long enough for a card."""
Svg = Annotated[str, PlainSerializer(without_long_runs, return_type=str), _schema(SVG_CHARACTERS_MAX)]
"""A drawing of a flow, SVG 2."""


class FlowVersionView(View):
    """A flow of the service, in the version that calls begin with now."""

    id: Prose
    title: Prose
    version: Prose
    """Of its text's fingerprint; names of copies in the state directory and rows of the audit log have it too."""
    mode: Literal["agent_assisted", "self_service"]
    languages: tuple[Prose, ...]
    steps: int
    served: bool
    """Whether a call can begin with it; if not, ``reasons`` say what the configuration lacks."""
    reasons: tuple[Prose, ...] = ()


class FlowVersionList(View):
    """Every flow of the service, by name."""

    flows: tuple[FlowVersionView, ...]


class FlowSourceView(View):
    """The text of a flow as calls run it. ``drawn_over``: a long number in it is shown as dots."""

    id: Prose
    version: Prose
    text: SourceText
    drawn_over: bool = False


class GraphNodeView(View):
    """A step: its name, what it does, and about what."""

    name: Step
    do: Prose
    about: Prose = ""


class GraphWayView(View):
    """A way from a step to another, with the outcomes and keys that take it."""

    source: Step
    target: Step
    label: Prose


class FlowGraphView(View):
    """What a flow's picture shows, as data."""

    id: Prose
    title: Prose
    start: Step
    nodes: tuple[GraphNodeView, ...]
    edges: tuple[GraphWayView, ...]


class FindingView(View):
    """Something wrong with a flow's text, or to be made better. ``line`` and ``column`` begin with 1."""

    file: Prose
    line: int
    column: int
    severity: Literal["error", "warning"]
    rule: Prose
    key: Prose
    """Where in the flow, as ``steps.card.next``."""
    found: Prose
    allowed: Prose
    suggestion: Prose = ""
    """The nearest word that is allowed, or empty."""


class FlowCheckView(View):
    """Every finding, in the order of the text."""

    findings: tuple[FindingView, ...]


class FlowDrawingView(View):
    """The picture of a text. Both null or empty where it has errors."""

    graph: FlowGraphView | None = None
    svg: Svg = ""


class TranscriptLineView(View):
    """One thing that happens in a simulation. Keys are bullets. ``at_s``: virtual time."""

    at_s: float
    verb: Prose
    text: Prose


class TranscriptView(View):
    """A simulation from beginning to end. ``ended``: whether the flow came to an exit."""

    lines: tuple[TranscriptLineView, ...]
    ended: bool


def drawn_picture(svg: str) -> str:
    """Return a drawing as it may leave."""
    return without_long_runs(svg)[:SVG_CHARACTERS_MAX]


def flow_source(flow_id: str, version: str, text: str) -> FlowSourceView:
    """Return a flow's text, and whether something in it is drawn over."""
    return FlowSourceView(id=flow_id, version=version, text=text, drawn_over=without_long_runs(text) != text)
