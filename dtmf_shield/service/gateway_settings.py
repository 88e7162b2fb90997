"""From the gateway sections of the configuration to what cde is told, and what is wrong with the files they name."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography import x509

from dtmf_shield.base.config import Config, GatewaySection
from dtmf_shield.base.config_forms import split_host_port
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.model.gateway import GatewaySettings
from dtmf_shield.service.dev_certificates import AUTHORITY_NAME, SERVER_NAME
from dtmf_shield.service.gateway_names import addresses_of
from dtmf_shield.service.test_gateway.launch import TestGatewayProcess

EMBEDDED_NAME: Final = "embedded-test"
EMBEDDED_PATH: Final = "/pay"
GENERIC_PATH: Final = "/pay"


def sections(config: Config) -> tuple[tuple[str, GatewaySection], ...]:
    """Return the gateway sections with their names in the file, the primary first."""
    fallback = config.fallback_gateway
    primary = (("gateway", config.gateway),)
    return primary if fallback is None else (*primary, ("fallback_gateway", fallback))


def is_test(config: Config) -> bool:
    """Whether everything is marked TEST: the embedded gateway or a sandbox."""
    return config.gateway.kind == "embedded" or config.gateway.test


def embedded_settings(gateway: TestGatewayProcess) -> GatewaySettings:
    """Return the settings of the embedded TEST gateway."""
    return GatewaySettings(
        name=EMBEDDED_NAME,
        template="generic",
        addresses=("127.0.0.1",),
        port=gateway.port,
        server_name=SERVER_NAME,
        ca_file=str(gateway.files.ca_file),
        credentials_file=str(gateway.files.gateway_user_file),
        path=EMBEDDED_PATH,
        idempotency="replay",
        parameters=(("extended", "yes"), ("token_parameter", "token")),
    )


def configured_settings(config: Config, base: Path) -> tuple[GatewaySettings, ...]:
    """Return the settings of the configured gateways; names are resolved. Blocks. Raises OperatorError."""
    return tuple(_settings(key, section, base) for key, section in sections(config))


def _settings(key: str, section: GatewaySection, base: Path) -> GatewaySettings:
    if section.address is None or section.ca_file is None or section.credentials_file is None:
        raise OperatorError(f"{key}: address, ca_file and credentials_file are needed")
    host, port = split_host_port(section.address)
    generic = section.kind == "generic"
    return GatewaySettings(
        name=section.label,
        template=str(base / section.kind) if section.kind.endswith(".toml") else section.kind,
        host=host,
        addresses=addresses_of(host, port),
        port=port,
        server_name=section.server_name or host,
        ca_file=str(base / section.ca_file),
        credentials_file=str(base / section.credentials_file),
        path=section.path or (GENERIC_PATH if generic else ""),
        idempotency=section.idempotency or ("none" if generic else ""),
        client_certificate_file=_named(base, section.client_certificate_file),
        client_key_file=_named(base, section.client_key_file),
        pins=tuple(section.pins),
        parameters=tuple(sorted(section.parameters.items())),
    )


def _named(base: Path, file: str | None) -> str:
    return "" if file is None else str(base / file)


# --- findings -------------------------------------------------------------------------------------------------


def findings(config: Config, base: Path) -> list[str]:
    """Check every file the gateway sections name. Returns one sentence a finding; resolves no name."""
    return [
        f"{key}.{finding}"
        for key, section in sections(config)
        for finding in (
            *_template_findings(section, base),
            *_authority_findings(section, base),
            *_credentials_findings(section, base),
            *_client_findings(section, base),
        )
    ]


def _template_findings(section: GatewaySection, base: Path) -> Iterator[str]:
    path = base / section.kind
    if section.kind.endswith(".toml") and not path.is_file():
        yield f"kind: {path}: no such file; name a connector template or a shipped connector"


def _authority_findings(section: GatewaySection, base: Path) -> Iterator[str]:
    if section.ca_file is None:
        return
    path = base / section.ca_file
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
        authorities = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        unreadable = isinstance(error, OSError) and not isinstance(error, ssl.SSLError)
        reason = getattr(error, "strerror", "") if unreadable else "holds no PEM certificate"
        yield f"ca_file: {path}: {reason}; name a PEM file with the gateway's authorities"
        return
    names = {str(name.value) for authority in authorities for name in authority.subject}
    if AUTHORITY_NAME in names and not section.test:
        yield (
            f"ca_file: {path}: holds the authority of the embedded TEST gateway, which no live gateway bears; "
            "name the file of your gateway's authorities"
        )


def _credentials_findings(section: GatewaySection, base: Path) -> Iterator[str]:
    if section.credentials_file is None:
        return
    path, wanted = base / section.credentials_file, _wanted_credentials(section)
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        yield f"credentials_file: {path}: {reason}; write {wanted} on its first line"
        return
    first = lines[0].strip() if lines else ""
    if not first:
        yield f"credentials_file: {path}: the first line is empty; write {wanted} there"
    elif section.kind == "generic" and ":" not in first:
        yield f"credentials_file: {path}: no colon; write {wanted} on its first line"
    yield from _open_to_others("credentials_file", path)


def _wanted_credentials(section: GatewaySection) -> str:
    return "user:password" if section.kind == "generic" else "what the connector's page says"


def _client_findings(section: GatewaySection, base: Path) -> Iterator[str]:
    if section.client_certificate_file is None or section.client_key_file is None:
        return
    certificate, key = base / section.client_certificate_file, base / section.client_key_file
    missing = [
        f"{name}: {path}: no such file; name a PEM file"
        for name, path in (("client_certificate_file", certificate), ("client_key_file", key))
        if not path.is_file()
    ]
    if missing:
        yield from missing
        return
    try:
        # Without a password function OpenSSL would ask on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ValueError):
        yield (
            f"client_key_file: {key}: does not belong to {certificate}, or has a password, or is no PEM file; "
            "name the certificate and its own key"
        )
    yield from _open_to_others("client_key_file", key)


def _open_to_others(name: str, path: Path) -> Iterator[str]:
    if path.stat().st_mode & 0o077:
        yield f"{name}: {path}: others may read it; chmod 600 it"
