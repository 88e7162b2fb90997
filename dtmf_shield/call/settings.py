"""Who may call, who is called, and how long things may take: the configuration as the call core needs it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dtmf_shield.flow.language import Flow
from dtmf_shield.model.stream import Codec
from dtmf_shield.sip.events import Address

ADMISSIONS_REMEMBERED: Final = 4_096
"""Source addresses whose verdict is kept; the table is emptied when full."""
ARM_TIMEOUT_S: Final = 5.0
"""A capture that media and cde have not armed by then is interrupted."""

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Trunk:
    """Where callers come from. ``pass_headers`` are canonical names copied to the agent's INVITE."""

    name: str
    networks: tuple[IpNetwork, ...]
    accept_info: bool = True
    pass_headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentTarget:
    """Where calls go. ``host`` is a literal address."""

    name: str
    user: str
    host: str
    port: int

    @property
    def address(self) -> Address:
        """Host and port."""
        return Address(self.host, self.port)


@dataclass(frozen=True, slots=True)
class Route:
    """``dialled``: a user part, a prefix ending in ``*``, or ``*``. ``engage_flow`` starts upon answer.

    ``agent`` None: we answer, and ``engage_flow`` serves the caller.
    """

    dialled: str
    agent: str | None
    engage_flow: str | None = None
    language: str = ""
    """Language of its calls, for flows that take it from the call."""

    def matches(self, user: str) -> bool:
        """Whether the dialled user takes this route."""
        if self.dialled.endswith("*"):
            return user.startswith(self.dialled[:-1])
        return user == self.dialled


@dataclass(frozen=True, slots=True)
class CallSettings:
    """Everything the core is told once."""

    trunks: tuple[Trunk, ...]
    agents: Mapping[str, AgentTarget]
    routes: tuple[Route, ...]
    flows: Mapping[str, Flow] = field(default_factory=dict)
    default_flow: str = ""
    codecs: tuple[Codec, ...] = tuple(Codec)
    calls_max: int = 32
    ring_limit_s: float = 120.0
    mask_tail_s: float = 3.0
    caller_key: bytes = b""
    """Names callers to cde without their number; random, of this service, kept over restarts."""

    def trunk_of(self, host: str) -> Trunk | None:
        """Return the trunk whose networks hold a source address."""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return None
        for trunk in self.trunks:
            if any(address in network for network in trunk.networks if network.version == address.version):
                return trunk
        return None

    def route_of(self, user: str) -> Route | None:
        """Return the first route that matches."""
        return next((route for route in self.routes if route.matches(user)), None)


class Admission:
    """Decides by source address who is heard at all: trunks and agents."""

    def __init__(self, settings: CallSettings) -> None:
        self._settings = settings
        self._agents = frozenset(agent.host for agent in settings.agents.values())
        self._known: dict[str, bool] = {}

    def __call__(self, host: str) -> bool:
        """Whether ``host`` is a trunk's or an agent's address."""
        verdict = self._known.get(host)
        if verdict is None:
            if len(self._known) >= ADMISSIONS_REMEMBERED:
                self._known.clear()
            verdict = host in self._agents or self._settings.trunk_of(host) is not None
            self._known[host] = verdict
        return verdict
