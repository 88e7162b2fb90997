"""Names of gateways and the addresses they lead to: looked up by the supervisor, because cde can open no resolver.

At the start a name must resolve; later a failure keeps the old addresses and is logged. cde is told of new ones.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Final

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.base.log import get_logger
from dtmf_shield.model.gateway import GatewaySettings
from dtmf_shield.model.messages import GatewayResolved

RESOLVE_INTERVAL_S: Final = 60.0
"""What an operator who moves his gateway by DNS has to wait, beside the name's own time to live."""
RESOLVE_TIMEOUT_S: Final = 10.0
ADDRESSES_MAX: Final = 8
"""Of one name; cde takes no more."""

_log = get_logger("gateway_names")


def is_literal(host: str) -> bool:
    """Whether ``host`` is an address already."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def addresses_of(host: str, port: int) -> tuple[str, ...]:
    """Return the literals ``host`` leads to now, in the system's order (RFC 6724). Blocks. Raises OperatorError."""
    if is_literal(host):
        return (host,)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise OperatorError(
            f"gateway.address: {host} cannot be resolved ({error.strerror}); correct the name or the resolver, "
            "or write the address"
        ) from error
    return _literals(str(entry[4][0]) for entry in found)


class GatewayNames:
    """Looks the names up again and again. ``tell`` is called with what has changed."""

    def __init__(
        self, gateways: Callable[[], Iterable[GatewaySettings]], tell: Callable[[GatewayResolved], None]
    ) -> None:
        """``gateways``: as they serve now; each with ``host``, the name in the configuration."""
        self._gateways, self._tell = gateways, tell

    async def watch(self) -> None:
        """Look up every RESOLVE_INTERVAL_S, for ever."""
        while True:
            await asyncio.sleep(RESOLVE_INTERVAL_S)
            await self.look_up()

    async def look_up(self) -> None:
        """Look up each name once."""
        for gateway in self._gateways():
            if gateway.host and not is_literal(gateway.host):
                await self._look_up(gateway)

    async def _look_up(self, gateway: GatewaySettings) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT_S):
                found = await loop.getaddrinfo(gateway.host, gateway.port, type=socket.SOCK_STREAM)
        except OSError as error:
            # The addresses known so far may still be good: a resolver that is away must not stop payments.
            _log.warning("gateway_name_lost", gateway=gateway.name, host=gateway.host, reason=str(error))
            return
        addresses = _literals(str(entry[4][0]) for entry in found)
        if addresses and set(addresses) != set(gateway.addresses):
            _log.info("gateway_moved", gateway=gateway.name, host=gateway.host, addresses=addresses)
            self._tell(GatewayResolved(gateway=gateway.name, addresses=addresses))


def _literals(found: Iterable[str]) -> tuple[str, ...]:
    # One on a link only (fe80::1%eth0) is no gateway's.
    return tuple(dict.fromkeys(literal for literal in found if "%" not in literal))[:ADDRESSES_MAX]
