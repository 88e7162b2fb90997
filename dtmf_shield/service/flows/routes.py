"""Whether configuration and flows agree: flows that begin by themselves exist and can, targets of transfers exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dtmf_shield.base.config import Config
from dtmf_shield.flow.finding import listing
from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.steps import ExitStep, TransferStep
from dtmf_shield.service.flows import findings as flow_findings


def findings(config: Config, flows: Mapping[str, Flow]) -> list[str]:
    """Return one sentence a finding. ``flows``: all that the service serves, by id."""
    found = [*_unsuited(config, flows), *_unfit(config, flows)]
    answering = {route.flow for route in config.routes}
    agents = sorted(agent.name for agent in config.agents)
    for flow in flows.values():
        # A self-service flow that no route names cannot begin: what it names need not exist.
        if flow.mode == "agent_assisted" or flow.id in answering:
            found += _lost_targets(flow, agents)
    return found


def _unsuited(config: Config, flows: Mapping[str, Flow]) -> Iterator[str]:
    wanted = [("capture.default_flow", config.capture.default_flow, "agent_assisted")]
    for index, route in enumerate(config.routes):
        if route.capture:
            wanted.append((f"routes[{index}].capture", route.capture, "agent_assisted"))
        if route.flow:
            wanted.append((f"routes[{index}].flow", route.flow, "self_service"))
    for key, name, mode in wanted:
        flow = flows.get(name)
        if flow is None:
            yield f"{key}: no flow has the id {name!r}; flows are: {', '.join(sorted(flows)) or 'none'}"
        elif flow.mode != mode:
            meant = listing(sorted(other.id for other in flows.values() if other.mode == mode))
            yield f"{key}: flow {name!r} has mode: {flow.mode}; allowed here: one with mode: {mode}: {meant}"
        elif unfit := flow_findings.findings(flow, config):
            yield from (f"{key}: {finding}" for finding in unfit)
        elif flow.needs_amount or flow.asked_inputs:
            needed = ", ".join(flow.asked_inputs) or "an amount"
            yield (
                f"{key}: flow {name!r} needs an amount or a reference ({needed}), which nobody can say here; give the "
                "flow a fixed one, take it from a SIP header (from: header), or start it through the API"
            )


def _unfit(config: Config, flows: Mapping[str, Flow]) -> list[str]:
    """Return what keeps flows of one's own from running. Of the shipped ones only those that are named must run."""
    if not config.capture.flows_directory:
        return []
    told = {
        config.capture.default_flow,
        *(name for route in config.routes for name in (route.capture, route.flow)),
    }
    others = [flow for name, flow in sorted(flows.items()) if name not in told]
    return [finding for flow in others for finding in flow_findings.findings(flow, config)]


def _lost_targets(flow: Flow, agents: list[str]) -> Iterator[str]:
    for name, step in flow.steps.items():
        if not isinstance(step, TransferStep | ExitStep):
            continue
        if step.target is not None and step.target not in agents:
            yield (
                f"flow {flow.id!r}, step {name!r}: target {step.target!r} is no [[agents]] entry of the configuration; "
                f"allowed: {listing(agents)}; add one of that name, or name one of these"
            )
