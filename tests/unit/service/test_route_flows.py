"""Configuration and flows together: modes, flows that begin by themselves, targets of transfers."""

from pathlib import Path

import pytest

from dtmf_shield.base.config import AgentSection, CaptureSection, Config, RouteSection
from dtmf_shield.flow.loader import load_flow
from dtmf_shield.service import start
from dtmf_shield.service.flows.routes import findings

ROOT = Path(__file__).parents[3]
ALONE = (ROOT / "tests" / "unit" / "call" / "pay-alone.yaml").read_text("utf-8")
ASSISTED = (ROOT / "ivr_flows" / "card-tokenize-agent.yaml").read_text("utf-8")
DEFAULT = Config().capture.default_flow
AGENTS = [AgentSection(name=name, address="127.0.0.1:5070") for name in ("agent", "help")]


def flows(*texts):
    found = [load_flow(text, file="flow") for text in (ASSISTED, *texts)]
    return {flow.id: flow for flow in found}


def config(**route):
    return Config(agents=AGENTS, routes=[RouteSection(dialled="8000", **route)])


def test_a_route_to_a_self_service_flow_has_no_finding():
    assert findings(config(flow="pay-alone"), flows(ALONE)) == []


def test_a_target_that_the_configuration_has_not_is_named_with_flow_step_and_what_is_allowed():
    lost = ALONE.replace(
        "result: failed, to: queue, target: help", "result: failed, to: queue, target: halp", 1
    )

    (finding,) = findings(config(flow="pay-alone"), flows(lost))

    for part in ("flow 'pay-alone'", "step 'to_queue'", "'halp'", "allowed: agent, help"):
        assert part in finding


def test_a_self_service_flow_that_no_route_names_may_name_what_is_not_there():
    lost = ALONE.replace("target: help", "target: halp")

    assert findings(config(agent="agent"), flows(lost)) == []


def test_an_agents_flow_is_checked_too_and_needs_no_target_for_the_agent():
    lost = ASSISTED.replace(
        "{do: exit, result: cancelled}", "{do: exit, result: cancelled, to: queue, target: x}"
    )
    known = {flow.id: flow for flow in [load_flow(lost, file="flow")]}

    (finding,) = findings(config(agent="agent"), known)

    assert "step 'cancelled': target 'x'" in finding


@pytest.mark.parametrize(
    ("route", "key", "mode"),
    [
        ({"flow": DEFAULT}, "routes[0].flow", "self_service"),
        ({"agent": "agent", "capture": "pay-alone"}, "routes[0].capture", "agent_assisted"),
    ],
)
def test_a_flow_of_the_other_mode_is_refused_where_it_begins_by_itself(route, key, mode):
    (finding,) = findings(config(**route), flows(ALONE))

    assert finding.startswith(f"{key}: ")
    assert f"one with mode: {mode}" in finding


def test_a_flow_that_is_not_there_and_one_that_needs_an_input_are_findings():
    wanting = ALONE.replace("fields:", "inputs:\n  account: {type: text, required: true}\nfields:", 1)

    (unknown,) = findings(config(flow="nope"), flows(ALONE))
    (needs,) = findings(config(flow="pay-alone"), flows(wanting))

    assert unknown.startswith("routes[0].flow: no flow has the id 'nope'; flows are: ")
    assert "account" in needs


def test_check_reports_them(tmp_path):
    (tmp_path / "a.yaml").write_text(ASSISTED)
    (tmp_path / "b.yaml").write_text(ALONE.replace("target: help", "target: halp"))
    wrong = Config(
        agents=AGENTS,
        routes=[RouteSection(dialled="8000", flow="pay-alone")],
        capture=CaptureSection(flows_directory=str(tmp_path)),
    )

    found = start.check(wrong, tmp_path)

    assert [finding.split(":")[0] for finding in found] == [
        "flow 'pay-alone', step 'transfer'",
        "flow 'pay-alone', step 'to_queue'",
        "flow 'pay-alone', step 'unsure'",
    ]
