"""The resources under /v1, one file each; ``probes`` are open to all and stand apart."""

from typing import Final

from dtmf_shield.api.resources import calls, captures, events, flows, payments, webhooks

ROUTERS: Final = tuple(module.router for module in (calls, captures, payments, flows, events, webhooks))
