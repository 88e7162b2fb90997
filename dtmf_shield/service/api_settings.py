"""From [api] and [oidc] of the configuration to what control serves, and what is wrong with the files they name."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from dtmf_shield.api.site import Site
from dtmf_shield.base.config import Config
from dtmf_shield.base.config_api import ApiSection, OidcSection
from dtmf_shield.base.config_forms import split_host_port
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.store.identity_rows import IDENTITY_FILE, IdentityRows

_API_FILES: Final = ("tls_certificate_file", "tls_key_file")
_OIDC_FILES: Final = ("client_secret_file", "ca_file")
SECRET_FILE_BYTES_MAX: Final = 4_096


def site_of(config: Config) -> Site:
    """Return where browsers reach the service."""
    api = config.api
    if api.public_url is None:
        return Site(embed_origins=tuple(api.embed_origins))
    host = urlsplit(api.public_url).hostname or ""
    # A probe of a machine in the same rack names the address that it connects to.
    own = split_host_port(api.listen)[0]
    hosts = {host, own} - {"0.0.0.0", "::"}  # noqa: S104 - names nothing
    return Site(
        api.public_url,
        frozenset(hosts),
        tuple(ipaddress.ip_network(one) for one in api.behind_proxy),
        tuple(api.embed_origins),
    )


def origin_of(api: ApiSection, host: str, port: int) -> str:
    """Return the origin for links that are printed. ``host`` and ``port``: what was bound."""
    if api.public_url is not None:
        return api.public_url
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def tls_context(api: ApiSection) -> ssl.SSLContext | None:
    """Return the TLS of the API, None where a proxy does it or nobody. Raises OperatorError."""
    if api.tls_certificate_file is None or api.tls_key_file is None:
        return None
    try:
        return _context(Path(api.tls_certificate_file), Path(api.tls_key_file))
    except (OSError, ssl.SSLError) as error:
        raise OperatorError(
            f"[api] tls_certificate_file, tls_key_file: {error}; run: dtmf-shield check"
        ) from error


def resolve(data: dict[str, Any], config: Config, base: Path) -> None:
    """Write the files that [api] and [oidc] name into ``data`` with whole paths."""
    for name, section, files in (("api", config.api, _API_FILES), ("oidc", config.oidc, _OIDC_FILES)):
        for key in files if section is not None else ():
            file = getattr(section, key)
            if file is not None:
                data[name][key] = str((base / file).absolute())


def findings(config: Config, base: Path) -> list[str]:
    """Check every file that [api] and [oidc] name. Returns one sentence a finding; nobody is asked."""
    found = [f"api.{finding}" for finding in _tls_findings(config.api, base)]
    if config.oidc is not None:
        found += [f"oidc.{finding}" for finding in _oidc_findings(config.oidc, base)]
    return found


def require_somebody(config: Config, state: Path) -> None:
    """Raise OperatorError where the API is on another address than loopback and nobody could sign in."""
    if config.api.on_loopback or config.oidc is not None:
        return
    path = state / IDENTITY_FILE
    if path.exists():
        rows = IdentityRows(path)
        try:
            if any(not user.disabled for user in rows.users()):
                return
        finally:
            rows.close()
    raise OperatorError(
        f"[api] listen: found {config.api.listen!r} and nobody who can sign in; allowed: a loopback address, or [oidc] "
        "beside it, or a user: run dtmf-shield users add NAME --role admin, then start again"
    )


def _tls_findings(api: ApiSection, base: Path) -> Iterator[str]:
    if api.tls_certificate_file is None or api.tls_key_file is None:
        return
    certificate, key = base / api.tls_certificate_file, base / api.tls_key_file
    for name, path in (("tls_certificate_file", certificate), ("tls_key_file", key)):
        try:
            path.read_bytes()
        except OSError as error:
            yield f"{name}: {path}: {error.strerror}; name a PEM file that the service's user may read"
            return
    if key.stat().st_mode & 0o077:
        yield f"tls_key_file: {key}: others may read it; chmod 600 it"
    try:
        _context(certificate, key)
    except (OSError, ssl.SSLError, ValueError):
        yield (
            f"tls_key_file: {key}: is not the key of {certificate}, or one is no PEM, or the key has a password; "
            "name a certificate chain and its own key without a password"
        )


def client_secret(path: Path) -> str:
    """Return the secret that a file holds on its first line. Raises OSError, or ValueError that repeats none of it."""
    with path.open("rb") as file:
        raw = file.read(SECRET_FILE_BYTES_MAX)
    secret = raw.partition(b"\n")[0].decode("ascii", "replace").strip()
    if not secret or not secret.isascii() or not secret.isprintable():
        raise ValueError("holds no secret; write the client's secret on its first line")
    return secret


def _oidc_findings(oidc: OidcSection, base: Path) -> Iterator[str]:
    if oidc.client_secret_file is not None:
        path = base / oidc.client_secret_file
        try:
            client_secret(path)
            if path.stat().st_mode & 0o077:
                yield f"client_secret_file: {path}: others may read it; chmod 600 it"
        except OSError as error:
            yield f"client_secret_file: {path}: {error.strerror}; name the file with the client's secret"
        except ValueError as error:
            yield f"client_secret_file: {path}: {error}"
    if oidc.ca_file is not None:
        try:
            ssl.create_default_context(cafile=str(base / oidc.ca_file))
        except OSError as error:  # SSLError is one
            why = error.strerror or "holds no PEM certificate"
            yield f"ca_file: {base / oidc.ca_file}: {why}; name a PEM file with the provider's authorities"


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A password would be asked for at the terminal; an empty one fails instead.
    context.load_cert_chain(certificate, key, password="")
    return context
