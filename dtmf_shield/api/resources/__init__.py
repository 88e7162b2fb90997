"""The resources under /v1, one file each; ``probes`` are open to all and stand apart."""

from typing import Final

from dtmf_shield.api.resources import (
    account,
    audit,
    calls,
    captures,
    events,
    flow_bench,
    flows,
    keys,
    me,
    nodes,
    payments,
    recordings,
    reports,
    sessions,
    test_calls,
    users,
    webhooks,
)

ROUTERS: Final = tuple(
    module.router
    for module in (
        calls,
        captures,
        payments,
        recordings,
        reports,
        flows,
        flow_bench,
        test_calls,
        events,
        me,
        account,
        users,
        sessions,
        keys,
        webhooks,
        nodes,
        audit,
    )
)
