"""The resources under /v1, one file each; ``probes`` are open to all and stand apart."""

from typing import Final

from dtmf_shield.api.resources import (
    audit,
    calls,
    captures,
    events,
    flow_bench,
    flows,
    nodes,
    payments,
    recordings,
    webhooks,
)

ROUTERS: Final = tuple(
    module.router
    for module in (calls, captures, payments, recordings, flows, flow_bench, events, webhooks, nodes, audit)
)
