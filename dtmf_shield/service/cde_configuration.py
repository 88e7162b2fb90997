"""What cde is told: now, and while a reload is under way what the one before was told, which served.

A new cde is proven once it is ready. Until then one can go back; gateways that move meanwhile have moved for both.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from dtmf_shield.model.messages import ConfigureCde, GatewayResolved


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload has read: all of it comes into force, or nothing. ``flow_files``: as in FlowsServed."""

    configure_cde: ConfigureCde
    flow_files: tuple[str, ...]


class CdeConfiguration:
    """The configurations of one supervisor's cde, one after the other."""

    def __init__(self, configure: ConfigureCde) -> None:
        """``configure``: of the first cde."""
        self.now = configure
        """What the next cde is started with."""
        self._running = configure
        self._before: ConfigureCde | None = None

    @property
    def unproven(self) -> bool:
        """Whether a reload has brought one that no cde has served yet."""
        return self._before is not None

    def begin(self, configure: ConfigureCde) -> None:
        """The next cde is to serve ``configure``."""
        self._before, self.now = self.now, configure

    def started(self) -> None:
        """A cde has been started with what is there now."""
        self._running = self.now

    def proven(self) -> bool:
        """A cde serves. True where that ends a reload."""
        ended, self._before = self.unproven, None
        return ended

    def fall_back(self) -> bool:
        """Go back to what served before. False where there is nothing to go back to."""
        if self._before is None:
            return False
        self.now, self._before = self._before, None
        return True

    def gateway_moved(self, message: GatewayResolved) -> bool:
        """Note where a gateway is. Returns whether the running cde is to be told.

        Not one that drains and was told another host by that name: it has other certificates and credentials.
        """
        host = _host(self.now, message.gateway)
        self.now = _moved(self.now, message)
        if self._before is not None and _host(self._before, message.gateway) == host:
            self._before = _moved(self._before, message)
        return _host(self._running, message.gateway) == host


def _host(configure: ConfigureCde, gateway: str) -> str | None:
    return next((each.host for each in configure.gateways if each.name == gateway), None)


def _moved(configure: ConfigureCde, message: GatewayResolved) -> ConfigureCde:
    gateways = tuple(
        replace(each, addresses=message.addresses) if each.name == message.gateway else each
        for each in configure.gateways
    )
    return replace(configure, gateways=gateways)
