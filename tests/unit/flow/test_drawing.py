"""The drawing of a flow: nothing overlaps, nothing is told by colour alone, its description is the same as a list."""

import itertools
import xml.etree.ElementTree as ET

import pytest

from dtmf_shield.flow.drawing import CHARACTER, as_svg, layout, said_of, words_of
from dtmf_shield.flow.graph import as_text, edges, in_order
from tests.unit.flow.shipped import FLOWS

SVG = "{http://www.w3.org/2000/svg}"
NAMES = sorted(FLOWS)


def drawn(flow):
    return ET.fromstring(as_svg(flow))  # noqa: S314 - drawn here


@pytest.mark.parametrize("name", NAMES)
def test_every_step_and_every_way_is_drawn_once_and_written_out(name):
    flow = FLOWS[name]

    svg = drawn(flow)

    texts = [text.text for text in svg.findall(f"{SVG}text")]
    assert len(svg.findall(f"{SVG}rect")) == len(flow.steps) + 1
    assert len(svg.findall(f"{SVG}path")) == len(edges(flow))
    assert sorted(text for text in texts if "\u2192" in text) == sorted(
        words_of(edge) for edge in edges(flow)
    )
    assert all(step in texts and said_of(model) in texts for step, model in flow.steps.items())


def test_the_longest_duration_is_written_above_the_first_step():
    """It leads to a step from wherever the flow is, so no line can tell it."""
    flow = FLOWS["card-payment-agent"]

    said = drawn(flow).findall(f"{SVG}text")[0]

    assert said.text == "after 900 s, wherever it is: hand_back"
    assert float(said.get("y")) < layout(flow).rows[0].top
    assert float(said.get("x")) + len(said.text) * CHARACTER < layout(flow).width


@pytest.mark.parametrize("name", NAMES)
def test_nothing_overlaps(name):
    placed = layout(FLOWS[name])

    for above, below in itertools.pairwise(placed.rows):
        assert above.top + above.height < below.top
    for row in placed.rows:
        assert all(row.top < row.way(at) < row.top + row.height for at in range(len(row.ways)))
        for edge in row.ways:
            words_end = placed.words_left + len(words_of(edge)) * CHARACTER
            assert all(words_end < placed.lane(target) <= placed.width for target in placed.lanes)


@pytest.mark.parametrize("name", NAMES)
def test_two_targets_share_no_lane_at_one_height(name):
    placed = layout(FLOWS[name])
    rows = {row.name: row for row in placed.rows}
    spans = {}
    for row, below in itertools.pairwise([*placed.rows, None]):
        for at, edge in enumerate(row.ways):
            if below is None or edge.target != below.name:
                spans.setdefault(edge.target, []).extend([row.way(at), rows[edge.target].entry])

    for one, other in itertools.combinations(spans, 2):
        apart = max(spans[one]) < min(spans[other]) or max(spans[other]) < min(spans[one])
        assert apart or placed.lanes[one] != placed.lanes[other]


@pytest.mark.parametrize("name", NAMES)
def test_the_first_way_is_the_step_below_where_no_other_comes_first(name):
    flow, order = FLOWS[name], in_order(FLOWS[name])

    assert order[0] == flow.start
    assert sorted(order) == sorted(flow.steps)
    onward = [edge for edge in edges(flow) if order.index(edge.target) > order.index(edge.source)]
    assert len(onward) > len(edges(flow)) / 2


def test_the_description_is_the_same_as_a_list():
    flow = FLOWS["card-payment-agent"]

    svg = drawn(flow)

    assert svg.find(f"{SVG}desc").text == as_text(flow)
    assert svg.find(f"{SVG}title").text == flow.title
    assert svg.get("aria-labelledby") == "title list"


def test_dark_ground_has_its_own_colours():
    style = drawn(FLOWS["card-on-file"]).find(f"{SVG}style").text
    light, _, dark = style.partition("@media (prefers-color-scheme: dark)")

    for kind in (".ground", ".box", ".collect", ".menu", ".http", ".money", ".exit", ".line", ".tip"):
        assert kind in light
        assert kind in dark
