"""From the webhooks of the configuration to what control uses: secrets, TLS contexts; and what is wrong with files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dtmf_shield.base.config import Config, WebhookSection
from dtmf_shield.base.log import get_logger
from dtmf_shield.base.web_address import web_address
from dtmf_shield.service.control.hook_settings import authority_findings, client_context
from dtmf_shield.service.control.json_post import Server
from dtmf_shield.service.control.webhooks import Webhook

SECRET_BYTES_MAX: Final = 1_024
_SECRET: Final = re.compile(r"[\x21-\x7e]{32,256}")
_WANTED: Final = (
    "write 32 to 256 characters without blanks on its first line, such as openssl rand -hex 32 prints"
)

_log = get_logger("webhooks")


def webhooks_of(config: Config) -> dict[str, Webhook]:
    """Return the webhooks by name; the files they name are read. One whose files went bad is told and left out."""
    webhooks = {}
    for place, section in enumerate(config.webhooks):
        try:
            webhooks[section.name] = _webhook(section)
        except (OSError, ValueError) as error:
            # Neither text repeats what a file holds.
            _log.error("webhook_unusable", webhook=section.name, key=f"webhooks[{place}]", reason=str(error))
    return webhooks


def findings(config: Config, base: Path) -> list[str]:
    """Check every file the webhooks name. Returns one sentence a finding; nobody is asked."""
    return [
        f"webhooks[{place}].{finding}"
        for place, section in enumerate(config.webhooks)
        for finding in (*authority_findings(section, base), *_secret_findings(section, base))
    ]


def resolved(section: WebhookSection, base: Path) -> dict[str, str]:
    """Return the files that a webhook names with whole paths."""
    named = {"secret_file": section.secret_file, "ca_file": section.ca_file}
    return {key: str((base / file).absolute()) for key, file in named.items() if file is not None}


def secret_of(path: Path) -> bytes:
    """Return the secret that a file holds. Raises OSError, or ValueError that repeats nothing of it."""
    with path.open("rb") as file:
        raw = file.read(SECRET_BYTES_MAX)
    line = raw.partition(b"\n")[0].decode("ascii", errors="replace").strip()
    if _SECRET.fullmatch(line) is None:
        raise ValueError(f"holds no secret; {_WANTED}")
    return line.encode()


def _webhook(section: WebhookSection) -> Webhook:
    address = web_address(section.url)
    return Webhook(
        name=section.name,
        url=section.url,
        server=Server(address, client_context(section.ca_file) if address.tls else None),
        secret=secret_of(Path(section.secret_file)),
        events=frozenset(section.events),
        timeout_s=section.timeout_s,
    )


def _secret_findings(section: WebhookSection, base: Path) -> Iterator[str]:
    path = base / section.secret_file
    try:
        secret_of(path)
        mode = path.stat().st_mode
    except OSError as error:
        yield f"secret_file: {path}: {error.strerror}; {_WANTED}"
        return
    except ValueError as error:
        yield f"secret_file: {path}: {error}"
        return
    if mode & 0o077:
        yield f"secret_file: {path}: others may read it; chmod 600 it"
