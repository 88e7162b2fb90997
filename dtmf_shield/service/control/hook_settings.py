"""From the hooks of the configuration to what control uses: TLS contexts, credentials; and what is wrong with files."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dtmf_shield.base.config import Config, HookSection, WebhookSection
from dtmf_shield.base.log import get_logger
from dtmf_shield.base.web_address import web_address
from dtmf_shield.service.control.hooks import Hook
from dtmf_shield.service.control.json_post import Server

CREDENTIALS_BYTES_MAX: Final = 4_096
_HEADER: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9-]{0,63}): *([\x21-\x7e](?:[\x20-\x7e]{0,2046}[\x21-\x7e])?)"
)
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]{1,2048}")
"""RFC 6750 section 2.1, b64token."""
_OURS: Final = frozenset({"host", "content-type", "content-length", "transfer-encoding", "connection"})
"""Headers that no file may set: they frame the request."""
_WANTED: Final = "write a token, or one header as Name: value, on its first line"

_log = get_logger("hooks")


def hooks_of(config: Config) -> dict[str, Hook]:
    """Return the hooks by name; the files they name are read.

    One whose files went bad since they were checked is told in the log and left out: its look-ups end as errors, and a
    process that takes calls up again does not fail by it.
    """
    hooks = {}
    for place, section in enumerate(config.hooks):
        try:
            hooks[section.name] = Hook(_server(section), section.timeout_s)
        except (OSError, ValueError) as error:
            # Neither text repeats what a file holds.
            _log.error("hook_unusable", hook=section.name, key=f"hooks[{place}]", reason=str(error))
    return hooks


def findings(config: Config, base: Path) -> list[str]:
    """Check every file the hooks name. Returns one sentence a finding; nobody is asked."""
    return [
        f"hooks[{place}].{finding}"
        for place, section in enumerate(config.hooks)
        for finding in (*authority_findings(section, base), *_credential_findings(section, base))
    ]


def resolved(section: HookSection, base: Path) -> dict[str, str]:
    """Return the files that a hook names with whole paths."""
    named = {"credentials_file": section.credentials_file, "ca_file": section.ca_file}
    return {key: str((base / file).absolute()) for key, file in named.items() if file is not None}


def _server(section: HookSection) -> Server:
    address = web_address(section.url)
    credential = None if section.credentials_file is None else credential_of(Path(section.credentials_file))
    return Server(address, client_context(section.ca_file) if address.tls else None, credential)


def client_context(ca_file: str | None) -> ssl.SSLContext:
    """Return TLS that verifies, against the authorities of ``ca_file``, None: those of the system. Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # names and chains are verified
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cafile=ca_file)
    return context


def credential_of(path: Path) -> tuple[str, str]:
    """Return the header that a file holds. Raises OSError, or ValueError that repeats nothing of it."""
    with path.open("rb") as file:
        raw = file.read(CREDENTIALS_BYTES_MAX)
    line = raw.partition(b"\n")[0].decode("ascii", errors="replace").strip()
    if _TOKEN.fullmatch(line):
        return ("Authorization", f"Bearer {line}")
    header = _HEADER.fullmatch(line)
    if header is None or header[1].lower() in _OURS:
        raise ValueError(f"neither a token nor a header; {_WANTED}")
    return (header[1], header[2])


def authority_findings(section: HookSection | WebhookSection, base: Path) -> Iterator[str]:
    """Yield what is wrong with the file of authorities of a hook or webhook."""
    if section.ca_file is None:
        return
    path = base / section.ca_file
    if not section.url.startswith("https:"):
        yield "ca_file: is of no use with http; remove it, or write https:// in url"
        return
    try:
        client_context(str(path))
    except ssl.SSLError:
        yield f"ca_file: {path}: holds no PEM certificate; name a PEM file with the authorities of {section.name}"
    except OSError as error:
        yield f"ca_file: {path}: {error.strerror}; name a PEM file with the authorities of {section.name}"


def _credential_findings(section: HookSection, base: Path) -> Iterator[str]:
    if section.credentials_file is None:
        return
    path = base / section.credentials_file
    try:
        credential_of(path)
        mode = path.stat().st_mode
    except OSError as error:
        yield f"credentials_file: {path}: {error.strerror}; {_WANTED}"
        return
    except ValueError as error:
        yield f"credentials_file: {path}: {error}"
        return
    if mode & 0o077:
        yield f"credentials_file: {path}: others may read it; chmod 600 it"
