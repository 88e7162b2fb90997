"""Whether play phones may be there at all: no real gateway, and nothing but this machine on any side."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from dtmf_shield.base.config import Config
from dtmf_shield.base.config_forms import split_host_port


def findings(config: Config) -> list[str]:
    """Return one sentence for each thing of the configuration that forbids play phones; none: they may be there."""
    found = []
    if config.gateway.kind != "embedded":
        found.append(
            f"gateway.kind: found {config.gateway.kind!r}; the play page works with 'embedded' alone"
        )
    found += [
        f"{key}: found {address!r}; the play page works where this is a loopback address"
        for key, address in _addresses(config)
        if not ipaddress.ip_network(address).is_loopback
    ]
    if config.api.public_url is not None or config.api.tls_certificate_file or config.api.behind_proxy:
        found.append("api: found a public address; the play page works on plain loopback alone")
    if not any(":" not in split_host_port(entry)[0] for entry in config.sip.listen):
        found.append("sip.listen: the play page's phones call an IPv4 address; add 127.0.0.1:5060")
    return found


def _addresses(config: Config) -> Iterator[tuple[str, str]]:
    yield from (("sip.listen", split_host_port(entry)[0]) for entry in config.sip.listen)
    yield "api.listen", split_host_port(config.api.listen)[0]
    yield "media.address", config.media.address
    for trunk in config.trunks:
        yield from (("trunks.networks", network) for network in trunk.networks)
    yield from (("agents.address", split_host_port(agent.address)[0]) for agent in config.agents)
