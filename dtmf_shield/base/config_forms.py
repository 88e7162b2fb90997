"""What sections of the configuration are made of: addresses, networks, and the form of a section."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


def ip_literal(value: str) -> str:
    """Return an address in its usual spelling. Raises ValueError that says what is allowed."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError("an IPv4 or IPv6 address, written as a literal") from None


def host_port(value: str) -> str:
    """Return ``value`` where it is address:port. Raises ValueError that says what is allowed."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):(\d{1,5})", value)
    if match is None or int(match[3]) > 65_535:
        raise ValueError("address:port with a literal address, such as 127.0.0.1:5060 or [::1]:5060")
    ip_literal(match[1] or match[2])
    return value


def split_host_port(value: str) -> tuple[str, int]:
    """Split ``127.0.0.1:5060`` or ``[::1]:5060`` into a literal address and a port."""
    host, _, port = value.rpartition(":")
    return host.strip("[]"), int(port)


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError("a network such as 192.0.2.0/24 or a single address") from None


HostPort = Annotated[str, AfterValidator(host_port)]
Network = Annotated[str, AfterValidator(_network)]


class Section(BaseModel):
    """One section of the file: known keys only, and types as they are written."""

    # The texts below the keys are the reference page: config_reference writes it.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)
