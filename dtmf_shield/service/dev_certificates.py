"""Development certificates: for the embedded test gateway at each start, and a whole set for ``certs dev``.

Those of the test gateway are made at the first start in the state directory, keys with mode 0600, renewed before they
end; nothing else believes their authority.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.service.certificates import (
    CLIENT_AUTH,
    SERVER_AUTH,
    VALID_DAYS,
    Issued,
    host_name,
    issue_leaf,
    make_authority,
    write_private,
)

DIRECTORY: Final = "dev-certificates"
RENEW_DAYS_BEFORE: Final = 14
AUTHORITY_NAME: Final = "dtmf-shield development authority"
"""Common name. No live gateway is believed on its word."""
GATEWAY_USER: Final = "test"
SERVER_NAME: Final = "localhost"
LOOPBACK: Final = (SERVER_NAME, "127.0.0.1", "::1")
DAYS_MAX: Final = 398
"""Longer leaves are refused by common TLS clients."""


@dataclass(frozen=True, slots=True)
class DevCertificates:
    """Where the files are. ``gateway_user_file`` holds ``user:password`` of the test gateway."""

    ca_file: Path
    gateway_certificate_file: Path
    gateway_key_file: Path
    gateway_user_file: Path


def ensure_dev_certificates(state_directory: Path) -> DevCertificates:
    """Return the files, made anew where one is missing or about to end."""
    directory = state_directory / DIRECTORY
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = DevCertificates(
        ca_file=directory / "ca.pem",
        gateway_certificate_file=directory / "gateway.pem",
        gateway_key_file=directory / "gateway.key",
        gateway_user_file=directory / "gateway.user",
    )
    if not _good(files):
        _make(files, directory / "ca.key")
    return files


def _good(files: DevCertificates) -> bool:
    if not (files.ca_file.exists() and files.gateway_key_file.exists() and files.gateway_user_file.exists()):
        return False
    try:
        leaf = x509.load_pem_x509_certificate(files.gateway_certificate_file.read_bytes())
    except (OSError, ValueError):
        return False
    renew_at = leaf.not_valid_after_utc - datetime.timedelta(days=RENEW_DAYS_BEFORE)
    return datetime.datetime.now(datetime.UTC) < renew_at


def _make(files: DevCertificates, ca_key_file: Path) -> None:
    authority = make_authority(AUTHORITY_NAME)
    gateway = _gateway_server(authority, VALID_DAYS)
    write_private(ca_key_file, authority.key_pem())
    write_private(files.gateway_key_file, gateway.key_pem())
    write_private(files.gateway_user_file, f"{GATEWAY_USER}:{secrets.token_urlsafe(24)}\n".encode())
    write_private(files.ca_file, authority.certificate_pem())
    write_private(files.gateway_certificate_file, gateway.certificate_pem())


def make_development_set(
    directory: Path, *, sip_host: str, valid_days: int, force: bool
) -> Mapping[str, Path]:
    """Write an authority and leaves for SIP over TLS, for a gateway's server and for its client. Returns path by role.

    The SIP leaf bears the host and ``sip:host`` (RFC 5922 section 4) and serves both ends of a connection. Raises
    OperatorError for a host or days that cannot be, and where a file is there already and ``force`` is not given.
    """
    if not _is_host(sip_host):
        raise OperatorError(f"--sip-host: {sip_host!r} is no host name or address, such as sip.example.com")
    if not 1 <= valid_days <= DAYS_MAX:
        raise OperatorError(f"--days: found {valid_days}; allowed: 1 to {DAYS_MAX}")
    roles = ("ca", "sip", "gateway-server", "gateway-client")
    files = {f"{role}{end}": directory / f"{role}{end}" for role in roles for end in (".pem", ".key")}
    there = [str(path) for path in files.values() if path.exists()]
    if there and not force:
        raise OperatorError(
            f"{', '.join(there)}: there already; name another --out, or replace them with --force"
        )
    authority = make_authority(AUTHORITY_NAME, valid_days)
    uri_host = f"[{sip_host}]" if ":" in sip_host else sip_host
    sip_names = [host_name(sip_host), x509.UniformResourceIdentifier(f"sip:{uri_host}")]
    issued = {
        "ca": authority,
        "sip": issue_leaf(authority, sip_host, sip_names, (SERVER_AUTH, CLIENT_AUTH), valid_days),
        "gateway-server": _gateway_server(authority, valid_days),
        "gateway-client": issue_leaf(authority, "dtmf-shield gateway client", (), (CLIENT_AUTH,), valid_days),
    }
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for role, pair in issued.items():
            write_private(files[f"{role}.key"], pair.key_pem())
            write_private(files[f"{role}.pem"], pair.certificate_pem())
            files[f"{role}.pem"].chmod(0o644)
    except OSError as error:
        raise OperatorError(f"--out: {directory} cannot be written ({error.strerror})") from None
    return files


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", text) is not None
    return True


def _gateway_server(authority: Issued, valid_days: int) -> Issued:
    names = [host_name(host) for host in LOOPBACK]
    return issue_leaf(authority, "dtmf-shield TEST gateway", names, (SERVER_AUTH,), valid_days)
