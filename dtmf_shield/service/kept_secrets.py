"""Secrets that a service makes for itself and keeps in its state directory, so that they outlive a restart."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Final

from dtmf_shield.base.errors import OperatorError

API_KEY_FILE: Final = "api.key"
"""Bearer key of the API for programs."""
IDENTITY_KEY_FILE: Final = "identity.key"
"""Seals second factors in the file of users, and makes names of people whose own may not be shown."""
CALLER_KEY_FILE: Final = "caller.key"
"""Names callers in the ledger without their numbers."""
SECRET_BYTES: Final = 32
SECRET_CHARACTERS_MIN: Final = 32
"""A shorter one was not made by us: we write 43 characters."""


def kept_secret(path: Path) -> str:
    """Return the secret in ``path``, ASCII; made there, mode 0600, where it is missing. Raises OperatorError."""
    try:
        if not path.exists():
            _make(path)
        secret = path.read_text("ascii").strip()
    except UnicodeDecodeError:
        secret = ""
    except OSError as error:
        raise OperatorError(
            f"{path}: {error.strerror}; give the service's user its state directory"
        ) from error
    if len(secret) < SECRET_CHARACTERS_MIN:
        raise OperatorError(f"{path}: holds no key of this service; remove it and a new one is made")
    return secret


def derived_key(secret: str, purpose: str) -> bytes:
    """Return 32 bytes for one purpose, made of a secret that serves several."""
    return hmac.new(secret.encode("ascii"), purpose.encode("ascii"), hashlib.sha256).digest()


def _make(path: Path) -> None:
    # Whole or not at all: a service that dies in between must not leave an empty key.
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(SECRET_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
