"""What a flow asks of this configuration that it has not: hooks and gateways.

A flow file alone may be right and still not run here. What is found keeps the flow from being begun.
"""

from __future__ import annotations

from collections.abc import Iterator

from dtmf_shield.base.config import Config
from dtmf_shield.flow.finding import closest, listing
from dtmf_shield.flow.language import Flow
from dtmf_shield.flow.language.steps import DEFAULT_GATEWAY, HttpStep, MoneyStep


def findings(flow: Flow, config: Config, gateways: tuple[str, ...] = ()) -> list[str]:
    """Return a sentence for each thing that keeps the flow from running with this configuration.

    ``gateways``: names of those that payments have by now, where a reload may have changed them.
    """
    return [*_hooks(flow, config), *_gateways(flow, gateways or _named(config))]


def _named(config: Config) -> tuple[str, ...]:
    fallback = config.fallback_gateway
    return (config.gateway.label,) if fallback is None else (config.gateway.label, fallback.label)


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


def _gateways(flow: Flow, gateways: tuple[str, ...]) -> Iterator[str]:
    allowed = (DEFAULT_GATEWAY, *gateways)
    for step_name, step in flow.steps.items():
        if isinstance(step, MoneyStep) and step.gateway not in allowed:
            meant = closest(step.gateway, allowed)
            hint = f"; did you mean {meant}?" if meant else ""
            yield (
                f"flow {flow.id}: steps.{step_name}.gateway: no gateway is named {step.gateway!r}; "
                f"allowed: {listing(allowed)}{hint}"
            )
