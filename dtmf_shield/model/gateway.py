"""What cde is told of gateways and of the rules against card testing: names of files and limits, no secret."""

from __future__ import annotations

import msgspec


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """One gateway as cde needs it. Files are named, secrets are never in messages.

    ``addresses`` are literals: cde resolves no names; ``host``: the name they were found by, for the supervisor.
    ``template``: a shipped connector's name or a file. ``idempotency`` empty: as the template says. ``client_*`` empty:
    no client certificate. ``pins``: SHA-256 of the gateway's SubjectPublicKeyInfo in base64, empty for none.
    ``parameters``: what the template asks for, by name.
    """

    name: str
    template: str
    addresses: tuple[str, ...]
    port: int
    server_name: str
    ca_file: str
    credentials_file: str
    path: str = ""
    idempotency: str = ""
    host: str = ""
    client_certificate_file: str = ""
    client_key_file: str = ""
    pins: tuple[str, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()


class GatewayFound(msgspec.Struct, frozen=True):
    """How a gateway was found when it was tried last; ``reason`` from a closed set: ok, refused, timeout, tls, pin."""

    name: str
    reason: str

    @property
    def up(self) -> bool:
        """Whether it answers."""
        return self.reason == "ok"


class VelocityRule(msgspec.Struct, frozen=True, kw_only=True):
    """At most ``limit`` attempts or declines for one caller, agent, flow or BIN within ``window_s``."""

    name: str
    per: str
    counted: str
    limit: int
    window_s: float
