"""The OIDC provider on the network: implements ``api.ports.provider_web`` over ``json_post``, and reads [oidc].

Every question is bounded in time and size, goes by TLS (or to loopback), and follows no redirect.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import h11

from dtmf_shield.api.identity.oidc import OidcClient, OidcSettings
from dtmf_shield.api.ports.provider_web import ProviderUnreachable
from dtmf_shield.base.clock import Clock
from dtmf_shield.base.config import Config
from dtmf_shield.base.config_api import OidcSection
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.base.log import get_logger
from dtmf_shield.base.web_address import web_address
from dtmf_shield.service.api_settings import client_secret
from dtmf_shield.service.control.hook_settings import client_context
from dtmf_shield.service.control.json_post import JSON, AnswerTooLongError, Server, ask

PROVIDER_ANSWER_BYTES_MAX: Final = 256 * 1_024
"""Key sets with certificate chains take tens of KiB."""
FORM: Final = "application/x-www-form-urlencoded"

_log = get_logger("oidc")


class HttpProviderWeb:
    """Asks by HTTP/1.1."""

    def __init__(self, tls: ssl.SSLContext, timeout_s: float) -> None:
        self._tls, self._timeout_s = tls, timeout_s

    async def get(self, url: str) -> tuple[int, bytes]:
        """Return status and body. Raises ProviderUnreachable."""
        return await self._ask(url, "GET", b"", JSON, None)

    async def post_form(
        self, url: str, fields: Mapping[str, str], basic: tuple[str, str] | None
    ) -> tuple[int, bytes]:
        """Send a form. Raises ProviderUnreachable."""
        credential = None
        if basic is not None:
            pair = base64.b64encode(":".join(basic).encode()).decode()
            credential = ("Authorization", f"Basic {pair}")
        return await self._ask(url, "POST", urlencode(fields).encode(), FORM, credential)

    async def _ask(
        self, url: str, method: str, body: bytes, content_type: str, credential: tuple[str, str] | None
    ) -> tuple[int, bytes]:
        try:
            address = web_address(url)
            server = Server(address, self._tls if address.tls else None, credential)
            async with asyncio.timeout(self._timeout_s):
                answer = await ask(server, method, body, content_type, PROVIDER_ANSWER_BYTES_MAX)
        except TimeoutError:
            reason = "no_answer_in_time"
        except AnswerTooLongError:
            reason = "too_long"
        except h11.ProtocolError:
            reason = "no_http"
        except ValueError:
            reason = "unfit_url"
        except OSError as error:
            reason = type(error).__name__
        else:
            return answer.status, answer.body
        _log.warning("provider_not_reached", reason=reason)
        raise ProviderUnreachable(reason)


def oidc_of(config: Config, clock: Clock, name_key: bytes) -> OidcClient | None:
    """Return the client of [oidc], None without. Raises OperatorError where a file cannot be read any more."""
    section = config.oidc
    if section is None:
        return None
    try:
        secret = client_secret(Path(section.client_secret_file)) if section.client_secret_file else ""
        web = HttpProviderWeb(client_context(section.ca_file), section.timeout_s)
    except (OSError, ValueError) as error:
        raise OperatorError(f"[oidc]: {error}; run: dtmf-shield check") from error
    return OidcClient(_settings(section, secret), web, clock, name_key)


def _settings(section: OidcSection, secret: str) -> OidcSettings:
    return OidcSettings(
        issuer=section.issuer,
        client_id=section.client_id,
        secret=secret,
        label=section.label,
        scopes=tuple(section.scopes),
        name_claim=section.name_claim,
        role_claim=section.role_claim,
        roles=dict(section.roles),
        agent_claim=section.agent_claim,
    )
