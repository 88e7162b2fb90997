"""Control's part of identity: the file of users and sessions, the site, TLS of the API, what the command line wrote."""

from __future__ import annotations

import asyncio
import sqlite3
import ssl
from pathlib import Path
from typing import Final

from dtmf_shield.api.identity.identity import Identity, Note
from dtmf_shield.api.identity.passwords import Passwords
from dtmf_shield.api.identity.sessions import SessionLimits
from dtmf_shield.base.clock import Clock
from dtmf_shield.base.config import Config
from dtmf_shield.base.log import get_logger
from dtmf_shield.service.api_settings import site_of, tls_context
from dtmf_shield.service.control.provider_web import oidc_of
from dtmf_shield.service.kept_secrets import IDENTITY_KEY_FILE, derived_key, kept_secret
from dtmf_shield.store.identity_rows import IDENTITY_FILE, IdentityRows

TAKE_OVER_INTERVAL_S: Final = 1.0
"""So soon a user whom the command line disabled is out."""

_log = get_logger("identity")


class ControlIdentity:
    """Opens everything identity needs, and watches for what the command line writes."""

    def __init__(self, config: Config, state: Path, clock: Clock, note: Note, api_key: str) -> None:
        """Raises OperatorError where the file or the certificate cannot be read."""
        limits = SessionLimits(
            idle_s=60.0 * config.api.idle_limit_minutes, whole_s=3_600.0 * config.api.session_limit_hours
        )
        key = kept_secret(state / IDENTITY_KEY_FILE)
        passwords = Passwords()
        passwords.prepare()
        self.identity = Identity(
            IdentityRows(state / IDENTITY_FILE),
            clock,
            limits=limits,
            api_key=api_key,
            passwords=passwords,
            note=note,
            oidc=oidc_of(config, clock, derived_key(key, "names of people")),
            factor_key=derived_key(key, "second factors"),
            factor_required=config.api.second_factor == "required",
        )
        self.site = site_of(config)
        self.tls: ssl.SSLContext | None = tls_context(config.api)

    async def watch(self) -> None:
        """Take over what the command line has written, until cancelled."""
        while True:
            try:
                self.identity.take_over()
            except sqlite3.Error as error:
                _log.error("identity_not_read", error=type(error).__name__)
            await asyncio.sleep(TAKE_OVER_INTERVAL_S)

    def close(self) -> None:
        """Close the file and end the threads."""
        self.identity.close()
