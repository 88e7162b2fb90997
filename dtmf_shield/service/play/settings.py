"""What the play process is told when it starts, one line of JSON on its standard input; and what it tells of a call."""

from __future__ import annotations

from typing import Final

import msgspec

from dtmf_shield.base.config import Config
from dtmf_shield.base.config_forms import split_host_port
from dtmf_shield.base.errors import OperatorError

DIALLED_MAX: Final = 16
"""Numbers offered to dial; further routes are not shown."""
ANY_NUMBER: Final = "pay"
"""What is dialled where a route takes any number."""


class Dialled(msgspec.Struct, frozen=True):
    """One number to dial. ``flow``: id of the self-service flow that answers; empty: an agent does."""

    number: str
    flow: str = ""


class Farewell(msgspec.Struct, frozen=True):
    """A BYE, and where to: what ends the call once the play process has died."""

    datagram: bytes
    address: tuple[str, int]


class PlaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses and the secret of one run. ``origins``: who may ask, as browsers write it."""

    key: str
    origins: tuple[str, ...]
    sip: tuple[str, int]
    agents: tuple[tuple[str, int], ...]
    """Where calls to agents go: a phone of ours answers there, wherever nobody else listens."""
    dialled: tuple[Dialled, ...]
    gateway_port: int
    gateway_ca_file: str
    gateway_user_file: str


def dialled_of(config: Config) -> tuple[Dialled, ...]:
    """Return what may be dialled: one number a route, in their order."""
    numbers: dict[str, Dialled] = {}
    for route in config.routes:
        number = _number(route.dialled)
        numbers.setdefault(number, Dialled(number, route.flow or ""))  # the first match wins
    return tuple(numbers.values())[:DIALLED_MAX]


def _number(pattern: str) -> str:
    return ANY_NUMBER if pattern == "*" else pattern.rstrip("*")


def agents_of(config: Config) -> tuple[tuple[str, int], ...]:
    """Return the addresses of agents on this machine, each once."""
    return tuple(dict.fromkeys(split_host_port(agent.address) for agent in config.agents))


def origins_of(api_host: str, api_port: int) -> tuple[str, ...]:
    """Return the origins under which a browser may show our page: the address itself, and its name."""
    host = f"[{api_host}]" if ":" in api_host else api_host
    return (f"http://{host}:{api_port}", f"http://localhost:{api_port}")


def read_settings(line: bytes) -> PlaySettings:
    """Read the line. Raises OperatorError."""
    try:
        return msgspec.json.decode(line, type=PlaySettings)
    except msgspec.MsgspecError as error:
        raise OperatorError(f"the play phones are started by the service alone: {error}") from error
