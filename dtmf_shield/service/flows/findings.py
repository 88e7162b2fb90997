"""What a flow asks of this configuration that it has not: hooks, gateways, and a strictness that no call keeps.

A flow file alone may be right and still not run here. What is found keeps the flow from being begun: nothing that a
flow says of who may hear or see what is passed over in silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dtmf_shield.base.config import Config
from dtmf_shield.flow.finding import closest, listing
from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.steps import HttpStep, MoneyStep

DEFAULT_GATEWAY: Final = "default"
_STRICTNESS: Final = {"beep": 1, "tone": 1, "flat_tone": 1, "noise": 2, "comfort_noise": 2, "silence": 3}
"""What is heard in place of a key, by how much less it tells; words of the configuration and of flows."""


def findings(flow: Flow, config: Config) -> list[str]:
    """Return a sentence for each thing that keeps the flow from running with this configuration."""
    return [*_hooks(flow, config), *_gateways(flow, config), *_masking(flow, config)]


def _hooks(flow: Flow, config: Config) -> Iterator[str]:
    names = [hook.name for hook in config.hooks]
    for step_name, step in flow.steps.items():
        if isinstance(step, HttpStep) and step.request.hook not in names:
            wanted = step.request.hook
            meant = closest(wanted, names)
            hint = f"; did you mean {meant}?" if meant else ""
            yield (
                f"flow {flow.id}: steps.{step_name}.request.hook: no hook is named {wanted!r}; "
                f'allowed: {listing(names)}{hint}; add [[hooks]] with name = "{wanted}" to the configuration'
            )


def _gateways(flow: Flow, config: Config) -> Iterator[str]:
    allowed = (DEFAULT_GATEWAY, config.gateway.label)
    fallback = config.fallback_gateway
    for step_name, step in flow.steps.items():
        if not isinstance(step, MoneyStep) or step.gateway in allowed:
            continue
        found = f"no gateway is named {step.gateway!r}"
        if fallback is not None and step.gateway == fallback.label:
            found = (
                f"{step.gateway!r} is the fallback, which is asked where the first has certainly done nothing"
            )
        yield f"flow {flow.id}: steps.{step_name}.gateway: {found}; allowed: {listing(allowed)}"


def _masking(flow: Flow, config: Config) -> Iterator[str]:
    masking, style = flow.masking, config.media.mask_style
    key = f"flow {flow.id}: masking"
    heard = masking.agent_hears
    # Without an agent on the line there is nobody to hear it.
    if flow.mode == "agent_assisted" and heard is not None and _STRICTNESS[heard] > _STRICTNESS[style]:
        yield (
            f'{key}.agent_hears: {heard} is stricter than media.mask_style = "{style}", which holds for every '
            f"call; set media.mask_style to {_style_of(heard)}, or say what it says"
        )
    if flow.mode == "agent_assisted" and not masking.agent_hears_caller:
        yield f"{key}.agent_hears_caller: false is not served: voice passes, keys do not; allowed: true"
    if flow.mode == "agent_assisted" and not masking.caller_hears_agent:
        yield f"{key}.caller_hears_agent: false is not served; allowed: true"
    if masking.recording == "pause" and config.recording.enabled:
        yield (
            f"{key}.recording: pause is not served: the masked conversation is recorded whole; allowed: mask, or "
            "recording.enabled = false"
        )


def _style_of(heard: str) -> str:
    return {"silence": '"silence"', "comfort_noise": '"noise"', "flat_tone": '"tone"'}[heard]
