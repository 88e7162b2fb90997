"""The resources under /v1, one file each, and the probes."""

from typing import Final

from dtmf_shield.api.resources import calls, captures, events, flows, probes, reports

ROUTERS: Final = tuple(module.router for module in (calls, captures, flows, events, reports, probes))
